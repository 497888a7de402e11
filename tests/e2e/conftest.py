"""The real cluster for the end-to-end tests: what is missing is brought up, all worlds run at the same time.

The operator is installed by its chart, from this tree. PEGBOX_E2E_KEEP=1 takes the one that runs, as it is. Its
NetworkPolicy is laid on its packets for as long as the tests run, so that all they show was shown under it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from dev.cluster.choose import choose, docker_works
from dev.demo import cluster as demo
from tests import releases
from tests.e2e import api as access
from tests.e2e import canaries as cohorts
from tests.e2e import firewall, installed, kills, owners, scenarios, sizes, stops, uninstalls, variables
from tests.e2e import stateful as sets
from tests.e2e.api import Api, Object, wait_for
from tests.e2e.operators import SYSTEM, NotHere, Operator
from tests.e2e.running import Ongoing, Running
from tests.e2e.worlds import Application, World
from tests.levels import cannot_run

# First what is at work itself while the worlds go on; then what waits for them; last what takes the operator away.
WORLDS = ("changes", "guards", "sizes", "variables", "canaries", "stateful", "owners")
ORDER = ("network", "pods", *WORLDS, "kills", "uninstall", "stop_all")
# Fixtures whose worlds go on by themselves.
AT_ONCE = ("running", "sized", "admitted", "canaries", "stateful", "owned", "leaving")
SLOW_START = Application(workers=1, arrivals=16.0)  # one worker serves 10/s of 16/s, two serve all


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    order = iter(sorted(here, key=lambda item: ORDER.index(item.path.stem.removeprefix("test_"))))
    items[:] = [next(order) if item in here else item for item in items]


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """A running cluster with Prometheus and the operator. A machine without one skips; a failed install fails."""
    started = time.monotonic()
    try:
        if not _runs():
            demo.cluster("up")
    except demo.DemoError as error:
        cannot_run(f"END-TO-END TESTS NOT RUN, nothing below was seen on a real cluster: {error}")
    installed.everything()
    print(f"\ncluster, images, Prometheus, operator: {time.monotonic() - started:.0f} s")
    with TemporaryDirectory(prefix="pegbox-e2e-") as folder, access.opened(Path(folder)) as opened:
        yield opened


def _runs() -> bool:
    try:
        demo.cluster("status")
    except demo.DemoError:
        return False
    return True


@pytest.fixture(scope="session")
def operator(api: Api) -> Operator:
    return Operator(api)


@pytest.fixture(scope="session", autouse=True)
def enforced(api: Api, operator: Operator) -> Iterator[bool]:
    """Whether the chart's NetworkPolicy is laid on the operator's pod: where `exec` enters the node's own network."""
    if choose(os.environ, docker_works).kind != "local":
        yield False
        return
    firewall.lay(api.get("networkpolicy", SYSTEM, "pegbox"), operator.pod())
    yield True
    firewall.lift()


@pytest.fixture(scope="session")
def ongoing() -> Iterator[Ongoing]:
    with Ongoing() as begun:
        yield begun


@pytest.fixture(scope="session", autouse=True)
def at_once(enforced: bool, request: pytest.FixtureRequest) -> None:
    """All worlds that the chosen tests ask for begin now, since most of what they do is waiting."""
    asked = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for name in AT_ONCE:
        if name in asked:
            request.getfixturevalue(name)


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
    pinned: Object = {"name": "worker_count", "value": 8}
    searched: Object = {
        "objective": "MinimizeLatency",
        "knobs": [pinned, {"name": "pause", "min": "1ms", "max": "400ms"}],
    }
    greedy = Application(hoard=64)  # of 128Mi that it may have: with as much again it is killed
    pair = [Application(name=n, workers=1, arrivals=26.0) for n in ("first", "second")]
    made = [
        World(api, "hot", Application(replicas=2)),
        World(api, "restart", Application(replicas=2), {"knobs": [workers, {"name": "chunk", "min": 1, "max": 32}]}),
        World(api, "hpa", scaled, {"autoscaler": create, "knobs": [workers, *bounds]}),
        World(api, "take", scaled, theirs | {"conflictPolicy": "Take"}),
        World(api, "held", scaled, theirs),
        World(api, "harm", Application(replicas=2), failures=2),
        World(api, "greedy", greedy, {"knobs": [workers, {"name": "hoard", "min": 1, "max": 512}]}),
        World(api, "restore", SLOW_START),
        World(api, "first", pair[0], budget, namespace="e2e-shared", frozen=False),
        World(api, "second", pair[1], budget, namespace="e2e-shared", frozen=False),
        World(api, "recommend", Application(workers=1, arrivals=26.0), {"mode": "Recommend"}, frozen=False),
        World(api, "searched", Application(workers=8, service=0.05, pause="200ms"), searched, frozen=False),
        World(api, "kill-written", late),
        World(api, "kill-judging", SLOW_START),
        World(api, "kill-rollback", Application(acknowledge_after=6.0)),
    ]
    return {w.name: w for w in made}


