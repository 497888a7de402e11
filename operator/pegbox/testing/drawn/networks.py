"""Pods that are closed networks of stations: a database that all share, a backend, pods that an HPA adds."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from random import Random
from typing import ClassVar

from pegbox.model.knobs import Knob, KnobType, Location, LocationKind, SearchSpace, Setting
from pegbox.model.roles import Role, Roles
from pegbox.testing.drawn.base import ROOMS, Answer, Drawn, between, counted, numbers, pod_answer
from pegbox.testing.plants.knobs import boolean, cores, integer, number, space, whole
from pegbox.testing.plants.queues import network_rates

WORKERS = integer("worker_count", 1, 64)
QUEUE = integer("worker_queue_capacity", 10, 5000)


class Database(Drawn):
    """CPU, other I/O, and a pool of connections to a database whose cores and locks all pods share."""

    family: ClassVar[str] = "database"
    space: ClassVar[SearchSpace] = space(integer("replicas", 1, 16), WORKERS, integer("pool_size", 1, 50), QUEUE)
    roles: ClassVar[Roles] = {
        "replicas": Role.REPLICAS,
        "worker_count": Role.CONCURRENCY,
        "pool_size": Role.POOL,
        "worker_queue_capacity": Role.QUEUE,
    }

    def draw(self, chance: Random) -> None:
        self.cpu, self.other, self.query = (
            between(chance, *ends) for ends in ((2e-3, 4e-2), (5e-3, 0.3), (4e-3, 0.15))
        )
        self.cores, self.store = between(chance, 0.25, 4.0), between(chance, 2.0, 32.0)
        self.locks = between(chance, 15.0, 300.0)
        self.start = numbers(
            replicas=counted(chance, 1, 8),
            worker_count=counted(chance, 1, 24),
            pool_size=counted(chance, 1, 12),
            worker_queue_capacity=chance.choice(ROOMS),
        )

    def _rates(self, setting: Setting, pods: int) -> tuple[float, ...]:
        workers, pool = whole(setting, "worker_count"), whole(setting, "pool_size")
        query = (self.query, self.store, self.locks)
        return _database_rates(self.cpu, self.cores, self.other, query, workers, pool, pods)

    def capacity(self, setting: Setting, pods: int) -> float:
        return pods * self._rates(setting, pods)[-1]

    def answer(self, setting: Setting, pods: int, load: float, waiting: float = 1.0) -> Answer:
        served, latency, serving = pod_answer(setting, pods, load, self._rates(setting, pods), waiting)
        workers, pool = whole(setting, "worker_count"), whole(setting, "pool_size")
        held = served / pods * self.query * _stretch(served * self.query, self.store, self.locks)
        return Answer(
            served, latency, {"worker_count": min(1.0, serving / workers), "pool_size": min(1.0, held / pool)}
        )


def _stretch(connections: float, store: float, locks: float) -> float:
    """How much longer a query takes beside so many busy connections of all pods."""
    return max(1.0, connections / store) * (1.0 + (connections / locks) ** 2)


@lru_cache(maxsize=4096)
def _database_rates(
    cpu: float, most: float, other: float, query: tuple[float, float, float], workers: int, pool: int, pods: int
) -> tuple[float, ...]:
    """Events/s of one pod with 1..workers inside, the other pods being like it."""

    def database(n: int) -> float:
        held = min(n, pool)
        return held / (query[0] * _stretch(pods * held, query[1], query[2]))

    return tuple(network_rates((lambda n: min(n, most) / cpu, lambda n: n / other, database), workers))


class Backend(Drawn):
    """CPU and a pool of clients of an HTTP backend; tracing costs CPU, and no role says so."""

    family: ClassVar[str] = "backend"
    space: ClassVar[SearchSpace] = space(
        integer("replicas", 1, 16), WORKERS, integer("http_pool", 1, 100), QUEUE, boolean("enable_tracing")
    )
    roles: ClassVar[Roles] = {
        "replicas": Role.REPLICAS,
        "worker_count": Role.CONCURRENCY,
        "http_pool": Role.POOL,
        "worker_queue_capacity": Role.QUEUE,
    }

    def draw(self, chance: Random) -> None:
        self.cpu, self.backend = between(chance, 2e-3, 5e-2), between(chance, 1e-2, 0.5)
        self.cores, self.tracing = between(chance, 0.25, 4.0), between(chance, 1.02, 1.5)
        self.start = numbers(
            replicas=counted(chance, 1, 8),
            worker_count=counted(chance, 1, 24),
            http_pool=counted(chance, 1, 24),
            worker_queue_capacity=chance.choice(ROOMS),
            enable_tracing=chance.random() < 0.5,
        )

    def _rates(self, setting: Setting) -> tuple[float, ...]:
        cpu = self.cpu * (self.tracing if setting["enable_tracing"] else 1.0)
        return _backend_rates(
            cpu, self.cores, self.backend, whole(setting, "worker_count"), whole(setting, "http_pool")
        )

    def capacity(self, setting: Setting, pods: int) -> float:
        return pods * self._rates(setting)[-1]

    def answer(self, setting: Setting, pods: int, load: float, waiting: float = 1.0) -> Answer:
        served, latency, serving = pod_answer(setting, pods, load, self._rates(setting), waiting)
        workers, pool = whole(setting, "worker_count"), whole(setting, "http_pool")
        held = served / pods * self.backend
        return Answer(
            served, latency, {"worker_count": min(1.0, serving / workers), "http_pool": min(1.0, held / pool)}
        )


@lru_cache(maxsize=4096)
def _backend_rates(cpu: float, most: float, backend: float, workers: int, pool: int) -> tuple[float, ...]:
    return tuple(network_rates((lambda n: min(n, most) / cpu, lambda n: min(n, pool) / backend), workers))


def _bound(name: str, kind: LocationKind, high: int) -> Knob:
    """A bound of an HPA."""
    return Knob(name, KnobType.INTEGER, Location(kind), minimum=Fraction(1), maximum=Fraction(high))


class Autoscaled(Drawn):
    """Pods that an HPA adds by CPU between its bounds; no pool, so workers share cores and a delay."""

    family: ClassVar[str] = "autoscaled"
    space: ClassVar[SearchSpace] = space(
        _bound("min_replicas", LocationKind.HPA_MIN, 20),
        _bound("max_replicas", LocationKind.HPA_MAX, 40),
        WORKERS,
        cores("cpu_request", "0.1", "4"),
        QUEUE,
    )
    roles: ClassVar[Roles] = {
        "min_replicas": Role.REPLICAS,
        "max_replicas": Role.REPLICAS,
        "worker_count": Role.CONCURRENCY,
        "worker_queue_capacity": Role.QUEUE,
    }

    def draw(self, chance: Random) -> None:
        self.cpu, self.other = between(chance, 2e-3, 5e-2), between(chance, 5e-3, 0.4)
        self.target = chance.uniform(0.4, 0.9)
        least = counted(chance, 1, 4)
        self.start = numbers(
            min_replicas=least,
            max_replicas=least + counted(chance, 1, 8),
            worker_count=counted(chance, 1, 24),
            cpu_request=round(between(chance, 0.25, 2.0), 3),
            worker_queue_capacity=chance.choice(ROOMS),
        )

    def pods(self, setting: Setting, load: float) -> int:
        """At rest: as many as keep CPU at the target."""
        wish = math.ceil(load * self.cpu / (self.target * number(setting, "cpu_request")) - 1e-9)
        return min(max(wish, whole(setting, "min_replicas")), whole(setting, "max_replicas"))

    def _rates(self, setting: Setting) -> tuple[float, ...]:
        return _scaled_rates(self.cpu, number(setting, "cpu_request"), self.other, whole(setting, "worker_count"))

    def capacity(self, setting: Setting, pods: int) -> float:
        return pods * self._rates(setting)[-1]

    def answer(self, setting: Setting, pods: int, load: float, waiting: float = 1.0) -> Answer:
        served, latency, serving = pod_answer(setting, pods, load, self._rates(setting), waiting)
        return Answer(served, latency, {"worker_count": min(1.0, serving / whole(setting, "worker_count"))})


@lru_cache(maxsize=4096)
def _scaled_rates(cpu: float, most: float, other: float, workers: int) -> tuple[float, ...]:
    return tuple(network_rates((lambda n: min(n, most) / cpu, lambda n: n / other), workers))
