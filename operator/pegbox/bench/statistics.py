"""Intervals for paired runs: what of a difference is left when other tasks and other seeds had been drawn.

Runs of one task are alike, so tasks (clusters) are drawn first, with replacement, and seeds within each of them
(two-stage cluster bootstrap; Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8).
Intervals hold 90 %: from the 5th to the 95th percentile, each a value that was drawn, never one between two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

Array = NDArray[np.float64]
ROUNDS = 2000
LEVEL = 0.90


@dataclass(frozen=True, slots=True)
class Interval:
    """90 % around a mean (or a ratio of sums), in the unit of what was given."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One seed's figure of ours and of the other's, under the same noise. `cluster` names the task.

    Give all pairs of an experiment the same cluster to draw seeds alone.
    """

    cluster: str
    ours: float
    other: float


def ratio_of_sums(pairs: Sequence[Pair], *, seed: int = 0, rounds: int = ROUNDS) -> Interval | Missing:
    """Sum of ours over sum of the other's. Missing without pairs, or where the other's sum is not above 0.

    A draw in which the other's sum is 0 counts as infinite, or as 1 where ours is 0 as well. Raises InvalidInput for
    figures that are not finite or are negative.
    """
    if any(pair.ours < 0 or pair.other < 0 for pair in pairs):
        raise InvalidInput("pairs", "a negative figure", "a ratio of sums needs figures of at least 0")
    drawn = _sums(pairs, seed, rounds)
    if isinstance(drawn, Missing):
        return drawn
    total = math.fsum(pair.other for pair in pairs)
    if total <= 0:
        return Missing(Reason.NO_DATA, "the other's sum is 0: nothing to be a ratio of")
    ours, other = drawn[:, 0], drawn[:, 1]
    empty = other <= 0
    ratios = np.where(empty, np.where(ours <= 0, 1.0, np.inf), ours / np.where(empty, 1.0, other))
    return _interval(math.fsum(pair.ours for pair in pairs) / total, ratios)


def difference_of_means(pairs: Sequence[Pair], *, seed: int = 0, rounds: int = ROUNDS) -> Interval | Missing:
    """Mean of ours less mean of the other's, over all pairs alike. Missing without pairs. Raises InvalidInput."""
    drawn = _sums(pairs, seed, rounds)
    if isinstance(drawn, Missing):
        return drawn
    mean = math.fsum(pair.ours - pair.other for pair in pairs) / len(pairs)
    return _interval(mean, (drawn[:, 0] - drawn[:, 1]) / drawn[:, 2])


def mean_of(figures: Sequence[tuple[str, float]], *, seed: int = 0, rounds: int = ROUNDS) -> Interval | Missing:
    """Of (cluster, figure). Where all figures are 0 the interval is (0, 0): see `highest_share` for what is rare."""
    return difference_of_means([Pair(c, x, 0.0) for c, x in figures], seed=seed, rounds=rounds)


def highest_share(count: int, total: int, level: float = 0.95) -> float:
    """The largest share under which `count` or fewer of `total` are no surprise (Clopper and Pearson 1934, one side).

    A bootstrap of runs in which nothing happened says that nothing ever will: this says 3 / total. For independent
    trials; steps of one run are not, so give runs where a step seldom stands alone. Raises InvalidInput.
    """
    from scipy.special import betaincinv

    if not 0 <= count <= total or total < 1:
        raise InvalidInput("count", f"{count} of {total}", "give a count between 0 and the total")
    return 1.0 if count == total else float(betaincinv(count + 1, total - count, level))


def _interval(mean: float, drawn: Array) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return Interval(float(mean), float(low), float(high))


def _sums(pairs: Sequence[Pair], seed: int, rounds: int) -> Array | Missing:
    """(rounds, 3): sum of ours, sum of the other's, and how many pairs, of every draw."""
    if not pairs:
        return Missing(Reason.NO_DATA, "no pairs")
    groups: dict[str, list[tuple[float, float, float]]] = {}
    for pair in pairs:
        groups.setdefault(pair.cluster, []).append((pair.ours, pair.other, 1.0))
    if not all(np.isfinite([pair.ours, pair.other]).all() for pair in pairs):
        raise InvalidInput("pairs", "a figure that is not finite", "say why it is missing, and leave it out")
    chance = np.random.default_rng(seed)
    names = sorted(groups)  # not in the order of the runs, which are resumed in shards
    picked = chance.integers(len(names), size=(rounds, len(names)))
    return sum(
        (_of_cluster(chance, sorted(groups[n]), picked == i) for i, n in enumerate(names)), np.zeros((rounds, 3))
    )


def _of_cluster(chance: Generator, rows: Sequence[tuple[float, float, float]], drawn: NDArray[np.bool_]) -> Array:
    """(rounds, 3): what one cluster adds: its seeds drawn anew each time that the cluster itself was drawn."""
    figures, times = np.array(rows), np.sum(drawn, axis=1)
    sums = np.sum(figures[chance.integers(len(rows), size=(int(np.sum(times)), len(rows)))], axis=1)
    added = np.zeros((len(times), 3))
    np.add.at(added, np.repeat(np.arange(len(times)), times), sums)
    return added
