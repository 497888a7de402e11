"""Which pods go first, what each side runs in each stage, and what that uses of a budget."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import cohorts, force, room, usage
from pegbox.core.cohorts import Standing
from pegbox.core.transitions import Begin, Ending, begin, next_stage, turn_back, yield_to
from pegbox.model.knobs import Effect, Location, LocationKind, Setting, values_hash
from pegbox.model.profile import BudgetSpec, Canary
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import TRIAL
from pegbox.model.snapshot import Acknowledgement, Document, Listed, PodFacts, Snapshot, Workload
from pegbox.model.trials import Cohort, Intent, IntentKind, TrialState
from tests.unit.core.build import (
    ENV,
    HOT,
    HPA,
    POOL,
    T0,
    UID,
    at,
    intent,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    workload,
)

PARENT, TARGET = setting(workers=8, pool=4), setting(workers=4, pool=8)
BETWEEN = setting(workers=4, pool=4)
PROFILE = spec(budgets=(BudgetSpec("db", "pods * workers * pool", limit=F(160)),))


def pods(count: int, **changes: Any) -> Workload:
    return workload(*(pod(f"p{n:02}" if count <= 100 else f"p{n:03}", **changes) for n in range(count)))


def first_pods(seen: Snapshot, workload: Workload, parent: Setting, target: Setting) -> tuple[str, ...]:
    found = cohorts.chosen(seen, workload, parent, target)
    return () if found is None else found.pods


@pytest.mark.parametrize(
    ("ready", "canary", "count"),
    [
        pytest.param(3, Canary(), 0, id="three_pods_are_too_few"),
        pytest.param(4, Canary(), 1, id="a_fifth_of_four_is_one_at_least"),
        pytest.param(9, Canary(), 1, id="a_fifth_of_nine_is_rounded_down"),
        pytest.param(10, Canary(), 2, id="a_fifth_of_ten_is_two"),
        pytest.param(400, Canary(), 50, id="fifty_at_the_most"),
        pytest.param(10, Canary(F(1, 2)), 5, id="half_of_ten"),
        pytest.param(10, Canary(F(0)), 0, id="no_share_is_no_canary"),
        pytest.param(10, Canary(min_pods=11), 0, id="fewer_than_minPods"),
    ],
)
def test_how_many_pods_go_first(ready: int, canary: Canary, count: int) -> None:
    profile = replace(PROFILE, canary=canary)
    found = first_pods(snapshot(profile), pods(ready), PARENT, TARGET)
    assert found == tuple(p.name for p in pods(ready).pods[:count])


@pytest.mark.parametrize(
    ("items", "first"),
    [
        pytest.param([pod("d"), pod("b"), pod("c"), pod("a")], ("a",), id="by_name_whatever_the_order"),
        pytest.param([pod("a", ready=False), *map(pod, "bcde")], ("b",), id="not_one_that_is_not_ready"),
        pytest.param([pod("a", terminating=True), *map(pod, "bcde")], ("b",), id="not_one_that_goes"),
        pytest.param([pod("a", finished=True), *map(pod, "bcde")], ("b",), id="not_one_that_has_finished"),
        pytest.param([pod("a", ready=False), *map(pod, "bcd")], (), id="only_ready_pods_count"),
    ],
)
def test_which_pods_go_first(items: list[PodFacts], first: tuple[str, ...]) -> None:
    assert first_pods(snapshot(PROFILE), workload(*items), PARENT, TARGET) == first


def test_only_hot_knobs_of_the_settings_document_have_a_canary() -> None:
    warm = replace(POOL, effect=Effect.RESTART)
    theirs = replace(POOL, location=Location(LocationKind.CONFIG_MAP_KEY, "app", "POOL"))
    for other in (ENV, HPA, warm, theirs):
        profile = spec(HOT, other, budgets=())
        before, after = setting(workers=4, **{other.name: 4}), setting(workers=5, **{other.name: 5})
        seen = snapshot(profile, ledger(before))
        assert first_pods(seen, pods(5), before, after) == ()
        assert first_pods(seen, pods(5), before, after.with_values(**{other.name: F(4)})) == ("p00",)


def test_an_application_that_never_reported_has_no_canary() -> None:
    quiet = snapshot(PROFILE, ledger(PARENT, reporting=False))
    assert first_pods(quiet, pods(5), PARENT, TARGET) == ()


def test_the_cohort_goes_all_the_way_and_then_the_rest_follows() -> None:
    stages, cohort = cohorts.first(PROFILE, PARENT, TARGET, cohorts.Standing(("a",), PARENT))
    assert stages == (PARENT, PARENT, BETWEEN, TARGET)
    assert cohort == Cohort(("a",), PARENT, (BETWEEN, TARGET, TARGET, TARGET))
    item = intent(parent=PARENT, stages=stages, cohort=cohort)
    told = [replace(item, stage=n) for n in range(4)]
    assert [i.split for i in told] == [True, True, True, False]
    assert [i.canary for i in told] == [True, True, False, False]
    assert [i.compared for i in told] == [False, True, False, False]
    assert [cohorts.listed(PROFILE, i) for i in told] == [
        {TRIAL: Listed(("a",), {"workers": "4"})},
        {TRIAL: Listed(("a",), {"workers": "4", "pool": "8"})},
        {TRIAL: Listed(("a",), {"pool": "8"})},
        {},
    ]


@pytest.mark.parametrize(
    ("stage", "rest", "cohort"),
    [
        # the rest never left: only the cohort's values change, pool down first
        pytest.param(0, (PARENT,), (PARENT,), id="from_in_between"),
        pytest.param(1, (PARENT, PARENT), (BETWEEN, PARENT), id="from_the_canary"),
        pytest.param(2, (BETWEEN, PARENT), (BETWEEN, PARENT), id="from_the_widening"),
    ],
)
def test_back_each_side_goes_its_own_way(stage: int, rest: tuple[Setting, ...], cohort: tuple[Setting, ...]) -> None:
    ways, first = cohorts.first(PROFILE, PARENT, TARGET, cohorts.Standing(("a",), PARENT))
    item = intent(parent=PARENT, stages=ways, cohort=first, stage=stage)
    after = turn_back(PROFILE, under_way(item), item, Ending(TrialState.REVERTED, Reason.REGRESSION, T0)).intent
    assert after is not None and after.cohort is not None
    assert (after.stages, after.cohort.stages) == (rest, cohort)
    assert after.cohort.parent == item.in_cohort
    assert not replace(after, stage=len(rest) - 1).split


def test_from_the_last_stage_everybody_goes_back_together() -> None:
    ways, first = cohorts.first(PROFILE, PARENT, TARGET, cohorts.Standing(("a",), PARENT))
    item = intent(parent=PARENT, stages=ways, cohort=first, stage=3)
    after = turn_back(PROFILE, under_way(item), item, Ending(TrialState.REVERTED, Reason.REGRESSION, T0)).intent
    assert after is not None and after.cohort is None
    assert after.stages == (BETWEEN, PARENT)


def test_a_bound_of_pods_has_no_cohort() -> None:
    """On the way back from a canary an HPA's maximum may move, too: for everybody, and not before what is lowered."""
    profile = spec(HOT, HPA, budgets=(BudgetSpec("db", "pods * workers", limit=F(40)),))
    here, goal = setting(workers=4, max_replicas=6), setting(workers=4, max_replicas=8)
    stages, cohort = cohorts.together(profile, here, goal, Standing(("a",), here.with_values(workers=F(6))))
    assert stages == (here, goal)
    assert cohort.stages == (here, goal)


