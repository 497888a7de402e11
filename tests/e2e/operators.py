"""The operator's own process: where it runs, how it is ended for good, and when it leads again."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.api import Api, Object, samples, wait_for

SYSTEM = "pegbox-system"
PORT = 8080


class NotHere(Exception):
    """The operator's process is not on this machine, so that it cannot be killed by its id."""


@dataclass(frozen=True)
class Operator:
    """The one pod that Helm installed."""

    api: Api

    def pod(self) -> Object:
        found = self.api.list("pod", SYSTEM, labelSelector="app.kubernetes.io/name=pegbox")
        running = [p for p in found if "deletionTimestamp" not in p["metadata"]]
        assert len(running) == 1, [p["metadata"]["name"] for p in running]
        return running[0]

    def ask(self, path: str) -> str:
        return self.api.proxied(SYSTEM, self.pod()["metadata"]["name"], PORT, path)

    def restarts(self) -> int:
        return int(self.pod()["status"]["containerStatuses"][0]["restartCount"])

    def killed(self) -> float:
        """End the process with SIGKILL, by its id, and wait until another one leads. Seconds from one to the other."""
        before, pod = self.restarts(), self.pod()
        os.kill(process_of(pod), signal.SIGKILL)
        started = time.monotonic()
        wait_for("another container", lambda: self.restarts() > before, 120)
        last = self.pod()["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert last["exitCode"] == 128 + signal.SIGKILL, last
        wait_for("a leader", self.leads, 180)
        return time.monotonic() - started

    def leads(self) -> bool:
        return any(value == 1.0 for _, value in samples(self.ask("/metrics"), "pegbox_leader"))


def process_of(pod: Object) -> int:
    """The operator's process on this machine: the one in the pod's cgroup that runs `pegbox run`.

    From within the container it could not be killed: a process namespace's first process is immune to its own kind.
    """
    uid = str(pod["metadata"]["uid"])
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            mine = uid in (folder / "cgroup").read_text() or uid.replace("-", "_") in (folder / "cgroup").read_text()
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine and b"run" in words and b"--config" in words:
            return int(folder.name)
    raise NotHere(f"no process of pod {pod['metadata']['name']} on this machine: the kills need the local cluster")
