"""The price of many settings at once. A price that is linear in the knobs' values is computed on arrays."""

from __future__ import annotations

import math

import numpy as np

from pegbox.bench.tuners.base import Problem
from pegbox.bench.tuners.encoding import Array, Encoding
from pegbox.model.knobs import Setting

PROBES = 64  # more than twice the knobs of any space here: a fit through all of them is no accident
EXACT = 1e-9
LEAST = 1e-12


def log_price(problem: Problem, setting: Setting) -> float:
    return math.log(max(problem.price(setting), LEAST))


class Prices:
    """Learned once from probes, which cost no step: the price is known to everybody."""

    def __init__(self, problem: Problem, encoding: Encoding) -> None:
        self.problem, self.encoding = problem, encoding
        self._weights: Array | None = None
        if not len(encoding):
            return
        codes = encoding.random(np.random.default_rng(0), max(PROBES, 3 * len(encoding)))
        prices = np.array([problem.price(encoding.setting(row)) for row in codes])
        weights = np.linalg.lstsq(self._terms(codes), prices, rcond=None)[0]
        if np.max(np.abs(self._terms(codes) @ weights - prices)) <= EXACT * max(float(np.max(np.abs(prices))), LEAST):
            self._weights = np.asarray(weights, dtype=np.float64)

    @property
    def linear(self) -> bool:
        return self._weights is not None

    def _terms(self, codes: Array) -> Array:
        """1 and each knob's value, scaled to at most about 1 (bytes beside cores would spoil the least squares)."""
        levels = self.encoding.features(codes)
        scales = np.array([max(abs(c.scale.low), abs(c.scale.high)) for c in self.encoding.columns])
        return np.concatenate([np.ones((len(codes), 1)), self.encoding.values(codes) / scales, levels], axis=1)

    def logs(self, codes: Array) -> Array:
        """(rows,) logs of the prices of code rows."""
        if self._weights is not None:
            return np.asarray(np.log(np.maximum(self._terms(codes) @ self._weights, LEAST)), dtype=np.float64)
        return np.array([log_price(self.problem, self.encoding.setting(row)) for row in codes])
