"""What the forecaster remembers of the load: a ring of the last days, in which a gap is a gap and never zero."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterable

RECENT_SECONDS = 900.0  # the recent mean, to which every expert's ratio is taken
DAY_SECONDS = 86_400.0
AROUND_SECONDS = 120.0  # an earlier day's value is a mean over two minutes on either side
LATEST = 3  # steps: so many are remembered as they came, however long they are

GAP, ZERO, FIRST, LAST = 0, 1, 2, 65_535
DOUBLING = 800  # codes from a load to twice as much: 0.09 % apart, and a unit half as large moves all codes alike
LEAST = -30  # log2 of the least load that is no zero; the largest code is 3e15


class LoadHistory:
    """The last eight days of loads, by number of the step (0 is the first).

    `step` is in seconds. Memory grows to a fixed size: at one step per minute a ring of 11,525 numbers of two bytes,
    each within 0.05 % of the load. Only means over some of them are taken; the newest quarter of an hour is exact.
    """

    def __init__(self, *, step: float = 60.0) -> None:
        self.step = step
        self.day = max(1, round(DAY_SECONDS / step))
        self.recent = max(1, round(RECENT_SECONDS / step))
        self.around = max(0, round(AROUND_SECONDS / step))
        self.steps = 0  # seen so far, gaps included
        self.known = 0  # of them with a load
        self.silent = 0  # gaps since the last load
        self._size = 8 * self.day + 2 * self.around + 1
        self._loads = array("H")
        self._window: deque[float] = deque(maxlen=max(self.recent, LATEST))
        self._mean = math.nan

    def see(self, load: float | None) -> None:
        """One step's load, or None where nobody measured it."""
        value = math.nan if load is None else load
        self._window.append(value)
        self._mean = _mean(list(self._window)[-self.recent :])
        if len(self._loads) < self._size:
            self._loads.append(_packed(value))
        else:
            self._loads[self.steps % self._size] = _packed(value)
        self.steps += 1
        self.known += load is not None
        self.silent = 0 if load is not None else self.silent + 1

    @property
    def mean(self) -> float:
        """Of the last 15 minutes; NaN where they hold no load."""
        return self._mean

    def mean_at(self, back: int) -> float:
        """The 15-minute mean as it was `back` steps ago; NaN where that is not remembered."""
        last = self.steps - 1 - back
        return _mean([self._at(i) for i in range(last - self.recent + 1, last + 1)])

    def around_at(self, back: int) -> float:
        """The mean load around the step `back` steps ago (negative: ahead); NaN where nothing is remembered."""
        centre = self.steps - 1 - back
        return _mean([self._at(i) for i in range(centre - self.around, centre + self.around + 1)])

    def load_at(self, back: int) -> float:
        """The load `back` steps ago; NaN where that is a gap or not remembered."""
        return self._at(self.steps - 1 - back)

    def _at(self, index: int) -> float:
        if not max(0, self.steps - self._size) <= index < self.steps:
            return math.nan
        newer = self.steps - index  # than it, and it
        if newer <= len(self._window):
            return self._window[-newer]
        return _unpacked(self._loads[index % self._size])


def _packed(load: float) -> int:
    """A code for it, by its log."""
    if math.isnan(load):
        return GAP
    if load < 2.0**LEAST:
        return ZERO
    return min(FIRST + round((math.log2(load) - LEAST) * DOUBLING), LAST)


def _unpacked(code: int) -> float:
    if code < FIRST:
        return math.nan if code == GAP else 0.0
    return float(2.0 ** ((code - FIRST) / DOUBLING + LEAST))


def _mean(values: Iterable[float]) -> float:
    """Of those that are known; NaN where none is."""
    inside = [x for x in values if x == x]
    return sum(inside) / len(inside) if inside else math.nan
