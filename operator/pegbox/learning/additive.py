"""A Gaussian process that is a sum over axes, with noise that has a memory.

f(x) = c + sum_d a_d g_d(x_d) + a_0 h(x) + b l(x): one smooth function per axis, Matern 5/2, a small joint one for what
the sum cannot say, and a small local one, so that what was measured again and again at one setting is believed there.
Most knobs hardly matter and few interact, so a sum learns from moves of several knobs at once. The amplitudes a_d are
fitted (maximum a posteriori, log-normal priors) by a capped optimiser that starts from the last ones; the noise is part
white, part a memory over steps, since what disturbs one window disturbs the next.

Source of the additive kernel: D. Duvenaud, H. Nickisch, C. E. Rasmussen, "Additive Gaussian Processes", NeurIPS 2011.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pegbox.learning.queueing import Array, Mask

LENGTH = 0.6  # of an axis, in its range
JOINT_LENGTH = 1.0
OFFSET = 0.05  # prior sd of the constant, in log units
AMPLITUDE, AMPLITUDE_SPREAD = 0.03, 0.9  # median and log sd of a_d
SIZE_AMPLITUDE = 0.15
JOINT = 0.015
LOCAL, LOCAL_LENGTH = 0.005, 0.15  # what only a setting and its next neighbours have: a peak, an edge
NOISE_SPREAD = 0.35  # log sd of the noise around what replicates say
MEMORY, LASTING = 0.6, 0.6  # share of the noise's variance that is remembered, and its correlation after one step
ITERATIONS = 12
JITTER = 1e-8


def matern(distance: Array) -> Array:
    """Matern 5/2 of distances in length scales."""
    scaled = math.sqrt(5.0) * distance
    return np.asarray((1.0 + scaled + scaled * scaled / 3.0) * np.exp(-scaled), dtype=np.float64)


def per_axis(one: Array, other: Array) -> Array:
    """The kernels of the axes, shape (axes, one, other)."""
    return matern(np.abs(one.T[:, :, None] - other.T[:, None, :]) / LENGTH)


def apart(one: Array, other: Array) -> Array:
    """Distances over all axes, shape (one, other)."""
    gap = one[:, None, :] - other[None, :, :]
    return np.asarray(np.sqrt(np.sum(gap * gap, axis=2)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Hyper:
    """Logarithms: amplitude of each axis, of the joint part, of the local one, then sd of the noise."""

    logs: Array

    @property
    def amplitudes(self) -> Array:
        return np.exp(self.logs[:-3])

    @property
    def joint(self) -> float:
        return float(np.exp(self.logs[-3]))

    @property
    def local(self) -> float:
        return float(np.exp(self.logs[-2]))

    @property
    def noise(self) -> float:
        return float(np.exp(self.logs[-1]))

    @property
    def variance(self) -> float:
        """Of f at one point, before any data."""
        return float(OFFSET**2 + self.joint**2 + self.local**2 + np.sum(self.amplitudes**2))


@dataclass(frozen=True, slots=True)
class Belief:
    """Log-normal priors of the amplitudes and the noise: medians (as logs) and log sds."""

    centre: Array
    spread: Array

    @property
    def first(self) -> Hyper:
        return Hyper(self.centre)


def believe(sizes: Mask, noise: float) -> Belief:
    """`sizes` marks axes that are cores or bytes: cutting those may cost as much as it saves."""
    amplitudes = np.where(sizes, SIZE_AMPLITUDE, AMPLITUDE)
    centre = np.log(np.append(amplitudes, [JOINT, LOCAL, noise]))
    return Belief(centre, np.append(np.full(len(sizes) + 2, AMPLITUDE_SPREAD), NOISE_SPREAD))


@dataclass(frozen=True, slots=True)
class Process:
    """The posterior after `points` (n, axes) measured as `values` (n), in log units."""

    points: Array
    hyper: Hyper
    factor: Array  # Cholesky factor of the covariance of the measurements
    weights: Array

    def beside(self, points: Array, bases: Array) -> tuple[Array, Array]:
        """Mean and sd of f(point) - f(base), shape (bases, points); no (points, points) matrix."""
        from scipy.linalg import solve_triangular

        both = np.vstack([points, bases])
        cross = _prior(self.hyper, both, self.points)
        half = solve_triangular(self.factor, cross.T, lower=True)
        mean = cross @ self.weights
        count = len(points)
        alone = np.maximum(self.hyper.variance - np.sum(half * half, axis=0), 0.0)
        shared = _prior(self.hyper, bases, points) - half[:, count:].T @ half[:, :count]
        spread = np.maximum(alone[None, :count] + alone[count:, None] - 2.0 * shared, 0.0)
        return mean[None, :count] - mean[count:, None], np.sqrt(spread)


def _prior(hyper: Hyper, one: Array, other: Array) -> Array:
    gap = apart(one, other)
    total = OFFSET**2 + hyper.joint**2 * matern(gap / JOINT_LENGTH) + hyper.local**2 * matern(gap / LOCAL_LENGTH)
    for at, amplitude in enumerate(hyper.amplitudes):
        total += amplitude**2 * matern(np.abs(one[:, at, None] - other[None, :, at]) / LENGTH)
    return np.asarray(total, dtype=np.float64)


def remembered(steps: Array) -> Array:
    """Correlation of the noise of measurements at given steps: white plus memory."""
    gap = np.abs(steps[:, None] - steps[None, :])
    return np.asarray((1 - MEMORY) * (gap == 0) + MEMORY * LASTING**gap, dtype=np.float64)


def condition(points: Array, values: Array, steps: Array, hyper: Hyper, extra: Array | None = None) -> Process:
    """The posterior for given amplitudes. `extra`: more variance of single measurements."""
    covariance = _prior(hyper, points, points) + hyper.noise**2 * remembered(steps)
    covariance[np.diag_indices_from(covariance)] += JITTER + (0.0 if extra is None else extra)
    factor = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    from scipy.linalg import cho_solve

    return Process(points, hyper, factor, np.asarray(cho_solve((factor, True), values)))


def objective(points: Array, values: Array, steps: Array, belief: Belief) -> Callable[[Array], tuple[float, Array]]:
    """Minus the log posterior of `Hyper.logs`, but for a constant, with its slope: what `refine` brings down."""
    from scipy.linalg import cho_solve

    gap = apart(points, points)
    both = np.stack([matern(gap / JOINT_LENGTH), matern(gap / LOCAL_LENGTH)])
    kernels = np.concatenate([per_axis(points, points), both])
    fixed = OFFSET**2 + JITTER * np.eye(len(points))
    memory = remembered(steps)
    centre, spread = belief.centre, belief.spread
    flat = kernels.reshape(len(kernels), -1)

    def loss(logs: Array) -> tuple[float, Array]:
        squares = np.exp(2.0 * logs)
        covariance = fixed + (squares[:-1] @ flat).reshape(fixed.shape) + squares[-1] * memory
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(logs)
        weights = cho_solve((factor, True), values)
        inner = np.outer(weights, weights) - cho_solve((factor, True), np.eye(len(values)))
        slope = np.append(squares[:-1] * (flat @ inner.ravel()), squares[-1] * float(np.sum(inner * memory)))
        pulled = (logs - centre) / spread
        value = 0.5 * float(values @ weights) + float(np.sum(np.log(np.diag(factor)))) + 0.5 * float(pulled @ pulled)
        return value, -slope + pulled / spread

    return loss


def refine(points: Array, values: Array, steps: Array, start: Hyper, belief: Belief, limit: int = ITERATIONS) -> Hyper:
    """Amplitudes and noise after at most `limit` iterations of L-BFGS from `start`."""
    from scipy.optimize import minimize

    loss = objective(points, values, steps, belief)
    bounds = [(c - 4 * s, c + 3 * s) for c, s in zip(belief.centre, belief.spread, strict=True)]
    options: dict[str, Any] = {"maxiter": limit}
    found = minimize(
        loss, np.clip(start.logs, *np.array(bounds).T), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return Hyper(np.asarray(found.x, dtype=np.float64))
