"""A cache in front of a slow store: too small and the store drowns, too large and pods are killed. Violates at first.

Hits follow Che's approximation for a popularity of Zipf's kind, with a time to live on top; old entries are stale, and
a stale answer is not good. Entries fill memory: above 80 % of `memory_limit` collection pauses, above 100 % the pod is
killed for lack of memory and comes back cold. So a capacity that does not fit shows only once the cache has filled.
`buffer_pool_size` has no effect.

Source of the approximation: H. Che, Y. Tung, Z. Wang, "Hierarchical web caching systems", IEEE JSAC 20 (2002).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache

from pegbox.model.knobs import Setting
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.knobs import (
    GIB,
    boolean,
    choice,
    integer,
    memory,
    moved,
    number,
    seconds,
    setting,
    space,
    whole,
)
from pegbox.testing.plants.protocol import Prices, Slo
from pegbox.testing.plants.queues import erlang_c, flood, within

ITEMS = 100_000
SKEW = 0.9  # of Zipf's law
BUCKETS = 40  # of items with like popularity
STALE = 4 * 3600.0  # mean seconds between changes of an item
ENTRY = 16 * 1024  # bytes
SQUEEZED = 0.45  # of them when compressed
BASE, PER_WORKER = 120 * 2**20, 12 * 2**20  # bytes of a pod, and of a worker in it
CORES = 0.5  # of a pod
CPU = 0.0015  # seconds of one core per event
SQUEEZING = 0.0006  # seconds more when compressed
STORE_SECONDS, STORE_SERVERS, STORE_ROOM = 0.060, 12, 3000
WORTH = {"fifo": 0.65, "lru": 1.0, "lfu": 1.3}  # how large a least-recently-used cache does as well
PRESSED = 0.8  # share of the memory at which collection begins to hurt
PAUSES = 0.25  # share of events that a full memory's pauses spoil
DOWN = 1 / 3  # of the minute of a kill
GRID = 50.0  # steps of 2 % within which loads and sizes share an entry of the hit curve
MOST = 0.97


@dataclass(frozen=True, slots=True)
class Warmth:
    """Entries of one pod, and what waits for the store."""

    entries: float
    backlog: float = 0.0


class Cache(Workload[Warmth]):
    """Events/s of one pod are an even share: each pod has a cache of its own."""

    space = space(
        integer("replicas", 2, 16),
        integer("worker_count", 1, 64),
        integer("cache_capacity", 100, 200_000),
        seconds("cache_ttl", "10", "7200"),
        choice("cache_policy", "fifo", "lru", "lfu"),
        boolean("enable_cache_compression"),
        memory("memory_limit", 256, 8192),
        integer("buffer_pool_size", 1, 500),
    )
    start = setting(
        space,
        replicas=6,
        worker_count=8,
        cache_capacity=9600,
        cache_ttl="300s",
        cache_policy="fifo",
        enable_cache_compression=False,
        memory_limit="1Gi",
        buffer_pool_size=50,
    )
    known = (
        moved(start, space, replicas=2, worker_count=9, cache_capacity=9000, cache_policy="lfu", memory_limit="448Mi"),
    )
    slo = Slo(seconds=0.25, share=0.95)
    prices = Prices(gib=0.01)
    mean_load = 400.0
    settles = 12
    spans = 12

    def begin(self, setting: Setting, load: float, at: int) -> Warmth:
        return Warmth(min(_fits(setting), _occupied(*_near(setting, load))))

    def restarted(self, setting: Setting, state: Warmth) -> Warmth:
        return replace(state, entries=0.0)

    def flow(self, setting: Setting, load: float, at: int, up: float, state: Warmth) -> tuple[Flow, Warmth]:
        pods, workers = up * whole(setting, "replicas"), whole(setting, "worker_count")
        limit = number(setting, "memory_limit")
        kept = min(state.entries, whole(setting, "cache_capacity"))
        used = _bytes(setting, kept) / limit
        killed = used > 1.0
        if killed:
            kept = 0.0
        pressure = 0.0 if killed else max(0.0, (used - PRESSED) / (1.0 - PRESSED)) ** 2
        hit, age = _hits(setting, load / pods, kept)
        asked = load * (1.0 - hit)
        most = STORE_SERVERS / STORE_SECONDS
        moved = flood(state.backlog, asked, most, STORE_ROOM)
        calm = min(asked, MOST * most) * STORE_SECONDS
        store = STORE_SECONDS + erlang_c(STORE_SERVERS, calm) * STORE_SECONDS / (STORE_SERVERS - calm) + moved.wait
        squeezed = SQUEEZING if setting["enable_cache_compression"] else 0.0
        quick, wait = self._inside(load / pods, workers, (CPU + squeezed) * (1.0 + 4.0 * pressure), store * (1 - hit))
        fast = within(self.slo.seconds, quick + wait, (quick + wait) ** 2) * math.exp(-age / 2.0 / STALE)
        slow = within(self.slo.seconds, store + quick + wait, (store + wait) ** 2) * (1.0 - moved.lost)
        away = DOWN if killed else 0.0
        good = (hit * fast + (1 - hit) * slow) * (1 - PAUSES * min(pressure, 1.0)) * (1 - away)
        errors = away + (1 - away) * (1 - hit) * moved.lost
        grown = kept + asked / pods * 60.0 * (1 - away)
        entries = min(grown, whole(setting, "cache_capacity"), _occupied(*_near(setting, load)))
        busy = {"worker_count": min(1.0, load / pods * (quick + store * (1 - hit)) / workers), "cache_hits": hit}
        flow = Flow(
            served=load * (1 - errors),
            latency=quick + wait + store * (1 - hit),
            good=good,
            errors=errors,
            pods=pods,
            kills=whole(setting, "replicas") if killed else 0,
            cpu=min(1.0, load / pods * CPU / CORES),
            busy=busy,
        )
        return flow, Warmth(entries, moved.backlog)

    def price(self, setting: Setting) -> float:
        gib = number(setting, "memory_limit") / GIB
        return whole(setting, "replicas") * self.prices.of_pod(cores=CORES, gib=gib)

    @staticmethod
    def _inside(load: float, workers: int, cpu: float, store: float) -> tuple[float, float]:
        """Seconds that CPU takes under processor sharing, and the wait for a worker, of one pod."""
        rho = min(load * cpu / CORES, MOST)
        quick = cpu / CORES / (1.0 - rho)
        held = min(load * (quick + store), MOST * workers)
        return quick, erlang_c(workers, held) * (quick + store) / (workers - held)


def _fits(setting: Setting) -> float:
    """Entries that the setting allows, by count and by memory."""
    room = (number(setting, "memory_limit") - _bytes(setting, 0.0)) / _entry(setting)
    return max(0.0, min(float(whole(setting, "cache_capacity")), room))


def _entry(setting: Setting) -> float:
    return ENTRY * (SQUEEZED if setting["enable_cache_compression"] else 1.0)


def _bytes(setting: Setting, entries: float) -> float:
    return BASE + PER_WORKER * whole(setting, "worker_count") + entries * _entry(setting)


def _near(setting: Setting, load: float) -> tuple[int, float]:
    """Arguments of `_occupied`: the load of one pod on the grid, and the time to live."""
    return round(math.log(load / whole(setting, "replicas")) * GRID), number(setting, "cache_ttl")


def _hits(setting: Setting, load: float, entries: float) -> tuple[float, float]:
    """Share of hits with so many entries, and the mean seconds that an entry is kept for."""
    size = entries * WORTH[str(setting["cache_policy"])]
    if size < 1.0:
        return 0.0, 0.0
    return _curve(round(math.log(load) * GRID), round(math.log(size) * GRID), number(setting, "cache_ttl"))


@lru_cache(maxsize=1)
def _popularity() -> tuple[tuple[float, float], ...]:
    """(items, probability of each), most popular first."""
    edges = [math.exp(math.log(ITEMS + 1) * i / BUCKETS) for i in range(BUCKETS + 1)]
    counts = [b - a for a, b in itertools.pairwise(edges)]
    weights = [(a * b) ** (-SKEW / 2.0) for a, b in itertools.pairwise(edges)]
    total = sum(n * w for n, w in zip(counts, weights, strict=True))
    return tuple((n, w / total) for n, w in zip(counts, weights, strict=True))


def _kept(load: float, seconds: float) -> float:
    """Distinct items that are asked for within so many seconds."""
    return sum(n * -math.expm1(-load * p * seconds) for n, p in _popularity())


@lru_cache(maxsize=4096)
def _occupied(step: int, ttl: float) -> float:
    """Entries of a cache without any other bound than the time to live."""
    return _kept(math.exp(step / GRID), ttl)


@lru_cache(maxsize=16384)
def _curve(load_step: int, size_step: int, ttl: float) -> tuple[float, float]:
    """Share of hits, and the characteristic time that goes with it."""
    load, size = math.exp(load_step / GRID), math.exp(size_step / GRID)
    kept = ttl
    if _kept(load, ttl) > size:
        low, high = 0.0, ttl
        for _ in range(30):
            kept = (low + high) / 2.0
            low, high = (kept, high) if _kept(load, kept) < size else (low, kept)
    return sum(n * p * -math.expm1(-load * p * kept) for n, p in _popularity()), kept
