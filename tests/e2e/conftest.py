"""The real cluster for the end-to-end tests: what is missing is brought up, all worlds run at the same time.

The operator is installed by its chart, from this tree. PEGBOX_E2E_KEEP=1 takes the one that runs, as it is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest

from dev.demo import cluster as demo
from dev.demo.run import VALUES
from tests.e2e import api as access
from tests.e2e import kills, scenarios
from tests.e2e.api import Api, Object, required, wait_for
from tests.e2e.operators import SYSTEM, NotHere, Operator
from tests.e2e.worlds import WORKLOAD, Application, World

# Ten profiles that look every four seconds, where one would look every thirty; each test is about its own.
FAST = (
    "operator.kubeQps=60",
    "brakes.maxConcurrentTrials=0",
    "brakes.maxConcurrentRestarts=0",
    "brakes.fleetBreaker.profiles=0",
    "networkPolicy.enabled=true",
)
SLOW_START = Application(workers=1, arrivals=16.0)  # one worker serves 10/s of 16/s, two serve all


def cannot_run(reason: str) -> NoReturn:
    """A level that this machine cannot run says so; with PEGBOX_REQUIRE_ALL=1 it fails."""
    text = f"END-TO-END TESTS NOT RUN, nothing below was seen on a real cluster: {reason}"
    if required():
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """A running cluster with Prometheus and the operator. A machine without one skips; a failed install fails."""
    started = time.monotonic()
    try:
        if not _runs():
            demo.cluster("up")
    except demo.DemoError as error:
        cannot_run(str(error))
    _install()
    print(f"\ncluster, images, Prometheus, operator: {time.monotonic() - started:.0f} s")
    with TemporaryDirectory(prefix="pegbox-e2e-") as folder, access.opened(Path(folder)) as opened:
        yield opened


def _runs() -> bool:
    try:
        demo.cluster("status")
    except demo.DemoError:
        return False
    return True


def _install() -> None:
    if os.environ.get("PEGBOX_E2E_KEEP") == "1" and demo.get("deployment", "pegbox", "pegbox-system"):
        return
    demo.load_images(("pegbox", "issue-service"))
    demo.install_prometheus()
    install()


def install() -> None:
    """The operator, by its chart, in a namespace that lets only restricted pods in."""
    demo.apply(json.dumps(spaces([SYSTEM])[0]))
    demo.install_operator(*VALUES, *FAST)


@pytest.fixture(scope="session")
def operator(api: Api) -> Operator:
    return Operator(api)


def team_hpa(namespace: str) -> Object:
    """The autoscaler that a team applied itself."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 900}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "team", "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }


def worlds_of(api: Api) -> dict[str, World]:
    """Every world, by name. Knobs that a world does not name are not its own."""
    workers: Object = {"name": "worker_count", "min": 1, "max": 12}
    bounds: list[Object] = [{"name": "min_replicas", "min": 1, "max": 3}, {"name": "max_replicas", "min": 1, "max": 5}]
    create: Object = {"create": {"minReplicas": 1, "maxReplicas": 2, "cpuUtilization": 900}}
    scaled = Application(replicas=None, cpu="50m")
    theirs: Object = {"autoscaler": {"ref": {"name": "team"}}, "knobs": [workers, *bounds]}
    late = Application(workers=1, arrivals=16.0, acknowledge_after=6.0)
    budget: Object = {
        "budgets": [{"name": "connections", "uses": "pods * worker_count", "budgetRef": {"name": "connections"}}]
    }
    pair = [Application(name=n, workers=1, arrivals=26.0) for n in ("first", "second")]
    made = [
        World(api, "hot", Application(replicas=2)),
        World(api, "restart", Application(replicas=2), {"knobs": [workers, {"name": "chunk", "min": 1, "max": 32}]}),
        World(api, "hpa", scaled, {"autoscaler": create, "knobs": [workers, *bounds]}),
        World(api, "take", scaled, theirs | {"conflictPolicy": "Take"}),
        World(api, "held", scaled, theirs),
        World(api, "harm", Application(replicas=2)),
        World(api, "restore", SLOW_START),
        World(api, "first", pair[0], budget, namespace="e2e-shared", frozen=False),
        World(api, "second", pair[1], budget, namespace="e2e-shared", frozen=False),
        World(api, "recommend", Application(workers=1, arrivals=26.0), {"mode": "Recommend"}, frozen=False),
        World(api, "kill-written", late),
        World(api, "kill-judging", SLOW_START),
        World(api, "kill-rollback", Application(acknowledge_after=6.0)),
    ]
    return {w.name: w for w in made}


