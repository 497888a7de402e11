"""SLOs judged by counted events."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pegbox.core.slo import SloJudgement, SloState, headroom, judge, standing
from pegbox.model.observations import Attainment, Missing
from pegbox.model.profile import OnNoData, Slo
from pegbox.model.reasons import Reason
from tests.unit.core.build import FAST as HUNDRED
from tests.unit.core.build import snapshot, spec, window

FAST = Slo("fast", "took", Fraction(95, 100), Fraction(1, 2), minimum_events=200)


@pytest.mark.parametrize(
    ("good", "total", "state"),
    [
        pytest.param(190.0, 200.0, SloState.MET, id="exactly_the_goal"),
        pytest.param(189.99999999, 200.0, SloState.MET, id="the_goal_up_to_rounding_of_rates"),
        pytest.param(189.9, 200.0, SloState.BREACHED, id="a_tenth_of_an_event_below"),
        pytest.param(0.0, 500.0, SloState.BREACHED, id="nothing_good"),
        pytest.param(500.0, 500.0, SloState.MET, id="everything_good"),
    ],
)
def test_an_slo_is_met_when_the_share_reaches_the_goal(good: float, total: float, state: SloState) -> None:
    found = judge(FAST, Attainment(good, total))
    assert isinstance(found, SloJudgement)
    assert found.state is state
    assert found.slack == pytest.approx(good / total - 0.95)


@pytest.mark.parametrize("total", [0.0, 1.0, 199.0])
def test_fewer_events_than_the_minimum_prove_neither(total: float) -> None:
    found = judge(FAST, Attainment(0.0, total))
    assert isinstance(found, Missing)
    assert found.reason is Reason.TOO_FEW_EVENTS


def test_a_minimum_of_zero_events_still_needs_one() -> None:
    free = Slo("x", "took", Fraction(95, 100), minimum_events=0)
    assert isinstance(judge(free, Attainment(0.0, 0.0)), Missing)


def test_missing_stays_missing() -> None:
    why = Missing(Reason.STALE_DATA, "x")
    assert judge(FAST, why) is why


GOOD, BAD, FEW = Attainment(1188.0, 1200.0), Attainment(900.0, 1200.0), Attainment(3.0, 10.0)
GONE = Missing(Reason.STALE_DATA, "x")


@pytest.mark.parametrize(
    ("own", "newest", "expected"),
    [
        pytest.param(GOOD, GOOD, True, id="met_and_still_met"),
        pytest.param(BAD, BAD, False, id="missed_and_still_missed"),
        pytest.param(BAD, GONE, False, id="missed_and_nothing_new"),
        pytest.param(GOOD, GONE, True, id="met_and_nothing_new"),
        pytest.param(BAD, FEW, False, id="missed_and_ten_events_since_prove_nothing"),
        pytest.param(BAD, GOOD, Reason.SLO_AT_RISK, id="missed_under_the_setting_before_and_met_now"),
        pytest.param(GOOD, BAD, Reason.SLO_AT_RISK, id="met_so_far_and_missed_now"),
        pytest.param(GONE, BAD, Reason.STALE_DATA, id="unknown_over_its_own_window"),
        pytest.param(FEW, BAD, Reason.TOO_FEW_EVENTS, id="ten_events_in_its_own_window"),
    ],
)
def test_headroom_needs_the_own_window_and_the_newest_one_to_agree(
    own: Attainment | Missing, newest: Attainment | Missing, expected: bool | Reason
) -> None:
    found = headroom(snapshot(observation=window(slos={"fast": newest}), slos={"fast": own}))
    assert (found.reason if isinstance(found, Missing) else found) == expected


def test_one_missed_slo_outweighs_one_that_is_unknown() -> None:
    profile = spec(slos=(replace(HUNDRED, name="a"), replace(HUNDRED, name="b")))
    for order in (("a", "b"), ("b", "a")):
        slos = {order[0]: GONE, order[1]: BAD}
        assert headroom(snapshot(profile, observation=window(slos=slos), slos=slos)) is False


def test_an_slo_that_was_never_asked_over_its_window_is_unknown_and_not_met() -> None:
    found = standing(snapshot(slos={}))["fast"]
    assert isinstance(found, Missing) and found.reason is Reason.NO_DATA


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(OnNoData.HOLD, Reason.STALE_DATA), (OnNoData.REVERT, Reason.STALE_DATA), (OnNoData.IGNORE, True)],
)
def test_only_an_ignored_slo_without_data_leaves_headroom(policy: OnNoData, expected: bool | Reason) -> None:
    profile = spec(slos=(replace(HUNDRED, on_no_data=policy),))
    found = headroom(snapshot(profile, slos={"fast": GONE}))
    assert (found.reason if isinstance(found, Missing) else found) == expected
