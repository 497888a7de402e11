"""SLOs judged by counted events."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from pegbox.core.slo import SloJudgement, SloState, budget_spent, burn_rate, burning, judge
from pegbox.model.observations import Attainment, Missing
from pegbox.model.profile import Slo
from pegbox.model.reasons import Reason

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


@pytest.mark.parametrize(
    ("good", "goal", "expected"),
    [
        pytest.param(95, Fraction(95, 100), 1.0, id="spending_exactly_what_is_allowed"),
        pytest.param(80, Fraction(95, 100), 4.0, id="four_times_as_fast"),  # 20 % bad, 5 % allowed
        pytest.param(100, Fraction(95, 100), 0.0, id="nothing_bad"),
        pytest.param(99, Fraction(1), math.inf, id="a_goal_of_all_allows_none"),
        pytest.param(100, Fraction(1), 0.0, id="a_goal_of_all_met"),
    ],
)
def test_burn_rate_is_bad_over_allowed(good: float, goal: Fraction, expected: float) -> None:
    assert burn_rate(Attainment(good, 100.0), goal) == pytest.approx(expected)


def test_an_hour_at_fourteen_point_four_spends_two_percent_of_thirty_days() -> None:
    # 14.4 x 1 h / 720 h = 0.02: the fast-burn alert of the SRE Workbook.
    assert budget_spent(14.4, Fraction(3600)) == pytest.approx(0.02)


GONE = Missing(Reason.NO_DATA)


@pytest.mark.parametrize(
    ("short", "long", "expected"),
    [
        pytest.param(15.0, 15.0, True, id="both_burn"),
        pytest.param(15.0, 1.0, False, id="a_hiccup"),
        pytest.param(1.0, 15.0, False, id="over_already"),
        pytest.param(GONE, 1.0, False, id="one_window_is_enough_for_a_no"),
        pytest.param(GONE, 15.0, GONE, id="one_window_is_not_enough_for_a_yes"),
        pytest.param(15.0, GONE, GONE, id="nor_the_other"),
    ],
)
def test_both_windows_must_burn(short: float | Missing, long: float | Missing, expected: bool | Missing) -> None:
    assert burning(short, long, 14.4) == expected
