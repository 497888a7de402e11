"""The rules in company: what others use, or could, to tell a regression. Each sees one watch, tick after tick.

All see the log of latency, or its log ratio to a control where the watch has one; none but ours uses load. Missing
samples are left out for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pegbox.bench.regressions.streams import Array, Watch
from pegbox.core import sequential
from pegbox.core.sequential import Finding, Sample, State
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

FLOOR = math.log(1.10)
QUARTER = math.log(1.25)
NEEDED_TICKS = 6  # a rank test of fewer says nothing
FIVE_PERCENT, TWO_PERCENT = 1.960, 2.326  # two-sided z
LEAST_SD = 1e-6

Rule = Callable[[Watch, Sequence[float]], list[int]]
"""(watch, shifts) -> for each shift the tick at which it is found, the first being 1; 0 for never."""
First = Callable[[Array, Array], int | None]
"""(baseline logs, watch logs), both without gaps -> the place of the sample at which the rule speaks first."""


def pegbox(*, load: bool = True, control: bool = True) -> Rule:
    """The rule of core.sequential; without the named help to show what that is worth."""

    def rule(watch: Watch, shifts: Sequence[float]) -> list[int]:
        samples = _samples(watch, load, control)
        state = sequential.begin(samples[: watch.split], watch.tick)
        if isinstance(state, Missing):
            return [0] * len(shifts)
        return [_first(state, samples[watch.split :], shift) for shift in shifts]

    return rule


def _first(state: State, samples: Sequence[Sample], shift: float) -> int:
    for tick, sample in enumerate(samples, 1):
        latency = sample.latency if isinstance(sample.latency, Missing) else sample.latency * (1.0 + shift)
        state, verdict = sequential.step(state, Sample(latency, sample.control, sample.load))
        if verdict.found is not Finding.NONE:
            return tick
    return 0


def _samples(watch: Watch, load: bool, control: bool) -> list[Sample]:
    none: list[float | Missing | None] = [None] * len(watch.latency)
    others = (
        _measured(watch.control) if control and watch.control is not None else none,
        _measured(watch.load) if load and watch.load is not None else none,
    )
    return [Sample(own, a, b) for own, a, b in zip(_measured(watch.latency), *others, strict=True)]


def _measured(values: Array) -> list[float | Missing]:
    return [x if math.isfinite(x) else Missing(Reason.NO_DATA) for x in values.tolist()]


def _company(first: First) -> Rule:
    def rule(watch: Watch, shifts: Sequence[float]) -> list[int]:
        logs = watch.logs
        base, seen = logs[: watch.split], logs[watch.split :]
        known = np.flatnonzero(np.isfinite(seen))
        base = base[np.isfinite(base)]
        found = [first(base, seen[known] + math.log1p(shift)) for shift in shifts] if len(known) else []
        return [0 if at is None else int(known[at]) + 1 for at in found] or [0] * len(shifts)

    return rule


def _earliest(fires: npt.NDArray[np.bool_]) -> int | None:
    return int(fires.argmax()) if fires.any() else None


def _rank_sums(base: Array, seen: Array) -> Array:
    """z of the Mann-Whitney U after each tick, normal approximation with continuity correction; too few say nothing."""
    wins = (seen[:, None] > base).sum(axis=1) + 0.5 * (seen[:, None] == base).sum(axis=1)
    n, m = np.arange(1, len(seen) + 1), len(base)
    sd = np.sqrt(n * m * (n + m + 1) / 12.0)
    z = (np.cumsum(wins) - n * m / 2.0 - 0.5) / sd
    return np.asarray(np.where(n >= NEEDED_TICKS, z, -np.inf), dtype=np.float64)


def _mann_whitney(z: float, least: float | None = None) -> First:
    """At every tick; with `least` the difference of the medians must exceed that as well."""

    def first(base: Array, seen: Array) -> int | None:
        fires = _rank_sums(base, seen) > z
        if least is None:
            return _earliest(fires)
        limit = float(np.median(base)) + least
        return next((int(i) for i in np.flatnonzero(fires) if np.median(seen[: i + 1]) > limit), None)

    return first


def _kayenta(every: bool) -> First:
    """High where the 98 % interval of the Hodges-Lehmann shift begins above a quarter of the shift itself.

    On latencies, outliers beyond 3 interquartile ranges left out (spinnaker/kayenta, MannWhitneyClassifier).
    """

    def first(base: Array, seen: Array) -> int | None:
        old, new = _without_outliers(np.exp(base)), np.exp(seen)
        looks = range(NEEDED_TICKS, len(new) + 1) if every else (len(new),)
        return next((n - 1 for n in looks if _high(old, _without_outliers(new[:n]))), None)

    return first


def _high(old: Array, new: Array) -> bool:
    n, m = len(new), len(old)
    rank = max(round(n * m / 2.0 - TWO_PERCENT * math.sqrt(n * m * (n + m + 1) / 12.0)), 0)
    if np.searchsorted(np.sort(old), new, side="left").sum() < n * m - rank:
        return False  # the interval begins at zero or below
    low, middle = np.partition((new[:, None] - old).ravel(), (rank, n * m // 2))[[rank, n * m // 2]]
    return bool(low > 0.25 * abs(middle))


def _without_outliers(values: Array) -> Array:
    low, high = np.percentile(values, [25, 75])
    reach = 3.0 * (high - low)
    return np.asarray(values[(values >= low - reach) & (values <= high + reach)], dtype=np.float64)


def _consecutive(ticks: int) -> First:
    """So many ticks in a row above the baseline's median by a quarter."""

    def first(base: Array, seen: Array) -> int | None:
        above = np.concatenate([[0], np.cumsum(seen - np.median(base) > QUARTER)])
        found = _earliest(above[ticks:] - above[:-ticks] == ticks)
        return None if found is None else found + ticks - 1

    return first