@pytest.fixture(scope="session")
def running(api: Api, operator: Operator, ongoing: Ongoing) -> Iterator[Running]:
    """All worlds, started at the same time; removed in the end."""
    worlds = worlds_of(api)
    namespaces = sorted({w.namespace for w in worlds.values()})
    try:
        installed.remove(api, namespaces)
        started = time.monotonic()
        _bring_up(api, worlds, namespaces)
        print(f"{len(worlds)} worlds: {time.monotonic() - started:.0f} s")
        work: dict[str, Callable[[], Any]] = {
            "hot": lambda: scenarios.hot(worlds["hot"]),
            "restart": lambda: scenarios.restart(worlds["restart"]),
            "hpa": lambda: scenarios.autoscaled(worlds["hpa"]),
            "take": lambda: scenarios.taken(worlds["take"], team_hpa("e2e-take")),
            "held": lambda: scenarios.refused(worlds["held"]),
            "harm": lambda: scenarios.harmful(worlds["harm"]),
            "greedy": lambda: scenarios.killed(worlds["greedy"]),
            "restore": lambda: scenarios.restored(worlds["restore"]),
            "shared": lambda: scenarios.shared(worlds["first"], worlds["second"]),
            "searched": lambda: scenarios.searched(worlds["searched"]),
            "recommend": lambda: scenarios.recommended(worlds["recommend"]),
            **{n: partial(scenarios.start, w) for n, w in worlds.items() if n.startswith("kill-")},
        }
        yield Running(worlds, ongoing.begin(work))
    finally:
        ongoing.all_ended()
        installed.remove(api, namespaces)


@contextmanager
def begun(
    api: Api, ongoing: Ongoing, worlds: dict[str, World], work: dict[str, Callable[[], Any]], *others: Object
) -> Iterator[Running]:
    """Worlds with what else stands in them, all at the same time; removed in the end."""
    namespaces = [w.namespace for w in worlds.values()]
    try:
        installed.remove(api, namespaces)
        installed.apply(namespaces, [*others, *(m for w in worlds.values() for m in w.manifests())])
        yield Running(worlds, ongoing.begin({name: partial(once_ready, worlds[name], work[name]) for name in work}))
    finally:
        ongoing.all_ended()
        installed.remove(api, namespaces)


def once_ready(world: World, act: Callable[[], Any]) -> Any:
    world.until("its pods", world.ready, 300, 2)
    return act()


@pytest.fixture(scope="session")
def sized(api: Api, ongoing: Ongoing) -> Iterator[Running]:
    worlds = sizes.worlds_of(api)
    with begun(api, ongoing, worlds, sizes.work(worlds)) as running:
        yield running


@pytest.fixture(scope="session")
def admitted(api: Api, ongoing: Ongoing) -> Iterator[Running]:
    worlds = variables.worlds_of(api)
    budgets = [variables.disruptions(world, 1) for world in worlds.values()]
    with begun(api, ongoing, worlds, variables.work(worlds), *budgets) as running:
        yield running


