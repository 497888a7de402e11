"""Decision latency, and one reconcile's time: our own code in this process, on a real snapshot and a real server."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path

from benchmarks import servers
from benchmarks.servers import CannotMeasure
from pegbox import learning
from pegbox.core import decide, propose
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.prediction import Row
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import Reason
from pegbox.model.roles import busy_signal
from pegbox.model.snapshot import Snapshot
from pegbox.runtime import predicting, settings, wiring
from pegbox.runtime.memory import Memory
from pegbox.runtime.reconcile import Reconciler
from pegbox.runtime.server import Health, serve

DECISIONS = 2000
FITS = 5
UNWEIGHED = frozenset({Reason.NO_DATA, Reason.NOT_A_NUMBER, Reason.NO_TUNABLE_KNOB})
ROUNDS = 3
SECONDS_HELD = {"worker_count": 0.30, "http_pool": 0.20, "pool_size": 0.08, "redis_pool": 0.02}
"""What the simulated service holds per event; the least of limit / seconds is its capacity."""


@dataclass(frozen=True)
class Spread:
    """Of a list of seconds."""

    p50: float
    p99: float
    count: int


def spread(seconds: list[float]) -> Spread:
    """By nearest rank. Raises CannotMeasure for none."""
    if not seconds:
        raise CannotMeasure("nothing was timed")
    ordered = sorted(seconds)
    return Spread(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], len(ordered))


@dataclass
class Watching(predicting.Predicting):
    """The operator's own, which keeps the snapshots that it saw."""

    seen: list[tuple[Snapshot, datetime]] = field(default_factory=list)

    async def proposal(self, snapshot: Snapshot, memory: Memory, now: datetime) -> Proposal | Missing:
        self.seen.append((snapshot, now))
        return await super().proposal(snapshot, memory, now)


@dataclass(frozen=True)
class Reconciled:
    first: Spread  # the wake of each profile in a new process that sees its first figures: the model is fitted
    later: Spread
    snapshot: Snapshot
    now: datetime


async def reconciles(read: settings.Settings, kubeconfig: Path, keys: list[str], interval: int) -> Reconciled:
    """One wake after the other on the real server, with the operator's own wiring, without its limit of requests.

    It is scraped like any operator: without its `pegbox_pod_setting` every figure would be missing.
    """
    free = replace(read, kubeQps=2000.0, leaderElection=settings.LeaderElection(enabled=False))
    async with AsyncExitStack() as stack:
        operator = await wiring.build(free, kubeconfig, stack)
        health = Health(operator.dead, operator.unready)
        runner = await serve(free.http.port, operator.telemetry.registry, health)
        stack.push_async_callback(runner.cleanup)
        watching = operator.reconciler.predicting = Watching()
        for key in keys:
            await operator.reconciler(key)  # shows the pods
        await asyncio.sleep(max(float(interval), 2 * servers.SCRAPE_SECONDS) + 1)  # no answer from before is used
        first = [await _timed(operator.reconciler, key) for key in keys]
        later = [await _timed(operator.reconciler, key) for _ in range(ROUNDS) for key in keys]
        whole = [(s, now) for s, now in watching.seen if isinstance(s.observation, Observation)]
        if not whole:
            raise CannotMeasure("no reconcile saw any figures")
        return Reconciled(spread(first), spread(later), *whole[-1])


async def _timed(reconciler: Reconciler, key: str) -> float:
    started = time.perf_counter()
    after = await reconciler(key)
    if after is None or after < 0:
        raise CannotMeasure(f"the reconcile of {key} failed; see the log")
    return time.perf_counter() - started


def decisions(snapshot: Snapshot, now: datetime) -> Spread:
    """core.decide without a prediction."""
    nothing = Missing(Reason.NOTHING_BETTER)
    seconds = []
    for _ in range(DECISIONS):
        started = time.perf_counter()
        decide.decide(snapshot, nothing, now)
        seconds.append(time.perf_counter() - started)
    return spread(seconds)


@dataclass(frozen=True)
class Predicted:
    rows: int
    fit: Spread
    propose: Spread


def predictions(snapshot: Snapshot, count: int) -> Predicted:
    """Fit `count` rows, then propose from them with every guard asked."""
    spec = snapshot.spec
    rows = _rows(snapshot, count)
    snapshot = replace(snapshot, ledger=replace(snapshot.ledger, rows=rows))
    fits, proposals = [], []
    for _ in range(FITS):
        started = time.perf_counter()
        model = learning.fit(spec.space, spec.roles, rows)
        fitted = time.perf_counter()
        if isinstance(model, Missing):
            raise CannotMeasure(f"{count} rows carry no model: {model}")
        found = propose.propose(predicting.request(snapshot), model)
        done = time.perf_counter()
        if isinstance(found, Missing) and found.reason in UNWEIGHED:
            raise CannotMeasure(f"nothing was weighed: {found}")
        fits.append(fitted - started)
        proposals.append(done - fitted)
    return Predicted(len(rows), spread(fits), spread(proposals))


def _rows(snapshot: Snapshot, count: int) -> tuple[Row, ...]:
    """Windows of a service under settings around the incumbent and loads from idle to saturated, with 5 % noise."""
    noise, incumbent = random.Random(1), snapshot.ledger.incumbent
    if incumbent is None:
        raise CannotMeasure("the snapshot has no incumbent: the profile was not adopted")
    names = [name for name in SECONDS_HELD if name in incumbent]
    pods, rows = 2, []
    for number in range(count):
        changes = {n: Fraction(noise.randint(1, 16)) for n in names}
        setting: Setting = incumbent.with_values(**changes)
        rates = {n: pods * float(setting.number(n)) / SECONDS_HELD[n] for n in names}
        load = min(rates.values()) * noise.uniform(0.2, 1.3)
        served = min(load, min(rates.values())) * noise.gauss(1.0, 0.05)
        used = min(served / min(rates.values()), 0.99)
        rows.append(
            Row(
                setting=setting,
                pods=float(pods),
                load=load,
                throughput=min(served, load),
                latency=max(SECONDS_HELD.values()) * (1 + used / (1 - used) * 0.1),
                count=3,
                throughput_m2=3 * (0.05 * served) ** 2,
                latency_m2=1e-4,
                last_seen=float(number),
                signals={busy_signal(n): min(1.0, served / rate) for n, rate in rates.items()},
            )
        )
    return tuple(rows)
