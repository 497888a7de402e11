"""Metrics under the names that the shipped classes query.

Two groups: what Pegbox reads to know what is in force (SettingsMetrics), and what it reads to judge a
workload (TaskMetrics, watch_limiter). Units are SI base units: durations in seconds, booleans 0 or 1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pegbox.live.limiter import Resizable

TASK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 10, 30)
"""An SLO is counted at a bucket's bound, so the usual thresholds (100 ms to 1 s) each have one."""
WAIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(frozen=True)
class Acknowledgement:
    """What a pod says about itself: this document's values are what I run."""

    profile_uid: str
    values_hash: str
    generation: int
    values: Mapping[str, int | float | bool | str]


class SettingsMetrics:
    """`pegbox_settings_generation`, `pegbox_setting_value`, `pegbox_settings_rejected_total`.

    One collector over one value that is swapped whole: a scrape sees the old acknowledgement or the new
    one, never a mixture and never none in between, as removing and setting a labelled gauge would show.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = threading.Lock()
        self._acknowledged: Acknowledgement | None = None
        self._values: Mapping[str, int | float | bool | str] = {}
        self._rejected = Counter(
            "pegbox_settings_rejected",
            "Settings documents refused, by reason.",
            ["reason"],
            registry=registry,
        )
        registry.register(_Callback(self._collect))

    def show_values(self, values: Mapping[str, int | float | bool | str]) -> None:
        """The values that the process runs with before any document: the operator adopts them as the
        baseline.
        """
        with self._lock:
            self._values = dict(values)

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        with self._lock:
            self._acknowledged = acknowledgement
            self._values = dict(acknowledgement.values)

    def rejected(self, reason: str) -> None:
        self._rejected.labels(reason).inc()

    def _collect(self) -> Iterator[Metric]:
        with self._lock:
            acknowledged, values = self._acknowledged, self._values
        generation = GaugeMetricFamily(
            "pegbox_settings_generation",
            "Generation of the settings document in force.",
            labels=["profile_uid", "hash"],
        )
        if acknowledged is not None:
            generation.add_metric([acknowledged.profile_uid, acknowledged.values_hash], acknowledged.generation)
        yield generation
        value = GaugeMetricFamily(
            "pegbox_setting_value", "Value in force of each numeric knob, in SI base units.", labels=["knob"]
        )
        for name, number in values.items():
            if not isinstance(number, str):
                value.add_metric([name], float(number))
        yield value


class TaskMetrics:
    """What a task-processing application tells: load offered, time taken, outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "pegbox_task_duration_seconds",
            "From accepting a task to its lasting effect.",
            buckets=TASK_BUCKETS,
            registry=registry,
        )
        self.service = Histogram(
            "pegbox_task_service_seconds",
            "From the start of processing a task to its lasting effect; the queue's wait is not in it.",
            buckets=TASK_BUCKETS,
            registry=registry,
        )
        self.outcomes = Counter(
            "pegbox_tasks",
            "Tasks by outcome: success, failure, expired, rejected.",
            ["outcome"],
            registry=registry,
        )
        self.arrived = Counter("pegbox_tasks_arrived", "Tasks offered, rejected ones included.", registry=registry)
        for outcome in ("success", "failure", "expired", "rejected"):
            self.outcomes.labels(outcome)


@dataclass(frozen=True)
class Gauge:
    """A number read at each scrape."""

    name: str
    text: str
    read: Callable[[], float]
    labels: Mapping[str, str] = field(default_factory=dict)
    counter: bool = False


class WorkloadMetrics:
    """Pools, workers and queue: gauges read at the scrape and integrals that no scrape interval can miss."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges: list[Gauge] = []
        self._waits = Histogram(
            "pegbox_pool_wait_seconds",
            "Wait for a slot of a pool.",
            ["pool"],
            buckets=WAIT_BUCKETS,
            registry=registry,
        )
        registry.register(_Callback(self._collect))

    def add(self, gauge: Gauge) -> None:
        self._gauges.append(gauge)

    def watch_pool(self, pool: str, limiter: Resizable) -> None:
        """Export a pool's limiter and observe each wait for it."""
        limiter.wait_observer = self._waits.labels(pool).observe
        labels = {"pool": pool}
        self.add(Gauge("pegbox_pool_in_use", "Slots of a pool in use.", lambda: limiter.in_use, labels))
        self.add(Gauge("pegbox_pool_limit", "Slots of a pool.", lambda: limiter.limit, labels))
        self.add(Gauge("pegbox_pool_waiting", "Callers in line for a slot.", lambda: limiter.waiting, labels))
        self.add(
            Gauge(
                "pegbox_pool_busy_seconds",
                "Slot-seconds in use; its rate is the mean number in use.",
                limiter.busy_seconds,
                labels,
                counter=True,
            )
        )

    def _collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for gauge in self._gauges:
            family = families.get(gauge.name)
            if family is None:
                kind = CounterMetricFamily if gauge.counter else GaugeMetricFamily
                family = families[gauge.name] = kind(gauge.name, gauge.text, labels=list(gauge.labels))
            family.add_metric(list(gauge.labels.values()), gauge.read())
        yield from families.values()


class _Callback(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._function = collect

    def collect(self) -> Iterator[Metric]:
        return self._function()
