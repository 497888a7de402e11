"""PerformanceProfile: what an application team writes. Durations, shares and quantities are texts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from pegbox.api.wire import (
    Decimal,
    Duration,
    EntryName,
    IntOrString,
    KnobName,
    ObjectName,
    Percent,
    Reference,
    ShortText,
    SignalName,
    Time,
    Wire,
    by_value,
    list_map,
    rules,
)
from pegbox.model.knobs import KnobMode
from pegbox.model.profile import ConflictPolicy, DeletionPolicy, Mode, Objective, OnNoData


class TargetKind(StrEnum):
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class Preset(StrEnum):
    """Custom: only the knobs that the profile names, and its autoscaler's bounds. The others: formulas of the class."""

    CUSTOM = "Custom"
    BALANCED = "Balanced"
    HIGH_PERFORMANCE = "HighPerformance"
    MEMORY_EFFICIENT = "MemoryEfficient"
    DEVELOPMENT = "Development"


class FreezeAllow(StrEnum):
    NONE = "None"
    URGENT = "Urgent"


class TargetRef(Wire):
    """The workload whose numbers are tuned, in the profile's namespace. Another one is another profile's."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.kind == oldSelf.kind && self.name == oldSelf.name",
                "spec.targetRef cannot name another workload, or what was written to the first would stay there: "
                "delete the profile, and make one for the other",
            )
        )
    )

    kind: Annotated[TargetKind, by_value(TargetKind)]
    name: ObjectName
    container: Annotated[EntryName | None, Field(description="The container whose CPUs count; default: the first.")] = (
        None
    )


class AutoscalerCreate(Wire):
    """The HPA that Pegbox creates and owns."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.minReplicas <= self.maxReplicas",
                "spec.autoscaler.create.minReplicas must not be greater than maxReplicas: lower it or raise that",
            )
        )
    )

    min_replicas: Annotated[int, Field(ge=1, le=10000)]
    max_replicas: Annotated[int, Field(ge=1, le=10000)]
    cpu_utilization: Annotated[int, Field(ge=1, le=1000, description="Percent of the CPU requests.")] = 60


class Autoscaler(Wire):
    """The HPA whose bounds are knobs: created by Pegbox, or an existing one (written only by consent)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.create) != has(self.ref)",
                "spec.autoscaler needs exactly one of create and ref: remove one of them, or add one",
            )
        )
    )

    create: AutoscalerCreate | None = None
    ref: Reference | None = None


class Slo(Wire):
    """The share `goal` of a signal's events must be good, or faster than `threshold`."""

    name: EntryName
    signal: SignalName
    threshold: Duration | None = None
    goal: Percent
    window: Duration = "5m"
    minimum_events: Annotated[int, Field(ge=1, le=100_000_000)] = 100
    on_no_data: Annotated[OnNoData, by_value(OnNoData)] = OnNoData.HOLD


class OverrideKind(StrEnum):
    """The kinds of place that a profile may choose by name; a ConfigMap of its own is chosen by naming it."""

    POD_ENV = "PodEnv"


class LocationOverride(Wire):
    """Where the application itself keeps the value, in place of Pegbox's settings document: its own ConfigMap, or a
    variable that admission puts into its new pods (kind PodEnv; key is the variable's name).
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.kind) || !has(self.configMap) && !has(self.path)",
                "spec.knobs[].location of kind PodEnv is a variable of the pods: remove configMap and path",
            )
        )
    )

    kind: Annotated[OverrideKind | None, by_value(OverrideKind)] = None
    config_map: ObjectName | None = None
    key: ShortText | None = None
    path: ShortText | None = None


# Numbers only: servers before Kubernetes 1.34 take every int-or-string for a text of 3 MiB, whatever its maxLength, and
# refuse a definition that reads 64 of them. `int()` costs nothing there; texts are compared by the operator.
_BOUNDS = "type(self.min) != int || type(self.max) != int || int(self.min) <= int(self.max)"
_BOUNDS_MESSAGE = "spec.knobs[].min must not be greater than max: raise max or lower min"


class KnobOverride(Wire):
    """Narrows a knob of the class; it never widens it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (f"!has(self.min) || !has(self.max) || {_BOUNDS}", _BOUNDS_MESSAGE),
            (
                "!has(self.value) || !(has(self.min) || has(self.max) || has(self.initial) || has(self.maxStep))",
                "spec.knobs[].value pins the knob: remove min, max, initial and maxStep, or remove value",
            ),
        )
    )

    name: KnobName
    min: IntOrString | None = None
    max: IntOrString | None = None
    value: Annotated[IntOrString | None, Field(description="Pins the knob to this value.")] = None
    initial: Annotated[IntOrString | None, Field(description="The value in force, where nothing else says it.")] = None
    mode: Annotated[KnobMode, by_value(KnobMode)] = KnobMode.TUNE
    max_step: Percent | None = None
    conflict_policy: Annotated[ConflictPolicy | None, by_value(ConflictPolicy)] = None
    location: LocationOverride | None = None