def test_a_foreign_edit_in_a_way_back_holds_for_the_cohort_too() -> None:
    stages, cohort = cohorts.together(PROFILE, PARENT, PARENT, Standing(("a",), TARGET))
    item = intent(IntentKind.ROLLBACK, parent=PARENT, stages=stages, cohort=cohort)
    after = yield_to(PROFILE, under_way(item), item, {"pool": F(3)}).intent
    assert after is not None and after.cohort is not None
    assert [s["pool"] for s in (*after.stages, *after.cohort.stages)] == [3, 3, 3, 3]
    assert after.cohort.parent == TARGET  # what its pods run until they hear of it


def test_a_bound_that_others_raise_in_a_way_back_is_theirs_for_the_cohort_too() -> None:
    """Else what was raised by them would count as a raise of ours that has no room (schedule 5282)."""
    profile = spec(HOT, HPA, budgets=())
    here = setting(workers=4, max_replicas=4)
    stages, cohort = cohorts.together(profile, here, here, Standing(("a",), here.with_values(workers=F(3))))
    item = intent(IntentKind.ROLLBACK, parent=here, stages=stages, cohort=cohort)
    after = yield_to(profile, under_way(item), item, {"max_replicas": F(5)}).intent
    assert after is not None and after.cohort is not None
    assert after.cohort.parent == setting(workers=3, max_replicas=5)


