"""Two models in one: each counts by how well it foretold what was measured since."""

from __future__ import annotations

import math

import numpy as np

from pegbox.bench.tuners.encoding import Array
from pegbox.bench.tuners.expected import Model

FORGET = 0.95  # of a log-likelihood, by the next observation
LEAST = 0.05  # weight of either


class Mixed:
    """Mean and sd of the mixture. A new observation is scored before either model learns it."""

    def __init__(self, *models: Model) -> None:
        self._models = models
        self._scores = np.zeros(len(models))
        self._known = 0

    @property
    def weights(self) -> Array:
        shares = np.exp(self._scores - np.max(self._scores))
        floored = np.maximum(shares / np.sum(shares), LEAST)
        return np.asarray(floored / np.sum(floored), dtype=np.float64)

    def fit(self, columns: Array, logs: Array, sd: float) -> None:
        if 0 < self._known < len(logs):
            for at, model in enumerate(self._models):
                mean, spread = model.predict(columns[self._known :])
                told = np.hypot(spread, sd)
                z = (logs[self._known :] - mean) / told
                likelihood = np.clip(-0.5 * z * z - np.log(told) - 0.5 * math.log(2 * math.pi), -20.0, 20.0)
                self._scores[at] = FORGET * self._scores[at] + float(np.sum(likelihood))
        for model in self._models:
            model.fit(columns, logs, sd)
        self._known = len(logs)

    def predict(self, columns: Array) -> tuple[Array, Array]:
        told = [model.predict(columns) for model in self._models]
        weights = self.weights
        mean = np.sum([w * m for w, (m, _) in zip(weights, told, strict=True)], axis=0)
        second = np.sum([w * (s * s + m * m) for w, (m, s) in zip(weights, told, strict=True)], axis=0)
        return np.asarray(mean), np.sqrt(np.maximum(second - mean * mean, 1e-12))
