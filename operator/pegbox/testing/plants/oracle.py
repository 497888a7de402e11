"""The best setting of a plant, from its own truth: what a tuner is compared with and never sees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from random import Random

from pegbox.core.steps import reach
from pegbox.model.knobs import Knob, KnobType, KnobValue, Setting
from pegbox.testing.plants.knobs import faults
from pegbox.testing.plants.protocol import Minute, Plant

MOVES = 30  # trials that the reachable oracle has
STRIDES = (Fraction(1), Fraction(1, 4))
MUCH = 0.03  # a single knob that saves less is weighed against every pair
LEVELS = 10  # values of a numeric knob that the search over everything looks at, evenly in the logarithm
RESTARTS = 3
HOUR = 3600.0

Merit = tuple[int, float]
"""Lower is better: (0, cost) where the SLO holds, else (1, -score)."""


def cost_of(minute: Minute) -> float:
    """Money per 1,000 good events; infinite where none is good."""
    good = minute.offered * minute.good * HOUR
    return minute.money * 1000.0 / good if good > 0 else math.inf


def true_cost(plant: Plant, setting: Setting, at: int) -> float | None:
    """Money per 1,000 good events without noise at that minute's load and code; None where the SLO does not hold."""
    minute = plant.steady(setting, at)
    return cost_of(minute) if plant.slo.holds(minute) else None


def merit(plant: Plant, setting: Setting, at: int) -> Merit:
    minute = plant.steady(setting, at)
    return (0, cost_of(minute)) if plant.slo.holds(minute) else (1, -plant.slo.score(minute))


def reachable(plant: Plant, at: int, *, moves: int = MOVES) -> Setting:
    """Where an omniscient tuner gets in so many trials, each within the knobs' max_step: the best next move, again
    and again. A move is one knob, or where no single one helps much two numeric knobs at once. Walks of full and of
    quarter steps; the one that ends best counts, since the boldest first move may lead to a dead end.
    """
    ends = [climb(plant, plant.start, at, moves, stride) for stride in STRIDES]
    return min(ends, key=lambda end: merit(plant, end, at))


def reference(plant: Plant, at: int) -> Setting:
    """What a tuner is compared with: the best of the settings that the plant knows from a longer search, or where it
    knows none that holds, the reachable one.
    """
    known: tuple[Setting, ...] = getattr(plant, "known", ())
    good = [setting for setting in known if merit(plant, setting, at)[0] == 0]
    return min(good, key=lambda setting: merit(plant, setting, at)) if good else reachable(plant, at)


def climb(plant: Plant, start: Setting, at: int, moves: int, stride: Fraction = Fraction(1)) -> Setting:
    """The greedy walk from a setting; ends early where nothing is better."""
    here, now = start, merit(plant, start, at)
    for _ in range(moves):
        found = _best(plant, singles(plant, here, stride), at, now)
        if found is None or not _much(found[0], now):
            found = _best(plant, _pairs(plant, here, stride), at, found[0] if found else now) or found
        if found is None:
            break
        now, here = found
    return here


def _much(better: Merit, than: Merit) -> bool:
    return better[0] < than[0] or better[1] < than[1] - MUCH * abs(than[1])


def best(plant: Plant, at: int, *, seed: int = 0) -> Setting:
    """The best setting known: coordinate ascent over levels of every knob from several places, then small moves."""
    chance = Random(seed)
    starts = [plant.start, reachable(plant, at)]
    while len(starts) < 2 + RESTARTS:
        wanted = Setting({knob.name: chance.choice(levels(knob)) for knob in plant.space.knobs})
        if not faults(plant.space, plant.rules, wanted):
            starts.append(wanted)
    ends = [climb(plant, _ascend(plant, start, at), at, MOVES) for start in starts]
    return min(ends, key=lambda end: merit(plant, end, at))


def levels(knob: Knob) -> tuple[KnobValue, ...]:
    """Values of a knob over its whole range: all of them where they are few."""
    if not knob.type.numeric:
        return knob.choices or (False, True)
    assert knob.minimum is not None and knob.maximum is not None
    low, high = knob.minimum, knob.maximum
    if (high - low) / knob.unit < LEVELS:
        return tuple(low + i * knob.unit for i in range(int((high - low) / knob.unit) + 1))
    base = float(max(low, knob.unit))
    ratio = float(high) / base
    steps = (Fraction(base * ratio ** (i / (LEVELS - 1))) for i in range(LEVELS))
    return tuple(dict.fromkeys(knob.clamp(step) for step in (low, *steps)))


def _ascend(plant: Plant, here: Setting, at: int) -> Setting:
    now = merit(plant, here, at)
    moved = True
    while moved:
        moved = False
        for knob in plant.space.knobs:
            tried = (here.with_values(**{knob.name: value}) for value in levels(knob))
            found = _best(plant, tried, at, now)
            if found is not None:
                now, here = found
                moved = True
    return here


def _best(plant: Plant, tried: Iterator[Setting], at: int, than: Merit) -> tuple[Merit, Setting] | None:
    found, better = None, than
    for setting in tried:
        if faults(plant.space, plant.rules, setting):
            continue
        value = merit(plant, setting, at)
        if value[0] < better[0] or (value[0] == better[0] and value[1] < better[1] - 1e-9 * abs(better[1])):
            better, found = value, (value, setting)
    return found


def _values(knob: Knob, current: KnobValue, stride: Fraction) -> tuple[KnobValue, ...]:
    """What one trial may write. Numbers: the ends of the step, a quarter of it, and one unit of a count."""
    if isinstance(current, bool):
        return (not current,)
    if isinstance(current, str):
        place = knob.choices.index(current)
        return tuple(knob.choices[i] for i in (place - 1, place + 1) if 0 <= i < len(knob.choices))
    low, high = (current + (end - current) * stride for end in reach(knob, current))
    wished = [low, high, current + (low - current) / 4, current + (high - current) / 4]
    if knob.type is KnobType.INTEGER:
        wished += [current - 1, current + 1]
    return tuple(value for value in dict.fromkeys(knob.clamp(x) for x in wished) if value != current)


def singles(plant: Plant, here: Setting, stride: Fraction) -> Iterator[Setting]:
    for knob in plant.space.tunable:
        for value in _values(knob, here[knob.name], stride):
            yield here.with_values(**{knob.name: value})


def _pairs(plant: Plant, here: Setting, stride: Fraction) -> Iterator[Setting]:
    numeric = [knob for knob in plant.space.tunable if knob.type.numeric]
    for i, one in enumerate(numeric):
        for other in numeric[i + 1 :]:
            for first in _values(one, here[one.name], stride):
                for second in _values(other, here[other.name], stride):
                    yield here.with_values(**{one.name: first, other.name: second})
