"""Workers that leak and are recycled: a bad change looks good for more than twenty minutes. Wastes at first.

Each event leaks a little. A worker is replaced after `max_tasks_per_worker` events, which costs it a second and a
half; until then what it leaked stays. New pods start clean, so less memory, or workers that live longer, look good
until the leak has caught up: above 85 % of `memory_limit` pods slow down, above 100 % they are killed and start clean.
`stream_channel_capacity` has no effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from pegbox.model.knobs import Effect, Setting
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.knobs import GIB, boolean, cores, integer, memory, moved, number, setting, space, whole
from pegbox.testing.plants.pods import answer
from pegbox.testing.plants.protocol import Minute, Prices, Slo
from pegbox.testing.plants.queues import network_rates

CPU = 0.010  # seconds of one core per event
OTHER = 0.110  # seconds of other I/O
LEAK = 6 * 1024  # bytes per event
RENEWAL = 1.5  # seconds in which a recycled worker does nothing
METRICS = 1.04  # CPU with metrics
BASE, PER_WORKER = 150 * 2**20, 25 * 2**20
PRESSED, SLOWED = 0.85, 6.0  # above that share of memory, CPU per event grows by up to that factor
DOWN = 0.5  # of the minute of a kill
LEVELS = 40  # between two kills at which `steady` looks
SHAPE = 0.5
GRID = 20.0


@dataclass(frozen=True, slots=True)
class Leaked:
    """Bytes leaked in one pod, and its backlog in events."""

    bytes: float = 0.0
    backlog: float = 0.0


class SlowLeak(Workload[Leaked]):
    """`steady` is the footprint that recycling keeps, or the mean from one kill to the next where it keeps none."""

    space = space(
        integer("replicas", 2, 16),
        integer("worker_count", 1, 64),
        integer("max_tasks_per_worker", 50, 200_000),
        memory("memory_limit", 256, 8192, Effect.RESTART),
        cores("cpu_request", "0.2", "4"),
        boolean("enable_metrics"),
        integer("worker_queue_capacity", 10, 5000),
        integer("stream_channel_capacity", 100, 100_000),
    )
    start = setting(
        space,
        replicas=6,
        worker_count=8,
        max_tasks_per_worker=30_000,
        memory_limit="3Gi",
        cpu_request="0.5",
        enable_metrics=True,
        worker_queue_capacity=1000,
        stream_channel_capacity=10_000,
    )
    known = (
        moved(
            start,
            space,
            replicas=2,
            worker_count=8,
            max_tasks_per_worker=1656,
            memory_limit="462Mi",
            cpu_request="575m",
            enable_metrics=False,
        ),
    )
    slo = Slo(seconds=0.5, share=0.95)
    prices = Prices(gib=0.02)
    mean_load = 80.0

    def begin(self, setting: Setting, load: float, at: int) -> Leaked:
        limit = number(setting, "memory_limit")
        return Leaked(max(0.0, min(_most(setting), limit - _own(setting))))

    def _settled(self, setting: Setting, at: int) -> Minute:
        load, room = self.load(at), number(setting, "memory_limit") - _own(setting)
        if _most(setting) <= room:
            return super()._settled(setting, at)
        levels = [max(room, 0.0) * i / LEVELS for i in range(LEVELS)]
        minutes = max(room, 0.0) / (load / whole(setting, "replicas") * 60.0 * LEAK)
        levels += [room + 1.0] * max(1, round(LEVELS / max(minutes, 1.0)))
        flows, backlog = [], 0.0
        for level in levels:
            flow, after = self.flow(setting, load, at, 1.0, Leaked(level, backlog))
            backlog = after.backlog
            flows.append(flow)
        return self.averaged(at, setting, [load] * len(flows), flows)

    def restarted(self, setting: Setting, state: Leaked) -> Leaked:
        return replace(state, bytes=0.0)

    def flow(self, setting: Setting, load: float, at: int, up: float, state: Leaked) -> tuple[Flow, Leaked]:
        replicas, workers = whole(setting, "replicas"), whole(setting, "worker_count")
        pods, request = up * replicas, number(setting, "cpu_request")
        used = (_own(setting) + state.bytes) / number(setting, "memory_limit")
        killed = used > 1.0
        slow = 1.0 if killed else 1.0 + (SLOWED - 1.0) * max(0.0, (used - PRESSED) / (1.0 - PRESSED))
        metrics = METRICS if setting["enable_metrics"] else 1.0
        each = RENEWAL / whole(setting, "max_tasks_per_worker")  # seconds of renewal per event
        rates = _rates(round(math.log(CPU * metrics * slow) * GRID), each, workers, request)
        room = whole(setting, "worker_queue_capacity")
        own = answer(load / pods, rates, room, 0.0 if killed else state.backlog, self.slo.seconds, SHAPE)
        away = DOWN if killed else 0.0
        leaked = 0.0 if killed else state.bytes
        # Workers are recycled at different times: half of what they may leak is there on average.
        after = min(leaked + own.served * 60.0 * (1 - away) * LEAK, max(_most(setting), 0.0))
        flow = Flow(
            served=own.served * pods * (1 - away),
            latency=own.latency,
            good=own.good * (1 - away),
            errors=own.errors + away * (1 - own.errors),
            pods=pods,
            kills=replicas if killed else 0,
            cpu=min(1.0, own.served * CPU * metrics * slow / request),
            busy={"worker_count": min(1.0, own.serving / workers), "memory_limit": min(1.0, used)},
        )
        return flow, Leaked(after, own.backlog)

    def price(self, setting: Setting) -> float:
        gib = number(setting, "memory_limit") / GIB
        return whole(setting, "replicas") * self.prices.of_pod(cores=number(setting, "cpu_request"), gib=gib)


def _own(setting: Setting) -> float:
    """Bytes of a pod that has leaked nothing."""
    return BASE + PER_WORKER * float(whole(setting, "worker_count"))


def _most(setting: Setting) -> float:
    """Bytes that the workers of a pod have leaked once recycling keeps up."""
    return whole(setting, "worker_count") * whole(setting, "max_tasks_per_worker") * LEAK / 2.0


@lru_cache(maxsize=8192)
def _rates(step: int, renewal: float, workers: int, request: float) -> tuple[float, ...]:
    cpu = math.exp(step / GRID)
    return tuple(network_rates((lambda n: min(n, request) / cpu, lambda n: n / (OTHER + renewal)), workers))
