"""Beliefs from many workloads: what their coefficients turn out to be, beside what the first windows suggest.

A survey tells a workload's coefficients; the first windows of a walk tell the anchors. The difference is one draw
from the population of what a cold start has to guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, pvariance

import numpy as np
from threadpoolctl import threadpool_limits

from pegbox.learning.beliefs import BY_HAND, Belief, Beliefs, make_prior, pairs
from pegbox.learning.capacity import Layout
from pegbox.learning.estimate import estimate
from pegbox.learning.features import Evidence, evidence, make_plan
from pegbox.model.prediction import Row
from pegbox.testing.drawn import FAMILIES
from pegbox.testing.drawn.base import Drawn
from pegbox.testing.drawn.walk import rows, survey, walk

WINDOWS = (3, 5, 8, 12)
SETTINGS = 30  # of a survey
WIDE = 4.0  # a survey's fit has beliefs that much wider than by hand, so that it tells and they do not
TOLD = 0.6  # share of a family's workloads whose survey must tell a coefficient; else those that tell it are no sample
LEAST_FAMILIES = 2  # a belief from one family could not be judged without it
NARROWEST = 0.1  # of the sd by hand
MAD = 1.4826  # sd of a normal per median absolute deviation
DIGITS = 4  # that are shipped: below what two machines' arithmetic may differ in

VAGUE: Beliefs = {key: Belief(belief.mean, WIDE * belief.sd) for key, belief in BY_HAND.items()}


@dataclass(frozen=True, slots=True)
class Told:
    """Per belief what one workload's first windows missed by; an empty tuple where its survey did not tell."""

    family: str
    misses: Mapping[str, tuple[float, ...]]


def told(family: str, seed: int) -> Told:
    """One workload of the learn split."""
    plant = FAMILIES[family](seed)
    with threadpool_limits(limits=1):
        return Told(family, _misses(plant))


def _misses(plant: Drawn) -> dict[str, tuple[float, ...]]:
    layout, seen, has_queue = _evidence(plant, rows(survey(plant, SETTINGS)))
    found = estimate(layout, seen, has_queue, VAGUE)
    known, best = np.var(found.draws, axis=0) < 0.25 * (found.prior.sd / WIDE) ** 2, found.best
    out: dict[str, tuple[float, ...]] = {}
    seen_so_far = walk(plant, max(WINDOWS))
    for windows in WINDOWS:
        _, few, _ = _evidence(plant, rows(seen_so_far[:windows]))
        prior = make_prior(layout, few, has_queue, BY_HAND)
        for i, key in enumerate(prior.keys):
            out.setdefault(key, ())
            if known[i]:
                out[key] += (float(best[i] - prior.anchor[i]),)
    for name, one, other in pairs(layout):
        out.setdefault(name, ())
        if known[one] and known[other]:
            out[name] += (float(best[one] - best[other]),)
    return out


def _evidence(plant: Drawn, seen: Sequence[Row]) -> tuple[Layout, Evidence, bool]:
    plan = make_plan(plant.space, plant.roles, seen)
    return Layout(plan.limits, plan.concurrency, bool(plan.batch)), evidence(plan, seen), bool(plan.queue)


def population(found: Sequence[Told]) -> dict[str, Belief]:
    """Mean and sd of each belief that enough workloads of enough families tell.

    Families count alike. The variance is that within families (robust) plus that between them: a family that
    nobody drew may lie as far off as these do from each other.
    """
    out: dict[str, Belief] = {}
    for key in sorted({key for one in found for key in one.misses}):
        groups = [_values(found, family, key) for family in sorted({one.family for one in found})]
        groups = [values for values in groups if values]
        if len(groups) < LEAST_FAMILIES:
            continue
        centres = [median(values) for values in groups]
        within = mean((MAD * median([abs(v - c) for v in vs])) ** 2 for vs, c in zip(groups, centres, strict=True))
        sd = (within + pvariance(centres)) ** 0.5
        least = NARROWEST * BY_HAND[key].sd if key in BY_HAND else NARROWEST
        out[key] = Belief(_rounded(mean(centres)), _rounded(max(sd, least)))
    return out


def _values(found: Sequence[Told], family: str, key: str) -> list[float]:
    """What the workloads of a family say of a belief; nothing where too few of them say anything."""
    own = [one.misses[key] for one in found if one.family == family and key in one.misses]
    telling = [values for values in own if values]
    return [v for values in telling for v in values] if own and len(telling) >= TOLD * len(own) else []


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
