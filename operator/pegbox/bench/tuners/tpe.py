"""Optuna's tree-structured Parzen estimator, Kruize's default: over the whole space, and in our trust region.

Settings that miss the terms are told as worse than all that keep them (Deb's rule, as Optuna's own constraints do).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.bench.tuners.encoding import Array
from pegbox.bench.tuners.history import History
from pegbox.bench.tuners.moves import any_admissible
from pegbox.model.knobs import Setting

TRIES = 20
MOST_CHANGED = 3
BEHIND = 100.0  # in logs of cost: more than any two settings differ


class Tpe:
    """`box`: at most three knobs beside the incumbent, numbers within 15 % of their (log) range."""

    def __init__(self, problem: Problem, *, box: bool = False) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._problem, self._box = problem, box
        self._history = History(problem)
        self._chance = np.random.default_rng([problem.seed, 13])
        sampler = optuna.samplers.TPESampler(seed=problem.seed)
        self._study = optuna.create_study(sampler=sampler, direction="minimize")
        self._asked: tuple[Any, Setting] | None = None
        self._incumbent: Setting | None = None
        for _, quality in self._history.order:
            self._learn(problem.start, quality)

    def ask(self) -> Setting:
        encoding, table = self._history.encoding, self._history.table
        if not len(encoding):
            return self.incumbent
        for _ in range(TRIES):
            self._drop()
            trial = self._study.ask()
            row = self._suggested(trial)
            setting = encoding.setting(row, self.incumbent) if table is None else table.nearest(row)
            if setting is None:  # every row was seen
                self._leave(trial)
                return self.incumbent
            self._asked = (trial, setting)
            if self._problem.admissible(setting):
                return setting
        self._drop()
        return any_admissible(self._history, self._fallback()) or self.incumbent

    def _fallback(self) -> Array:
        """Rows for when the rules refused all that the estimator proposed."""
        encoding = self._history.encoding
        if not self._box:
            return encoding.random(self._chance, TRIES)
        row = encoding.codes([self.incumbent])[0]
        return np.array([encoding.step(self._chance, row, k) for k in self._knobs() * TRIES])

    def _knobs(self) -> list[int]:
        """Those that may move in this step."""
        count = len(self._history.encoding)
        if not self._box:
            return list(range(count))
        return sorted(int(k) for k in self._chance.choice(count, min(MOST_CHANGED, count), replace=False))

    def _suggested(self, trial: Any) -> Array:
        """A row of codes; in the box, knobs that are not drawn stay where the incumbent has them."""
        encoding = self._history.encoding
        here = encoding.codes([self.incumbent])[0]
        row = here.copy()
        for knob in self._knobs():
            column = encoding.columns[knob]
            if column.places and not column.ordered:
                row[knob] = trial.suggest_categorical(column.knob.name, list(column.places))
                continue
            low, high = column.box(float(here[knob])) if self._box else (0.0, 1.0)
            row[knob] = trial.suggest_float(column.knob.name, low, high)
        moved = np.abs(row - here) > 0
        return np.asarray(np.where(moved, encoding.snap(row[None, :])[0], here), dtype=np.float64)

    def tell(self, setting: Setting, measured: Measured) -> None:
        self._history.add(setting, measured)
        self._incumbent = None
        self._drop()
        self._learn(setting, self._history.quality(measured))

    def _drop(self) -> None:
        """What came of a trial is learned as a trial of its own: a table may have answered for another setting, and
        knobs that the box left alone were not suggested.
        """
        if self._asked is not None:
            self._leave(self._asked[0])
            self._asked = None

    def _leave(self, trial: Any) -> None:
        from optuna.trial import TrialState

        self._study.tell(trial, state=TrialState.FAIL)

    def _learn(self, setting: Setting, quality: float | None) -> None:
        from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
        from optuna.trial import create_trial

        columns = self._history.encoding.columns
        distributions: dict[str, BaseDistribution] = {}
        values: dict[str, Any] = {}
        for column, code in zip(columns, self._history.encoding.codes([setting])[0], strict=True):
            name = column.knob.name
            if column.places and not column.ordered:
                distributions[name] = CategoricalDistribution(list(column.places))
                values[name] = float(code)
            else:
                distributions[name] = FloatDistribution(0.0, 1.0)
                values[name] = float(min(max(code, 0.0), 1.0))
        short, cost = self._history.rank(setting, self._history.worst if quality is None else quality)
        value = cost if short <= 0 else BEHIND + short
        self._study.add_trial(create_trial(params=values, distributions=distributions, value=value))

    @property
    def incumbent(self) -> Setting:
        """The visited setting with the best mean of its measurements."""
        if self._incumbent is None:
            self._incumbent = self._history.best()
        return self._incumbent


def tpe(problem: Problem) -> Tpe:
    return Tpe(problem)


def tpe_box(problem: Problem) -> Tpe:
    return Tpe(problem, box=True)
