"""Cohorts that admission makes: how many pods, who is one of them, and who is replaced."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import cohorts, force, pod_env
from pegbox.core.cohorts import Standing
from pegbox.core.transitions import Ending, next_stage, plainly, turn_back
from pegbox.model.knobs import Effect, Knob, KnobValue, Location, LocationKind, Setting
from pegbox.model.profile import BudgetSpec, Canary
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import TRIAL
from pegbox.model.snapshot import Held, PodFacts, Workload
from pegbox.model.trials import Cohort, Intent, TrialState
from tests.unit.core.build import (
    ENV,
    HOT,
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

LANES = Knob("lanes", location=Location(LocationKind.POD_ENV), effect=Effect.RESTART, minimum=F(1), maximum=F(64))
PROFILE = spec(HOT, LANES, budgets=(BudgetSpec("db", "pods * workers * lanes", limit=F(10**6)),))
PARENT, TARGET = setting(workers=4, lanes=2), setting(workers=4, lanes=3)
BOTH = setting(workers=6, lanes=3)


def made(name: str, lanes: int | None = 2, **changes: Any) -> PodFacts:
    admitted: dict[str, KnobValue] = {} if lanes is None else {"lanes": F(lanes)}
    return pod(name, admitted=admitted, **changes)


def pods(*lanes: int) -> Workload:
    return workload(*(made(f"p{n}", value) for n, value in enumerate(lanes)))


def begun(target: Setting = TARGET, size: int = 1, **changes: Any) -> Intent:
    stages, cohort = cohorts.first(PROFILE, PARENT, target, Standing((), PARENT, size))
    return intent(parent=PARENT, stages=stages, cohort=cohort, **changes)


def closed(item: Intent, found: Workload) -> Intent:
    named = cohorts.named(PROFILE.space, item, found)
    following = next_stage(ledger(PARENT), named).intent
    assert following is not None
    return following


@pytest.mark.parametrize(
    ("count", "canary", "size"),
    [
        pytest.param(3, Canary(), 0, id="three_pods_are_too_few"),
        pytest.param(5, Canary(), 1, id="a_fifth_of_five"),
        pytest.param(10, Canary(F(1, 2)), 5, id="half_of_ten"),
        pytest.param(400, Canary(), 50, id="fifty_at_the_most"),
        pytest.param(10, Canary(F(0)), 0, id="no_share_is_no_canary"),
    ],
)
def test_how_many_pods_are_made(count: int, canary: Canary, size: int) -> None:
    profile = replace(PROFILE, canary=canary)
    found = cohorts.chosen(snapshot(profile, ledger(PARENT)), pods(*[2] * count), PARENT, TARGET)
    assert found == (Standing((), PARENT, size) if size else None)


def test_pods_that_say_nothing_are_told_by_what_stands_in_them_but_a_hot_knob_needs_their_word() -> None:
    quiet = snapshot(PROFILE, ledger(PARENT, reporting=False))
    assert cohorts.chosen(quiet, pods(*[2] * 5), PARENT, TARGET) == Standing((), PARENT, 1)
    assert cohorts.chosen(quiet, pods(*[2] * 5), PARENT, BOTH) is None


@pytest.mark.parametrize(
    ("target", "canary"),
    [
        pytest.param(BOTH, True, id="both_rise"),
        pytest.param(setting(workers=2, lanes=1), True, id="both_fall"),
        pytest.param(setting(workers=6, lanes=1), False, id="the_hot_one_rises_and_the_other_falls"),
        pytest.param(setting(workers=2, lanes=3), False, id="the_hot_one_falls_and_the_other_rises"),
    ],
)
def test_a_hot_knob_and_a_variable_that_oppose_each_other_in_a_budget_are_a_plain_step(
    target: Setting, canary: bool
) -> None:
    """A pod has the one before the other: 4 x 1 first, or 6 x 2 = 12 of a parent's 8 and a target's 6."""
    found = cohorts.chosen(snapshot(PROFILE, ledger(PARENT)), pods(*[2] * 5), PARENT, target)
    assert (found is not None) is canary


def test_envfrom_beside_it_is_a_plain_step() -> None:
    profile = spec(HOT, LANES, ENV, budgets=())
    before, after = setting(workers=4, lanes=2, threads=2), setting(workers=4, lanes=3, threads=3)
    assert cohorts.chosen(snapshot(profile, ledger(before)), pods(*[2] * 5), before, after) is None


def test_the_stages_open_close_and_widen() -> None:
    item = begun(BOTH)
    opened = setting(workers=4, lanes=3)
    assert item.stages == (PARENT, PARENT, BOTH)
    assert item.cohort == Cohort((), PARENT, (opened, BOTH, BOTH), size=1)
    assert (item.opening, item.compared, item.written) == (True, False, opened)
    second = closed(item, pods(3, 2, 2, 2, 2))
    assert (second.opening, second.compared, second.written) == (False, True, PARENT)
    third = next_stage(ledger(PARENT), second).intent
    assert third is not None and (third.split, third.compared, third.written) == (False, False, BOTH)


def test_without_a_hot_knob_the_first_stage_is_not_the_one_that_is_compared() -> None:
    item = begun()
    assert item.in_cohort == item.target and not item.compared
    assert closed(item, pods(3, 2, 2, 2, 2)).compared


@pytest.mark.parametrize(
    ("lanes", "size", "late"),
    [
        pytest.param((2, 2, 2, 2, 2), 1, ["p0"], id="the_first_by_name"),
        pytest.param((2, 2, 2, 2, 2), 2, ["p0", "p1"], id="as_many_as_are_missing"),
        pytest.param((2, 3, 2, 2, 2), 2, ["p0"], id="whoever_has_it_counts"),
        pytest.param((2, 3, 3, 3, 2), 2, [], id="more_than_enough_have_it"),
    ],
)
def test_as_many_pods_are_replaced_as_are_missing_of_the_cohort(
    lanes: tuple[int, ...], size: int, late: list[str]
) -> None:
    item, found = begun(size=size, applied_at=T0), pods(*lanes)
    assert [p.name for p in force.outdated(PROFILE.space, item, found)] == late
    state = force.in_force(PROFILE, ledger(PARENT), item, found, at(1))
    assert (state.reached, list(state.silent)) == (not late, late)


def test_a_pod_that_goes_is_no_pod_of_the_cohort_and_is_not_replaced_again() -> None:
    found = workload(made("a", 3, terminating=True), made("b", terminating=True), made("c"), made("d"), made("e"))
    item = begun(applied_at=T0)
    assert [p.name for p in force.outdated(PROFILE.space, item, found)] == ["c"]
    assert cohorts.named(PROFILE.space, item, found).cohort == item.cohort


def test_without_the_last_pod_it_is_not_reached_although_nobody_is_left_to_replace() -> None:
    item = begun(size=2, applied_at=T0)
    assert not force.in_force(PROFILE, ledger(PARENT), item, pods(3), at(1)).reached


def test_the_first_by_name_are_the_cohort_and_whatever_else_took_the_value_is_replaced() -> None:
    found = pods(2, 3, 2, 3, 3)
    item = replace(closed(begun(size=2), found), applied_at=T0)
    assert item.cohort is not None and item.cohort.pods == ("p1", "p3")
    assert [p.name for p in force.outdated(PROFILE.space, item, found)] == ["p4"]
    assert [p.name for p in cohorts.members(PROFILE.space, item, found)] == ["p1", "p3"]


def test_a_pod_of_its_name_without_the_value_has_left_it() -> None:
    item = closed(begun(), pods(3, 2, 2, 2, 2))
    assert not pod_env.belongs(PROFILE.space, item, made("p0", 2))
    assert not pod_env.belongs(PROFILE.space, item, made("p0", None))  # nobody can tell what it has
    assert not pod_env.belongs(PROFILE.space, item, made("p4", 3))
    assert not pod_env.belongs(PROFILE.space, intent(), made("p0", 3))


def test_the_label_follows_the_pod_not_the_document() -> None:
    space, item = PROFILE.space, closed(begun(), pods(3, 2, 2, 2, 2))
    unread = snapshot(PROFILE, under_way(item)).document
    labels = [cohorts.label(space, item, unread, UID, made(f"p{n}", lanes)) for n, lanes in ((0, 3), (0, 2), (1, 3))]
    assert labels == [TRIAL, "", ""]
    assert cohorts.label(space, None, unread, UID, made("p0", 3)) == ""


def test_the_way_back_replaces_whoever_has_the_value_and_nobody_else() -> None:
    found = pods(3, 2, 3, 2, 2)
    for item in (begun(size=2), closed(begun(size=2), found)):
        back = turn_back(PROFILE, under_way(item), item, Ending(TrialState.REVERTED, Reason.REGRESSION, T0)).intent
        assert back is not None and not back.opening and back.written == PARENT == back.target
        assert [p.name for p in force.outdated(PROFILE.space, back, found)] == ["p0", "p2"]


def test_what_somebody_else_set_meanwhile_is_brought_to_nobody() -> None:
    item = closed(begun(), pods(3, 2, 2, 2, 2))
    ending = Ending(TrialState.INCONCLUSIVE, Reason.FOREIGN_CHANGE, T0, foreign={"lanes": F(9)})
    back = turn_back(PROFILE, under_way(item), item, ending).intent
    assert back is not None and back.written.number("lanes") == 9
    assert force.outdated(PROFILE.space, back, pods(3, 2, 2, 2, 2)) == ()


def test_a_plain_step_in_its_place_moves_the_same() -> None:
    item = begun(BOTH, stage_at=T0, applied_at=T0)
    again = plainly(PROFILE, under_way(item), item).intent
    assert again is not None and again.cohort is None and again.stages == (BOTH,)
    assert (again.parent, again.stage, again.applied_at) == (PARENT, 0, None)
    assert again.generation == under_way(item).generation + 1


@pytest.mark.parametrize(
    ("lanes", "missed", "own"),
    [
        pytest.param((2, 3, 2), (), 3, id="a_pod_has_another_value"),
        pytest.param((2, 2, 2), (), None, id="all_have_the_incumbents"),
        pytest.param((2, 3, 2), ("p1",), None, id="it_was_missed_and_would_be_again"),
    ],
)
def test_pods_of_a_cohort_that_nobody_remembers_are_found(
    lanes: tuple[int, ...], missed: tuple[str, ...], own: int | None
) -> None:
    held = {"workers": Held(F(4)), "lanes": Held(F(2), start=F(2), stale=("p1",), missed=missed)}
    found = cohorts.left(snapshot(PROFILE, ledger(PARENT), held=held), pods(*lanes), PARENT)
    assert found == (None if own is None else Standing((), setting(workers=4, lanes=own)))
