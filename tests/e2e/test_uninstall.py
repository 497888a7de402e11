"""The operator is gone before its profiles are: what stays is what the runbook says, and a reinstall goes on with it.

Near the end: there is no operator for a while.
"""

from __future__ import annotations

from typing import Any

from tests.e2e.uninstalls import IN_PODS, LARGE, SMALL

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


def test_values_in_pods_stay_and_a_pod_that_starts_meanwhile_has_its_templates(left: Any) -> None:
    """The policy that puts the variable into new pods went with the chart, and nobody resizes."""
    gone, now = left["gone"]["replaced"]
    for name in IN_PODS:
        assert list(left["in pods"][name].values()) == [(8.0, LARGE)] * 2
        assert left["gone"]["in pods"][name] == left["in pods"][name], "the same pods, with what was accepted"
    old = left["in pods"]["pods"].keys() - {gone}
    assert {uid: now[uid] for uid in old} == dict.fromkeys(old, (8.0, LARGE))
    assert [now[uid] for uid in now.keys() - old] == [(4.0, SMALL)]


def test_a_reinstall_resizes_the_pod_that_started_meanwhile_and_names_it_for_its_variable(left: Any) -> None:
    _gone, now = left["gone"]["replaced"]
    assert set(left["back"]["in pods"]) == set(now), "nobody replaced a pod for it"
    assert sorted(lanes for lanes, _ in left["back"]["in pods"].values()) == [4.0, 8.0]
    assert [size for _, size in left["back"]["in pods"].values()] == [LARGE] * 2
    (missed,) = left["back"]["missed"]
    assert missed in left["back"]["said"] and "delete these pods" in left["back"]["said"]


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
