"""Calls to an upstream that counts calls: small batches break its limit, large ones are slow. Violates at first.

Each pod fills batches of `batch_size` events, or what came within `batch_timeout`, and `worker_count` workers over
`http_pool` connections call with them. The upstream takes 20 calls/s from all pods together. Above 85 % of that it
refuses some calls, and how refused calls come back (`retry_backoff`) costs a share of the limit.
`stream_channel_capacity` has no effect.
"""

from __future__ import annotations

from pegbox.model.knobs import Setting
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.knobs import choice, cores, integer, moved, number, seconds, setting, space, whole
from pegbox.testing.plants.protocol import Slo
from pegbox.testing.plants.queues import erlang_c, flood, within

LIMIT = 20.0  # calls/s of all pods
CALL = 0.35  # seconds of a call
EACH = 0.012  # seconds more per event in it
CPU = 0.003  # seconds of one core per event
PER_CALL = 0.010  # seconds of one core per call
ROOM = 4000  # events that may wait, all pods together
MOST = 0.97  # of the capacity: queues are at rest below it within a minute
VARIED = 0.3  # squared coefficient of variation of a call
WASTED = {"fixed": 0.18, "exponential": 0.06, "jittered": 0.02}  # share of the limit that refused calls use up
PATIENCE = {"fixed": 1.0, "exponential": 1.6, "jittered": 1.25}  # waits for the limit are that much longer
GIB_PER_POD = 0.25
GIB_PER_WORKER = 0.03


class Upstream(Workload[float]):
    """The state is the backlog of all pods, in events."""

    space = space(
        integer("replicas", 2, 16),
        integer("worker_count", 1, 64),
        integer("http_pool", 1, 100),
        integer("batch_size", 1, 500),
        seconds("batch_timeout", "0.001", "5"),
        cores("cpu_request", "0.1", "2"),
        choice("retry_backoff", "fixed", "exponential", "jittered"),
        integer("stream_channel_capacity", 100, 100_000),
    )
    start = setting(
        space,
        replicas=6,
        worker_count=8,
        http_pool=10,
        batch_size=19,
        batch_timeout="1s",
        cpu_request="0.5",
        retry_backoff="fixed",
        stream_channel_capacity=10_000,
    )
    known = (
        moved(start, space, replicas=2, worker_count=5, batch_size=29, cpu_request="503m", retry_backoff="jittered"),
    )
    slo = Slo(seconds=2.5, share=0.95)
    mean_load = 300.0

    def begin(self, setting: Setting, load: float, at: int) -> float:
        return 0.0

    def flow(self, setting: Setting, load: float, at: int, up: float, state: float) -> tuple[Flow, float]:
        pods = up * whole(setting, "replicas")
        retry, batch = str(setting["retry_backoff"]), whole(setting, "batch_size")
        filled, filling = _filled(batch, number(setting, "batch_timeout"), load / pods)
        limit = LIMIT * (1.0 - WASTED[retry])
        callers = max(1, round(pods * min(whole(setting, "worker_count"), whole(setting, "http_pool"))))
        calls, one = load / filled, CALL + EACH * filled
        cpu = pods * number(setting, "cpu_request") / (CPU + PER_CALL / filled)
        capacity = min(limit * filled, callers * filled / one, cpu)
        moved = flood(state, load, capacity, ROOM)
        calm = min(load, MOST * capacity)  # what is above fills the backlog
        wait = _calling(calm / filled, callers, one) + _limited(calm / filled, limit) * PATIENCE[retry]
        wait += _computing(calm, pods, number(setting, "cpu_request"), filled)
        wait = min(wait, ROOM / capacity) + moved.wait
        mean = filling + wait + one
        variance = filling * filling / 3.0 + wait * wait + VARIED * one * one
        good = within(self.slo.seconds, mean, variance) * (1.0 - moved.lost)
        busy = {
            "worker_count": min(1.0, calls * one / (pods * whole(setting, "worker_count"))),
            "http_pool": min(1.0, calls * one / (pods * whole(setting, "http_pool"))),
            "rate_limit": min(1.0, calls / LIMIT),
        }
        used = min(1.0, moved.served / cpu)
        return Flow(moved.served, mean, good, moved.lost, pods, cpu=used, busy=busy), moved.backlog

    def price(self, setting: Setting) -> float:
        gib = GIB_PER_POD + GIB_PER_WORKER * whole(setting, "worker_count")
        return whole(setting, "replicas") * self.prices.of_pod(cores=number(setting, "cpu_request"), gib=gib)


def _filled(batch: int, timeout: float, load: float) -> tuple[float, float]:
    """Mean events of a call, and the mean seconds that an event waits for its batch, of one pod."""
    if batch == 1:
        return 1.0, 0.0
    span = min((batch - 1) / load, timeout)  # from the first event of a batch until the call
    return min(float(batch), 1.0 + load * span), span / 2.0


def _calling(calls: float, callers: int, seconds: float) -> float:
    """Wait for a free caller: M/M/c scaled by the variability (Allen and Cunneen)."""
    offered = calls * seconds
    return erlang_c(callers, offered) * seconds / (callers - offered) * (1.0 + VARIED) / 2.0


def _limited(calls: float, limit: float) -> float:
    """Wait for a token: M/D/1 at rate `limit` (Pollaczek and Khinchine)."""
    rho = calls / limit
    return rho / (2.0 * limit * (1.0 - rho))


def _computing(load: float, pods: float, cores: float, filled: float) -> float:
    """Seconds that CPU takes, and takes longer the busier it is: processor sharing."""
    work = (CPU + PER_CALL / filled) / min(cores, 1.0)
    rho = load * (CPU + PER_CALL / filled) / (pods * cores)
    return work / (1.0 - rho)
