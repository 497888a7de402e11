"""One pod's minute: workers around a network of stations, a bounded queue in front, and the backlog of before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pegbox.testing.plants.queues import at_rest, flood, within

AT_REST_BELOW = 0.99  # share of the capacity up to which the chain comes to rest within a minute
SLICES = 4  # of a minute in which the backlog moves


@dataclass(frozen=True, slots=True)
class Answer:
    """What one pod did. Rates in events/s, shares of the offered events, `serving` the mean number in service."""

    served: float
    latency: float
    good: float
    errors: float
    backlog: float
    serving: float


def answer(load: float, rates: Sequence[float], room: int, backlog: float, limit: float, shape: float) -> Answer:
    """`rates[n - 1]` completions/s with n in service; `shape` the squared coefficient of variation in service.

    Below capacity the queue is at rest behind what is left of the backlog; near and above it the backlog fills.
    """
    capacity = rates[-1]
    moved = flood(backlog, load, capacity, room)
    if load < AT_REST_BELOW * capacity:
        crowd = at_rest(load, rates, room)
        let_in = max(1.0 - crowd.full, 1e-12)
        latency = (crowd.serving + crowd.waiting) / (load * let_in) + moved.wait
        good = crowd.good(limit, shape, moved.wait)
        return Answer(moved.served * let_in, latency, good, crowd.full, moved.backlog, crowd.serving)
    own = len(rates) / capacity
    steps = (moved.backlog - backlog) / SLICES
    waits = [(backlog + steps * (i + 0.5)) / capacity for i in range(SLICES)]
    let_in = 1.0 - moved.lost
    good = sum(within(limit - w, own, shape * own * own) if limit > w else 0.0 for w in waits) / SLICES * let_in
    latency = own + sum(waits) / SLICES
    return Answer(min(capacity, moved.served), latency, good, moved.lost, moved.backlog, float(len(rates)))
