"""Variables by admission on a real cluster: pods are evicted, their successors run the value, the Deployment stays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.api import Object
from tests.e2e.running import Running

HARMLESS = ("NotBetter", "Requested")


def values(one: dict[str, Any]) -> list[Any]:
    return sorted(one.values(), key=str)


def most(samples: list[Object], value: str) -> int:
    """Pods that had a value at the same time."""
    return max(list(one["env"].values()).count(value) for one in samples)


def test_new_pods_run_the_value_and_say_so(admitted: Running) -> None:
    seen = admitted.seen("admitted")
    assert [values(one) for one in seen["lanes"]] == [[4.0, 4.0], [8.0, 8.0], [8.0, 8.0], [4.0, 4.0]]
    first, good, bad, last = map(set, seen["lanes"])
    assert not first & good and not bad & last, "all pods were replaced"
    assert good != bad, "one had the value that hurts; where it was found out at once, no other was evicted for it"


@pytest.mark.parametrize("world", ["admitted", "made"])
def test_the_deployment_has_its_generation_its_spec_and_its_owners(admitted: Running, world: str) -> None:
    before, *after = admitted.seen(world)["target"]
    assert "pegbox" not in before["writers"]
    assert all(one == before for one in after)


@pytest.mark.parametrize("way", ["good", "bad"])
def test_pods_take_turns_where_a_disruption_budget_lets_one_go(admitted: Running, way: str) -> None:
    """At no moment fewer than one was ready, and an old one stood beside a new one."""
    samples = admitted.seen("admitted")["samples"][way]
    assert len(samples) >= 10
    assert min(one["ready"] for one in samples) >= 1
    assert any(len(set(one["env"].values())) == 2 for one in samples), "one after the other"


def test_a_value_that_hurts_is_put_back_in_every_pod(admitted: Running) -> None:
    seen = admitted.seen("admitted")
    assert most(seen["samples"]["bad"], "1") >= 1
    assert seen["bad"]["state"] == "Reverted" and seen["bad"]["reason"] not in HARMLESS, seen["bad"]
    assert values(seen["lanes"][2]) == [8.0, 8.0]


def test_the_end_of_the_profile_leaves_neither_variable_nor_object(admitted: Running) -> None:
    seen = admitted.seen("admitted")
    print(f"profile with a variable by admission deleted and restored in {seen['seconds']:.1f} s")
    assert seen["environment"] is None
    assert values(seen["variables"]) == [None, None]


def test_a_canary_of_a_variable_is_made_of_one_pod_and_then_widened(admitted: Running) -> None:
    seen = admitted.seen("made")
    shares = [one["env"] for one in seen["samples"]["good"]]
    assert any(values(one) == ["8", None] for one in shares), "one beside the other"
    assert values(seen["lanes"][0]) == [8.0, 8.0]
    assert any(e.startswith("TrialWidened") for e in seen["events"]), seen["events"]


def test_a_canary_that_hurts_is_the_only_pod_that_ever_had_it(admitted: Running) -> None:
    seen = admitted.seen("made")
    assert most(seen["samples"]["bad"], "1") == 1
    assert seen["bad"]["state"] == "Reverted" and seen["bad"]["reason"] not in HARMLESS, seen["bad"]
    assert values(seen["lanes"][1]) == [8.0, 8.0]
    pods = {uid for one in seen["samples"]["bad"] for uid in one["env"]}
    assert len(pods) <= 2 + 2 * seen["tries"], "two, and the canary and its successor: the other one was not replaced"
