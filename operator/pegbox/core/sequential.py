"""Has latency become worse since a change? A stream is judged sample by sample, at two speeds, as often as one likes.

Fast: two samples in a row at twice the baseline. Sure: one sequential test on log latency, whose null is "at most 10 %
worse" (ALPHA bounds the chance to find what is not worse than that, however often one looks; no change at all is
found far more seldom still). Errors are counted beside it (`core.error_counts`).

Model of the log latency y, or of its log ratio to a control seen at the same time, over the baseline's centre:

    y_i = level_i + slope * x_i + shift + noise_i,   level_i = level_(i-1) + N(0, wander^2),   noise AR(1)

x is the log of offered load over the baseline's mean, where load is known. A Kalman filter follows level and slope
under the null, first through the baseline and then through the watch (R. E. Kalman, J. Basic Eng. 82, 1960). What a
shift d would have changed in its innovations is d times a known gain g, so the likelihood ratio of d against 0 is
exp(d S - d^2 I / 2) with S = sum of g e / F and I = sum of g^2 / F (A. S. Willsky and H. L. Jones, IEEE TAC 21, 1976).
The baseline's own uncertainty, drift, autocorrelation and load all end in F and g. The mixture of it over the shifts
that matter and over starts (the change's own moment, and later ones for harm that comes late) is an e-value: under the
model it exceeds 1 / ALPHA at any time with probability ALPHA at most (Robbins 1970; Johari et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pegbox.core import error_counts, robust
from pegbox.core.error_counts import Counted
from pegbox.core.level import Filter, Track
from pegbox.core.robust import Spread
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

MIN_EFFECT = math.log(1.10)  # a regression of up to 10 % is not worth a rollback
ALPHA = 0.1  # chance to find a shift of just that size in one watch
SHIFTS = tuple((math.log(1 + rise) - MIN_EFFECT, share) for rise, share in ((0.25, 0.6), (0.5, 0.2), (1.0, 0.2)))
AT_ONCE = 0.9  # weight of a shift that comes with the change; the rest is for later ones
LATER = 15  # samples after which the first later start is tried; then after twice as many, and so on
WANDER = 0.03  # sd of the level's own walk over half an hour: a workload drifts
WANDER_BESIDE = 0.01  # the same of a ratio to a control, in which what befalls both cancels
HALF_HOUR = 1800.0
SURGE = math.log(2.0)  # the fast guard
SURGE_SDS = 3.0  # where a baseline doubles by itself, more is asked of it
SURGE_SAMPLES = 2
SLOWER_SAMPLES = 2  # the test needs as many of the watch: no sample decides alone
NEEDED_SAMPLES = 8  # of the baseline
ELASTICITY = 1.0  # of latency to offered load, before any is seen; its sd is the same
LOAD_RANGE = math.log(1.35)  # offered load above the baseline's mean by this factor excuses latency


class Finding(StrEnum):
    NONE = "None"
    SURGE = "Surge"
    SLOWER = "Slower"
    ERRORS = "Errors"


@dataclass(frozen=True, slots=True)
class Sample:
    """One tick. Latency in any unit, mean or tail, always the same; `control` in the same unit, seen at the same time.

    `load` is what is offered, never what is completed: completed load falls when latency rises. None: this stream has
    no such figure. Missing: it has one, not now.
    """

    latency: float | Missing
    control: float | Missing | None = None
    load: float | Missing | None = None
    errors: float | Missing | None = None
    requests: float | Missing | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """What the baseline says: where samples lie, how they scatter, and the level followed up to its end."""

    spread: Spread
    slope: float
    middle_load: float  # log; 0 without load
    least_load: float
    most_load: float
    filter: Filter
    surge: float
    counted: Counted | None


@dataclass(frozen=True, slots=True)
class State:
    reference: Reference
    filter: Filter
    tracks: tuple[Track, ...] = ()
    count: int = 0
    surging: int = 0
    counted: Counted | None = None
    found: Finding = Finding.NONE


@dataclass(frozen=True, slots=True)
class Verdict:
    """`evidence` is the log of the latency test's e-value; a finding stays. `slower` needs more than `NEEDED`."""

    found: Finding
    evidence: float


NEEDED = math.log(1 / ALPHA)


def begin(baseline: Sequence[Sample], tick: float) -> State | Missing:
    """The state before the first sample of the watch. `tick` is the time between samples in seconds.

    Samples are in order of time, and must be of one kind: all with a control or none, all with load or none.
    """
    known = [(value, load) for s in baseline if (value := value_of(s)) is not None and (load := _load(s)) is not None]
    if len(known) < NEEDED_SAMPLES:
        return Missing(Reason.LEARNING, f"{len(known)} of {NEEDED_SAMPLES} samples of the baseline")
    loads = [load for _, load in known]
    middle = sum(loads) / len(loads)
    slope = _slope([value for value, _ in known], [load - middle for load in loads])
    values = [value - slope * (load - middle) for value, load in known]
    spread = robust.spread(values)
    beside = any(s.control is not None for s in baseline)
    wander = (WANDER_BESIDE if beside else WANDER) * math.sqrt(tick / HALF_HOUR)
    loaded = any(s.load is not None and s.control is None for s in baseline)
    run = Filter.start(spread, wander, (ELASTICITY - slope, ELASTICITY) if loaded else (0.0, 0.0))
    for value, load in zip(values, loads, strict=True):
        run = run.step(spread.clip(value), load - middle)[0]
    surge = max(SURGE, SURGE_SDS * spread.scale)
    most = middle + LOAD_RANGE
    reference = Reference(spread, slope, middle, min(loads), most, run, surge, _counts(baseline))
    return State(reference, run, counted=reference.counted)


