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
from collections.abc import Callable, Mapping
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
    kind = type(value)
    return value if kind in _PLAIN else _packer(kind)(value, table)  # type: ignore[arg-type]  # as in _dataclass


@cache  # to ask of each value for abstract classes and fields is slow
def _packer(kind: type[Any]) -> Callable[[Any, Table], Any]:
    """How values of this type are packed."""
    if issubclass(kind, Setting):
        return lambda value, table: table.at(value)
    if issubclass(kind, Enum):
        return lambda value, table: value.value
    if issubclass(kind, Fraction):
        return lambda value, table: _value_out(value)
    if issubclass(kind, datetime):
        return lambda value, table: stamp(value)
    if issubclass(kind, int | float | str):  # such as numpy's
        return lambda value, table: value
    if issubclass(kind, Mapping):
        return lambda value, table: {str(key): pack(item, table) for key, item in value.items()}
    if issubclass(kind, tuple | list):
        return lambda value, table: [pack(item, table) for item in value]
    if is_dataclass(kind):
        names = tuple(item.name for item in fields(kind))
        return lambda value, table: {name: pack(getattr(value, name), table) for name in names}
    raise TypeError(f"{kind.__name__} has no JSON form")


def unpack(hint: Any, raw: Any, settings: list[Setting]) -> Any:
    """The value of a type hint. Raises TypeError, ValueError, KeyError or IndexError for anything else."""
    return _unpacker(hint)(raw, settings)


_Unpacker = Callable[[Any, list[Setting]], Any]


@cache  # to take a type hint apart for each value is slow
def _unpacker(hint: Any) -> _Unpacker:
    """How values of a type hint are read."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (arm,) = (arm for arm in arguments if arm is not type(None))
        some = _unpacker(arm)
        return lambda raw, settings: None if raw is None else some(raw, settings)
    if origin is tuple:
        return lambda raw, settings: _tuple(arguments, raw, settings)
    if origin is not None and issubclass(origin, Mapping):
        item = _unpacker(arguments[1])
        return lambda raw, settings: {str(key): item(each, settings) for key, each in raw.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return lambda raw, settings: _dataclass(hint, raw, settings)
    return lambda raw, settings: _scalar(hint, raw, settings)


def _tuple(arguments: tuple[Any, ...], raw: Any, settings: list[Setting]) -> tuple[Any, ...]:
    if not isinstance(raw, list):
        raise TypeError(f"{raw!r:.40} where a list is expected")
    if arguments[-1] is Ellipsis:
        each = _unpacker(arguments[0])
        return tuple([each(item, settings) for item in raw])
    return tuple(unpack(hint, item, settings) for hint, item in zip(arguments, raw, strict=True))


def _scalar(hint: Any, raw: Any, settings: list[Setting]) -> Any:
    if type(raw) is hint and hint in (str, bool):  # most of a ledger
        return raw
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
def _fields(kind: type[Any]) -> tuple[dict[str, _Unpacker], frozenset[str]]:
    """How each field is read, and the names of those without a default."""
    required = frozenset(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)
    return {name: _unpacker(hint) for name, hint in typing.get_type_hints(kind).items()}, required


def _dataclass(kind: type[Any], raw: Any, settings: list[Setting]) -> Any:
    if not isinstance(raw, Mapping):
        raise TypeError(f"{raw!r:.40} where {kind.__name__} is expected")
    readers, required = _fields(kind)  # type: ignore[arg-type]  # mypy: a class might not be hashable; dataclasses are
    if not required <= raw.keys():
        raise KeyError(f"{kind.__name__}.{min(required - raw.keys())}")
    return kind(**{name: readers[name](item, settings) for name, item in raw.items() if name in readers})
