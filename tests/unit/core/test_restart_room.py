"""A restart adds a pod for a moment: budget 48, `pods * workers`, threads by envFrom, at most so many pods by an HPA."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pegbox.core import room
from pegbox.model.profile import BudgetSpec
from pegbox.model.snapshot import PodFacts
from pegbox.model.trials import IntentKind
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
