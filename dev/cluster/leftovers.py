"""What a machine has before a cluster comes and after it went: the two must not differ.

`up` records a snapshot before it touches anything; `down` takes another and compares.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.cluster import cgroups, files, mounts

#: Directories with fixed places, in which a kubelet or containerd leaves things whatever its settings.
SHARED_DIRECTORIES = (
    "/etc/cni",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/kubernetes",
    "/run/netns",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)

#: What a kubelet sets on its host (pkg/kubelet/cm, setupKernelTunables).
SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)

#: Lines of the comparison that concern others, at most: another cluster has a hundred cgroups.
_SHOWN = 3

Snapshot = Mapping[str, list[str]]


@dataclass(frozen=True)
class Difference:
    """What came or went between two snapshots, as `kind: entry`; `ours` is what names the cluster."""

    ours: tuple[str, ...]
    others: tuple[str, ...]
    gone: tuple[str, ...]


def take() -> dict[str, list[str]]:
    """A snapshot of this machine, outside every cluster's own namespaces."""
    return {
        "link": _words("ip", "-o", "link", field=1),
        "route": sorted(_lines("ip", "route", "show", "table", "all")),
        "nft table": sorted(_lines("nft", "list", "tables")),
        "network namespace": _words("ip", "netns", "list", field=0),
        "mount": sorted(mounts.points(mounts.read())),
        "cgroup": sorted(_top_cgroups()),
        "file": sorted(_shared_entries()),
        "sysctl": [f"{name}={value}" for name, value in read_sysctls().items()],
    }


def compare(before: Snapshot, after: Snapshot, is_ours: Callable[[str], bool]) -> Difference:
    """What `after` has and `before` had not, split by whether it is the cluster's, and what went."""
    came = [f"{kind}: {entry}" for kind in after for entry in _minus(after[kind], before.get(kind, []))]
    gone = [f"{kind}: {entry}" for kind in before for entry in _minus(before[kind], after.get(kind, []))]
    return Difference(
        tuple(line for line in came if is_ours(line)),
        tuple(line for line in came if not is_ours(line)),
        tuple(gone),
    )


def table(before: Snapshot, after: Snapshot, difference: Difference) -> str:
    """The comparison for the eye: counts of each kind, then every entry that differs."""
    lines = [f"{'':20} {'before':>7} {'after':>7}"]
    lines += [f"{kind:20} {len(before[kind]):>7} {len(after.get(kind, [])):>7}" for kind in before]
    lines += [f"LEFT BEHIND   {entry}" for entry in difference.ours]
    lines += _some("new, not ours", difference.others)
    lines += _some("gone         ", difference.gone)
    if not (difference.ours or difference.others or difference.gone):
        lines.append("nothing differs")
    return "\n".join(lines)


def save(path: Path) -> None:
    """Record the machine before a cluster, once: a resumed `up` must not take its own traces for the host's.

    Where another cluster is up, its record holds: what it changed is not how the machine was, and the
    last cluster to go must put that back.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    others = sorted(path.parent.parent.glob(f"*/{path.name}"))
    files.write(path, others[0].read_text() if others else json.dumps(take(), indent=1))


def read_sysctls() -> dict[str, str]:
    """The kernel settings that a kubelet changes, as they are."""
    values = {}
    for name in SYSCTLS:
        file = Path("/proc/sys") / name
        if file.exists():
            values[name] = file.read_text().strip()
    return values


def restore_sysctls(before: Snapshot) -> None:
    """Put back the kernel settings that a kubelet changed."""
    for line in before.get("sysctl", []):
        name, value = line.split("=", 1)
        file = Path("/proc/sys") / name
        if file.exists() and file.read_text().strip() != value:
            file.write_text(value)


def _some(what: str, entries: Sequence[str]) -> list[str]:
    shown = [f"{what} {entry}" for entry in entries[:_SHOWN]]
    return [*shown, f"{what} and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else shown


def _minus(left: Iterable[str], right: Iterable[str]) -> list[str]:
    """Entries of `left` that `right` lacks, each as often as it is there more: mounts may repeat."""
    rest = list(right)
    missing = []
    for entry in left:
        if entry in rest:
            rest.remove(entry)
        else:
            missing.append(entry)
    return missing


def _lines(*command: str) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]


def _words(*command: str, field: int) -> list[str]:
    return sorted(line.split()[field].rstrip(":") for line in _lines(*command))


def _top_cgroups() -> list[str]:
    """Names at the top of each hierarchy, and all below ours: other software comes and goes further down."""
    found = []
    for hierarchy in cgroups.mounted():
        for entry in hierarchy.iterdir():
            if not entry.is_dir():
                continue
            found.append(str(entry))
            if entry.name.startswith("pegbox-"):
                found += [directory for directory, _, _ in os.walk(entry) if directory != str(entry)]
    return found


def _shared_entries() -> list[str]:
    found = []
    for top in SHARED_DIRECTORIES:
        if os.path.lexists(top):
            found.append(top)
            for directory, folders, files in os.walk(top):
                found += [str(Path(directory, name)) for name in [*folders, *files]]
    return found
