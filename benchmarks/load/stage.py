"""All that a load run stands on: control plane, fleet, Prometheus, proxies, observer, and the operator itself."""

from __future__ import annotations

import asyncio
import random
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import fleet, servers
from benchmarks.exporter import Exporter
from benchmarks.load.application import Applications
from benchmarks.load.book import Book, Tenant
from benchmarks.load.faults import Faults
from benchmarks.load.looks import Looks
from benchmarks.load.memory import Sample
from benchmarks.load.proxy import Call, Proxy
from benchmarks.load.shops import Shops, Times
from benchmarks.load.watching import Watching
from dev.cluster import certs
from dev.cluster.control import ControlPlane
from pegbox.adapters.clock import SystemClock
from pegbox.ports import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    LEDGER,
    POD,
    PROFILE,
    REPLICA_SET,
)

WATCHED = (PROFILE, LEDGER, BUDGET, CONFIG_MAP, HPA, DEPLOYMENT, REPLICA_SET, POD)
SAMPLE_SECONDS = 5.0
STANDING_SECONDS = 5.0  # until the observer has read what stands, before anything moves
STARTS = 5


@dataclass(frozen=True)
class Shape:
    """How large, how broken, how fast. `settings` are the operator's own, where they differ from its defaults."""

    profiles: int
    share: float
    seed: int
    times: Times
    settings: dict[str, Any]
    shops: type[Shops] = Shops


@dataclass
class Stage:
    """What stands while the context lasts. `ended` holds the exit codes of operators that ended by themselves."""

    shape: Shape
    directory: Path
    plane: ControlPlane
    shops: Shops
    book: Book
    faults: Faults
    looks: Looks
    kube: Proxy
    prometheus: Proxy
    watching: Watching
    config: dict[str, Any]
    kubeconfig: Path
    operator: servers.Process | None = None
    server: servers.Process | None = None  # the Prometheus behind the proxy
    second: int = 0  # a port for a second operator, which Prometheus scrapes, too
    started: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    async def run_operator(self) -> None:
        """As a kubelet does: whenever it ends it is started again. Its memory is looked at now and then.

        Raises CannotMeasure where it does not become ready STARTS times in a row.
        """
        failed = 0
        while True:
            self.operator = servers.operator_with(self.directory, self.config, self.kubeconfig)
            try:
                await asyncio.to_thread(self.operator.__enter__)
            except servers.CannotMeasure:
                failed += 1
                self.ended.append(int(self.operator.running.returncode))
                if failed == STARTS:
                    raise
                continue
            failed = 0
            while self.operator.running.poll() is None:
                self._sample(self.operator)
                await asyncio.sleep(SAMPLE_SECONDS)
            self.looks.ended(time.monotonic())
            self.ended.append(int(self.operator.running.returncode))

    def _sample(self, operator: servers.Process) -> None:
        try:
            size = operator.resident
        except (servers.CannotMeasure, OSError):
            return  # it ended in this moment
        self.samples.append(Sample(time.monotonic() - self.started, operator.running.pid, size))

    def keep_log(self, file: Path) -> None:
        file.write_text((self.directory / "operator.log").read_text(errors="replace"), encoding="utf-8")

    def log_end(self) -> str:
        log = self.directory / "operator.log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else "the operator was not started"


def _heard(looks: Looks) -> Any:
    def came(call: Call) -> None:
        plural, namespace, name = call.named
        if call.method == "GET" and plural == "performanceprofiles" and name:
            looks.came(f"{namespace}/{name}", call.at)

    return came


def _sent(book: Book) -> Any:
    def wrote(call: Call) -> None:
        plural, namespace, name = call.named
        if not name.startswith("pegbox"):  # the Lease and its namespace
            book.forwarded(plural, namespace, name)

    return wrote


@asynccontextmanager
async def stage(shape: Shape, say: Any) -> AsyncIterator[Stage]:
    """Start everything but the operator: `Stage.run_operator` does. What was started is ended, whatever happens."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pegbox-load-")))
        plane = stack.enter_context(await asyncio.to_thread(ControlPlane.start, state_dir=directory / "plane"))
        await asyncio.to_thread(fleet.install, plane)
        clock = SystemClock()
        shops = shape.shops(await fleet.outside(plane, clock), clock, times=shape.times)
        stack.push_async_callback(shops.close)
        own, second, ask = (servers.free_port() for _ in range(3))
        exporter = stack.enter_context(Exporter(shops.pods))
        made = servers.prometheus(directory, ask, exporter.server_address[1], own, second, scrape=shape.times.scrape)
        stack.push(made)
        await asyncio.to_thread(made.__enter__)
        say(f"making {shape.profiles} profiles with their workloads")
        await shops.grow(shape.profiles)
        built = await _built(shape, directory, plane, shops, own, ask)
        built.server, built.second = made, second
        for proxy in (built.kube, built.prometheus):
            await proxy.start()
            stack.push_async_callback(proxy.close)
        source = built.config["metricsSources"][0]
        source["url"] = built.prometheus.url
        certs.kubeconfig(built.kubeconfig, built.kube.url, plane.ca_file, plane.token)
        stack.push_async_callback(_end, built)
        yield built


async def _end(built: Stage) -> None:
    """In a thread: the operator gives its Lease up at its end, and needs the proxy for it."""
    built.faults.share = 0.0
    if built.operator is not None and built.operator.running.poll() is None:
        await asyncio.to_thread(built.operator.__exit__, None, None, None)


async def _built(shape: Shape, directory: Path, plane: ControlPlane, shops: Shops, own: int, ask: int) -> Stage:
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    faults, looks = Faults(shape.seed, shape.share), Looks(time.monotonic())
    book = Book({f"shop-{n:02}": shops.capacity(f"shop-{n:02}") for n in range(shops.namespaces)})
    tenants: dict[str, Tenant] = {key: shops.tenant(key) for key in shops.keys}
    for each in tenants.values():
        book.add(each)

    def read(key: str, pod: str, generation: int) -> None:
        watching.ordered.beside(time.monotonic(), lambda: book.acknowledged(key, pod, generation))

    most = min(15.0, 2.0 * shape.times.scrape)
    applications = Applications(shops, tenants, read, random.Random(shape.seed + 1), most=most)
    watching = Watching(plane.url, plane.token, context, book.changed, applications.changed)
    config = servers.settings(own, ask, shape.times.scrape) | shape.settings
    return Stage(
        shape=shape,
        directory=directory,
        plane=plane,
        shops=shops,
        book=book,
        faults=faults,
        looks=looks,
        kube=Proxy(plane.url, faults, context, came=_heard(looks), wrote=_sent(book)),
        prometheus=Proxy(f"http://127.0.0.1:{ask}", faults, queries=True),
        watching=watching,
        config=config,
        kubeconfig=directory / "through-proxy.kubeconfig",
    )
