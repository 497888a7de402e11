"""Slots: what holds one, what waits for one, and what never waits."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import change_per_hour
from pegbox.core.slots import Entry, Flight, SlotLimits, entries, flight, limited, refusal, too_much
from pegbox.model.knobs import Knob, Location, LocationKind, SearchSpace
from pegbox.model.reasons import Reason
from pegbox.model.trials import Amount, Amounts, Intent, IntentKind, TrialState, TrialSummary
from tests.unit.core.build import ENV, HOT, HPA, T0, at, intent, ledger, setting, under_way

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

LOW = Knob("min_replicas", location=Location(LocationKind.HPA_MIN), minimum=F(1), maximum=F(9))
REPLICAS = Knob("replicas", location=Location(LocationKind.REPLICAS), minimum=F(1), maximum=F(9))
SCALED = SearchSpace((HOT, HPA, LOW, REPLICAS))


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
    assert change_per_hour.pods(SCALED, setting(**parent), setting(**target)).added == Amount(pods)


@pytest.mark.parametrize(
    ("parent", "target", "pods"),
    [
        pytest.param({"max_replicas": 6}, {"max_replicas": 4}, 2, id="a_lowered_maximum"),
        pytest.param({"replicas": 5}, {"replicas": 2}, 3, id="lowered_replicas"),
        pytest.param({"min_replicas": 4}, {"min_replicas": 1}, 3, id="a_lowered_minimum"),
        pytest.param({"max_replicas": 4}, {"max_replicas": 6}, 0, id="a_raised_maximum"),
        # 10 pods become 7, or 4 become 2: never both
        pytest.param(
            {"min_replicas": 4, "max_replicas": 10},
            {"min_replicas": 2, "max_replicas": 7},
            3,
            id="both_bounds_the_larger_cut_and_not_the_sum",
        ),
        pytest.param(
            {"min_replicas": 6, "max_replicas": 8},
            {"min_replicas": 1, "max_replicas": 7},
            5,
            id="both_bounds_the_minimum_by_more",
        ),
        pytest.param(
            {"min_replicas": 2, "max_replicas": 6},
            {"min_replicas": 3, "max_replicas": 4},
            2,
            id="a_raised_minimum_sets_nothing_off",
        ),
        pytest.param({"workers": 9}, {"workers": 2}, 0, id="workers_are_no_pods"),
        pytest.param({"max_replicas": 6}, {}, 0, id="a_knob_that_the_target_lacks"),
    ],
)
def test_how_many_pods_a_trial_may_take_away(parent: dict[str, int], target: dict[str, int], pods: int) -> None:
    assert change_per_hour.pods(SCALED, setting(**parent), setting(**target)).removed == Amount(pods)


@pytest.mark.parametrize("bounds", [(4, 10, 2, 7), (6, 8, 1, 7), (2, 6, 3, 4), (5, 5, 2, 2), (4, 9, 1, 3)])
def test_an_hpa_that_wants_any_number_of_pods_never_takes_more_away_than_is_counted(
    bounds: tuple[int, int, int, int],
) -> None:
    """Whatever it wants, it keeps to its bounds: those of before against those of after."""
    low, high, lower, less = bounds
    parent, target = (
        setting(min_replicas=low, max_replicas=high),
        setting(min_replicas=lower, max_replicas=less),
    )
    worst = max(min(max(wanted, low), high) - min(max(wanted, lower), less) for wanted in range(20))
    assert change_per_hour.pods(SCALED, parent, target).removed.pods == worst


def test_trials_of_the_past_count_whatever_came_of_them_and_so_does_the_one_under_way() -> None:
    low, high = setting(max_replicas=4), setting(max_replicas=6)
    ended = [
        TrialSummary("t", high, low, state, Reason.DEPLOYED, at(-60), T0)
        for state in (TrialState.ACCEPTED, TrialState.REVERTED)
    ]
    memory = replace(under_way(intent(parent=low, stages=(high,))), trials=tuple(ended))
    two, item = Amounts(Amount(2)), memory.intent
    assert item is not None
    assert entries(memory, SCALED) == (Entry("t", at(-60), two), Entry("t", at(-60), two), Entry(item.id, T0, two))


def test_what_was_recorded_is_believed_whatever_became_of_the_knobs() -> None:
    recorded = Amounts(Amount(1, 700, 2**30), Amount(2, 80, 0))
    few = Amounts(Amount(0, 250, 0), Amount(0, 0, 99))
    ended = TrialSummary("t", setting(), setting(), TrialState.ACCEPTED, Reason.DEPLOYED, at(-60), T0)
    ended = replace(ended, added=recorded.added, removed=recorded.removed)
    memory = replace(under_way(intent(added=few.added, removed=few.removed)), trials=(ended,))
    item = memory.intent
    assert item is not None
    for space in (None, SCALED):
        assert entries(memory, space) == (Entry("t", at(-60), recorded), Entry(item.id, T0, few))


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.RESTORE])
@pytest.mark.parametrize(("low", "high"), [(2, 9), (9, 2)], ids=["raises", "lowers"])
def test_a_way_back_changes_nothing_however_much_it_moves(kind: IntentKind, low: int, high: int) -> None:
    back = intent(kind, parent=setting(max_replicas=low), stages=(setting(max_replicas=high),))
    assert entries(under_way(back), SCALED) == ()


def test_of_a_release_that_recorded_only_what_it_added_pods_that_went_are_told_by_the_settings() -> None:
    low, high = setting(max_replicas=4), setting(max_replicas=7)
    ended = TrialSummary("t", low, high, TrialState.ACCEPTED, Reason.DEPLOYED, at(-60), T0, added=Amount(0, 5, 0))
    memory = ledger(trials=(ended,))
    assert entries(memory, SCALED) == (Entry("t", at(-60), Amounts(Amount(0, 5, 0), Amount(3))),)
    assert entries(memory, None) == (Entry("t", at(-60), Amounts(Amount(0, 5, 0))),)  # its knobs are not known yet


@pytest.mark.parametrize(
    ("earlier", "wanted", "limit", "waits"),
    [
        pytest.param([-60], 2, 4, False, id="two_beside_two_of_four"),
        pytest.param([-60], 3, 4, True, id="three_beside_two_of_four"),
        pytest.param([-3600], 4, 4, False, id="what_is_an_hour_old_is_forgotten"),
        pytest.param([-3599], 4, 4, True, id="a_second_before_it_is_not"),
        pytest.param([60], 3, 4, True, id="a_clock_that_was_set_back_forgets_nothing"),
        pytest.param([-60] * 9, 9, 0, False, id="0_is_no_limit"),
        pytest.param([-60] * 9, 0, 1, False, id="what_changes_none_never_waits"),
    ],
)
def test_how_much_may_be_changed_in_an_hour(earlier: list[int], wanted: int, limit: int, waits: bool) -> None:
    for way in (Amounts, _less):
        known = [Entry("t", at(s), way(Amount(2))) for s in earlier]
        limits = SlotLimits(0, 0, way(Amount(limit)))
        assert (too_much(known, way(Amount(wanted)), limits, T0) is not None) == waits, way


def _less(amount: Amount) -> Amounts:
    return Amounts(removed=amount)


@pytest.mark.parametrize(
    ("limit", "wanted", "detail"),
    [
        pytest.param(
            Amount(9, 2000, 0),
            Amount(0, 600, 0),
            "maxCpu{}PerHour is 2, 1500m were {} and 600m more are wanted",
            id="cores_add_up_over_all_profiles",
        ),
        pytest.param(Amount(9, 2000, 0), Amount(0, 500, 2**40), "", id="each_limit_is_of_its_own"),
        pytest.param(
            Amount(0, 0, 3 * 2**30),
            Amount(0, 0, 1),
            "maxMemory{}PerHour is 3Gi, 3Gi were {} and 1 more are wanted",
            id="a_byte_too_many",
        ),
        pytest.param(Amount(2, 0, 0), Amount(0, 9000, 2**40), "", id="what_is_not_limited_is_not_asked"),
    ],
)
def test_requests_that_an_hour_may_change(limit: Amount, wanted: Amount, detail: str) -> None:
    earlier = [(-60, Amount(0, 900, 2**31)), (-3599, Amount(0, 600, 2**30)), (-3600, Amount(9, 9000, 2**40))]
    for way, words in ((Amounts, ("Added", "added")), (_less, ("Removed", "removed"))):
        known = [Entry(str(s), at(s), way(amount)) for s, amount in earlier]
        found = too_much(known, way(wanted), SlotLimits(0, 0, way(limit)), T0)
        assert (found.detail if found is not None else "") == detail.format(*words)


def test_what_is_added_and_what_is_taken_away_count_apart() -> None:
    limits = SlotLimits(0, 0, Amounts(added=Amount(cpu=2000), removed=Amount(cpu=1000)))
    known = [Entry("t", at(-60), Amounts(added=Amount(cpu=1500), removed=Amount(cpu=400)))]
    assert too_much(known, Amounts(added=Amount(cpu=500)), limits, T0) is None
    assert too_much(known, Amounts(removed=Amount(cpu=600)), limits, T0) is None
    raises_and_lowers = Amounts(added=Amount(cpu=500), removed=Amount(cpu=601))
    found = too_much(known, raises_and_lowers, limits, T0)
    assert found is not None
    assert found.detail == "maxCpuRemovedPerHour is 1, 400m were removed and 601m more are wanted"


@pytest.mark.parametrize(
    ("wanted", "limits", "expected"),
    [
        pytest.param(Amounts(Amount(1)), Amounts(Amount(9)), True, id="added_and_limited"),
        pytest.param(Amounts(Amount(1)), _less(Amount(9)), False, id="added_where_only_removals_are_limited"),
        pytest.param(_less(Amount(1)), _less(Amount(9)), True, id="removed_and_limited"),
        pytest.param(_less(Amount(cpu=1)), _less(Amount(9)), False, id="cpu_where_only_pods_are_limited"),
    ],
)
def test_what_comes_under_a_limit(wanted: Amounts, limits: Amounts, expected: bool) -> None:
    assert limited(wanted, SlotLimits(0, 0, limits)) == expected
