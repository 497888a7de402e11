"""The bounds of an HPA keep their order: in what is tried, in every stage, and on the way back."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

from pegbox.core import guards, usage
from pegbox.core.hpa_bounds import crossed, uncrossed
from pegbox.core.transitions import Begin, Ending, begin, turn_back, yield_to
from pegbox.model.decisions import Admission
from pegbox.model.knobs import Knob, Location, LocationKind, Setting
from pegbox.model.profile import Autoscaler, BudgetSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import IntentKind, TrialState
from tests.unit.core.build import HOT, HPA, T0, intent, ledger, setting, snapshot, spec

LEAST = Knob("min_replicas", location=Location(LocationKind.HPA_MIN), minimum=F(1), maximum=F(12))
BOTH = spec(HOT, LEAST, HPA, budgets=(BudgetSpec("db", "pods * workers", limit=F(24)),))
OURS = Autoscaler(name="checkout", create=True, min_replicas=2, max_replicas=3, cpu_utilization=60)


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
