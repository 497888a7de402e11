"""The largest rise of the load over a horizon in the last eight days: no forecast is taken to say more.

Scores of the upper quantile are errors relative to how much is missed just then. A load that stood still for an hour
and then climbs makes a score of hundreds, and that many times the usual miss of an hour later is no load of this world:
25/s became 200,000/s in a simulated day.
"""

from __future__ import annotations

import math
from collections import deque

DAYS = 8


class LargestRise:
    """`horizon` and `day` in steps. `unit` is added to both loads, so that a rise from nothing is finite."""

    def __init__(self, horizon: int, *, day: int, unit: float) -> None:
        self.day, self.unit = day, unit
        self._recent: deque[float] = deque(maxlen=horizon + 1)  # NaN is a gap
        self._days: deque[float] = deque([0.0], maxlen=DAYS)  # the largest log ratio of each, the newest last
        self._steps = 0

    def see(self, load: float | None) -> None:
        """One step's load, or None."""
        self._steps += 1
        if self._steps % self.day == 0:
            self._days.append(0.0)
        self._recent.append(math.nan if load is None else load)
        before, now = self._recent[0], self._recent[-1]
        if len(self._recent) == self._recent.maxlen and before == before and now == now:
            self._days[-1] = max(self._days[-1], math.log((now + self.unit) / (before + self.unit)))

    def beyond(self, load: float) -> float:
        """What the load would be after such a rise."""
        return (load + self.unit) * math.exp(max(self._days)) - self.unit
