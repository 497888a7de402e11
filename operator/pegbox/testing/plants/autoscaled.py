"""Pods that an HPA adds by CPU, and a kernel that throttles them. Wastes at first; its SLO is a mean latency.

The HPA's goal is a share of the *request*; the kernel throttles at the *limit*, and neighbours leave no more than one
and a half requests. Small requests make many pods; a high target leaves no room while load rises, since
new pods take a minute and the HPA waits five before it removes any. `metrics_interval` has no effect.

HPA: desired = ceil(pods x busy / target), within 10 % nothing moves, the highest wish of five minutes counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from pegbox.model.knobs import Setting
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.knobs import cores, integer, moved, number, seconds, setting, space, whole
from pegbox.testing.plants.pods import answer
from pegbox.testing.plants.protocol import Slo
from pegbox.testing.plants.queues import network_rates, normal_share

CPU = 0.020  # seconds of one core per event
OTHER = 0.040  # seconds of other I/O
BURSTING = 1.5  # of the request is there at most, whatever the limit says
PERIOD = 0.1  # seconds of a quota
BURST = 1.5  # variance of CPU work above that of Poisson arrivals
CYCLE, SWING = 120, 0.25  # minutes and share of the load's wave
TOLERANCE = 0.1
WISHES = 5  # minutes over which the HPA remembers its highest wish
ROOM = 2000  # events that wait in one pod
GIB_PER_POD = 0.4
GIB_PER_WORKER = 0.01
SHAPE = 0.6


@dataclass(frozen=True, slots=True)
class Scale:
    """Pods that run, pods that are about to, the HPA's last wishes, and the backlog of one pod."""

    pods: int
    soon: int
    wishes: tuple[int, ...]
    backlog: float = 0.0


class Autoscaled(Workload[Scale]):
    """A wave of two hours on the load; `steady` averages a whole wave."""

    space = space(
        integer("min_replicas", 1, 20),
        integer("max_replicas", 2, 40),
        integer("cpu_target", 30, 95),
        cores("cpu_request", "0.2", "4"),
        cores("cpu_limit", "0.2", "4"),
        integer("worker_count", 1, 64),
        seconds("metrics_interval", "1", "60"),
    )
    start = setting(
        space,
        min_replicas=6,
        max_replicas=20,
        cpu_target=40,
        cpu_request="1.5",
        cpu_limit="2",
        worker_count=16,
        metrics_interval="10s",
    )
    known = (
        moved(
            start, space, min_replicas=1, max_replicas=2, cpu_target=95, cpu_request="2", cpu_limit="4", worker_count=15
        ),
    )
    slo = Slo(seconds=0.15, share=0.95, mean=True)
    rules: tuple[str, ...] = ("min_replicas <= max_replicas", "cpu_request <= cpu_limit")
    mean_load = 200.0
    settles = 12

    def load(self, at: int) -> float:
        return self.mean_load * (1.0 + SWING * math.sin(2.0 * math.pi * at / CYCLE))

    def hours(self, at: int) -> list[float]:
        return [self.load(minute) for minute in range(CYCLE)]

    def epoch(self, at: int) -> float:
        return self.mean_load  # a whole wave, whenever it begins

    def begin(self, setting: Setting, load: float, at: int) -> Scale:
        wish = _bounded(setting, math.ceil(load * CPU / _per_pod(setting)))
        return Scale(wish, wish, (wish,) * WISHES)

    def flow(self, setting: Setting, load: float, at: int, up: float, state: Scale) -> tuple[Flow, Scale]:
        pods = _bounded(setting, state.soon)
        running = pods * up
        request, most = number(setting, "cpu_request"), number(setting, "cpu_limit")
        there = min(most, BURSTING * request)
        rates = _rates(round(there * 1000), whole(setting, "worker_count"))
        each = load / running
        backlog = state.backlog * state.pods / pods
        own = answer(each, rates, ROOM, backlog, self.slo.seconds, SHAPE)
        stalled = _stalled(own.served, there)
        used = own.served * CPU / request
        money = running * self.prices.of_pod(cores=request, gib=_gib(setting))
        flow = Flow(
            served=own.served * running,
            latency=own.latency + stalled,
            good=own.good * (1.0 - min(1.0, stalled / self.slo.seconds)),
            errors=own.errors,
            pods=running,
            cpu=used,
            busy={"worker_count": min(1.0, own.serving / len(rates))},
            money=money,
        )
        return flow, self._followed(setting, pods, used, own.backlog, state)

    @staticmethod
    def _followed(setting: Setting, pods: int, used: float, backlog: float, state: Scale) -> Scale:
        """What the HPA does about it."""
        ratio = used * 100.0 / whole(setting, "cpu_target")
        wish = pods if abs(ratio - 1.0) <= TOLERANCE else math.ceil(pods * ratio)
        wishes = (*state.wishes, _bounded(setting, wish))[-WISHES:]
        soon = max(wishes) if wishes[-1] < pods else wishes[-1]
        return Scale(pods, soon, wishes, backlog)

    def price(self, setting: Setting) -> float:
        """Of the pods that the HPA is going to want for the CPU time that is used: arithmetic, from measured CPU."""
        wish = max(self.mean_load * CPU / _per_pod(setting), float(whole(setting, "min_replicas")))
        pods = min(wish, float(whole(setting, "max_replicas")))
        return pods * self.prices.of_pod(cores=number(setting, "cpu_request"), gib=_gib(setting))


def _per_pod(setting: Setting) -> float:
    """Cores that one pod uses at the HPA's target."""
    return number(setting, "cpu_request") * whole(setting, "cpu_target") / 100.0


def _gib(setting: Setting) -> float:
    return GIB_PER_POD + GIB_PER_WORKER * whole(setting, "worker_count")


def _bounded(setting: Setting, pods: int) -> int:
    return min(max(pods, whole(setting, "min_replicas")), whole(setting, "max_replicas"))


def _stalled(served: float, cores: float) -> float:
    """Mean seconds that an event stands still because the quota of a period is used up.

    Work of one period: mean m = rate x CPU x period, variance BURST x rate x CPU^2 x period. A period whose work is
    above the quota stalls what is inside for half a period.
    """
    mean = served * CPU * PERIOD
    sd = CPU * math.sqrt(BURST * served * PERIOD)
    return PERIOD / 2.0 * normal_share(cores * PERIOD, mean, sd)


@lru_cache(maxsize=4096)
def _rates(millicores: int, workers: int) -> tuple[float, ...]:
    cores = millicores / 1000.0
    return tuple(network_rates((lambda n: min(n, cores) / CPU, lambda n: n / OTHER), workers))
