"""A trial of hot knobs runs in half of the real pods first: each reads the same file, and takes what is for itself."""

from __future__ import annotations

from itertools import chain

from tests.e2e.running import Running
from tests.e2e.scenarios import Seen


def cohort(samples: list[Seen]) -> set[str]:
    """The pods that were ever listed."""
    listed = (one["cohorts"]["trial"]["pods"] for one in samples if "trial" in one["cohorts"])
    return set(chain.from_iterable(listed))


def test_half_of_the_pods_run_it_first_and_the_others_their_old_value(canaries: Running) -> None:
    seen = canaries.seen("canary")
    samples = seen["samples"]["good"]
    assert set(seen["first"]["pauses"].values()) == {0.2}
    first = cohort(samples)
    assert len(first) == 2
    both = [one for one in samples if sorted(one["pauses"].values()) == [0.1, 0.1, 0.2, 0.2]]
    assert both, "two beside two"
    assert all({name for name, pause in one["pauses"].items() if pause == 0.1} == first for one in both)
    assert both[0]["values"]["pause"] == "200ms", "what is for all did not change"


def test_what_did_no_harm_is_promoted_to_all_and_the_document_lists_nobody_any_more(canaries: Running) -> None:
    seen = canaries.seen("canary")
    assert set(seen["promoted"]["pauses"].values()) == {0.1}
    assert seen["promoted"]["values"]["pause"] == "100ms"
    assert seen["promoted"]["cohorts"] == {}
    assert any(e.startswith("TrialWidened") and "canary 2 of 4 pods" in e for e in seen["events"]), seen["events"]


def test_what_hurts_goes_back_and_the_rest_never_reads_it(canaries: Running) -> None:
    seen = canaries.seen("canary")
    samples = seen["samples"]["bad"]
    first = cohort(samples)
    assert len(first) == 2
    assert any(one["pauses"][name] == 0.2 for one in samples for name in first), "its pods did"
    others = {pause for one in samples for name, pause in one["pauses"].items() if name not in first}
    assert others == {0.1}
    assert seen["bad"]["state"] == "Reverted" and seen["bad"]["reason"] != "NotBetter", seen["bad"]
    assert set(seen["after"]["pauses"].values()) == {0.1}
    assert seen["values"][0] == seen["values"][1], "byte for byte"


def test_no_container_was_restarted(canaries: Running) -> None:
    before, after = canaries.seen("canary")["containers"]
    assert before == after
