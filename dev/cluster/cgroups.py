"""The cgroup root below which all pods of a cluster live, in each hierarchy (cgroup v1) or the one (v2)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from dev.cluster.errors import ClusterError

_MOUNT_POINT, _SEPARATOR = 4, "-"
PROCESSES = 8
"""Where everybody wants the processor, all pods together get as much as so many processes beside them. A fresh cgroup
weighs no more than one: pods of tests starve then as soon as a dozen others are at work."""


def hierarchies(mountinfo: str) -> list[Path]:
    """The mount points of all cgroup hierarchies, from the text of /proc/self/mountinfo."""
    found = []
    for line in mountinfo.splitlines():
        fields = line.split()
        kind = fields[fields.index(_SEPARATOR) + 1]
        if kind in ("cgroup", "cgroup2"):
            found.append(Path(fields[_MOUNT_POINT]))
    return found


def mounted() -> list[Path]:
    return hierarchies(Path("/proc/self/mountinfo").read_text())


def create(root: str) -> None:
    """Make the root in every hierarchy: a kubelet refuses a root that is missing in one."""
    for hierarchy in mounted():
        directory = hierarchy / root.lstrip("/")
        directory.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            file, parent = directory / name, hierarchy / name
            # A fresh cpuset of cgroup v1 is empty, and no process can enter it.
            if file.exists() and parent.exists() and not file.read_text().strip():
                file.write_text(parent.read_text())
        weigh(directory)


def weigh(directory: Path) -> None:
    """In the hierarchy that has a weight: cgroup v1 counts 1024 for a process, v2 100."""
    for name, one in (("cpu.shares", 1024), ("cpu.weight", 100)):
        if (directory / name).exists():
            (directory / name).write_text(str(PROCESSES * one))


def processes(root: str) -> set[int]:
    """Every process below the root."""
    found: set[int] = set()
    for directory in _directories(root):
        try:
            found.update(int(line) for line in (directory / "cgroup.procs").read_text().split())
        except OSError:
            continue
    return found


def remove(root: str, seconds: float = 10.0) -> None:
    """Remove the root, children first; a cgroup stays busy for a moment after its last process."""
    deadline = time.monotonic() + seconds
    while left := [directory for directory in _directories(root) if not _removed(directory)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"cgroups {[str(each) for each in left]} cannot be removed: see their cgroup.procs")
        time.sleep(0.1)


def _directories(root: str) -> Iterator[Path]:
    for hierarchy in mounted():
        top = hierarchy / root.lstrip("/")
        for directory, _, _ in os.walk(top, topdown=False):
            yield Path(directory)


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
