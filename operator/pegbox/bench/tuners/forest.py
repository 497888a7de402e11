"""Random forest with expected improvement: what stands in for SMAC, whose own forest has no wheel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from pegbox.bench.tuners.base import Problem
from pegbox.bench.tuners.encoding import Array
from pegbox.bench.tuners.expected import Improver

TREES = 30
FIRST = 5


class Forest:
    """Mean and variance over trees, each of which sees its own bootstrap and 5/6 of the columns at a split (SMAC's)."""

    def __init__(self, chance: Generator) -> None:
        self._chance = chance
        self._trees: list[Any] = []

    def fit(self, columns: Array, logs: Array, sd: float) -> None:
        from sklearn.ensemble import RandomForestRegressor

        seed = int(self._chance.integers(2**31 - 1))
        made = RandomForestRegressor(TREES, max_features=5 / 6, min_samples_split=3, random_state=seed, n_jobs=1)
        made.fit(columns, logs)
        self._trees, self._least = [tree.tree_ for tree in made.estimators_], max(sd, 1e-6) * 0.1

    def predict(self, columns: Array) -> tuple[Array, Array]:
        narrow = np.ascontiguousarray(columns, dtype=np.float32)
        each = np.stack([tree.predict(narrow)[:, 0] for tree in self._trees])
        return np.asarray(np.mean(each, axis=0)), np.maximum(np.std(each, axis=0), self._least)


def rf_ei(problem: Problem) -> Improver:
    chance = np.random.default_rng([problem.seed, 15])
    return Improver(problem, Forest(chance), constrained=False, first=FIRST, revisits=False)
