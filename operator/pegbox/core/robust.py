"""Where a short series of logs lies and how much it scatters, told so that a few outliers change neither.

Latency logs are skewed and have outliers on both sides, and a baseline is short: plain means and deviations of 40
samples move by as much as the effects that are looked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

LOW = 1.0  # deviations, in units of the scale, beyond which a sample below the centre says no more
HIGH = 2.5  # the same above it: what is looked for lies there
MIN_SD = 0.03  # of a sample's log: what is steadier than 3 % is not told apart from rounding
MAX_CORRELATION = 0.8  # beyond it a series of some tens of samples tells drift and noise no longer apart
NORMAL_MAD = 1.4826  # sd of a normal distribution over its median absolute deviation


@dataclass(frozen=True, slots=True)
class Spread:
    """`centre` and `scale` place a sample, `clip` bounds it. `sd` is of one clipped sample, `correlation` lag one."""

    centre: float
    scale: float
    sd: float
    correlation: float

    def clip(self, value: float, shift: float = 0.0) -> float:
        """The value over `centre + shift`, bounded. Monotone: a smaller value never counts as more."""
        return bounded(value - self.centre - shift, self.scale)


def bounded(deviation: float, scale: float) -> float:
    return min(max(deviation, -LOW * scale), HIGH * scale)


def spread(values: Sequence[float]) -> Spread:
    """Of at least four logs, in order of time.

    The centre is Huber's M-estimate with bounds that differ above and below (P. J. Huber, Ann. Math. Statist. 35,
    1964): clipped deviations from it sum to zero, so a clipped sample of the same distribution is 0 on average. The
    variance is raised by n / (n - 3), that of Student's t with n - 1 degrees of freedom, for it was estimated too.
    """
    middle = median(values)
    scale = max(NORMAL_MAD * median([abs(x - middle) for x in values]), MIN_SD)
    centre = _root(values, scale)
    clipped = [bounded(x - centre, scale) for x in values]
    n = len(clipped)
    sd = math.sqrt(sum(x * x for x in clipped) / (n - 3))
    return Spread(centre, scale, max(sd, MIN_SD), correlation(clipped))


def correlation(values: Sequence[float]) -> float:
    """Lag-one autocorrelation in 0..MAX_CORRELATION, without the bias of short series.

    The estimate falls short by about (1 + 3 rho) / n (M. G. Kendall, Biometrika 41, 1954). Negative ones count as 0:
    they would make a short series look more certain than it is.
    """
    middle = sum(values) / len(values)
    around = [x - middle for x in values]
    power = sum(x * x for x in around)
    if power <= 0:
        return 0.0
    found = sum(a * b for a, b in pairwise(around)) / power
    return min(max(found + (1 + 3 * found) / len(values), 0.0), MAX_CORRELATION)


def _root(values: Sequence[float], scale: float) -> float:
    """Where clipped deviations sum to zero, by bisection: the sum falls as the centre rises."""
    low, high = min(values), max(values)
    for _ in range(50):
        middle = (low + high) / 2
        if sum(bounded(x - middle, scale) for x in values) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
