"""The bounds of an HPA keep their order: in what is tried, in every stage, and on the way back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import guards, room, usage
from pegbox.core.decide import decide
from pegbox.core.hpa_bounds import crossed, uncrossed
from pegbox.core.transitions import Begin, Ending, begin, turn_back, yield_to
from pegbox.model.decisions import Action, Admission
from pegbox.model.knobs import Knob, KnobMode, Location, LocationKind, Setting
from pegbox.model.profile import Autoscaler, BudgetSpec, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Workload
from pegbox.model.trials import IntentKind, TrialState
from tests.unit.core.build import (
    HOT,
    HPA,
    NO_WISH,
    T0,
    at,
    held,
    intent,
    ledger,
    setting,
    snapshot,
    spec,
    under_way,
)

LEAST = Knob("min_replicas", location=Location(LocationKind.HPA_MIN), minimum=F(1), maximum=F(12))
BOTH = spec(HOT, LEAST, HPA, budgets=(BudgetSpec("db", "pods * workers", limit=F(24)),))
OURS = Autoscaler(name="checkout", create=True, min_replicas=2, max_replicas=3, cpu_utilization=60)


def beside(low: int, high: int, *knobs: Knob, **changes: Any) -> ProfileSpec:
    """What stands, whoever set it; by default the minimum alone is a knob."""
    return spec(*(knobs or (LEAST,)), scaled_between=(low, high), **changes)


def bounds(low: int, high: int, workers: int = 2) -> Setting:
    return setting(workers=workers, min_replicas=low, max_replicas=high)


@pytest.mark.parametrize(
    ("profile", "wanted", "expected"),
    [
        pytest.param(BOTH, bounds(4, 3), "min_replicas 4 is above max_replicas 3", id="crossed"),
        pytest.param(BOTH, bounds(3, 3), "", id="equal_bounds_are_in_order"),
        pytest.param(spec(HOT, LEAST), setting(workers=2, min_replicas=9), "", id="a_bound_that_nobody_knows"),
        pytest.param(
            spec(HOT, LEAST, autoscaler=OURS), setting(workers=2, min_replicas=4), "maxReplicas 3", id="of_our_own_hpa"
        ),
        pytest.param(beside(2, 5), setting(min_replicas=6), "min_replicas 6 is above maxReplicas 5", id="as_it_stands"),
        pytest.param(beside(2, 5), setting(min_replicas=5), "", id="in_order_as_it_stands"),
        pytest.param(
            beside(2, 5, autoscaler=OURS), setting(min_replicas=4), "maxReplicas 3", id="as_it_would_be_made_anew"
        ),
    ],
)
def test_a_setting_whose_bounds_cross_is_refused_in_words(profile: object, wanted: Setting, expected: str) -> None:
    seen = snapshot(profile)  # type: ignore[arg-type]
    verdict = guards.limits.rules(seen, wanted, wanted)
    if not expected:
        assert verdict.admission is Admission.ADMIT
        return
    assert (verdict.admission, verdict.reason) == (Admission.REFUSE, Reason.RULE_VIOLATED)
    assert expected in verdict.detail == crossed(seen.spec, wanted)


def test_a_maximum_that_is_lowered_first_takes_the_minimum_along() -> None:
    """Schedule 300 of the shop `created` on a real API server: 6 pods of 1 worker go back to 3 of 2. In between 3 of 1; the
    minimum was to wait for the last stage, and the server refused 4 to 3 for ever."""
    here, back = bounds(4, 6, workers=1), bounds(2, 3, workers=2)
    assert usage.stages(BOTH, here, back) == (bounds(3, 3, workers=1), back)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        pytest.param((), bounds(3, 3), id="the_minimum_gives_way"),
        pytest.param(("max_replicas",), bounds(3, 3), id="under_a_maximum_that_somebody_lowered_too"),
        pytest.param(("min_replicas",), bounds(5, 5), id="a_minimum_that_somebody_raised_is_his"),
    ],
)
def test_which_bound_gives_way(kept: tuple[str, ...], expected: Setting) -> None:
    assert uncrossed(BOTH, bounds(5, 3), kept) == expected


@pytest.mark.parametrize(
    ("profile", "wanted", "expected"),
    [
        pytest.param(beside(1, 3), setting(min_replicas=5), setting(min_replicas=3), id="under_a_maximum_of_others"),
        pytest.param(
            beside(4, 6, HPA), setting(max_replicas=3), setting(max_replicas=4), id="over_a_minimum_of_others"
        ),
        pytest.param(beside(1, 6), setting(min_replicas=5), setting(min_replicas=5), id="which_leaves_room_for_it"),
        pytest.param(
            beside(4, 6, replace(LEAST, mode=KnobMode.RECOMMEND), HPA),
            bounds(2, 3),
            bounds(2, 4),
            id="recommended_only",
        ),
        pytest.param(beside(4, 6, LEAST, HPA), bounds(2, 3), bounds(2, 3), id="both_are_ours_and_stand_otherwise"),
    ],
)
def test_a_bound_that_no_knob_moves_counts_as_it_stands(
    profile: ProfileSpec, wanted: Setting, expected: Setting
) -> None:
    assert uncrossed(profile, wanted) == expected


def test_a_maximum_that_has_to_stay_leaves_less_room_for_the_rest_of_the_way_back() -> None:
    """From 6 pods of 2 to 3 of 4: 12. The minimum of others is 4: 4 pods of 4 would be 16 of 12."""
    profile = beside(4, 6, HOT, HPA, budgets=(BudgetSpec("db", "pods * workers", limit=F(12)),))
    here, back = setting(workers=2, max_replicas=6), setting(workers=4, max_replicas=3)
    seen = snapshot(profile, ledger(here))
    assert isinstance(seen.workload, Workload)
    assert room.affordable(seen, seen.workload, here, back) == setting(workers=2, max_replicas=4)


def test_a_trial_that_cannot_be_written_beside_it_any_more_ends_at_once() -> None:
    parent, tried = setting(workers=2, max_replicas=6), setting(workers=2, max_replicas=3)
    item = intent(parent=parent, stages=(tried,))
    seen = snapshot(beside(4, 6, HOT, HPA), under_way(item), held=held(parent))
    found = decide(seen, NO_WISH, at(5))
    assert (found.action, found.reason, found.desired) == (Action.REVERT, Reason.FOREIGN_CHANGE, parent)
    assert "minReplicas 4 is above max_replicas 3" in found.message


def test_back_from_a_trial_beside_a_minimum_that_somebody_raised_the_maximum_stays_as_high() -> None:
    """The trial had 2 to 6 and the parent 2 to 3; somebody makes it 5 to 6."""
    parent = bounds(2, 3, workers=4)
    item = intent(parent=parent, stages=(bounds(2, 3, workers=3), bounds(2, 6, workers=3)), stage=1)
    ending = Ending(TrialState.INCONCLUSIVE, Reason.FOREIGN_CHANGE, T0, foreign={"min_replicas": F(5)})
    after = turn_back(BOTH, ledger(parent, intent=item), item, ending).intent
    assert after is not None and after.target == bounds(5, 5, workers=4)


def test_a_minimum_raised_in_mid_rollback_holds_the_maximum_up() -> None:
    item = intent(IntentKind.ROLLBACK, parent=bounds(2, 6), stages=(bounds(2, 3),))
    after = yield_to(BOTH, ledger(bounds(2, 3), intent=item), item, {"min_replicas": F(4)}).intent
    assert after is not None and after.target == bounds(4, 4)


def test_a_restore_leaves_a_minimum_that_somebody_raised_since() -> None:
    here = bounds(5, 6)
    restore = Begin(IntentKind.RESTORE, bounds(5, 3), Reason.RESTORED, T0)
    after = begin(BOTH, ledger(here), here, restore).intent
    assert after is not None and after.target == bounds(5, 5)
