"""Verbs: acted on once per token, refused by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.decide import decide
from pegbox.model.decisions import Action
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import Freeze, Mode
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Request, Snapshot
from pegbox.model.trials import Breaker, BreakerState, IntentKind, Ledger, Rung, TrialState, TrialSummary
from tests.unit.core.build import (
    HOT,
    NO_WISH,
    POOL,
    T0,
    at,
    held,
    intent,
    ledger,
    setting,
    snapshot,
    spec,
    under_way,
    window,
)

NOW, MORE, LESS = setting(workers=4, pool=4), setting(workers=6, pool=4), setting(workers=3, pool=4)
OPEN, HALF = Breaker(BreakerState.OPEN, until=at(60)), Breaker(BreakerState.HALF_OPEN)


def asked(verb: str, argument: str = "", seen: Snapshot | None = None) -> Snapshot:
    return replace(seen or snapshot(), requests=(Request(verb, "t1", argument),))


@pytest.mark.parametrize(
    ("verb", "argument", "before", "after"),
    [
        pytest.param("pause", "", ledger(), {"paused_until": datetime.max.replace(tzinfo=T0.tzinfo)}, id="pause"),
        pytest.param("pause", "10m", ledger(), {"paused_until": at(600)}, id="pause_for_ten_minutes"),
        # T0 is 12:00 UTC
        pytest.param("pause", "2026-03-02T14:00:00+01:00", ledger(), {"paused_until": at(3600)}, id="until_a_time"),
        pytest.param("pause", "2026-03-02T12:00:00Z", ledger(), {"paused_until": None}, id="until_now_is_refused"),
        pytest.param(
            "pause", "2026-03-02T14:00:00", ledger(), {"paused_until": None}, id="a_time_of_no_zone_is_refused"
        ),
        pytest.param(
            "pause",
            "9999-12-31T23:59:59-12:00",
            ledger(),
            {"paused_until": None},
            id="a_time_after_all_time_is_refused",
        ),
        pytest.param("pause", "soon", ledger(), {"paused_until": None}, id="a_pause_of_no_length_is_refused"),
        pytest.param(
            "pause", "99999999999999d", ledger(), {"paused_until": None}, id="a_pause_beyond_all_time_is_refused"
        ),
        pytest.param("resume", "", ledger(paused_until=at(60)), {"paused_until": None}, id="resume"),
        pytest.param(
            "reset",
            "",
            ledger(
                breaker=OPEN, cooldown_until=at(9), halted=Reason.LAST_KNOWN_GOOD_FAILING, forecasts=((1.0, 2.0, 3.0),)
            ),
            {"breaker": Breaker(), "cooldown_until": None, "halted": None, "forecasts": ()},
            id="reset_forgets_failures_and_what_was_learned",
        ),
    ],
)
def test_what_changes_the_ledger_at_once(verb: str, argument: str, before: Ledger, after: dict[str, Any]) -> None:
    first = decide(asked(verb, argument, snapshot(memory=before)), NO_WISH, T0)
    assert {n: getattr(first.ledger, n) for n in after} == after
    assert (first.desired, first.ledger.tokens[verb], len(first.events)) == (None, "t1", 1)
    second = decide(asked(verb, argument, snapshot(memory=first.ledger)), NO_WISH, at(5))
    assert (second.ledger, second.events) == (first.ledger, ()), "the same token is acted on once"


def test_reset_ends_a_halt_while_its_cause_lasts_and_leaves_a_way_back() -> None:
    """Held against its old record the setting would be halted again in the same wake."""
    others = Rung(MORE, 10.0, 3, 0.1, T0)
    before = ledger(ladder=(Rung(NOW, 10.0, 3, 0.01, T0), others), halted=Reason.LAST_KNOWN_GOOD_FAILING, halted_at=T0)
    held_back = decide(snapshot(memory=before), NO_WISH, T0).ledger
    assert held_back.halted is Reason.LAST_KNOWN_GOOD_FAILING, "the twin: nobody asked"
    found = decide(asked("reset", "", snapshot(memory=before)), NO_WISH, T0).ledger
    assert (found.halted, found.halted_at, found.ladder) == (None, None, (others,))


def test_pause_and_resume_work_in_mid_trial_without_ending_it() -> None:
    found = decide(asked("pause", "", snapshot(memory=under_way(intent(applied_at=at(5))))), NO_WISH, at(10))
    assert found.ledger.paused_until is not None
    assert found.ledger.intent is not None
    assert found.ledger.intent.kind is IntentKind.TRIAL


def test_try_starts_the_trial_that_was_asked_for() -> None:
    found = decide(asked("try", "workers=6"), NO_WISH, T0)
    assert found.ledger.intent is not None
    assert (found.action, found.desired, found.ledger.intent.requested) == (Action.START, MORE, True)
    assert found.ledger.tokens == {"try": "t1"}


@pytest.mark.parametrize(
    ("text", "seen", "words"),
    [
        pytest.param("workers=6", snapshot(spec(mode=Mode.RECOMMEND)), "needs mode Auto", id="outside_of_auto"),
        pytest.param("workers=6", snapshot(spec(mode=Mode.OBSERVE)), "needs mode Auto", id="in_observe"),
        pytest.param("workers=33", snapshot(), "outside of the knob's limits", id="over_bounds"),
        pytest.param("workers=7", snapshot(), "further than maxStep", id="further_than_a_step"),
        pytest.param(
            "workers=6", snapshot(memory=ledger(breaker=HALF)), "further than maxStep", id="half_open_one_unit"
        ),
        pytest.param(
            "workers=7", snapshot(memory=ledger(setting(workers=6, pool=8))), "the budget would", id="over_budget"
        ),
        pytest.param("workers=4", snapshot(), "in force already", id="what_is_in_force"),
        pytest.param("nothing=4", snapshot(), "write knob=value", id="an_unknown_knob"),
        pytest.param("workers", snapshot(), "write knob=value", id="no_value"),
        pytest.param("workers=many", snapshot(), "cannot be used", id="no_number"),
        pytest.param("workers=5", snapshot(spec(replace(HOT, pinned=F(4)), POOL)), "pinned", id="a_pinned_knob"),
        pytest.param("workers=6", snapshot(memory=ledger(breaker=OPEN)), "breaker is open", id="breaker_open"),
        pytest.param("workers=6", snapshot(memory=ledger(paused_until=at(9))), "paused", id="paused"),
        pytest.param(
            "workers=6",
            snapshot(held=held(NOW, workers=Missing(Reason.OWNED_BY_OTHER, "helm"))),
            "another field manager",
            id="owned_by_another",
        ),
    ],
)
def test_try_is_refused_once_with_the_reason(text: str, seen: Snapshot, words: str) -> None:
    first = decide(asked("try", text, seen), NO_WISH, T0)
    assert (first.action, first.reason, first.desired) == (Action.HOLD, Reason.REQUEST_REFUSED, None)
    assert words in first.message
    second = decide(replace(asked("try", text, seen), ledger=first.ledger), NO_WISH, at(5))
    assert second.reason is not Reason.REQUEST_REFUSED


def test_try_waits_for_no_cooldown_and_no_freeze() -> None:
    frozen = spec(freezes=(Freeze("lunch", "0 12 * * *", "UTC", F(3600)),))
    seen = snapshot(frozen, ledger(cooldown_until=at(60)))
    assert decide(asked("try", "workers=6", seen), NO_WISH, T0).desired == MORE


def test_try_waits_for_a_measured_parent_since_no_guard_could_see_harm_without() -> None:
    decision = decide(asked("try", "workers=6", snapshot(baseline_windows=())), NO_WISH, T0)
    assert decision.desired is None
    assert "try" not in decision.ledger.tokens  # still to be served


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param(Missing(Reason.METRICS_UNREACHABLE), Reason.METRICS_UNREACHABLE, id="no_server"),
        pytest.param(Missing(Reason.PARTIAL_DATA), Reason.PARTIAL_DATA, id="warnings"),
        pytest.param(Missing(Reason.NO_DATA), Reason.NO_DATA, id="no_series"),
        pytest.param(window(-61), Reason.STALE_DATA, id="stale"),
        pytest.param(window(offered_load=Missing(Reason.NO_DATA)), Reason.NO_DATA, id="no_load"),
        pytest.param(window(throughput=Missing(Reason.NOT_A_NUMBER)), Reason.NOT_A_NUMBER, id="nan_of_throughput"),
        pytest.param(window(latency=Missing(Reason.NOT_A_NUMBER)), Reason.NOT_A_NUMBER, id="nan_of_latency"),
        pytest.param(window(), None, id="the_twin_all_is_known"),
        pytest.param(window(-59), None, id="the_twin_young_enough"),
        pytest.param(
            window(offered_load=0.0, throughput=0.0, latency=Missing(Reason.NO_DATA)), None, id="the_twin_idle"
        ),
        pytest.param(window(latency=Missing(Reason.TOO_FEW_EVENTS)), None, id="the_twin_few_events"),
        pytest.param(window(slos={"fast": Missing(Reason.NO_DATA)}), None, id="the_twin_a_silent_slo"),
    ],
)
def test_try_is_refused_where_metrics_are_broken_and_starts_where_they_only_tell_little(
    seen: Observation | Missing, reason: Reason | None
) -> None:
    """It has a measured parent; a clean window of now it needs none."""
    found = decide(asked("try", "workers=6", snapshot(observation=seen)), NO_WISH, T0)
    if reason is None:
        assert found.desired == MORE
        return
    assert (found.reason, found.ledger.intent) == (Reason.REQUEST_REFUSED, None)
    assert found.message.startswith(SENTENCES[reason]) and found.ledger.tokens == {"try": "t1"}


def test_try_waits_while_something_is_under_way() -> None:
    found = decide(asked("try", "pool=5", snapshot(memory=under_way(intent(applied_at=at(5))))), NO_WISH, at(10))
    assert (found.action, found.ledger.tokens) == (Action.CONTINUE, {})


def accepted(parent: Setting, state: TrialState = TrialState.ACCEPTED) -> TrialSummary:
    return TrialSummary("i", NOW, parent, state, Reason.TRIAL_ACCEPTED, at(-600), at(-300))


PROVEN = (Rung(NOW, 10.0, 3, 0.1, T0), Rung(LESS, 10.0, 3, 0.1, T0))


@pytest.mark.parametrize(
    ("memory", "goal"),
    [
        pytest.param(ledger(ladder=PROVEN, trials=(accepted(MORE),)), LESS, id="to_the_newest_proven_other"),
        pytest.param(
            ledger(ladder=(PROVEN[0], replace(PROVEN[1], replicates=2)), trials=(accepted(MORE),)),
            MORE,
            id="else_to_the_parent_of_the_last_accepted_trial",
        ),
        pytest.param(ledger(trials=(accepted(MORE, TrialState.REVERTED),)), None, id="never_to_that_of_a_reverted_one"),
        pytest.param(ledger(), None, id="nothing_is_known_to_be_good"),
        pytest.param(ledger(trials=(accepted(setting(workers=33, pool=4)),)), None, id="never_out_of_bounds"),
        pytest.param(
            ledger(trials=(accepted(setting(workers=13, pool=4)),)), None, id="never_over_a_budget"
        ),  # 52 of 48
        pytest.param(
            ledger(trials=(accepted(setting(workers=12, pool=4)),)), setting(workers=12, pool=4), id="any_step"
        ),
    ],
)
def test_rollback(memory: Ledger, goal: Setting | None) -> None:
    found = decide(asked("rollback", "", snapshot(memory=memory)), NO_WISH, T0)
    assert (found.desired, found.ledger.tokens) == (goal, {"rollback": "t1"})
    assert found.reason is (Reason.REQUEST_REFUSED if goal is None else Reason.REQUESTED)
    if goal is not None:
        assert found.ledger.intent is not None
        assert found.ledger.intent.kind is IntentKind.ROLLBACK


def test_a_rollback_leaves_what_is_not_ours() -> None:
    theirs = Missing(Reason.OWNED_BY_OTHER)
    memory = ledger(trials=(accepted(setting(workers=5, pool=5)),))
    found = decide(asked("rollback", "", snapshot(memory=memory, held=held(NOW, pool=theirs))), NO_WISH, T0)
    assert found.desired == setting(workers=5, pool=4)


def test_a_rollback_ends_a_trial_and_is_not_done_twice() -> None:
    seen = asked("rollback", "", snapshot(memory=under_way(intent(applied_at=at(5)))))
    found = decide(seen, NO_WISH, at(10))
    assert (found.action, found.desired, found.ledger.breaker.failures) == (Action.REVERT, NOW, 0)
    assert found.ledger.tokens == {"rollback": "t1"}
