"""Conditions: every type, every time, with the reason of the one enum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pegbox.core.conditions import by_type, conditions, degraded, refused, trusted
from pegbox.core.decide import decide
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import Action, Condition, ConditionType, Decision, Truth
from pegbox.model.observations import Attainment, Missing
from pegbox.model.prediction import ModelReport
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Breaker, BreakerState, IntentKind, Ledger, TrialState, TrialSummary
from tests.unit.core.build import (
    NO_WISH,
    T0,
    at,
    document,
    held,
    intent,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    workload,
)

LEARNING = Missing(Reason.LEARNING)
NOW = setting(workers=4, pool=4)
GONE = Missing(Reason.NO_DATA)


def told(seen: Snapshot, decision: Decision | None = None, **changes: Any) -> dict[ConditionType, Condition]:
    decision = decision or Decision(Action.HOLD, Reason.NOTHING_BETTER, "quiet", seen.ledger)
    return by_type(conditions(seen, replace(decision, **changes), LEARNING, {}, T0))


def test_every_type_is_set_on_the_first_visit_and_sorted() -> None:
    found = conditions(snapshot(), Decision(Action.HOLD, Reason.STABLE, "", ledger()), LEARNING, {}, T0)
    assert [c.type for c in found] == sorted(ConditionType)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        pytest.param(Reason.STOPPED, "still to be put back: workers=6", id="a budget has no room for it"),
        pytest.param(Reason.RESTORE_PENDING, "another profile has the place", id="what the decision says comes first"),
    ],
)
def test_what_a_restore_left_behind_is_degraded_with_its_cause(reason: Reason, words: str) -> None:
    seen = snapshot(memory=ledger(NOW, owed=setting(workers=6)), brakes=Brakes(stop=Stop.RESTORE))
    found = told(seen, Decision(Action.HOLD, reason, "another profile has the place", seen.ledger))
    assert (found[ConditionType.DEGRADED].status, found[ConditionType.DEGRADED].reason) == (
        Truth.TRUE,
        Reason.RESTORE_PENDING,
    )
    assert words in found[ConditionType.DEGRADED].message


def test_a_fresh_profile_without_data_is_ready() -> None:
    found = told(snapshot(observation=GONE, baseline_windows=()))
    assert found[ConditionType.READY].status is Truth.TRUE
    assert found[ConditionType.METRICS_AVAILABLE].status is Truth.FALSE
    assert found[ConditionType.SLO_MET].status is Truth.UNKNOWN


@pytest.mark.parametrize(
    ("seen", "changes", "kind", "status", "reason"),
    [
        pytest.param(snapshot(), {}, ConditionType.ACCEPTED, Truth.TRUE, Reason.ACCEPTED, id="accepted"),
        pytest.param(
            snapshot(workload=Missing(Reason.TARGET_NOT_FOUND)),
            {},
            ConditionType.READY,
            Truth.FALSE,
            Reason.TARGET_NOT_FOUND,
            id="without_a_target_not_ready",
        ),
        pytest.param(
            snapshot(),
            {"reason": Reason.BASELINE_UNKNOWN},
            ConditionType.ACCEPTED,
            Truth.FALSE,
            Reason.BASELINE_UNKNOWN,
            id="an_unknown_baseline_is_not_accepted",
        ),
        pytest.param(
            snapshot(observation=Missing(Reason.METRICS_UNREACHABLE)),
            {},
            ConditionType.METRICS_AVAILABLE,
            Truth.UNKNOWN,
            Reason.METRICS_UNREACHABLE,
            id="an_unreachable_server_says_nothing_of_the_data",
        ),
        pytest.param(
            snapshot(observation=window(slos={"fast": Attainment(900, 1200)})),
            {},
            ConditionType.SLO_MET,
            Truth.FALSE,
            Reason.SLO_BREACHED,
            id="a_missed_slo",
        ),
        pytest.param(
            snapshot(observation=window(slos={"fast": Attainment(9, 9)})),
            {},
            ConditionType.SLO_MET,
            Truth.UNKNOWN,
            Reason.TOO_FEW_EVENTS,
            id="nine_events_say_nothing",
        ),
        pytest.param(snapshot(spec(slos=())), {}, ConditionType.SLO_MET, Truth.TRUE, Reason.SLO_MET, id="no_slo"),
        pytest.param(
            snapshot(memory=ledger(halted=Reason.LAST_KNOWN_GOOD_FAILING)),
            {},
            ConditionType.READY,
            Truth.FALSE,
            Reason.LAST_KNOWN_GOOD_FAILING,
            id="halted_is_not_ready",
        ),
        pytest.param(
            snapshot(memory=ledger(breaker=Breaker(BreakerState.OPEN, until=at(60)))),
            {},
            ConditionType.DEGRADED,
            Truth.TRUE,
            Reason.BREAKER_OPEN,
            id="an_open_breaker",
        ),
        pytest.param(
            snapshot(memory=under_way(intent(IntentKind.ROLLBACK, counted=True))),
            {},
            ConditionType.DEGRADED,
            Truth.TRUE,
            Reason.ROLLING_BACK,
            id="a_rollback_of_what_did_harm",
        ),
        pytest.param(
            snapshot(memory=under_way(intent(IntentKind.ROLLBACK))),
            {},
            ConditionType.DEGRADED,
            Truth.FALSE,
            Reason.STABLE,
            id="a_rollback_of_what_did_none",
        ),
        pytest.param(
            snapshot(workload=workload(pod(waiting="CrashLoopBackOff"))),
            {},
            ConditionType.DEGRADED,
            Truth.TRUE,
            Reason.CRASH_LOOP,
            id="a_crash_loop",
        ),
        pytest.param(
            snapshot(workload=workload(rolling=True)),
            {},
            ConditionType.DEGRADED,
            Truth.FALSE,
            Reason.ROLLOUT_IN_PROGRESS,
            id="a_rollout_is_no_damage",
        ),
        pytest.param(
            snapshot(workload=workload(stuck=True)),
            {},
            ConditionType.DEGRADED,
            Truth.TRUE,
            Reason.ROLLOUT_IN_PROGRESS,
            id="a_stuck_rollout_is",
        ),
        pytest.param(
            snapshot(held=held(NOW, pool=Missing(Reason.OWNED_BY_OTHER, "helm"))),
            {},
            ConditionType.CONFLICT,
            Truth.TRUE,
            Reason.OWNED_BY_OTHER,
            id="an_owner",
        ),
        pytest.param(snapshot(), {}, ConditionType.CONFLICT, Truth.FALSE, Reason.NO_CONFLICT, id="no_owner"),
        pytest.param(
            snapshot(memory=under_way()),
            {},
            ConditionType.PROGRESSING,
            Truth.TRUE,
            Reason.NOTHING_BETTER,
            id="under_way",
        ),
    ],
)
def test_one_condition(
    seen: Snapshot, changes: dict[str, Any], kind: ConditionType, status: Truth, reason: Reason
) -> None:
    found = told(seen, **changes)[kind]
    assert (found.status, found.reason, found.observed_generation) == (status, reason, 1)


GOOD, BAD = Attainment(1188, 1200), Attainment(900, 1200)


@pytest.mark.parametrize(
    ("own", "newest", "status"),
    [
        pytest.param(BAD, GOOD, Truth.FALSE, id="missed_over_its_own_window_although_the_newest_is_good"),
        pytest.param(GOOD, BAD, Truth.TRUE, id="met_over_its_own_window_although_the_newest_is_bad"),
        pytest.param(GONE, GOOD, Truth.UNKNOWN, id="unknown_over_its_own_window"),
    ],
)
@pytest.mark.parametrize("moving", [False, True], ids=["at_rest", "in_a_trial"])
def test_an_slo_is_met_or_missed_over_its_own_window(
    own: Attainment | Missing, newest: Attainment, status: Truth, moving: bool
) -> None:
    memory = under_way(intent(applied_at=at(5))) if moving else ledger()
    seen = snapshot(memory=memory, observation=window(slos={"fast": newest}), slos={"fast": own})
    assert told(seen)[ConditionType.SLO_MET].status is status


def test_a_foreign_edit_is_a_conflict_on_the_very_wake_that_gives_way() -> None:
    theirs = setting(workers=6, pool=5)
    seen = snapshot(memory=under_way(intent(applied_at=at(5))), held=held(theirs), document=document(spec(), theirs, 2))
    found = told(seen, decide(seen, NO_WISH, at(10)))[ConditionType.CONFLICT]
    assert (found.status, found.reason, found.message) == (
        Truth.TRUE,
        Reason.FOREIGN_CHANGE,
        "left as others set them: pool",
    )


def taken_back() -> Ledger:
    """At rest after a trial in which somebody set pool again: left to them for 130 minutes."""
    ended = TrialSummary(
        "i-2",
        NOW,
        setting(workers=4, pool=6),
        TrialState.INCONCLUSIVE,
        Reason.FOREIGN_CHANGE,
        T0,
        T0,
        foreign=("pool",),
    )
    return ledger(trials=(ended,))


def test_what_others_set_again_is_named_beside_what_they_own_and_gives_the_reason() -> None:
    seen = snapshot(memory=taken_back(), held=held(NOW, workers=Missing(Reason.OWNED_BY_OTHER, "helm has it")))
    found = told(seen)[ConditionType.CONFLICT]
    assert (found.status, found.reason) == (Truth.TRUE, Reason.FOREIGN_CHANGE)
    again = f"others set again what was tuned, and it is left to them: pool until {at(130 * 60).isoformat()}"
    assert found.message == f"{again}; workers: helm has it"


def test_what_they_set_again_and_own_now_is_named_as_theirs_alone() -> None:
    seen = snapshot(memory=taken_back(), held=held(NOW, pool=Missing(Reason.OWNED_BY_OTHER, "helm has it")))
    found = told(seen)[ConditionType.CONFLICT]
    assert (found.reason, found.message) == (Reason.OWNED_BY_OTHER, "pool: helm has it")


def test_pods_that_never_acknowledge_a_rollback_degrade_it() -> None:
    seen = snapshot(memory=under_way(intent(IntentKind.ROLLBACK, applied_at=at(5))))
    found = told(seen, decide(seen, NO_WISH, at(185)))[ConditionType.DEGRADED]
    assert (found.status, found.reason) == (Truth.TRUE, Reason.NOT_ACKNOWLEDGED)
    assert found.message.endswith(": a")


def test_the_time_of_a_condition_is_that_of_its_last_turn() -> None:
    first = told(snapshot())
    decision = Decision(Action.HOLD, Reason.PAUSED, "other words", ledger(paused_until=at(60)))
    later = by_type(conditions(snapshot(observation=GONE), decision, LEARNING, first, at(60)))
    assert later[ConditionType.READY].since == T0, "unchanged in status"
    assert later[ConditionType.METRICS_AVAILABLE].since == at(60), "turned"


REPORT = ModelReport({}, 9, 0.1, 0.2)


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        pytest.param(REPORT, Truth.TRUE, Reason.MODEL_TRUSTED, id="better_than_its_baseline"),
        pytest.param(replace(REPORT, error=0.3), Truth.FALSE, Reason.MODEL_INACCURATE, id="worse"),
        pytest.param(replace(REPORT, error=GONE), Truth.UNKNOWN, Reason.LEARNING, id="nothing_came_due"),
        pytest.param(LEARNING, Truth.FALSE, Reason.LEARNING, id="no_model"),
    ],
)
def test_a_model_is_trusted_by_what_came_true(model: ModelReport | Missing, status: Truth, reason: Reason) -> None:
    assert trusted(model)[:2] == (status, reason)


def test_a_profile_that_cannot_be_used_says_so_everywhere() -> None:
    found = by_type(refused(3, Reason.INVALID_SPEC, "spec.knobs: say what", {}, T0))
    assert found[ConditionType.ACCEPTED].status is found[ConditionType.READY].status is Truth.FALSE
    assert found[ConditionType.SLO_MET].status is Truth.UNKNOWN
    assert {c.observed_generation for c in found.values()} == {3}


def test_a_wake_that_failed_changes_degraded_alone() -> None:
    before = told(snapshot())
    after = by_type(degraded(1, Reason.WRITE_FAILED, "x" * 2000, before, at(60)))
    assert (after[ConditionType.DEGRADED].reason, len(after[ConditionType.DEGRADED].message)) == (
        Reason.WRITE_FAILED,
        1000,
    )
    assert {k: c for k, c in after.items() if k is not ConditionType.DEGRADED} == {
        k: c for k, c in before.items() if k is not ConditionType.DEGRADED
    }


def test_a_way_back_that_is_refused_is_not_ready_either() -> None:
    after = by_type(degraded(1, Reason.RESTORE_PENDING, "quota", told(snapshot()), at(60)))
    assert (after[ConditionType.READY].status, after[ConditionType.READY].reason) == (
        Truth.FALSE,
        Reason.RESTORE_PENDING,
    )


def test_a_way_back_that_waits_for_room_in_a_budget_is_degraded() -> None:
    back = intent(IntentKind.ROLLBACK, reason=Reason.DEPLOYED)
    seen = snapshot(memory=under_way(back))
    waits = Decision(Action.CONTINUE, Reason.BUDGET_EXCEEDED, "postgres: 60 of 48 until pods are gone", seen.ledger)
    found = told(seen, waits)[ConditionType.DEGRADED]
    assert (found.status, found.reason) == (Truth.TRUE, Reason.BUDGET_EXCEEDED)
    refused_wish = Decision(Action.HOLD, Reason.BUDGET_EXCEEDED, "a wish", ledger())
    assert told(snapshot(), refused_wish)[ConditionType.DEGRADED].status is Truth.FALSE
