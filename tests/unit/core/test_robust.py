"""Where a short series lies and how much it scatters: outliers on either side change neither."""

from __future__ import annotations

import pytest

from pegbox.core import robust
from pegbox.core.robust import correlation, spread

STEPS = [-0.2, -0.1, 0.0, 0.1, 0.2]


def test_a_symmetric_series_lies_at_its_middle() -> None:
    # deviations 0.2 0.1 0 0.1 0.2, median 0.1: scale 0.14826; -0.2 is clipped to -0.148, so the centre gives way a little
    found = spread(STEPS)
    assert found.scale == pytest.approx(0.14826)
    # sum of clipped deviations: (-0.14826) + (-0.1 - c) + (0 - c) + (0.1 - c) + (0.2 - c) = 0
    assert found.centre == pytest.approx((0.2 - 0.14826) / 4)


def test_clipped_deviations_from_the_centre_sum_to_zero() -> None:
    values = [1.0, 1.3, 0.2, 5.0, 1.1, 0.9, -3.0, 1.2]
    found = spread(values)
    assert sum(found.clip(v) for v in values) == pytest.approx(0.0, abs=1e-9)


def test_one_outlier_of_a_thousandfold_moves_it_no_more_than_one_of_tenfold() -> None:
    calm = STEPS * 8
    one, other = spread([*calm, 2.3]), spread([*calm, 6.9])
    assert one.centre == pytest.approx(other.centre)
    assert one.sd == pytest.approx(other.sd)


def test_the_variance_is_of_clipped_samples_over_three_fewer_than_there_are() -> None:
    values = [0.0, 0.1] * 4  # scale 0.05 * 1.4826 = 0.07413, centre 0.05: none is clipped
    assert spread(values).sd == pytest.approx((8 * 0.05**2 / 5) ** 0.5)


def test_equal_samples_have_the_least_scatter_and_no_correlation() -> None:
    found = spread([3.0] * 20)
    assert (found.centre, found.scale, found.sd, found.correlation) == (3.0, robust.MIN_SD, robust.MIN_SD, 0.0)


def test_a_smaller_value_never_counts_as_more() -> None:
    found = spread(STEPS)
    counted = [found.clip(x / 50 - 1) for x in range(100)]
    assert counted == sorted(counted)


def test_correlation_by_a_worked_row() -> None:
    # around the mean 0: products 1*1 + 1*-1 + -1*-1 = 1 over 4, then + (1 + 3/4) / 4
    assert correlation([1.0, 1.0, -1.0, -1.0]) == pytest.approx(0.25 + 0.4375)


def test_a_saw_counts_as_independent_and_a_ramp_as_no_more_than_the_most() -> None:
    assert correlation([1.0, -1.0] * 10) == 0.0
    assert correlation([float(n) for n in range(40)]) == robust.MAX_CORRELATION
