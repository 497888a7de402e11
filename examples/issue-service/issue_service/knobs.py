"""The five knobs of the issue service, and what it starts with when no settings document is mounted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pegbox.live import Knob, integer

HTTP_UPPER_BOUND = 128
"""The connector is built for this many connections; the knob's maximum is the same."""


@dataclass(frozen=True)
class Knobs:
    """One declaration each. The start values come from START_<NAME>, so that a deployment can be set badly."""

    worker_count: Knob[int]
    http_pool: Knob[int]
    pool_size: Knob[int]
    worker_queue_capacity: Knob[int]
    batch_size: Knob[int]

    def all(self) -> list[Knob[Any]]:
        return [self.worker_count, self.http_pool, self.pool_size, self.worker_queue_capacity, self.batch_size]


def declare(environment: Mapping[str, str] = os.environ) -> Knobs:
    def knob(name: str, start: int, maximum: int) -> Knob[int]:
        given = environment.get(f"START_{name.upper()}", str(start))
        return integer(name, default=int(given), minimum=1, maximum=maximum)

    return Knobs(
        worker_count=knob("worker_count", 1, 128),
        http_pool=knob("http_pool", 1, HTTP_UPPER_BOUND),
        pool_size=knob("pool_size", 1, 64),
        worker_queue_capacity=knob("worker_queue_capacity", 100, 10_000),
        batch_size=knob("batch_size", 1, 100),
    )
