"""Simulated streams, for what the given one is too short to tell: how often a regression is imagined.

Logs of a latency with a daily swing, AR(1) noise and outliers. They are made up; what is measured on them says only
how the rules compare under known truth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate

import numpy as np

from pegbox.bench.regressions.streams import Array, Stream

TICK = 30.0
DAY = 86400.0
DAYS = 5.5  # 158 disjoint watches of 50 minutes


def daily(seed: int, days: float = DAYS, tick: float = TICK) -> Stream:
    """Latency swings by a quarter up and down over the day; nothing else is known."""
    rng, time = _start(seed, days, tick)
    logs = np.log(100.0) + 0.25 * _swing(rng, time) + _noise(rng, time, tick, 0.4, 0.15) + _outliers(rng, time)
    return Stream("simulated: daily drift", tick, np.exp(logs))


def loaded(seed: int, days: float = DAYS, tick: float = TICK) -> Stream:
    """A queue whose offered load is given: it swings by 3 to 1 over the day and surges by half every few hours.

    Latency is 50 ms / (1 - utilisation), as in M/M/1 (L. Kleinrock, Queueing Systems 1, 1975, chapter 3).
    """
    rng, time = _start(seed, days, tick)
    offered = np.exp(0.5 * _swing(rng, time) + _noise(rng, time, tick, 0.9, 0.05) + _bumps(rng, time, 6.0, 0.4))
    use = np.minimum(0.4 * offered, 0.95)
    logs = np.log(50.0) - np.log1p(-use) + _noise(rng, time, tick, 0.4, 0.12) + _outliers(rng, time)
    return Stream("simulated: offered load", tick, np.exp(logs), load=200.0 * offered)


def controlled(seed: int, days: float = DAYS, tick: float = TICK, own: float = 0.07) -> Stream:
    """Two groups of pods: a swing, slow noise and upheavals are shared; `own` is the sd of what is each group's own."""
    rng, time = _start(seed, days, tick)
    shared = 0.4 * _swing(rng, time) + _noise(rng, time, tick, 0.9, 0.2) + _bumps(rng, time, 4.0, 0.5)
    mine, control = (_noise(rng, time, tick, 0.3, own) + _outliers(rng, time, 0.01) for _ in range(2))
    base = np.log(80.0) + shared
    name = f"simulated: concurrent control, own noise {100 * own:.0f} %"
    return Stream(name, tick, np.exp(base + mine), control=np.exp(base + control))


SIMULATED: tuple[Callable[[int], Stream], ...] = (daily, loaded, controlled, partial(controlled, own=0.1))


def _start(seed: int, days: float, tick: float) -> tuple[np.random.Generator, Array]:
    return np.random.default_rng([20261121, seed]), np.asarray(np.arange(round(days * DAY / tick)) * tick, np.float64)


def _swing(rng: np.random.Generator, time: Array) -> Array:
    return np.asarray(np.sin(2 * np.pi * (time / DAY + rng.random())), dtype=np.float64)


def _noise(rng: np.random.Generator, time: Array, tick: float, correlation: float, sd: float) -> Array:
    """AR(1) with the given lag-one correlation at 30 s, whatever the tick, and the given sd."""
    rho = correlation ** (tick / TICK)
    fresh = rng.normal(0.0, sd * np.sqrt(1 - rho * rho), len(time))
    return np.fromiter(accumulate(fresh.tolist(), lambda last, new: rho * last + new), np.float64, len(time))


def _outliers(rng: np.random.Generator, time: Array, share: float = 0.02) -> Array:
    """Single samples up (two of three) or down by 35 to 230 %."""
    size = rng.uniform(0.3, 1.2, len(time)) * rng.choice([-1.0, 1.0, 1.0], len(time))
    return np.where(rng.random(len(time)) < share, size, 0.0)


def _bumps(rng: np.random.Generator, time: Array, hours: float, height: float) -> Array:
    """Upheavals of 10 to 20 minutes, one in `hours` on average."""
    out = np.zeros(len(time))
    at = 0.0
    while (at := at + rng.exponential(hours * 3600.0)) < time[-1]:
        out[(time >= at) & (time < at + rng.uniform(600.0, 1200.0))] = height
    return out
