"""Slots: what holds one, what waits for one, and what never waits."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import added
from pegbox.core.slots import Flight, Growth, SlotLimits, flight, growths, refusal, too_much
from pegbox.model.knobs import Knob, Location, LocationKind, SearchSpace
from pegbox.model.reasons import Reason
from pegbox.model.trials import Added, Intent, IntentKind, TrialState, TrialSummary
from tests.unit.core.build import ENV, HOT, HPA, T0, at, intent, setting, under_way

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


# --- replicas per hour

SCALED = SearchSpace((HOT, HPA, Knob("replicas", location=Location(LocationKind.REPLICAS), minimum=F(1), maximum=F(9))))


@pytest.mark.parametrize(
    ("parent", "target", "pods"),
    [
        pytest.param({"max_replicas": 4}, {"max_replicas": 6}, 2, id="a_raised_maximum"),
        pytest.param({"replicas": 2}, {"replicas": 5}, 3, id="raised_replicas"),
        pytest.param({"max_replicas": 6}, {"max_replicas": 4}, 0, id="a_lowered_maximum"),
        pytest.param(
            {"max_replicas": 4, "replicas": 5}, {"max_replicas": 6, "replicas": 3}, 2, id="nothing_is_set_off"
        ),
        pytest.param({"workers": 2}, {"workers": 9}, 0, id="workers_are_no_pods"),
        pytest.param({}, {"max_replicas": 6}, 0, id="a_knob_that_the_parent_lacks"),
    ],
)
def test_how_many_pods_a_trial_may_add(parent: dict[str, int], target: dict[str, int], pods: int) -> None:
    assert added.pods(SCALED, setting(**parent), setting(**target)) == pods


def test_trials_of_the_past_count_whatever_came_of_them_and_so_does_the_one_under_way() -> None:
    low, high = setting(max_replicas=4), setting(max_replicas=6)
    ended = [
        TrialSummary("t", high, low, state, Reason.DEPLOYED, at(-60), T0)
        for state in (TrialState.ACCEPTED, TrialState.REVERTED)
    ]
    memory = replace(under_way(intent(parent=low, stages=(high,))), trials=tuple(ended))
    two, item = Added(2), memory.intent
    assert item is not None
    assert growths(memory, SCALED) == (Growth("t", at(-60), two), Growth("t", at(-60), two), Growth(item.id, T0, two))


def test_what_was_recorded_is_believed_whatever_became_of_the_knobs() -> None:
    recorded = Added(1, 700, 2**30)
    ended = TrialSummary("t", setting(), setting(), TrialState.ACCEPTED, Reason.DEPLOYED, at(-60), T0, added=recorded)
    memory = replace(under_way(intent(added=Added(0, 250, 0))), trials=(ended,))
    item = memory.intent
    assert item is not None
    for space in (None, SCALED):
        assert growths(memory, space) == (Growth("t", at(-60), recorded), Growth(item.id, T0, Added(0, 250, 0)))


def test_a_way_back_adds_nothing_however_much_it_raises() -> None:
    back = intent(IntentKind.ROLLBACK, parent=setting(max_replicas=2), stages=(setting(max_replicas=9),))
    assert growths(under_way(back), SCALED) == ()


@pytest.mark.parametrize(
    ("earlier", "wanted", "limit", "waits"),
    [
        pytest.param([-60], 2, 4, False, id="two_beside_two_of_four"),
        pytest.param([-60], 3, 4, True, id="three_beside_two_of_four"),
        pytest.param([-3600], 4, 4, False, id="what_is_an_hour_old_is_forgotten"),
        pytest.param([-3599], 4, 4, True, id="a_second_before_it_is_not"),
        pytest.param([60], 3, 4, True, id="a_clock_that_was_set_back_forgets_nothing"),
        pytest.param([-60] * 9, 9, 0, False, id="0_is_no_limit"),
        pytest.param([-60] * 9, 0, 1, False, id="what_adds_none_never_waits"),
    ],
)
def test_how_much_may_be_added_in_an_hour(earlier: list[int], wanted: int, limit: int, waits: bool) -> None:
    known = [Growth("t", at(s), Added(2)) for s in earlier]
    assert (too_much(known, Added(wanted), SlotLimits(0, 0, Added(limit)), T0) is not None) == waits


@pytest.mark.parametrize(
    ("limit", "wanted", "detail"),
    [
        pytest.param(
            Added(9, 2000, 0),
            Added(0, 600, 0),
            "maxCpuAddedPerHour is 2, 1500m were added and 600m more are wanted",
            id="cores_add_up_over_all_profiles",
        ),
        pytest.param(Added(9, 2000, 0), Added(0, 500, 2**40), "", id="each_limit_is_of_its_own"),
        pytest.param(
            Added(0, 0, 3 * 2**30),
            Added(0, 0, 1),
            "maxMemoryAddedPerHour is 3Gi, 3Gi were added and 1 more are wanted",
            id="a_byte_too_many",
        ),
        pytest.param(Added(2, 0, 0), Added(0, 9000, 2**40), "", id="what_is_not_limited_is_not_asked"),
    ],
)
def test_requests_that_an_hour_may_add(limit: Added, wanted: Added, detail: str) -> None:
    known = [Growth("a", at(-60), Added(0, 900, 2**31)), Growth("b", at(-3599), Added(0, 600, 2**30))]
    found = too_much([*known, Growth("old", at(-3600), Added(9, 9000, 2**40))], wanted, SlotLimits(0, 0, limit), T0)
    assert (found.detail if found is not None else "") == detail
