"""Compares two sets of policies at the same price: bad minutes over the replica ratio, with an interval by blocks.

A frontier is the line through its policies' (replica ratio, bad minutes), in the order of the ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pegbox.learning.queueing import Array

RATIOS = tuple(round(1.08 + 0.01 * i, 2) for i in range(8))  # 1.08 to 1.15
DRAWS = 1000
INTERVAL = (0.05, 0.95)  # 90 %, as in every other table
LEAST_DAYS = 5  # below so many days, blocks are twentieths of what is held out
FEWEST_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class Sums:
    """By policy and block: `bad` minutes and `paid` replica-steps (policies, blocks); `oracle` (blocks,)."""

    bad: Array
    paid: Array
    oracle: Array

    def points(self, weights: Array | None = None) -> tuple[Array, Array]:
        """(replica ratios, bad minutes), each (policies,), in the order of the ratio; `weights` by block."""
        each = np.ones(len(self.oracle)) if weights is None else weights
        ratios, bad = self.paid @ each / float(self.oracle @ each), self.bad @ each
        order = np.argsort(ratios, kind="stable")
        return ratios[order], bad[order]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many fewer bad minutes, as a share, over the ratios that both frontiers reach; with its 90 % interval."""

    ratios: tuple[float, ...]
    theirs: tuple[float, ...]
    mine: tuple[float, ...]
    fewer: float
    low: float
    high: float


def sums(bad: Array, paid: Array, oracle: Array, step: float) -> Sums:
    """Blocks are days, or twentieths of a short trace. `bad` and `paid`: (policies, steps)."""
    steps = len(oracle)
    day = round(86_400.0 / step)
    block = day if steps >= LEAST_DAYS * day else max(1, steps // FEWEST_BLOCKS)
    starts = np.arange(0, steps, block)
    minutes = np.add.reduceat(bad, starts, axis=1) * step / 60.0
    return Sums(minutes, np.add.reduceat(paid, starts, axis=1), np.add.reduceat(oracle, starts))


def compare(mine: Sums, theirs: Sums, seed: int = 0) -> Comparison | None:
    """At `RATIOS`, as far as both reach and the HPA has bad minutes at all; None where that is nowhere."""
    here, there = mine.points(), theirs.points()
    low, high = max(here[0][0], there[0][0]), min(here[0][-1], there[0][-1])
    ratios = np.array([ratio for ratio in RATIOS if low - 1e-9 <= ratio <= high + 1e-9])
    if not len(ratios) or not np.interp(ratios, *there).sum():
        return None
    chance = np.random.default_rng(seed)
    blocks = len(theirs.oracle)
    draws = []
    for _ in range(DRAWS):
        weights = np.bincount(chance.integers(0, blocks, blocks), minlength=blocks).astype(np.float64)
        if weights @ theirs.oracle > 0.0:
            draws.append(_fewer(mine.points(weights), theirs.points(weights), ratios))
    bounds = np.nanquantile(np.array(draws), INTERVAL) if not np.all(np.isnan(draws)) else (np.nan, np.nan)
    a, b = np.interp(ratios, *here), np.interp(ratios, *there)
    return Comparison(
        tuple(ratios.tolist()), tuple(b.tolist()), tuple(a.tolist()), _fewer(here, there, ratios), *map(float, bounds)
    )


def losses(mine: Sums, theirs: Sums) -> list[tuple[float, float, float]]:
    """(ratio, mine, theirs) of my policies outside of `RATIOS` that exceed theirs by more than max(3, 10 %)."""
    ratios, bad = mine.points()
    others = np.interp(ratios, *theirs.points())
    return [
        (float(ratio), float(one), float(other))
        for ratio, one, other in zip(ratios, bad, others, strict=True)
        if not RATIOS[0] <= ratio <= RATIOS[-1] and one > other + max(3.0, 0.1 * other) + 1e-9
    ]


def _fewer(mine: tuple[Array, Array], theirs: tuple[Array, Array], ratios: Array) -> float:
    """1 - (my bad minutes) / (theirs), each summed over the ratios; NaN where they have none."""
    other = float(np.interp(ratios, *theirs).sum())
    return 1.0 - float(np.interp(ratios, *mine).sum()) / other if other > 0.0 else float("nan")
