"""The capacity model as one predictor: physics, residual, interval, range of validity, report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pegbox.core.lacking import NEEDED
from pegbox.learning.beliefs import DEFAULTS, ColdStart
from pegbox.learning.capacity import Layout, evaluate
from pegbox.learning.estimate import LATENCY_FLOOR, THROUGHPUT_FLOOR, Estimate, estimate
from pegbox.learning.evaluate import accuracy, spread
from pegbox.learning.features import (
    Evidence,
    Plan,
    evidence,
    features,
    inputs,
    make_plan,
    measurable,
    number,
    pods_under,
)
from pegbox.learning.queueing import Array, Mask
from pegbox.learning.residual import Residual, fit_residual
from pegbox.model.knobs import Knob, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Forecast, Interval, ModelReport, Prediction, Row
from pegbox.model.reasons import Reason
from pegbox.model.roles import Roles, busy_signal

TRUST = 2.0  # factor by which a setting may leave the box of what was observed
CONTRADICTION = 0.7  # log sd of saturated throughput around the physics: rows a factor 2 apart
UNUSED = 0.5  # a limit that never was busier than this teaches nothing about raising it
Z90 = 1.645


def fit_model(
    space: SearchSpace,
    roles: Roles,
    rows: Sequence[Row],
    forecasts: Sequence[Forecast] = (),
    recent: Sequence[Forecast] | None = None,
    cold: ColdStart = DEFAULTS,
) -> CapacityModel | Missing:
    """See pegbox.learning.fit."""
    usable = [row for row in rows if measurable(row)]
    windows = sum(row.count for row in usable)
    if windows < NEEDED:
        dropped = len(rows) - len(usable)
        idle = f"; {dropped} rows without load or throughput do not count" if dropped else ""
        return Missing(Reason.LEARNING, f"{windows} of {NEEDED} observations{idle}")
    plan = make_plan(space, roles, usable)
    seen = evidence(plan, usable)
    layout = Layout(plan.limits or ("pod",), plan.concurrency, bool(plan.batch))
    from threadpoolctl import threadpool_limits

    # small matrices: a second thread costs more than it brings, and sums in thread order do not repeat
    with threadpool_limits(limits=1):
        found = estimate(layout, seen, bool(plan.queue), cold.beliefs)
    physics = evaluate(layout, found.best[None, :], seen.x)
    off = np.log(seen.throughput / physics.capacity[0])
    if np.any(seen.saturated) and float(np.sqrt(np.mean(off[seen.saturated] ** 2))) > CONTRADICTION:
        return Missing(
            Reason.NOT_IDENTIFIABLE,
            "the observations contradict each other: equal settings differ by more than a factor of two",
        )
    columns = features(space, [row.setting for row in usable], seen.x.load)
    slow = np.log(seen.latency / physics.latency[0])
    steady = ~seen.saturated & ~seen.draining
    return CapacityModel(
        space=space,
        plan=plan,
        rows=tuple(usable),
        found=found,
        capacity_residual=_residual(columns, off, seen.noise, THROUGHPUT_FLOOR, seen.saturated),
        latency_residual=_residual(columns, slow, seen.latency_noise, LATENCY_FLOOR / 2, steady),
        scatter=_scatter(off, slow, seen, steady),
        report=_report(layout, found, plan, usable, forecasts if recent is None else recent, cold),
        widening=_widening(forecasts),
        cold=cold,
    )


def _residual(columns: Array, logs: Array, noise: Array, floor: float, picked: Mask) -> Residual:
    return fit_residual(columns[picked], logs[picked], np.hypot(floor, noise[picked]))


def _scatter(off: Array, slow: Array, seen: Evidence, steady: Mask) -> tuple[float, float]:
    """Log sd of an outcome around the prediction, for capacity and latency: never below the noise floors."""

    def root(values: Array, floor: float) -> float:
        return max(floor, float(np.sqrt(np.mean(values**2)))) if values.size else 2.0 * floor

    return root(off[seen.saturated], THROUGHPUT_FLOOR), root(slow[steady], LATENCY_FLOOR / 2)


def _widening(forecasts: Sequence[Forecast]) -> float:
    """Least log half-width of the capacity interval, from what past forecasts missed by."""
    told = spread(forecasts)
    return 0.0 if isinstance(told, Missing) else told


def _report(
    layout: Layout, found: Estimate, plan: Plan, rows: Sequence[Row], forecasts: Sequence[Forecast], cold: ColdStart
) -> ModelReport:
    """Coefficients that the evidence tells, by name and in base units; the others only by name.

    Demands are those under the batch of the newest row. A ceiling that never bound is left out: the
    capacity is unbounded above as far as was seen.
    """
    newest = max(rows, key=lambda row: row.last_seen)
    x = inputs(plan, [newest.setting], np.array([newest.load]), np.array([newest.pods]))
    demands = evaluate(layout, found.best[None, :], x).demands[0, 0]
    values: dict[str, float] = {}
    unknown: list[str] = []
    for i, (name, known) in enumerate(zip(layout.names, found.identified, strict=True)):
        if not known:
            unknown.append(name)
        elif i < len(layout.limits):
            values[name] = float(demands[i])
        else:
            values[name] = math.exp(found.best[i]) if layout.is_log(i) else round(float(found.best[i]), 9)
    scored = accuracy(forecasts)
    return ModelReport(
        coefficients=values,
        samples=sum(row.count for row in rows),
        error=scored.error,
        baseline_error=scored.baseline_error,
        unidentified=tuple(unknown),
        prior=cold.name,
    )


@dataclass(frozen=True, slots=True)
class CapacityModel:
    """A fitted predictor. Implements pegbox.model.prediction.Predictor."""

    space: SearchSpace
    plan: Plan
    rows: tuple[Row, ...]
    found: Estimate
    capacity_residual: Residual
    latency_residual: Residual
    scatter: tuple[float, float]
    report: ModelReport
    widening: float
    cold: ColdStart = DEFAULTS

    def predict(self, settings: Sequence[Setting], load: float, pods: float) -> list[Prediction]:
        """One prediction per setting, in order, at `load` events/s over all pods."""
        if not settings:
            return []
        loads = np.full(len(settings), max(0.0, load))
        count = np.array([pods_under(self.plan, s, pods) for s in settings])
        state = evaluate(self.found.layout, self.found.draws, inputs(self.plan, settings, loads, count))
        columns = features(self.space, settings, loads)
        far, (noise, slow_noise) = self.distances(settings), self.scatter
        noises = np.hypot(noise, self.cold.capacity_misfit * far), np.hypot(slow_noise, self.cold.latency_misfit * far)
        capacities = self._intervals(state.capacity, self.capacity_residual.correct(columns), noises[0], self.widening)
        latencies = self._intervals(state.latency, self.latency_residual.correct(columns), noises[1], 0.0)
        inside = self._inside(settings, load)
        return [
            Prediction(setting, load, capacity, latency, ok)
            for setting, capacity, latency, ok in zip(settings, capacities, latencies, inside, strict=True)
        ]

    def distances(self, settings: Sequence[Setting]) -> Array:
        """From each setting to the nearest one that was seen: e-folds in numbers, 1 for a switch."""
        seen = list(dict.fromkeys(row.setting for row in self.rows))
        here, there = (features(self.space, each, np.ones(len(each)))[:, 1:] for each in (settings, seen))
        apart = np.sum((here[:, None, :] - there[None, :, :]) ** 2, axis=2)
        return np.asarray(np.sqrt(np.min(apart, axis=1)), dtype=np.float64)

    @staticmethod
    def _intervals(draws: Array, correction: tuple[Array, Array], scatter: Array, widening: float) -> list[Interval]:
        """90 % intervals: the doubt about coefficients, about the residual and the noise, in quadrature."""
        low, mean, high = np.quantile(np.log(draws), (0.05, 0.5, 0.95), axis=0)
        shift, doubt = correction
        rest = Z90 * np.hypot(doubt, scatter)
        down = np.maximum(np.hypot(mean - low, rest), widening)
        up = np.maximum(np.hypot(high - mean, rest), widening)
        centre = mean + shift
        bounds = np.exp(np.stack([centre, centre - down, centre + up], axis=1))
        return [Interval(float(m), float(a), float(b)) for m, a, b in bounds]

    def _inside(self, settings: Sequence[Setting], load: float) -> list[bool]:
        """Is each setting inside the box of what was observed, widened by the trust factor?"""
        if load > TRUST * max(row.load for row in self.rows):
            return [False] * len(settings)
        ranges = {knob.name: self._range(knob) for knob in self.space.knobs if knob.type.numeric}
        others = [knob.name for knob in self.space.knobs if not knob.type.numeric]
        seen = {name: {row.setting.get(name) for row in self.rows} for name in others}
        return [
            all(low <= number(s, name) <= high for name, (low, high) in ranges.items() if name in s)
            and all(s.get(name) in seen[name] for name in others)
            for s in settings
        ]

    def _range(self, knob: Knob) -> tuple[float, float]:
        """The values of one numeric knob for which predictions are vouched.

        At least one unit beyond what was seen; not beyond it at all for a limit that was never half used.
        """
        rows = [row for row in self.rows if isinstance(row.setting.get(knob.name), Fraction)]
        if not rows:
            return -math.inf, math.inf
        values = [number(row.setting, knob.name) for row in rows]
        low, high, unit = min(values), max(values), float(knob.unit)
        shares = [row.signals.get(busy_signal(knob.name)) for row in rows]
        told = [share for share in shares if share is not None]
        unused = bool(told) and max(told) < UNUSED
        top = high if unused else max(high * TRUST, high + unit)
        return min(low / TRUST, low - unit), top
