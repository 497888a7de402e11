"""Rolling split-conformal upper quantiles: what was missed lately, relative to how much is missed just now.

Source: V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", Springer 2005; the scaled score
is that of J. Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 113, 2018, section 5.2.
"""

from __future__ import annotations

import math
from array import array

import numpy as np

WINDOW = 4320  # scores, three days of minutes
LEAST_SCORES = 30
MEMORIES = (10.0 / 3.0, 11.0, 111.0)  # of the usual miss, in horizons: now, this half hour, today
FLOOR = 0.003  # 0.3 %: a load that stands still is not known better than that


class UsualMiss:
    """How large a log-error is just now: the geometric mean of three decayed means, without their start's bias."""

    def __init__(self, *, horizon: int) -> None:
        self._keep = tuple(1.0 - 1.0 / max(1.0 + 1e-9, memory * horizon) for memory in MEMORIES)
        self._sums = [0.0] * len(MEMORIES)
        self._count = [0.0] * len(MEMORIES)

    def tell(self, error: float) -> None:
        for i, keep in enumerate(self._keep):
            self._sums[i] = keep * self._sums[i] + abs(error)
            self._count[i] = keep * self._count[i] + 1.0

    @property
    def size(self) -> float:
        """In logs; 1 before the first error."""
        if not self._count[0]:
            return 1.0
        parts = (s / n + FLOOR for s, n in zip(self._sums, self._count, strict=True))
        return math.exp(sum(map(math.log, parts)) / len(MEMORIES))


class RollingQuantile:
    """The quantiles of the last `window` scores, kept as they came, in four bytes each."""

    def __init__(self, *, window: int = WINDOW) -> None:
        self.window = window
        self._scores = array("f")  # once full, the oldest is at `_oldest`
        self._oldest = 0

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, score: float) -> None:
        if len(self._scores) < self.window:
            self._scores.append(score)
            return
        self._scores[self._oldest] = score
        self._oldest = (self._oldest + 1) % self.window

    def lacking(self, quantile: float) -> int:
        """Scores still to come before this quantile can be told; 0 where it can."""
        return max(0, max(LEAST_SCORES, math.ceil(quantile / (1.0 - quantile) - 1e-9)) - len(self))

    def at(self, quantile: float) -> float:
        """The (n + 1) q-th smallest score, between neighbours in proportion. Needs `lacking` to be 0."""
        place = (len(self) + 1) * quantile
        low = min(max(math.floor(place), 1), len(self))
        high = min(low + 1, len(self))
        ranked = np.partition(np.array(self._scores, dtype=float), (low - 1, high - 1))
        below, above = float(ranked[low - 1]), float(ranked[high - 1])
        return below + min(max(place - low, 0.0), 1.0) * (above - below)
