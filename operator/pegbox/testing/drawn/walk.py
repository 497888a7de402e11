"""What Pegbox would see of a drawn workload: noisy windows under settings that move in small steps, or a wide survey.

A survey visits settings far apart, each at ease and overloaded: from it nearly every coefficient is told. A walk is
what the operator has in its first hours: a few settings, one step apart, at whatever load there is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random

from pegbox.core.statistics import merge
from pegbox.core.steps import reach
from pegbox.model.knobs import Knob, Setting
from pegbox.model.observations import Observation, Window
from pegbox.model.prediction import Row
from pegbox.model.roles import Role, busy_signal
from pegbox.testing.drawn.base import Answer, Drawn, between, limits

SECONDS = 60.0  # of a window
LOAD_SD, LOAD_MEMORY = 0.15, 0.8  # log sd of the load around its usual value, AR(1) from window to window
LONGEST = 4  # windows under one setting of a walk
SERVED = 0.97
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """One window: what was measured, and under which setting."""

    setting: Setting
    observation: Observation


def rows(seen: Sequence[Seen]) -> tuple[Row, ...]:
    """As the ledger keeps them."""
    found: tuple[Row, ...] = ()
    for one in seen:
        found = merge(found, one.observation, one.setting)
    return found


def walk(plant: Drawn, windows: int) -> list[Seen]:
    """From the start on. Pressed, limits are mostly raised, and else anything moves. Same seed, same windows."""
    chance = Random(f"{plant.family}:{plant.seed}:walk")
    here, stays, wander, since = plant.start, chance.randint(1, LONGEST), chance.gauss(0.0, LOAD_SD), 0
    seen: list[Seen] = []
    while len(seen) < windows:
        if since == stays:
            pressed = _pressed(seen[-1])
            here, stays, since = _moved(plant, here, pressed, chance), chance.randint(1, LONGEST), 0
        since += 1
        seen.append(_window(plant, here, plant.load * math.exp(wander), since, len(seen), chance))
        fresh = chance.gauss(0.0, LOAD_SD)
        wander = LOAD_MEMORY * wander + math.sqrt(1.0 - LOAD_MEMORY**2) * fresh
    return seen


def survey(plant: Drawn, settings: int) -> list[Seen]:
    """So many settings within a factor of four of the start, each at ease and overloaded, busy shares included.

    Knobs without a role stay: the physics does not know them, and its coefficients would take up what they do.
    """
    chance = Random(f"{plant.family}:{plant.seed}:survey")
    seen: list[Seen] = []
    for _ in range(settings):
        here = _anywhere(plant, chance)
        for share in (between(chance, 0.2, 0.9), 1.4):
            pods = plant.pods(here, plant.load)
            load = share * plant.capacity(here, pods)
            seen.append(_window(plant, here, load, 3, len(seen), chance, pods=pods, signals=True))
    return seen


def neighbours(plant: Drawn, here: Setting, count: int) -> list[Setting]:
    """Settings one step away that a trial might ask for: ups and downs, alone and together."""
    chance = Random(f"{plant.family}:{plant.seed}:near")
    found: dict[Setting, None] = {}
    for turn in range(20 * count):
        if len(found) == count:
            break
        wanted = _moved(plant, here, turn % 2 == 0, chance)
        if wanted != here:
            found[wanted] = None
    return list(found)


def _pressed(seen: Seen) -> bool:
    load, throughput = seen.observation.offered_load, seen.observation.throughput
    return isinstance(load, float) and isinstance(throughput, float) and throughput < SERVED * load


def _window(
    plant: Drawn, here: Setting, load: float, since: int, at: int, chance: Random, pods: int = 0, signals: bool = False
) -> Seen:
    pods = pods or plant.pods(here, load)
    told = plant.answer(here, pods, load, waiting=1.0 - 0.5**since)
    end = BEGIN + timedelta(seconds=SECONDS * (at + 1))
    return Seen(
        here, _measured(plant, told, load, pods, Window(end - timedelta(seconds=SECONDS), end), chance, signals)
    )


def _measured(
    plant: Drawn, told: Answer, load: float, pods: int, window: Window, chance: Random, signals: bool
) -> Observation:
    """With noise. What is served of a load that is served in full has that of the counting alone."""

    def noisy(value: float, sd: float) -> float:
        return value * math.exp(chance.gauss(0.0, sd))

    rate, slow, busy = plant.sd
    full = told.throughput >= 0.995 * load
    throughput = noisy(told.throughput, 0.005 if full else rate)
    shares = {busy_signal(name): min(1.0, noisy(share, busy)) for name, share in sorted(told.busy.items())}
    return Observation(
        window=window,
        setting_hash="",
        offered_load=load,
        throughput=throughput if full else min(throughput, load),
        latency=noisy(told.latency, slow),
        errors=0.0,
        pods=pods,
        signals=shares if plant.signals or signals else {},
    )


def _moved(plant: Drawn, here: Setting, up: bool, chance: Random) -> Setting:
    """One step: the limits together, one knob, or a few; mostly upwards where `up`."""
    counts = limits(plant.roles)
    kind = chance.random()
    if kind < 0.4:
        names: Sequence[str] = counts
    else:
        moving = [k.name for k in plant.space.knobs if plant.roles.get(k.name) is not Role.QUEUE]
        names = chance.sample(moving, 1 if kind < 0.75 else min(2, len(moving)))
    rise = chance.random() < (0.85 if up else 0.35)
    share = chance.choice((Fraction(1), Fraction(1, 2)))
    wanted = {name: _stepped(plant.space[name], here, rise, share) for name in names}
    moved = here.with_values(**wanted)
    low, high = moved.get("min_replicas"), moved.get("max_replicas")
    return here if isinstance(low, Fraction) and isinstance(high, Fraction) and low > high else moved


def _stepped(knob: Knob, here: Setting, rise: bool, share: Fraction) -> Fraction | bool | str:
    value = here[knob.name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value
    low, high = reach(knob, value)
    wanted = value + ((high if rise else low) - value) * share
    return knob.clamp(wanted)


def _anywhere(plant: Drawn, chance: Random) -> Setting:
    """Each number within a factor of four of the start."""
    values: dict[str, Fraction | bool | str] = {}
    for knob in plant.space.knobs:
        value = plant.start[knob.name]
        values[knob.name] = value
        if isinstance(value, Fraction) and plant.roles.get(knob.name, Role.QUEUE) is not Role.QUEUE:
            values[knob.name] = knob.clamp(value * Fraction(between(chance, 0.25, 4.0)).limit_denominator(1000))
    low, high = values.get("min_replicas"), values.get("max_replicas")
    if isinstance(low, Fraction) and isinstance(high, Fraction):
        values["min_replicas"], values["max_replicas"] = min(low, high), max(low, high)
    return Setting(values)