@dataclass
class Running:
    """The worlds, and what comes of each scenario: `seen` waits for it, and raises what it raised."""

    worlds: dict[str, World]
    futures: dict[str, Future[Any]]

    def __getitem__(self, name: str) -> World:
        return self.worlds[name]

    def seen(self, name: str) -> Any:
        return self.futures[name].result()

    def all_done(self) -> None:
        """Whatever became of them."""
        for future in self.futures.values():
            future.exception()


@pytest.fixture(scope="session")
def running(api: Api, operator: Operator) -> Iterator[Running]:
    """All worlds, started at the same time; removed in the end."""
    worlds = worlds_of(api)
    namespaces = sorted({w.namespace for w in worlds.values()})
    try:
        remove(api, namespaces)
        started = time.monotonic()
        _bring_up(api, worlds, namespaces)
        print(f"{len(worlds)} worlds: {time.monotonic() - started:.0f} s")
        with ThreadPoolExecutor(len(worlds), thread_name_prefix="world") as threads:
            work: dict[str, Callable[[], Any]] = {
                "hot": lambda: scenarios.hot(worlds["hot"]),
                "restart": lambda: scenarios.restart(worlds["restart"]),
                "hpa": lambda: scenarios.autoscaled(worlds["hpa"]),
                "take": lambda: scenarios.taken(worlds["take"], team_hpa("e2e-take")),
                "held": lambda: scenarios.refused(worlds["held"]),
                "harm": lambda: scenarios.harmful(worlds["harm"]),
                "restore": lambda: scenarios.restored(worlds["restore"]),
                "shared": lambda: scenarios.shared(worlds["first"], worlds["second"]),
                "recommend": lambda: scenarios.recommended(worlds["recommend"]),
                **{n: partial(scenarios.start, w) for n, w in worlds.items() if n.startswith("kill-")},
            }
            yield Running(worlds, {name: threads.submit(call) for name, call in work.items()})
    finally:
        remove(api, namespaces)
        demo.kubectl("delete", "performanceclass", "e2e-app", "--ignore-not-found")


@pytest.fixture(scope="session")
def killed(running: Running, operator: Operator) -> dict[str, Any]:
    """After everything else has ended: the operator is gone for a while."""
    running.all_done()
    for name in ("kill-written", "kill-judging", "kill-rollback"):
        running.seen(name)
    try:
        return kills.kills(operator, running["kill-written"], running["kill-judging"], running["kill-rollback"])
    except NotHere as error:
        cannot_run(str(error))


def spaces(names: list[str]) -> list[Object]:
    """Namespaces that let only restricted pods in."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": labels}} for n in names]


def _bring_up(api: Api, worlds: dict[str, World], namespaces: list[str]) -> None:
    demo.apply((WORKLOAD / "class.yaml").read_text())
    head = {"apiVersion": "pegbox.dev/v1alpha1", "kind": "SharedBudget"}
    meta = {"name": "connections", "namespace": "e2e-shared"}
    budget = {**head, "metadata": meta, "spec": {"capacity": 8, "reserve": 1, "unit": "connections"}}
    items = [*spaces(namespaces), budget, *(m for w in worlds.values() for m in w.manifests())]
    demo.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    for name in ("take", "held"):
        api.apply("hpa", team_hpa(f"e2e-{name}"), "team")

    def ready() -> bool:
        deployments = [w.get("deployment") for w in worlds.values()]
        return all(d["status"].get("readyReplicas", 0) == d["spec"]["replicas"] for d in deployments)

    wait_for("every application", ready, 300, 2)


def remove(api: Api, namespaces: list[str]) -> None:
    """Profiles first, so that none is left with a finalizer; then the namespaces, until they are gone."""
    there = {n["metadata"]["name"] for n in api.list("namespace", "")}
    ours = [n for n in namespaces if n in there]
    if not ours:
        return
    demo.kubectl("delete", "namespace", *ours, "--wait=false")

    def gone() -> bool:
        return not set(ours) & {n["metadata"]["name"] for n in api.list("namespace", "")}

    wait_for("the namespaces' end", gone, 300, 2)
