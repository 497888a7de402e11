"""What is remembered between wakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.reasons import Reason
from pegbox.runtime.memory import Asked, Memory
from tests.unit.core.build import at, pod, window, workload


def test_a_clock_set_back_forgets_windows_that_lie_ahead() -> None:
    """Disjoint windows are asked for: one that ended in an hour from now would shut out all others until then."""
    memory = Memory(settled_at=at(60), ledger_saved_at=at(0), status_saved_at=at(0))
    memory.note_time(at(0))
    memory.windows.append(window())
    assert memory.note_time(at(-3600)), "nothing is known of before, as at a first look"
    assert not memory.windows and isinstance(memory.newest, Missing)
    assert (memory.disturbed_at, memory.settled_at) == (at(-3600), None)
    assert (memory.ledger_saved_at, memory.status_saved_at) == (None, None)


def test_time_that_runs_on_forgets_nothing() -> None:
    memory = Memory(settled_at=at(60))
    memory.note_time(at(0))
    memory.windows.append(window())
    assert not memory.note_time(at(30))
    assert len(memory.windows) == 1 and memory.settled_at == at(60)


@pytest.mark.parametrize(("share", "first"), [(0.0, 30.0), (0.5, 45.0), (1.0, 60.0)])
def test_profiles_that_were_first_looked_at_together_have_turns_apart(share: float, first: float) -> None:
    memory = Memory()
    assert memory.next_turn(60.0, share, now=100.0) == first
    assert memory.next_turn(60.0, share, now=100.0 + first) == 60.0, "and then one per interval"


def test_a_look_out_of_turn_leaves_the_turn_where_it_was() -> None:
    memory = Memory()
    memory.next_turn(60.0, 1.0, now=0.0)
    assert memory.next_turn(60.0, 1.0, now=45.0) == 15.0
    assert memory.next_turn(60.0, 1.0, now=59.0) == 60.0, "but for one right before it, which is it"


@pytest.mark.parametrize("now", [60.0, 64.0, 9000.0], ids=["in time", "late", "after a long trial"])
def test_the_turn_after_a_look_in_turn_or_late_is_an_interval_later(now: float) -> None:
    memory = Memory()
    memory.next_turn(60.0, 1.0, now=0.0)
    assert memory.next_turn(60.0, 1.0, now) == 60.0


def test_a_shorter_interval_holds_at_once() -> None:
    memory = Memory()
    memory.next_turn(3600.0, 1.0, now=0.0)
    assert memory.next_turn(30.0, 1.0, now=10.0) == 30.0


@pytest.mark.parametrize("interval", [1.0, 2.0, 30.0, 3600.0])
def test_no_turn_is_further_than_an_interval_whenever_it_is_looked_at(interval: float) -> None:
    memory, now = Memory(), 0.0
    for step in range(500):
        assert 0.0 < memory.next_turn(interval, (step % 7) / 7, now) <= interval + 1e-9
        now += interval * (step % 13) / 9


def test_pods_are_the_same_since_the_last_look_that_saw_others() -> None:
    memory = Memory()
    memory.note_pods(workload(pod("a"), pod("b")), at(0), False)
    assert memory.pods_at is None, "at a first look nobody knows"
    memory.note_pods(workload(pod("a"), pod("b")), at(10), True)
    assert (memory.pods_at, memory.disturbed_at) == (None, at(10)), "pods that are ill are the same pods"
    memory.note_pods(workload(pod("a")), at(20), False)
    assert (memory.pods_at, memory.disturbed_at) == (at(20), at(20))
    memory.note_pods(Missing(Reason.TARGET_NOT_FOUND), at(30), False)
    memory.note_pods(workload(pod("a")), at(40), False)
    assert (memory.pods_at, memory.disturbed_at) == (at(20), at(40)), "what could not be read says nothing of them"


def test_what_reaches_into_the_first_window_of_an_incident_is_held_against_no_trial() -> None:
    memory = Memory()
    memory.windows.extend((window(120), window(240)))
    shown = window(300, clean=False, unclean_reason=Reason.LAST_KNOWN_GOOD_FAILING)
    memory.note_incident(shown, at(301))
    assert (tuple(memory.windows), memory.disturbed_at) == ((window(120),), at(301))


@pytest.mark.parametrize(
    "seen", [window(300), window(300, clean=False, unclean_reason=Reason.SCALED), Missing(Reason.NO_DATA)]
)
def test_what_is_no_incident_forgets_no_window(seen: Observation | Missing) -> None:
    memory = Memory()
    memory.windows.append(window(240))
    memory.note_incident(seen, at(301))
    assert (tuple(memory.windows), memory.disturbed_at) == ((window(240),), None)


ASKED = Asked(Setting({"buffer": 16}), frozenset({"buffer"}), (), (), 0, True, 0.97, 3, 2)
OTHERWISE: dict[str, dict[str, Any]] = {
    "another_incumbent": {"incumbent": Setting({"buffer": 24})},
    "another_knob_may_move": {"moving": frozenset({"buffer", "pause"})},
    "a_failure": {"failed": ((Setting({"buffer": 16}), Setting({"buffer": 8})),)},
    "a_miss": {"misses": 1},
    "judged_by_latency": {"throughput": False},
    "less_is_asked_for": {"least": 0.9},
    "another_load": {"load_bin": 4},
    "more_pods": {"pods": 4},
}


@pytest.mark.parametrize("change", OTHERWISE.values(), ids=OTHERWISE)
def test_a_search_answers_no_other_question_than_it_was_asked(change: dict[str, Any]) -> None:
    assert not replace(ASKED, **change).says_no_more(ASKED)
    assert ASKED.says_no_more(ASKED), "the twin: the same again has the same answer"
