"""A day: load rises and falls, and a deploy makes the code heavier on CPU and quicker at its backend. Wastes at first.

Workers around CPU and an HTTP backend (`http_pool` connections), as `database_pool` without its contention. Tracing
and a chatty log cost CPU. The deploy needs more CPU and fewer workers. `buffer_pool_size` has no effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from pegbox.model.knobs import Setting
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.knobs import boolean, choice, cores, integer, moved, number, setting, space, whole
from pegbox.testing.plants.pods import answer
from pegbox.testing.plants.protocol import Slo
from pegbox.testing.plants.queues import network_rates

DAY, SWING, PEAK = 1440, 0.3, 290  # minutes of a day, share of the swing, minute of the peak
DEPLOY = 250
TRACING = 1.20
LOGGING = {"debug": 1.25, "info": 1.06, "warning": 1.0}
GIB_PER_POD = 0.3
GIB_PER_WORKER = 0.01
SHAPE = 0.6


@dataclass(frozen=True, slots=True)
class Code:
    """Seconds of one core and seconds at the backend, per event."""

    cpu: float
    backend: float


RELEASES = (Code(0.016, 0.120), Code(0.023, 0.075))


class Deploys(Workload[float]):
    """The state is the backlog of one pod."""

    space = space(
        integer("replicas", 2, 20),
        integer("worker_count", 1, 96),
        integer("http_pool", 1, 100),
        cores("cpu_request", "0.2", "4"),
        integer("worker_queue_capacity", 10, 5000),
        boolean("enable_detailed_tracing"),
        choice("log_level", "debug", "info", "warning"),
        integer("buffer_pool_size", 1, 500),
    )
    start = setting(
        space,
        replicas=10,
        worker_count=8,
        http_pool=8,
        cpu_request="0.8",
        worker_queue_capacity=1000,
        enable_detailed_tracing=True,
        log_level="info",
        buffer_pool_size=50,
    )
    known = (
        moved(
            start,
            space,
            replicas=2,
            enable_detailed_tracing=False,
            log_level="warning",
            worker_count=15,
            http_pool=15,
            cpu_request="1292m",
        ),
        moved(
            start,
            space,
            replicas=2,
            enable_detailed_tracing=False,
            log_level="warning",
            worker_count=12,
            http_pool=12,
            cpu_request="1772m",
        ),
    )
    slo = Slo(seconds=0.5, share=0.95)
    changes: tuple[int, ...] = (DEPLOY,)
    mean_load = 100.0

    def load(self, at: int) -> float:
        return self.mean_load * (1.0 + SWING * math.cos(2.0 * math.pi * (at - PEAK) / DAY))

    def begin(self, setting: Setting, load: float, at: int) -> float:
        return 0.0

    def flow(self, setting: Setting, load: float, at: int, up: float, state: float) -> tuple[Flow, float]:
        pods = up * whole(setting, "replicas")
        code = RELEASES[self.code(at)]
        weight = LOGGING[str(setting["log_level"])] * (TRACING if setting["enable_detailed_tracing"] else 1.0)
        request = number(setting, "cpu_request")
        workers, pool = whole(setting, "worker_count"), whole(setting, "http_pool")
        rates = _rates(code.cpu * weight, code.backend, workers, pool, request)
        own = answer(load / pods, rates, whole(setting, "worker_queue_capacity"), state, self.slo.seconds, SHAPE)
        busy = {
            "worker_count": min(1.0, own.serving / workers),
            "http_pool": min(1.0, own.served * code.backend / pool),
        }
        used = min(1.0, own.served * code.cpu * weight / request)
        return Flow(own.served * pods, own.latency, own.good, own.errors, pods, cpu=used, busy=busy), own.backlog

    def price(self, setting: Setting) -> float:
        gib = GIB_PER_POD + GIB_PER_WORKER * whole(setting, "worker_count")
        return whole(setting, "replicas") * self.prices.of_pod(cores=number(setting, "cpu_request"), gib=gib)


@lru_cache(maxsize=4096)
def _rates(cpu: float, backend: float, workers: int, pool: int, request: float) -> tuple[float, ...]:
    return tuple(network_rates((lambda n: min(n, request) / cpu, lambda n: min(n, pool) / backend), workers))
