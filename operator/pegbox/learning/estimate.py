"""Coefficients from evidence: which limit binds, how sure that is, and draws that carry the doubt.

Throughput is the least of several limits, so the cost has one valley per limit that may be the binding one.
One bounded soft-L1 least-squares fit starts in each; valleys that explain the evidence about equally well are
all kept, by weight. Draws from them predict: a setting that helps in one valley only has a wide interval,
one that helps in all of them has a narrow one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pegbox.learning.beliefs import BY_HAND, Beliefs, Prior, make_prior
from pegbox.learning.capacity import Layout, evaluate
from pegbox.learning.features import Evidence
from pegbox.learning.queueing import Array

DRAWS = 80
STEPS, WALK = 120, 2.38  # of the walk; 2.38 / sqrt(dimensions) of the spread is the usual step
SEED = 20  # fixed: the same rows give the same predictor
THROUGHPUT_FLOOR = 0.05  # log sd that replicates cannot tell: drift, windows that cut events
LATENCY_FLOOR = 0.25
BUSY_FLOOR = 0.10
SATURATED_LATENCY = 3.0  # such a latency depends on how long the queue has been filling: weigh it down
UNIDENTIFIED = 0.25  # share of the prior variance that may remain
CLOSE = 0.3  # of the spread at which a walk starts: near the centre the normal approximation still holds
DIFFERENCE = 1e-6  # of a prior's sd, in numerical derivatives
LEAST_WEIGHT = 0.03  # of a valley, relative to the best
LEAST_BUSY = 0.001  # a share below it is mostly sampling
FREE_POOL = 0.8  # below this busy share a pool keeps nobody waiting


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
        return tuple(bool(v) for v in np.var(self.draws, axis=0) < UNIDENTIFIED * self.prior.alone**2)


def residuals(layout: Layout, seen: Evidence, theta: Array) -> Array:
    """Standardised misfits of capacity, latency and busy shares, shape (draws, misfits).

    A row that served its load only says that capacity is not below its throughput.
    """
    state = evaluate(layout, theta, seen.x)
    gap = np.log(state.capacity / seen.throughput)
    capacity = np.where(seen.saturated, gap, np.minimum(gap, 0.0)) / np.hypot(THROUGHPUT_FLOOR, seen.noise)
    slack = np.where(seen.saturated, SATURATED_LATENCY, 1.0)
    late = np.log(state.latency / seen.latency) / (slack * np.hypot(LATENCY_FLOOR, seen.latency_noise))
    late = np.where(seen.draining, 0.0, late)
    busy = _busy_misfit(layout, seen, state.demands)
    return np.concatenate([capacity, late, busy.reshape(len(theta), -1)], axis=1)


def _busy_misfit(layout: Layout, seen: Evidence, demands: Array) -> Array:
    """Utilisation law: busy = throughput x demand / units. A task that waits for a pool keeps its worker
    busy as well, so a worker's busy share is only an upper bound unless all pools are known to be free."""
    known = np.isfinite(seen.busy) & (seen.busy > LEAST_BUSY)
    said = np.log(np.where(known, seen.busy, 1.0))
    units = seen.x.limits * seen.x.pods[:, None]
    misfit = np.log(seen.throughput[:, None] * demands / units) - said
    pools = [i for i in range(len(layout.limits)) if i not in layout.concurrency]
    free = np.all(known[:, pools] & (seen.busy[:, pools] < FREE_POOL), axis=1)
    for i in layout.concurrency:
        misfit[..., i] = np.where(free, misfit[..., i], np.maximum(misfit[..., i], 0.0))
    full = seen.busy > 0.98  # a full limit has waiters: its share says nothing but "all of it"
    return np.asarray(np.where(known & ~full, misfit, 0.0) / BUSY_FLOOR, dtype=np.float64)


def starts(layout: Layout, seen: Evidence, prior: Prior) -> list[Array]:
    """One start per limit that may bind, and one for the ceiling once two settings were saturated."""
    bounds = prior.passed
    base = prior.mean.copy()
    with_busy = seen.busy * seen.x.limits * (seen.x.pods / seen.throughput)[:, None]
    for i in range(len(layout.limits)):
        told = with_busy[np.isfinite(seen.busy[:, i]) & (seen.busy[:, i] > LEAST_BUSY), i]
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


