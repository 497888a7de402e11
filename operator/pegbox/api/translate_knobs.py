"""Knobs: the class's limits, narrowed by the profile, with defaults from the preset."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from pegbox.api import formula
from pegbox.api.class_wire import ClassSpecWire, KnobWire
from pegbox.api.profile_wire import KnobOverride, LocationOverride, Preset, ProfileSpecWire
from pegbox.api.wire import suggest
from pegbox.model import textpath, units
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import (
    Effect,
    Knob,
    KnobMode,
    KnobType,
    KnobValue,
    Location,
    LocationKind,
    ResourceName,
    Size,
)
from pegbox.model.profile import own_name

_HPA = (LocationKind.HPA_MIN, LocationKind.HPA_MAX)
_SCALED = (*_HPA, LocationKind.REPLICAS)
_COSTLY = (LocationKind.REPLICAS, LocationKind.CONTAINER_RESOURCE)
_IN_CONFIG_MAP = (LocationKind.CONFIG_MAP_KEY, LocationKind.CONFIG_MAP_PATH)
_VARIABLES = (LocationKind.ENV, LocationKind.POD_ENV)
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def from_class(wire: KnobWire, field: str) -> Knob:
    """The knob as the class alone describes it, without a default. Raises InvalidInput."""
    low, high = _bound(wire.type, wire.min, f"{field}.min"), _bound(wire.type, wire.max, f"{field}.max")
    if wire.type.numeric and (low is None or high is None):
        raise InvalidInput(field, wire.type.value, "a numeric knob needs min and max: add them")
    if low is not None and high is not None and low > high:
        raise InvalidInput(f"{field}.min", wire.min, f"it is greater than max {wire.max}: raise max or lower min")
    if (wire.type is KnobType.CHOICE) != bool(wire.choices):
        raise InvalidInput(f"{field}.choices", wire.choices, "type Choice needs choices, other types have none")
    if wire.location.kind in _SCALED and (wire.type is not KnobType.INTEGER or low is None or low < 1):
        raise InvalidInput(field, wire.location.kind.value, "a number of pods is an Integer with min at least 1")
    if wire.location.kind in _VARIABLES and wire.effect is Effect.HOT:
        raise InvalidInput(f"{field}.effect", wire.effect.value, "write Restart: env is read when a container starts")
    location = _class_location(wire, field)
    if location.size is not None:
        _check_size(wire, location.size, low, field)
    step = Fraction(1, 2) if wire.max_step is None else _step(wire.max_step, f"{field}.maxStep")
    return Knob(
        name=wire.name,
        type=wire.type,
        location=location,
        effect=wire.effect,
        minimum=low,
        maximum=high,
        choices=tuple(wire.choices or ()),
        mode=wire.mode,
        max_step=step,
    )


def check_formulas(wire: KnobWire, field: str) -> None:
    """Every default and preset of a class knob parses, and gives a value of its type for one CPU."""
    knob = from_class(wire, field)
    raws = [("default", wire.default), *((f"presets[{p.name}].value", p.value) for p in wire.presets)]
    for part, raw in raws:
        if raw is not None:
            _default(knob, raw, f"{field}.{part}", Fraction(1))


@dataclass(frozen=True, slots=True)
class Merge:
    """One profile's knobs over one class's."""

    spec: ProfileSpecWire
    knowledge: ClassSpecWire
    class_name: str
    cpus: Fraction | None
    reported: frozenset[str] | None

    def knobs(self) -> tuple[Knob, ...]:
        """Ordered as in the class. Raises InvalidInput."""
        known = sorted(k.name for k in self.knowledge.knobs)
        for override in self.spec.knobs:
            if override.name not in known:
                remedy = f"class {self.class_name} has no such knob: {suggest(override.name, known)}"
                raise InvalidInput("spec.knobs[].name", override.name, remedy)
        overrides = {o.name: o for o in self.spec.knobs}
        wanted = [w for w in self.knowledge.knobs if self._wanted(w, overrides.get(w.name))]
        merged = tuple(self._merge(w, overrides.get(w.name)) for w in wanted)
        _refuse_shared_locations(merged)
        return merged

    def _wanted(self, wire: KnobWire, override: KnobOverride | None) -> bool:
        """Is the knob part of this profile's search space?"""
        kind = wire.location.kind
        scaled = self.spec.autoscaler is not None
        if override is not None:
            self._refuse_misplaced(kind, wire.name, scaled)
            return True
        if kind in _HPA:
            return scaled
        if kind in _COSTLY or self.spec.preset is Preset.CUSTOM:
            return False  # replicas and sizes cost money: tuned only where the profile names them
        if kind in _IN_CONFIG_MAP:
            return bool(wire.location.config_map)
        return self.reported is None or wire.name in self.reported

    def _refuse_misplaced(self, kind: LocationKind, name: str, scaled: bool) -> None:
        if kind in _HPA and not scaled:
            remedy = "add spec.autoscaler (create or ref), or remove the knob"
            raise InvalidInput("spec.knobs[].name", name, remedy)
        if kind is LocationKind.REPLICAS and scaled:
            raise InvalidInput(
                "spec.knobs[].name", name, "the autoscaler sets replicas: remove the knob or spec.autoscaler"
            )

    def _merge(self, wire: KnobWire, override: KnobOverride | None) -> Knob:
        knob = from_class(wire, f"class {self.class_name}: spec.knobs[{wire.name}]")
        knob = replace(knob, max_step=self._max_step(wire, override))
        if wire.location.kind in _HPA:
            knob = self._within_template(knob, override)
        if override is not None:
            knob = _narrow(knob, override)
        knob = self._with_default(knob, wire)
        _refuse_own_place(knob, own_name(self.spec.target_ref.name))
        return _require_location(knob)

    def _max_step(self, wire: KnobWire, override: KnobOverride | None) -> Fraction:
        """The most specific wish, never above what the class or the profile's guards allow."""
        guard = self.spec.guards.max_step
        limit = (
            None
            if wire.max_step is None
            else _step(wire.max_step, f"class {self.class_name}: spec.knobs[{wire.name}].maxStep")
        )
        if override is not None and override.max_step is not None:
            wish = _step(override.max_step, f"spec.knobs[{wire.name}].maxStep")
            if limit is not None and wish > limit:
                remedy = f"class {self.class_name} allows at most {wire.max_step}: a profile narrows, it never widens"
                raise InvalidInput(f"spec.knobs[{wire.name}].maxStep", override.max_step, remedy)
            return wish
        wishes = [w for w in (limit, None if guard is None else _step(guard, "spec.guards.maxStep")) if w is not None]
        return min(wishes, default=Fraction(1, 2))

    def _within_template(self, knob: Knob, override: KnobOverride | None) -> Knob:
        """An HPA that we create starts as the profile says; without an override it stays between its bounds."""
        create = self.spec.autoscaler.create if self.spec.autoscaler else None
        if create is None:
            return knob
        start = create.min_replicas if knob.location.kind is LocationKind.HPA_MIN else create.max_replicas
        low, high = Fraction(create.min_replicas), Fraction(create.max_replicas)
        for value, part in ((low, "minReplicas"), (high, "maxReplicas")):
            if not knob.admits(value):
                remedy = f"class {self.class_name} allows {_limits(knob)} for {knob.name}"
                raise InvalidInput(f"spec.autoscaler.create.{part}", int(value), remedy)
        knob = replace(knob, initial=Fraction(start))
        return knob if override is not None else replace(knob, minimum=low, maximum=high)

    def _with_default(self, knob: Knob, wire: KnobWire) -> Knob:
        preset = next((p for p in wire.presets if p.name is self.spec.preset), None)
        raw, part = (wire.default, "default") if preset is None else (preset.value, f"presets[{preset.name}].value")
        if raw is None:
            return knob
        where = f"class {self.class_name}: spec.knobs[{wire.name}].{part}"
        return replace(knob, default=_default(knob, raw, where, self.cpus))


