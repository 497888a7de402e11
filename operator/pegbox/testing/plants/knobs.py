"""Knobs of plants, and what a setting says, as numbers."""

from __future__ import annotations

from fractions import Fraction

from pegbox.core import rules
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import (
    Effect,
    Knob,
    KnobType,
    KnobValue,
    Location,
    LocationKind,
    ResourceName,
    SearchSpace,
    Setting,
    Side,
    Size,
)

MIB, GIB = 2**20, 2**30


def integer(name: str, low: int, high: int, effect: Effect = Effect.HOT) -> Knob:
    return Knob(name, KnobType.INTEGER, effect=effect, minimum=Fraction(low), maximum=Fraction(high))


def cores(name: str, low: str, high: str) -> Knob:
    """CPU in cores, resized in place."""
    return Knob(name, KnobType.CPU, minimum=Fraction(low), maximum=Fraction(high))


def seconds(name: str, low: str, high: str) -> Knob:
    return Knob(name, KnobType.DURATION, minimum=Fraction(low), maximum=Fraction(high))


def memory(name: str, low_mib: int, high_mib: int, effect: Effect = Effect.HOT) -> Knob:
    """A size in bytes; hot where it is resized in running pods."""
    low, high = Fraction(low_mib * MIB), Fraction(high_mib * MIB)
    size = Location(LocationKind.CONTAINER_RESOURCE, size=Size(Side.LIMITS, ResourceName.MEMORY))  # moves in MiB
    return Knob(name, KnobType.BYTES, location=size, effect=effect, minimum=low, maximum=high)


def boolean(name: str) -> Knob:
    return Knob(name, KnobType.BOOLEAN)


def choice(name: str, *choices: str) -> Knob:
    return Knob(name, KnobType.CHOICE, choices=choices)


def space(*knobs: Knob) -> SearchSpace:
    return SearchSpace(knobs)


def setting(of: SearchSpace, **values: str | int | bool) -> Setting:
    """A setting written as people write it: `memory_limit="2Gi"`, `batch_timeout="50ms"`. Raises InvalidInput."""
    return Setting({name: of[name].type.parse(value, f"knob {name}") for name, value in values.items()})


def moved(start: Setting, of: SearchSpace, **values: str | int | bool) -> Setting:
    """The start but for some values, written as in `setting`."""
    return start.with_values(**setting(of, **values))


def number(of: Setting, name: str) -> float:
    return float(of.number(name))


def whole(of: Setting, name: str) -> int:
    return int(of.number(name))


def faults(of: SearchSpace, texts: tuple[str, ...], wanted: Setting) -> tuple[str, ...]:
    """Why a plant cannot run a setting: knobs that lack or are unknown, values outside limits, broken rules."""
    names = set(of.names)
    odd = [f"knob {name} is missing" for name in sorted(names - set(wanted))]
    odd += [f"knob {name} is not in the space" for name in sorted(set(wanted) - names)]
    odd += [f"{name} is outside its limits" for name in sorted(names & set(wanted)) if not fits(of[name], wanted[name])]
    return tuple(odd) or tuple(f"the rule {text} is broken" for text in rules.violated(texts, wanted))


def fits(knob: Knob, value: KnobValue) -> bool:
    """Inside the limits, of the knob's type, and whole where the knob counts."""
    if knob.type.numeric and not isinstance(value, Fraction):
        return False
    if knob.type is KnobType.INTEGER and isinstance(value, Fraction) and value.denominator != 1:
        return False
    return knob.admits(value)


def require(of: SearchSpace, texts: tuple[str, ...], wanted: Setting) -> None:
    """Raises InvalidInput with the first reason why not."""
    found = faults(of, texts, wanted)
    if found:
        raise InvalidInput("setting", wanted, found[0])
