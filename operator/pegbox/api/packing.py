"""Frozen dataclasses <-> JSON values, driven by their type hints, so that a new field of the ledger is never forgotten.

Settings are stored once in a table and referred to by position, since trials, rungs and rows share them. A knob
value is a JSON number (integer), `[numerator, denominator]`, a boolean, or a text (choice): reading needs no space.
Fields that the text lacks take the dataclass's default; fields that it has beyond are ignored: a change that is more
than an addition gets a new schema version.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any

from pegbox.model import units
from pegbox.model.knobs import KnobValue, Setting

MAX_PART = 10**100
"""Of numerator and denominator: a quantity has at most 64 characters, its unit twelve more."""


def stamp(when: datetime) -> str:
    """RFC 3339 in UTC. Raises ValueError for a naive time."""
    if when.tzinfo is None:
        raise ValueError(f"time without a zone: {when}")
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Table:
    """The distinct settings, in order of first use."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._index: dict[str, int] = {}

    def at(self, setting: Setting) -> int:
        """Told apart by text: to Python, `True` and 1 are the same value."""
        values = {name: _value_out(value) for name, value in setting.items()}
        key = json.dumps(values)
        if key not in self._index:
            self._index[key] = len(self.entries)
            self.entries.append(values)
        return self._index[key]


def _value_out(value: KnobValue) -> Any:
    if isinstance(value, bool | str):
        return value
    return value.numerator if value.denominator == 1 else [value.numerator, value.denominator]


def setting_in(entry: Mapping[str, Any]) -> Setting:
    """The inverse of a table's entry."""
    return Setting({name: _value_in(raw) for name, raw in entry.items()})


def _value_in(raw: Any) -> KnobValue:
    return raw if isinstance(raw, bool | str) else _number(raw)


def _number(raw: Any) -> Fraction:
    if isinstance(raw, list):
        numerator, denominator = raw
        return Fraction(_whole(numerator), _whole(denominator))
    return Fraction(_whole(raw))


def _whole(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or abs(raw) > MAX_PART:
        raise TypeError(f"{raw!r:.40} where a whole number is expected")
    return raw


_PLAIN = frozenset((type(None), bool, int, float, str))


def pack(value: Any, table: Table) -> Any:
    """A JSON value. Raises ValueError for a naive time, TypeError for what has no JSON form."""
    if type(value) in _PLAIN:  # most of a ledger; to ask for an abstract class is slow
        return value
    match value:
        case Setting():
            return table.at(value)
        case Enum():
            return value.value
        case Fraction():
            return _value_out(value)
        case datetime():
            return stamp(value)
        case int() | float() | str():  # such as numpy's
            return value
        case Mapping():
            return {str(key): pack(item, table) for key, item in value.items()}
        case tuple() | list():
            return [pack(item, table) for item in value]
        case _ if is_dataclass(value):
            return {item.name: pack(getattr(value, item.name), table) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def unpack(hint: Any, raw: Any, settings: list[Setting]) -> Any:
    """The value of a type hint. Raises TypeError, ValueError, KeyError or IndexError for anything else."""
    if hint in _PLAIN:
        return _scalar(hint, raw, settings)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if raw is None:
            return None
        (hint,) = (arm for arm in arguments if arm is not type(None))
        return unpack(hint, raw, settings)
    if origin is tuple:
        return _tuple(arguments, raw, settings)
    if origin is not None and issubclass(origin, Mapping):
        return {str(key): unpack(arguments[1], item, settings) for key, item in raw.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, raw, settings)
    return _scalar(hint, raw, settings)


def _tuple(arguments: tuple[Any, ...], raw: Any, settings: list[Setting]) -> tuple[Any, ...]:
    if not isinstance(raw, list):
        raise TypeError(f"{raw!r:.40} where a list is expected")
    hints = [arguments[0]] * len(raw) if arguments[-1] is Ellipsis else list(arguments)
    return tuple(unpack(hint, item, settings) for hint, item in zip(hints, raw, strict=True))


def _scalar(hint: Any, raw: Any, settings: list[Setting]) -> Any:
    if hint is Setting:
        if isinstance(raw, int) and raw >= 0:
            return settings[raw]
        raise TypeError(f"{raw!r:.40} is no position of a setting")
    if issubclass(hint, Enum):
        return hint(raw)
    if hint is datetime:
        return _datetime(raw)
    if hint is Fraction:
        return _number(raw)
    if hint is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        return _finite(float(raw))
    if type(raw) is not hint:
        raise TypeError(f"{raw!r:.40} where {hint.__name__} is expected")
    if hint is int and abs(raw) > units.MAX_WHOLE:
        raise ValueError(f"a whole number beyond {units.MAX_WHOLE}")
    return raw


def _datetime(raw: Any) -> datetime:
    when = datetime.fromisoformat(raw)
    if when.tzinfo is None:
        raise ValueError(f"time without a zone: {raw:.40}")
    return when


def _finite(value: float) -> float:
    """JSON has no infinity, but 1e999 is read as one."""
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    return value


@cache
def _hints(kind: type[Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Of all fields, and the names of those without a default."""
    required = frozenset(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
    return typing.get_type_hints(kind), required


def _dataclass(kind: type[Any], raw: Any, settings: list[Setting]) -> Any:
    if not isinstance(raw, Mapping):
        raise TypeError(f"{raw!r:.40} where {kind.__name__} is expected")
    hints, required = _hints(kind)  # type: ignore[arg-type]  # mypy: a class might not be hashable; dataclasses are
    missing = sorted(required - set(raw))
    if missing:
        raise KeyError(f"{kind.__name__}.{missing[0]}")
    return kind(**{name: unpack(hints[name], item, settings) for name, item in raw.items() if name in hints})
