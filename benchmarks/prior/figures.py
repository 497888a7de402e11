"""Scores of many workloads as a few figures, with intervals by bootstrap over workloads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import mean, median

from benchmarks.prior.score import LEVEL, Ahead, Guess, Scores
from pegbox.learning.beliefs import ColdStart

RESAMPLES = 400
CLIP = 20.0  # of an interval score: one guess that is off by a factor of e must not decide alone
WEIGHT = 0.1  # of interval scores beside median errors: they are some ten times as large


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its 90 % interval; `samples` workloads."""

    value: float
    low: float
    high: float
    samples: int


def misfits(found: Sequence[Scores]) -> tuple[float, float]:
    """(capacity, latency) misfit per distance with which nine of ten intervals would have held the truth."""
    return _ninth([g.needed for s in found for g in s.capacity]), _ninth([g.needed for s in found for g in s.latency])


def _ninth(values: list[float]) -> float:
    """The ceil((n + 1) * 0.9)-th smallest, as split conformal prediction takes it; 0 without values."""
    ranked = sorted(values)
    return float(f"{ranked[min(len(ranked), math.ceil((len(ranked) + 1) * LEVEL)) - 1]:.4g}") if ranked else 0.0


def widened(score: Scores, cold: ColdStart) -> Scores:
    """The scores as they would have been with the misfits of `cold`."""
    return replace(
        score,
        capacity=tuple(g.widened(cold.capacity_misfit) for g in score.capacity),
        latency=tuple(g.widened(cold.latency_misfit) for g in score.latency),
    )


def loss(found: Sequence[Scores]) -> float:
    """What candidates are compared by: median error and interval score of capacity and of latency, families alike."""
    families = sorted({score.family for score in found})
    return mean(_family_loss([score for score in found if score.family == family]) for family in families)


def _family_loss(found: Sequence[Scores]) -> float:
    total = 0.0
    for guesses in ([g for s in found for g in s.capacity], [g for s in found for g in s.latency]):
        total += median(abs(g.off) for g in guesses) + WEIGHT * mean(min(g.loss, CLIP) for g in guesses)
    return total


Statistic = Callable[[Sequence[Scores]], float | None]


def capacity_error(found: Sequence[Scores]) -> float | None:
    """Median |log| of predicted to true capacity."""
    return _median([abs(g.off) for s in found for g in s.capacity])


def capacity_loss(found: Sequence[Scores]) -> float | None:
    """Mean interval score of capacity: it asks for narrow intervals that hold the truth."""
    guesses = [min(g.loss, CLIP) for s in found for g in s.capacity]
    return mean(guesses) if guesses else None


def latency_error(found: Sequence[Scores]) -> float | None:
    return _median([abs(g.off) for s in found for g in s.latency])


def capacity_coverage(found: Sequence[Scores]) -> float | None:
    return _share([g.outside == 0.0 for s in found for g in s.capacity])


def latency_coverage(found: Sequence[Scores]) -> float | None:
    return _share([g.outside == 0.0 for s in found for g in s.latency])


def capacity_width(found: Sequence[Scores]) -> float | None:
    """Median log of the interval's high to its low end."""
    return _median([g.down + g.up for s in found for g in s.capacity])


def harmful(found: Sequence[Scores]) -> float | None:
    """Share of proposals that would have done harm."""
    return _share([s.proposal == "harmful" for s in found if s.proposal != "none"])


def gains(found: Sequence[Scores]) -> float | None:
    """Share of proposals that would have served more, or met a target that was missed."""
    return _share([s.proposal == "gains" for s in found if s.proposal != "none"])


def proposes(found: Sequence[Scores]) -> float | None:
    """Share of workloads for which a setting was proposed at all."""
    return _share([s.proposal != "none" for s in found])


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _share(values: Sequence[bool]) -> float | None:
    return mean(values) if values else None


def figure(found: Sequence[Scores], statistic: Statistic) -> Figure | None:
    """The statistic of these scores; its interval by drawing whole workloads again."""
    value = statistic(found)
    if value is None:
        return None
    drawn = [d for sample in _resamples(found) if (d := statistic(sample)) is not None]
    return _interval(value, drawn, len(_by_workload(found)))


def difference(found: Sequence[Scores], statistic: Statistic, one: str, other: str) -> Figure | None:
    """The statistic under `one` less that under `other`, workloads drawn in pairs."""

    def apart(sample: Sequence[Scores]) -> float | None:
        a, b = (statistic([s for s in sample if s.beliefs == name]) for name in (one, other))
        return None if a is None or b is None else a - b

    return figure([s for s in found if s.beliefs in (one, other)], apart)


def _by_workload(found: Sequence[Scores]) -> list[list[Scores]]:
    groups: dict[tuple[str, int], list[Scores]] = {}
    for score in found:
        groups.setdefault((score.family, score.seed), []).append(score)
    return list(groups.values())


def _resamples(found: Sequence[Scores]) -> list[list[Scores]]:
    groups, chance = _by_workload(found), Random(0)
    return [[s for g in chance.choices(groups, k=len(groups)) for s in g] for _ in range(RESAMPLES)]


def _interval(value: float, drawn: list[float], samples: int) -> Figure:
    ranked = sorted(drawn)
    return Figure(value, ranked[len(ranked) // 20], ranked[-1 - len(ranked) // 20], samples)


def covered(found: Sequence[Ahead], beliefs: str) -> Figure:
    """Share of the windows that measured capacity which lay inside the interval said beforehand."""
    own = [[g.outside == 0.0 for g in one.guesses] for one in found if one.beliefs == beliefs and one.guesses]
    chance = Random(0)
    drawn = [mean(x for each in chance.choices(own, k=len(own)) for x in each) for _ in range(RESAMPLES)]
    return _interval(mean(x for each in own for x in each), drawn, len(own))


def guesses_of(found: Sequence[Ahead], beliefs: str) -> list[Guess]:
    return [g for one in found if one.beliefs == beliefs for g in one.guesses]
