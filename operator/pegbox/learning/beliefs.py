"""What is believed of coefficients before the evidence speaks: by hand, or learned over many workloads.

Seconds differ by orders of magnitude between workloads, so a belief is relative to an anchor that the first rows
give: a demand to what was seen to fit through its limit, the service time to the fastest calm row, the ceiling to
the most that was served. What is left is comparable between workloads, and has a mean and an sd that can be learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pegbox.learning.capacity import Layout
from pegbox.learning.features import Evidence
from pegbox.learning.queueing import Array


@dataclass(frozen=True, slots=True)
class Belief:
    """Mean and sd of a coefficient less its anchor, in logarithms but for sigma, kappa and the batch's shares."""

    mean: float
    sd: float


Beliefs = Mapping[str, Belief]

HELD, POOLED = "demand:concurrency", "demand:pool"
CALM, QUEUED = "service_time:calm", "service_time:queued"
QUEUE, NO_QUEUE = "queue", "queue:unknown"
WORKER_TIE, POOL_TIE = "demand:concurrency/service_time", "demand:pool/demand:concurrency"

BY_HAND: Beliefs = {
    HELD: Belief(-1.0, 1.0),
    POOLED: Belief(-1.0, 1.0),
    CALM: Belief(0.0, 0.7),
    QUEUED: Belief(-0.3, 1.0),
    "variability": Belief(0.0, 1.0),
    QUEUE: Belief(0.0, 1.0),
    NO_QUEUE: Belief(math.log(1000.0), 2.0),
    "sigma": Belief(0.0, 0.02),
    "kappa": Belief(0.0, 0.0004),
    "ceiling": Belief(3.0, 1.0),
    "batch_latency": Belief(0.0, 0.3),
    "batch_ceiling": Belief(0.5, 0.4),
    "batch_share": Belief(0.0, 0.15),
}
"""Physics and nothing else: demands an e-fold below what was seen to fit through each limit, no contention, a
ceiling far up. No ties: without workloads to learn them from nobody knows how wide they are."""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """What other workloads say of one that is new. `name` is told to people.

    `capacity_misfit` and `latency_misfit` are log sd by which the physics misses settings that were not seen, per
    unit of distance (an e-fold in one knob, or a switch) to the nearest one that was.
    """

    name: str
    beliefs: Beliefs
    capacity_misfit: float = 0.0
    latency_misfit: float = 0.0


DEFAULTS = ColdStart("none: physics and defaults", BY_HAND)


@dataclass(frozen=True, slots=True)
class Prior:
    """Weak beliefs that hold a coefficient which the evidence does not tell: mean, sd and hard range.

    `ties` are rows of a matrix with a mean and an sd each: beliefs about a difference of two coefficients.
    `passed` are the largest log demands that fit what was seen to pass. `keys` names each coefficient's belief.
    """

    keys: tuple[str, ...]
    anchor: Array
    mean: Array
    sd: Array
    low: Array
    high: Array
    passed: Array
    ties: Array
    tie_mean: Array
    tie_sd: Array

    def misfits(self, theta: Array) -> Array:
        """Standardised distances from the beliefs, shape (draws, beliefs)."""
        own = (theta - self.mean) / self.sd
        return np.concatenate([own, (theta @ self.ties.T - self.tie_mean) / self.tie_sd], axis=1)

    @property
    def alone(self) -> Array:
        """Per coefficient the sd that beliefs leave at least; a tie may leave less than the coefficient's own."""
        tied = np.where(self.ties > 0.0, self.tie_sd[:, None], np.inf)
        return np.asarray(np.minimum(self.sd, np.min(tied, axis=0, initial=np.inf)), dtype=np.float64)


def make_prior(layout: Layout, seen: Evidence, has_queue: bool, beliefs: Beliefs) -> Prior:
    """Beliefs around the anchors that these rows give. What `beliefs` does not name is as by hand."""
    # at batch b a unit may be held for up to b times as long per call without losing throughput
    each = seen.throughput / (seen.x.pods * seen.x.batch)
    bounds = np.log(np.min(seen.x.limits / each[:, None], axis=0))
    most, (fastest, service) = np.log(np.max(seen.throughput)), _service_guess(layout, seen, bounds)
    queue = QUEUE if has_queue else NO_QUEUE
    demands = [HELD if i in layout.concurrency else POOLED for i in range(len(bounds))]
    columns: list[tuple[str, float, float, float]] = [
        *((key, b, b - 8.0, b + 0.7) for key, b in zip(demands, bounds, strict=True)),
        (service, fastest, fastest + BY_HAND[service].mean - 4.0, fastest + BY_HAND[service].mean + 4.0),
        ("variability", 0.0, -4.0, 3.0),
        (queue, 0.0, BY_HAND[queue].mean - 7.0, BY_HAND[queue].mean + 7.0),
        ("sigma", 0.0, 0.0, 1.0),
        ("kappa", 0.0, 0.0, 0.1),
        ("ceiling", most, most - 0.1, most + 9.0),
    ]
    if layout.batched:
        columns += [("batch_latency", 0.0, -1.0, 1.0), ("batch_ceiling", 0.0, 0.0, 1.0)]
        columns += [("batch_share", 0.0, 0.0, 1.0) for _ in bounds]
    keys = tuple(key for key, *_ in columns)
    table = np.array([row for _, *row in columns], dtype=np.float64)
    own = [beliefs.get(key, BY_HAND[key]) for key in keys]
    mean = np.clip(table[:, 0] + [b.mean for b in own], table[:, 1], table[:, 2])
    ties, told = _ties(layout, beliefs)
    return Prior(
        keys=keys,
        anchor=table[:, 0],
        mean=mean,
        sd=np.array([b.sd for b in own]),
        low=table[:, 1],
        high=table[:, 2],
        passed=bounds,
        ties=ties,
        tie_mean=np.array([b.mean for b in told]),
        tie_sd=np.array([b.sd for b in told]),
    )


def _ties(layout: Layout, beliefs: Beliefs) -> tuple[Array, list[Belief]]:
    """A worker is held for about the service time, a pool's unit for a part of that. Not with batches: an event
    waits for its call, and holds its share of it."""
    rows: list[Array] = []
    told: list[Belief] = []
    for name, one, other in pairs(layout):
        if name in beliefs:
            row = np.zeros(layout.size)
            row[one], row[other] = 1.0, -1.0
            rows.append(row)
            told.append(beliefs[name])
    return np.array(rows).reshape(len(rows), layout.size), told


def pairs(layout: Layout) -> list[tuple[str, int, int]]:
    """(belief, coefficient, coefficient that it is relative to) of every tie that the layout could have."""
    if layout.batched or not layout.concurrency:
        return []
    first = layout.concurrency[0]
    pools = [i for i in range(len(layout.limits)) if i not in layout.concurrency]
    return [(WORKER_TIE, first, layout.service), *((POOL_TIE, i, first) for i in pools)]


def _service_guess(layout: Layout, seen: Evidence, bounds: Array) -> tuple[float, str]:
    """Anchor of the log service time: the fastest row that did not queue for want of capacity; where all
    did, what a limit can have been held for at most."""
    calm = ~seen.saturated & ~seen.draining
    if np.any(calm):
        return float(np.log(np.min(seen.latency[calm]))), CALM
    held = bounds[list(layout.concurrency)] if layout.concurrency else bounds
    return float(min(np.log(np.min(seen.latency)), np.max(held))), QUEUED
