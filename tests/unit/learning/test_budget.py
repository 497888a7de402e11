"""A share is told by the error budget that it uses up."""

from __future__ import annotations

import math

import pytest

from pegbox.learning.budget import quality


def test_a_share_that_just_meets_its_target_is_the_zero() -> None:
    assert quality(0.95, 0.95) == pytest.approx(0.0)


def test_twice_the_budget_is_as_many_logs_whatever_the_target_is() -> None:
    """-0.05 log(2.1 / 1.1) = -0.0323."""
    assert quality(0.90, 0.95) == pytest.approx(-0.0323, abs=5e-5)
    assert quality(0.998, 0.999) == pytest.approx(-0.0323, abs=5e-5)


def test_half_a_budget_left_is_seen_where_the_log_of_the_share_sees_little() -> None:
    """From 0.9995 to 0.975 the share loses 2.5 %: 0.05 log(0.6 / 0.11) is 0.0848."""
    assert quality(0.9995, 0.95) - quality(0.975, 0.95) == pytest.approx(0.0848, abs=5e-5)


def test_misses_too_few_to_count_differ_by_next_to_nothing() -> None:
    """The twin: 1e-6 and 1e-4 of misses are a factor 100, and 0.1 % apart."""
    assert quality(1 - 1e-6, 0.95) - quality(1 - 1e-4, 0.95) == pytest.approx(0.001, abs=1e-4)


def test_more_is_better_and_a_share_above_one_is_one() -> None:
    shares = [1e-3, 0.5, 0.9, 0.95, 0.99, 1.0]
    assert sorted(shares, key=lambda s: quality(s, 0.95)) == shares
    assert quality(1.0 + 1e-12, 0.95) == quality(1.0, 0.95) == pytest.approx(0.05 * math.log(11))
