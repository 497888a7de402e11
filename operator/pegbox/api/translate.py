"""The wire's profile and class, merged and checked, in the core's own terms.

Every refusal is an InvalidInput that names field, value and remedy. The API server checks much of the same (CEL),
but classes and profiles are checked here again: `recommend -f` has no server, and a class may change after the
profile was admitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from pegbox.api import class_wire, profile_wire, translate_knobs, translate_limits, translate_signals
from pegbox.api.class_wire import ClassSpecWire
from pegbox.api.profile_wire import FreezeAllow, ProfileSpecWire
from pegbox.api.wire import read
from pegbox.core import freeze as core_freeze
from pegbox.model import units
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import SearchSpace
from pegbox.model.profile import (
    Autoscaler,
    Canary,
    ConflictPolicy,
    Freeze,
    Guards,
    Prices,
    ProfileSpec,
    Target,
    own_name,
)
from pegbox.model.roles import Role

MIN_INTERVAL, MAX_INTERVAL = Fraction(2), Fraction(3600)
MOST_CANARY = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Context:
    """What the target itself says. Leave out what is not known.

    `cpus` of its container (limit, else request): formulas that need it give no default without it. `reported`: the
    knobs whose value the application exports. Class knobs of our own ConfigMap that the profile does not name are
    left out where they are not among these, since an application refuses settings that it does not know.
    """

    cpus: Fraction | None = None
    reported: frozenset[str] | None = None


def to_model(profile: Mapping[str, Any], class_: Mapping[str, Any], context: Context = Context()) -> ProfileSpec:
    """One PerformanceProfile and its PerformanceClass, as the API server sends them. Raises InvalidInput.

    A budget that no setting can meet raises `translate_limits.BudgetUnsatisfiable`, an InvalidInput too.
    """
    spec = read(ProfileSpecWire, profile.get("spec", {}), "spec")
    class_name = _metadata(class_, "name")
    knowledge = read(ClassSpecWire, class_.get("spec", {}), f"class {class_name}: spec")
    space, roles = _space(spec, knowledge, class_name, context)
    signals = translate_signals.signals(knowledge, class_name)
    rules = translate_limits.rules(knowledge, class_name, space)
    merged = ProfileSpec(
        namespace=_metadata(profile, "namespace"),
        name=_metadata(profile, "name"),
        uid=_metadata(profile, "uid"),
        generation=int(profile.get("metadata", {}).get("generation", 1)),
        target=Target(spec.target_ref.kind.value, spec.target_ref.name, spec.target_ref.container or ""),
        class_name=class_name,
        class_generation=int(class_.get("metadata", {}).get("generation", 1)),
        mode=spec.mode,
        objective=spec.objective,
        interval=_between("spec.interval", spec.interval, MIN_INTERVAL, MAX_INTERVAL),
        space=space,
        roles=roles,
        signals=signals,
        slos=translate_signals.slos(spec.slos, signals),
        budgets=translate_limits.budgets(spec.budgets, space),
        rules=rules,
        matchers=tuple((m.name, m.value) for m in _unique(spec.match_labels, "spec.matchLabels")),
        guards=_guards(spec.guards),
        canary=_canary(spec.trial.canary),
        autoscaler=_autoscaler(spec),
        prices=_prices(spec.prices),
        freezes=tuple(_freeze(f) for f in _unique(spec.freezes, "spec.freezes")),
        conflict_policy=spec.conflict_policy,
        take_knobs=frozenset(k.name for k in spec.knobs if k.conflict_policy is ConflictPolicy.TAKE),
        deletion_policy=spec.deletion_policy,
    )
    translate_limits.check_satisfiable(merged)
    return merged


def check_class(class_: Mapping[str, Any]) -> None:
    """Everything about a class that can be wrong without a profile. Raises InvalidInput."""
    name = _metadata(class_, "name")
    knowledge = read(ClassSpecWire, class_.get("spec", {}), f"class {name}: spec")
    knobs = tuple(translate_knobs.from_class(k, f"class {name}: spec.knobs[{k.name}]") for k in knowledge.knobs)
    _unique(knowledge.knobs, f"class {name}: spec.knobs")
    for knob in knowledge.knobs:
        translate_knobs.check_formulas(knob, f"class {name}: spec.knobs[{knob.name}]")
    translate_signals.signals(knowledge, name)
    translate_limits.rules(knowledge, name, SearchSpace(knobs))


def _space(
    spec: ProfileSpecWire, knowledge: ClassSpecWire, class_name: str, context: Context
) -> tuple[SearchSpace, dict[str, Role]]:
    _unique(spec.knobs, "spec.knobs")
    _unique(knowledge.knobs, f"class {class_name}: spec.knobs")
    merge = translate_knobs.Merge(spec, knowledge, class_name, context.cpus, context.reported)
    space = SearchSpace(merge.knobs())
    roles: dict[str, Role] = {k.name: k.role for k in knowledge.knobs if k.name in space}
    return space, {name: role for name, role in roles.items() if role is not Role.NONE}


def _autoscaler(spec: ProfileSpecWire) -> Autoscaler | None:
    wire = spec.autoscaler
    if wire is None:
        return None
    if (wire.create is None) == (wire.ref is None):
        found = "create and ref" if wire.create else "neither"
        raise InvalidInput("spec.autoscaler", found, "give exactly one of create and ref")
    if wire.ref is not None:
        return Autoscaler(wire.ref.name, create=False)
    create = wire.create
    assert create is not None
    if create.min_replicas > create.max_replicas:
        where = "spec.autoscaler.create.minReplicas"
        raise InvalidInput(
            where, create.min_replicas, f"raise maxReplicas ({create.max_replicas}) or lower minReplicas"
        )
    name = own_name(spec.target_ref.name)
    return Autoscaler(name, True, create.min_replicas, create.max_replicas, create.cpu_utilization)


_SHARES = {"max_step", "error_budget_share"}


def _guards(wire: profile_wire.Guards) -> Guards:
    """Absent fields keep the model's defaults."""
    given: dict[str, Any] = {}
    for item in fields(Guards):
        raw = getattr(wire, item.name)
        where = f"spec.guards.{type(wire).model_fields[item.name].alias}"
        if raw is None:
            continue
        if isinstance(raw, int):
            given[item.name] = raw
            continue
        value = units.parse_percent(raw, where) if item.name in _SHARES else units.parse_duration(raw, where)
        if value <= 0 and item.name not in ("settle", "cooldown"):
            raise InvalidInput(where, raw, "write more than zero")
        given[item.name] = value
    return Guards(**given)


