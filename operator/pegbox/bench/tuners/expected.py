"""Expected improvement over a model of the log metric, plain or weighed by the odds of keeping the terms.

The price is known, so the model's mean and sd of the log metric are those of the log cost, shifted. Sources: Jones,
Schonlau and Welch 1998 (EI); Gardner et al. 2014 (constrained EI); Ament et al. 2023 (its log, which never underflows).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.bench.tuners.encoding import Array
from pegbox.bench.tuners.history import History
from pegbox.bench.tuners.prices import Prices
from pegbox.model.knobs import Setting

EVERYWHERE, NEARBY, REFINED = 160, 224, 96  # candidates of one step: drawn evenly, near the best, near the best of both
BEST, ASKED_AGAIN = 4, 60
WIDTHS = (0.02, 0.07, 0.2)
LOG_ROOT = 0.5 * math.log(2 * math.pi)


class Model(Protocol):
    def fit(self, columns: Array, logs: Array, sd: float) -> None:
        """Learn (n, width) columns -> (n,) logs; `sd` is that of repeated measurements."""
        ...

    def predict(self, columns: Array) -> tuple[Array, Array]:
        """(mean, sd) of what is true, without a measurement's noise; sd above 0."""
        ...


def log_improvement(best: float, mean: Array, sd: Array) -> Array:
    """log E[max(best - Y, 0)] for Y normal: log sd + log(phi(z) + z Phi(z)) with z = (best - mean) / sd."""
    from scipy.special import erfcx, ndtr

    z = (best - mean) / sd
    above = np.maximum(z, -1.0)
    plain = np.log(np.exp(-above * above / 2 - LOG_ROOT) + above * ndtr(above))
    below = np.clip(-z, 1.0, 1e3)
    # phi(z) + z Phi(z) = phi(z) (1 - |z| m), m = Mills' ratio; far out 1 - |z| m is 1 / z^2 to first order
    tail = np.log1p(-below * math.sqrt(math.pi / 2) * erfcx(below / math.sqrt(2)))
    tail = np.where(z < -1e3, -2 * np.log(np.maximum(-z, 1.0)), tail)
    return np.asarray(np.log(sd) + np.where(z > -1.0, plain, tail - z * z / 2 - LOG_ROOT), dtype=np.float64)


class Improver:
    """`first`: points of a Sobol sequence that are asked before the model is, less what was told from elsewhere.

    `revisits`: may a setting be proposed that was measured before? SMAC's are not, and a forest that saw only equal
    figures tells nothing apart: it would ask its incumbent for ever.
    """

    def __init__(self, problem: Problem, model: Model, *, constrained: bool, first: int, revisits: bool = True) -> None:
        self._problem, self._model, self._constrained, self._revisits = problem, model, constrained, revisits
        self._history = History(problem)
        self._chance = np.random.default_rng([problem.seed, 14])
        self._prices = Prices(problem, self._history.encoding)
        self._first = list(self._history.encoding.sobol(first, problem.seed))
        self._fitted = -1
        self._incumbent = problem.start

    def ask(self) -> Setting:
        history = self._history
        if not len(history.encoding):
            return self._problem.start
        if self._first and len(history.settings) <= len(self._first):
            setting = self._initial()
            if setting is not None:
                return setting
        if not history.order:
            return self._problem.start
        self._learn()
        codes, settings = self._candidates()
        if not len(codes):  # every row was seen
            return self.incumbent
        for at in np.argsort(-self._worth(codes), kind="stable")[:ASKED_AGAIN]:
            setting = settings[at] if settings else history.encoding.setting(codes[at])
            new = self._revisits or not history.visits(setting)
            if new and self._problem.admissible(setting):
                return setting
        return self.incumbent

    def _initial(self) -> Setting | None:
        history = self._history
        row = self._first[len(history.settings) - 1]
        setting = history.encoding.setting(row) if history.table is None else history.table.nearest(row)
        usable = setting is not None and history.visits(setting) == 0 and self._problem.admissible(setting)
        return setting if usable else None

    def tell(self, setting: Setting, measured: Measured) -> None:
        self._history.add(setting, measured)

    @property
    def incumbent(self) -> Setting:
        """The visited setting whose cost has the best posterior mean, of those that keep the terms by that mean."""
        if len(self._history.encoding) and self._history.order:
            self._learn()
        return self._incumbent

    def _learn(self) -> None:
        """Fit what was told since the last time, and look again at all that was visited."""
        history, encoding = self._history, self._history.encoding
        if self._fitted == len(history.order):
            return
        self._fitted = len(history.order)
        settings, logs = history.observed()
        self._model.fit(encoding.features(encoding.codes(settings)), logs, history.sd)
        visited = history.settings
        codes = encoding.codes(visited)
        mean = self._believed(visited, codes)
        costs = self._prices.logs(codes) - mean
        terms = history.terms - history.start_quality
        short = np.maximum(0.0, terms - mean)
        short[0] = 0.0  # the start, which keeps the terms whatever the model makes of it
        order = np.lexsort((costs, short))
        self._incumbent = visited[int(order[0])]
        self._best = float(costs[order[0]] if self._constrained else np.min(costs))
        self._tops = codes[(order if self._constrained else np.argsort(costs, kind="stable"))[:BEST]]

    def _believed(self, visited: Sequence[Setting], codes: Array) -> Array:
        """Quality of settings that were measured: the model's mean, but in a table, where figures are exact, their own.
        A forest's mean is smoothed whatever the noise, and would leave the best row for its neighbour.
        """
        history = self._history
        mean = self._model.predict(history.encoding.features(codes))[0]
        if history.table is None:
            return mean
        own = [
            history.mean(s) - history.start_quality if history.visits(s) else m
            for s, m in zip(visited, mean, strict=True)
        ]
        return np.array(own, dtype=np.float64)

    def _worth(self, codes: Array) -> Array:
        from scipy.special import log_ndtr

        encoding = self._history.encoding
        mean, sd = self._model.predict(encoding.features(codes))
        worth = log_improvement(self._best, self._prices.logs(codes) - mean, sd)
        terms = self._history.terms - self._history.start_quality
        if self._constrained and math.isfinite(terms):
            worth = worth + log_ndtr((mean - terms) / sd)
        return np.asarray(worth, dtype=np.float64)

    def _candidates(self) -> tuple[Array, list[Setting]]:
        """Codes to choose from, and in a table the rows that they are."""
        encoding, table = self._history.encoding, self._history.table
        if table is not None:
            left = table.unseen()
            return table.codes[left], [table.settings[i] for i in left]
        wide = encoding.random(self._chance, EVERYWHERE)
        rough = np.concatenate([self._tops, wide, self._near(self._tops, NEARBY)])
        worth = self._worth(rough)
        tops = rough[np.argsort(-worth, kind="stable")[:BEST]]
        return np.concatenate([rough, self._near(tops, REFINED)]), []

    def _near(self, tops: Array, count: int) -> Array:
        """Rows with one to three knobs moved, by small, middling and large steps."""
        chance, knobs = self._chance, len(self._history.encoding)
        bases = tops[chance.integers(len(tops), size=count)]
        places = np.argsort(chance.random((count, knobs)), axis=1)
        moved = places < chance.integers(1, min(3, knobs) + 1, size=count)[:, None]
        return self._history.encoding.mutated(chance, bases, moved, chance.choice(WIDTHS, size=count))
