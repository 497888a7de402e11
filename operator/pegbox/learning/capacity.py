"""The physics: capacity and mean latency of a setting, as functions of a few coefficients.

Per pod, limit k with v_k units lets v_k / (d_k g(b)) events/s through, where an event holds one unit for d_k
seconds and batching b events per call leaves g(b) = beta_k / b + 1 - beta_k of that. The least of the limits
counts (asymptotic bounds of queueing networks), times pods, slowed by the universal scalability law in the
total number in service, under a ceiling such as an upstream's rate limit (times b^gamma: it may count calls).
Latency is the service time plus the wait in front of it, Sakasegawa's formula while the load is below
capacity, and a full queue beyond.

Every function takes parameters of shape (draws, parameters) and answers in shape (draws, settings).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pegbox.learning.features import Inputs
from pegbox.learning.queueing import Array, bounded_wait, sakasegawa_wait
from pegbox.learning.usl import inflation

SHARPNESS = 16.0  # of the smooth least: two equal limits together pass 4 % less than one, as a real knee does


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of the coefficients in a parameter vector; logarithms, but for sigma, kappa and batch."""

    limits: tuple[str, ...]
    concurrency: tuple[int, ...]
    batched: bool

    @property
    def demands(self) -> slice:
        return slice(0, len(self.limits))

    @property
    def service(self) -> int:
        return len(self.limits)

    @property
    def variability(self) -> int:
        return len(self.limits) + 1

    @property
    def queue(self) -> int:
        return len(self.limits) + 2

    @property
    def sigma(self) -> int:
        return len(self.limits) + 3

    @property
    def kappa(self) -> int:
        return len(self.limits) + 4

    @property
    def ceiling(self) -> int:
        return len(self.limits) + 5

    @property
    def batch_latency(self) -> int:
        return len(self.limits) + 6

    @property
    def batch_ceiling(self) -> int:
        return len(self.limits) + 7

    @property
    def batch_shares(self) -> slice:
        return slice(len(self.limits) + 8, len(self.limits) * 2 + 8)

    @property
    def size(self) -> int:
        return len(self.limits) * 2 + 8 if self.batched else len(self.limits) + 6

    @property
    def names(self) -> tuple[str, ...]:
        fixed = ("service_time", "variability", "queue", "sigma", "kappa", "ceiling")
        batch = ("batch_latency", "batch_ceiling", *(f"batch:{n}" for n in self.limits)) if self.batched else ()
        return (*(f"demand:{n}" for n in self.limits), *fixed, *batch)

    def is_log(self, index: int) -> bool:
        """Is the parameter kept as a logarithm?"""
        return index not in (self.sigma, self.kappa) and index < self.batch_latency


@dataclass(frozen=True, slots=True)
class State:
    """What the physics says of each (draw, setting)."""

    capacity: Array  # events/s of all pods
    latency: Array  # mean seconds per event at the inputs' load
    demands: Array  # seconds per event and limit under the batch in force, shape (draws, settings, limits)


def evaluate(layout: Layout, theta: Array, x: Inputs) -> State:
    """Capacity and latency for parameters (draws, p) and inputs (settings)."""
    sigma, kappa = _column(theta, layout.sigma), _column(theta, layout.kappa)
    log_demands = _log_demands(layout, theta, x)
    log_rates = np.log(x.limits)[None, :, :] - log_demands
    linear = np.exp(_least(log_rates)) * x.pods[None, :]
    held = log_demands[:, :, list(layout.concurrency)] if layout.concurrency else log_demands
    in_service = linear * np.exp(np.max(held, axis=2))
    scaled = np.log(linear / inflation(in_service, sigma, kappa))
    ceiling = _column(theta, layout.ceiling) + np.zeros_like(scaled)
    if layout.batched:  # a limit on calls per second lets more events through in larger batches
        ceiling = ceiling + _column(theta, layout.batch_ceiling) * np.log(x.batch)[None, :]
    capacity = np.exp(_least(np.stack([scaled, ceiling], axis=2)))

    rho = x.load[None, :] / capacity
    service = np.exp(_column(theta, layout.service)) * inflation(in_service * np.minimum(rho, 1.0), sigma, kappa)
    if layout.batched:
        service = service * x.batch[None, :] ** _column(theta, layout.batch_latency)
    wait = sakasegawa_wait(rho, np.maximum(in_service, 1.0), capacity, np.exp(_column(theta, layout.variability)))
    full = np.exp(_column(theta, layout.queue)) * (x.queue * x.pods)[None, :] / capacity
    return State(capacity, service + bounded_wait(wait, full), np.exp(log_demands))


def _column(theta: Array, index: int) -> Array:
    return theta[:, index, None]


def _log_demands(layout: Layout, theta: Array, x: Inputs) -> Array:
    demands = np.broadcast_to(theta[:, None, layout.demands], (theta.shape[0], x.limits.shape[0], len(layout.limits)))
    if not layout.batched:
        return demands
    share = theta[:, None, layout.batch_shares]
    return np.asarray(demands + np.log(share / x.batch[None, :, None] + 1.0 - share), dtype=np.float64)


def _least(logs: Array) -> Array:
    """Smooth least over the last axis, in logarithms: -log(sum(exp(-p z))) / p."""
    floor = np.min(logs, axis=-1)
    spread = np.sum(np.exp(-SHARPNESS * (logs - floor[..., None])), axis=-1)
    return np.asarray(floor - np.log(spread) / SHARPNESS, dtype=np.float64)
