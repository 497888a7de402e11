"""ProfileSpec: one profile merged with its class, validated, in the core's own terms.

The wire form (strings, optional fields) stops in pegbox.api; everything here is exact and complete.
Durations are seconds as Fraction; shares lie between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from pegbox.model.knobs import SearchSpace
from pegbox.model.roles import Role


class Mode(StrEnum):
    OBSERVE = "Observe"
    RECOMMEND = "Recommend"
    AUTO = "Auto"


class Objective(StrEnum):
    MINIMIZE_COST = "MinimizeCost"
    MAXIMIZE_THROUGHPUT = "MaximizeThroughput"
    MINIMIZE_LATENCY = "MinimizeLatency"


class OnNoData(StrEnum):
    HOLD = "Hold"
    REVERT = "Revert"
    IGNORE = "Ignore"


class ConflictPolicy(StrEnum):
    REFUSE = "Refuse"
    TAKE = "Take"


class DeletionPolicy(StrEnum):
    RESTORE = "Restore"
    KEEP = "Keep"


class SignalKind(StrEnum):
    """How a class's PromQL is read. All are written per pod; Pegbox joins and aggregates."""

    RATE = "Rate"  # events per second; summed over pods
    GAUGE = "Gauge"  # a level; averaged over pods
    HISTOGRAM = "Histogram"  # rates of cumulative buckets with `le`; `sum` and `count` beside them
    RATIO = "Ratio"  # rates of good and of all events


class Purpose(StrEnum):
    """What the loop uses a signal for. One signal of a class per purpose, but BUSY (one per knob)."""

    LOAD = "Load"  # offered load: arrivals per second, never completions; read unjoined
    THROUGHPUT = "Throughput"
    LATENCY = "Latency"  # a Histogram
    ERRORS = "Errors"  # a Ratio: share of good events
    BUSY = "Busy"  # a Gauge: used share of the knob's limit, 0..1
    SLO = "SLO"  # only for SLOs and display


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a class. Expressions hold `$window` and `$matchers` and nothing else to fill in.

    RATE and GAUGE use `expr`; HISTOGRAM uses `expr` (buckets), `sum_expr`, `count_expr`; RATIO uses `expr`
    (good events) and `count_expr` (all events).
    """

    name: str
    kind: SignalKind
    purpose: Purpose
    expr: str
    sum_expr: str = ""
    count_expr: str = ""
    knob: str = ""


@dataclass(frozen=True, slots=True)
class Slo:
    """Share `goal` of events of `signal` must be good: under `threshold` seconds (Histogram), or good (Ratio)."""

    name: str
    signal: str
    goal: Fraction
    threshold: Fraction | None = None
    window: Fraction = Fraction(300)
    minimum_events: int = 100
    on_no_data: OnNoData = OnNoData.HOLD


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """`uses` (only + * ( ), knob names, `pods`, numbers) stays within `limit`, or within a SharedBudget."""

    name: str
    uses: str
    limit: Fraction | None = None
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Guards:
    """Waiting times in seconds; `max_step` is the default share for knobs without their own."""

    settle: Fraction = Fraction(60)
    cooldown: Fraction = Fraction(600)
    ack_timeout: Fraction = Fraction(180)
    trial_window: Fraction = Fraction(120)  # evidence collected before a verdict; at least 4 scrapes
    trial_timeout: Fraction = Fraction(1800)
    max_step: Fraction = Fraction(1, 2)
    error_budget_share: Fraction = Fraction(1, 20)
    failures_to_open: int = 3
    breaker_base: Fraction = Fraction(900)  # first Open time; doubles per failed probe up to a day


@dataclass(frozen=True, slots=True)
class Canary:
    """A trial of hot settings and variables by admission runs first in this share of the ready pods, where there are at
    least `min_pods`.

    The defaults: a fifth of the pods bears a harmful trial, and with three others beside it the comparison is with a
    workload, not with a single neighbour. A share of 0 switches canaries off.
    """

    share: Fraction = Fraction(1, 5)
    min_pods: int = 4


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An HPA: `create` from the profile's template, or an existing one by reference (consent still needed)."""

    name: str
    create: bool
    min_replicas: int = 1
    max_replicas: int = 1
    cpu_utilization: int = 0  # percent of requests; only where created


@dataclass(frozen=True, slots=True)
class Freeze:
    """A recurring window (`schedule`: five-field cron in `time_zone`), or dates, in which no trial starts.

    `start` (inclusive) and `end` (exclusive) are aware; with them there is no schedule.
    """

    name: str
    schedule: str = ""
    time_zone: str = "UTC"
    duration: Fraction = Fraction(0)
    allow_urgent: bool = False
    start: datetime | None = None
    end: datetime | None = None


GIB = 2**30  # bytes, of which memory has its price


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per hour of a pod, and of a core and a GiB that it requests. Only their ratios matter.

    The defaults: a core costs as much as 7.5 GiB, as in the list prices of the large clouds.
    """

    pod: Fraction = Fraction(0)
    cpu: Fraction = Fraction("0.0316")
    memory: Fraction = Fraction("0.0042")


@dataclass(frozen=True, slots=True)
class Target:
    kind: str
    name: str
    container: str = ""

    @property
    def own_name(self) -> str:
        """Of our own ConfigMap, and of an HPA that is created: after the target, so that manifests can mount it."""
        return own_name(self.name)


def own_name(target: str) -> str:
    return f"{target}-pegbox"


@dataclass(frozen=True, slots=True)
class ProfileSpec:
    """Everything that the loop needs to know about one profile."""

    namespace: str
    name: str
    uid: str
    generation: int
    target: Target
    class_name: str
    class_generation: int
    mode: Mode
    objective: Objective
    interval: Fraction
    space: SearchSpace
    roles: Mapping[str, Role]
    signals: tuple[Signal, ...]
    slos: tuple[Slo, ...]
    budgets: tuple[BudgetSpec, ...] = ()
    rules: tuple[str, ...] = ()  # CEL-free comparisons of the class, such as "pool_size <= worker_count * 4"
    matchers: tuple[tuple[str, str], ...] = ()  # equality matchers added to the class's queries
    guards: Guards = field(default_factory=Guards)
    canary: Canary = Canary()
    autoscaler: Autoscaler | None = None
    prices: Prices = Prices()
    freezes: tuple[Freeze, ...] = ()
    conflict_policy: ConflictPolicy = ConflictPolicy.REFUSE
    take_knobs: frozenset[str] = frozenset()  # knobs with a conflictPolicy Take of their own
    deletion_policy: DeletionPolicy = DeletionPolicy.RESTORE
    suspended: bool = False
    forgotten: frozenset[str] = frozenset()  # knobs that only the ledger still knows there: moved back, and no further
    scaled_between: tuple[int, int] | None = None  # minReplicas and maxReplicas as they stand, whoever set them

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def config_map_name(self) -> str:
        return self.target.own_name

    def takes(self, knob: str) -> bool:
        """Does the profile consent to taking this knob's place over from another field manager?"""
        return self.conflict_policy is ConflictPolicy.TAKE or knob in self.take_knobs

    def signal_for(self, purpose: Purpose) -> Signal | None:
        return next((s for s in self.signals if s.purpose is purpose), None)
