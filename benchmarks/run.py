"""One run: start everything, grow the fleet, measure at each size, end everything."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from os import getloadavg
from pathlib import Path

from benchmarks import acknowledged, fleet, latency, servers, table
from benchmarks.counters import Counters, Readings
from benchmarks.exporter import VALUES, Exporter
from benchmarks.table import Figures, mebibytes, milliseconds
from dev.cluster.control import ControlPlane
from pegbox.runtime import settings

LEASES = "leases"
IDLE_SECONDS = 10.0
START_CYCLES = 14  # adoption and the fits at 3, 6 and 12 windows are past: what is told of those is no idle cycle
TRIAL_CYCLES = 3  # settle time and a window: a trial's whole time in force
TRIAL_AT = 10  # profiles beside which a trial is measured


@dataclass(frozen=True)
class Plan:
    """What to do. `interval` in seconds; `cycles` are measured at each size, after `settle` more."""

    sizes: tuple[int, ...] = (1, 10, 100)
    interval: int = 30
    cycles: int = 2
    settle: int = START_CYCLES
    watch: float = 0.0  # seconds for which the development cluster is watched for acknowledgements

    @property
    def limit(self) -> float:
        """Seconds that one cycle may take: a fleet that is far behind is an answer, too."""
        return 4.0 * self.interval


def run(plan: Plan) -> Figures:
    """Everything, bounded in time; what was started is ended, whatever happens."""
    logging.getLogger("pegbox").setLevel(logging.ERROR)
    figures = Figures(conditions=table.machine())
    figures.conditions |= {"interval": f"{plan.interval} s", "scrapes": f"{servers.SCRAPE_SECONDS} s"}
    with tempfile.TemporaryDirectory(prefix="pegbox-figures-") as folder, ExitStack() as stack:
        directory = Path(folder)
        plane = stack.enter_context(ControlPlane.start(state_dir=directory / "plane"))
        fleet.install(plane)
        asyncio.run(_measure(plan, directory, plane, figures))
    return figures


async def _measure(plan: Plan, directory: Path, plane: ControlPlane, figures: Figures) -> None:
    apps = await fleet.opened(plane)
    apps.interval = plan.interval
    own, ask = servers.free_port(), servers.free_port()
    try:
        with Exporter(apps.pods) as exporter, servers.prometheus(directory, ask, exporter.server_address[1], own):
            with servers.operator(directory, own, ask, plane.kubeconfig) as operator:
                readings = Readings(f"http://127.0.0.1:{own}/metrics", f"http://127.0.0.1:{ask}/metrics", plane)
                run = _Run(plan, apps, readings, operator, figures)
                await run.idle()
                for size in plan.sizes:
                    await run.size(size)
                    if size == min(TRIAL_AT, plan.sizes[-1]):
                        await run.trial()
            read = settings.parse(servers.settings(own, ask))
            found = await latency.reconciles(read, plane.kubeconfig, apps.keys, plan.interval)
        _decisions(found, figures)
    except servers.CannotMeasure:
        log = directory / "operator.log"
        print(log.read_text()[-4000:] if log.exists() else "the operator was not started")
        raise
    finally:
        await apps.close()
    _acknowledgements(plan, figures)


@dataclass
class _Run:
    plan: Plan
    apps: fleet.Fleet
    readings: Readings
    operator: servers.Process
    figures: Figures
    quiet: float = 0.0  # reads per second of the API server while there is no profile

    async def idle(self) -> None:
        """Without profiles: what the process weighs, and what the API server asks of itself."""
        await asyncio.sleep(IDLE_SECONDS / 2)
        before = self.readings.read()
        await asyncio.sleep(IDLE_SECONDS)
        found = self.readings.read().since(before)
        self.quiet = (found.requests - sum(found.writes.values())) / IDLE_SECONDS
        self.figures.add("operator RSS, 0 profiles", mebibytes(self.operator.resident), note="nothing was fitted yet")

    async def size(self, size: int) -> None:
        """Grow, let it settle, then read the counters over whole intervals."""
        await self.apps.grow(size)
        await asyncio.sleep(self.plan.settle * self.plan.interval)
        await self._round()
        before, cpu, started = self.readings.read(), self.operator.cpu_seconds, time.monotonic()
        await asyncio.sleep(self.plan.cycles * self.plan.interval)
        found = self.readings.read().since(before)
        seconds, cpu = time.monotonic() - started, self.operator.cpu_seconds - cpu
        await self._tell(size, found, seconds, cpu)

    async def _round(self) -> None:
        """Until every profile was looked at once more, on average."""
        first, limit = self.readings.reconciles(), time.monotonic() + self.plan.limit
        while time.monotonic() < limit:
            if self.readings.reconciles() - first >= self.apps.size:
                return
            await asyncio.sleep(1.0)

    async def _tell(self, size: int, found: Counters, seconds: float, cpu: float) -> None:
        """A cycle is an interval of time: a profile that is woken by a write is looked at twice in one."""
        if not found.reconciles:
            raise servers.CannotMeasure(f"with {size} profiles nothing was reconciled in {seconds:.0f} s")
        add, per = self.figures.add, f"{size} profile" + ("s" if size > 1 else "")
        cycles = seconds / self.plan.interval
        signals, around = fleet.distinct(set(VALUES), {"task_duration"}), 2 * self.apps.namespaces
        note = f"{signals} distinct (signal, window) + 2 for each of {self.apps.namespaces} namespaces"
        add(f"Prometheus queries per cycle, {per}", _per(found.queries, cycles), str(signals + around), note)
        add(f"the same, counted by Prometheus, {per}", _per(found.served, cycles), str(signals + around))
        add(f"samples per cycle, {per}", _per(found.samples, cycles))
        add(f"bytes per cycle, {per}", f"{found.size / cycles / 1024:.1f} KiB")
        add(
            f"reconciles per cycle, {per}", _per(found.reconciles, cycles), str(size), f"{found.reconciles:.0f} counted"
        )
        mean = found.reconcile_seconds / found.reconciles
        add(f"one reconcile in the running operator, {per}", milliseconds(mean), note="mean, its limits included")
        writes = found.writes - Counter({LEASES: found.writes[LEASES]})
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(writes.items()))
        add(f"writes per cycle, {per}", _per(sum(writes.values()), cycles), "0", kinds or "the Lease apart")
        reads = found.requests - sum(found.writes.values()) - self.quiet * seconds
        add(f"reads of the API server per reconcile, {per}", _per(reads, found.reconciles))
        add(f"operator RSS, {per}", mebibytes(self.operator.resident), note=f"peak {mebibytes(self.operator.peak)}")
        add(f"operator CPU, {per}", f"{cpu / seconds:.2f} cores", note=f"load average {getloadavg()[0]:.1f}")
        why = (await self.apps.status(self.apps.keys[-1])).get("why", "no status was written")
        self.figures.conditions[f"the last of {per} says"] = f"`{why}`"

    async def trial(self) -> None:
        """One profile tries a setting; its pods acknowledge within a second of the document being written."""
        key = self.apps.keys[0]
        playing = asyncio.create_task(self._acknowledge(key))
        try:
            await self.apps.try_one(key, "worker_count=9")
            if not await self._under_way(key):
                why = (await self.apps.status(key)).get("why")
                raise servers.CannotMeasure(f"no trial came into force within {2 * self.plan.limit:.0f} s: {why}")
            before, started = self.readings.read(), time.monotonic()
            await self._ended(key, TRIAL_CYCLES * self.plan.interval)
            seconds = time.monotonic() - started
            self._tell_trial(self.readings.read().since(before), seconds)
            await self.apps.recommend_only(key)
            await self._ended(key, 2 * self.plan.limit)
        finally:
            playing.cancel()

    async def _acknowledge(self, key: str) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self.apps.workloads[key].acknowledge()

    async def _under_way(self, key: str) -> bool:
        limit = time.monotonic() + 2 * self.plan.limit
        while time.monotonic() < limit:
            intent = await self.apps.intent(key)
            if intent is not None and intent.kind.value == "Trial" and intent.in_force_at is not None:
                return True
            await asyncio.sleep(0.5)
        return False

    async def _ended(self, key: str, seconds: float) -> None:
        """Until nothing is under way, or for so long."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if await self.apps.intent(key) is None:
                return
            await asyncio.sleep(1.0)

    def _tell_trial(self, found: Counters, seconds: float) -> None:
        signals, around = fleet.distinct(set(VALUES), {"task_duration"}), 2 * self.apps.namespaces
        cycles = seconds / self.plan.interval
        note = f"over {seconds:.0f} s of the trial in force, {found.reconciles:.0f} reconciles"
        name = f"Prometheus queries per interval, {self.apps.size} profiles, 1 trial"
        self.figures.add(name, _per(found.queries, cycles), str(signals + around + 2), note)


