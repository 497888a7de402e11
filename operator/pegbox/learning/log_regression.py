"""Recursive least squares on log-ratios, with forgetting: the expert that learns how to read the others.

Source: S. Haykin, "Adaptive Filter Theory", chapter on recursive least squares; errors beyond twice the usual one
weigh less (P. J. Huber, "Robust Estimation of a Location Parameter", 1964), so that one burst does not turn the model.
"""

from __future__ import annotations

import numpy as np

from pegbox.learning.queueing import Array

FORGET = 0.9995  # of the weight of an older step, per step: 2,000 steps count
PRIOR = 10.0  # variance of a coefficient before anything was seen, in units of the noise
MOST = 1.5  # features beyond exp(+-1.5) are clipped: a regression has nothing to say out there
HUBER = 2.0
LEAST_ERROR = 0.003  # after hours of a load that stands still, a change is news and no outlier


class LogRegression:
    """y = w'x with x of shape (size,). `start` are the coefficients to which it is drawn while it knows little."""

    def __init__(self, start: Array, *, forget: float = FORGET, prior: float = PRIOR) -> None:
        self.start, self.forget, self.prior = start, forget, prior
        self.coefficients = start.copy()
        self._error = 0.1
        self._spread = prior * np.eye(len(start))

    def predict(self, features: Array) -> float:
        """Clipped to exp(+-1.5) as well."""
        return min(max(float(np.clip(features, -MOST, MOST) @ self.coefficients), -MOST), MOST)

    def update(self, features: Array, outcome: float) -> None:
        """Learns from one step's outcome."""
        x = np.clip(features, -MOST, MOST)
        error = outcome - float(x @ self.coefficients)
        self._error += 0.01 * (min(abs(error), 5.0 * self._error) - self._error)
        self._error = max(self._error, LEAST_ERROR)
        weight = min(1.0, HUBER * self._error / (abs(error) + 1e-12))
        across = self._spread @ x
        below = self.forget / weight + float(x @ across)
        self.coefficients = self.coefficients + across * (error / below)
        spread = (self._spread - np.outer(across, across) / below) / self.forget
        # A feature that stands still would be forgotten without end: nothing is known less than at the start.
        wide = np.sqrt(np.minimum(1.0, self.prior / np.maximum(spread.diagonal(), 1e-12)))
        self._spread = spread * np.outer(wide, wide)
