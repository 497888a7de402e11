"""Eight probes of one knob each, taken over only when clearly better twice; then it holds for ever."""

from __future__ import annotations

import math

import numpy as np

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.bench.tuners.history import History
from pegbox.bench.tuners.moves import one_step
from pegbox.model.knobs import Setting

PROBES = 8
CLEAR_SDS = 2.0  # of the difference of one measurement and the incumbent's mean
CLEAR = 0.01  # and at least 1 % of the cost


class Coward:
    def __init__(self, problem: Problem) -> None:
        self._history = History(problem)
        self._chance = np.random.default_rng([problem.seed, 12])
        self._incumbent = problem.start
        self._probes = 0
        self._promising: Setting | None = None

    def ask(self) -> Setting:
        if self._promising is not None:
            return self._promising
        probe = None
        if self._probes < PROBES:
            probe = one_step(self._history, self._chance, self._incumbent)
            self._probes += 1
        return probe or self._incumbent

    def tell(self, setting: Setting, measured: Measured) -> None:
        """A row of a table says the same a second time, so there one measurement is enough."""
        again, self._promising = self._promising == setting, None
        better = setting != self._incumbent and self._clearly_better(setting, measured)
        self._history.add(setting, measured)
        if better and (again or self._history.table is not None):
            self._incumbent = setting
        elif better:
            self._promising = setting

    def _clearly_better(self, setting: Setting, measured: Measured) -> bool:
        history, quality = self._history, self._history.quality(measured)
        if quality is None:
            return False
        short, cost = history.rank(setting, quality)
        short_now, cost_now = history.rank(self._incumbent, history.mean(self._incumbent))
        if short or short_now:
            return short < short_now
        noise = history.sd * math.sqrt(1 + 1 / max(history.visits(self._incumbent), 1))
        return cost < cost_now - max(CLEAR_SDS * noise, CLEAR)

    @property
    def incumbent(self) -> Setting:
        return self._incumbent
