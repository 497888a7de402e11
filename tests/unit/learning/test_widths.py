"""Intervals that are wrong by a constant factor end up right; those that are right stay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pegbox.learning.widths import FIRST, MISSES, Width, Z


@pytest.mark.parametrize(
    ("error", "factor"),
    [
        pytest.param(2.3, FIRST * math.exp(-0.2 * 0.05), id="within 1.96 x 1.2 = 2.352: narrower by a hundredth"),
        pytest.param(2.4, FIRST * math.exp(0.2 * 0.95), id="beyond it: wider by a fifth"),
        pytest.param(-2.4, FIRST * math.exp(0.2 * 0.95), id="to either side"),
    ],
)
def test_one_error_moves_the_width(error: float, factor: float) -> None:
    width = Width()
    width.tell(error)
    assert width.factor == pytest.approx(factor)


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_whatever_the_models_sds_are_worth_one_in_twenty_misses(scale: float) -> None:
    width, missed = Width(), 0
    errors = scale * np.random.default_rng(7).normal(size=4000)
    for error in errors:
        missed += abs(error) > Z * width.factor
        width.tell(float(error))
    assert missed / len(errors) == pytest.approx(MISSES, abs=0.01)
    assert width.factor == pytest.approx(scale, rel=0.5)


def test_the_twin_a_width_that_learns_nothing_misses_most_of_what_is_four_times_as_wild() -> None:
    errors = 4.0 * np.random.default_rng(7).normal(size=4000)
    assert np.mean(np.abs(errors) > Z * FIRST) > 0.5
