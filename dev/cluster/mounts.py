"""Mount points of this machine, and how to undo them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dev.cluster.errors import ClusterError


def read() -> str:
    """The text of /proc/self/mountinfo."""
    return Path("/proc/self/mountinfo").read_text()


def points(mountinfo: str) -> list[str]:
    """Every mount point in the order of mounting; a point may repeat."""
    return [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines()]


def below(mountinfo: str, directory: Path) -> list[str]:
    """Mount points at or below a directory, last mounted first."""
    return [point for point in reversed(points(mountinfo)) if Path(point).is_relative_to(directory)]


def unmount(directory: Path) -> None:
    """Unmount all at or below a directory, the innermost first."""
    for point in below(read(), directory):
        done = subprocess.run(["umount", point], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            done = subprocess.run(["umount", "--lazy", point], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"{point} cannot be unmounted: {done.stderr.strip()}")
