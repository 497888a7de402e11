"""Written is not in force: who must have acknowledged what, and for how long it is waited."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core.force import Force, applied, in_force, number_reused, outdated, restarting, unread
from pegbox.model.knobs import Effect, Knob, Location, LocationKind
from pegbox.model.observations import Missing
from pegbox.model.profile import Guards, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, Document, Held, Listed, Workload
from pegbox.model.trials import Intent, IntentKind, Ledger
from tests.unit.core.build import (
    ENV,
    HOT,
    HPA,
    POOL,
    acked,
    at,
    document,
    held,
    intent,
    pod,
    setting,
    spec,
    under_way,
    workload,
)

PROFILE = spec(guards=Guards(ack_timeout=F(180)))
WRITTEN = intent(applied_at=at(10))  # so that ackTimeout ends at 190 s
REPORTING, QUIET = under_way(reporting=True), under_way(reporting=False)
TOOK = acked(pod("a"), PROFILE, WRITTEN)
ACK = TOOK.ack
assert ACK is not None


@pytest.mark.parametrize(
    ("pods", "ledger", "seconds", "expected"),
    [
        pytest.param((TOOK,), REPORTING, 11, Force(True), id="every_pod_acknowledged"),
        pytest.param((TOOK, pod("b")), REPORTING, 11, Force(False, ("b",)), id="one_pod_is_silent"),
        pytest.param((TOOK, pod("b")), REPORTING, 190, Force(False, ("b",), True), id="silent_for_too_long_is_overdue"),
        pytest.param((pod("a"),), QUIET, 189, Force(False, ("a",)), id="without_reports_the_timeout_is_waited_for"),
        pytest.param((pod("a"),), QUIET, 190, Force(True), id="and_then_believed"),
        pytest.param((TOOK, pod("b", finished=True)), REPORTING, 11, Force(True), id="finished_pods_say_nothing"),
        pytest.param(
            (TOOK, pod("b", terminating=True)), REPORTING, 11, Force(False, ("b",)), id="terminating_ones_count"
        ),
        pytest.param((replace(TOOK, ack=replace(ACK, generation=1)),), REPORTING, 11, Force(False, ("a",)), id="older"),
        pytest.param(
            (replace(TOOK, ack=replace(ACK, hash="x")),), REPORTING, 11, Force(False, ("a",)), id="other_values"
        ),
        pytest.param(
            (replace(TOOK, ack=Acknowledgement("other", ACK.generation, ACK.hash)),),
            REPORTING,
            11,
            Force(False, ("a",)),
            id="another_profiles_document",
        ),
    ],
)
def test_acknowledged(pods: tuple[object, ...], ledger: Ledger, seconds: int, expected: Force) -> None:
    standing = workload(*pods)  # type: ignore[arg-type]
    assert in_force(PROFILE, ledger, WRITTEN, standing, at(seconds)) == expected


def test_what_was_not_read_back_is_in_force_nowhere() -> None:
    assert in_force(PROFILE, REPORTING, intent(), workload(TOOK), at(10**6)) == Force(False)


LOWER = intent(
    parent=setting(workers=4, pool=4, max_replicas=3),
    stages=(setting(workers=4, pool=4, max_replicas=2),),
    applied_at=at(10),
)
RAISE = replace(LOWER, parent=setting(workers=4, pool=4, max_replicas=1))


@pytest.mark.parametrize(
    ("item", "names", "replicas", "reached"),
    [
        pytest.param(LOWER, "ab", 2, True, id="a_lowered_bound_once_the_pods_above_it_have_gone"),
        pytest.param(LOWER, "abc", 2, False, id="not_while_one_more_pod_runs"),
        pytest.param(LOWER, "ab", 3, False, id="not_while_one_more_is_asked_for"),
        pytest.param(RAISE, "abc", 3, True, id="a_raised_bound_at_once"),
    ],
)
def test_a_bound_of_pods(item: Intent, names: str, replicas: int, reached: bool) -> None:
    profile = spec(HOT, POOL, HPA)
    pods = [acked(pod(n), profile, item) for n in names]
    found = in_force(profile, under_way(item), item, workload(*pods, replicas=replicas), at(11))
    assert found.reached is reached


THREADS = intent(parent=setting(threads=2), stages=(setting(threads=3),), applied_at=at(10))
FRESH, OLD = pod("a", container_started_at=at(10)), pod("b", container_started_at=at(9))


@pytest.mark.parametrize(
    ("standing", "seconds", "expected"),
    [
        pytest.param(workload(FRESH), 11, Force(True), id="started_since_the_read_back"),
        pytest.param(workload(FRESH, OLD), 11, Force(False, ("b",)), id="one_started_before"),
        pytest.param(workload(FRESH, rolling=True), 11, Force(False), id="not_while_it_rolls_out"),
        # one after the other: two pods have 2 * 180 s
        pytest.param(workload(FRESH, OLD), 369, Force(False, ("b",)), id="each_pod_has_its_time"),
        pytest.param(workload(FRESH, OLD), 370, Force(False, ("b",), True), id="and_no_more"),
        pytest.param(workload(pod("c", container_started_at=None)), 11, Force(False, ("c",)), id="not_started_at_all"),
    ],
)
def test_a_restart(standing: Workload, seconds: int, expected: Force) -> None:
    assert in_force(spec(ENV, budgets=()), under_way(THREADS), THREADS, standing, at(seconds)) == expected


LANES = Knob("lanes", location=Location(LocationKind.POD_ENV, key="LANES"), effect=Effect.RESTART)
MOVED = intent(parent=setting(lanes=2), stages=(setting(lanes=3),), applied_at=at(10))
HAS = pod("a", container_started_at=at(-900), admitted={"lanes": F(3)})
HAS_NOT = pod("b", container_started_at=at(11), admitted={"lanes": F(2)})


@pytest.mark.parametrize(
    ("standing", "seconds", "expected"),
    [
        pytest.param(workload(HAS), 11, Force(True), id="it_stands_in_the_pod_whenever_that_started"),
        pytest.param(workload(HAS, HAS_NOT), 11, Force(False, ("b",)), id="a_new_pod_without_it_has_it_not"),
        pytest.param(workload(HAS, pod("c")), 11, Force(False, ("c",)), id="nor_has_one_of_which_it_cannot_be_told"),
        pytest.param(workload(HAS, pod("c", finished=True)), 11, Force(True), id="finished_pods_say_nothing"),
        pytest.param(workload(HAS, rolling=True), 11, Force(False), id="not_while_it_rolls_out"),
        # two pods have 2 * 180 s
        pytest.param(workload(HAS, HAS_NOT), 370, Force(False, ("b",), True), id="overdue_after_the_time_of_each_pod"),
    ],
)
def test_a_variable_by_admission(standing: Workload, seconds: int, expected: Force) -> None:
    assert in_force(spec(LANES, budgets=()), under_way(MOVED), MOVED, standing, at(seconds)) == expected


def test_where_envfrom_moves_too_a_pod_needs_both() -> None:
    item = intent(parent=setting(lanes=2, threads=2), stages=(setting(lanes=3, threads=3),), applied_at=at(10))
    old, fresh = replace(HAS, name="old"), replace(HAS, name="fresh", container_started_at=at(10))
    found = outdated(spec(LANES, ENV).space, item, workload(old, fresh, replace(HAS_NOT, name="new")))
    assert {p.name for p in found} == {"new", "old"}


def test_a_variable_that_the_stage_does_not_move_makes_no_pod_outdated() -> None:
    item = intent(parent=setting(lanes=3, threads=2), stages=(setting(lanes=3, threads=3),), applied_at=at(10))
    assert outdated(spec(LANES, ENV).space, item, workload(replace(HAS_NOT, container_started_at=at(10)))) == ()


FILE = Knob("cache", location=Location(LocationKind.CONFIG_MAP_PATH, "app", "conf", "cache"), effect=Effect.HOT)


@pytest.mark.parametrize(("seconds", "reached"), [(189, False), (190, True)])
def test_a_value_that_nobody_can_acknowledge_waits_for_the_timeout(seconds: int, reached: bool) -> None:
    item = intent(parent=setting(cache=1), stages=(setting(cache=2),), applied_at=at(10))
    assert in_force(spec(FILE, budgets=()), under_way(item), item, workload(), at(seconds)).reached is reached


def test_only_what_we_may_write_is_missing_in_the_cluster() -> None:
    profile = spec(HOT, replace(POOL, pinned=F(9)), HPA)
    wanted = setting(workers=6, pool=9, max_replicas=4)
    there = held(setting(workers=4, pool=4, max_replicas=2), max_replicas=Missing(Reason.OWNED_BY_OTHER))
    assert applied(profile.space, wanted, there) == ("workers",)
    assert applied(profile.space, wanted, {"workers": Held(F(6))}) == ()
    assert applied(profile.space, wanted, {"workers": Held(Missing(Reason.NOT_REPORTED))}) == ("workers",)


BACK = intent(IntentKind.ROLLBACK, parent=setting(cache=3), stages=(setting(cache=2),))


@pytest.mark.parametrize(
    ("reason", "owners", "item", "missing"),
    [
        pytest.param(Reason.VOLUME_NOT_HOT, (), BACK, True, id="a file that pods read no more"),
        pytest.param(Reason.CONFIG_IMMUTABLE, (), BACK, True, id="refused by the server, and said"),
        pytest.param(Reason.VOLUME_NOT_HOT, (), replace(BACK, kind=IntentKind.TRIAL), False, id="a trial"),
        pytest.param(Reason.VOLUME_NOT_HOT, (), None, False, id="at rest"),
        pytest.param(Reason.VOLUME_NOT_HOT, (), replace(BACK, parent=BACK.target), False, id="not moved by it"),
        pytest.param(Reason.VOLUME_NOT_HOT, ("helm",), BACK, False, id="taken by somebody else"),
        pytest.param(Reason.OWNED_BY_OTHER, (), BACK, False, id="KEDA's, or another target's"),
    ],
)
def test_what_we_wrote_goes_back_also_where_no_trial_would_begin(
    reason: Reason, owners: tuple[str, ...], item: Intent | None, missing: bool
) -> None:
    there = {"cache": Held(F(3), refusal=Missing(reason), owners=owners)}
    assert applied(spec(FILE, budgets=()).space, setting(cache=2), there, item) == (("cache",) if missing else ())


def test_a_stage_restarts_only_for_what_it_changes_itself() -> None:
    first, last = setting(threads=2, workers=4), setting(threads=2, workers=6)
    item = intent(parent=setting(threads=4, workers=4), stages=(first, last))
    space = spec(ENV, HOT).space
    assert restarting(space, item) == ("threads",)
    assert restarting(space, replace(item, stage=1)) == ()


STANDS = document(PROFILE, WRITTEN.current, WRITTEN.generation)
OTHER = document(PROFILE, WRITTEN.parent, WRITTEN.generation)
NOT_THERE = Missing(Reason.NOT_REPORTED)
AHEAD = {"trial": Listed(("a",), {"workers": "9"})}


@pytest.mark.parametrize(
    ("profile", "ledger", "found", "expected"),
    [
        pytest.param(PROFILE, REPORTING, STANDS, ("b",), id="whoever_acknowledged_what_stands_has_read_it"),
        pytest.param(PROFILE, REPORTING, OTHER, ("a", "b"), id="other_values_under_a_number_that_was_read"),
        pytest.param(PROFILE, REPORTING, replace(STANDS, generation=9), ("a", "b"), id="a_newer_number"),
        pytest.param(PROFILE, REPORTING, replace(STANDS, foreign=True), ("a", "b"), id="one_that_nobody_can_read"),
        pytest.param(PROFILE, REPORTING, replace(STANDS, cohorts=AHEAD), ("a", "b"), id="other_values_for_its_cohort"),
        pytest.param(PROFILE, REPORTING, replace(STANDS, profile_uid="x"), ("a", "b"), id="another_profiles"),
        pytest.param(PROFILE, REPORTING, NOT_THERE, ("a", "b"), id="one_that_is_gone"),
        pytest.param(PROFILE, QUIET, OTHER, (), id="of_an_application_that_never_reported_nobody_knows"),
        pytest.param(spec(ENV, budgets=()), REPORTING, NOT_THERE, (), id="without_a_document_there_is_nothing_to_read"),
    ],
)
def test_who_has_not_read_the_document_that_stands(
    profile: ProfileSpec, ledger: Ledger, found: Document | Missing, expected: tuple[str, ...]
) -> None:
    standing = workload(TOOK, pod("b"), pod("c", finished=True))
    assert unread(profile, ledger, found, standing) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(OTHER, True, id="other_values_under_a_number_that_was_read"),
        pytest.param(replace(STANDS, cohorts=AHEAD), True, id="other_values_for_its_cohort"),
        pytest.param(STANDS, False, id="the_same_values"),
        pytest.param(replace(OTHER, generation=9), False, id="a_newer_number"),
        pytest.param(replace(OTHER, profile_uid="x"), False, id="another_profiles"),
        pytest.param(NOT_THERE, False, id="one_that_is_gone"),
    ],
)
def test_a_number_that_stands_for_other_values_than_a_pod_runs_under_it_is_reused(
    found: Document | Missing, expected: bool
) -> None:
    assert number_reused(PROFILE.uid, found, workload(TOOK, pod("b"))) is expected
