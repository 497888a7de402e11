"""The operator is gone before its profiles are: what stays is what the runbook says, and a reinstall goes on with it.

Last of all: there is no operator for a while.
"""

from __future__ import annotations

from typing import Any

CRDS = {
    f"{kind}.pegbox.dev"
    for kind in ("performanceprofiles", "performanceclasses", "sharedbudgets", "tuningledgers", "podenvironments")
}


def test_what_is_ours_in_the_cluster_goes_but_for_kinds_and_classes(left: Any) -> None:
    names = left["names"]
    assert names["crd"] == CRDS
    assert {"e2e-app", "python-worker"} <= names["performanceclass"]
    assert names["clusterrole"] == names["clusterrolebinding"] == names["validatingadmissionpolicy"] == set()
    assert left["lease"] == "pegbox", "the Lease stays, and so does a stop that is written on it"


def test_nothing_moves_while_nobody_looks(left: Any) -> None:
    gone = left["gone"]
    assert gone["after"] == gone["before"]
    assert gone["workers"] == {f"left-{name}": [2.0] for name in ("rest", "trial", "deleted", "hand")}
    assert left["intent"].startswith("Trial"), "one of them in mid-trial"
    assert gone["after"]["left-trial"][0] == left["trial document"]


def test_a_profile_that_is_deleted_meanwhile_waits_for_its_restore(left: Any) -> None:
    for meta in left["gone"]["waiting"].values():
        assert meta["deletionTimestamp"]
        assert meta["finalizers"] == ["pegbox.dev/restore"]


def test_by_hand_it_is_put_in_order_as_the_runbook_says(left: Any) -> None:
    assert left["gone"]["by hand"]["originals"] == {"worker_count": "1"}
    assert left["back"]["by hand"] == left["gone"]["by hand"]["config map"], "a reinstall leaves it so"
    assert left["back"]["by hand ledger"] == "app"


def test_a_reinstall_restores_what_was_deleted_meanwhile(left: Any) -> None:
    document, workers = left["back"]["deleted"]
    print(
        f"installed in {left['installed']:.1f} s, restored {left['back']['restored after']:.1f} s after the beginning"
    )
    assert document["values"] == {"worker_count": "1"}
    assert workers == [1.0]


def test_a_reinstall_ends_the_trial_that_was_under_way(left: Any) -> None:
    count, trial = left["back"]["trials"]
    document, workers = left["back"]["trial"]
    assert count <= 1
    assert trial["state"] in ("Accepted", "Reverted", "Inconclusive")
    wanted = "2" if trial["state"] == "Accepted" else "1"
    assert document["values"] == {"worker_count": wanted}
    assert workers == [float(wanted)]


def test_a_reinstall_finds_what_was_at_rest_as_it_left_it(left: Any) -> None:
    document, setting, ready = left["back"]["rest"]
    assert document == left["gone"]["before"]["left-rest"][0], "not even numbered again"
    assert setting == {"worker_count": "2"}
    assert ready["status"] == "True", ready
    assert not {"ForeignChange", "LedgerLost", "TargetReplaced"} & left["back"]["events"]
