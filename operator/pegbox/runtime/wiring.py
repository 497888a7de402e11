"""Wiring: settings -> one running operator. Everything is made here, and nothing is looked up anywhere else."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pegbox.adapters.clock import SystemClock
from pegbox.adapters.kube.client import KubeCluster
from pegbox.adapters.kube.connect import connect
from pegbox.adapters.kube.events import KubeEvents
from pegbox.adapters.kube.gate import GuardedCluster
from pegbox.adapters.kube.lease import LeaseElection, LeaseReader
from pegbox.adapters.kube.limits import TokenBucket
from pegbox.adapters.prometheus.client import Pace, PrometheusSource
from pegbox.adapters.prometheus.promql import Dialect
from pegbox.adapters.prometheus.transport import Server
from pegbox.adapters.telemetry import Telemetry
from pegbox.core import looks
from pegbox.model.errors import PegboxError
from pegbox.model.reasons import Reason
from pegbox.ports import LEASE, PROFILE, Clock, Cluster, MetricsSource, Ref
from pegbox.runtime import cleanup, handlers, identity, points
from pegbox.runtime.actuate import LiveActuator, nothing
from pegbox.runtime.brakes import Brakes
from pegbox.runtime.brakes import limits as brake_limits
from pegbox.runtime.news import News, changeable, profile_key
from pegbox.runtime.predicting import Predicting
from pegbox.runtime.queue import KeyedQueue, work
from pegbox.runtime.reconcile import Reconciler
from pegbox.runtime.server import LATEST_OVERDUE, Health, serve
from pegbox.runtime.settings import Settings, SourceSettings

log = logging.getLogger(__name__)

LIST_AGAIN = 300.0  # seconds: every profile is listed and looked at this often, whatever watches and intervals say
KILL_AT = "PEGBOX_KILL_AT"


@dataclass
class Operator:
    """The parts of one running process."""

    settings: Settings
    clock: Clock
    cluster: Cluster
    sources: Mapping[str, MetricsSource]
    telemetry: Telemetry
    queue: KeyedQueue
    reconciler: Reconciler
    synced: asyncio.Event
    lease: LeaseElection | None = None
    reader: LeaseReader | None = None
    kubeconfig: Path | None = None
    news: News = field(default_factory=News)

    def dead(self) -> str:
        """Liveness: keys that nobody takes although they are due mean that the loop is gone."""
        late = self.queue.overdue
        return f"a profile has been due for {late:.0f} s and nobody takes it" if late > LATEST_OVERDUE else ""

    def unready(self) -> str:
        """A standby is ready: it waits for the Lease. A leader is ready once it has seen its profiles."""
        if self.lease is not None and not self.lease.leading:
            return ""
        return "" if self.synced.is_set() else "the profiles have not been listed yet"

    def mark_class(self, name: str) -> None:
        """A class changed: the profiles that use it are looked at, nothing is written by that alone."""
        for key, decision in list(self.reconciler.decisions.items()):
            if self.reconciler.class_of(key) == name:
                log.debug("class changed", extra={"profile": key, "reason": decision.reason.value})
                self.queue.add(key)

    def mark_all(self) -> None:
        """A brake was set or released: it takes effect at once, not at each profile's next look."""
        for key in list(self.reconciler.decisions):
            self.queue.add(key)

    def mark_namespace(self, namespace: str) -> None:
        for key in list(self.reconciler.decisions):
            if key.startswith(f"{namespace}/"):
                self.queue.add(key, after=1.0)

    def mark_waiting(self, namespace: str) -> None:
        """Claims of a budget there changed: who waits for room, or is owed some, may find it."""
        for key, decision in list(self.reconciler.decisions.items()):
            waits = decision.reason is Reason.WAITING_FOR_BUDGET or decision.ledger.owed is not None
            if waits and key.startswith(f"{namespace}/"):
                self.queue.add(key, after=1.0)

    async def list_profiles(self) -> None:
        """The list is the truth; the watch only makes it prompt."""
        while True:
            try:
                namespaces, uids = self.settings.watchNamespaces or ("",), dict[str, str]()
                for namespace in namespaces:
                    for profile in await self.cluster.list(PROFILE, namespace):
                        meta = profile["metadata"]
                        uids[f"{meta['namespace']}/{meta['name']}"] = meta["uid"]
                        self._add_listed(meta)
                self.news.only("profile ", [profile_key(*key.split("/")) for key in uids])
                self.synced.set()
                await self._recall(namespaces, uids)
                await self.clock.sleep(LIST_AGAIN)
            except PegboxError as error:
                log.warning("profiles could not be listed", extra={"error": str(error)})
                await self.clock.sleep(5.0)

    def _add_listed(self, meta: Mapping[str, Any]) -> None:
        """What is new or changed is due at once. The others come one after the other until the next list, each at a
        time of its own: due together they would keep everybody else waiting until the last of them was looked at.
        """
        namespace, name = meta["namespace"], meta["name"]
        new = self.news.heard(profile_key(namespace, name), changeable(meta))
        self.queue.add(f"{namespace}/{name}", after=0.0 if new else LIST_AGAIN * looks.share(meta["uid"]))

    async def _recall(self, namespaces: Sequence[str], uids: Mapping[str, str]) -> None:
        """What is under way is known before anything new starts; rollbacks do not wait for it."""
        while not self.reconciler.brakes.recalled:
            try:
                await self.reconciler.brakes.recall(self.cluster, namespaces, uids)
            except PegboxError as error:
                log.warning("ledgers could not be listed, so no trial starts", extra={"error": str(error)})
                await self.clock.sleep(5.0)

    async def clean_up(self) -> None:
        """Once a day; a day that failed is made up for by the next."""
        wait = cleanup.FIRST
        while True:
            await self.clock.sleep(wait)
            wait = cleanup.EVERY
            try:
                await cleanup.remove_old_ledgers(self.cluster, self.settings.watchNamespaces or ("",), self.clock.now())
            except PegboxError as error:
                log.warning("old ledgers could not be removed", extra={"error": str(error)})

    async def report_depth(self) -> None:
        while True:
            self.telemetry.queue_depth(len(self.queue))
            await self.clock.sleep(5.0)


