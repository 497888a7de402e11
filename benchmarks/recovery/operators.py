"""Operators that are ended on purpose, and the memory limit that one of them runs into."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from benchmarks import servers
from dev.cluster import cgroups

GRACE = 30.0  # seconds that a process told to end may take


@dataclass
class Running:
    """One `pegbox run` that nobody waits for and nobody starts again. One of the same name is in the same pod."""

    directory: Path
    config: Mapping[str, Any]
    kubeconfig: Path
    name: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        environment = {"POD_UID": f"uid-of-{self.name}", **self.environment}
        made = servers.operator_with(self.directory, self.config, self.kubeconfig, self.name, environment)
        with made.log.open("ab") as out:
            whole = {**os.environ, **(made.environment or {})}
            self.process = subprocess.Popen(made.command, stdout=out, stderr=out, env=whole)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, sign: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(sign)

    def end(self) -> None:
        """Politely; by force where that does not help."""
        if not self.alive:
            return
        self.signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self) -> bool:
        """Let it work a little: a page of metrics is some hundred KiB of text. Did it answer?"""
        with suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.config['http']['port']}/metrics", timeout=2).ok
        return False


class MemoryLimit:
    """A memory cgroup of its own, v1 or v2. Raises CannotMeasure where none can be made."""

    def __init__(self, name: str) -> None:
        self._directory, self._limit, self._used = self._place(name)
        try:
            self._directory.mkdir()
        except OSError as error:
            raise servers.CannotMeasure(f"no memory cgroup can be made: {error}") from error

    @staticmethod
    def _place(name: str) -> tuple[Path, str, str]:
        for hierarchy in cgroups.mounted():
            if hierarchy.name == "memory":
                return hierarchy / name, "memory.limit_in_bytes", "memory.usage_in_bytes"
        for hierarchy in cgroups.mounted():
            if (hierarchy / "cgroup.controllers").exists():
                return hierarchy / name, "memory.max", "memory.current"
        raise servers.CannotMeasure("no cgroup hierarchy with memory is mounted")

    def hold(self, pid: int) -> None:
        """From now on its pages are counted: call it right after its start."""
        (self._directory / "cgroup.procs").write_text(str(pid))

    def tighten(self, room: int) -> None:
        """The limit is what is used now and `room` bytes more."""
        used = int((self._directory / self._used).read_text())
        (self._directory / self._limit).write_text(str(used + room))

    def remove(self, seconds: float = 10.0) -> None:
        """A cgroup stays busy for a moment after its last process."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self._directory.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.2)