def _default(knob: Knob, raw: str | int, field: str, cpus: Fraction | None) -> KnobValue | None:
    """The default inside the knob's limits; None where the formula needs CPUs that nobody stated."""
    value: KnobValue
    try:
        value = knob.type.parse(raw, field)
    except InvalidInput:
        if not knob.type.numeric:
            raise
        parsed = formula.parse(units.text_of(raw, field), field)
        if parsed.needs_cpus and cpus is None:
            return None
        value = parsed.evaluate(Fraction(0) if cpus is None else cpus)
    if isinstance(value, bool | str):
        return _admitted(knob, value, raw, field)
    return knob.clamp(value)


def _narrow(knob: Knob, override: KnobOverride) -> Knob:
    where = f"spec.knobs[{knob.name}]"
    low = _inside(knob, override.min, f"{where}.min")
    high = _inside(knob, override.max, f"{where}.max")
    location = _override_location(knob, override)
    narrowed = replace(
        knob,
        effect=Effect.RESTART if location.kind is LocationKind.POD_ENV else knob.effect,
        minimum=knob.minimum if low is None else low,
        maximum=knob.maximum if high is None else high,
        location=location,
        mode=KnobMode.RECOMMEND if KnobMode.RECOMMEND in (knob.mode, override.mode) else KnobMode.TUNE,
    )
    if narrowed.minimum is not None and narrowed.maximum is not None and narrowed.minimum > narrowed.maximum:
        wrote = override.min if override.min is not None else override.max
        raise InvalidInput(where, wrote, f"min is greater than max ({_limits(narrowed)}): raise max or lower min")
    if override.value is not None:
        if any(part is not None for part in (override.min, override.max, override.initial, override.max_step)):
            raise InvalidInput(
                f"{where}.value", override.value, "it pins the knob: remove min, max, initial and maxStep"
            )
        value = knob.type.parse(override.value, f"{where}.value")
        return replace(narrowed, pinned=_admitted(knob, value, override.value, f"{where}.value"))
    if override.initial is not None:
        value = knob.type.parse(override.initial, f"{where}.initial")
        return replace(narrowed, initial=_admitted(narrowed, value, override.initial, f"{where}.initial"))
    if knob.initial is not None and not narrowed.admits(knob.initial):
        start = knob.type.format(knob.initial)
        raise InvalidInput(where, start, f"the autoscaler starts outside of {_limits(narrowed)}: change one of them")
    return narrowed