def step(state: State, sample: Sample) -> tuple[State, Verdict]:
    """The state after one more sample, and what is known by then. What is missing changes nothing."""
    state = _latency(_errors(state, sample), sample)
    return state, Verdict(state.found, evidence(state.tracks))


def evidence(tracks: Sequence[Track]) -> float:
    """Log of the mixture's e-value; weights of starts still to come count with an e-value of 1."""
    logs = [math.log(t.weight) + mixture(t.score, t.information) for t in tracks]
    rest = 1.0 - sum(t.weight for t in tracks)
    return _log_sum([*logs, math.log(rest)] if rest > 0 else logs)


def mixture(score: float, information: float) -> float:
    """Log of the mean over SHIFTS of exp(d S - d^2 I / 2), the likelihood ratio of d beyond the effect against none.

    For a mean excess z of variance v, S = z / v and I = 1 / v. Above log(1 / alpha) it rejects at level alpha.
    """
    return _log_sum([math.log(share) + d * score - d * d * information / 2.0 for d, share in SHIFTS])


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs))


def value_of(sample: Sample) -> float | None:
    """The log latency, or its log ratio to the control; None where one is missing or no positive number."""
    own = _log(sample.latency)
    if sample.control is None or own is None:
        return own
    control = _log(sample.control)
    return None if control is None else own - control


def _load(sample: Sample) -> float | None:
    """The log of offered load; 0 for a stream without, or with a control, on which load acts as well."""
    return 0.0 if sample.load is None or sample.control is not None else _log(sample.load)


def _log(value: float | Missing) -> float | None:
    if isinstance(value, Missing) or not math.isfinite(value) or value <= 0:
        return None
    return math.log(value)


def _slope(values: Sequence[float], xs: Sequence[float]) -> float:
    """How latency goes with load in the baseline: least squares, drawn to ELASTICITY as by a normal prior.

    Outliers are bounded first. A flat load leaves the prior.
    """
    if all(x == 0.0 for x in xs):
        return 0.0
    rough = robust.spread([v - ELASTICITY * x for v, x in zip(values, xs, strict=True)])
    rests = [rough.clip(v - ELASTICITY * x) for v, x in zip(values, xs, strict=True)]
    power = sum(x * x for x in xs) + (rough.sd / ELASTICITY) ** 2
    return ELASTICITY + sum(r * x for r, x in zip(rests, xs, strict=True)) / power


def _latency(state: State, sample: Sample) -> State:
    reference, value, load = state.reference, value_of(sample), _load(sample)
    if value is None or load is None or load > reference.most_load:
        return state
    x = max(load, reference.least_load) - reference.middle_load
    value -= reference.slope * x
    surging = state.surging + 1 if value - reference.spread.centre >= reference.surge else 0
    run, seen = state.filter.step(reference.spread.clip(value, MIN_EFFECT), x)
    tracks = tuple(t.step(seen) for t in _started(state.tracks, state.count))
    state = replace(state, filter=run, tracks=tracks, count=state.count + 1, surging=surging)
    if state.found is not Finding.NONE:
        return state
    if surging >= SURGE_SAMPLES:
        return replace(state, found=Finding.SURGE)
    slower = state.count >= SLOWER_SAMPLES and evidence(tracks) > NEEDED
    return replace(state, found=Finding.SLOWER) if slower else state


def _started(tracks: tuple[Track, ...], count: int) -> tuple[Track, ...]:
    """With a new one at the change, after 15 samples, 30, 60, ...: each later one has half the weight that is left."""
    if count == 0:
        return (Track(AT_ONCE),)
    if count == LATER * 2 ** (len(tracks) - 1):
        return (*tracks, Track((1.0 - AT_ONCE) * 0.5 ** len(tracks)))
    return tracks


def _errors(state: State, sample: Sample) -> State:
    counts = _pair(sample)
    if state.counted is None or counts is None:
        return state
    counted = state.counted.add(*counts)
    found = state.found
    if found is Finding.NONE and counted.evidence > error_counts.NEEDED:
        found = Finding.ERRORS
    return replace(state, counted=counted, found=found)


def _counts(baseline: Sequence[Sample]) -> Counted | None:
    pairs = [pair for s in baseline if (pair := _pair(s)) is not None]
    requests = sum(b for _, b in pairs)
    return error_counts.after(sum(a for a, _ in pairs), requests) if requests > 0 else None


def _pair(sample: Sample) -> tuple[float, float] | None:
    """Errors and requests where both are known."""
    errors, requests = sample.errors, sample.requests
    if errors is None or requests is None or isinstance(errors, Missing) or isinstance(requests, Missing):
        return None
    fine = math.isfinite(errors) and math.isfinite(requests) and 0 <= errors <= requests and requests > 0
    return (errors, requests) if fine else None