def estimate(layout: Layout, seen: Evidence, has_queue: bool, beliefs: Beliefs = BY_HAND) -> Estimate:
    """The posterior over coefficients. Needs at least one row; deterministic."""
    from scipy.optimize import least_squares

    prior = make_prior(layout, seen, has_queue, beliefs)

    def misfits(theta: Array) -> Array:
        return np.concatenate([residuals(layout, seen, theta), prior.misfits(theta)], axis=1)

    def slopes(theta: Array) -> Array:  # all forward differences in one evaluation
        steps = DIFFERENCE * prior.sd * np.where(theta + DIFFERENCE * prior.sd > prior.high, -1.0, 1.0)
        values = misfits(np.vstack([theta, theta + np.diag(steps)]))
        return np.asarray((values[1:] - values[0]).T / steps, dtype=np.float64)

    valleys: list[Valley] = []
    for start in starts(layout, seen, prior):
        fit = least_squares(
            lambda theta: misfits(theta[None, :])[0],
            start,
            jac=slopes,
            bounds=(prior.low, prior.high),
            loss="soft_l1",
            x_scale=prior.sd,
            max_nfev=60,
        )
        if all(np.max(np.abs(fit.x - other.centre) / prior.sd) > 0.05 for other in valleys):
            valleys.append(Valley(float(fit.cost), fit.x, fit.jac))
    valleys.sort(key=lambda v: v.cost)
    excess = _excess(layout, seen, valleys[0].centre)
    first = _first_draws(layout, prior, valleys, excess)

    def cost(theta: Array) -> Array:  # soft L1, as in least_squares
        return np.asarray(np.sum(np.sqrt(1.0 + misfits(theta) ** 2) - 1.0, axis=1) / excess**2)

    return Estimate(layout, valleys[0].centre, _settle(first, cost, prior), prior, excess)


def _excess(layout: Layout, seen: Evidence, theta: Array) -> float:
    """Root mean square of the capacity misfits of saturated rows, at least 1."""
    if not np.any(seen.saturated):
        return 1.0
    misfits = residuals(layout, seen, theta[None, :])[0, : len(seen.throughput)][seen.saturated]
    return max(1.0, float(np.sqrt(np.mean(misfits**2))))


@dataclass(frozen=True, slots=True)
class Valley:
    """One local minimum of the cost."""

    cost: float
    centre: Array
    jacobian: Array


@dataclass(frozen=True, slots=True)
class Chains:
    """Where the draws stand, and per draw a root of the covariance by which it is moved."""

    at: Array
    roots: Array


def _first_draws(layout: Layout, prior: Prior, valleys: list[Valley], excess: float) -> Chains:
    """DRAWS vectors near the centres of the valleys, shared out by weight."""
    rng = np.random.default_rng(SEED)
    weights = np.exp(-np.array([v.cost - valleys[0].cost for v in valleys]) / excess**2)
    weights = np.where(weights > LEAST_WEIGHT, weights, 0.0)
    shares = np.floor(DRAWS * weights / weights.sum()).astype(int)
    shares[0] += DRAWS - int(shares.sum())
    points, roots = [], []
    for valley, share in zip(valleys, shares, strict=True):
        scaled = valley.jacobian * prior.sd
        covariance = np.linalg.inv(scaled.T @ scaled + 1e-9 * np.eye(layout.size))
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
        root = (vectors * np.sqrt(np.clip(values * excess**2, 0.0, 1.0))).T * prior.sd
        normal = rng.standard_normal((int(share), layout.size))
        points.append(np.clip(valley.centre + CLOSE * normal @ root, prior.low, prior.high))
        roots.append(np.broadcast_to(root, (int(share), layout.size, layout.size)))
    return Chains(np.concatenate(points), np.concatenate(roots))


def _settle(first: Chains, cost: Callable[[Array], Array], prior: Prior) -> Array:
    """The draws after STEPS of a Metropolis walk each: a normal approximation alone would put draws where
    the evidence forbids them, such as a capacity below the throughput that was seen.

    Source: N. Metropolis et al., Journal of Chemical Physics 21 (1953). All draws walk at once, with
    numbers from a fixed seed; walks keep to their valley and its weight.
    """
    rng = np.random.default_rng(SEED + 1)
    at, size = first.at, first.at.shape[1]
    now = cost(at)
    for step in range(STEPS):
        length = WALK / np.sqrt(size) * (1.0 if step % 2 else 0.3)
        moves = np.einsum("di,dij->dj", rng.standard_normal(at.shape), first.roots) * length
        tried = at + moves
        inside = np.all((tried >= prior.low) & (tried <= prior.high), axis=1)
        then = cost(np.clip(tried, prior.low, prior.high))
        taken = inside & (np.log(rng.uniform(size=len(at))) < now - then)
        at = np.where(taken[:, None], tried, at)
        now = np.where(taken, then, now)
    return at
