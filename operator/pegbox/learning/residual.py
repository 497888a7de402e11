"""What the physics leaves over: a Gaussian process on log-residuals, reverting to none far from the data.

scikit-learn is imported only when the residuals scatter more than their noise explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pegbox.learning.queueing import Array

NEEDED = 5  # residuals below which a correction would only repeat noise
LENGTHS = (0.7, 1.5, 3.0)  # in log units: a factor 2, 4.5 or 20 in a knob; long ones, after benchmark.md
LARGEST = 0.5  # no correction beyond a factor exp(0.5)
MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class Residual:
    """Corrects log predictions. `process` is None where the physics explains the data."""

    process: Any = None
    offset: Array | float = 0.0

    def correct(self, columns: Array) -> tuple[Array, Array]:
        """(mean, sd) of the log-residual for rows of features."""
        if self.process is None:
            return np.zeros(len(columns)), np.zeros(len(columns))
        mean, sd = self.process.predict(columns - self.offset, return_std=True)
        return np.clip(mean, -LARGEST, LARGEST), np.asarray(sd, dtype=np.float64)


def fit_residual(columns: Array, logs: Array, noise: Array) -> Residual:
    """The process whose length scale explains `logs` best; none where their variance is that of `noise`.

    The kernel is Matern 5/2 with fixed hyper-parameters from a small grid (no optimiser, no restarts): the
    same data give the same process, and 200 points take milliseconds.
    """
    if len(logs) < NEEDED:
        return Residual()
    columns, logs, noise = columns[-MOST_POINTS:], logs[-MOST_POINTS:], noise[-MOST_POINTS:]
    amplitude = float(np.mean(np.clip(logs, -LARGEST, LARGEST) ** 2) - np.mean(noise**2))
    if amplitude <= 0.0:
        return Residual()
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    offset = np.mean(columns, axis=0)
    best: Any = None
    for length in LENGTHS:
        kernel = ConstantKernel(amplitude, "fixed") * Matern(length, "fixed", nu=2.5)
        process = GaussianProcessRegressor(kernel, alpha=noise**2, optimizer=None, normalize_y=False)
        process.fit(columns - offset, np.clip(logs, -2.0, 2.0))
        if best is None or process.log_marginal_likelihood_value_ > best.log_marginal_likelihood_value_:
            best = process
    return Residual(best, offset)
