"""Knob, Setting and SearchSpace: what may be tuned, and a full assignment of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from fractions import Fraction

from pegbox.model import units
from pegbox.model.errors import InvalidInput

KnobValue = Fraction | bool | str
"""Integer, Decimal, Duration (seconds), Cpu (cores), Bytes are Fractions; Boolean is bool; Choice is str."""


class KnobType(Enum):
    INTEGER = "Integer"
    DECIMAL = "Decimal"
    DURATION = "Duration"
    BYTES = "Bytes"
    CPU = "Cpu"
    BOOLEAN = "Boolean"
    CHOICE = "Choice"

    @property
    def numeric(self) -> bool:
        return self not in (KnobType.BOOLEAN, KnobType.CHOICE)

    def parse(self, raw: str | int | bool, field: str) -> KnobValue:
        """The canonical value of what a person or an object wrote. Raises InvalidInput."""
        text = units.text_of(raw, field)
        match self:
            case KnobType.INTEGER:
                value = units.parse_decimal(text, field)
                if value.denominator != 1:
                    raise InvalidInput(field, raw, "write a whole number")
                return value
            case KnobType.DECIMAL:
                return units.parse_decimal(text, field)
            case KnobType.DURATION:
                return units.parse_duration(text, field)
            case KnobType.BYTES | KnobType.CPU:
                return units.parse_quantity(text, field)
            case KnobType.BOOLEAN:
                if text not in ("true", "false"):
                    raise InvalidInput(field, raw, 'write "true" or "false"')
                return text == "true"
            case KnobType.CHOICE:
                return text

    def format(self, value: KnobValue) -> str:
        """The text that stands in documents and objects; `parse` of it gives an equal value."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return value
        match self:
            case KnobType.DURATION:
                return units.format_duration(value)
            case KnobType.BYTES:
                return units.format_bytes(value)
            case KnobType.CPU:
                return units.format_cpu(value)
            case KnobType.INTEGER:
                return str(round(value))
            case _:
                return units.format_decimal(value)


class Effect(StrEnum):
    """When a written value comes into force. Reload is reserved."""

    HOT = "Hot"
    RESTART = "Restart"


class LocationKind(StrEnum):
    SETTINGS = "Settings"  # key `knob name` of the settings document
    CONFIG_MAP_KEY = "ConfigMapKey"  # the whole value of one key of an existing ConfigMap
    CONFIG_MAP_PATH = "ConfigMapPath"  # one value inside a key that holds JSON or YAML
    HPA_MIN = "HPAMinReplicas"
    HPA_MAX = "HPAMaxReplicas"
    REPLICAS = "Replicas"
    POD_ENV = "PodEnv"  # a variable that admission puts into each new pod: needs new pods
    ENV = "Env"  # plain key of our own ConfigMap, read through envFrom: needs a restart
    CONTAINER_RESOURCE = "ContainerResource"  # a request or limit of the target's container, resized in running pods

    @property
    def in_own_config_map(self) -> bool:
        return self in (LocationKind.SETTINGS, LocationKind.ENV)


class ResourceName(StrEnum):
    """What Kubernetes can resize in a running pod; nothing else is."""

    CPU = "cpu"
    MEMORY = "memory"


class Side(StrEnum):
    REQUESTS = "requests"
    LIMITS = "limits"


