"""What a way back had to leave lowered is owed: it returns once it fits, and no sooner."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import owed, transitions
from pegbox.core.decide import decide
from pegbox.core.transitions import Ending
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import Action, Decision
from pegbox.model.knobs import Knob, Location, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Freeze, Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, Request
from pegbox.model.trials import IntentKind, Ledger, Rung, TrialState
from tests.unit.core.build import (
    HOT,
    HPA,
    NO_WISH,
    POOL,
    T0,
    at,
    document,
    held,
    intent,
    ledger,
    setting,
    snapshot,
    spec,
    under_way,
    wish,
)

BOUNDED = spec(HOT, POOL, HPA)  # pods * workers * pool within 48
LOWERED = setting(workers=2, pool=4, max_replicas=6)  # 6 x 2 x 4 = 48: with 4 workers it would be 96
OWED = setting(workers=4)
LEAST = Knob("min_replicas", location=Location(LocationKind.HPA_MIN), minimum=F(1), maximum=F(12))
FREEZE = Freeze("noon", "0 12 * * *", "UTC", F(3600))  # T0 is a noon


def memory(here: Setting = LOWERED, wanted: Setting | None = OWED, **changes: object) -> Ledger:
    return ledger(here, owed=wanted, **changes)


def test_a_value_that_does_not_fit_beside_a_foreign_one_is_owed_from_then_on() -> None:
    """workers 4 -> 2 is tried at 3 x 4 x 4 = 48. Somebody sets max_replicas=6: 4 workers would be 96 now."""
    parent, tried = setting(workers=4, pool=4, max_replicas=3), setting(workers=2, pool=4, max_replicas=3)
    item = intent(parent=parent, stages=(tried,), applied_at=T0)
    seen = snapshot(BOUNDED, under_way(item), held=held(tried.with_values(max_replicas=F(6))))
    found = decide(seen, NO_WISH, at(5))
    assert found.reason is Reason.FOREIGN_CHANGE and found.desired == LOWERED
    assert found.ledger.owed == OWED
    assert "until it fits, less than workers=4" in found.message


def test_it_stays_lowered_for_as_long_as_the_foreign_value_stands() -> None:
    assert decide(snapshot(BOUNDED, memory()), NO_WISH, at(5)).action is Action.HOLD


def test_it_returns_once_the_foreign_value_is_gone() -> None:
    """The bound is set to 3 again: that is noted first, then 3 x 4 x 4 = 48 fits."""
    back = LOWERED.with_values(max_replicas=F(3))
    noted = decide(snapshot(BOUNDED, memory(), held=held(back)), NO_WISH, at(5))
    assert (noted.action, noted.ledger.incumbent, noted.ledger.owed) == (Action.HOLD, back, OWED)
    found = decide(snapshot(BOUNDED, noted.ledger), NO_WISH, at(6))
    assert found.desired == setting(workers=4, pool=4, max_replicas=3)
    assert found.ledger.intent is not None and found.ledger.intent.kind is IntentKind.ROLLBACK
    assert found.reason is Reason.ROLLING_BACK and "there is room again" in found.message


BOTH = spec(HOT, POOL, LEAST, HPA)
UNDER = setting(workers=2, pool=2, min_replicas=1, max_replicas=1)


def test_a_minimum_above_the_maximum_that_somebody_set_in_mid_trial_is_owed_for_as_long_as_that_stands() -> None:
    """2 to 3 pods, and 1 to 4 are tried. Somebody sets the maximum to 1: a minimum of 2 would be above it, whatever a
    budget says, and the API server refuses such an HPA. (Schedule 4010141.)"""
    parent = UNDER.with_values(min_replicas=F(2), max_replicas=F(3))
    item = intent(parent=parent, stages=(UNDER.with_values(max_replicas=F(4)),), applied_at=T0)
    found = decide(snapshot(BOTH, under_way(item), held=held(UNDER)), NO_WISH, at(5))
    assert (found.desired, found.ledger.owed) == (UNDER, setting(min_replicas=2))
    assert "until it fits, less than min_replicas=2" in found.message
    assert decide(snapshot(BOTH, memory(UNDER, found.ledger.owed)), NO_WISH, at(6)).action is Action.HOLD


BACK = UNDER.with_values(min_replicas=F(2), max_replicas=F(3))


def _on_the_way_back(maximum: int) -> Decision:
    """A way back that raises the minimum from 1 to 2, and whose maximum stays: somebody sets that, and owns it now."""
    item = intent(IntentKind.ROLLBACK, parent=UNDER.with_values(max_replicas=F(3)), stages=(BACK,))
    found = held(
        UNDER.with_values(max_replicas=F(maximum)), max_replicas=Missing(Reason.OWNED_BY_OTHER, "field manager alice")
    )
    return decide(snapshot(BOTH, under_way(item), held=found), NO_WISH, at(5))


def test_a_way_back_gives_way_to_a_maximum_that_it_would_not_have_moved() -> None:
    """Or it would write a minimum of 2 above a maximum of 1 for ever: no such HPA is taken. (Schedules 6005108, 7006896.)"""
    found = _on_the_way_back(1)
    assert found.desired == UNDER
    assert found.ledger.owed == setting(min_replicas=2)
    assert found.ledger.intent is not None and found.ledger.intent.keep == ("max_replicas",)


@pytest.mark.parametrize("maximum", [2, 3, 9])
def test_the_twin_a_maximum_that_is_not_in_the_way_is_nobodys_business(maximum: int) -> None:
    found = _on_the_way_back(maximum)
    assert found.desired == BACK
    assert found.ledger.owed is None


@pytest.mark.parametrize("theirs", [2, 3])
def test_it_returns_once_he_raises_the_maximum_again(theirs: int) -> None:
    raised = UNDER.with_values(max_replicas=F(theirs))
    noted = decide(snapshot(BOTH, memory(UNDER, setting(min_replicas=2)), held=held(raised)), NO_WISH, at(5))
    assert (noted.action, noted.ledger.owed) == (Action.HOLD, setting(min_replicas=2))
    found = decide(snapshot(BOTH, noted.ledger), NO_WISH, at(6))
    assert found.desired == raised.with_values(min_replicas=F(2))


def test_as_much_returns_as_fits() -> None:
    """pool 3 of 4 and workers 2 of 4 are owed at 4 pods: 4 x 2 x 4 = 32 fits, 4 x 4 x 4 = 64 does not."""
    here = setting(workers=2, pool=3, max_replicas=4)
    found = decide(snapshot(BOUNDED, memory(here, setting(workers=4, pool=4))), NO_WISH, at(5))
    assert found.desired == here.with_values(pool=F(4)) and found.ledger.owed == setting(workers=4, pool=4)


def test_what_returned_is_owed_no_more() -> None:
    here = setting(workers=4, pool=4, max_replicas=3)
    assert decide(snapshot(BOUNDED, memory(here)), NO_WISH, at(5)).ledger.owed is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"spec": replace(BOUNDED, mode=Mode.RECOMMEND)}, "mode", id="in mode Recommend"),
        pytest.param({"brakes": Brakes(Stop.STOP, "asked")}, "stopped", id="while all is stopped"),
        pytest.param({"spec": replace(BOUNDED, freezes=(FREEZE,))}, "frozen", id="in a freeze"),
        pytest.param(
            {"held": held(LOWERED, workers=Missing(Reason.OWNED_BY_OTHER, "alice"))}, "owner", id="where it is not ours"
        ),
    ],
)
def test_nothing_returns(changes: dict[str, object], why: str) -> None:
    here = LOWERED.with_values(max_replicas=F(3))
    plain = snapshot(BOUNDED, memory(here))
    if "held" in changes:
        changes["held"] = {**plain.held, "workers": Held(F(2), refusal=Missing(Reason.OWNED_BY_OTHER, "alice"))}
    assert decide(plain, NO_WISH, at(5)).desired is not None
    assert decide(replace(plain, **changes), NO_WISH, at(5)).desired is None, why  # type: ignore[arg-type]


def test_what_somebody_sets_at_rest_is_his_and_owed_no_more() -> None:
    here = LOWERED.with_values(workers=F(1), max_replicas=F(3))
    noted = decide(snapshot(BOUNDED, memory(LOWERED.with_values(max_replicas=F(3))), held=held(here)), NO_WISH, at(5))
    assert (noted.ledger.incumbent, noted.ledger.owed) == (here, None)


def test_what_somebody_sets_in_a_later_trial_is_owed_no_more() -> None:
    item = intent(parent=LOWERED, stages=(LOWERED.with_values(pool=F(3)),), applied_at=T0)
    now = held(item.target.with_values(workers=F(1)))
    found = decide(snapshot(BOUNDED, under_way(item, owed=OWED), held=now), NO_WISH, at(5))
    assert found.reason is Reason.FOREIGN_CHANGE and found.ledger.owed is None


def test_a_trial_that_was_put_back_leaves_it_owed_and_an_accepted_one_does_not() -> None:
    item = intent(parent=LOWERED, stages=(LOWERED.with_values(pool=F(3)),))
    before = under_way(item, owed=OWED)
    ending = Ending(TrialState.REVERTED, Reason.REGRESSION, at(5))
    assert transitions.turn_back(BOUNDED, before, item, ending).owed == OWED
    assert transitions.accept(BOUNDED, before, item, (), at(5)).owed is None


def test_a_rollback_that_a_person_asks_for_is_his_word() -> None:
    good = setting(workers=1, pool=3, max_replicas=3)
    rung = Rung(good, 10.0, transitions.REPLICATES, 0.1, T0)
    asked = (Request("rollback", "t1", ""),)
    found = decide(snapshot(BOUNDED, memory(ladder=(rung,)), requests=asked), NO_WISH, at(5))
    assert found.desired is not None and found.ledger.owed is None


def test_a_way_back_that_gives_way_owes_what_no_longer_fits() -> None:
    """On the way back to 4 workers at 3 pods, somebody sets 6: 6 x 4 x 4 = 96."""
    here, goal = setting(workers=2, pool=4, max_replicas=3), setting(workers=4, pool=4, max_replicas=3)
    back = intent(IntentKind.ROLLBACK, parent=here, stages=(goal,))
    now, before = held(here.with_values(max_replicas=F(6))), document(BOUNDED, here, 1)
    memory = ledger(here, generation=2, intent=back)
    found = decide(snapshot(BOUNDED, memory, held=now, document=before), NO_WISH, at(5))
    assert (found.desired, found.ledger.owed) == (LOWERED, OWED)


def test_what_a_recreated_target_gives_up_is_still_owed() -> None:
    before = memory(target_uid="another")
    assert decide(snapshot(BOUNDED, before), NO_WISH, at(5)).ledger.owed == OWED


def test_a_knob_that_is_gone_is_owed_no_more() -> None:
    assert owed.still(BOUNDED, memory(wanted=setting(lanes=3))).owed is None


def test_a_wish_waits_for_what_is_owed() -> None:
    here = LOWERED.with_values(max_replicas=F(3))
    found = decide(snapshot(BOUNDED, memory(here)), wish(here.with_values(pool=F(3))), at(5))
    assert found.ledger.intent is not None and found.ledger.intent.kind is IntentKind.ROLLBACK


def test_the_document_of_what_returns_has_a_new_number() -> None:
    here = LOWERED.with_values(max_replicas=F(3))
    before = memory(here, generation=7)
    found = decide(snapshot(BOUNDED, before, document=document(BOUNDED, here, 7)), NO_WISH, at(5))
    assert found.ledger.generation == 8
