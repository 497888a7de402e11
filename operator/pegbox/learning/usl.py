"""The universal scalability law: how contention and coherency cost throughput as concurrency grows.

X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)).
Source: N. J. Gunther, "Guerrilla Capacity Planning", Springer 2007, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pegbox.learning.queueing import Array
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

NEEDED_LEVELS = 6  # distinct concurrencies below which three parameters cannot be told apart


@dataclass(frozen=True, slots=True)
class ScalabilityLaw:
    """Fitted coefficients: events/s of one task alone, contention, coherency, and their standard errors."""

    rate: float
    sigma: float
    kappa: float
    sigma_error: float
    kappa_error: float

    @property
    def peak(self) -> float | Missing:
        """Concurrency of the highest throughput, sqrt((1 - sigma) / kappa), or why it is not known."""
        if self.kappa <= 1.645 * self.kappa_error:
            return Missing(Reason.NOT_IDENTIFIABLE, "kappa's 90 % interval includes 0: no peak was seen")
        return math.sqrt(max(0.0, 1.0 - self.sigma) / self.kappa)


def inflation(concurrency: Array, sigma: Array, kappa: Array) -> Array:
    """The factor by which contention stretches a task's time; 1 at concurrency 1 and below."""
    crowd = np.maximum(concurrency, 1.0)
    return np.asarray(1.0 + sigma * (crowd - 1.0) + kappa * crowd * (crowd - 1.0), dtype=np.float64)


def fit_scalability(points: Sequence[tuple[float, float]]) -> ScalabilityLaw | Missing:
    """Bounded soft-L1 least squares on log-throughput over (concurrency, throughput) pairs."""
    usable = [(n, x) for n, x in points if n > 0 and x > 0]
    levels = len({n for n, _ in usable})
    if levels < NEEDED_LEVELS:
        return Missing(Reason.LEARNING, f"{levels} of {NEEDED_LEVELS} distinct concurrencies")
    from scipy.optimize import least_squares

    n = np.array([p[0] for p in usable])
    logs = np.log(np.array([p[1] for p in usable]))

    def residuals(theta: Array) -> Array:
        stretch = inflation(n, theta[1], theta[2] * 0.01)
        return np.asarray(theta[0] + np.log(n) - np.log(stretch) - logs, dtype=np.float64)

    start = np.array([float(np.max(logs - np.log(n))), 0.02, 0.01])
    found = least_squares(residuals, start, bounds=([-50.0, 0.0, 0.0], [50.0, 1.0, 100.0]), loss="soft_l1", f_scale=0.1)
    freedom = max(1, len(usable) - 3)
    noise = float(np.sum(residuals(found.x) ** 2)) / freedom
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * noise
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return ScalabilityLaw(
        rate=math.exp(float(found.x[0])),
        sigma=float(found.x[1]),
        kappa=float(found.x[2]) * 0.01,
        sigma_error=float(errors[1]),
        kappa_error=float(errors[2]) * 0.01,
    )
