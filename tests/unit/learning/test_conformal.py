"""Quantiles of what was missed: their ranks, their window, and the size by which they are scaled."""

from __future__ import annotations

import pytest

from pegbox.learning.conformal import FLOOR, RollingQuantile, UsualMiss


def _of(scores: list[float], window: int = 4320) -> RollingQuantile:
    made = RollingQuantile(window=window)
    for score in scores:
        made.add(score)
    return made


@pytest.mark.parametrize(
    ("quantile", "expected"),
    [
        pytest.param(0.9, 90.9, id="(100 + 1) x 0.9 = 90.9"),
        pytest.param(0.99, 99.99, id="between the two highest"),
        pytest.param(0.999, 100.0, id="never above the highest"),
        pytest.param(0.005, 1.0, id="never below the lowest"),
    ],
)
def test_the_quantile_of_1_to_100_is_its_rank(quantile: float, expected: float) -> None:
    assert _of([float(i) for i in range(100, 0, -1)]).at(quantile) == pytest.approx(expected)


def test_scores_beyond_the_window_are_forgotten_in_the_order_they_came() -> None:
    made = _of([50.0, 1.0, 2.0, 3.0], window=3)
    assert len(made) == 3
    assert made.at(0.99) == 3.0


def test_equal_scores_are_forgotten_one_by_one() -> None:
    assert len(_of([1.0] * 10, window=4)) == 4


@pytest.mark.parametrize(
    ("quantile", "scores", "lacking"),
    [(0.9, 30, 0), (0.9, 29, 1), (0.99, 98, 1), (0.99, 99, 0), (0.98, 49, 0), (0.5, 0, 30)],
)
def test_a_quantile_is_told_once_a_score_may_lie_above_it(quantile: float, scores: int, lacking: int) -> None:
    """n scores carry quantiles up to n / (n + 1): 99 of them carry 0.99."""
    assert _of([0.0] * scores).lacking(quantile) == lacking


def test_the_first_miss_is_the_usual_one_without_a_bias_from_the_start() -> None:
    miss = UsualMiss(horizon=3)
    assert miss.size == 1.0
    miss.tell(-0.2)
    assert miss.size == pytest.approx(0.2 + FLOOR)


def test_after_a_burst_misses_count_as_large_and_then_small_again() -> None:
    miss = UsualMiss(horizon=1)
    for _ in range(500):
        miss.tell(0.02)
    quiet = miss.size
    for _ in range(3):
        miss.tell(0.5)
    burst = miss.size
    for _ in range(500):
        miss.tell(0.02)
    assert burst > 3 * quiet
    assert miss.size < 1.2 * quiet
