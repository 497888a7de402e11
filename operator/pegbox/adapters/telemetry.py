"""The operator's own metrics, on a registry of their own.

Cardinality is bounded: labels are enums (reasons, conditions, actions, verbs), kinds of our RBAC, or profiles that
exist, whose series go with them. Methods take what the core returns, so that no caller spells a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from pegbox.adapters.pod_settings import PodSettings
from pegbox.model.brakes import Stop
from pegbox.model.decisions import Action, Condition, ConditionType, Truth
from pegbox.model.reasons import Reason
from pegbox.model.trials import Amounts, BreakerState, TrialState

RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
STOP_VALUES = {None: 0, Stop.STOP: 1, Stop.RESTORE: 2}
TROUBLE: dict[ConditionType, tuple[Truth, ...]] = {
    ConditionType.ACCEPTED: (Truth.FALSE,),
    ConditionType.METRICS_AVAILABLE: (Truth.FALSE, Truth.UNKNOWN),  # Unknown: nobody answers, or no such source
    ConditionType.SLO_MET: (Truth.FALSE,),
    ConditionType.DEGRADED: (Truth.TRUE,),
    ConditionType.CONFLICT: (Truth.TRUE,),
}
BREAKER_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Usage(Protocol):
    """What is read of a metrics source: totals since the start; `size` in bytes."""

    @property
    def queries(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def size(self) -> int: ...


class Telemetry:
    """All of them. `pod_settings` is a collector of its own: see there."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._sources: list[Callable[[], Usage]] = []
        r = self.registry
        self.pod_settings = PodSettings()
        r.register(self.pod_settings)
        self._reconcile = Histogram(
            "pegbox_reconcile_seconds", "One reconcile of one profile.", buckets=RECONCILE_BUCKETS, registry=r
        )
        self._errors = Counter("pegbox_reconcile_errors", "Reconciles that failed, by reason.", ["reason"], registry=r)
        self._decisions = Counter("pegbox_decisions", "Decisions.", ["action", "reason"], registry=r)
        self._writes = Counter("pegbox_writes", "Writes to the API server.", ["kind", "verb"], registry=r)
        self._trials = Counter("pegbox_trials", "Trials that ended.", ["state", "reason"], registry=r)
        self._depth = Gauge("pegbox_queue_depth", "Keys that wait for a reconcile.", registry=r)
        self._breaker = Gauge(
            "pegbox_breaker_state",
            "0 Closed, 1 HalfOpen, 2 Open.",
            ["namespace", "profile"],
            registry=r,
        )
        self._trouble = Gauge(
            "pegbox_trouble",
            "1 for each condition that a person should see: Accepted or SLOMet False, Degraded or Conflict True, "
            "MetricsAvailable not True.",
            ["target_namespace", "profile", "condition", "reason"],
            registry=r,
        )
        self._pending = Gauge(
            "pegbox_rollback_pending",
            "1 while a rollback or a restore is not in force yet, 0 else.",
            ["target_namespace", "profile"],
            registry=r,
        )
        self._stopped = Gauge("pegbox_stopped", "0 no, 1 stopped, 2 stopped and restored.", registry=r)
        self._fleet = Gauge(
            "pegbox_fleet_breaker_state", "Of the breaker over all profiles: 0 Closed, 1 HalfOpen, 2 Open.", registry=r
        )
        self._in_flight = Gauge(
            "pegbox_in_flight", "Profiles with a trial, or with a rollout of ours, under way.", ["what"], registry=r
        )
        self._added, self._removed = (
            Gauge(
                f"pegbox_{done}_per_hour",
                f"What trials may have {done} in the last hour: replicas, requested cpu in cores, memory in bytes.",
                ["what"],
                registry=r,
            )
            for done in ("added", "removed")
        )
        self._leader = Gauge("pegbox_leader", "1 where this process holds the Lease.", registry=r)
        self._cycle = Gauge(
            "pegbox_last_cycle_timestamp_seconds", "When a reconcile last ended, as Unix time.", registry=r
        )

    def reconciled(self, seconds: float, at: datetime) -> None:
        self._reconcile.observe(seconds)
        self._cycle.set(at.timestamp())

    def failed(self, reason: Reason) -> None:
        self._errors.labels(reason.value).inc()

    def decided(self, action: Action, reason: Reason) -> None:
        self._decisions.labels(action.value, reason.value).inc()

    def wrote(self, kind: str, verb: str) -> None:
        """`kind` as in ports.Kind.kind; `verb` as in RBAC (create, patch, delete)."""
        self._writes.labels(kind, verb).inc()

    def trial_ended(self, state: TrialState, reason: Reason) -> None:
        self._trials.labels(state.value, reason.value).inc()

    def queue_depth(self, keys: int) -> None:
        self._depth.set(keys)

    def breaker(self, namespace: str, name: str, state: BreakerState) -> None:
        self._breaker.labels(namespace, name).set(BREAKER_VALUES[state])

    def conditions(self, namespace: str, name: str, said: Iterable[Condition]) -> None:
        """All conditions of a profile, as its status says them."""
        self._trouble.remove_by_labels({"target_namespace": namespace, "profile": name})
        for item in said:
            if item.status in TROUBLE.get(item.type, ()):
                self._trouble.labels(namespace, name, item.type.value, item.reason.value).set(1)

    def degraded(self, namespace: str, name: str, reason: Reason) -> None:
        """A wake that failed says nothing of the other conditions."""
        kind = ConditionType.DEGRADED.value
        self._trouble.remove_by_labels({"target_namespace": namespace, "profile": name, "condition": kind})
        self._trouble.labels(namespace, name, kind, reason.value).set(1)

    def rollback_pending(self, namespace: str, name: str, pending: bool) -> None:
        self._pending.labels(namespace, name).set(1 if pending else 0)

    def stopped(self, stop: Stop | None) -> None:
        self._stopped.set(STOP_VALUES[stop])

    def fleet_breaker(self, state: BreakerState) -> None:
        self._fleet.set(BREAKER_VALUES[state])

    def in_flight(self, trials: int, restarts: int) -> None:
        self._in_flight.labels("trial").set(trials)
        self._in_flight.labels("restart").set(restarts)

    def changed(self, lately: Amounts) -> None:
        for gauge, amount in ((self._added, lately.added), (self._removed, lately.removed)):
            gauge.labels("replicas").set(amount.pods)
            gauge.labels("cpu").set(amount.cpu / 1000)
            gauge.labels("memory").set(amount.memory)

    def leader(self, leading: bool) -> None:
        """Not leading any more: nothing is said of pods and breakers, the next leader says it."""
        self._leader.set(1 if leading else 0)
        if not leading:
            self.pod_settings.clear()
            for gauge in (self._breaker, self._trouble, self._pending):
                gauge.clear()

    def forget(self, namespace: str, name: str) -> None:
        """The profile is gone; so are its series."""
        self.pod_settings.forget(f"{namespace}/{name}")
        self._breaker.remove_by_labels({"namespace": namespace, "profile": name})
        for gauge in (self._trouble, self._pending):
            gauge.remove_by_labels({"target_namespace": namespace, "profile": name})

    def watch_source(self, read: Callable[[], Usage]) -> None:
        """Export what the metrics source was asked; several sources are added up."""
        if not self._sources:
            self.registry.register(_SourceUsage(self._sources))
        self._sources.append(read)


class _SourceUsage(Collector):
    def __init__(self, sources: Sequence[Callable[[], Usage]]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        usages = [read() for read in self._sources]
        for name, text, value in (
            ("queries", "HTTP queries to metrics servers.", sum(u.queries for u in usages)),
            ("query_failures", "Queries that gave no answer to use.", sum(u.failures for u in usages)),
            ("samples", "Samples returned by metrics servers.", sum(u.samples for u in usages)),
            ("bytes", "Bytes returned by metrics servers.", sum(u.size for u in usages)),
        ):
            yield CounterMetricFamily(f"pegbox_prometheus_{name}", text, value=value)
