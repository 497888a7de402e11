"""Bad samples while others changed the pods: the trial goes back, nobody is blamed, and it is not asked again at once.

In force at 0, settled at 60 s, windows of 120 s. Harm of the write's own making, until it has settled, counts as ever.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.cut_short import must_end, note_sample
from pegbox.core.decide import decide
from pegbox.core.guards import limits
from pegbox.core.verify import disturbed
from pegbox.model.decisions import Action
from pegbox.model.observations import Attainment, Observation
from pegbox.model.profile import Guards
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, TrialState, TrialSummary
from tests.unit.core.build import (
    HPA,
    NO_WISH,
    T0,
    at,
    intent,
    ledger,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    wish,
    workload,
)

GUARDS = Guards(settle=F(60), trial_window=F(120), trial_timeout=F(1800), cooldown=F(600))
PROFILE = spec(guards=GUARDS)
TRIAL = intent(in_force_at=T0, applied_at=T0)


def bad(end: float, reason: Reason | None = Reason.SCALED) -> Observation:
    """Twice as late as the parent; in a window that others disturbed, or a clean one."""
    return window(end, latency=0.25, clean=reason is None, unclean_reason=reason)


SCALED, ROLLED, ILL, CLEAN = Reason.SCALED, Reason.ROLLOUT_IN_PROGRESS, Reason.WORKLOAD_NOT_READY, None
BLAMED = (TrialState.REVERTED, Reason.REGRESSION, True)


@pytest.mark.parametrize(
    ("samples", "ended"),
    [
        pytest.param(
            [(180, SCALED), (210, SCALED)], (TrialState.INCONCLUSIVE, SCALED, False), id="an_autoscaler_in_both"
        ),
        pytest.param([(180, SCALED), (210, ROLLED)], (TrialState.INCONCLUSIVE, ROLLED, False), id="told_by_the_newest"),
        pytest.param([(180, CLEAN), (210, SCALED)], BLAMED, id="it_was_bad_before_they_came"),
        pytest.param([(180, SCALED), (330, CLEAN)], BLAMED, id="it_is_bad_after_they_came"),
        pytest.param([(180, ILL), (210, ILL)], BLAMED, id="its_pods_fell_ill"),
        pytest.param([(180, Reason.SETTLING), (210, Reason.SETTLING)], BLAMED, id="nobody_can_tell_why"),
        # these windows began at 59 s and at 0: within the settling of the trial's own write
        pytest.param([(179, SCALED), (210, SCALED)], BLAMED, id="one_reaches_into_its_settling"),
        pytest.param([(60, SCALED), (120, SCALED)], BLAMED, id="right_after_the_write"),
    ],
)
def test_two_bad_samples(samples: list[tuple[float, Reason | None]], ended: tuple[TrialState, Reason, bool]) -> None:
    seen = snapshot(PROFILE, under_way(TRIAL))
    for end, reason in samples:
        assert must_end(seen, workload(), at(end), 0.0) is None
        seen = note_sample(replace(seen, observation=bad(end, reason)))
    found = must_end(seen, workload(), at(samples[-1][0]), 0.0)
    assert found is not None
    assert (found.state, found.reason, found.counted) == ended


def test_a_good_sample_starts_this_count_again_too() -> None:
    seen = snapshot(PROFILE, under_way(TRIAL))
    for observation in (bad(180), window(210), bad(330, CLEAN), bad(360)):
        seen = note_sample(replace(seen, observation=observation))
    found = must_end(seen, workload(), at(360), 0.0)
    assert found is not None
    assert found.counted


def test_it_goes_back_and_the_breaker_counts_nothing() -> None:
    once = replace(TRIAL, bad_samples=1, disturbed=1, first_bad_at=at(180), last_sample_at=at(180))
    found = decide(snapshot(PROFILE, under_way(once), observation=bad(210)), NO_WISH, at(210))
    assert (found.action, found.reason, found.desired) == (Action.REVERT, SCALED, TRIAL.parent)
    assert found.ledger.breaker.failures == 0
    assert "others changed the pods" in found.message


@pytest.mark.parametrize(
    ("before", "end", "reason", "counted"),
    [
        # allowed: 5 % of the 5 % of 300 s x 10/s, 7.5 events; by chance, of 2100: 3 sqrt(2 x 0.01 x 2100 x 1.875) = 27
        pytest.param(0.0, 210, SCALED, False, id="all_of_it_while_others_scaled"),
        pytest.param(20.0, 210, SCALED, False, id="what_was_spent_before_may_be_chance"),
        pytest.param(40.0, 210, SCALED, True, id="beyond_chance_before_they_came"),
        pytest.param(0.0, 210, CLEAN, True, id="nobody_else_did_anything"),
        pytest.param(0.0, 170, SCALED, True, id="it_reaches_into_its_settling"),
    ],
)
def test_an_error_budget_that_is_spent_while_others_change_the_pods(
    before: float, end: float, reason: Reason | None, counted: bool
) -> None:
    """100 of 1200 events are bad in the newest window, 88 more than the parent's; `before` were more until it began."""
    begin = float(end - 120)
    item = replace(TRIAL, spent={"fast": before}, looks={"fast": ((0.0, 0.0), (begin, before))})
    seen = window(end, clean=reason is None, unclean_reason=reason, slos={"fast": Attainment(1100.0, 1200.0)})
    noted = note_sample(snapshot(PROFILE, under_way(item), observation=seen))
    found = must_end(noted, workload(), at(end), 0.0)
    assert found is not None
    assert found.counted is counted
    assert found.reason is (Reason.ERROR_BUDGET_SPENT if counted else SCALED)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, True, id="workers"),
        pytest.param({"stages": (setting(workers=4, pool=4, max_replicas=8),)}, False, id="the_bound_is_its_own"),
        pytest.param({"in_force_at": None}, False, id="not_in_force_yet"),
        pytest.param({"in_force_at": at(1)}, False, id="not_settled_when_the_window_began"),
    ],
)
def test_what_a_trial_does_to_the_pods_itself_is_no_excuse(changes: dict[str, Any], told: bool) -> None:
    profile = replace(spec(*PROFILE.space.knobs, HPA), guards=GUARDS)
    parent = setting(workers=4, pool=4, max_replicas=4)
    item: Intent = replace(TRIAL, parent=parent, stages=(setting(workers=6, pool=4, max_replicas=4),))
    assert (disturbed(profile, replace(item, **changes), bad(180)) is SCALED) is told


