"""Operators of one release, forked from one process: `python -P release_process.py ADDRESS`, with that release's folders
on PYTHONPATH. Run under today's release and under an older one, so it uses what both have.

Each operator is one real Reconciler on a real API server, as in `kill_process.py`. It ends itself by the signal and at
the point that its wake names: by SIGKILL at once, and by SIGTERM as `pegbox run` does, which cancels what it is at.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from pathlib import Path

from pegbox.adapters.clock import SystemClock
from pegbox.adapters.kube.client import KubeCluster
from pegbox.adapters.kube.connect import connect
from pegbox.adapters.kube.limits import TokenBucket
from pegbox.runtime.points import Point
from tests.contract.kill_process import Wake, _tell, _world


class Armed:
    """Ends this process at its point: "SIGTERM after-ledger:2"; "" never."""

    def __init__(self) -> None:
        self.at, self.seen = "", list[str]()

    def arm(self, at: str) -> None:
        if at != self.at:
            self.at = at
            sign, _, where = at.partition(" ")
            point, _, count = where.partition(":")
            self.sign, self.point, self.left = sign, point, int(count or "0")

    def __call__(self, point: Point) -> None:
        self.seen.append(point.value)
        if self.at and point.value == self.point:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), getattr(signal, self.sign))


async def _serve(pipe: Connection, kubeconfig: Path) -> None:
    """Wakes as it is told, until the pipe closes or SIGTERM comes."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    real, armed = SystemClock(), Armed()
    cluster = KubeCluster(
        await connect(real, kubeconfig=kubeconfig), real, limit=TokenBucket(real, rate=500.0, burst=500)
    )
    world = None
    try:
        while True:
            wake: Wake = pipe.recv()
            world = world or _world(cluster, wake, armed)
            armed.arm(wake.kill_at)
            _tell(world.metrics, world, wake)
            await world.clock.advance((wake.now - world.clock.now()).total_seconds())
            armed.seen.clear()
            told = len(world.events.emitted)
            after = await world.wake(wake.key.partition("/")[2])
            reasons = [event.reason.value for _, event in world.events.emitted[told:]]
            pipe.send((after, list(armed.seen), reasons))
    finally:
        await cluster.close()


def _operator(address: str, kubeconfig: str) -> None:
    with Client(address) as pipe, suppress(EOFError, ConnectionError, asyncio.CancelledError):
        pipe.send(os.getpid())
        asyncio.run(_serve(pipe, Path(kubeconfig)))


def main(address: str) -> None:
    """Forks an operator for each kubeconfig that it is sent, and tells the exit code for each pid."""
    with suppress(EOFError), Client(address) as orders:
        while True:
            order = orders.recv()
            if isinstance(order, int):
                orders.send(os.waitstatus_to_exitcode(os.waitpid(order, 0)[1]))
            elif os.fork() == 0:
                orders.close()
                code = 1
                try:
                    _operator(address, order)
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
