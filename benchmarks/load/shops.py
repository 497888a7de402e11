"""The profiles of a load run: all three modes side by side in each namespace, with a budget that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks import fleet
from benchmarks.exporter import VALUES
from benchmarks.fleet import PER_NAMESPACE, PODS, Fleet
from benchmarks.load.book import MAXIMUM, Tenant, Values
from pegbox.model.snapshot import Document
from pegbox.ports import Object

MODES = ("Auto", "Recommend", "Auto", "Observe")
LIMITS: Mapping[str, tuple[int, int]] = {"worker_count": (2, 16), "http_pool": (2, 40), MAXIMUM: (2, 6)}
HARMFUL: Mapping[str, int] = {"worker_count": 12, "http_pool": 15}
"""A value from which on a pod is slow: one step of 50 % from what it starts with."""
HPA_MAXIMUM = 3
OWN_LIMIT = 300  # sockets of one profile; 3 pods x 8 x 10 = 240 at the start
ROOM = 12  # beyond what the profiles of a namespace use at the start: one raise or two at a time


@dataclass(frozen=True)
class Times:
    """Seconds. Windows hold four scrapes, as they must."""

    interval: int
    scrape: int

    @property
    def window(self) -> int:
        return max(4 * self.scrape, 10)

    def guards(self) -> dict[str, Any]:
        return {
            "settle": f"{self.scrape}s",
            "cooldown": f"{self.window}s",
            "trialWindow": f"{self.window}s",
            "ackTimeout": f"{self.interval + 6 * self.scrape + 60}s",
            "trialTimeout": f"{6 * self.window + 2 * self.interval + 180}s",
            "failuresToOpen": 3,
            "breakerBase": f"{2 * self.interval}s",
        }


def number(name: str) -> int:
    return int(name.split("-")[1])


def has_hpa(name: str) -> bool:
    """Every third profile."""
    return number(name) % 3 == 0


def start() -> Values:
    return {name: int(value) for name, value in VALUES.items()}


def shared(values: Values) -> int:
    return values["worker_count"]


def own(values: Values) -> int:
    return values["worker_count"] * values["http_pool"]


def harmed(document: Document) -> bool:
    """Does this document make a pod slow?"""
    return any(int(document.values.get(name, "0")) >= least for name, least in HARMFUL.items())


@dataclass
class Shops(Fleet):
    """As the fleet of the figures, with modes, budgets, and an HPA beside every third target."""

    times: Times = field(default_factory=lambda: Times(interval=30, scrape=5))
    limits: Mapping[str, tuple[int, int]] = field(default_factory=lambda: LIMITS)

    def mode(self, name: str) -> str:
        return MODES[number(name) % len(MODES)]

    async def namespace(self, name: str) -> None:
        await super().namespace(name)
        body = fleet.object_of("pegbox.dev/v1alpha1", "SharedBudget", name, "upstream")
        await self.cluster.apply(body | {"spec": {"capacity": self.capacity(name), "reserve": 0}}, force=True)

    def capacity(self, namespace: str) -> int:
        """What those in Auto use at the start, and some room."""
        first = int(namespace.split("-")[1]) * PER_NAMESPACE
        names = [f"app-{each:03}" for each in range(first, first + PER_NAMESPACE)]
        pods = sum(HPA_MAXIMUM if has_hpa(each) else PODS for each in names if self.mode(each) == "Auto")
        return pods * shared(start()) + ROOM

    async def _add(self, namespace: str, name: str) -> None:
        if has_hpa(name):
            await self.cluster.apply(_hpa(namespace, name), force=True)
        await super()._add(namespace, name)

    def profile(self, namespace: str, name: str, mode: str = "") -> Object:
        knobs = {n: each for n, each in self.limits.items() if n != MAXIMUM or has_hpa(name)}
        spec: dict[str, Any] = {
            "targetRef": {"kind": "Deployment", "name": name},
            "classRef": {"name": "python-worker"},
            "mode": mode or self.mode(name),
            "interval": f"{self.times.interval}s",
            "guards": self.times.guards(),
            "conflictPolicy": "Take",
            "knobs": [{"name": n, "min": low, "max": high} for n, (low, high) in knobs.items()],
            "budgets": [
                {"name": "upstream", "uses": "pods * worker_count", "budgetRef": {"name": "upstream"}},
                {"name": "sockets", "uses": "pods * worker_count * http_pool", "limit": OWN_LIMIT},
            ],
            "slos": [{"name": "fast", "signal": "task_duration", "threshold": "500ms", "goal": "95%"}],
        }
        if has_hpa(name):
            spec["autoscaler"] = {"ref": {"name": name}}
        return fleet.object_of("pegbox.dev/v1alpha1", "PerformanceProfile", namespace, name) | {"spec": spec}

    def tenant(self, key: str) -> Tenant:
        """What the observer must know of it."""
        namespace, _, name = key.partition("/")
        pods = tuple(sorted(self.pods.metrics.values.get(namespace, {})))
        return Tenant(
            key=key,
            mode=self.mode(name),
            pods=tuple(each for each in pods if each.startswith(f"{name}-")),
            start=start(),
            limits={n: each for n, each in self.limits.items() if n != MAXIMUM or has_hpa(name)},
            shared=shared,
            own=own,
            own_limit=OWN_LIMIT,
            maximum=HPA_MAXIMUM if has_hpa(name) else 0,
        )


def _hpa(namespace: str, name: str) -> Object:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    body = fleet.object_of("autoscaling/v2", "HorizontalPodAutoscaler", namespace, name)
    return body | {"spec": {"scaleTargetRef": ref, "minReplicas": PODS, "maxReplicas": HPA_MAXIMUM}}
