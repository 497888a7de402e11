"""Pegbox's own entry: the search that runs in the operator (pegbox.learning.search)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from pegbox.bench.foretelling import Told
from pegbox.bench.tuners.base import Measured, Problem, Tuner
from pegbox.bench.tuners.expected import Improver
from pegbox.bench.tuners.forest import Forest
from pegbox.bench.tuners.gp import Process
from pegbox.bench.tuners.mixed import Mixed
from pegbox.learning import budget
from pegbox.learning.search import SafeSearch
from pegbox.learning.terms import Goal, Parameters
from pegbox.model.knobs import Setting


@dataclass
class Pegbox:
    """Ask and tell in the units of the search."""

    search: SafeSearch
    sign: float
    target: float | None = None
    foretold: list[Told] = field(default_factory=list)

    def ask(self) -> Setting:
        return self.search.ask()

    def tell(self, setting: Setting, measured: Measured) -> None:
        value = quality(measured, self.sign, self.target)
        expected = self.search.foretell(setting)
        if expected is not None and value is not None:
            self.foretold.append(Told(value - expected.mean, expected.sd, expected.width, expected.ran))
        self.search.tell(setting, value)

    @property
    def incumbent(self) -> Setting:
        return self.search.incumbent


def quality(measured: Measured, sign: float, target: float | None = None) -> float | None:
    """The log metric, or for a share what is left of the error budget; more is better.

    None where the workload failed, or the metric is no positive number.
    """
    metric = measured.metric
    if metric is None or not math.isfinite(metric) or metric <= 0.0:
        return None
    return sign * math.log(metric) if target is None else budget.quality(metric, target)


def make(problem: Problem, parameters: Parameters | None = None) -> Tuner:
    """The safe search; where any row may be asked and nothing is at stake, expected improvement over two models."""
    if problem.rows is not None and not problem.nearby:
        return Improver(
            problem, Mixed(Process(), Forest(np.random.default_rng([problem.seed, 16]))), constrained=False, first=0
        )
    sign = 1.0 if problem.maximise else -1.0
    free = tuple(value for m in problem.free if (value := quality(m, sign, problem.target)) is not None)
    floor, least = _beside(problem, problem.floor), _beside(problem, problem.least)
    strict = problem.target is not None and least <= 0.0
    goal = Goal(floor, least, problem.price, problem.admissible, strict)
    rows, logs = problem.rows, problem.logs
    search = SafeSearch(problem.space, problem.start, goal, free, problem.seed, logs, parameters or Parameters(), rows)
    return Pegbox(search, sign, problem.target)


def _beside(problem: Problem, asked: float) -> float:
    """A share of the start's metric, as it lies beside the start's quality."""
    if asked <= 0:
        return -math.inf
    known = [m.metric for m in problem.free if quality(m, 1.0) is not None and m.metric is not None]
    if problem.target is None or not known:
        return math.log(asked)
    start = sum(known) / len(known)
    return budget.quality(start * asked, problem.target) - budget.quality(start, problem.target)
