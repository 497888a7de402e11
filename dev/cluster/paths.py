"""Where a cluster keeps what it has, and what it is called.

Everything is named after the checkout, so that two clones on one machine never meet: the state
directory, the network namespace, the cgroup root, the node and the CNI network all carry the name.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.errors import ClusterError

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).resolve().parent

#: A unix socket's path holds 108 bytes with its end (unix(7)); the longest of ours is LONGEST_SOCKET.
SOCKET_LIMIT = 107
LONGEST_SOCKET = "kubelet/device-plugins/kubelet.sock"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


def cache_root() -> Path:
    """The cache outside the repository: PEGBOX_CACHE, else pegbox below XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("PEGBOX_CACHE"):
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pegbox"


def checkout_name(repository: Path = REPOSITORY) -> str:
    """The default cluster name: short and stable for one checkout, different for each."""
    return "pb-" + hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Paths:
    """The names and places of one cluster."""

    name: str
    state: Path

    @classmethod
    def of(cls, name: str | None = None, cache: Path | None = None) -> Paths:
        """The paths of the named cluster, or of this checkout's own."""
        chosen = checkout_name() if name is None else name
        if not _NAME.fullmatch(chosen):
            raise ClusterError(
                f"name {chosen!r} cannot be used: take up to 30 of a-z, 0-9 and -, beginning and ending with "
                "a letter or digit"
            )
        paths = cls(chosen, (cache or cache_root()) / "clusters" / chosen)
        longest = len(os.fsencode(paths.state / LONGEST_SOCKET))
        if longest > SOCKET_LIMIT:
            raise ClusterError(
                f"state directory {paths.state} is {longest - SOCKET_LIMIT} bytes too long for unix sockets: "
                "set PEGBOX_CACHE to a shorter path"
            )
        return paths

    @property
    def netns(self) -> str:
        return f"pegbox-{self.name}"

    @property
    def netns_file(self) -> Path:
        return Path("/run/netns") / self.netns

    @property
    def cgroup(self) -> str:
        """The cgroup root of all pods, as a path inside each hierarchy."""
        return f"/pegbox-{self.name}"

    @property
    def node(self) -> str:
        return f"node-{self.name}"

    @property
    def cni_network(self) -> str:
        return f"pegbox-{self.name}"

    @property
    def record(self) -> Path:
        return self.state / "cluster.json"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd.sock"
