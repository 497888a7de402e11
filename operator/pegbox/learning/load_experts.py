"""The single forecasters of load. Each is simple, and each is the best one somewhere: which one is not known before.

An expert sees every load (never a gap) and tells the log of the load some steps ahead, or NaN while it cannot. Logs are
of load + unit, where `unit` is the load of one event in a step: so zero load is a number like any other.
"""

from __future__ import annotations

import math
from typing import Protocol

from pegbox.learning.load_history import LoadHistory

MOST_SEASON = math.log(5.0)  # an earlier day may change the recent mean by this factor at most


class Expert(Protocol):
    """`horizon` is in steps; the answer is a log, NaN where the expert has nothing to say."""

    name: str

    def see(self, load: float) -> None: ...

    def ahead(self, horizon: int) -> float: ...


class Smoothed:
    """Exponential smoothing of the load. `share` is the newest load's part per minute; 1 is the last value."""

    def __init__(self, *, name: str, share: float, step: float, unit: float) -> None:
        self.name, self.share, self.unit = name, 1.0 - (1.0 - share) ** (step / 60.0), unit
        self._level = math.nan

    def see(self, load: float) -> None:
        self._level = load if math.isnan(self._level) else self._level + self.share * (load - self._level)

    def ahead(self, horizon: int) -> float:
        return math.log(max(self._level, 0.0) + self.unit)


class RecentMean:
    """The mean of the last 15 minutes."""

    name = "mean15"

    def __init__(self, history: LoadHistory, *, unit: float) -> None:
        self.history, self.unit = history, unit

    def see(self, load: float) -> None:
        pass  # the history has it

    def ahead(self, horizon: int) -> float:
        return math.log(self.history.mean + self.unit)


class DampedTrend:
    """Holt's linear trend on logs, damped: half of a minute's news into the level, a tenth into the slope.

    Source: E. S. Gardner and E. McKenzie, "Forecasting trends in time series", Management Science 31, 1985.
    """

    name = "trend"

    def __init__(
        self, *, step: float, unit: float, level: float = 0.5, slope: float = 0.1, damping: float = 0.9
    ) -> None:
        part = step / 60.0
        self.level, self.slope = 1.0 - (1.0 - level) ** part, 1.0 - (1.0 - slope) ** part
        self.damping, self.unit = damping**part, unit
        self._at, self._rise = math.nan, 0.0

    def see(self, load: float) -> None:
        log = math.log(load + self.unit)
        if math.isnan(self._at):
            self._at = log
            return
        before, expected = self._at, self._at + self.damping * self._rise
        self._at = expected + self.level * (log - expected)
        self._rise = self.slope * (self._at - before) + (1.0 - self.slope) * self.damping * self._rise

    def ahead(self, horizon: int) -> float:
        if self.damping >= 1.0:
            return self._at + horizon * self._rise
        reach: float = self.damping * (1.0 - self.damping**horizon) / (1.0 - self.damping)
        return self._at + self._rise * reach


class Season:
    """The recent mean times what followed `days` days ago, relative to the recent mean of then."""

    def __init__(self, history: LoadHistory, *, name: str, days: int, unit: float) -> None:
        self.history, self.name, self.days, self.unit = history, name, days, unit

    def see(self, load: float) -> None:
        pass  # the history has it

    def ahead(self, horizon: int) -> float:
        back = self.days * self.history.day
        if back < horizon + self.history.around:
            return math.nan
        then, followed = self.history.mean_at(back), self.history.around_at(back - horizon)
        change = math.log((followed + self.unit) / (then + self.unit))  # NaN where either is
        if math.isnan(change):
            return math.nan
        return math.log(self.history.mean + self.unit) + min(max(change, -MOST_SEASON), MOST_SEASON)


def company(history: LoadHistory, *, unit: float) -> list[Expert]:
    """The single experts, in the order of the forecaster's weights."""
    step = history.step
    return [
        Smoothed(name="last", share=1.0, step=step, unit=unit),
        Smoothed(name="ewma", share=0.3, step=step, unit=unit),
        Smoothed(name="ewma60", share=0.6, step=step, unit=unit),
        RecentMean(history, unit=unit),
        DampedTrend(step=step, unit=unit),
        Season(history, name="yesterday", days=1, unit=unit),
        Season(history, name="last-week", days=7, unit=unit),
    ]


class Jump:
    """How far the last value left the smoothed one beyond three times what is usual, in logs; else 0.

    A feature for the regression, no expert: noise returns, a jump may stay, and which of them is learned.
    """

    def __init__(self, *, usual: float = 3.0, memory: float = 50.0) -> None:
        self.usual, self.memory = usual, memory
        self._size = 0.05

    def see(self, ratio: float) -> float:
        """`ratio`: log of the last value over the smoothed one."""
        beyond = math.copysign(max(0.0, abs(ratio) - self.usual * self._size), ratio)
        self._size += (min(abs(ratio), self.usual * self._size) - self._size) / self.memory
        self._size = max(self._size, 1e-4)
        return beyond
