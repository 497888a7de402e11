"""Cumulative buckets: attainment at a threshold, and quantiles by interpolation.

`le` is compared as a number. Rates of cumulative buckets can shrink by rounding where they must grow:
they are read as their running maximum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

TOLERANCE = 1e-9
"""Relative; 0.1 + 0.2 and 0.3 are one bound."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The bucket that stands for a threshold; not `exact`: it lies below, and what is between is bad."""

    le: float
    exact: bool


def bound_for(les: tuple[float, ...], threshold: float) -> Bound | Missing:
    """The largest finite bound at or below the threshold: what lies between may be either, so it is bad.

    Missing(NotReported) where every bound lies above it: nothing at all could be called good.
    """
    finite = sorted(le for le in les if math.isfinite(le))
    below = [le for le in finite if le <= threshold * (1 + TOLERANCE)]
    if not below:
        least = f"; the smallest is {finite[0]:g}" if finite else ""
        return Missing(
            Reason.NOT_REPORTED,
            f"no bucket bound at or below {threshold:g}{least}: add {threshold:g} to the histogram's buckets",
        )
    return Bound(below[-1], math.isclose(below[-1], threshold, rel_tol=TOLERANCE))


def cumulative(buckets: Mapping[float, float]) -> list[tuple[float, float]]:
    """(bound, events at or below it), ascending in both; infinity last where it was sent."""
    out: list[tuple[float, float]] = []
    most = 0.0
    for le in sorted(buckets):
        most = max(most, buckets[le])
        out.append((le, most))
    return out


def quantile(q: float, buckets: Mapping[float, float]) -> float | Missing:
    """The q-quantile (0 < q < 1), linear inside its bucket, as Prometheus's histogram_quantile computes it.

    One difference, on purpose: in the +Inf bucket Prometheus answers the largest finite bound, which reads
    as if the latency were that; here it is Missing, with the bound that it exceeds.
    """
    points = cumulative(buckets)
    if len(points) < 2 or not math.isinf(points[-1][0]):
        return Missing(Reason.PARTIAL_DATA, "a quantile needs a +Inf bucket and a finite one")
    total = points[-1][1]
    if total <= 0:
        return Missing(Reason.TOO_FEW_EVENTS, "no events in the window")
    rank = q * total
    index = next(i for i, (_, count) in enumerate(points) if count >= rank)
    upper, count = points[index]
    if math.isinf(upper):
        return Missing(Reason.NOT_A_NUMBER, f"above the largest bucket bound, {points[-2][0]:g}")
    if index == 0:
        if upper <= 0:
            return upper
        lower, before = 0.0, 0.0
    else:
        lower, before = points[index - 1]
    return lower + (upper - lower) * (rank - before) / (count - before)
