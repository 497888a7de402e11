"""The operator's process is killed with SIGKILL; the next one finishes what was begun. Last: nothing else runs then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.api import wait_for
from tests.e2e.running import Running

MOMENTS = ("written", "judging", "rollback")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_operator_ends_at_an_accepted_or_the_last_good_setting(killed: dict[str, Any], moment: str) -> None:
    seen = killed[moment]
    document, values = seen["after"]
    print(f"killed while {moment}: leads again after {seen['restart']:.1f} s, {seen['last']['state']}")
    accepted = seen["last"]["state"] == "Accepted"
    wanted = {v["name"]: v["value"] for v in seen["last"]["candidate"]} if accepted else seen["before"][0]["values"]
    assert document["values"] == wanted
    assert accepted or values == seen["before"][1]
    assert seen["setting"] == wanted
    assert set(seen["acknowledged after"]) == {(document["generation"], document["hash"])}


def test_the_first_kill_met_a_written_but_unacknowledged_trial(killed: dict[str, Any]) -> None:
    seen = killed["written"]
    assert seen["intent"].startswith("Trial")
    assert seen["document"]["generation"] not in {g for g, _ in seen["acknowledged"]}


def test_the_second_kill_met_a_trial_that_was_judged(killed: dict[str, Any]) -> None:
    assert killed["judging"]["intent"].startswith("Trial")


def test_the_third_kill_met_a_rollback(killed: dict[str, Any]) -> None:
    seen = killed["rollback"]
    assert seen["intent"].startswith("Rollback")
    assert seen["last"]["state"] == "Reverted"


def test_a_namespace_with_a_profile_in_auto_can_be_deleted(killed: dict[str, Any], running: Running) -> None:
    world = running["hot"]
    assert world.get("profile")["metadata"]["finalizers"] == ["pegbox.dev/restore"]
    world.api.delete("namespace", "", world.namespace)

    def gone() -> bool:
        return world.namespace not in {n["metadata"]["name"] for n in world.api.list("namespace", "")}

    seconds = wait_for("the namespace's end", gone, 120)
    print(f"namespace with a profile in Auto deleted in {seconds:.1f} s")
