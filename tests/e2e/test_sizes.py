"""Requests and limits of containers change in running pods, by a real kubelet and in the containers' own cgroups."""

from __future__ import annotations

from tests.e2e.running import Running
from tests.e2e.sizes import LARGE, SMALL

MI = 2**20


def test_sizes_change_in_running_pods_and_in_their_cgroups(sized: Running) -> None:
    seen = sized.seen("resized")
    assert all(one["cgroup"] == (0.2, 128 * MI) for one in seen["first"].values())
    assert len(seen["accepted"]) == 2
    for one in seen["accepted"].values():
        assert one["asked"] == one["reported"] == LARGE
        assert one["cgroup"] == (0.4, 160 * MI)
    assert {name: seen["setting"][name] for name in ("cpu_request", "cpu_limit")} == {
        "cpu_request": "40m",
        "cpu_limit": "400m",
    }


def test_a_resize_restarts_nothing(sized: Running) -> None:
    seen = sized.seen("resized")
    before, after = seen["first"], seen["accepted"]
    assert {uid: one["container"] for uid, one in after.items()} == {u: one["container"] for u, one in before.items()}
    assert {one["container"][1] for one in after.values()} == {0}


def test_a_pod_that_is_replaced_is_resized_to_what_was_accepted(sized: Running) -> None:
    seen = sized.seen("resized")
    print("sizes: " + ", ".join(f"{name} after {s:.1f} s" for name, s in seen["seconds"].items()))
    assert len(seen["replaced"]) == 2 and seen["gone"] not in seen["replaced"]
    for one in seen["replaced"].values():
        assert one["asked"] == one["reported"] == LARGE
        assert one["cgroup"] == (0.4, 160 * MI)
        assert one["container"][1] == 0


def test_too_few_cores_are_put_back_exactly(sized: Running) -> None:
    seen = sized.seen("resized")
    assert seen["bad"]["state"] == "Reverted", seen["bad"]
    assert seen["bad"]["reason"] not in ("NotBetter", "Requested"), seen["bad"]
    assert seen["after bad"] == seen["replaced"], "the same containers, with the sizes of before"


def test_the_end_of_the_profile_gives_every_pod_what_the_template_says(sized: Running) -> None:
    seen = sized.seen("resized")
    assert len(seen["restored"]) == 2
    for one in seen["restored"].values():
        assert one["asked"] == one["reported"] == SMALL
        assert one["cgroup"] == (0.2, 128 * MI)
        assert one["container"][1] == 0


def test_the_deployment_never_knew(sized: Running) -> None:
    seen = sized.seen("resized")
    assert seen["target now"] == seen["target"][0]
    assert seen["target in the end"] == seen["target"][0]


def test_a_request_that_no_node_has_room_for_ends_the_trial_and_is_put_back(sized: Running) -> None:
    seen = sized.seen("no-room")
    assert len(seen["ends"]) == 2
    for ended in seen["ends"].values():
        assert (ended["state"], ended["reason"]) == ("Inconclusive", "ResizeNotPossible"), ended
    assert seen["last"] == seen["first"], "the same container, with the sizes of before"
    assert seen["target now"] == seen["target"]
    assert seen["breaker"]["state"] == "Closed"


def test_the_kubelets_own_words_are_told(sized: Running) -> None:
    told = [e for e in sized.seen("no-room")["events"] if e.startswith("TrialInconclusive")]
    assert any("Infeasible" in e for e in told), told
    assert any("Deferred" in e for e in told), told


def test_a_size_whose_resize_would_restart_the_container_is_refused(sized: Running) -> None:
    seen = sized.seen("no-room")
    assert seen["knobs"]["cpu_request"]["writable"] == "False"
    told = [e for e in seen["events"] if e.startswith("RequestRefused")]
    assert any("cpu_request" in e and "RestartContainer" in e for e in told), told
