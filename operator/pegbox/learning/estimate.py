"""Coefficients from evidence: which limit binds, how sure that is, and draws that carry the doubt.

Throughput is the least of several limits, so the cost has one valley per limit that may be the binding one.
One bounded soft-L1 least-squares fit starts in each; valleys that explain the evidence about equally well are
all kept, by weight. Draws from them predict: a setting that helps in one valley only has a wide interval,
one that helps in all of them has a narrow one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pegbox.learning.capacity import Layout, evaluate
from pegbox.learning.features import Evidence
from pegbox.learning.queueing import Array

DRAWS = 96
SEED = 20  # fixed: the same rows give the same predictor
THROUGHPUT_FLOOR = 0.05  # log sd that replicates cannot tell: drift, windows that cut events
LATENCY_FLOOR = 0.25
BUSY_FLOOR = 0.10
SATURATED_LATENCY = 3.0  # such a latency depends on how long the queue has been filling: weigh it down
UNIDENTIFIED = 0.25  # share of the prior variance that may remain
LEAST_WEIGHT = 0.03  # of a valley, relative to the best
FREE_POOL = 0.8  # below this busy share a pool keeps nobody waiting


@dataclass(frozen=True, slots=True)
class Prior:
    """Weak beliefs that hold a coefficient which the evidence does not tell: mean, sd and hard range."""

    mean: Array
    sd: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class Estimate:
    """`best` is the most probable parameter vector, `draws` (DRAWS, p) the posterior; `excess` the factor
    by which the evidence scatters more than its noise says (1 = as expected)."""

    layout: Layout
    best: Array
    draws: Array
    prior: Prior
    excess: float

    @property
    def identified(self) -> tuple[bool, ...]:
        """Per parameter: did the evidence remove most of the prior's variance?"""
        return tuple(bool(v) for v in np.var(self.draws, axis=0) < UNIDENTIFIED * self.prior.sd**2)


