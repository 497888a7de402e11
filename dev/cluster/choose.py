"""Which cluster development, demo and tests use: an existing one, kind, or the local one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dev.cluster.errors import ClusterError

KINDS = ("existing", "kind", "local")


@dataclass(frozen=True)
class Choice:
    """The kind of cluster, and why it was taken."""

    kind: str
    why: str


def choose(environ: Mapping[str, str], docker_works: Callable[[], bool]) -> Choice:
    """PEGBOX_CLUSTER decides; else PEGBOX_KUBECONFIG, else a Docker that works, else the local cluster."""
    wanted, kubeconfig = environ.get("PEGBOX_CLUSTER", ""), environ.get("PEGBOX_KUBECONFIG", "")
    if wanted and wanted not in KINDS:
        raise ClusterError(f"PEGBOX_CLUSTER={wanted!r} is not known: set it to one of {', '.join(KINDS)}, or unset it")
    if wanted == "existing" and not kubeconfig:
        raise ClusterError("PEGBOX_CLUSTER=existing without PEGBOX_KUBECONFIG: set it to the kubeconfig's path")
    if wanted:
        return Choice(wanted, f"PEGBOX_CLUSTER={wanted}")
    if kubeconfig:
        return Choice("existing", f"PEGBOX_KUBECONFIG={kubeconfig}")
    if docker_works():
        return Choice("kind", "`docker info` succeeds")
    return Choice("local", "no PEGBOX_KUBECONFIG, and `docker info` does not succeed")


def docker_works() -> bool:
    """Whether a Docker engine answers: the command alone means nothing."""
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=15)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
