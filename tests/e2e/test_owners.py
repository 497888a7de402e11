"""Others apply what is theirs in the middle of trials: the real Helm 3 and 4, and appliers that never stop.

Nobody fights: ours is our own ConfigMap, theirs is written once at most and only by consent, and their value wins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dev.demo import cluster as demo
from tests import releases
from tests.e2e import owners
from tests.e2e.api import Api, Object, wait_for
from tests.e2e.conftest import cannot_run, remove, spaces
from tests.e2e.worlds import WORKLOAD, World
from tests.releases import HELMS, IDS, Release

REF: Object = {"ref": {"name": "team"}}
WORKERS: Object = {"name": "worker_count", "min": 1, "max": 12}
MOST: Object = {"name": "max_replicas", "min": 1, "max": 5}
KINDS = ("server", "client")
THEIRS: Object = {"autoscaler": REF, "knobs": [WORKERS, MOST]}
TAKEN: Object = {"autoscaler": REF, "knobs": [WORKERS, MOST | {"conflictPolicy": "Take"}]}


@dataclass
class Owned:
    """What comes of each world, by name."""

    futures: dict[str, Future[Any]]

    def seen(self, name: str) -> Any:
        return self.futures[name].result()


@pytest.fixture(scope="module")
def owned(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """All worlds at the same time, each with what its own team applied first; removed in the end."""
    if missing := releases.unbuilt():
        cannot_run(missing)
    folder = tmp_path_factory.mktemp("releases")
    specs = {**{f"release-{h}": THEIRS for h in HELMS}, **{f"taken-{h}": TAKEN for h in HELMS}}
    specs |= {f"healed-{kind}": TAKEN for kind in KINDS}
    worlds = {name: World(api, name, owners.APPLICATIONS[name.split("-")[0]], spec) for name, spec in specs.items()}
    namespaces = [w.namespace for w in worlds.values()]
    try:
        remove(api, namespaces)
        demo.apply((WORKLOAD / "class.yaml").read_text())
        programs = [w.manifests()[0] for w in worlds.values()]
        demo.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*spaces(namespaces), *programs]}))
        work = {name: _installed(world, folder) for name, world in worlds.items()}
        wait_for("their pods", lambda: all(_ready(world) for world in worlds.values()), 180, 2)
        with ThreadPoolExecutor(len(work), thread_name_prefix="owned") as threads:
            yield Owned({name: threads.submit(call) for name, call in work.items()})
    finally:
        remove(api, namespaces)


def _installed(world: World, folder: Path) -> Callable[[], Any]:
    """The first version of what the world's team applies; what follows is the scenario."""
    kind, _, tool = world.name.partition("-")
    if kind == "healed":
        somebody = owners.healer(world, tool)
        somebody.once()
        return partial(owners.healed, world, somebody)
    own = folder / world.name
    release = Release(tool, world.namespace, own / "chart", owners.helm_in_cluster(own))
    said = release.upgrade(owners.deployment(world), owners.hpa(world), owners.flags(world))
    assert said.passed, said.text
    return partial(owners.released if kind == "release" else owners.taken, world, release)


def _ready(world: World) -> bool:
    return bool(world.get("deployment")["status"]["readyReplicas"] == 1)