def metrics_source(item: SourceSettings) -> PrometheusSource:
    """One source of the settings."""
    server = Server(
        url=item.url,
        token_file=item.tokenFile,
        ca_file=item.caFile,
        insecure=item.insecure,
        headers=dict(item.headers),
        read_timeout=item.timeoutSeconds,
    )
    own = tuple(sorted(item.ownLabels.items()))
    dialect = Dialect(pod_label=item.podLabel, namespace_label=item.namespaceLabel, own_labels=own)
    # An answer is as old as the last scrape anyway: asking twice within one is work for nothing.
    return PrometheusSource(server, dialect, Pace(reuse=min(item.scrapeSeconds / 2, 10.0)))


async def build(settings: Settings, kubeconfig: Path | None, stack: AsyncExitStack) -> Operator:
    """Make the parts; `stack` ends them. Raises NotAvailable where the API server's address is not known."""
    clock = SystemClock()
    telemetry = Telemetry()
    client = await connect(clock, kubeconfig=kubeconfig)
    kube = KubeCluster(client, clock, limit=TokenBucket(clock, rate=settings.kubeQps, burst=int(2 * settings.kubeQps)))
    stack.push_async_callback(kube.close)
    chance = random.Random()
    brakes = Brakes(clock, telemetry, brake_limits(settings), chance.random, recalled=False)
    cluster = GuardedCluster(
        kube, allow_workload_writes=settings.allowWrites, wrote=telemetry.wrote, ended=brakes.wrote
    )
    sources: dict[str, MetricsSource] = {}
    for item in settings.metricsSources:
        source = metrics_source(item)
        stack.callback(source.close)
        sources[item.name] = source
        telemetry.watch_source(lambda source=source: source.usage)  # type: ignore[misc]
    reached = points.killer(os.environ.get(KILL_AT))
    actuator = LiveActuator(cluster, reached, settings.nudgePods) if settings.allowWrites else nothing
    process = identity.of(os.environ, settings.http.port)
    predicting = Predicting(waits=False)
    stack.callback(predicting.close)
    reconciler = Reconciler(
        cluster=cluster,
        sources=sources,
        events=KubeEvents(cluster, clock, instance=process.pod),
        clock=clock,
        actuator=actuator,
        predicting=predicting,
        telemetry=telemetry,
        pod_settings=telemetry.pod_settings,
        allow_writes=settings.allowWrites,
        reached=reached,
        jitter=chance.random,
        brakes=brakes,
        identity=process.pod,
    )
    queue = KeyedQueue(clock, chance.random)
    operator = Operator(
        settings, clock, cluster, sources, telemetry, queue, reconciler, asyncio.Event(), kubeconfig=kubeconfig
    )
    brakes.changed = operator.mark_all
    where = Ref(LEASE, settings.leaderElection.namespace, settings.leaderElection.name)
    # A rate limit of its own: a busy loop must not starve the renewals.
    apart = GuardedCluster(KubeCluster(client, clock, limit=TokenBucket(clock)), allow_workload_writes=False)
    if settings.leaderElection.enabled:
        operator.lease = LeaseElection(apart, clock, where, identity=process.name, ended=process.followed)
        operator.lease.heard, operator.lease.carried, operator.lease.kept = brakes.notice, brakes.carried, brakes.kept
        reconciler.leading = lambda: operator.lease is not None and operator.lease.leading
    else:
        operator.reader = LeaseReader(apart, clock, where, brakes.notice)
    return operator


