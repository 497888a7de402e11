"""What runs when a tuner asks: in a table only rows exist, and in a safe one only those near the incumbent."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from pegbox.bench.tasks import Task
from pegbox.model.knobs import KnobValue, Setting

NEAR = 2  # knobs in which a row of a safe table may differ from the incumbent


class Asking:
    """Of one run. A row that was seen may be asked again, and is the same row; any other proposal becomes the nearest
    unseen row: distance in ranks of levels, ties by seed."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        rows: Sequence[Setting] = task.rows or ()
        self._rows = list(rows)
        self._at = {row: i for i, row in enumerate(self._rows)}
        names = [knob.name for knob in task.space.knobs]
        self._levels = {name: sorted({row[name] for row in rows}, key=_order) for name in names}
        self._ranks = np.array([self._rank(row) for row in rows]).reshape(len(self._rows), len(names))
        self._ties = np.random.default_rng([seed, 7]).permutation(len(self._rows))
        self._seen = np.zeros(len(self._rows), dtype=np.bool_)

    def answer(self, asked: Setting, incumbent: Setting) -> Setting | None:
        """The setting that runs; None where the table has none to offer, which costs no step."""
        if self._task.rows is None:
            return asked
        at = self._at.get(asked)
        if at is None or not (self._seen[at] or not self._task.nearby or asked == incumbent):
            at = self._nearest(asked, incumbent)
        if at is None:
            return None
        self._seen[at] = True
        return self._rows[at]

    def _nearest(self, asked: Setting, incumbent: Setting) -> int | None:
        left = ~self._seen
        if self._task.nearby:
            left &= (self._ranks != np.array(self._rank(incumbent))).sum(axis=1) <= NEAR
        if not left.any():
            return None
        picked = np.flatnonzero(left)
        distance = np.abs(self._ranks[picked] - np.array(self._rank(asked))).sum(axis=1)
        return int(picked[np.lexsort((self._ties[picked], distance))[0]])

    def _rank(self, setting: Setting) -> list[float]:
        return [_place(levels, setting[name]) for name, levels in self._levels.items()]


def _place(levels: Sequence[KnobValue], value: KnobValue) -> float:
    """The rank of a level; of a number between two levels, the share of the way from one to the other."""
    at = bisect_left(levels, _order(value), key=_order)
    if at == len(levels):
        return float(at - 1)
    if at == 0 or levels[at] == value:
        return float(at)
    (low, _), (high, _), (here, _) = _order(levels[at - 1]), _order(levels[at]), _order(value)
    return at - 1 + (here - low) / (high - low) if high > low else float(at)


def _order(value: KnobValue) -> tuple[float, str]:
    """Numbers and booleans by size, choices by name."""
    return (0.0, value) if isinstance(value, str) else (float(value), "")