def _cusum(floor: float) -> First:
    """S = max(0, S + (x - mean - floor) / sd - 0.5), alarm at 5 (E. S. Page, Biometrika 41, 1954)."""

    def first(base: Array, seen: Array) -> int | None:
        steps = (seen - base.mean() - floor) / max(float(base.std(ddof=1)), LEAST_SD) - 0.5
        sums = np.cumsum(steps)
        return _earliest(sums - np.minimum.accumulate(np.minimum(sums, 0.0)) > 5.0)

    return first


def _msprt(floor: float) -> First:
    """The mixture test of core.verify at 0.05, on plain means, its variance raised for lag-one autocorrelation."""

    def first(base: Array, seen: Array) -> int | None:
        around = base - base.mean()
        rho = min(max(float((around[1:] * around[:-1]).sum()) / max(float((around**2).sum()), LEAST_SD), 0.0), 0.9)
        n = np.arange(1, len(seen) + 1)
        z = np.cumsum(seen) / n - base.mean() - floor
        v = max(float(base.var(ddof=1)), LEAST_SD**2) * (1 + rho) / (1 - rho) * (1 / n + 1 / len(base))
        ratio = np.log(v / (v + FLOOR**2)) / 2 + z * z * FLOOR**2 / (2 * v * (v + FLOOR**2))
        return _earliest((z > 0) & (ratio > math.log(1 / 0.05)))

    return first


COMPANY: dict[str, Rule] = {
    "Mann-Whitney 0.05, every tick": _company(_mann_whitney(FIVE_PERCENT)),
    "Kayenta 98 %, every tick": _company(_kayenta(every=True)),
    "Kayenta 98 %, once at the end": _company(_kayenta(every=False)),
    "Mann-Whitney 0.02 and median > +25 %": _company(_mann_whitney(TWO_PERCENT, QUARTER)),
    "3 ticks in a row > +25 %": _company(_consecutive(3)),
    "5 ticks in a row > +25 %": _company(_consecutive(5)),
    "CUSUM": _company(_cusum(0.0)),
    "CUSUM with floor": _company(_cusum(FLOOR)),
    "mSPRT": _company(_msprt(0.0)),
    "mSPRT with floor": _company(_msprt(FLOOR)),
}
