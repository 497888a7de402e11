"""Role: what a knob does in the capacity physics, and how its learned coefficient is named.

The role is knowledge of the platform team's class, not of the data: that `http_pool` holds a task for a part
of its time cannot be told from its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """How a numeric knob enters the capacity model; everything else is NONE and left to the residual."""

    CONCURRENCY = "Concurrency"  # tasks in service per pod; a unit is held for the whole of a task
    POOL = "Pool"  # units per pod, each held for a part of a task (connections, clients, buffers)
    BATCH = "Batch"  # events handled by one call
    QUEUE = "Queue"  # events that may wait per pod
    REPLICAS = "Replicas"  # pods, or a bound of them
    NONE = "None"

    @property
    def limits_service(self) -> bool:
        """Does the knob bound how many tasks a pod may have in service?"""
        return self in (Role.CONCURRENCY, Role.POOL)


Roles = Mapping[str, Role]
"""knob name -> role; names that are absent are Role.NONE."""

BUSY_PREFIX = "busy:"
DEMAND_PREFIX = "demand:"


def busy_signal(knob: str) -> str:
    """Name of the signal that holds the mean busy share (0..1) of a limit."""
    return f"{BUSY_PREFIX}{knob}"


def demand_coefficient(knob: str) -> str:
    """Name of the coefficient in ModelReport: seconds for which one event holds one unit of the limit."""
    return f"{DEMAND_PREFIX}{knob}"