def _acknowledgements(plan: Plan, figures: Figures) -> None:
    seen = sorted(acknowledged.delays(plan.watch)) if plan.watch else []
    if not seen:
        figures.add("acknowledgement delay", "not measured in this run", note="no trial was seen on a real cluster")
        return
    text = f"{seen[0]:.0f} to {seen[-1]:.0f} s"
    figures.add("acknowledgement delay", text, note=f"{len(seen)} settings on the development cluster")


def _decisions(found: latency.Reconciled, figures: Figures) -> None:
    def tell(name: str, seen: latency.Spread, note: str = "") -> None:
        text = f"{milliseconds(seen.p50)} / {milliseconds(seen.p99)}"
        figures.add(name, text, note=f"{seen.count} times" + (f"; {note}" if note else ""))

    tell("one reconcile alone, p50 / p99", found.later, "real API server, no limit of requests, model fitted already")
    tell("one that fits the model too, p50 / p99", found.first, "the first with figures after a start")
    knobs = len(found.snapshot.spec.space.knobs)
    tell("core.decide without prediction, p50 / p99", latency.decisions(found.snapshot, found.now), f"{knobs} knobs")
    for count in (50, 200):
        seen = latency.predictions(found.snapshot, count)
        tell(f"fit, {seen.rows} rows, median / longest", seen.fit)
        tell(f"propose, {seen.rows} rows, median / longest", seen.propose, "every candidate through the guards")


def _per(total: float, cycles: float) -> str:
    return f"{total / cycles:.1f}"
