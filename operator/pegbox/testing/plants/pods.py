"""One pod's minute: workers around a network of stations, a bounded queue in front, and the backlog of before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pegbox.testing.plants.queues import at_rest, flood

AT_REST = 0.97  # share of the capacity up to which a queue comes to rest within a minute
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

    A queue at rest, as far as the load lets it rest, behind a backlog that fills or drains by the rest of the load.
    """
    capacity = rates[-1]
    crowd = at_rest(min(load, AT_REST * capacity), rates, room)
    moved = flood(backlog, load, capacity, room)
    let_in = (1.0 - crowd.full) * (1.0 - moved.lost)
    calm = (crowd.serving + crowd.waiting) / (min(load, AT_REST * capacity) * (1.0 - crowd.full))
    if backlog == 0.0 and moved.backlog == 0.0:
        good = crowd.good(limit, shape)
    else:
        step = (moved.backlog - backlog) / SLICES
        waits = [max(0.0, backlog + step * (i + 0.5)) / capacity for i in range(SLICES)]
        good = sum(crowd.good(limit, shape, wait) for wait in waits) / SLICES * (1.0 - moved.lost)
    served = min(moved.served, load * let_in + backlog / 60.0)
    return Answer(served, calm + moved.wait, good, 1.0 - let_in, moved.backlog, crowd.serving)
