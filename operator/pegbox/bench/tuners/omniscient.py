"""Greedy local search that is told the truth: the upper end of what a tuner with the same steps can reach.

It is no fair company. The reachable oracle of the scores is another (`bench.oracles.reachable`): it leaves booleans and
choices alone, as Pegbox does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.bench.tuners.history import History, Rank
from pegbox.bench.tuners.prices import log_price
from pegbox.model.knobs import Setting

Truth = Callable[[Sequence[Setting]], Sequence[float | None]]
"""The noiseless metric of many settings at once; None where the workload fails."""

LEAST_GAIN = 1e-3  # of the log cost: nobody can measure less
MOST_CHANGED = 2  # knobs of a table's row beside the incumbent's: full tables have gaps between neighbours


class Omniscient:
    """Steps to the best admissible neighbour that keeps the terms and saves at least 0.1 %, else holds."""

    def __init__(self, problem: Problem, truth: Truth) -> None:
        self._problem, self._truth = problem, truth
        self._history = History(problem)
        self._incumbent = problem.start
        self._known: dict[Setting, float | None] = {}
        self._start = self._quality(self._look([problem.start])[0])
        self._held: Setting | None = None  # whose neighbours were all looked at in vain

    def ask(self) -> Setting:
        if self._held == self._incumbent:
            return self._incumbent
        near = [s for s in self._neighbours() if self._problem.admissible(s)]
        ranked = zip(near, self._look(near), strict=True)
        best = min(((self._rank(s, m), i, s) for i, (s, m) in enumerate(ranked)), default=None)
        if best is not None and self._better(best[0], self._rank(self._incumbent, self._look([self._incumbent])[0])):
            return best[2]
        self._held = self._incumbent
        return self._incumbent

    def tell(self, setting: Setting, measured: Measured) -> None:
        """It need not look at what was measured."""
        self._history.add(setting, measured)
        metrics = self._look([setting, self._incumbent])
        if self._better(self._rank(setting, metrics[0]), self._rank(self._incumbent, metrics[1])):
            self._incumbent = setting

    @property
    def incumbent(self) -> Setting:
        return self._incumbent

    def _neighbours(self) -> list[Setting]:
        encoding, table = self._history.encoding, self._history.table
        row = encoding.codes([self._incumbent])[0]
        if table is None:
            return [encoding.setting(moved, self._incumbent) for moved in encoding.neighbours(row)]
        changed = table.changed(row)
        return [table.settings[i] for i in table.unseen() if changed[i] <= MOST_CHANGED]

    @staticmethod
    def _better(rank: Rank, than: Rank) -> bool:
        return rank[0] < than[0] or (rank[0] == than[0] and rank[1] < than[1] - LEAST_GAIN)

    def _look(self, settings: Sequence[Setting]) -> list[float | None]:
        new = [s for s in dict.fromkeys(settings) if s not in self._known]
        if new:
            self._known.update(zip(new, self._truth(new), strict=True))
        return [self._known[s] for s in settings]

    def _quality(self, metric: float | None) -> float:
        return (self._history.quality(Measured(metric)) or 0.0) if metric is not None else 0.0

    def _rank(self, setting: Setting, metric: float | None) -> Rank:
        """As the company's, with the true start as the measure; a failure is behind everything."""
        quality = self._history.quality(Measured(metric))
        if quality is None:
            return math.inf, 0.0
        asked = max(self._problem.floor, self._problem.least)
        short = self._start + math.log(asked) - quality if asked > 0 else 0.0
        return max(0.0, short - 1e-12), log_price(self._problem, setting) - quality