@pytest.fixture(scope="session")
def canaries(api: Api, ongoing: Ongoing) -> Iterator[Running]:
    worlds = cohorts.worlds_of(api)
    with begun(api, ongoing, worlds, cohorts.work(worlds)) as running:
        yield running


@pytest.fixture(scope="session")
def stateful(api: Api, ongoing: Ongoing) -> Iterator[Running]:
    worlds = sets.worlds_of(api)
    with begun(api, ongoing, worlds, sets.work(worlds), variables.disruptions(worlds["rolled"], 0)) as running:
        yield running


@pytest.fixture(scope="session")
def owned(api: Api, ongoing: Ongoing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Worlds to which somebody else applies, each with what its own team applied first; removed in the end."""
    if missing := releases.unbuilt():
        cannot_run(f"END-TO-END TESTS NOT RUN: {missing}")
    folder = tmp_path_factory.mktemp("releases")
    worlds = owners.worlds_of(api)
    namespaces = [w.namespace for w in worlds.values()]
    try:
        installed.remove(api, namespaces)
        installed.apply(namespaces, [w.manifests()[0] for w in worlds.values()])
        work = {name: owners.installed(world, folder) for name, world in worlds.items()}
        wait_for("their pods", lambda: all(owners.ready(world) for world in worlds.values()), 180, 2)
        yield Running(worlds, ongoing.begin(work))
    finally:
        ongoing.all_ended()
        installed.remove(api, namespaces)


@pytest.fixture(scope="session")
def leaving(api: Api, ongoing: Ongoing) -> Iterator[Running]:
    """Worlds that will be without an operator for a while."""
    worlds = uninstalls.worlds_of(api)
    namespaces = [w.namespace for w in worlds.values()]
    try:
        installed.remove(api, namespaces)
        installed.apply(namespaces, [m for w in worlds.values() for m in w.manifests()])
        yield Running(worlds, ongoing.begin(uninstalls.tuned(worlds)))
    finally:
        ongoing.all_ended()
        if not demo.get("deployment", "pegbox", SYSTEM):
            installed.operator()  # profiles with a finalizer could not go
        installed.remove(api, namespaces)


@pytest.fixture(scope="session")
def killed(running: Running, operator: Operator, ongoing: Ongoing) -> dict[str, Any]:
    """After everything else has ended: the operator is gone for a while."""
    ongoing.all_ended()
    worlds = [running[name] for name in ("kill-written", "kill-judging", "kill-rollback")]
    for world in worlds:
        running.seen(world.name)
    try:
        return kills.kills(operator, *worlds)
    except NotHere as error:
        cannot_run(f"END-TO-END TESTS NOT RUN, nothing below was seen on a real cluster: {error}")


@pytest.fixture(scope="session")
def left(leaving: Running, ongoing: Ongoing) -> Any:
    """After everything else has ended: the operator is uninstalled, and installed again."""
    ongoing.all_ended()
    for name in leaving.worlds:
        leaving.seen(name)
    return uninstalls.left(leaving)


@pytest.fixture(scope="session")
def stopped(leaving: Running, left: Any) -> Any:
    """After everything else: all profiles of the cluster are stopped and restored, and started again."""
    return stops.stopped(leaving)


def _bring_up(api: Api, worlds: dict[str, World], namespaces: list[str]) -> None:
    head = {"apiVersion": "pegbox.dev/v1alpha1", "kind": "SharedBudget"}
    meta = {"name": "connections", "namespace": "e2e-shared"}
    budget = {**head, "metadata": meta, "spec": {"capacity": 8, "reserve": 1, "unit": "connections"}}
    installed.apply(namespaces, [budget, *(m for w in worlds.values() for m in w.manifests())])
    for name in ("take", "held"):
        api.apply("hpa", team_hpa(f"e2e-{name}"), "team")

    def ready() -> bool:
        deployments = [w.get("deployment") for w in worlds.values()]
        return all(d["status"].get("readyReplicas", 0) == d["spec"]["replicas"] for d in deployments)

    wait_for("every application", ready, 300, 2)