@dataclass(frozen=True, slots=True)
class Size:
    """One of the four numbers that say how large a container is."""

    side: Side
    resource: ResourceName

    def __str__(self) -> str:
        return f"{self.side.value}.{self.resource.value}"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a knob's value lives. `key` is a ConfigMap key, an env name, or a settings key; `size` is set for
    ContainerResource only.
    """

    kind: LocationKind = LocationKind.SETTINGS
    config_map: str = ""
    key: str = ""
    path: str = ""
    size: Size | None = None

    def __str__(self) -> str:
        parts = [p for p in (self.config_map, self.key, self.path, str(self.size or "")) if p]
        return f"{self.kind.value}({'/'.join(parts)})" if parts else self.kind.value


class KnobMode(StrEnum):
    TUNE = "Tune"
    RECOMMEND = "Recommend"  # proposals are shown, never written


@dataclass(frozen=True, slots=True)
class Knob:
    """One tunable number with its limits, after class and profile were merged.

    `minimum` and `maximum` are set for numeric types only; `choices` for Choice only. A `pinned` knob keeps
    its value. `max_step` is the share by which one trial may move it (0.5 = half of the current value).
    """

    name: str
    type: KnobType = KnobType.INTEGER
    location: Location = Location()
    effect: Effect = Effect.HOT
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    choices: tuple[str, ...] = ()
    default: KnobValue | None = None
    initial: KnobValue | None = None
    pinned: KnobValue | None = None
    mode: KnobMode = KnobMode.TUNE
    max_step: Fraction = Fraction(1, 2)

    @property
    def tunable(self) -> bool:
        return self.pinned is None and self.mode is KnobMode.TUNE

    @property
    def unit(self) -> Fraction:
        """The smallest move, in the knob's base unit."""
        if self.location.size is not None and self.location.size.resource is ResourceName.MEMORY:
            return Fraction(2**20)  # a page more or less is no step that anybody could measure
        match self.type:
            case KnobType.DURATION | KnobType.CPU:
                return Fraction(1, 1000)
            case KnobType.DECIMAL:
                return Fraction(1, 100)
            case _:
                return Fraction(1)

    def admits(self, value: KnobValue) -> bool:
        """Is the value inside the hard limits?"""
        if self.type is KnobType.CHOICE:
            return value in self.choices
        if isinstance(value, bool | str):
            return self.type is KnobType.BOOLEAN and isinstance(value, bool)
        low_ok = self.minimum is None or value >= self.minimum
        return low_ok and (self.maximum is None or value <= self.maximum)

    def clamp(self, value: Fraction) -> Fraction:
        """The nearest value inside the limits, on the knob's grid of whole units."""
        snapped = round(value / self.unit) * self.unit
        if self.minimum is not None:
            snapped = max(snapped, self.minimum)
        if self.maximum is not None:
            snapped = min(snapped, self.maximum)
        return snapped


class Setting(Mapping[str, KnobValue]):
    """A full assignment of knobs: immutable, hashable, ordered by knob name."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, KnobValue]) -> None:
        self._values = dict(sorted(values.items()))

    def __getitem__(self, name: str) -> KnobValue:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self._values == other._values

    def __repr__(self) -> str:
        return f"Setting({', '.join(f'{k}={_plain(v)}' for k, v in self._values.items())})"

    def number(self, name: str) -> Fraction:
        """The value of a numeric knob. Raises KeyError for unknown, TypeError for other types."""
        value = self._values[name]
        if not isinstance(value, Fraction):
            raise TypeError(f"knob {name} is not a number")
        return value

    def with_values(self, **changes: KnobValue) -> Setting:
        """A copy with some knobs changed; names must exist."""
        unknown = sorted(set(changes) - set(self._values))
        if unknown:
            raise KeyError(f"no such knob: {', '.join(unknown)}")
        return Setting({**self._values, **changes})

    def diff(self, other: Setting) -> tuple[str, ...]:
        """Names whose value differs (or that only one side has)."""
        names = sorted(set(self._values) | set(other._values))
        return tuple(n for n in names if self._values.get(n) != other._values.get(n))


def _plain(value: KnobValue) -> str:
    return units.format_decimal(value) if isinstance(value, Fraction) else str(value)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The knobs of one profile, by name, and how a Setting of them is written."""

    knobs: tuple[Knob, ...]

    def __getitem__(self, name: str) -> Knob:
        for knob in self.knobs:
            if knob.name == name:
                return knob
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(knob.name == name for knob in self.knobs)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(knob.name for knob in self.knobs))

    @property
    def tunable(self) -> tuple[Knob, ...]:
        return tuple(knob for knob in self.knobs if knob.tunable)

    def at(self, *kinds: LocationKind) -> tuple[Knob, ...]:
        return tuple(knob for knob in self.knobs if knob.location.kind in kinds)

    def format(self, setting: Setting) -> dict[str, str]:
        """knob -> text, for documents, status and the ledger."""
        return {name: self[name].type.format(value) for name, value in setting.items() if name in self}

    def parse(self, texts: Mapping[str, str]) -> Setting:
        """The inverse of `format`; names that the space does not know are dropped."""
        return Setting({n: self[n].type.parse(t, f"knob {n}") for n, t in texts.items() if n in self})


def values_hash(values: Mapping[str, str]) -> str:
    """The settings document's hash: 12 hex digits of sha256 over canonical JSON of knob -> text."""
    canonical = json.dumps(dict(values), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
