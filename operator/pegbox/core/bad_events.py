"""How far a count of bad events may be off by chance. Pure.

Of n events a share b was bad before, as measured on n0 of them. The variance of what is counted beyond b x n is

    2 x b x n x (1 + n / n0)

where 1 is Poisson's for the count itself, n / n0 that of b, and 2 stands for events that go bad in clumps, as in
`verify.p_more`.
"""

from __future__ import annotations

import math

CHANCE = 3.0  # standard deviations: it is looked at with every scrape
CLUMPS = 2.0  # variance of counted events over Poisson's


def share(seen: float, measured: float) -> float:
    """Of bad events, as seen among so many. None seen is not a share of none: it counts as one of those measured."""
    return max(seen, 1 / measured)


def variance(share: float, events: float, measured: float) -> float:
    """Of the bad ones among `events`, against a share that was measured on so many; in events squared."""
    return CLUMPS * share * events * (1 + events / measured)


def chance(variance: float) -> float:
    """Bad events beyond what is expected that are chance still."""
    return CHANCE * math.sqrt(max(0.0, variance))
