"""Shares under an SLO as the search sees them: by how much of the error budget is used up.

A share saturates: from 0.9999 to 0.96 its log hardly moves, and a step further it misses an SLO of 0.95. What is left
of the budget tells much earlier where that ends. Misses are counted in budgets (1 - target), with a pedestal below
which nobody can tell one count of rare misses from another; so the noise is about the same wherever the share is.
"""

from __future__ import annotations

import math

PEDESTAL = 0.1  # of the budget: misses below it are too few to count
SCALE = 0.05  # of the log: near an SLO of 0.95, one per cent more of the share is then worth about one per cent


def quality(share: float, target: float) -> float:
    """More is better, and 0 is a share that just meets `target`."""
    used = max(0.0, 1.0 - share) / (1.0 - target)
    return -SCALE * math.log((PEDESTAL + used) / (PEDESTAL + 1.0))