async def run(settings: Settings, kubeconfig: Path | None = None) -> int:
    """Run until SIGTERM (0), or until leadership or the watch is lost (1): a fresh process starts clean."""
    stop = asyncio.Event()
    _listen(stop)
    async with AsyncExitStack() as stack:
        operator = await build(settings, kubeconfig, stack)
        runner = await serve(settings.http.port, operator.telemetry.registry, Health(operator.dead, operator.unready))
        stack.push_async_callback(runner.cleanup)
        # Only now, as who holds the port knows that no former process of its pod is left: see `identity`.
        if operator.lease is not None and not await _lead(operator.lease, stop, stack):
            return 0
        if operator.reader is not None and not await _before(operator.reader.first(), stop):
            return 0
        operator.telemetry.leader(True)
        return await _work(operator, stop)


def _listen(stop: asyncio.Event) -> None:
    """A signal sets `stop`, whoever listened before."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)


async def _lead(lease: LeaseElection, stop: asyncio.Event, stack: AsyncExitStack) -> bool:
    """Wait for the Lease; False when told to stop first. Losing it later ends the process at once."""
    stack.push_async_callback(lease.release)
    if not await _before(lease.wait(), stop):
        return False
    stack.push_async_callback(_end, asyncio.create_task(_hold(lease)))
    return True


async def _before(waiting: Coroutine[object, object, None], stop: asyncio.Event) -> bool:
    """Wait for it; False when told to stop first."""
    stopping = asyncio.create_task(stop.wait())
    task = asyncio.create_task(waiting)
    done, _ = await asyncio.wait({stopping, task}, return_when=asyncio.FIRST_COMPLETED)
    await _end(stopping)
    if task not in done:
        await _end(task)
        return False
    task.result()
    return True


async def _hold(lease: LeaseElection) -> None:
    """Ends the process the moment the Lease is lost, so that nothing is written any more.

    Whatever ends the renewals loses it: a process that went on would neither act nor make room for one that does.
    """
    try:
        await lease.hold()
    except Exception:
        log.exception("the Lease is not renewed any more")
    log.error("leadership was lost: ending")
    logging.shutdown()
    os._exit(1)


async def _work(operator: Operator, stop: asyncio.Event) -> int:
    marks = handlers.Marks(operator.queue.add, operator.mark_class, operator.mark_namespace, operator.mark_waiting)
    registry = handlers.registry(marks, operator.kubeconfig, operator.news)
    watching = asyncio.Event()
    stop_watch = asyncio.Event()
    tasks = [
        asyncio.create_task(work(operator.queue, operator.reconciler), name=f"worker-{n}")
        for n in range(operator.settings.workers)
    ]
    tasks.append(asyncio.create_task(operator.list_profiles(), name="list"))
    tasks.append(asyncio.create_task(operator.report_depth(), name="depth"))
    tasks.append(asyncio.create_task(operator.clean_up(), name="clean-up"))
    if operator.reader is not None:
        tasks.append(asyncio.create_task(operator.reader.run(), name="lease"))
    namespaces = operator.settings.watchNamespaces
    watch = handlers.watch(registry, namespaces, watching, stop_watch, lambda: _listen(stop))
    tasks.append(asyncio.create_task(watch, name="watch"))
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    ended = [t for t in done if t is not stopping]
    for task in ended:
        error = task.exception()
        log.error("%s ended: %s", task.get_name(), error or "without an error", exc_info=error)
    stop_watch.set()
    for task in tasks:  # all at once: the Lease is given up when the last one has ended
        task.cancel()
    for task in tasks:
        await _end(task)
    await _end(stopping)
    return 1 if ended else 0


async def _end(task: asyncio.Task[object]) -> None:
    """Cancel and collect; what a task had to say at its end is logged, not raised."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    except Exception:
        log.debug("task ended with an error", exc_info=True)


def main(settings: Settings, kubeconfig: Path | None) -> int:
    """For the command line: set logging up, run, and say in one line why it could not."""
    handlers.configure_logging(settings.logFormat)
    try:
        return asyncio.run(run(settings, kubeconfig))
    except PegboxError as error:
        print(error, file=sys.stderr)
        return 1
