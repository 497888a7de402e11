"""PerformanceClass: a platform team's knowledge of one kind of software. It holds no address of anything."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from pegbox.api.profile_wire import Preset
from pegbox.api.wire import (
    EntryName,
    IntOrString,
    KnobName,
    ObjectName,
    Percent,
    ShortText,
    SignalName,
    Text,
    Wire,
    by_value,
    list_map,
    rules,
)
from pegbox.model.knobs import Effect, KnobMode, KnobType, LocationKind, ResourceName, Side
from pegbox.model.profile import Purpose, SignalKind
from pegbox.model.roles import Role

Query = Annotated[str, Field(min_length=1, max_length=2000)]


class PresetValue(Wire):
    """What a preset says of one knob: a value, or a formula such as `2 * cpus`."""

    name: Annotated[Preset, by_value(Preset)]
    value: IntOrString


class LocationWire(Wire):
    """Where a knob's value lives. configMap may be left to the profile."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.kind in ['ConfigMapKey', 'ConfigMapPath'] || !has(self.configMap) && !has(self.path)",
                "spec.knobs[].location: configMap and path belong to kinds ConfigMapKey and ConfigMapPath: remove them",
            ),
            (
                "(has(self.kind) && self.kind == 'ContainerResource') == has(self.resource)"
                " && has(self.resource) == has(self.side)",
                "spec.knobs[].location: resource and side belong to kind ContainerResource, which needs both",
            ),
        )
    )

    kind: Annotated[LocationKind, by_value(LocationKind)] = LocationKind.SETTINGS
    config_map: ObjectName | None = None
    key: ShortText | None = None
    path: ShortText | None = None
    resource: Annotated[ResourceName | None, by_value(ResourceName)] = None
    side: Annotated[Side | None, by_value(Side)] = None


class KnobWire(Wire):
    """One number that may be tuned, with the limits that no profile can widen."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.choices) == (self.type == 'Choice')",
                "spec.knobs[].choices belong to type Choice, which needs them: add choices, or change the type",
            ),
            (
                "has(self.min) == has(self.max) && has(self.min) != (self.type in ['Boolean', 'Choice'])",
                "spec.knobs[] of numeric types need min and max, Boolean and Choice have none: add or remove them",
            ),
            (
                "!(self.location.kind in ['Env', 'PodEnv'] && self.effect == 'Hot')",
                "spec.knobs[].effect of an Env or PodEnv location must be Restart: env is read when a container starts",
            ),
            (
                "self.location.kind != 'ContainerResource' || self.effect == 'Hot' && "
                "self.type == (self.location.resource == 'cpu' ? 'Cpu' : 'Bytes')",
                "spec.knobs[].type of a ContainerResource is Cpu for cpu and Bytes for memory, effect Hot: correct it",
            ),
        )
    )

    name: KnobName
    description: Text | None = None
    type: Annotated[KnobType, by_value(KnobType)] = KnobType.INTEGER
    role: Annotated[Role, by_value(Role)] = Role.NONE
    effect: Annotated[Effect, by_value(Effect)] = Effect.HOT
    mode: Annotated[KnobMode, by_value(KnobMode)] = KnobMode.TUNE
    location: LocationWire = LocationWire()
    min: IntOrString | None = None
    max: IntOrString | None = None
    default: Annotated[IntOrString | None, Field(description="A value, or a formula such as max(2, cpus).")] = None
    presets: Annotated[list[PresetValue], Field(default_factory=list, max_length=8, json_schema_extra=list_map())]
    choices: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63)]] | None,
        Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = None
    max_step: Percent | None = None


class SignalWire(Wire):
    """PromQL, written per pod, with `$window` and `$matchers` as the only things to fill in.

    `$matchers` stands last between the braces, alone or after a comma, and may become empty.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.kind != 'Histogram' || has(self.sumExpr) && has(self.countExpr)",
                "spec.signals[] of kind Histogram need expr (buckets), sumExpr and countExpr: add them",
            ),
            (
                "self.kind != 'Ratio' || has(self.countExpr)",
                "spec.signals[] of kind Ratio need expr (good events) and countExpr (all events): add countExpr",
            ),
            (
                "has(self.knob) == (self.purpose == 'Busy')",
                "spec.signals[].knob belongs to purpose Busy, which needs it: add or remove it",
            ),
        )
    )

    name: SignalName
    kind: Annotated[SignalKind, by_value(SignalKind)]
    purpose: Annotated[Purpose, by_value(Purpose)] = Purpose.SLO
    expr: Query
    sum_expr: Query | None = None
    count_expr: Query | None = None
    knob: KnobName | None = None


class RuleWire(Wire):
    """A comparison that every setting must meet, and what to tell people when one does not."""

    name: EntryName
    expr: Annotated[str, Field(min_length=1, max_length=256)]
    message: Annotated[str, Field(min_length=1, max_length=512)]


class ClassSpecWire(Wire):
    """Knobs, signals and rules of one kind of software."""

    source_ref: Annotated[
        EntryName,
        Field(description="A metrics source by its name in the operator's settings; never an address."),
    ] = "default"
    description: Text | None = None
    knobs: Annotated[list[KnobWire], Field(min_length=1, max_length=64, json_schema_extra=list_map())]
    signals: Annotated[list[SignalWire], Field(min_length=1, max_length=64, json_schema_extra=list_map())]
    rules: Annotated[list[RuleWire], Field(default_factory=list, max_length=64, json_schema_extra=list_map())]
