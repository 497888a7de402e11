"""Processes that outlive the command that started them, held by pid files.

A pid alone may have been given to somebody else since, so the file also records the process's start
time (clock ticks since boot, /proc/PID/stat field 22): only a process with both is ours. Every process
also carries MARKER in its environment, by which `down` finds what a killed `up` had no time to record.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev.cluster.errors import ClusterError

MARKER = "PEGBOX_CLUSTER_STATE"
_TAIL_LINES = 25


@dataclass(frozen=True)
class Service:
    """A process to run: `prefix` goes before the command (nsenter, for one)."""

    name: str
    command: Sequence[str]
    prefix: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 20.0


class Processes:
    """The processes of one state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def log(self, name: str) -> Path:
        return self.state / "logs" / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The pid of a running process of ours, or None."""
        try:
            recorded = json.loads(self._pid_file(name).read_text())
        except (FileNotFoundError, ValueError):
            return None
        pid = int(recorded["pid"])
        started = start_time(pid)  # None on both sides: it had ended before it was recorded
        return pid if started is not None and started == recorded["started"] else None

    def start(self, service: Service) -> int:
        """Start the process unless it runs already; gives its pid."""
        if (running := self.pid(service.name)) is not None:
            return running
        log = self.log(service.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._pid_file(service.name).parent.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, **service.env, MARKER: str(self.state)}
        with log.open("ab") as output:
            started = subprocess.Popen(
                [*service.prefix, *service.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=self.state,
                start_new_session=True,
            )
        _CHILDREN[started.pid] = started
        record = {"pid": started.pid, "started": start_time(started.pid), "command": service.command[0]}
        self._pid_file(service.name).write_text(json.dumps(record))
        return started.pid

    def stop(self, name: str, seconds: float = 20.0) -> None:
        """End the process: SIGTERM, and SIGKILL after `seconds`. Nothing happens if it is not running."""
        pid = self.pid(name)
        if pid is not None:
            end([pid], seconds)
        self._pid_file(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Every process that was recorded, running or not."""
        return sorted(path.stem for path in (self.state / "pids").glob("*.pid"))

    def tail(self, name: str) -> str:
        """The end of a process's log, for error messages."""
        try:
            lines = self.log(name).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return f"({self.log(name)} does not exist)"
        return "\n".join([f"--- {self.log(name)}", *lines[-_TAIL_LINES:]])

    def wait(self, names: Sequence[str], ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready`; raises with the log's tail if one of `names` ends or `seconds` pass first."""
        deadline = time.monotonic() + seconds
        while not ready():
            for name in names:
                if self.pid(name) is None:
                    raise ClusterError(f"{name} ended while starting\n{self.tail(name)}")
            if time.monotonic() > deadline:
                tails = "\n".join(self.tail(name) for name in names)
                raise ClusterError(f"{', '.join(names)} not ready within {seconds:.0f} s\n{tails}")
            time.sleep(0.1)

    def _pid_file(self, name: str) -> Path:
        return self.state / "pids" / f"{name}.pid"


#: Popen objects of this very process, so that ended children are reaped and never seem to run.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if it is gone or a zombie."""
    if (child := _CHILDREN.get(pid)) is not None and child.poll() is not None:
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else int(fields[19])


def end(pids: Sequence[int], seconds: float) -> None:
    """SIGTERM, wait, SIGKILL what is left, wait. Gone is fine; a pid taken over meanwhile is not touched."""
    started = {pid: stamp for pid in pids if (stamp := start_time(pid)) is not None}
    for kind, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
        for pid in _alive(started):
            try:
                os.kill(pid, kind)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while _alive(started) and time.monotonic() < deadline:
            time.sleep(0.05)
    if left := _alive(started):
        raise ClusterError(f"processes {left} do not end, even by SIGKILL: see /proc/{left[0]}/stack")


def marked(state: Path) -> list[int]:
    """Every process on the machine whose environment names this state directory."""
    wanted = f"{MARKER}={state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if start_time(pid) is not None]


def _alive(started: Mapping[int, int]) -> list[int]:
    return [pid for pid, stamp in started.items() if start_time(pid) == stamp]
