"""Operators of this release and of an older one, as processes on one real API server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from types import TracebackType

from tests.contract.kill_process import Ended, Wake
from tests.contract.older import environment
from tests.loop.world import World

PROGRAM = Path(__file__).with_name("release_process.py")


class Release:
    """A folder with a release, and the process from which its operators are forked."""

    def __init__(self, name: str, home: Path, state: Path) -> None:
        self.name, self._home, self._socket = name, home, str(state / f"{name}.sock")

    def __enter__(self) -> Release:
        self._listener = Listener(self._socket, "AF_UNIX")
        command = [sys.executable, "-P", str(PROGRAM), self._socket]
        self._process = subprocess.Popen(command, env=environment(self._home), cwd=self._home)
        self._orders = self._listener.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._orders.close()
        self._process.wait()
        self._listener.close()

    def fork(self, kubeconfig: Path) -> tuple[Connection, int]:
        """A new operator's pipe and pid."""
        self._orders.send(str(kubeconfig))
        pipe = self._listener.accept()
        return pipe, pipe.recv()

    def reap(self, pid: int) -> int:
        """The exit code of an operator that has ended."""
        self._orders.send(pid)
        code: int = self._orders.recv()
        return code


@dataclass
class Operator:
    """The test's end of one operator process."""

    release: Release
    kubeconfig: Path
    world: World
    ends_at: str = ""  # "SIGTERM after-ledger:2", or "" to live
    reached: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pipe, self._pid = self.release.fork(self.kubeconfig)
        self._ended = False

    async def __call__(self, key: str) -> float | None:
        """One wake. Raises Ended where the process ended in it as it was told to."""
        world, metrics = self.world, self.world.metrics
        wake = Wake(key, world.clock.now(), metrics.acks, metrics.values, world.services, self.ends_at)
        try:
            self._pipe.send(wake)
            after, reached, reasons = await asyncio.to_thread(self._pipe.recv)
        except (EOFError, ConnectionError):
            code, self._ended = await asyncio.to_thread(self.release.reap, self._pid), True
            sign = self.ends_at.partition(" ")[0]
            assert code == {"SIGKILL": -signal.SIGKILL, "SIGTERM": 0}.get(sign), (self.release.name, code, self.ends_at)
            raise Ended(self.ends_at) from None
        self.reached += reached
        self.reasons += reasons
        return after

    def close(self) -> None:
        self._pipe.close()
        if not self._ended:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self.release.reap(self._pid)
            self._ended = True
