"""Expected improvement over a Gaussian process, plain and constrained: scikit-learn's, with our own short optimiser."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pegbox.bench.tuners.base import Problem
from pegbox.bench.tuners.encoding import Array
from pegbox.bench.tuners.expected import Improver

FIRST, FIRST_CONSTRAINED = 5, 0
ITERATIONS, CALLS = 8, 12  # of L-BFGS-B, from where the last fit ended
ALWAYS = 24  # observations up to which each fit looks for hyper-parameters; later every twelfth part more
FEW, USUAL_SPREAD = (
    8,
    0.2,
)  # settings whose spread says little yet, and what is taken in its place: replicates alone would
# make the whole space look as flat as their noise
LEAST_VARIANCE, MOST_VARIANCE = 1e-6, 1.0


class Process:
    """Matern 5/2 with one length per column, on standardised logs. Hyper-parameters at the posterior's maximum, with a
    log-normal prior on lengths that grows with the root of the number of columns (Hvarfner et al. 2024).
    """

    def __init__(self) -> None:
        self._theta: Array | None = None
        self._looked = 0
        self._made: Any = None

    def fit(self, columns: Array, logs: Array, sd: float) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        spread, few = float(np.std(logs)), len(np.unique(columns, axis=0)) < FEW
        self._scale, self._shift = max(spread, USUAL_SPREAD if few else sd), float(np.mean(logs))
        noise = min(max((sd / self._scale) ** 2, LEAST_VARIANCE * 10), MOST_VARIANCE / 2)
        width = columns.shape[1]
        length = math.log(0.5 * math.sqrt(width))
        self._means = np.array([0.0, *([length] * width), math.log(noise)])
        self._sds = np.array([1.0, *([1.0] * width), 0.7])
        theta = self._means if self._theta is None else self._theta
        kernel = ConstantKernel(1.0) * Matern(np.ones(width), nu=2.5) + WhiteKernel(noise)
        kernel = kernel.clone_with_theta(theta)
        made = GaussianProcessRegressor(kernel, alpha=1e-8, optimizer=None)
        standard = (logs - self._shift) / self._scale
        made.fit(columns, standard)
        if self._theta is None or len(logs) <= ALWAYS or len(logs) >= self._looked * 13 / 12:
            self._looked = len(logs)
            self._theta = self._search(made, theta)
            made = GaussianProcessRegressor(kernel.clone_with_theta(self._theta), alpha=1e-8, optimizer=None)
            made.fit(columns, standard)
        self._made, self._noise = made, math.exp(float(self._theta[-1]))

    def _search(self, made: Any, start: Array) -> Array:
        from scipy.optimize import minimize

        def loss(theta: Array) -> tuple[float, Array]:
            value, slope = made.log_marginal_likelihood(theta, eval_gradient=True, clone_kernel=False)
            if not math.isfinite(value):
                return 1e10, np.zeros_like(theta)
            away = (theta - self._means) / self._sds
            return float(-value + 0.5 * away @ away), np.asarray(-slope + away / self._sds)

        bounds = [(math.log(0.05), math.log(20.0)), *([(math.log(0.05), math.log(50.0))] * (len(start) - 2))]
        bounds.append((math.log(LEAST_VARIANCE), math.log(MOST_VARIANCE)))
        options = {"maxiter": ITERATIONS, "maxfun": CALLS}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return np.asarray(found.x, dtype=np.float64)

    def predict(self, columns: Array) -> tuple[Array, Array]:
        mean, sd = self._made.predict(columns, return_std=True)
        true = np.sqrt(np.maximum(sd**2 - self._noise, 1e-10))
        return np.asarray(mean * self._scale + self._shift), np.asarray(true * self._scale)


def gp_ei(problem: Problem) -> Improver:
    return Improver(problem, Process(), constrained=False, first=FIRST)


def gp_cei(problem: Problem) -> Improver:
    return Improver(problem, Process(), constrained=True, first=FIRST_CONSTRAINED)
