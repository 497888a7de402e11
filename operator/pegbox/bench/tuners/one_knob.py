"""Random moves of one knob; one that measures no better is taken back, after PARTIES (ASPLOS 2019)."""

from __future__ import annotations

import numpy as np

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.bench.tuners.history import History
from pegbox.bench.tuners.moves import one_step
from pegbox.model.knobs import Setting


class OneKnob:
    def __init__(self, problem: Problem) -> None:
        self._history = History(problem)
        self._chance = np.random.default_rng([problem.seed, 11])
        self._incumbent = problem.start

    def ask(self) -> Setting:
        return one_step(self._history, self._chance, self._incumbent) or self._incumbent

    def tell(self, setting: Setting, measured: Measured) -> None:
        history = self._history
        history.add(setting, measured)
        mine = history.rank(self._incumbent, history.mean(self._incumbent))
        if not measured.failed and history.rank(setting, history.mean(setting)) < mine:
            self._incumbent = setting

    @property
    def incumbent(self) -> Setting:
        return self._incumbent
