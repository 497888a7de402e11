"""Values change in running workloads: hot, by restart, in an HPA; and where another holds the value."""

from __future__ import annotations

from typing import Any

from tests.e2e.running import Running


def managers(body: dict[str, Any]) -> set[str]:
    return {entry["manager"] for entry in body["metadata"]["managedFields"]}


def test_adoption_writes_exactly_the_values_in_force(running: Running) -> None:
    seen = running.seen("hot")
    assert seen["reported"] == [4.0, 4.0]
    assert seen["adopted"]["values"] == {"worker_count": "4"}
    assert seen["adopted"]["generation"] == 1


def test_running_pods_take_a_hot_change_and_acknowledge_its_generation(running: Running) -> None:
    seen = running.seen("hot")
    document = seen["document"]
    print(f"hot change acknowledged by both pods after {seen['seconds']:.1f} s")
    assert "token" in seen["said"]
    assert document["values"] == {"worker_count": "5"}
    assert seen["acknowledged"] == [(document["generation"], document["hash"])] * 2
    assert seen["workers"] == [5.0, 5.0]


def test_a_hot_change_restarts_nothing(running: Running) -> None:
    before, after = running.seen("hot")["containers"]
    assert before == after
    assert [restarts for _, _, restarts in after] == [0, 0]


def test_our_config_map_remembers_the_values_at_adoption(running: Running) -> None:
    annotations = running.seen("hot")["config_map"]["metadata"]["annotations"]
    assert annotations["pegbox.dev/originals"] == '{"worker_count": "4"}'


def test_a_restart_knob_comes_into_force_by_eviction_one_pod_after_the_other(running: Running) -> None:
    seen = running.seen("restart")
    print(f"restart knob in force after {seen['seconds']:.1f} s")
    assert seen["data"]["CHUNK"] == "8"
    assert seen["replica_sets"] == 1, "an eviction costs no revision"
    assert min(ready for _, ready in seen["samples"]) >= 1
    uids = [uids for uids, _ in seen["samples"]]
    assert not seen["old"] & uids[-1], "both pods were replaced"
    mixed = [u for u in uids if len(u & seen["old"]) == 1]
    assert any(len(u) == 2 for u in mixed), "a new pod stood beside the other old one"


def test_pods_that_were_restarted_acknowledge_the_document(running: Running) -> None:
    seen = running.seen("restart")
    assert {g for g, _ in seen["acknowledged"]} == {seen["document"]["generation"]}
    assert len(seen["acknowledged"]) == 2


def test_an_hpa_that_pegbox_creates_acts_on_real_figures(running: Running) -> None:
    seen = running.seen("hpa")
    status = seen["before"]["status"]
    assert status["currentMetrics"][0]["resource"]["current"]["averageUtilization"] >= 0
    assert any(c["type"] == "ScalingActive" and c["status"] == "True" for c in status["conditions"])
    print(f"the HPA raised the Deployment to two replicas {seen['acted']:.1f} s after its bound was")


def test_bounds_are_raised_by_a_trial_and_put_back_byte_for_byte(running: Running) -> None:
    seen = running.seen("hpa")
    assert (seen["raised"]["spec"]["minReplicas"], seen["raised"]["spec"]["maxReplicas"]) == (2, 3)
    assert seen["after"]["spec"] == seen["before"]["spec"]
    assert seen["after"]["spec"]["metrics"] == seen["raised"]["spec"]["metrics"]
    assert seen["last"]["state"] == "Reverted"
    assert seen["last"]["why"].startswith("Requested")


def test_take_writes_another_managers_value_and_deletion_gives_it_back_exactly(running: Running) -> None:
    seen = running.seen("take")
    assert "pegbox" not in managers(seen["before"])
    assert seen["during"]["spec"] == seen["before"]["spec"] | {"maxReplicas": 4}
    assert seen["after"]["spec"] == seen["before"]["spec"]
    print(f"profile with Take deleted and restored in {seen['seconds']:.1f} s")


def test_without_take_the_conflict_is_named_and_nothing_is_written(running: Running) -> None:
    seen = running.seen("held")
    assert seen["condition"]["reason"] == "OwnedByOther"
    assert "field manager team" in seen["condition"]["message"]
    assert "spec.maxReplicas" in seen["condition"]["message"]
    assert seen["knobs"]["max_replicas"]["writable"] == "False"
    assert "pegbox" not in managers(seen["after"])
    assert seen["after"]["spec"] == seen["before"]["spec"]
    assert any(e.startswith("RequestRefused") and "max_replicas" in e for e in seen["events"])


def test_the_search_lowers_latency_by_a_knob_that_no_physics_knows(running: Running) -> None:
    seen = running.seen("searched")
    print(f"pause 200ms -> {seen['setting']['pause']}; the first step accepted after {seen['seconds']:.1f} s")
    assert seen["before"]["values"] == {"worker_count": "8", "pause": "200ms"}
    [pause] = set(seen["pause"])
    assert 0.08 <= pause < 0.2, "one step to two thirds, or two"
    assert any(event.startswith("TrialStarted") and "search: pause" in event for event in seen["events"])
    assert any(event.startswith("TrialAccepted") and "pause" in event for event in seen["events"])


def test_recommend_shows_proposals_and_writes_nothing_to_the_workload(running: Running) -> None:
    seen = running.seen("recommend")
    proposed = {v["name"]: int(v["value"]) for v in seen["status"]["proposal"]}
    assert proposed["worker_count"] > 1, "one worker serves 10/s of 26/s"
    assert seen["after"] == seen["before"]
    assert not seen["profile"]["metadata"].get("finalizers")
