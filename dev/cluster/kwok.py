"""Nodes and pods that only seem to run, by kwok: for tests with more pods than a machine can hold.

They work on a control plane without a node. With the scheduler (controllers=True) pods find their node
by themselves; without it they must name one.
"""

from __future__ import annotations

import json

from dev.cluster import build, tools
from dev.cluster.control import ControlPlane
from dev.cluster.paths import SOURCE
from dev.cluster.processes import Service

_SECONDS = 60.0


def start(plane: ControlPlane, nodes: int = 1) -> list[str]:
    """Start kwok unless it runs, and add nodes until there are `nodes`; gives their names, all Ready."""
    kwok = tools.tool("kwok")
    build.ensure([kwok])
    command = [
        str(kwok.path),
        f"--kubeconfig={plane.kubeconfig}",
        f"--config={SOURCE / 'manifests' / 'kwok-stages.yaml'}",
        "--manage-all-nodes=true",
        "--node-ip=172.31.0.2",
        "--cidr=10.245.0.1/16",
        "--node-lease-duration-seconds=40",
        "--v=WARN",
    ]
    plane.processes.start(Service("kwok", command, plane.prefix))
    names = [f"kwok-{number}" for number in range(nodes)]
    items = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in names]
    plane.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    plane.processes.wait(["kwok"], lambda: _all_ready(plane, names), _SECONDS)
    return names


def _all_ready(plane: ControlPlane, names: list[str]) -> bool:
    path = '{range .items[?(@.status.phase=="Running")]}{.metadata.name} {end}'
    running = plane.kubectl("get", "nodes", "-o", f"jsonpath={path}").stdout.split()
    return set(names) <= set(running)