def test_in_force_each_pod_has_acknowledged_what_it_is_to_run() -> None:
    stages, cohort = cohorts.first(PROFILE, PARENT, TARGET, cohorts.Standing(("p00",), PARENT))
    item = intent(parent=PARENT, stages=stages, cohort=cohort, stage=1, applied_at=T0)

    def says(name: str, runs: Setting) -> PodFacts:
        hashed = values_hash(force.document_values(PROFILE.space, runs))
        return pod(name, ack=Acknowledgement(UID, item.generation, hashed))

    good = workload(says("p00", TARGET), says("p01", PARENT))
    assert force.in_force(PROFILE, under_way(item), item, good, at(1)).reached
    for bad in (workload(says("p00", PARENT), says("p01", PARENT)), workload(says("p00", TARGET), says("p01", TARGET))):
        assert not force.in_force(PROFILE, under_way(item), item, bad, at(1)).reached


@pytest.mark.parametrize(
    ("ack", "label"),
    [
        pytest.param((UID, 3, {"workers": "9"}), TRIAL, id="runs_the_cohorts_values"),
        pytest.param((UID, 3, {"workers": "8"}), "", id="ignores_cohorts"),
        pytest.param((UID, 2, {"workers": "9"}), "", id="another_generation"),
        pytest.param(("other", 3, {"workers": "9"}), "", id="another_profile"),
        pytest.param(None, "", id="says_nothing"),
    ],
)
def test_the_label_of_a_pod_follows_what_it_says(ack: tuple[str, int, dict[str, str]] | None, label: str) -> None:
    values = {"workers": "8"}
    document = Document(3, values_hash(values), values, UID, cohorts={TRIAL: Listed(("a",), {"workers": "9"})})
    said = None if ack is None else Acknowledgement(ack[0], ack[1], values_hash(ack[2]))
    assert cohorts.cohort_of(document, UID, pod("a", ack=said)) == label
    assert cohorts.cohort_of(document, UID, pod("b", ack=said)) == ""


@pytest.mark.parametrize(
    ("name", "ack", "unread"),
    [
        pytest.param("a", (UID, 3, {"workers": "9"}), False, id="of_the_cohort_with_its_values"),
        pytest.param("a", (UID, 3, {"workers": "8"}), True, id="of_the_cohort_with_those_of_the_rest"),
        pytest.param("b", (UID, 3, {"workers": "8"}), False, id="of_the_rest"),
        pytest.param("b", (UID, 2, {"workers": "8"}), True, id="of_the_document_before"),
        pytest.param("b", (UID, 3, {"workers": "7"}), True, id="of_an_edit_under_the_same_number"),
        pytest.param("b", ("other", 2, {"workers": "7"}), False, id="of_another_profile"),
        pytest.param("b", None, False, id="that_says_nothing"),
    ],
)
def test_a_pod_that_says_something_else_than_what_stands_has_not_read_it(
    name: str, ack: tuple[str, int, dict[str, str]] | None, unread: bool
) -> None:
    values = {"workers": "8"}
    document = Document(3, values_hash(values), values, UID, cohorts={TRIAL: Listed(("a",), {"workers": "9"})})
    said = None if ack is None else Acknowledgement(ack[0], ack[1], values_hash(ack[2]))
    assert cohorts.unread(document, UID, workload(pod(name, ack=said))) is unread
    assert not cohorts.unread(replace(document, profile_uid="other"), UID, workload(pod(name, ack=said)))


