"""Replicas for a load: the HPA's count, and the floor that is set ahead of load."""

from __future__ import annotations

import math

import pytest

from pegbox.core.scale_out import ScaleRule, ahead_of_load, floor, reactive, stabilised
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

RULE = ScaleRule(capacity=100.0, target=0.8, least=2, most=20)
GAP = Missing(Reason.NO_DATA)
LEARNING = Missing(Reason.LEARNING, "30 more steps")


@pytest.mark.parametrize(
    ("load", "current", "wanted"),
    [
        pytest.param(800.0, 5, 10, id="800 of 80 each"),
        pytest.param(801.0, 5, 11, id="one more than ten carry"),
        pytest.param(870.0, 10, 10, id="1.0875 of the target: tolerated"),
        pytest.param(890.0, 10, 12, id="1.1125 of it: not"),
        pytest.param(730.0, 10, 10, id="0.9125 of it: tolerated"),
        pytest.param(700.0, 10, 9, id="0.875 of it: not"),
        pytest.param(0.0, 5, 2, id="never below the minimum"),
        pytest.param(1e9, 5, 20, id="never above the maximum"),
        pytest.param(GAP, 7, 7, id="nobody knows the load"),
        pytest.param(math.nan, 7, 7, id="nor with NaN"),
    ],
)
def test_the_hpa_counts_as_kubernetes_documents_it(load: float | Missing, current: int, wanted: int) -> None:
    assert reactive(load, current, RULE) == wanted


@pytest.mark.parametrize(
    ("load", "upper", "least"),
    [
        pytest.param(400.0, 900.0, 9, id="what is to come needs nine"),
        pytest.param(400.0, 100.0, 5, id="never below what the present load needs"),
        pytest.param(400.0, 0.0, 5, id="nor where nothing is to come"),
        pytest.param(GAP, 900.0, 9, id="the present is not known"),
        pytest.param(400.0, 1e12, 20, id="never above the maximum"),
        pytest.param(0.0, 0.0, 2, id="never below the minimum"),
    ],
)
def test_the_floor_covers_the_forecast_and_the_present(load: float | Missing, upper: float, least: int) -> None:
    assert floor(load, upper, RULE) == least


def test_without_a_forecast_there_is_no_floor_and_the_hpa_is_left_alone() -> None:
    assert floor(400.0, LEARNING, RULE) == LEARNING
    assert ahead_of_load(870.0, LEARNING, 10, RULE) == reactive(870.0, 10, RULE) == 10


@pytest.mark.parametrize("upper", [math.nan, math.inf], ids=str)
def test_a_forecast_that_is_no_number_scales_nothing(upper: float) -> None:
    """Endless load would be the maximum of replicas, by one division by zero."""
    assert isinstance(floor(400.0, upper, RULE), Missing)
    assert ahead_of_load(870.0, upper, 10, RULE) == reactive(870.0, 10, RULE) == 10


def test_the_floor_knows_no_tolerance() -> None:
    """1,090 of ten replicas' 1,000 is within an HPA's tolerance, and would be a bad minute."""
    assert ahead_of_load(800.0, 1090.0, 10, RULE) == 11


def test_a_forecast_never_lowers_what_the_hpa_wants() -> None:
    assert ahead_of_load(800.0, 1.0, 5, RULE) == 10


@pytest.mark.parametrize(
    ("now", "wanted"),
    [pytest.param(299.0, 9, id="within five minutes"), pytest.param(300.0, 4, id="then down")],
)
def test_replicas_are_given_up_five_minutes_late(now: float, wanted: int) -> None:
    assert stabilised([(0.0, 9), (60.0, 4), (now, 3)], now) == wanted


def test_replicas_are_added_at_once() -> None:
    assert stabilised([(0.0, 2), (60.0, 9)], 60.0) == 9


def test_a_wish_from_later_does_not_count() -> None:
    assert stabilised([(0.0, 2), (61.0, 9)], 60.0) == 2


def test_without_a_wish_there_is_no_count() -> None:
    with pytest.raises(InvalidInput, match="wishes"):
        stabilised([(0.0, 9)], 1000.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"capacity": 0.0},
        {"capacity": math.nan},
        {"target": 0.0},
        {"target": 1.1},
        {"ahead": 0.0},
        {"tolerance": 1.0},
        {"least": 0},
        {"least": 5, "most": 4},
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        ScaleRule(**{"capacity": 1.0, "target": 0.8, **wrong})  # type: ignore[arg-type]
