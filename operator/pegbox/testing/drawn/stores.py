"""What all pods share: an upstream that counts calls, and a slow store behind caches."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.roles import Role, Roles
from pegbox.testing.drawn.base import FULL, ROOMS, Answer, Drawn, between, counted, numbers
from pegbox.testing.plants.knobs import boolean, integer, number, space, whole
from pegbox.testing.plants.queues import erlang_c

WORKERS = integer("worker_count", 1, 64)
QUEUE = integer("worker_queue_capacity", 10, 5000)


def _waits(callers: int, each: float, load: float) -> float:
    """Mean wait in front of so many callers that take `each` seconds; load in calls/s, M/M/c."""
    offered = min(load * each, FULL * callers)
    return erlang_c(callers, offered) * each / (callers - offered)


class Upstream(Drawn):
    """Each pod's workers call with batches over a pool of clients; the upstream takes so many calls/s from all pods."""

    family: ClassVar[str] = "upstream"
    space: ClassVar[SearchSpace] = space(
        integer("replicas", 1, 16), WORKERS, integer("http_pool", 1, 100), integer("batch_size", 1, 200), QUEUE
    )
    roles: ClassVar[Roles] = {
        "replicas": Role.REPLICAS,
        "worker_count": Role.CONCURRENCY,
        "http_pool": Role.POOL,
        "batch_size": Role.BATCH,
        "worker_queue_capacity": Role.QUEUE,
    }

    def draw(self, chance: Random) -> None:
        self.call, self.each = between(chance, 0.02, 0.6), between(chance, 5e-4, 2e-2)
        self.own = between(chance, 1e-3, 0.1)  # seconds of a worker per call without a client
        self.timeout = between(chance, 0.01, 1.0)
        self.start = numbers(
            replicas=counted(chance, 1, 6),
            worker_count=counted(chance, 1, 16),
            http_pool=counted(chance, 1, 16),
            batch_size=counted(chance, 1, 20),
            worker_queue_capacity=chance.choice(ROOMS),
        )
        self.limit = (
            between(chance, 0.5, 8.0)
            * self._callers(self.start, whole(self.start, "replicas"), float(whole(self.start, "batch_size")))[1]
        )

    def _callers(self, setting: Setting, pods: int, filled: float) -> tuple[int, float]:
        """Callers of all pods, and the calls/s that they make of batches with so many events."""
        workers, pool = whole(setting, "worker_count"), whole(setting, "http_pool")
        call = self.call + self.each * filled
        return pods * min(workers, pool), pods * min(workers / (call + self.own), pool / call)

    def _most(self, setting: Setting, pods: int, filled: float) -> float:
        return filled * min(self.limit, self._callers(setting, pods, filled)[1])

    def _filled(self, setting: Setting, pods: int, load: float) -> tuple[float, float]:
        """Mean events of a call, and how long the first of them waits: a batch that finds no caller fills up."""
        batch = float(whole(setting, "batch_size"))
        span = min((batch - 1.0) * pods / load, self.timeout)
        least, most = min(batch, 1.0 + load / pods * span), batch
        if self._most(setting, pods, least) * FULL >= load:
            return least, span
        for _ in range(30):
            middle = (least + most) / 2.0
            least, most = (least, middle) if self._most(setting, pods, middle) * FULL >= load else (middle, most)
        return most, (most - 1.0) * pods / load

    def capacity(self, setting: Setting, pods: int) -> float:
        return self._most(setting, pods, float(whole(setting, "batch_size")))

    def answer(self, setting: Setting, pods: int, load: float, waiting: float = 1.0) -> Answer:
        most = self.capacity(setting, pods)
        served, calm = min(load, most), min(load, FULL * most)
        filled, span = self._filled(setting, pods, calm)
        call, calls = self.call + self.each * filled, calm / filled
        rho = min(calls / self.limit, FULL)
        wait = _waits(self._callers(setting, pods, filled)[0], call + self.own, calls)
        wait += rho / (2.0 * self.limit * (1.0 - rho))
        if load > FULL * most:
            wait += waiting * pods * whole(setting, "worker_queue_capacity") / most
        rate = served / filled / pods
        busy = {
            "worker_count": min(1.0, rate * (call + self.own) / whole(setting, "worker_count")),
            "http_pool": min(1.0, rate * call / whole(setting, "http_pool")),
        }
        return Answer(served, span / 2.0 + wait + call + self.own, busy)


class Cache(Drawn):
    """A cache in each pod before a store of few servers: misses load the store, and a full memory costs CPU."""

    family: ClassVar[str] = "cache"
    space: ClassVar[SearchSpace] = space(
        integer("replicas", 1, 16), WORKERS, integer("cache_capacity", 100, 100_000), QUEUE, boolean("compressed")
    )
    roles: ClassVar[Roles] = {
        "replicas": Role.REPLICAS,
        "worker_count": Role.CONCURRENCY,
        "worker_queue_capacity": Role.QUEUE,
    }

    def draw(self, chance: Random) -> None:
        self.cpu, self.cores = between(chance, 5e-4, 1e-2), between(chance, 0.25, 4.0)
        self.query, self.servers = between(chance, 1e-2, 0.3), counted(chance, 4, 64)
        self.half, self.top = between(chance, 500.0, 20_000.0), chance.uniform(0.6, 0.98)
        self.room = between(chance, 3_000.0, 60_000.0)  # entries that fit into the memory
        self.start = numbers(
            replicas=counted(chance, 1, 8),
            worker_count=counted(chance, 1, 24),
            cache_capacity=counted(chance, 300, 6000),
            worker_queue_capacity=chance.choice(ROOMS),
            compressed=chance.random() < 0.5,
        )

    def _inner(self, setting: Setting) -> tuple[float, float]:
        """Share of misses, and seconds of a core per event. Above 80 % of the memory collection costs CPU; what does
        not fit is killed and starts cold, so it misses.
        """
        squeezed = 0.45 if setting["compressed"] else 1.0
        size = number(setting, "cache_capacity")
        used = size * squeezed / self.room
        pressure = max(0.0, min(used, 1.0) - 0.8) / 0.2
        hits = self.top * size / (size + self.half) if used <= 1.0 else 0.1
        return 1.0 - hits, self.cpu * (1.4 if squeezed < 1.0 else 1.0) * (1.0 + 4.0 * pressure**2)

    def capacity(self, setting: Setting, pods: int) -> float:
        missed, cpu = self._inner(setting)
        held = cpu + missed * self.query
        own = pods * min(whole(setting, "worker_count") / held, self.cores / cpu)
        return min(own, self.servers / self.query / missed)

    def answer(self, setting: Setting, pods: int, load: float, waiting: float = 1.0) -> Answer:
        missed, cpu = self._inner(setting)
        most = self.capacity(setting, pods)
        served, calm = min(load, most), min(load, FULL * most)
        asked = min(calm * missed, FULL * self.servers / self.query)
        store = self.query + _waits(self.servers, self.query, asked)
        quick = max(cpu, cpu / self.cores) / (1.0 - min(calm / pods * cpu / self.cores, FULL))
        held = quick + missed * store
        wait = _waits(whole(setting, "worker_count"), held, calm / pods)
        if load > FULL * most:
            wait += waiting * pods * whole(setting, "worker_queue_capacity") / most
        busy = {"worker_count": min(1.0, served / pods * held / whole(setting, "worker_count"))}
        return Answer(served, wait + held, busy)
