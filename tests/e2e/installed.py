"""What the tests put on the cluster and take away again: Prometheus, the operator by its chart, namespaces."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from dev.demo import cluster as demo
from dev.demo.run import VALUES
from tests.e2e.api import Api, Object, wait_for
from tests.e2e.operators import SYSTEM
from tests.e2e.worlds import WORKLOAD

# Many profiles that look every four seconds, where one would look every thirty; each test is about its own.
FAST = (
    "operator.kubeQps=60",
    "brakes.maxConcurrentTrials=0",
    "brakes.maxConcurrentRestarts=0",
    "brakes.fleetBreaker.profiles=0",
    "networkPolicy.enabled=true",
    "podEnvironment.enabled=true",
)


def everything() -> None:
    """Images, Prometheus, the operator. PEGBOX_E2E_KEEP=1 takes the operator that runs, as it is."""
    if os.environ.get("PEGBOX_E2E_KEEP") == "1" and demo.get("deployment", "pegbox", SYSTEM):
        return
    demo.load_images(("pegbox", "issue-service"))
    demo.install_prometheus()
    operator()


def operator() -> None:
    """By its chart, in a namespace that lets only restricted pods in."""
    demo.apply(json.dumps(spaces([SYSTEM])[0]))
    demo.install_operator(*VALUES, *FAST)


def spaces(names: list[str]) -> list[Object]:
    """Namespaces that let only restricted pods in."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": labels}} for n in names]


def apply(namespaces: list[str], objects: Iterable[Object]) -> None:
    """New namespaces and what is in them, beside the class of the tests' application."""
    demo.apply((WORKLOAD / "class.yaml").read_text())
    demo.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*spaces(namespaces), *objects]}))


def remove(api: Api, namespaces: list[str]) -> None:
    """With all that is in them, until they are gone: the operator restores profiles, and lets them go."""
    there = {n["metadata"]["name"] for n in api.list("namespace", "")}
    ours = [n for n in namespaces if n in there]
    if not ours:
        return
    demo.kubectl("delete", "namespace", *ours, "--wait=false")

    def gone() -> bool:
        return not set(ours) & {n["metadata"]["name"] for n in api.list("namespace", "")}

    wait_for("the namespaces' end", gone, 300, 2)