def make_prior(layout: Layout, seen: Evidence, has_queue: bool) -> Prior:
    """Demands an e-fold below what was seen to fit through each limit; no contention; a ceiling far up."""
    bounds = np.log(np.min(seen.x.limits * (seen.x.pods / seen.throughput)[:, None], axis=0))
    most, fastest = np.log(np.max(seen.throughput)), np.log(np.min(seen.latency))
    queue = (0.0, 1.0) if has_queue else (np.log(1000.0), 2.0)
    columns = [
        *((b - 1.0, 1.0, b - 8.0, b + 0.7) for b in bounds),
        (fastest, 0.7, fastest - 4.0, fastest + 1.0),
        (0.0, 1.0, -4.0, 3.0),
        (queue[0], queue[1], queue[0] - 7.0, queue[0] + 7.0),
        (0.0, 0.03, 0.0, 1.0),
        (0.0, 0.001, 0.0, 0.1),
        (most + 3.0, 1.0, most - 0.1, most + 9.0),
    ]
    if layout.batched:
        columns += [(0.0, 0.3, -1.0, 1.0), (0.5, 0.4, 0.0, 1.0), *((0.0, 0.3, 0.0, 0.98) for _ in bounds)]
    table = np.array(columns, dtype=np.float64)
    return Prior(table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def residuals(layout: Layout, seen: Evidence, theta: Array) -> Array:
    """Standardised misfits of capacity, latency and busy shares, one vector.

    A row that served its load only says that capacity is not below its throughput.
    """
    state = evaluate(layout, theta[None, :], seen.x)
    gap = np.log(state.capacity[0] / seen.throughput)
    capacity = np.where(seen.saturated, gap, np.minimum(gap, 0.0)) / np.hypot(THROUGHPUT_FLOOR, seen.noise)
    slack = np.where(seen.saturated, SATURATED_LATENCY, 1.0)
    late = np.log(state.latency[0] / seen.latency) / (slack * np.hypot(LATENCY_FLOOR, seen.latency_noise))
    late = np.where(seen.draining, 0.0, late)
    return np.concatenate([capacity, late, _busy_misfit(layout, seen, state.demands[0]).ravel()])


def _busy_misfit(layout: Layout, seen: Evidence, demands: Array) -> Array:
    """Utilisation law: busy = throughput x demand / units. A task that waits for a pool keeps its worker
    busy as well, so a worker's busy share is only an upper bound unless all pools are known to be free."""
    known = np.isfinite(seen.busy) & (seen.busy > 0.02)
    said = np.log(np.where(known, seen.busy, 1.0))
    units = seen.x.limits * seen.x.pods[:, None]
    misfit = np.log(seen.throughput[:, None] * demands / units) - said
    pools = [i for i in range(len(layout.limits)) if i not in layout.concurrency]
    free = np.all(known[:, pools] & (seen.busy[:, pools] < FREE_POOL), axis=1)
    for i in layout.concurrency:
        misfit[:, i] = np.where(free, misfit[:, i], np.maximum(misfit[:, i], 0.0))
    full = seen.busy > 0.98  # a full limit has waiters: its share says nothing but "all of it"
    return np.asarray(np.where(known & ~full, misfit, 0.0) / BUSY_FLOOR, dtype=np.float64)


def starts(layout: Layout, seen: Evidence, prior: Prior) -> list[Array]:
    """One start per limit that may bind, and one for the ceiling once two settings were saturated."""
    bounds = prior.mean[layout.demands] + 1.0
    base = prior.mean.copy()
    with_busy = seen.busy * seen.x.limits * (seen.x.pods / seen.throughput)[:, None]
    for i in range(len(layout.limits)):
        told = with_busy[np.isfinite(seen.busy[:, i]) & (seen.busy[:, i] > 0.02), i]
        if told.size:
            base[i] = min(float(np.log(np.median(told))), bounds[i])
    found = []
    for i in range(len(layout.limits)):
        start = base.copy()
        start[i] = bounds[i]
        found.append(start)
    distinct = {tuple(row) for row in seen.x.limits[seen.saturated]}
    if len(distinct) >= 2:
        start = base.copy()
        start[layout.ceiling] = np.log(np.max(seen.throughput[seen.saturated]))
        found.append(start)
    return [np.clip(s, prior.low + 1e-6, prior.high - 1e-6) for s in found]


def estimate(layout: Layout, seen: Evidence, has_queue: bool) -> Estimate:
    """The posterior over coefficients. Needs at least one row; deterministic."""
    from scipy.optimize import least_squares

    prior = make_prior(layout, seen, has_queue)

    def misfit(theta: Array) -> Array:
        return np.concatenate([residuals(layout, seen, theta), (theta - prior.mean) / prior.sd])

    valleys: list[tuple[float, Array, Array]] = []
    for start in starts(layout, seen, prior):
        fit = least_squares(
            misfit, start, bounds=(prior.low, prior.high), loss="soft_l1", x_scale=prior.sd, max_nfev=60
        )
        if all(np.max(np.abs(fit.x - other) / prior.sd) > 0.05 for _, other, _ in valleys):
            valleys.append((float(fit.cost), fit.x, fit.jac))
    valleys.sort(key=lambda v: v[0])
    best = valleys[0][1]
    excess = _excess(layout, seen, best)
    weights = np.exp(-np.array([cost - valleys[0][0] for cost, _, _ in valleys]) / excess**2)
    kept = [v for v, w in zip(valleys, weights, strict=True) if w > LEAST_WEIGHT]
    draws = _draw(layout, prior, kept, excess)
    return Estimate(layout, best, draws, prior, excess)


def _excess(layout: Layout, seen: Evidence, theta: Array) -> float:
    """Root mean square of the capacity misfits of saturated rows, at least 1."""
    if not np.any(seen.saturated):
        return 1.0
    misfits = residuals(layout, seen, theta)[: len(seen.throughput)][seen.saturated]
    return max(1.0, float(np.sqrt(np.mean(misfits**2))))


def _draw(layout: Layout, prior: Prior, valleys: list[tuple[float, Array, Array]], excess: float) -> Array:
    """DRAWS vectors from the valleys' normal approximations, by weight, inside what is possible."""
    rng = np.random.default_rng(SEED)
    weights = np.exp(-np.array([cost - valleys[0][0] for cost, _, _ in valleys]) / excess**2)
    shares = np.maximum(1, np.floor(DRAWS * weights / weights.sum())).astype(int)
    shares[0] += DRAWS - int(shares.sum())
    parts = []
    for (_, centre, jacobian), share in zip(valleys, shares, strict=True):
        # what was seen to pass through a limit bounds its demand, whatever the prior allows
        high = prior.high.copy()
        high[layout.demands] = np.maximum(centre[layout.demands], prior.mean[layout.demands] + 1.0)
        scaled = jacobian * prior.sd
        covariance = np.linalg.inv(scaled.T @ scaled + 1e-9 * np.eye(layout.size))
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
        root = vectors * np.sqrt(np.clip(values * excess**2, 0.0, 1.0))
        normal = rng.standard_normal((int(share), layout.size))
        parts.append(np.clip(centre + (normal @ root.T) * prior.sd, prior.low, high))
    return np.concatenate(parts)
