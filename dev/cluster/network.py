"""The network namespace that holds a whole cluster.

Everything inside may have fixed addresses, since no two clusters share a namespace and none has a way
out: no default route, no link to the host. Processes enter by `nsenter --net`; `ip netns exec` would
remount /sys, and the kubelet would then find no cgroups.
"""

from __future__ import annotations

import subprocess
from collections.abc import Container

from dev.cluster import mounts
from dev.cluster.errors import ClusterError
from dev.cluster.flags import SERVICE_RANGE
from dev.cluster.paths import Paths

#: A kubelet takes no loopback address for its node, so the node has one on a bridge of its own.
NODE_ADDRESS = "172.31.0.1"
POD_RANGE = "10.244.0.0/24"
DNS_ADDRESS = "10.96.0.10"
_LINK = "node0"


def prefix(paths: Paths) -> tuple[str, ...]:
    """What goes before a command that is to run inside the cluster's network."""
    return ("nsenter", f"--net={paths.netns_file}", "--")


def create(paths: Paths) -> None:
    """Make the namespace with the node's address, unless it is there."""
    if not paths.netns_file.exists():
        _run("ip", "netns", "add", paths.netns)
    inside = ["ip", "-netns", paths.netns]
    _run(*inside, "link", "set", "lo", "up")
    if not _succeeds(*inside, "link", "show", "dev", _LINK):
        _run(*inside, "link", "add", _LINK, "type", "bridge")
    _run(*inside, "address", "replace", f"{NODE_ADDRESS}/24", "dev", _LINK)
    _run(*inside, "link", "set", _LINK, "up")
    # A service's address must be routable before kube-proxy may rewrite it.
    _run(*inside, "route", "replace", SERVICE_RANGE, "dev", _LINK)
    _run(*prefix(paths), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def delete(paths: Paths, mounts_before: Container[str]) -> None:
    """Remove the namespace, and with it every link, route and nft table inside.

    The first `ip netns add` on a machine mounts the directory of all namespaces upon itself; once empty,
    it goes too, unless it was in `mounts_before`.
    """
    if paths.netns_file.exists():
        _run("ip", "netns", "delete", paths.netns)
    directory = paths.netns_file.parent
    if str(directory) not in mounts_before and directory.exists() and not any(directory.iterdir()):
        while mounts.below(mounts.read(), directory):
            _run("umount", str(directory))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