def _inside(knob: Knob, raw: str | int | None, field: str) -> Fraction | None:
    if raw is None:
        return None
    if not knob.type.numeric:
        raise InvalidInput(field, raw, f"a {knob.type.value} knob has no bounds: pin it with value, or remove this")
    value = knob.type.parse(raw, field)
    if not knob.admits(value):
        raise InvalidInput(
            field, raw, f"the class allows {_limits(knob)}: a profile narrows limits, it never widens them"
        )
    return value if isinstance(value, Fraction) else None


def _admitted(knob: Knob, value: KnobValue, raw: object, field: str) -> KnobValue:
    if not knob.admits(value):
        raise InvalidInput(field, raw, f"{knob.name} allows {_limits(knob)}")
    return value


def _limits(knob: Knob) -> str:
    if knob.minimum is not None and knob.maximum is not None:
        return f"{knob.type.format(knob.minimum)} to {knob.type.format(knob.maximum)}"
    return f"one of {', '.join(knob.choices)}" if knob.choices else "true or false"


def _bound(kind: KnobType, raw: str | int | None, field: str) -> Fraction | None:
    if raw is None:
        return None
    if not kind.numeric:
        raise InvalidInput(field, raw, f"a {kind.value} knob has no bounds: remove it")
    value = kind.parse(raw, field)
    return value if isinstance(value, Fraction) else None


def _step(raw: str, field: str) -> Fraction:
    share = units.parse_percent(raw, field)
    if share == 0:
        raise InvalidInput(field, raw, "write more than 0%; pin the knob with value to keep it")
    return share


def _check_size(wire: KnobWire, size: Size, low: Fraction | None, field: str) -> None:
    kind = KnobType.CPU if size.resource is ResourceName.CPU else KnobType.BYTES
    if wire.type is not kind or low is None or low <= 0:
        raise InvalidInput(field, wire.type.value, f"{size} is of type {kind.value}, with min above 0")
    if wire.effect is not Effect.HOT:
        remedy = "write Hot: sizes are changed in running pods, the template is left to its owner"
        raise InvalidInput(f"{field}.effect", wire.effect.value, remedy)


