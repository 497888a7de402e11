"""What is done to a run in mid-trial, one function each: it returns when the disturbance is over."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks import servers
from benchmarks.recovery.operators import MemoryLimit, Running
from benchmarks.recovery.world import LONGEST, World
from dev.cluster.control import ETCD
from pegbox.runtime.points import Point
from pegbox.runtime.wiring import KILL_AT

AWAY_SECONDS = 30.0
PAUSE_SECONDS = 60.0
RESUMED_SECONDS = 15.0  # within which who was paused must have noticed that it leads no more
ROOM = 128 * 1024  # bytes that may still be used before the kernel ends the process

P = Point
ON_THE_WAY = (
    P.BEFORE_CLAIM, P.AFTER_CLAIM, P.BEFORE_LEDGER, P.AFTER_LEDGER, P.BEFORE_DOCUMENT, P.AFTER_DOCUMENT,
    P.BEFORE_READ_BACK, P.AFTER_READ_BACK, P.BEFORE_HPA, P.AFTER_HPA,
)  # fmt: skip
"""Points that a trial of hot knobs and an HPA's maximum passes. Each other one has its case in the contract tests."""


@dataclass(frozen=True)
class Struck:
    """`began` and `over` are monotonic: what was gone was gone in between, or was about to end."""

    began: float
    over: float
    note: str = ""


Strike = Callable[[World, Running], Awaitable[Struck]]


async def nothing(world: World, operator: Running) -> Struck:
    now = time.monotonic()
    return Struck(now, now, "the same trial, undisturbed")


async def sigkill(world: World, operator: Running) -> Struck:
    began = time.monotonic()
    operator.process.kill()
    await asyncio.to_thread(operator.process.wait)
    world.start()
    return Struck(began, time.monotonic(), "started again in its pod")


async def sigkill_elsewhere(world: World, operator: Running) -> Struck:
    """As when its node is lost: nobody knows that it is dead, so its Lease must run out."""
    began = time.monotonic()
    operator.process.kill()
    await asyncio.to_thread(operator.process.wait)
    world.start("pegbox-1")
    return Struck(began, time.monotonic(), "waits for the Lease to run out")


async def sigterm(world: World, operator: Running) -> Struck:
    began = time.monotonic()
    await asyncio.to_thread(operator.end)
    world.start()
    return Struck(began, time.monotonic(), f"exit {operator.process.returncode}")


async def out_of_memory(world: World, operator: Running) -> Struck:
    """The kernel ends it: its memory cgroup may hold no more than it does."""
    limit = MemoryLimit(f"pegbox-recovery-{operator.process.pid}")
    try:
        limit.hold(operator.process.pid)  # what it takes from now on counts
        limit.tighten(ROOM)
        end = time.monotonic() + LONGEST
        while operator.alive:
            if time.monotonic() > end:
                raise servers.CannotMeasure("the kernel did not end it")
            await asyncio.to_thread(operator.ask)
        began = time.monotonic()
    finally:
        await asyncio.to_thread(limit.remove)
    world.start()
    return Struck(began, time.monotonic(), f"exit {operator.process.returncode}")


async def paused(world: World, operator: Running) -> Struck:
    """Stopped for a minute; a second one stands by. Resumed, the first must see that it leads no more, and end."""
    began = time.monotonic()
    operator.signal(signal.SIGSTOP)

    async def resume() -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        operator.signal(signal.SIGCONT)
        await world.until(lambda: not operator.alive, "the paused one, resumed, ends", RESUMED_SECONDS)

    world.later(resume())
    return Struck(began, began, f"resumed after {PAUSE_SECONDS:.0f} s it ends by itself")


async def api_server_gone(world: World, operator: Running) -> Struck:
    began = time.monotonic()
    await asyncio.to_thread(world.made.plane.stop_apiserver, 0.1)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(world.made.plane.start_apiserver)
    over = time.monotonic()
    return Struck(began, over, await _kept(world, operator))


async def etcd_restarted(world: World, operator: Running) -> Struck:
    began, plane = time.monotonic(), world.made.plane
    await asyncio.to_thread(plane.processes.stop, ETCD, 0.0)
    await asyncio.to_thread(lambda: plane.launch(controllers=False))
    over = time.monotonic()
    return Struck(began, over, await _kept(world, operator))


async def prometheus_down(world: World, operator: Running) -> Struck:
    began, server = time.monotonic(), world.made.server
    assert server is not None
    await asyncio.to_thread(server.__exit__, None, None, None)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(server.__enter__)
    over = time.monotonic()
    return Struck(began, over)


async def _kept(world: World, operator: Running) -> str:
    """A leader that could not renew ends; somebody starts it again, as a kubelet does."""
    if operator.alive:
        return "the leader kept its Lease"
    world.start()
    return "the leader had lost its Lease and was started anew"


def killed_at(point: Point) -> dict[str, str]:
    return {KILL_AT: f"{point.value}:1"}