# --- budgets


def test_a_mixture_uses_the_sum_over_its_cohorts() -> None:
    """Of 5 pods 2 run 6 x 4 = 24 and 3 run 4 x 4 = 16 connections: 48 + 48 = 96 of 160."""
    seen = snapshot(PROFILE, ledger(setting(workers=4, pool=4)))
    (use,) = usage.split_uses(seen, pods(5), setting(workers=4, pool=4), setting(workers=6, pool=4), 2)
    assert isinstance(use, usage.Use)
    assert (use.used, use.limit) == (96, 160)


def test_silent_pods_of_a_canary_count_at_the_largest_of_what_any_side_runs() -> None:
    """4 pods, 1 of them the canary's at 8 x 8 = 64, the rest at 4 x 4 = 16, back to 4 x 4; two are silent.

    They may run 64 each: 128, and 32 of the others. With a limit of 160 it goes on, with 159 it waits.
    """
    small, large = setting(workers=4, pool=4), setting(workers=8, pool=8)
    cohort = Cohort(("p00",), large, (small, small))
    item = intent(IntentKind.ROLLBACK, parent=small, stages=(small, small), cohort=cohort, applied_at=T0)
    for limit, goes_on in ((160, True), (159, False)):
        profile = replace(PROFILE, budgets=(BudgetSpec("db", "pods * workers * pool", limit=F(limit)),))
        seen = snapshot(profile, under_way(item))
        assert room.beside_silent(seen, pods(4), item, 2) is goes_on


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.RESTORE])
def test_a_cohort_is_not_raised_while_a_surge_leaves_no_room(kind: IntentKind) -> None:
    """4 pods of 4 x 4 = 64 of 64, 1 of them lowered to 2 x 4 by the canary. A deploy's fifth pod uses it up: 8 + 64."""
    parent, low = setting(workers=4, pool=4), setting(workers=2, pool=4)
    profile = spec(
        HOT, POOL, replace(HPA, maximum=F(4)), budgets=(BudgetSpec("db", "pods * workers * pool", limit=F(64)),)
    )
    here, there = (Setting({**s, "max_replicas": F(4)}) for s in (parent, low))
    stages, cohort = cohorts.together(profile, here, here, Standing(("p00",), there))
    item = intent(kind, parent=here, stages=stages, cohort=cohort)
    seen = snapshot(profile, under_way(item))
    assert "80 of 64" in room.crowded(seen, pods(5), item)
    assert room.crowded(seen, pods(4), item) == ""
    assert room.crowded(replace(seen, deleting=True), pods(5), item) == "", "a deletion promises the originals"
    assert room.crowded(seen, pods(5), replace(item, kind=IntentKind.TRIAL)) == "", "a trial is refused, not held up"


def test_a_trial_that_begins_records_its_cohort_and_the_next_stage_keeps_it() -> None:
    item = Begin(IntentKind.TRIAL, TARGET, Reason.TRIAL_STARTED, T0, cohort=Standing(("a",), PARENT))
    first = begin(PROFILE, ledger(PARENT), PARENT, item)
    assert first.intent is not None and first.intent.cohort is not None
    assert set(first.intent.settings) == {PARENT, BETWEEN, TARGET}
    second = next_stage(first, first.intent).intent
    assert second is not None
    assert (second.stage, second.cohort, second.generation) == (1, first.intent.cohort, first.intent.generation + 1)


def test_an_intent_without_a_cohort_is_as_before() -> None:
    item: Intent = intent()
    assert (item.in_cohort, item.split, item.canary, item.compared) == (item.current, False, False, False)
