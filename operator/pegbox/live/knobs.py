"""Typed declaration of an application's knobs, and the typed values that a document gives them.

Declared once, as module constants of the application, and used as keys::

    WORKERS = integer("worker_count", default=4, minimum=1, maximum=64)
    ...
    live.current[WORKERS]      # an int, for the type checker too

Bounds here are the application's own hard limits (what its memory or its library can bear). The operator's
bounds are narrower; these hold even when the document was written by somebody else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pegbox.live.document import RejectedLoad, RejectReason

T = TypeVar("T", int, float, bool, str)

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(ns|us|ms|s|m|h|d)")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_FACTORS |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_integer(text: str) -> int:
    """ "8" is 8; no sign but minus, no spaces, no decimals."""
    if not _INTEGER.fullmatch(text):
        raise ValueError('a whole number such as "8"')
    return int(text)


def parse_decimal(text: str) -> float:
    """ "0.8" is 0.8; no exponents, no nan, no inf."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError('a decimal such as "0.8"')
    return float(text)


def parse_boolean(text: str) -> bool:
    """Exactly "true" or "false"."""
    if text not in ("true", "false"):
        raise ValueError('"true" or "false"')
    return text == "true"


def parse_duration(text: str) -> float:
    """Seconds of a Go-style duration: "30s", "500ms", "1h30m". A bare number has no unit and is refused."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError('a duration with a unit such as "30s", "500ms" or "1h30m"')
    return math.fsum(float(part[1]) * _SECONDS[part[2]] for part in parts)


def parse_quantity(text: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError('a quantity such as "8Ki", "512Mi", "250m" or "2"')
    return float(match[1]) * _FACTORS[match[2] or ""]


def parse_text(text: str) -> str:
    return text


@dataclass(frozen=True)
class Knob(Generic[T]):
    """One number (or word) that may change while the application runs. Durations are floats in seconds."""

    name: str
    default: T
    parse_text: Callable[[str], T]
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise ValueError(f"{self.name}: minimum {self.minimum} is above maximum {self.maximum}")
        self.check(self.default)

    def parse(self, text: str) -> T:
        """The typed value of a document's string; raise RejectedLoad when it has none or is out of bounds."""
        try:
            value = self.parse_text(text)
            self.check(value)
        except ValueError as error:
            raise RejectedLoad(
                RejectReason.BAD_VALUE, f"values.{self.name}: {text!r:.60} is refused; wanted: {error}"
            ) from error
        return value

    def check(self, value: T) -> None:
        """Raise ValueError when a typed value lies outside the declared bounds or choices."""
        if isinstance(value, str):
            if self.choices and value not in self.choices:
                raise ValueError(f"one of {', '.join(self.choices)}")
        elif not self.minimum <= value <= self.maximum:
            raise ValueError(f"a value from {self.minimum:g} to {self.maximum:g}")


def integer(name: str, *, default: int, minimum: int, maximum: int) -> Knob[int]:
    return Knob(name, default, parse_integer, minimum, maximum)


def decimal(name: str, *, default: float, minimum: float, maximum: float) -> Knob[float]:
    return Knob(name, default, parse_decimal, minimum, maximum)


def duration(name: str, *, default: str, minimum: str, maximum: str) -> Knob[float]:
    """Bounds and default as text ("30s"); the value is a float in seconds."""
    return Knob(name, parse_duration(default), parse_duration, parse_duration(minimum), parse_duration(maximum))


def quantity(name: str, *, default: str, minimum: str, maximum: str) -> Knob[float]:
    """Bytes or cores as Kubernetes writes them ("8Ki", "250m", "2"); the value is a float in bytes or cores."""
    return Knob(name, parse_quantity(default), parse_quantity, parse_quantity(minimum), parse_quantity(maximum))


def boolean(name: str, *, default: bool) -> Knob[bool]:
    return Knob(name, default, parse_boolean)


def text(name: str, *, default: str, choices: tuple[str, ...] = ()) -> Knob[str]:
    return Knob(name, default, parse_text, choices=choices)


class Values:
    """A full assignment: every declared knob has a value. Indexed by its Knob, so that the type is known."""

    def __init__(self, typed: Mapping[str, int | float | bool | str]) -> None:
        self._typed = dict(typed)

    def __getitem__(self, knob: Knob[T]) -> T:
        return cast(T, self._typed[knob.name])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Values) and self._typed == other._typed

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._typed.items())))

    def __repr__(self) -> str:
        return f"Values({self._typed!r})"

    def by_name(self) -> dict[str, int | float | bool | str]:
        return dict(self._typed)


class Declaration:
    """The knobs that an application has. Turns a document's strings into Values, all of them or none."""

    def __init__(self, knobs: Iterable[Knob[Any]]) -> None:
        self.knobs: dict[str, Knob[Any]] = {}
        for knob in knobs:
            if knob.name in self.knobs:
                raise ValueError(f"{knob.name}: declared twice; a knob has one declaration")
            self.knobs[knob.name] = knob

    def defaults(self) -> Values:
        return Values({name: knob.default for name, knob in self.knobs.items()})

    def parse(self, values: Mapping[str, str]) -> Values:
        """A knob that the document leaves out takes its default, so one document means one setting.

        A knob that the application does not know is refused: acknowledging it would say that it is in force.
        """
        unknown = sorted(set(values) - set(self.knobs))
        if unknown:
            declared = ", ".join(sorted(self.knobs))
            raise RejectedLoad(
                RejectReason.UNKNOWN_KNOB,
                f"values.{unknown[0]}: not a knob of this application (it has {declared}); take it out of "
                "the profile or deploy a version that has it",
            )
        typed = {
            name: knob.parse(values[name]) if name in values else knob.default for name, knob in self.knobs.items()
        }
        return Values(typed)
