"""Workers that share a database: too few connections wait, too many fight for its locks. Closed form. Wastes at first.

In each pod `worker_count` events at most pass through three stations: CPU (`cpu_request` cores), other I/O (a delay)
and the database through `pool_size` connections, plus `max_overflow` slower ones that are opened on demand. The
database has cores and locks that all pods share. A pod is the flow-equivalent server of that network (Buzen) in front
of a bounded queue (birth-death chain). `metrics_interval` has no effect.
"""

from __future__ import annotations

import math
from functools import lru_cache

from pegbox.model.knobs import Setting
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.knobs import boolean, cores, integer, moved, number, seconds, setting, space, whole
from pegbox.testing.plants.pods import answer
from pegbox.testing.plants.protocol import Slo
from pegbox.testing.plants.queues import network_rates

CPU = 0.012  # seconds of one core per event
OTHER = 0.050  # seconds of other I/O
QUERY = 0.025  # seconds in the database, alone
PING = 0.004  # seconds more per query when the connection is tried first
OPENED = 1.5  # a query on an overflow connection takes that much longer: it is opened and closed for it
DATABASE_CORES = 8
LOCKS = 60.0  # busy connections at which lock waits double a query
GIB_PER_POD = 0.25
GIB_PER_WORKER = 0.02
ROUNDS = 30  # of the fixed point below
STEPS = 100  # loads are told apart in steps of 1 %
SHAPE = 0.6  # squared coefficient of variation of the time in service


class DatabasePool(Workload[float]):
    """The state is the backlog of one pod, in events."""

    space = space(
        integer("replicas", 2, 16),
        integer("worker_count", 1, 64),
        integer("pool_size", 1, 50),
        integer("max_overflow", 0, 30),
        integer("worker_queue_capacity", 10, 5000),
        boolean("pool_pre_ping"),
        cores("cpu_request", "0.25", "4"),
        seconds("metrics_interval", "1", "60"),
    )
    start = setting(
        space,
        replicas=8,
        worker_count=8,
        pool_size=4,
        max_overflow=4,
        worker_queue_capacity=1000,
        pool_pre_ping=True,
        cpu_request="1",
        metrics_interval="10s",
    )
    known = (moved(start, space, replicas=2, worker_count=10, pool_size=14, pool_pre_ping=False, cpu_request="1006m"),)
    slo = Slo(seconds=0.35, share=0.95)
    rules: tuple[str, ...] = ("replicas * (pool_size + max_overflow) <= 200",)  # what the database lets in
    mean_load = 120.0

    def begin(self, setting: Setting, load: float, at: int) -> float:
        return 0.0

    def flow(self, setting: Setting, load: float, at: int, up: float, state: float) -> tuple[Flow, float]:
        pods = up * whole(setting, "replicas")
        rates = _rates(
            round(math.log(load) * STEPS),
            pods,
            whole(setting, "worker_count"),
            whole(setting, "pool_size"),
            whole(setting, "max_overflow"),
            bool(setting["pool_pre_ping"]),
            number(setting, "cpu_request"),
        )
        own = answer(load / pods, rates, whole(setting, "worker_queue_capacity"), state, self.slo.seconds, SHAPE)
        busy = {
            "worker_count": own.serving / len(rates),
            "pool_size": min(1.0, own.served * QUERY / whole(setting, "pool_size")),
        }
        used = own.served * CPU / number(setting, "cpu_request")
        flow = Flow(own.served * pods, own.latency, own.good, own.errors, pods, cpu=min(used, 1.0), busy=busy)
        return flow, own.backlog

    def price(self, setting: Setting) -> float:
        gib = GIB_PER_POD + GIB_PER_WORKER * whole(setting, "worker_count")
        return whole(setting, "replicas") * self.prices.of_pod(cores=number(setting, "cpu_request"), gib=gib)


def _others(load: float, pods: float, most: int, query: float) -> float:
    """Busy connections of one of the other pods, as the mean over time: m = load per pod x query(pods x m).

    Iterated from an idle database, so of two states that hold themselves up it is the calm one; `most` where none is.
    """
    busy = 0.0
    for _ in range(ROUNDS):
        busy = min(load / pods * query * _stretch(pods * busy), float(most))
    return busy


def _stretch(busy: float) -> float:
    """How much longer a query takes beside `busy` connections in all."""
    return max(1.0, busy / DATABASE_CORES) * (1.0 + (busy / LOCKS) ** 2)


@lru_cache(maxsize=4096)
def _rates(step: int, pods: float, workers: int, pool: int, overflow: int, ping: bool, cpu: float) -> tuple[float, ...]:
    """Events/s of one pod with 1..workers inside; `step` is the load, so that near loads share an entry."""
    query = QUERY + PING * ping
    beside = (pods - 1.0) * _others(math.exp(step / STEPS), pods, pool + overflow, query)

    def database(n: int) -> float:
        steady, opened = min(n, pool), min(max(n - pool, 0), overflow)
        return (steady + opened / OPENED) / (query * _stretch(beside + steady + opened))

    def computing(n: int) -> float:
        return min(n, cpu) / CPU

    return tuple(network_rates((computing, lambda n: n / OTHER, database), workers))
