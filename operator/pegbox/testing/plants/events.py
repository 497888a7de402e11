"""Workers, a connection pool and a bounded queue as a discrete-event simulation. Violates: too few connections.

Service times are lognormal, arrivals Poisson, pods are chosen at random; see `event_pods`. No formula of it is shared
with the model that Pegbox learns. `enable_metrics` has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import ClassVar

from pegbox.model.knobs import Effect, Setting
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.event_pods import Job, Limits, Machine, Tally
from pegbox.testing.plants.knobs import boolean, choice, cores, integer, moved, number, setting, space, whole
from pegbox.testing.plants.protocol import Minute, Slo

MINUTE = 60.0
CPU, CPU_SPREAD = 0.060, 0.8  # mean seconds of one core, sd of the log
QUERY, QUERY_SPREAD = 0.240, 1.0  # mean seconds in the database, sd of the log
STORE = 8.0  # queries that the database runs at full speed
RESTARTING = 20.0  # seconds that a rolling restart takes
GIB_PER_POD = 0.3
GIB_PER_WORKER = 0.02
TRUTH = "truth"  # seed of the noiseless figures: long runs with the same arrivals for every setting


class Events(Workload[Machine]):
    """The state is the machine, with everything that is inside."""

    space = space(
        integer("replicas", 2, 16),
        integer("worker_count", 1, 64),
        integer("pool_size", 1, 50, Effect.RESTART),
        integer("worker_queue_capacity", 5, 2000),
        choice("queue_order", "oldest", "newest"),
        cores("cpu_request", "0.2", "4"),
        boolean("enable_metrics"),
    )
    start = setting(
        space,
        replicas=4,
        worker_count=8,
        pool_size=1,
        worker_queue_capacity=500,
        queue_order="oldest",
        cpu_request="1",
        enable_metrics=True,
    )
    known = (moved(start, space, replicas=2, worker_count=5, pool_size=6, cpu_request="525m"),)
    slo = Slo(seconds=1.6, share=0.95)
    mean_load = 10.0
    clumps = 0.0  # its own chance is enough
    settles = 3
    spans = 20
    store: ClassVar[float] = STORE

    def begin(self, setting: Setting, load: float, at: int) -> Machine:
        return Machine(self.limits(setting))

    def limits(self, setting: Setting) -> Limits:
        return Limits(
            pods=whole(setting, "replicas"),
            workers=whole(setting, "worker_count"),
            connections=whole(setting, "pool_size"),
            room=whole(setting, "worker_queue_capacity"),
            cores=number(setting, "cpu_request"),
            store=self.store,
            newest=setting["queue_order"] == "newest",
        )

    def jobs(self, load: float, at: int, chance: Random) -> Iterator[Job]:
        """One minute's arrivals: the same for every setting."""
        now, end = at * MINUTE, (at + 1) * MINUTE
        means = [math.log(mean) - sd * sd / 2.0 for mean, sd in ((CPU, CPU_SPREAD), (QUERY, QUERY_SPREAD))]
        while True:
            now += chance.expovariate(load)
            place, cpu, query = (
                chance.random(),
                chance.gauss(means[0], CPU_SPREAD),
                chance.gauss(means[1], QUERY_SPREAD),
            )
            if now >= end:
                return
            yield Job(now, place, math.exp(cpu), math.exp(query))

    def flow(self, setting: Setting, load: float, at: int, up: float, state: Machine) -> tuple[Flow, Machine]:
        return self._minute(setting, load, at, up, state, Random(f"{self.seed}:{at}:jobs")), state

    def price(self, setting: Setting) -> float:
        gib = GIB_PER_POD + GIB_PER_WORKER * whole(setting, "worker_count")
        return whole(setting, "replicas") * self.prices.of_pod(cores=number(setting, "cpu_request"), gib=gib)

    def _minute(self, setting: Setting, load: float, at: int, up: float, machine: Machine, chance: Random) -> Flow:
        limits = self.limits(setting)
        if limits != machine.limits:
            machine.resize(limits)
        away = round(limits.pods * (1.0 - up))
        closed = (at * MINUTE + RESTARTING, away)
        tally = machine.run(self.jobs(load, at, chance), (at + 1) * MINUTE, self.slo.seconds, closed)
        return _flow(tally, limits)

    def _settled(self, setting: Setting, at: int) -> Minute:
        load, machine = self.load(at), Machine(self.limits(setting))
        flows = [
            self._minute(setting, load, minute, 1.0, machine, Random(f"{TRUTH}:{minute}"))
            for minute in range(self.settles + self.spans)
        ]
        return self.averaged(at, setting, [load] * self.spans, flows[self.settles :])


def _flow(tally: Tally, limits: Limits) -> Flow:
    left = max(tally.offered, tally.served + tally.refused, 1)
    workers = limits.pods * limits.workers * MINUTE
    connections = limits.pods * limits.connections * MINUTE
    return Flow(
        served=tally.served / MINUTE,
        latency=tally.latency / tally.served if tally.served else None,
        good=tally.good / left,
        errors=tally.refused / max(tally.offered, 1),
        pods=float(limits.pods),
        cpu=min(1.0, tally.computed / (limits.pods * limits.cores * MINUTE)),
        busy={
            "worker_count": min(1.0, tally.worked / workers),
            "pool_size": min(1.0, tally.held / connections),
        },
    )
