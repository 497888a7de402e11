"""A StatefulSet as target: its pods keep their names, and a real controller replaces them in its own order."""

from __future__ import annotations

from tests.e2e.running import Running
from tests.e2e.stateful import PODS

NAMES = [f"app-{number}" for number in range(PODS)]


def test_a_hot_value_is_accepted_and_a_bad_one_put_back_without_a_restart(stateful: Running) -> None:
    seen = stateful.seen("set")
    assert seen["pause"] == [0.1] * PODS
    assert seen["bad"]["state"] == "Reverted", seen["bad"]
    assert seen["workers"] == [6.0] * PODS
    assert seen["values"][0] == seen["values"][1], "byte for byte"
    assert seen["containers"][0] == seen["containers"][1]


def test_what_pods_read_when_they_start_is_brought_to_one_after_the_other(stateful: Running) -> None:
    """By eviction, in the order of their names; no new revision."""
    seen = stateful.seen("set")
    assert seen["created"] == NAMES and not seen["kept"]
    assert min(one["runs"] for one in seen["samples"]) >= PODS - 1
    assert seen["target"][0] == seen["target"][1]


def test_where_no_pod_may_be_evicted_its_rollout_replaces_them_from_the_last_to_the_first(stateful: Running) -> None:
    seen = stateful.seen("rolled")
    assert seen["created"] == NAMES[::-1]
    assert min(one["runs"] for one in seen["samples"]) >= PODS - 1
    assert seen["lanes"] == [8.0] * PODS
    assert seen["variables"] == ["8"] * PODS


def test_of_its_template_nothing_but_the_rollouts_annotation_is_written(stateful: Running) -> None:
    before, after = stateful.seen("rolled")["target"]
    assert after["generation"] > before["generation"]
    annotations = after["spec"]["template"]["metadata"]["annotations"]
    assert annotations.pop("pegbox.dev/restarted-for")
    assert after["spec"] == before["spec"]


def test_the_end_of_the_profile_rolls_out_what_the_template_says(stateful: Running) -> None:
    seen = stateful.seen("rolled")
    print(f"StatefulSet without evictions restored in {seen['seconds']:.1f} s")
    assert seen["restored"] == [None] * PODS
    assert seen["object"] is None
