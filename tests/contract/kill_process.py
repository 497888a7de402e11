"""The operator as a process of its own that can be killed: one real Reconciler on a real API server.

The test plays the outside world and says for every wake what time it is and what the metrics would answer. The
process announces each point that it reaches, and ends itself with SIGKILL where it was told to.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from pegbox.adapters.clock import SystemClock
from pegbox.adapters.kube.client import KubeCluster
from pegbox.adapters.kube.connect import connect
from pegbox.adapters.kube.limits import TokenBucket
from pegbox.model.snapshot import Acknowledgement
from pegbox.runtime.points import Point, Reached, killer, nobody
from pegbox.testing.clock import FakeClock
from pegbox.testing.metrics import FakeMetrics
from tests.loop.service import Service
from tests.loop.world import World

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Wake:
    """One wake of one profile, and what the outside world is like."""

    key: str
    now: datetime
    acks: Mapping[str, dict[str, Acknowledgement]]
    values: Mapping[str, dict[str, dict[str, float]]]
    services: Mapping[str, Service]
    kill_at: str  # "point:count", or "" to live


@dataclass(frozen=True)
class Woke:
    after: float | None
    reached: tuple[Point, ...]


class Ended(Exception):
    """The process was killed, as it was told to."""


@dataclass
class Operator:
    """The test's end of one operator process."""

    kubeconfig: Path
    world: World
    kill_at: str = ""
    reached: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pipe, theirs = FORKING.Pipe()
        self.process: ForkServerProcess = FORKING.Process(target=serve, args=(theirs, self.kubeconfig), daemon=True)
        self.process.start()
        theirs.close()

    async def __call__(self, key: str) -> float | None:
        """One wake. Raises Ended when the process was killed in it."""
        world = self.world
        metrics = world.metrics
        wake = Wake(key, world.clock.now(), metrics.acks, metrics.values, world.services, self.kill_at)
        try:
            self._pipe.send(wake)
            woke: Woke = await asyncio.to_thread(self._pipe.recv)
        except (EOFError, ConnectionError):
            await asyncio.to_thread(self.process.join)
            assert self.process.exitcode == -signal.SIGKILL, self.process.exitcode
            raise Ended(self.kill_at) from None
        self.reached += woke.reached
        return woke.after

    def close(self) -> None:
        self._pipe.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.process.close()


def serve(pipe: Connection, kubeconfig: Path) -> None:
    """The process: wakes as it is told, until the pipe closes."""
    asyncio.run(_serve(pipe, kubeconfig))


async def _serve(pipe: Connection, kubeconfig: Path) -> None:
    real = SystemClock()
    limit = TokenBucket(real, rate=500.0, burst=500)
    cluster = KubeCluster(await connect(real, kubeconfig=kubeconfig), real, limit=limit)
    world, armed, deadly, seen = None, "", nobody, list[Point]()

    def reached(point: Point) -> None:
        seen.append(point)
        deadly(point)

    try:
        while True:
            wake: Wake = pipe.recv()
            if world is None:
                world = _world(cluster, wake, reached)
            if wake.kill_at != armed:
                armed, deadly = wake.kill_at, _deadly(wake.kill_at)
            _tell(world.metrics, world, wake)
            await world.clock.advance((wake.now - world.clock.now()).total_seconds())
            seen.clear()
            after = await world.wake(wake.key.partition("/")[2])
            pipe.send(Woke(after, tuple(seen)))
    except (EOFError, ConnectionError):
        return
    finally:
        await cluster.close()


def _deadly(kill_at: str) -> Reached:
    return killer(kill_at)


def _world(cluster: KubeCluster, wake: Wake, reached: Reached) -> World:
    namespace = wake.key.partition("/")[0]
    return World(cluster, cluster, FakeClock(wake.now, auto=False), namespace=namespace, reached=reached)


def _tell(metrics: FakeMetrics, world: World, wake: Wake) -> None:
    metrics.acks, metrics.values = dict(wake.acks), dict(wake.values)
    world.services.clear()
    world.services.update(wake.services)
