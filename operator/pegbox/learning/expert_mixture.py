"""Weights over experts by what they missed lately: w = exp(-sharpness * decayed error), at two memories, averaged.

Source: N. Cesa-Bianchi and G. Lugosi, "Prediction, Learning, and Games", Cambridge 2006, chapter 2 (exponentially
weighted average). Errors are counted in units of what the best expert of each step missed, so that a quiet load
tells experts apart as a noisy one does. The short memory follows a change, the long one tells near equals apart.
"""

from __future__ import annotations

import numpy as np

from pegbox.learning.queueing import Array

MEMORIES = (33.0, 333.0)  # in horizons: forecasts that overlap err together, and count once
SHARPNESS = 0.2
LEAST_ERROR = 1e-4


class ExpertMixture:
    """Over `size` experts whose forecasts reach `horizon` steps ahead. Logs in, logs out; NaN is an expert asleep."""

    def __init__(self, size: int, *, horizon: int, sharpness: float = SHARPNESS) -> None:
        self.size, self.horizon, self.sharpness = size, horizon, sharpness
        self._keep = np.array([1.0 - 1.0 / (memory * horizon) for memory in MEMORIES])
        self._errors = np.zeros((len(MEMORIES), size))
        self._best = np.zeros(len(MEMORIES))
        self._count = np.zeros(len(MEMORIES))

    def tell(self, logs: Array, outcome: float) -> None:
        """What the experts had said, shape (size,), and what came. Who slept is counted as the others' mean."""
        awake = ~np.isnan(logs)
        if not awake.any():
            return
        errors = np.abs(np.where(awake, logs, 0.0) - outcome)
        errors = np.where(awake, errors, errors[awake].mean())
        self._errors = self._errors * self._keep[:, None] + errors
        self._best = self._best * self._keep + errors.min()
        self._count = self._count * self._keep + 1.0

    def weights(self, logs: Array) -> Array:
        """Of the experts that are awake in `logs`; they sum to 1. Raises ValueError where none is."""
        awake = ~np.isnan(logs)
        if not awake.any():
            raise ValueError("no expert is awake")
        usual = np.maximum(self._best / np.maximum(self._count, 1e-12), LEAST_ERROR)
        behind = self._errors[:, awake] - self._errors[:, awake].min(axis=1, keepdims=True)
        parts = np.exp(-self.sharpness * behind / usual[:, None])
        out = np.zeros(self.size)
        out[awake] = (parts / parts.sum(axis=1, keepdims=True)).mean(axis=0)
        return out

    def blend(self, logs: Array) -> float:
        """The weighted mean of the logs."""
        return float(self.weights(logs) @ np.nan_to_num(logs))
