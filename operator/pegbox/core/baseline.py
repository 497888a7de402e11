"""Baseline: what a setting did before the trial, from its clean and steady windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import ProfileSpec
from pegbox.model.trials import Baseline

SERVED = 0.97  # throughput over offered load from which load counts as served
SAME_EACH = 1.1  # load per pod within this factor: to a pod it is the same work, and no tenth more pods do it
OLDEST = timedelta(hours=1)
LASTS = 12  # lengths of a window or of the interval, whichever is longer: as many are kept
DRAIN = 1.1  # throughput over offered load from which a backlog is being worked off


def served(base: Baseline) -> bool:
    """Did the parent keep up with its offered load?"""
    return base.throughput >= SERVED * base.load


def draining(window: Observation) -> bool:
    """More leaves than arrives: a backlog shrinks. Its latency says nothing about the setting's steady state."""
    load, throughput = window.offered_load, window.throughput
    return not isinstance(load, Missing) and not isinstance(throughput, Missing) and throughput > DRAIN * load


def alike(window: Observation, pods: int, load: float | Missing) -> bool:
    """Can the window be held against so many pods under such a load? Others move the number of pods for reasons of
    their own, or of the setting's: more or fewer pods are no deed of it. As many pods are alike; others only where
    their number went with the load, so that each did the same work. 0 pods: it is not known how many.
    """
    if pods == 0 or window.pods == pods:
        return True
    if isinstance(load, Missing) or isinstance(window.offered_load, Missing) or load <= 0 or window.pods == 0:
        return False
    return 1 / SAME_EACH < window.offered_load / window.pods * pods / load < SAME_EACH


def scaled(window: Observation, pods: int) -> Observation:
    """A window that is alike, with the rates of so many pods."""
    if pods in (0, window.pods):
        return window
    rates = window.offered_load, window.throughput
    load, throughput = (rate if isinstance(rate, Missing) else rate * pods / window.pods for rate in rates)
    return replace(window, offered_load=load, throughput=throughput, pods=pods)


def recent(spec: ProfileSpec, windows: Sequence[Observation], now: datetime) -> tuple[Observation, ...]:
    """Those young enough to be held against anything of now: of an hour ago the load and what is called tell nothing.

    With few figures windows come seldom: then of as long as LASTS of them take.
    """
    length = max(float(spec.guards.trial_window), float(spec.interval))
    oldest = now - max(OLDEST, timedelta(seconds=LASTS * length))
    return tuple(w for w in windows if w.window.end >= oldest)


def baseline_of(windows: Sequence[Observation]) -> Baseline | None:
    """The parent's side of the comparison, from its clean and steady windows that are like the newest; None without
    any."""
    clean = [w for w in windows if w.clean and not draining(w)]
    newest = clean[-1] if clean else None
    if newest is not None:
        like = [w for w in clean if alike(w, newest.pods, newest.offered_load)]
        clean = [scaled(w, newest.pods) for w in like]
    load = mean([w.offered_load for w in clean])
    throughput = mean([w.throughput for w in clean])
    latency = geometric([w.latency for w in clean])
    if load is None or throughput is None or latency is None or latency <= 0:
        return None
    logs = [math.log(w.latency) for w in clean if not isinstance(w.latency, Missing) and w.latency > 0]
    middle = sum(logs) / len(logs)
    sd = math.sqrt(sum((x - middle) ** 2 for x in logs) / (len(logs) - 1)) if len(logs) > 1 else 0.0
    names = sorted({name for w in clean for name in w.slos})
    pooled = {n: p for n in names if (p := pool(n, clean)) is not None and p.total > 0}
    return Baseline(
        load=load,
        throughput=throughput,
        latency=latency,
        errors=mean([w.errors for w in clean]),
        slo_shares={n: p.share for n, p in pooled.items()},
        latency_sd=sd,
        windows=len(clean),
        pods=clean[-1].pods,
    )


def mean(values: Sequence[float | Missing]) -> float | None:
    """Of the known values; None where none is known."""
    finite = [v for v in values if not isinstance(v, Missing)]
    return sum(finite) / len(finite) if finite else None


def geometric(values: Sequence[float | Missing]) -> float | None:
    """Geometric mean of the known positive values: latencies multiply, they do not add."""
    finite = [v for v in values if not isinstance(v, Missing) and v > 0]
    return math.exp(sum(math.log(v) for v in finite) / len(finite)) if finite else None


def pool(name: str, evidence: Sequence[Observation]) -> Attainment | None:
    """All evidence on one SLO, counted together; None where no window has any."""
    seen = [a for w in evidence if isinstance(a := w.slos.get(name), Attainment)]
    if not seen:
        return None
    return Attainment(sum(a.good for a in seen), sum(a.total for a in seen))
