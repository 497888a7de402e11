"""A simulated service: what its metrics would say under the settings that its pods run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pegbox.model.observations import Missing
from pegbox.ports import SignalQuery, SignalRow
from pegbox.testing.metrics import FakeMetrics

LOAD = 200.0  # events per second; nothing within the limits serves all of it, so more is better
HOLD = 0.4  # seconds for which one event holds a worker
HARMFUL = 4  # a knob at this value or above thrashes: a quarter of the throughput, at 3 s each


@dataclass(frozen=True)
class Group:
    """Pods of one cohort and one short generation, and the numbers that they run."""

    cohort: str
    label: str
    pods: int
    values: Mapping[str, float]


@dataclass
class Service:
    """One workload. `values` are the numbers in force, whatever their place; pods add up.

    With the defaults of `world` (three knobs of 2) and two pods: 2 x 6 / 0.4 = 30 events/s of 200.
    """

    profile: str
    values: dict[str, float] = field(default_factory=dict)
    pods: int = 0
    load: float = LOAD
    slowed: float = 1.0  # by this factor, whatever runs: an upstream, a surge
    slowed_rest: float = 1.0  # the same for the pods outside of a cohort
    failing: float = 0.001  # share of the events that fail, whatever runs
    serves: float = 1.0  # share of what it could, at the same latency, under other numbers than `well`
    well: Mapping[str, float] = field(default_factory=dict)
    since: datetime | None = None  # when that began
    groups: tuple[Group, ...] = ()  # pods that run different values; none: all run `values`
    labels: Mapping[str, int] = field(default_factory=dict)  # short generation -> pods that run it

    def throughput(self) -> float:
        able = self.pods * sum(v for v in self.values.values()) / HOLD
        return min(self.load, able / 4 if self.harmed else able) * (self.serves if self.stalled else 1.0)

    @property
    def stalled(self) -> bool:
        return any(self.values.get(name) != value for name, value in self.well.items())

    @property
    def harmed(self) -> bool:
        return any(value >= HARMFUL for value in self.values.values())

    def latency(self) -> float:
        return 3.0 if self.harmed else 0.3

    def rows(self, query: SignalQuery) -> Iterable[SignalRow]:
        if query.signal.name == "arrivals":
            yield SignalRow(self.profile, "", "", "value", self.load, None, self.pods)
            return
        for group in self._groups():
            yield from self._of(query.signal.name, group)

    def served(self) -> float:
        """Events per second of all pods, each by what it runs itself."""
        return sum(self._alone(group).throughput() * group.pods for group in self._groups()) / max(self.pods, 1)

    def _groups(self) -> Iterable[Group]:
        return self.groups or [Group("", label, n, self.values) for label, n in self.labels.items()]

    def _alone(self, group: Group) -> Service:
        return replace(self, values=dict(group.values), groups=())

    def _of(self, name: str, group: Group) -> Iterable[SignalRow]:
        """Tasks come from one queue: each group takes what its pods can bear, of what there is."""
        alone = self._alone(group)
        served = alone.throughput() * group.pods / max(self.pods, 1)
        slowed = self.slowed * (1.0 if group.cohort else self.slowed_rest)
        good = served * (0.2 if alone.harmed or slowed > 2 else 0.99)

        def row(part: str, value: float, le: float | None = None) -> SignalRow:
            return SignalRow(self.profile, group.cohort, group.label, part, value, le, group.pods)

        if name == "duration":
            for le, value in ((0.5, good), (math.inf, served)):
                yield row("bucket", value, le)
            yield row("sum", served * alone.latency() * slowed)
            yield row("count", served)
        elif name == "success":
            yield row("good", served * (1 - self.failing))
            yield row("all", served)


def answering(metrics: FakeMetrics, services: Mapping[str, Service]) -> None:
    """Let a metrics server answer for these services."""

    def scenario(query: SignalQuery, at: datetime) -> Iterable[SignalRow] | Missing:
        return [row for service in services.values() for row in service.rows(query)]

    metrics.scenario = scenario
