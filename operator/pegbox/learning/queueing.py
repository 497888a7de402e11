"""Closed formulas of queueing theory: Little's law, the utilisation law and Sakasegawa's wait."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

HIGHEST_RHO = 1.0 - 1e-6  # an open queue has no steady state at 1; the wait there is what the queue holds


def occupancy(rate: float, seconds: float) -> float:
    """Little's law: mean number of events inside = events per second x seconds that each stays."""
    return rate * seconds


def utilisation(rate: float, demand: float, units: float) -> float:
    """Utilisation law: busy share of `units` when each event holds one of them for `demand` seconds."""
    return rate * demand / units


def sakasegawa_wait(rho: Array, servers: Array, capacity: Array, variability: Array) -> Array:
    """Mean seconds in the queue of a G/G/c: V * rho^(sqrt(2(c+1)) - 1) / (capacity * (1 - rho)).

    `capacity` = c / service time (events/s), `variability` = (Ca^2 + Cs^2) / 2. Exact for M/M/1.
    Source: H. Sakasegawa, "An approximation formula L_q = alpha * rho^beta / (1 - rho)", Annals of the
    Institute of Statistical Mathematics 29 (1977). `rho` is clipped below 1.
    """
    inside = np.clip(rho, 0.0, HIGHEST_RHO)
    exponent = np.sqrt(2.0 * (servers + 1.0)) - 1.0
    return np.asarray(variability * inside**exponent / (capacity * (1.0 - inside)), dtype=np.float64)


def bounded_wait(open_wait: Array, full_queue_wait: Array) -> Array:
    """The wait in a queue that holds finitely many events: below both, and close to the smaller one."""
    return np.asarray(1.0 / (1.0 / np.maximum(open_wait, 1e-12) + 1.0 / full_queue_wait), dtype=np.float64)
