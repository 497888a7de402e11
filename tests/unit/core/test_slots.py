"""Slots: what holds one, what waits for one, and what never waits."""

from __future__ import annotations

import pytest

from pegbox.core.slots import Flight, SlotLimits, flight, refusal
from pegbox.model.knobs import SearchSpace
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, IntentKind, TrialState
from tests.unit.core.build import ENV, HOT, intent, setting

SPACE = SearchSpace((HOT, ENV))
COLD = {"parent": setting(workers=4, threads=2), "stages": (setting(workers=4, threads=3),)}
TRIAL, RESTART = Flight(trial=True), Flight(trial=True, restarts=True)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(None, Flight(), id="nothing_under_way_holds_nothing"),
        pytest.param(intent(), TRIAL, id="a_hot_trial_holds_a_trial"),
        pytest.param(intent(**COLD), RESTART, id="a_trial_that_restarts_holds_both"),
        pytest.param(
            intent(IntentKind.ROLLBACK, state=TrialState.REVERTED, **COLD), RESTART, id="its_way_back_holds_both_still"
        ),
        pytest.param(intent(IntentKind.ROLLBACK), Flight(), id="a_rollback_of_no_trial_holds_nothing"),
        pytest.param(intent(IntentKind.RESTORE, **COLD), Flight(restarts=True), id="a_restore_that_restarts_counts"),
        pytest.param(intent(IntentKind.ADOPT, **COLD), Flight(restarts=True), id="a_pin_that_restarts_counts"),
        pytest.param(
            intent(parent=setting(workers=4), stages=(setting(workers=4),)), TRIAL, id="what_moves_nothing_restarts_not"
        ),
    ],
)
def test_what_an_intent_takes_up(item: Intent | None, expected: Flight) -> None:
    assert flight(item, SPACE) == expected


def test_while_the_knobs_are_not_known_an_intent_counts_as_a_restart() -> None:
    assert flight(intent(), None) == RESTART


@pytest.mark.parametrize(
    ("others", "wanted", "limits", "waits"),
    [
        pytest.param([TRIAL], TRIAL, SlotLimits(2, 1), "", id="one_of_two"),
        pytest.param([TRIAL, TRIAL], TRIAL, SlotLimits(2, 1), "maxConcurrentTrials is 2", id="two_of_two"),
        pytest.param([TRIAL] * 99, TRIAL, SlotLimits(0, 1), "", id="0_is_no_limit"),
        pytest.param([RESTART], TRIAL, SlotLimits(2, 1), "", id="a_hot_trial_beside_a_restart"),
        pytest.param([RESTART], RESTART, SlotLimits(2, 1), "maxConcurrentRestarts is 1", id="two_restarts"),
        pytest.param([RESTART] * 9, RESTART, SlotLimits(0, 0), "", id="no_limit_of_restarts_either"),
        pytest.param([Flight(restarts=True)], TRIAL, SlotLimits(1, 1), "", id="a_restore_takes_no_trials_slot"),
        pytest.param([TRIAL] * 9, Flight(restarts=True), SlotLimits(1, 1), "", id="a_pin_waits_for_no_trials_slot"),
    ],
)
def test_who_waits(others: list[Flight], wanted: Flight, limits: SlotLimits, waits: str) -> None:
    found = refusal({str(n): each for n, each in enumerate(others)}, wanted, limits)
    assert (found.detail if found is not None else "") == waits
    assert found is None or found.reason is Reason.WAITING_FOR_SLOT
