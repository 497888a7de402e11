"""PerformanceProfile's status: what is in force, what is wished, why, and what comes next. Texts, never floats."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pegbox.api.wire import NamedValue, ShortText, Text, Time, Wire, by_value, list_map
from pegbox.model.decisions import ConditionType, Truth
from pegbox.model.trials import BreakerState

Number = Annotated[str, Field(max_length=32, description="A decimal number, or Unknown.")]
EntryText = Annotated[str, Field(min_length=1, max_length=80)]
Values = Annotated[list[NamedValue], Field(default_factory=list, max_length=64, json_schema_extra=list_map())]


class ConditionWire(Wire):
    """As metav1.Condition."""

    type: Annotated[ConditionType, by_value(ConditionType)]
    status: Annotated[Truth, by_value(Truth)]
    observed_generation: Annotated[int, Field(ge=0)]
    last_transition_time: Time
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, Field(max_length=4096)]


class BreakerStatus(Wire):
    """Open after failed trials: nothing is tried until `until`."""

    state: Annotated[BreakerState, by_value(BreakerState)]
    failures: Annotated[int, Field(ge=0)]
    openings: Annotated[
        int | None, Field(ge=0, description="How often it opened in a row: each time doubles the wait.")
    ] = None
    until: Time | None = None


class ForecastStatus(Wire):
    """The load to come, in events per second over all pods."""

    available: Annotated[Truth, by_value(Truth)]
    load: Annotated[Number | None, Field(description="Offered load at the newest step.")] = None
    upper: Annotated[Number | None, Field(description="What it exceeds rarely, `horizon` later.")] = None
    horizon: Annotated[ShortText | None, Field(description="How far ahead: the delay until new pods serve.")] = None
    level: Annotated[ShortText | None, Field(description="Share of times at which it stays below `upper`.")] = None
    missing: Annotated[Text | None, Field(description="Why there is none; all is then as without forecasts.")] = None


class ModelStatus(Wire):
    """How well the model predicted what happened next. Errors are mean absolute log-errors."""

    trusted: Annotated[Truth, by_value(Truth)]
    samples: Annotated[int, Field(ge=0)] = 0
    error: Number | None = None
    baseline_error: Number | None = None
    coefficients: Values
    missing: Annotated[Text | None, Field(description="What the data lacks for a prediction.")] = None
    forecast: ForecastStatus | None = None


class SloStatus(Wire):
    """Share of good events in the SLO's window."""

    name: EntryText
    attainment: ShortText
    goal: ShortText
    met: Annotated[Truth, by_value(Truth)]


class KnobStatus(Wire):
    """One knob as it stands where it lives."""

    name: EntryText
    value: ShortText
    proposed: ShortText | None = None
    location: Text
    writable: Annotated[Truth, by_value(Truth)]
    owner: ShortText | None = None
    reason: ShortText | None = None


class BudgetStatus(Wire):
    """Use at the setting in force, counting every pod that our own writes can add."""

    name: EntryText
    used: Number
    limit: Number


class TrialStatus(Wire):
    """What is being tried, or was tried last."""

    id: ShortText
    candidate: Values
    state: ShortText
    since: Time
    why: Text = ""


class SummaryStatus(Wire):
    """Short texts for `kubectl get`."""

    target: ShortText
    setting: ShortText
    slo: ShortText


class ProfileStatus(Wire):
    """Everything that Pegbox says of one profile."""

    observed_generation: Annotated[int, Field(ge=0)]
    class_generation: Annotated[int, Field(ge=0)] = 0
    conditions: Annotated[
        list[ConditionWire], Field(default_factory=list, max_length=16, json_schema_extra=list_map("type"))
    ]
    summary: SummaryStatus | None = None
    why: Text = ""
    next: Text = ""
    setting: Values
    proposal: Values
    knobs: Annotated[list[KnobStatus], Field(default_factory=list, max_length=64, json_schema_extra=list_map())]
    slos: Annotated[list[SloStatus], Field(default_factory=list, max_length=16, json_schema_extra=list_map())]
    budgets: Annotated[list[BudgetStatus], Field(default_factory=list, max_length=16, json_schema_extra=list_map())]
    breaker: BreakerStatus | None = None
    paused_until: Annotated[Time | None, Field(description="In the year 9999: until `resume`.")] = None
    model: ModelStatus | None = None
    trial: TrialStatus | None = None
    last_trial: TrialStatus | None = None
    tokens: Values
    guards: Values
