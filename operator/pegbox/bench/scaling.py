"""A workload whose replicas follow a policy: what they cost, and in which steps they were too few.

Ideal metrics and no queue: a step is bad where its load exceeds what the ready replicas carry. A replica that is
ordered at the end of a step is ready once the start-up time is over; one that is given up is gone at once. Every
replica that is ordered is paid for, also while it starts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pegbox.core.scale_out import STABILISATION_SECONDS, stabilised
from pegbox.learning.queueing import Array

START_UP_SECONDS = 120.0
PEAK_REPLICAS = 20

Policy = Callable[[int, int], int]
"""(step just ended, replicas ordered) -> replicas wanted."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is scored. `loads`: (steps,), NaN is a gap. `capacity`: load that one replica carries."""

    loads: Array
    step: float
    capacity: float

    @property
    def oracle(self) -> Array:
        """Replicas that each step's load needs, at least 1; 0 in gaps, which count for nobody."""
        need = np.maximum(1.0, np.ceil(np.nan_to_num(self.loads) / self.capacity - 1e-9))
        return np.where(np.isnan(self.loads), 0.0, need)


@dataclass(frozen=True, slots=True)
class Course:
    """One policy's run: `bad` (steps,) of bool, `paid` (steps,) replicas; both nothing in gaps."""

    bad: Array
    paid: Array


def held_out(loads: Array, start: int, step: float) -> Held:
    """The scored part, at whose peak 20 replicas are busy. Policies are told the capacity, never the peak."""
    part = loads[start:]
    return Held(part, step, float(np.nanmax(part)) / PEAK_REPLICAS)


def start_up_steps(step: float) -> int:
    return max(1, math.ceil(START_UP_SECONDS / step - 1e-9))


def follow(held: Held, policy: Policy) -> Course:
    """The first step is served by what its load needs, as for every policy."""
    begun = int(max(1.0, held.oracle[0]))
    ordered = deque([begun] * (start_up_steps(held.step) + 1), maxlen=start_up_steps(held.step) + 1)
    wishes: deque[tuple[float, int]] = deque([(-held.step, begun)])
    bad, paid = np.zeros(len(held.loads)), np.zeros(len(held.loads))
    for step, load in enumerate(held.loads.tolist()):
        if not math.isnan(load):
            # The newest replicas go first: what is ready was ordered ever since the start-up time began.
            bad[step] = load > min(ordered) * held.capacity * (1.0 + 1e-9)
            paid[step] = ordered[-1]
        now = step * held.step
        wishes.append((now, policy(step, ordered[-1])))
        while wishes[0][0] <= now - STABILISATION_SECONDS:
            wishes.popleft()
        ordered.append(stabilised(list(wishes), now))
    return Course(bad, paid)
