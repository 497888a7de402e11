"""The largest rise over a horizon: what no forecast is taken to exceed."""

from __future__ import annotations

import math

import pytest

from pegbox.learning.load_rises import DAYS, LargestRise


def seen(*loads: float | None, horizon: int = 2, day: int = 1000) -> LargestRise:
    rise = LargestRise(horizon, day=day, unit=0.0)
    for load in loads:
        rise.see(load)
    return rise


@pytest.mark.parametrize(
    ("loads", "beyond"),
    [
        pytest.param((), 10.0, id="nothing_seen_no_rise"),
        pytest.param((10.0, 11.0, 12.0), 12.0, id="over_two_steps"),
        pytest.param((10.0, 30.0), 10.0, id="one_step_is_no_horizon"),
        pytest.param((20.0, 10.0, 5.0), 10.0, id="a_fall_is_no_rise"),
        pytest.param((10.0, None, 20.0, 12.0), 20.0, id="a_gap_in_between"),
        pytest.param((10.0, 10.0, None, None, 90.0), 10.0, id="no_rise_out_of_a_gap"),
    ],
)
def test_the_largest_rise(loads: tuple[float | None, ...], beyond: float) -> None:
    assert seen(*loads).beyond(10.0) == pytest.approx(beyond)


def test_a_rise_is_forgotten_after_eight_days() -> None:
    rise = seen(10.0, 10.0, 20.0, day=10)
    for _ in range(10 * (DAYS - 1)):
        rise.see(20.0)
    assert rise.beyond(10.0) == pytest.approx(20.0)
    for _ in range(10):
        rise.see(20.0)
    assert rise.beyond(10.0) == pytest.approx(10.0)


def test_a_rise_from_nothing_is_finite() -> None:
    rise = LargestRise(1, day=10, unit=1.0)
    for load in (0.0, 5.0):
        rise.see(load)
    assert rise.beyond(0.0) == pytest.approx(5.0) and math.isfinite(rise.beyond(1e15))
