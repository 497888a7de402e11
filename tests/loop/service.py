"""A simulated service: what its metrics would say under the settings that its pods run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pegbox.model.observations import Missing
from pegbox.ports import SignalQuery, SignalRow
from pegbox.testing.metrics import FakeMetrics

LOAD = 200.0  # events per second; nothing within the limits serves all of it, so more is better
HOLD = 0.4  # seconds for which one event holds a worker
HARMFUL = 4  # a knob at this value or above thrashes: a quarter of the throughput, at 3 s each


@dataclass
class Service:
    """One workload. `values` are the numbers in force, whatever their place; pods add up.

    With the defaults of `world` (three knobs of 2) and two pods: 2 x 6 / 0.4 = 30 events/s of 200.
    """

    profile: str
    values: dict[str, float] = field(default_factory=dict)
    pods: int = 0
    load: float = LOAD
    labels: Mapping[str, int] = field(default_factory=dict)  # short generation -> pods that run it

    def throughput(self) -> float:
        able = self.pods * sum(v for v in self.values.values()) / HOLD
        return min(self.load, able / 4 if self.harmed else able)

    @property
    def harmed(self) -> bool:
        return any(value >= HARMFUL for value in self.values.values())

    def latency(self) -> float:
        return 3.0 if self.harmed else 0.3

    def rows(self, query: SignalQuery) -> Iterable[SignalRow]:
        name = query.signal.name
        if name == "arrivals":
            yield self._row("", "value", self.load, self.pods)
            return
        for label, pods in self.labels.items():
            served = self.throughput() * pods / max(self.pods, 1)
            good = served * (0.2 if self.harmed else 0.99)
            if name == "duration":
                for le, value in ((0.5, good), (math.inf, served)):
                    yield self._row(label, "bucket", value, pods, le)
                yield self._row(label, "sum", served * self.latency(), pods)
                yield self._row(label, "count", served, pods)
            elif name == "success":
                yield self._row(label, "good", served * 0.999, pods)
                yield self._row(label, "all", served, pods)

    def _row(self, label: str, part: str, value: float, pods: int, le: float | None = None) -> SignalRow:
        return SignalRow(self.profile, "", label, part, value, le, pods)


def answering(metrics: FakeMetrics, services: Mapping[str, Service]) -> None:
    """Let a metrics server answer for these services."""

    def scenario(query: SignalQuery, at: datetime) -> Iterable[SignalRow] | Missing:
        return [row for service in services.values() for row in service.rows(query)]

    metrics.scenario = scenario
