"""How much wider than its model says an interval has to be, learned from what it covered.

Each miss raises the log of the width by RATE * (1 - MISSES), each hit lowers it by RATE * MISSES: in the long run a
share MISSES is missed, whatever the model does.

Source: I. Gibbs, E. Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021, on the log of the
width, so that it stays positive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MISSES = 0.05  # of the intervals
Z = 1.96  # sds of a normal interval that misses so much
RATE = 0.2
FIRST = 1.2  # a search asks where its process hopes for most, and there it hopes for too much


@dataclass
class Width:
    """`factor`: of the model's own sds."""

    factor: float = FIRST

    def tell(self, error: float) -> None:
        """`error`: what was measured less what was foretold, in sds of the model."""
        missed = abs(error) > Z * self.factor
        self.factor *= math.exp(RATE * (missed - MISSES))
