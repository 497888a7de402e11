"""How often, and how soon, a rule finds a shift, and how often it imagines one: shares with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pegbox.bench.outcome import Run
from pegbox.bench.regressions.rules import Rule
from pegbox.bench.regressions.streams import Array, Stream, Watch

SHIFTS = (0.0, 0.25, 0.5, 1.0)
WITHIN = (1, 2, 3, 8, 30)
RESAMPLES = 1000
TAIL = 0.05  # beyond each bound of an interval


@dataclass(frozen=True)
class Score:
    """`found`: for each watch (row) and shift of SHIFTS (column) the tick at which it was found; 0 for never."""

    stream: str
    rule: str
    overlapping: bool
    tick: float
    starts: Array
    length: int
    found: Array

    def hits(self, shift: float, minutes: float) -> Array:
        """1 where it was found within so many minutes, else 0. The tick nearest to the minute counts as within it."""
        ticks = self.found[:, SHIFTS.index(shift)]
        return np.asarray((ticks > 0) & (ticks <= max(1, round(minutes * 60.0 / self.tick))), dtype=np.float64)

    def share(self, shift: float, minutes: float) -> float:
        return float(np.mean(self.hits(shift, minutes)))

    def delay(self, shift: float) -> float:
        """Median seconds until it was found, where it was; NaN where it never was."""
        ticks = self.found[:, SHIFTS.index(shift)]
        return float(np.median(ticks[ticks > 0])) * self.tick if (ticks > 0).any() else math.nan

    def bounds(self, shift: float, minutes: float) -> tuple[float, float]:
        """The 90 % interval of the share, so that each bound alone holds at 95 %."""
        hits = self.hits(shift, minutes)
        if not self.overlapping:
            return exact(int(hits.sum()), len(hits))
        return blocks(hits, self.starts // self.length)

    def worst(self, shift: float, minutes: float) -> tuple[int, int]:
        """Hits, and how many watches, of the disjoint ones among overlapping ones that hit most often."""
        hits, offsets = self.hits(shift, minutes), self.starts % self.length
        cuts = [hits[offsets == offset] for offset in np.unique(offsets)]
        most = max(cuts, key=lambda cut: float(np.mean(cut)))
        return int(most.sum()), len(most)

    def rows(self) -> list[Run]:
        return [
            {
                "stream": self.stream,
                "watches_cut": "overlapping" if self.overlapping else "disjoint",
                "rule": self.rule,
                "shift": shift,
                "within_min": minutes,
                "found": self.share(shift, minutes),
                "found_low": bounds[0],
                "found_high": bounds[1],
                "delay_s_median": self.delay(shift),
                "false_per_watch": self.share(0.0, WITHIN[-1]),
                "watches": len(self.found),
            }
            for shift in SHIFTS
            for minutes in WITHIN
            for bounds in [self.bounds(shift, minutes)]
        ]


def score(stream: Stream, watches: Sequence[Watch], name: str, rule: Rule, done: Callable[[], None]) -> Score:
    """Of watches that were cut one beside the other, or of overlapping ones."""
    found = []
    for watch in watches:
        found.append(rule(watch, SHIFTS))
        done()
    starts = np.array([w.start for w in watches], dtype=np.float64)
    gaps = np.diff(starts)
    overlapping = bool((gaps[gaps > 0] < stream.length).any())
    table = np.array(found, dtype=np.float64).reshape(len(watches), len(SHIFTS))
    return Score(stream.name, name, overlapping, stream.tick, starts, stream.length, table)


def exact(hits: int, of: int) -> tuple[float, float]:
    """For independent watches (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934)."""
    from scipy.special import betaincinv

    low = 0.0 if hits == 0 else float(betaincinv(hits, of - hits + 1, TAIL))
    return low, 1.0 if hits == of else float(betaincinv(hits + 1, of - hits, 1 - TAIL))


def blocks(hits: Array, block: Array) -> tuple[float, float]:
    """For overlapping watches: whole blocks of one watch's length are drawn again and again.

    H. R. Künsch, Annals of Statistics 17, 1989. With few blocks it is rough, and where all hits agree it has no width.
    """
    names = np.unique(block)
    sums = np.array([hits[block == name].sum() for name in names])
    counts = np.array([(block == name).sum() for name in names])
    drawn = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
    shares = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(shares, [100 * TAIL, 100 * (1 - TAIL)])
    return float(low), float(high)
