"""A restart adds a pod for a moment: budget 48, `pods * workers`, threads by envFrom, at most so many pods by an HPA."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from pegbox.core import force, room
from pegbox.model.knobs import Effect, Knob, Location, LocationKind
from pegbox.model.profile import BudgetSpec
from pegbox.model.snapshot import PodFacts, Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger
from tests.unit.core.build import (
    ENV,
    HOT,
    HPA,
    acked,
    at,
    document,
    held,
    intent,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    workload,
)

PROFILE = spec(HOT, ENV, HPA, budgets=(BudgetSpec("postgres", "pods * workers", limit=Fraction(48)),))
LATE = 200  # ackTimeout is 180 s


def waits(
    before: tuple[int, int],
    now: tuple[int, int],
    pods: int,
    *,
    silent: int = 0,
    kind: IntentKind = IntentKind.ROLLBACK,
    seconds: float = 1,
) -> bool:
    """From (workers, pods at the most) to others, threads from 4 to 2, read back at T0. Of so many pods some are silent."""
    here, goal = (setting(workers=w, max_replicas=most, threads=t) for (w, most), t in ((before, 4), (now, 2)))
    item = intent(kind, parent=here, stages=(goal,), applied_at=at(0), stage_at=at(0))
    listed: list[PodFacts] = [pod(name) for name in "abcdefgh"[:pods]]
    listed = [p if n < silent else acked(p, PROFILE, item) for n, p in enumerate(listed)]
    given: dict[str, Any] = {"held": held(goal), "document": document(PROFILE, goal, item.generation)}
    running = workload(*listed)
    return room.restart_waits(
        snapshot(PROFILE, under_way(item), workload=running, read_at=at(seconds), **given), running, item
    )


def test_where_one_pod_more_fits_it_begins_at_once() -> None:
    """(3 + 1) x 12 = 48, also beside two pods that may still run 12."""
    assert not waits((12, 3), (12, 3), 3)
    assert not waits((12, 3), (6, 3), 3, silent=2)


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.TRIAL, IntentKind.RESTORE])
def test_it_waits_for_pods_to_read_what_was_lowered(kind: IntentKind) -> None:
    """Two pods at 16 and two at 9 are 50; once all have read it, 4 x 9 = 36."""
    assert waits((16, 3), (9, 3), 3, silent=2, kind=kind)
    assert not waits((16, 3), (9, 3), 3, silent=1, kind=kind), "16 + 3 x 9 = 43"


def test_pods_that_stay_silent_hold_up_no_restart_for_ever() -> None:
    assert waits((16, 3), (9, 3), 3, silent=2, seconds=179)
    assert not waits((16, 3), (9, 3), 3, silent=2, seconds=LATE)


def test_it_waits_for_pods_that_are_too_many_to_go_however_long_that_takes() -> None:
    """Five pods of 9 and one more are 54, while 4 are wanted: 45."""
    assert waits((9, 5), (9, 4), 5, seconds=LATE)
    assert not waits((9, 5), (9, 4), 4)


def test_where_nothing_would_make_room_it_goes_on() -> None:
    """Somebody set 12 workers in mid-trial: 4 x 12 = 48, and 60 with one pod more, today as tomorrow."""
    assert not waits((12, 4), (12, 4), 4)


def said(workers: int, most: int, pods: int, *, kind: IntentKind = IntentKind.ROLLBACK, done: bool = False) -> str:
    """Of a way back in which all have read what stands; `done`: all were restarted."""
    goal = setting(workers=workers, max_replicas=most, threads=2)
    item = intent(kind, parent=goal.with_values(threads=Fraction(4)), stages=(goal,), applied_at=at(0), stage_at=at(0))
    listed = [acked(pod(name), PROFILE, item) for name in "abcdefgh"[:pods]]
    item = replace(item, old_containers=() if done else force.containers(workload(*listed)))
    given: dict[str, Any] = {"held": held(goal), "document": document(PROFILE, goal, item.generation)}
    running = workload(*listed)
    return room.exceeds(snapshot(PROFILE, under_way(item), workload=running, read_at=at(LATE), **given), running)


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.RESTORE])
def test_a_way_back_says_what_it_exceeds_by_the_pod_that_a_restart_adds(kind: IntentKind) -> None:
    """(4 + 1) x 12 = 60 of 48."""
    assert said(12, 4, 4, kind=kind) == "postgres: 60 of 48"


def test_it_says_nothing_where_that_fits_or_is_over_nor_of_a_trial() -> None:
    assert not said(12, 3, 3), "48 of 48"
    assert not said(12, 4, 4, done=True)
    assert not said(12, 4, 4, kind=IntentKind.TRIAL)


# At rest: pods that started with other variables, `pods * lanes` of 12.

LANES = Knob("lanes", location=Location(LocationKind.POD_ENV, key="LANES"), effect=Effect.RESTART)
VARIABLES = spec(HOT, LANES, budgets=(BudgetSpec("postgres", "pods * lanes", limit=Fraction(12)),))


def mixed(runs: int, goes_to: int, pods: int, stale: int, kind: str) -> tuple[Snapshot, Workload, list[str]]:
    """So many of the pods run another number of lanes than the incumbent."""
    listed = [
        pod(name, admitted={"lanes": Fraction(runs if n < stale else goes_to)}) for n, name in enumerate("abcdef")
    ]
    incumbent = setting(workers=2, lanes=goes_to)
    running = workload(*listed[:pods], kind=kind)
    seen = snapshot(VARIABLES, Ledger(profile_uid=VARIABLES.uid, incumbent=incumbent), workload=running)
    return seen, running, [p.name for p in listed[:stale]]


def replacing(runs: int, goes_to: int, pods: int, stale: int, kind: str = "Deployment") -> str:
    return room.replacing_waits(*mixed(runs, goes_to, pods, stale, kind))


@pytest.mark.parametrize(
    ("runs", "goes_to", "pods", "stale", "expected"),
    [
        pytest.param(4, 2, 5, 3, True, id="3_x_4_and_2_x_2_are_16_of_12"),
        pytest.param(4, 2, 3, 3, False, id="12_of_12_are_not_exceeded_by_a_pod_that_is_not_there_yet"),
        pytest.param(2, 4, 5, 3, False, id="who_goes_to_more_goes_out_of_no_budget"),
        pytest.param(4, 2, 5, 0, False, id="nobody_is_replaced"),
    ],
)
def test_at_rest_replacing_is_the_way_back_where_a_budget_is_exceeded_that_it_lowers(
    runs: int, goes_to: int, pods: int, stale: int, expected: bool
) -> None:
    assert room.replacing_lowers(*mixed(runs, goes_to, pods, stale, "Deployment")) == expected


def test_at_rest_a_pod_is_replaced_where_the_one_that_this_adds_fits() -> None:
    """Each of them counts at the larger of old and new: with one pod more 3 x 4 = 12, and 4 x 4 = 16."""
    assert not replacing(2, 4, 2, stale=1)
    assert replacing(2, 4, 3, stale=1) == "postgres: 16 of 12 with the pod that this adds"


def test_at_rest_pods_that_use_more_than_their_successors_do_not_wait() -> None:
    """The twin: as many pods and the same limit, the other way round."""
    assert not replacing(4, 2, 5, stale=3)
    assert replacing(2, 4, 5, stale=3)


def test_at_rest_a_stateful_set_adds_no_pod() -> None:
    assert not replacing(2, 4, 5, stale=3, kind="StatefulSet")
