"""Baseline: what a setting did before the trial, from its clean and steady windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.trials import Baseline

SERVED = 0.97  # throughput over offered load from which load counts as served
DRAIN = 1.1  # throughput over offered load from which a backlog is being worked off


def served(base: Baseline) -> bool:
    """Did the parent keep up with its offered load?"""
    return base.throughput >= SERVED * base.load


def draining(window: Observation) -> bool:
    """More leaves than arrives: a backlog shrinks. Its latency says nothing about the setting's steady state."""
    load, throughput = window.offered_load, window.throughput
    return not isinstance(load, Missing) and not isinstance(throughput, Missing) and throughput > DRAIN * load


def baseline_of(windows: Sequence[Observation]) -> Baseline | None:
    """The parent's side of the comparison, from its clean and steady windows; None without any."""
    clean = [w for w in windows if w.clean and not draining(w)]
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
