"""A pod that acknowledges nothing, on a way back of two stages: budget 48, `pods * workers * pool`, two pods.

From workers=2, pool=12 (24 a pod) back to workers=12, pool=2: first the pool goes down, then the workers up.
"""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.decide import decide
from pegbox.model.decisions import Decision
from pegbox.model.knobs import Knob, Location, LocationKind, Setting
from pegbox.model.profile import BudgetSpec, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Workload
from pegbox.model.trials import IntentKind
from tests.unit.core.build import (
    HOT,
    NO_WISH,
    POOL,
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

HERE, BETWEEN = setting(workers=2, pool=12), setting(workers=2, pool=2)
OVERDUE = 200  # ackTimeout is 180 s


def decided(
    kind: IntentKind, workers: int, seconds: float, *, silent: int = 1, profile: ProfileSpec | None = None
) -> Decision:
    """The first stage is written at T0; of two pods so many say nothing."""
    profile = spec() if profile is None else profile
    pins = {k.name: k.pinned for k in profile.space.knobs if k.pinned is not None}
    here, between, goal = (Setting({**s, **pins}) for s in (HERE, BETWEEN, setting(workers=workers, pool=2)))
    item = intent(kind, parent=here, stages=(between, goal), applied_at=at(0), stage_at=at(0))
    first, second = pod("a"), pod("b")
    pods = [p if n < silent else acked(p, profile, item) for n, p in enumerate((second, first))]
    both: Workload = workload(*pods)
    given: dict[str, Any] = {"held": held(between), "document": document(profile, between, item.generation)}
    deleting = kind is IntentKind.RESTORE
    return decide(snapshot(profile, under_way(item), workload=both, deleting=deleting, **given), NO_WISH, at(seconds))


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.RESTORE])
def test_the_way_back_goes_on_beside_it_where_its_old_values_still_fit(kind: IntentKind) -> None:
    """24 of the silent pod and 12 x 2 of the other are 48."""
    decision = decided(kind, 12, OVERDUE)
    assert decision.ledger.intent is not None
    assert (decision.ledger.intent.stage, decision.desired) == (1, setting(workers=12, pool=2))


@pytest.mark.parametrize(
    ("kind", "workers", "seconds", "silent"),
    [
        pytest.param(IntentKind.ROLLBACK, 13, OVERDUE, 1, id="not_where_50_of_48_would_be_used"),
        pytest.param(IntentKind.RESTORE, 13, OVERDUE, 1, id="not_even_for_a_deletion"),
        pytest.param(IntentKind.ROLLBACK, 12, 100, 1, id="not_before_ackTimeout"),
        pytest.param(IntentKind.ROLLBACK, 25, OVERDUE, 2, id="not_where_all_are_silent_and_more_may_come"),
    ],
)
def test_otherwise_it_waits(kind: IntentKind, workers: int, seconds: float, silent: int) -> None:
    decision = decided(kind, workers, seconds, silent=silent)
    assert decision.ledger.intent is not None
    assert (decision.ledger.intent.stage, decision.desired) == (0, None)
    expected = Reason.NOT_ACKNOWLEDGED if seconds == OVERDUE else Reason.WAITING_FOR_PODS
    assert decision.reason is expected


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.RESTORE])
@pytest.mark.parametrize(
    ("uses", "silent", "stage"),
    [
        pytest.param("workers * pool", 1, 1, id="of one pod, which runs the old document or the new one"),
        pytest.param("workers * pool", 2, 1, id="of any pod, though none says which"),
        pytest.param("(1 + 0 * pods) * workers * pool", 1, 0, id="the twin: who names pods may add them up"),
        pytest.param("workers * pool * lanes", 1, 0, id="the twin: a pod reads this from elsewhere"),
    ],
)
def test_a_budget_of_values_that_a_pod_reads_at_once_counts_the_larger_of_old_and_new(
    kind: IntentKind, uses: str, silent: int, stage: int
) -> None:
    """12 x 2 = 24 before and after, of 30: in no pod both. What is counted once was counted twice."""
    lanes = Knob("lanes", location=Location(LocationKind.ENV), pinned=F(1))
    profile = spec(HOT, POOL, lanes, budgets=(BudgetSpec("heap", uses, limit=F(30)),))
    decision = decided(kind, 12, OVERDUE, silent=silent, profile=profile)
    assert decision.ledger.intent is not None and decision.ledger.intent.stage == stage
