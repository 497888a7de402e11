"""A table, ready to be tuned on: the model or the rows, the starts, and the best that there is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pegbox.bench import oracles, surrogate
from pegbox.bench.running import Truth
from pegbox.bench.spec import Mode, Spec
from pegbox.bench.surrogate import Array
from pegbox.bench.tables import Table
from pegbox.bench.tasks import Task, logs_of, pricing, surrogate_task
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting

STARTS = 20  # of a safe table, fixed: the n-th seed has the n-th
MIDDLE = (0.4, 0.6)  # the share of rows between which they are drawn


@dataclass
class Ground:
    """`sha256` is that of the model's predictions; None for a table, whose own hash says all."""

    spec: Spec
    table: Table
    model_seed: int
    model: surrogate.Surrogate | None
    sha256: str | None
    _known: dict[str, tuple[Task, Truth]] = field(default_factory=dict)

    def of(self, start: str, seed: int) -> tuple[Task, Truth]:
        """The task from a start, with the truth about it."""
        key = start if self.model is not None else f"{seed % STARTS}"
        if key not in self._known:
            self._known[key] = self._modelled(start) if self.model is not None else self._tabled(seed)
        return self._known[key]

    def _modelled(self, start: str) -> tuple[Task, Truth]:
        assert self.model is not None
        task = surrogate_task(self.spec, self.table, self.model, self.model_seed, start)
        path = oracles.reachable(task, self.spec.steps)
        best = oracles.everywhere(task, [path[-1].setting, *(row.setting for row in self.table.rows)])
        return task, Truth(best, tuple(path))  # the best of all is never behind what small steps reach

    def _tabled(self, seed: int) -> tuple[Task, Truth]:
        values = _merged(self.table)
        settings = tuple(values)
        start = _drawn(self.spec, values, seed)
        safe = self.spec.mode is Mode.TABLE_SAFE
        task = Task(
            spec=self.spec,
            space=self.table.space,
            start=start,
            start_name="drawn",
            model_seed=0,
            true=_looked_up(values),
            noise_sd=lambda setting: 0.0,
            price=pricing(self.spec, self.table),
            logs=logs_of(self.spec, self.table.space),
            rows=settings,
            first=() if safe else _shared(settings, seed),
            nearby=safe,
        )
        return task, Truth(oracles.everywhere(task), ())


def prepare(spec: Spec, table: Table, model_seed: int) -> Ground:
    """Raises InvalidInput for a start that is no row with a measurement."""
    check(spec, table)
    if spec.mode is not Mode.SURROGATE:
        return Ground(spec, table, 0, None, None)
    model = surrogate.fit(table, model_seed)
    return Ground(spec, table, model_seed, model, model.sha256())


def check(spec: Spec, table: Table) -> None:
    """Is each start a row with a measurement, inside the limits? Raises InvalidInput."""
    for order in spec.starts.values():
        start = table.row(order).setting
        beyond = [knob.name for knob in table.space.knobs if not knob.admits(start[knob.name])]
        if beyond:
            raise InvalidInput(f"{spec.name}: starts", order, f"{', '.join(beyond)} is outside min and max: widen them")


def _merged(table: Table) -> dict[Setting, float]:
    """Each setting once: the mean of its rows; a setting that failed every time is no row."""
    found: dict[Setting, list[float]] = {}
    for row in table.usable:
        assert row.metric is not None
        found.setdefault(row.setting, []).append(row.metric)
    return {setting: sum(each) / len(each) for setting, each in found.items()}


def _looked_up(values: dict[Setting, float]) -> Callable[[Sequence[Setting]], Array]:
    return lambda settings: np.array([values.get(setting, float("nan")) for setting in settings])


def _drawn(spec: Spec, values: dict[Setting, float], seed: int) -> Setting:
    """One of 20 rows from the middle of the table; the same 20 for everybody."""
    ranked = sorted(values, key=lambda setting: (values[setting], repr(setting)))
    middle = ranked[int(len(ranked) * MIDDLE[0]) : int(len(ranked) * MIDDLE[1]) + 1] or ranked
    chance = random.Random(f"{spec.name}/starts")
    starts = [middle[chance.randrange(len(middle))] for _ in range(STARTS)]
    return starts[seed % STARTS]


def _shared(settings: tuple[Setting, ...], seed: int) -> tuple[Setting, ...]:
    """The rows that every tuner begins with, by seed."""
    chance = random.Random(f"shared/{seed}")
    return tuple(chance.sample(settings, min(8, len(settings))))