def _canary(wire: profile_wire.Canary) -> Canary:
    where = "spec.trial.canary.share"
    share = units.parse_percent(wire.share, where)
    if share > MOST_CANARY:
        raise InvalidInput(where, wire.share, "write at most 50%: the rest is what a canary is compared with")
    return Canary(share, wire.min_pods)


def _prices(wire: profile_wire.Prices | None) -> Prices:
    wire = wire or profile_wire.Prices()
    found = {f.name: units.parse_decimal(getattr(wire, f.name), f"spec.prices.{f.name}") for f in fields(Prices)}
    for name, value in found.items():
        if value < 0:
            raise InvalidInput(f"spec.prices.{name}", getattr(wire, name), "write 0 or more")
    return Prices(**found)


def _freeze(wire: profile_wire.Freeze) -> Freeze:
    where, urgent = f"spec.freezes[{wire.name}]", wire.allow is FreezeAllow.URGENT
    core_freeze.zone(wire.time_zone, wire.name)
    recurs, dated = (wire.schedule, wire.duration), (wire.from_, wire.until)
    if (None in recurs) == (None in dated) or any(dated if None not in recurs else recurs):
        found = ", ".join(n for n in ("schedule", "duration", "from", "until") if _given(wire, n)) or "none of them"
        raise InvalidInput(where, found, "write schedule and duration, or from and until")
    if wire.schedule is not None and wire.duration is not None:
        core_freeze.parse(wire.schedule, wire.name)
        longest = Fraction(round(core_freeze.LONGEST.total_seconds()))
        duration = _between(f"{where}.duration", wire.duration, Fraction(60), longest)
        return Freeze(wire.name, wire.schedule, wire.time_zone, duration, urgent)
    assert wire.from_ is not None and wire.until is not None
    start = core_freeze.moment(wire.from_, f"{where}.from")
    end = core_freeze.moment(wire.until, f"{where}.until")
    if start >= end:
        raise InvalidInput(f"{where}.until", wire.until, f"write a time later than from ({wire.from_})")
    return Freeze(wire.name, allow_urgent=urgent, start=start, end=end)


def _given(wire: profile_wire.Freeze, name: str) -> bool:
    return getattr(wire, "from_" if name == "from" else name) is not None


def _between(field: str, raw: str, low: Fraction, high: Fraction) -> Fraction:
    value = units.parse_duration(raw, field)
    if not low <= value <= high:
        remedy = f"write between {units.format_duration(low)} and {units.format_duration(high)}"
        raise InvalidInput(field, raw, remedy)
    return value


def _metadata(obj: Mapping[str, Any], field: str) -> str:
    return str(obj.get("metadata", {}).get(field, ""))


_Named = profile_wire.KnobOverride | profile_wire.Freeze | profile_wire.Matcher | class_wire.KnobWire


def _unique(entries: Sequence[Any], field: str) -> Sequence[Any]:
    """The entries, or InvalidInput where a name stands twice (a server refuses that; a file does not)."""
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise InvalidInput(field, entry.name, "this name stands twice: merge the two entries into one")
        seen.add(entry.name)
    return entries
