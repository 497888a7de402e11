"""A level that wanders, and a slope on load, followed through autocorrelated samples by a Kalman filter. Pure.

Beside it, what a constant shift from some sample on would have changed (`Track`), for the likelihood ratio of
`core.sequential`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pegbox.core.robust import Spread

MOST = 2.5  # standard deviations of an innovation that count: no outlier decides alone
VAGUE = 10.0  # sd of the level before the first sample, in sds of a sample

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """One innovation: the surprise, its variance, the gain on (level, slope), and how a sample hangs on the two."""

    surprise: float
    variance: float
    gain: Pair
    row: Pair


@dataclass(frozen=True, slots=True)
class Filter:
    """Level and slope, their covariance, and the last sample (as it was counted) with its x."""

    level: Pair
    covariance: tuple[float, float, float]  # of level and level, level and slope, slope and slope
    wander: float
    sd: float
    correlation: float
    last: float = 0.0
    last_x: float = 0.0
    begun: bool = False

    @classmethod
    def start(cls, spread: Spread, wander: float, slope: Pair) -> Filter:
        """`slope`: its mean and sd before anything is seen."""
        vague = VAGUE * spread.sd
        return cls((0.0, slope[0]), (vague**2, 0.0, slope[1] ** 2), wander, spread.sd, spread.correlation)

    def step(self, value: float, x: float) -> tuple[Filter, Seen]:
        """One sample. Noise is AR(1): all but the first count by what the one before does not tell."""
        rho = self.correlation if self.begun else 0.0
        row = (1.0 - rho, x - rho * self.last_x)
        a, b, c = self.covariance
        a += self.wander**2 if self.begun else 0.0
        hung = (a * row[0] + b * row[1], b * row[0] + c * row[1])
        variance = row[0] * hung[0] + row[1] * hung[1] + self.sd**2 * (1.0 - rho**2)
        told = rho * self.last + row[0] * self.level[0] + row[1] * self.level[1]
        most = MOST * math.sqrt(variance)
        surprise = min(max(value - told, -most), most)
        gain = (hung[0] / variance, hung[1] / variance)
        after = replace(
            self,
            level=(self.level[0] + gain[0] * surprise, self.level[1] + gain[1] * surprise),
            covariance=(a - gain[0] * hung[0], b - gain[0] * hung[1], c - gain[1] * hung[1]),
            last=told + surprise,
            last_x=x,
            begun=True,
        )
        return after, Seen(surprise, variance, gain, row)


@dataclass(frozen=True, slots=True)
class Track:
    """What is known of a shift that began with this track's first sample.

    The log likelihood ratio of its size d is d * score - d^2 * information / 2.
    """

    weight: float
    taken: Pair = (0.0, 0.0)  # what level and slope have taken up of a shift of 1
    score: float = 0.0
    information: float = 0.0
    begun: bool = False

    def step(self, seen: Seen) -> Track:
        """A shift shows in full in its first sample, and later by what the one before does not tell: as the level."""
        shows = seen.row[0] if self.begun else 1.0
        left = shows - seen.row[0] * self.taken[0] - seen.row[1] * self.taken[1]
        return Track(
            self.weight,
            (self.taken[0] + seen.gain[0] * left, self.taken[1] + seen.gain[1] * left),
            self.score + left * seen.surprise / seen.variance,
            self.information + left**2 / seen.variance,
            True,
        )