def ended(reason: Reason, end: float = 0, state: TrialState = TrialState.INCONCLUSIVE) -> TrialSummary:
    return TrialSummary(
        "i-1", setting(workers=6, pool=4), setting(workers=4, pool=4), state, reason, at(end - 60), at(end)
    )


@pytest.mark.parametrize(
    ("trials", "seconds", "asked"),
    [
        # remembered for 10 x (60 + 120 + 600) s = 7800 s, then twice that
        pytest.param((ended(SCALED),), 7800, False, id="not_at_once"),
        pytest.param((ended(SCALED),), 7801, True, id="not_for_ever"),
        pytest.param((ended(ROLLED),), 7800, False, id="a_rollout"),
        pytest.param((ended(SCALED, -9000), ended(SCALED)), 15600, False, id="twice_is_twice_as_long"),
        pytest.param((ended(Reason.LOAD_CHANGED),), 0, True, id="load_changed_as_ever"),
        pytest.param((ended(Reason.STOPPED),), 0, True, id="a_stop_as_ever"),
    ],
)
def test_the_same_setting_is_not_asked_again_for_free(
    trials: tuple[TrialSummary, ...], seconds: float, asked: bool
) -> None:
    """It may have been the trial's harm that made an autoscaler act: nobody can tell."""
    seen = snapshot(PROFILE, ledger(trials=trials), read_at=at(seconds))
    found = limits.recently_failed(seen, setting(workers=4, pool=4), setting(workers=6, pool=4))
    assert found.reason is (Reason.WITHIN_LIMITS if asked else Reason.RECENTLY_FAILED)


def test_nor_proposed() -> None:
    seen = snapshot(PROFILE, ledger(trials=(ended(SCALED, -60),)), read_at=T0)
    assert decide(seen, wish(setting(workers=6, pool=4)), T0).action is not Action.START
    assert decide(replace(seen, ledger=ledger()), wish(setting(workers=6, pool=4)), T0).action is Action.START, (
        "the twin"
    )