@pytest.fixture(params=HELMS, ids=IDS.get)
def helm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=KINDS, ids=["server-side with force", "client-side three-way"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_upgrade_that_changes_no_template_goes_through_and_the_trial_goes_on(owned: Owned, helm: str) -> None:
    seen = owned.seen(f"release-{helm}")["untouched"]
    assert seen["intent"].startswith("Trial")
    assert seen["said"].passed, seen["said"].text
    assert seen["ended"] == ("Accepted", "TrialAccepted")
    assert seen["values"] == {"worker_count": "2"}
    assert seen["trials"] == 1


def test_an_upgrade_of_the_template_goes_through_and_ends_the_trial_without_a_verdict(owned: Owned, helm: str) -> None:
    seen = owned.seen(f"release-{helm}")
    assert seen["deployed"]["said"].passed, seen["deployed"]["said"].text
    assert seen["deployed"]["ended"] == ("Inconclusive", "Deployed")
    assert seen["deployed"]["values"] == {"worker_count": "2"}, "its parent is put back"
    assert seen["env"]["FLAG"] == "on"


def test_a_rollback_of_the_release_is_a_deploy_like_any_other(owned: Owned, helm: str) -> None:
    seen = owned.seen(f"release-{helm}")
    assert seen["rolled back"]["said"].passed, seen["rolled back"]["said"].text
    assert seen["rolled back"]["ended"] == ("Inconclusive", "Deployed")
    assert seen["rolled back"]["values"] == {"worker_count": "2"}
    assert "FLAG" not in seen["env after"]
    assert seen["status"] == "deployed"


def test_without_take_nothing_of_theirs_is_ever_written_so_that_nothing_conflicts(owned: Owned, helm: str) -> None:
    seen = owned.seen(f"release-{helm}")
    assert (seen["conflict"]["status"], seen["conflict"]["reason"]) == ("True", "OwnedByOther")
    assert seen["hpa"]["spec"]["maxReplicas"] == 4, "they raised it in the middle of a trial"
    print(f"{IDS[helm]}: versions of Deployment and HPA {seen['versions']}, ours {len(seen['ours'])}")
    assert min(seen["versions"]) >= 2, "the watch saw their writes"
    assert seen["ours"] == []


def test_with_take_helm_4_names_the_conflict_and_changes_nothing(owned: Owned) -> None:
    seen = owned.seen(f"taken-{releases.HELM_4}")
    assert not seen["refused"].passed
    assert 'conflict with "pegbox"' in seen["refused"].text and ".spec.maxReplicas" in seen["refused"].text
    assert seen["refused hpa"] == 4
    assert seen["intent"].startswith("Trial"), "and the trial went on"


def test_with_take_their_value_wins_ends_the_trial_and_is_not_written_again(owned: Owned, helm: str) -> None:
    seen = owned.seen(f"taken-{helm}")
    assert seen["said"].passed, seen["said"].text
    assert seen["ended"] == ("Inconclusive", "ForeignChange", ["max_replicas"])
    assert (seen["condition"]["status"], seen["condition"]["reason"]) == ("True", "ForeignChange")
    assert seen["hpa"]["spec"]["maxReplicas"] == 5
    assert [body["spec"]["maxReplicas"] for body in seen["ours"]] == [4], "one write of ours, and no second one"
    assert seen["breaker"]["state"] == "Closed"


def test_a_hot_trial_is_accepted_beside_somebody_who_heals_and_writes_nothing_of_his(owned: Owned, kind: str) -> None:
    seen = owned.seen(f"healed-{kind}")
    assert seen["hot"]["ended"] == ("Accepted", "TrialAccepted")
    assert seen["ours in the hot trial"] == {"Deployment": 0, "HorizontalPodAutoscaler": 0}
    assert seen["errors"] == []


def test_what_was_taken_from_somebody_who_heals_is_written_once_and_he_wins(owned: Owned, kind: str) -> None:
    seen = owned.seen(f"healed-{kind}")
    first, last = seen["applied"]
    print(f"{kind}: {last} applies, {last - first} of them since the first trial; ours {seen['ours']}")
    assert last - first >= 10
    assert seen["taking"]["ended"] == ("Inconclusive", "ForeignChange")
    assert seen["foreign"] == ["max_replicas"]
    assert seen["ours"] == {"Deployment": 0, "HorizontalPodAutoscaler": 1}
    assert seen["hpa"]["spec"]["maxReplicas"] == 3
    assert seen["values"] == {"worker_count": "2"}, "what was ours is put back"
    assert (seen["condition"]["status"], seen["condition"]["reason"]) == ("True", "ForeignChange")