def _class_location(wire: KnobWire, field: str) -> Location:
    where = wire.location
    key = where.key or ""
    if where.kind is LocationKind.SETTINGS:
        key = key or wire.name
    elif where.kind in _VARIABLES:
        key = key or wire.name.upper()
    if where.kind is LocationKind.POD_ENV:
        _check_variable(key, f"{field}.location.key")
    needs = where.kind is LocationKind.CONTAINER_RESOURCE
    if needs != (where.resource is not None) or needs != (where.side is not None):
        remedy = "resource and side belong to kind ContainerResource, which needs both: add or remove them"
        raise InvalidInput(f"{field}.location", where.kind.value, remedy)
    size = Size(where.side, where.resource) if where.side is not None and where.resource is not None else None
    return Location(where.kind, where.config_map or "", key, where.path or "", size)


def _check_variable(key: str, field: str) -> None:
    if not _VARIABLE_NAME.fullmatch(key):
        raise InvalidInput(field, key, "a variable's name has letters, digits and _ only, and begins with no digit")


def _override_location(knob: Knob, override: KnobOverride) -> Location:
    """A profile may say where its application keeps the value; a ConfigMap of its own replaces the document."""
    wire, old = override.location, knob.location
    if wire is None:
        return old
    if old.kind in (*_SCALED, LocationKind.CONTAINER_RESOURCE):
        where = f"spec.knobs[{knob.name}].location"
        raise InvalidInput(where, old.kind.value, "this knob is a field of the workload or its HPA: remove location")
    kind = old.kind
    if wire.kind is not None:
        return _pod_env(knob, wire)
    if wire.path:
        kind = LocationKind.CONFIG_MAP_PATH
    elif wire.config_map and (kind.in_own_config_map or kind is LocationKind.POD_ENV):
        kind = LocationKind.CONFIG_MAP_KEY
    path = wire.path or (old.path if kind is LocationKind.CONFIG_MAP_PATH else "")
    return Location(kind, wire.config_map or old.config_map, wire.key or old.key, path)


def _pod_env(knob: Knob, wire: LocationOverride) -> Location:
    """A variable of the pods, whatever place the class has for the knob."""
    where = f"spec.knobs[{knob.name}].location"
    if wire.config_map or wire.path:
        found = "configMap" if wire.config_map else "path"
        raise InvalidInput(f"{where}.{found}", wire.config_map or wire.path, "kind PodEnv has none: remove it")
    own = knob.location.key if knob.location.kind in _VARIABLES else ""
    key = wire.key or own or knob.name.upper()
    _check_variable(key, f"{where}.key")
    return Location(LocationKind.POD_ENV, key=key)


def _require_location(knob: Knob) -> Knob:
    place = knob.location
    needed = {"configMap": place.config_map, "key": place.key}
    if place.kind is LocationKind.CONFIG_MAP_PATH:
        needed["path"] = place.path
    missing = [part for part, text in needed.items() if not text] if place.kind in _IN_CONFIG_MAP else []
    if missing:
        where = f"spec.knobs[{knob.name}].location.{missing[0]}"
        raise InvalidInput(where, "(absent)", f"name the application's own {missing[0]} that holds the value")
    return knob


def _refuse_own_place(knob: Knob, own: str) -> None:
    """What Pegbox writes anew at each step is nobody's value."""
    if knob.location.kind in _IN_CONFIG_MAP and knob.location.config_map == own:
        where = f"spec.knobs[{knob.name}].location.configMap"
        remedy = "Pegbox writes this ConfigMap itself: name the application's own, or remove location.configMap"
        raise InvalidInput(where, own, remedy)


def _refuse_shared_locations(knobs: tuple[Knob, ...]) -> None:
    seen: list[tuple[str, tuple[object, ...]]] = []
    for knob in knobs:
        mine = _place(knob.location)
        other = next((name for name, place in seen if textpath.overlap(place, mine)), None)
        if other is not None:
            where = f"spec.knobs[{knob.name}].location"
            raise InvalidInput(where, str(knob.location), f"knob {other} lives there too: give each its own place")
        seen.append((knob.name, mine))


def _place(where: Location) -> tuple[object, ...]:
    """Two knobs whose places overlap would overwrite each other."""
    if where.kind in _IN_CONFIG_MAP:
        return (_IN_CONFIG_MAP, where.config_map, where.key, *textpath.steps(where.path))
    if where.kind in _VARIABLES:  # one container has one variable of a name, whoever puts it there
        return (_VARIABLES, where.key)
    return (where,)