class Budget(Wire):
    """`uses` of everything that the workload may run at once stays within the limit."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.limit) != has(self.budgetRef)",
                "spec.budgets[] needs exactly one of limit and budgetRef: remove one of them, or add one",
            ),
            (
                "self.uses.matches('^[A-Za-z0-9_.+*() ]+$')",
                "spec.budgets[].uses may hold only + * ( ), numbers, pods and knobs: use must rise with every knob",
            ),
        )
    )

    name: EntryName
    uses: Annotated[str, Field(min_length=1, max_length=256)]
    limit: IntOrString | None = None
    budget_ref: Reference | None = None


class Guards(Wire):
    """How careful Pegbox is. What is absent has the default that status shows."""

    settle: Duration | None = None
    cooldown: Duration | None = None
    max_step: Percent | None = None
    error_budget_share: Percent | None = None
    ack_timeout: Duration | None = None
    trial_window: Duration | None = None
    trial_timeout: Duration | None = None
    failures_to_open: Annotated[int | None, Field(ge=1, le=50)] = None
    breaker_base: Duration | None = None


class Prices(Wire):
    """Money per hour, in any currency, for what is requested; only ratios matter. MinimizeCost weighs sizes by it."""

    pod: Annotated[Decimal, Field(description="Of a pod, whatever it requests.")] = "0"
    cpu: Annotated[Decimal, Field(description="Of a core.")] = "0.0316"
    memory: Annotated[Decimal, Field(description="Of a GiB.")] = "0.0042"


class Canary(Wire):
    """A trial of hot settings and admitted variables first runs in a share of the ready pods, judged beside others."""

    share: Annotated[Percent, Field(description="Of the ready pods, at least one; at most 50%. 0%: no canary.")] = "20%"
    min_pods: Annotated[int, Field(ge=2, le=1000, description="With fewer ready pods: a plain step.")] = 4


class Trial(Wire):
    """How a trial reaches the pods."""

    canary: Canary = Canary()


_RECURS, _DATED = "has(self.schedule) && has(self.duration)", "has(self.from) && has(self.until)"
_NEITHER_DATE, _NO_SCHEDULE = "!has(self.from) && !has(self.until)", "!has(self.schedule) && !has(self.duration)"


class Freeze(Wire):
    """A time in which no trial starts, recurring or by dates; Urgent lets those through that repair a violated SLO."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"({_RECURS} && {_NEITHER_DATE}) || ({_DATED} && {_NO_SCHEDULE})",
                "spec.freezes[] needs schedule and duration, or from and until: remove the others",
            ),
            (
                f"!({_DATED}) || self.from < self.until",
                "spec.freezes[].until must be later than from: swap or correct them",
            ),
        )
    )

    name: EntryName
    schedule: Annotated[
        str | None, Field(min_length=9, max_length=100, description="Five-field cron: when the freeze begins.")
    ] = None
    time_zone: Annotated[str, Field(max_length=64, description="Of the schedule.")] = "UTC"
    duration: Duration | None = None
    from_: Annotated[Time | None, Field(alias="from", description="The first moment, with its offset.")] = None
    until: Annotated[Time | None, Field(description="The first moment after it.")] = None
    allow: Annotated[FreezeAllow, by_value(FreezeAllow)] = FreezeAllow.NONE


class Matcher(Wire):
    """An equality matcher that is added to the class's queries, e.g. job = checkout."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=128)]
    value: Annotated[str, Field(max_length=253)]


class ProfileSpecWire(Wire):
    """The desired state. Only targetRef and classRef are required."""

    target_ref: TargetRef
    class_ref: Reference
    autoscaler: Autoscaler | None = None
    preset: Annotated[Preset, by_value(Preset)] = Preset.BALANCED
    mode: Annotated[Mode, by_value(Mode)] = Mode.RECOMMEND
    objective: Annotated[Objective, by_value(Objective)] = Objective.MINIMIZE_COST
    prices: Prices | None = None  # no default of the server: an older release refuses a field that it does not know
    interval: Duration = "30s"
    slos: Annotated[list[Slo], Field(default_factory=list, max_length=16, json_schema_extra=list_map())]
    knobs: Annotated[list[KnobOverride], Field(default_factory=list, max_length=64, json_schema_extra=list_map())]
    budgets: Annotated[list[Budget], Field(default_factory=list, max_length=16, json_schema_extra=list_map())]
    guards: Guards = Guards()
    trial: Trial = Trial()
    freezes: Annotated[list[Freeze], Field(default_factory=list, max_length=16, json_schema_extra=list_map())]
    match_labels: Annotated[list[Matcher], Field(default_factory=list, max_length=16, json_schema_extra=list_map())]
    conflict_policy: Annotated[ConflictPolicy, by_value(ConflictPolicy)] = ConflictPolicy.REFUSE
    deletion_policy: Annotated[DeletionPolicy, by_value(DeletionPolicy)] = DeletionPolicy.RESTORE
