"""The parts of the forecaster: smoothing, trend, jumps, the regression and the weights over all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pegbox.learning.expert_mixture import ExpertMixture
from pegbox.learning.load_experts import DampedTrend, Jump, Season, Smoothed
from pegbox.learning.load_history import LoadHistory
from pegbox.learning.log_regression import LogRegression


def _history(loads: list[float | None], step: float = 60.0) -> LoadHistory:
    history = LoadHistory(step=step)
    for load in loads:
        history.see(load)
    return history


def test_the_recent_mean_is_over_what_was_measured_in_15_minutes() -> None:
    assert _history([1000.0, *[10.0] * 14, None]).mean == 10.0
    assert math.isnan(_history([*[10.0] * 5, *[None] * 15]).mean)


def test_what_is_older_than_the_ring_is_not_remembered() -> None:
    history = _history([float(i) for i in range(1000)], step=7200.0)  # a day is 12 steps, the ring 97
    assert history.load_at(0) == 999.0
    assert history.load_at(96) == pytest.approx(903.0, rel=0.0005)
    assert math.isnan(history.load_at(97))
    assert math.isnan(history.load_at(-1))


def test_smoothing_takes_its_share_per_minute_whatever_the_step() -> None:
    """30 % a minute: after one minute of 200 the level left 100 by 30, in one step or in six."""
    minute, fine = (Smoothed(name="x", share=0.3, step=step, unit=1.0) for step in (60.0, 10.0))
    for one, times in ((minute, 1), (fine, 6)):
        one.see(100.0)
        for _ in range(times):
            one.see(200.0)
        assert one.ahead(3) == pytest.approx(math.log(131.0))


def test_the_trend_is_damped_far_ahead() -> None:
    trend = DampedTrend(step=60.0, unit=1e-9)
    for i in range(200):
        trend.see(math.exp(0.01 * i))
    assert trend.ahead(2) > trend.ahead(1)
    assert trend.ahead(1000) - trend.ahead(0) < 0.01 * 10  # 0.9 + 0.81 + ... = 9 steps at most


def test_a_season_moves_the_recent_mean_by_at_most_a_factor_of_five() -> None:
    """A day of 12 steps that once began with 1,000 times its load."""
    history = _history([1.0] * 12 + [1000.0] + [1.0] * 11, step=7200.0)
    season = Season(history, name="yesterday", days=1, unit=1.0)
    assert season.ahead(1) == pytest.approx(math.log(2.0) + math.log(5.0))


def test_noise_is_no_jump_and_a_jump_is_what_exceeds_it() -> None:
    jump = Jump()
    assert [jump.see(0.02 * (-1) ** i) for i in range(300)] == [0.0] * 300
    assert jump.see(0.5) == pytest.approx(0.5 - 3 * 0.02, abs=0.01)
    assert jump.see(-0.5) < 0.0


def test_the_regression_finds_the_coefficients_that_made_the_data() -> None:
    chance = np.random.default_rng(3)
    regression = LogRegression(np.zeros(3))
    for _ in range(2000):
        x = chance.normal(size=3) * 0.3
        regression.update(x, float(x @ np.array([0.5, -0.2, 0.0])) + 0.01 * chance.normal())
    assert regression.coefficients == pytest.approx([0.5, -0.2, 0.0], abs=0.01)


def test_a_feature_that_never_moves_does_not_stop_the_learning_of_the_others() -> None:
    """Forgetting a tenth each step, what is not known of it would be 10 / 0.9^8000, which is no number any more.

    And after 7,000 steps without any error the change is learned, not taken for an outlier.
    """
    chance = np.random.default_rng(4)
    regression = LogRegression(np.zeros(2), forget=0.9)
    for step in range(8000):
        x = np.array([0.0, chance.normal() * 0.3])
        regression.update(x, float((0.5 if step < 7000 else -0.5) * x[1]))
    assert regression.coefficients == pytest.approx([0.0, -0.5], abs=0.01)


def test_one_wild_outcome_hardly_turns_the_regression() -> None:
    chance = np.random.default_rng(5)
    regression = LogRegression(np.zeros(1))
    for _ in range(500):
        x = chance.normal(size=1)
        regression.update(x, float(0.5 * x[0] + 0.05 * chance.normal()))
    regression.update(np.array([1.0]), 50.0)
    assert regression.coefficients == pytest.approx([0.5], abs=0.05)


def test_weights_start_equal_and_go_to_who_misses_less() -> None:
    mixture = ExpertMixture(2, horizon=1)
    logs = np.array([1.0, 2.0])
    assert mixture.weights(logs) == pytest.approx([0.5, 0.5])
    for _ in range(100):
        mixture.tell(logs, 1.1)  # 0.1 beside 0.9
    assert mixture.weights(logs)[0] > 0.99


def test_who_sleeps_has_no_weight_and_loses_none_while_asleep() -> None:
    mixture = ExpertMixture(3, horizon=1)
    for _ in range(50):
        mixture.tell(np.array([1.0, 1.2, np.nan]), 1.1)
    assert mixture.weights(np.array([1.0, 1.2, np.nan])) == pytest.approx([0.5, 0.5, 0.0])
    assert mixture.weights(np.array([1.0, 1.2, 1.1])) == pytest.approx([1 / 3] * 3)


def test_a_mixture_of_none_is_refused() -> None:
    mixture = ExpertMixture(2, horizon=1)
    mixture.tell(np.array([np.nan, np.nan]), 1.0)
    with pytest.raises(ValueError, match="awake"):
        mixture.blend(np.array([np.nan, np.nan]))


@pytest.mark.parametrize("load", [1e-9, 0.0003, 0.017, 1.0, 99.9, 12_345.678, 1e12])
def test_a_load_of_long_ago_is_known_within_a_two_thousandth_and_a_new_one_exactly(load: float) -> None:
    history = _history([load] + [7.0] * 60)
    assert history.load_at(60) == pytest.approx(load, rel=0.0005)
    history = _history([7.0] * 60 + [load])
    assert history.load_at(0) == load


@pytest.mark.parametrize("step", [60.0, 600.0, 3600.0])
def test_long_ago_a_gap_is_a_gap_and_zero_is_zero(step: float) -> None:
    history = _history([0.0, None, 1e-12, *[7.0] * 60], step)
    assert (history.load_at(62), history.load_at(60)) == (0.0, 0.0)
    assert math.isnan(history.load_at(61))


def test_the_mean_of_a_quarter_of_an_hour_is_that_also_where_a_step_is_longer() -> None:
    assert _history([1.0, 2.0, 9.0], 3600.0).mean == 9.0
