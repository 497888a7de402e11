"""Take a local cluster away, whatever state it is in, and show that nothing stayed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from dev.cluster import cgroups, leftovers, mounts, network
from dev.cluster.control import remove
from dev.cluster.paths import Paths
from dev.cluster.processes import Processes, end, marked

_SHIM_SOCKETS = Path("/run/containerd/s")
_CNI_RESULTS = Path("/var/lib/cni/results")
_POD_LINKS = Path("/var/log/containers")
#: A kubelet makes it whatever its root directory is.
_DEVICE_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")


def down(paths: Paths, report: Callable[[str], None]) -> bool:
    """Remove the cluster. True if nothing of it stayed; every step may be repeated."""
    if not paths.state.exists():
        report(f"cluster {paths.name} is not there: nothing to do")
        return True
    before_file = paths.state / "before.json"
    if not before_file.exists():
        remove(paths.state)
        report(f"control plane {paths.name} is gone")
        return True
    before = json.loads(before_file.read_text())
    _stop(paths, report)
    mounts.unmount(paths.state)
    cgroups.remove(paths.cgroup)
    network.delete(paths, before.get("mount", []))
    _clear_shared_places(paths, before)
    if not _other_nodes(paths):
        leftovers.restore_sysctls(before)
    _empty(paths.state, keep=before_file)
    after = leftovers.take()
    alone = not _other_nodes(paths)
    difference = leftovers.compare(before, after, lambda line: is_ours(line, paths, alone))
    report(leftovers.table(before, after, difference))
    if not difference.ours:
        shutil.rmtree(paths.state)
        report(f"cluster {paths.name} is gone")
    return not difference.ours


def is_ours(line: str, paths: Paths, alone: bool) -> bool:
    """Whether a difference is this cluster's: it bears its name.

    If no other cluster is on the machine, what only Kubernetes makes is ours too, named or not.
    """
    named = re.search(rf"(pegbox-{paths.name}|{re.escape(str(paths.state))})(?![a-z0-9-])", line)
    return named is not None or (alone and any(mark in line for mark in ("kube", "cni", "containerd")))


def _stop(paths: Paths, report: Callable[[str], None]) -> None:
    """First the kubelet, which would start pods again; then the pods; then all that serves them."""
    processes = Processes(paths.state)
    processes.stop("kubelet", 3.0)
    pods = cgroups.processes(paths.cgroup)
    report(f"ending {len(pods)} processes of pods")
    # SIGTERM would be ignored by most, each being process 1 of its own namespace.
    end(sorted(pods), 0.0)
    services = [pid for name in processes.names() if (pid := processes.pid(name)) is not None]
    # Nothing is kept, so nothing needs long to end; what it leaves is cleared below.
    end(services, 1.0)
    rest = {*marked(paths.state), *cgroups.processes(paths.cgroup)}
    report(f"ending {len(services)} services, {len(rest)} shims and other processes")
    end(sorted(rest), 1.0)


def _clear_shared_places(paths: Paths, before: leftovers.Snapshot) -> None:
    """Remove our entries in directories whose place containerd, the kubelet and CNI do not let one choose."""
    for socket in shim_sockets(paths):
        socket.unlink(missing_ok=True)
    if _CNI_RESULTS.exists():
        for result in _CNI_RESULTS.iterdir():
            if re.match(rf"{paths.cni_network}-[0-9a-f]{{64}}-", result.name):
                result.unlink(missing_ok=True)
    if _POD_LINKS.exists():
        for link in _POD_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(paths.state):
                link.unlink(missing_ok=True)
    if _other_nodes(paths):
        return
    known = set(before.get("file", []))
    if str(_DEVICE_SOCKET) not in known:
        _DEVICE_SOCKET.unlink(missing_ok=True)
    for top in leftovers.SHARED_DIRECTORIES:
        for directory, _, _ in os.walk(top, topdown=False):
            if directory not in known:
                _remove_if_empty(Path(directory))


def shim_sockets(paths: Paths) -> list[Path]:
    """The sockets of this containerd's shims: each bundle records its own."""
    found = []
    state = paths.state / "containerd" / "state"
    for record in [*state.rglob("address"), *state.rglob("bootstrap.json")]:
        text = record.read_text(errors="replace")
        address = json.loads(text).get("address", "") if record.suffix == ".json" else text
        socket = Path(address.strip().removeprefix("unix://"))
        if socket.parent == _SHIM_SOCKETS:
            found.append(socket)
    return found


def _other_nodes(paths: Paths) -> bool:
    """Whether another cluster with a node runs, whose kubelet still needs the kernel settings.

    The record alone does not say so: a `down` that was interrupted, or that left something behind, keeps it.
    """
    others = (record.parent for record in paths.state.parent.glob("*/before.json") if record.parent != paths.state)
    return any(marked(state) for state in others)


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        return


def _empty(state: Path, keep: Path) -> None:
    """Remove all but the snapshot, which a repeated `down` still needs if something stayed."""
    for entry in state.iterdir():
        if entry == keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
