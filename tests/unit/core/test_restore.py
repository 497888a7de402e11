"""A restore starts from where the workload is, and not from where an intent before it wanted it to be."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

from pegbox.core.decide import decide
from pegbox.model.decisions import Action
from pegbox.model.trials import IntentKind, Ledger
from tests.unit.core.build import HOT, NO_WISH, POOL, at, document, held, intent, setting, snapshot, spec, under_way

ADOPTED, TRIED = setting(workers=4, pool=4), setting(workers=6, pool=4)
SPEC = spec(HOT, POOL, budgets=())


def going_back() -> Ledger:
    """A way back from 6 workers to 4 that was decided, and of which nothing was written yet. (Schedule 7005069.)"""
    back = intent(IntentKind.ROLLBACK, parent=TRIED, stages=(ADOPTED,), stage_at=None)
    return under_way(back, adopted=ADOPTED, incumbent=ADOPTED)


def deleted(memory: Ledger, workers: int) -> Ledger:
    """The ledger after a wake in which the profile is being deleted, with so many workers standing."""
    here = TRIED.with_values(workers=F(workers))
    stands = document(SPEC, here, 1)  # the trial's, or somebody's
    found = decide(snapshot(SPEC, memory, held=held(here), document=stands, deleting=True), NO_WISH, at(5))
    assert found.action in (Action.RESTORE, Action.CONTINUE)
    assert found.desired is not None
    assert found.ledger.intent is not None and found.ledger.intent.kind is IntentKind.RESTORE
    return found.ledger


def test_what_a_trial_left_standing_is_ours_and_goes_back() -> None:
    begun = deleted(going_back(), 6)
    assert begun.intent is not None
    assert (begun.intent.parent, begun.intent.target) == (TRIED, ADOPTED)


def test_and_it_is_nobodys_edit_at_the_wake_that_follows() -> None:
    again = deleted(deleted(going_back(), 6), 6)
    assert again.intent is not None
    assert (again.intent.target, again.intent.keep) == (ADOPTED, ())


@pytest.mark.parametrize("workers", [3, 9])
def test_the_twin_what_somebody_else_set_stays(workers: int) -> None:
    begun = deleted(going_back(), workers)
    assert begun.intent is not None
    assert begun.intent.target.number("workers") == workers
    assert begun.intent.keep == ("workers",)
