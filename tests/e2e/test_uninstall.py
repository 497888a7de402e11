"""The operator is gone before its profiles are: what stays is what the runbook says, and a reinstall goes on with it.

Last of all: there is no operator for a while.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dev.demo import cluster as demo
from tests.e2e import uninstalls
from tests.e2e.api import Api
from tests.e2e.conftest import install, remove, spaces
from tests.e2e.operators import SYSTEM
from tests.e2e.worlds import WORKLOAD

CRDS = {
    f"{kind}.pegbox.dev" for kind in ("performanceprofiles", "performanceclasses", "sharedbudgets", "tuningledgers")
}


@pytest.fixture(scope="module")
def seen(api: Api) -> Iterator[Any]:
    worlds = uninstalls.worlds_of(api)
    namespaces = [w.namespace for w in worlds.all()]
    try:
        remove(api, namespaces)
        demo.apply((WORKLOAD / "class.yaml").read_text())
        items = [*spaces(namespaces), *(m for w in worlds.all() for m in w.manifests())]
        demo.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        yield uninstalls.left(worlds)
    finally:
        if not demo.get("deployment", "pegbox", SYSTEM):
            install()  # profiles with a finalizer could not go
        remove(api, namespaces)


def test_what_is_ours_in_the_cluster_goes_but_for_kinds_and_classes(seen: Any) -> None:
    names = seen["names"]
    assert names["crd"] == CRDS
    assert {"e2e-app", "python-worker"} <= names["performanceclass"]
    assert names["clusterrole"] == names["clusterrolebinding"] == names["validatingadmissionpolicy"] == set()
    assert seen["lease"] == "pegbox", "the Lease stays, and so does a stop that is written on it"


def test_nothing_moves_while_nobody_looks(seen: Any) -> None:
    gone = seen["gone"]
    assert gone["after"] == gone["before"]
    assert gone["workers"] == {f"left-{name}": [2.0] for name in ("rest", "trial", "deleted", "hand")}
    assert seen["intent"].startswith("Trial"), "one of them in mid-trial"
    assert gone["after"]["left-trial"][0] == seen["trial document"]


def test_a_profile_that_is_deleted_meanwhile_waits_for_its_restore(seen: Any) -> None:
    for meta in seen["gone"]["waiting"].values():
        assert meta["deletionTimestamp"]
        assert meta["finalizers"] == ["pegbox.dev/restore"]


def test_by_hand_it_is_put_in_order_as_the_runbook_says(seen: Any) -> None:
    assert seen["gone"]["by hand"]["originals"] == {"worker_count": "1"}
    assert seen["back"]["by hand"] == seen["gone"]["by hand"]["config map"], "a reinstall leaves it so"
    assert seen["back"]["by hand ledger"] == "app"


def test_a_reinstall_restores_what_was_deleted_meanwhile(seen: Any) -> None:
    document, workers = seen["back"]["deleted"]
    print(
        f"installed in {seen['installed']:.1f} s, restored {seen['back']['restored after']:.1f} s after the beginning"
    )
    assert document["values"] == {"worker_count": "1"}
    assert workers == [1.0]


def test_a_reinstall_ends_the_trial_that_was_under_way(seen: Any) -> None:
    count, trial = seen["back"]["trials"]
    document, workers = seen["back"]["trial"]
    assert count <= 1
    assert trial["state"] in ("Accepted", "Reverted", "Inconclusive")
    wanted = "2" if trial["state"] == "Accepted" else "1"
    assert document["values"] == {"worker_count": wanted}
    assert workers == [float(wanted)]


def test_a_reinstall_finds_what_was_at_rest_as_it_left_it(seen: Any) -> None:
    document, setting, ready = seen["back"]["rest"]
    assert document == seen["gone"]["before"]["left-rest"][0], "not even numbered again"
    assert setting == {"worker_count": "2"}
    assert ready == "True"
    assert not {"ForeignChange", "LedgerLost", "TargetReplaced"} & seen["back"]["events"]
