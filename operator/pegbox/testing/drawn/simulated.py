"""Single events, one after the other: no queueing formula at all, so none that a model could share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import ClassVar

from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.roles import Role, Roles
from pegbox.testing.drawn.base import FULL, ROOMS, Answer, Drawn, between, counted, numbers
from pegbox.testing.plants.event_pods import Job, Limits, Machine
from pegbox.testing.plants.knobs import cores, integer, number, space, whole

JOBS = 1500  # that a run measures, after half as many that it does not
MOST_WORKERS = 32


class Events(Drawn):
    """Workers hold a core, then a connection to a database that slows down when many ask; lognormal service times."""

    family: ClassVar[str] = "events"
    space: ClassVar[SearchSpace] = space(
        integer("replicas", 1, 12),
        integer("worker_count", 1, MOST_WORKERS),
        integer("pool_size", 1, MOST_WORKERS),
        integer("worker_queue_capacity", 10, 2000),
        cores("cpu_request", "0.2", "4"),
    )
    roles: ClassVar[Roles] = {
        "replicas": Role.REPLICAS,
        "worker_count": Role.CONCURRENCY,
        "pool_size": Role.POOL,
        "worker_queue_capacity": Role.QUEUE,
    }

    def draw(self, chance: Random) -> None:
        self.cpu, self.query = between(chance, 5e-3, 0.1), between(chance, 1e-2, 0.4)
        self.spreads = chance.uniform(0.3, 1.0), chance.uniform(0.3, 1.2)
        self.store = between(chance, 3.0, 40.0)
        self.start = numbers(
            replicas=counted(chance, 1, 6),
            worker_count=counted(chance, 1, 16),
            pool_size=counted(chance, 1, 12),
            worker_queue_capacity=chance.choice(ROOMS),
            cpu_request=round(between(chance, 0.3, 2.0), 3),
        )
        self._known: dict[tuple[Setting, int], float] = {}

    def _bound(self, setting: Setting, pods: int) -> float:
        """Events/s that no order of events can exceed."""
        workers, pool = whole(setting, "worker_count"), whole(setting, "pool_size")
        least = min(
            workers / (self.cpu + self.query), pool / self.query, max(number(setting, "cpu_request"), 1e-3) / self.cpu
        )
        return min(pods * least, self.store / self.query)

    def capacity(self, setting: Setting, pods: int) -> float:
        key = (setting, pods)
        if key not in self._known:
            self._known[key] = self._run(setting, pods, 1.3 * self._bound(setting, pods)).throughput
        return self._known[key]

    def answer(self, setting: Setting, pods: int, load: float, waiting: float = 1.0) -> Answer:
        most = self.capacity(setting, pods)
        if load <= FULL * most:
            return self._run(setting, pods, load)
        full = self._run(setting, pods, max(load, most))
        room = pods * whole(setting, "worker_queue_capacity")
        own = full.busy["worker_count"] * pods * whole(setting, "worker_count") / most
        return Answer(min(load, most), own + waiting * room / most, full.busy)

    def _run(self, setting: Setting, pods: int, load: float) -> Answer:
        """One run, long enough for so many jobs; the same jobs for every setting."""
        limits = Limits(
            pods=pods,
            workers=whole(setting, "worker_count"),
            connections=whole(setting, "pool_size"),
            room=whole(setting, "worker_queue_capacity"),
            cores=number(setting, "cpu_request"),
            store=self.store,
        )
        machine, chance = Machine(limits), Random(f"{self.family}:{self.seed}:jobs")
        warm, span = JOBS / 2 / load, JOBS / load
        machine.run(self._jobs(load, 0.0, warm, chance), warm, math.inf)
        tally = machine.run(self._jobs(load, warm, warm + span, chance), warm + span, math.inf)
        busy = {
            "worker_count": min(1.0, tally.worked / span / pods / limits.workers),
            "pool_size": min(1.0, tally.held / span / pods / limits.connections),
        }
        return Answer(min(load, tally.served / span), tally.latency / max(tally.served, 1), busy)

    def _jobs(self, load: float, begin: float, end: float, chance: Random) -> Iterator[Job]:
        means = [math.log(m) - s * s / 2.0 for m, s in zip((self.cpu, self.query), self.spreads, strict=True)]
        now = begin
        while True:
            now += chance.expovariate(load)
            if now >= end:
                return
            cpu, query = (math.exp(chance.gauss(m, s)) for m, s in zip(means, self.spreads, strict=True))
            yield Job(now, chance.random(), cpu, query)
