"""Buckets: figures worked by hand from one histogram of 100 events."""

from __future__ import annotations

import math

import pytest

from pegbox.core.histogram import Bound, bound_for, cumulative, quantile
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

INF = math.inf
HUNDRED = {0.1: 20.0, 0.5: 80.0, 1.0: 96.0, INF: 100.0}


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        pytest.param(0.10, 0.05, id="first_bucket_starts_at_zero"),  # rank 10 of 20 in 0..0.1
        pytest.param(0.20, 0.10, id="at_a_bound"),
        pytest.param(0.50, 0.30, id="middle"),  # rank 50: 0.1 + 0.4 x (50 - 20) / 60
        pytest.param(0.95, 0.96875, id="upper"),  # rank 95: 0.5 + 0.5 x (95 - 80) / 16
    ],
)
def test_a_quantile_is_linear_inside_its_bucket(q: float, expected: float) -> None:
    assert quantile(q, HUNDRED) == pytest.approx(expected)


def test_a_quantile_in_the_infinite_bucket_is_missing_with_the_bound_that_it_exceeds() -> None:
    found = quantile(0.99, HUNDRED)
    assert isinstance(found, Missing)
    assert (found.reason, found.detail) == (Reason.NOT_A_NUMBER, "above the largest bucket bound, 1")


@pytest.mark.parametrize(
    ("buckets", "reason"),
    [
        pytest.param({}, Reason.PARTIAL_DATA, id="none"),
        pytest.param({INF: 5.0}, Reason.PARTIAL_DATA, id="only_the_infinite_one"),
        pytest.param({0.1: 1.0, 0.5: 2.0}, Reason.PARTIAL_DATA, id="no_infinite_one"),
        pytest.param({0.1: 0.0, INF: 0.0}, Reason.TOO_FEW_EVENTS, id="no_events"),
    ],
)
def test_a_quantile_of_what_is_no_histogram_is_missing(buckets: dict[float, float], reason: Reason) -> None:
    found = quantile(0.5, buckets)
    assert isinstance(found, Missing)
    assert found.reason is reason


def test_empty_buckets_between_are_no_division_by_zero() -> None:
    assert quantile(0.5, {0.1: 0.0, 0.2: 0.0, 0.4: 10.0, 0.8: 10.0, INF: 10.0}) == pytest.approx(0.3)


def test_a_bucket_that_shrank_by_rounding_is_read_as_its_predecessor() -> None:
    assert cumulative({1.0: 4.999, 0.5: 5.0, INF: 6.0}) == [(0.5, 5.0), (1.0, 5.0), (INF, 6.0)]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        pytest.param(0.5, Bound(0.5, exact=True), id="at_a_bound"),
        pytest.param(0.1 + 0.4, Bound(0.5, exact=True), id="at_a_bound_up_to_rounding"),
        pytest.param(0.7, Bound(0.5, exact=False), id="between_bounds_the_lower_one"),
        pytest.param(9.0, Bound(1.0, exact=False), id="above_all_the_largest_finite_one"),
    ],
)
def test_a_threshold_is_counted_at_the_bound_at_or_below_it(threshold: float, expected: Bound) -> None:
    assert bound_for(tuple(HUNDRED), threshold) == expected


def test_a_threshold_below_all_bounds_cannot_be_counted() -> None:
    found = bound_for(tuple(HUNDRED), 0.05)
    assert isinstance(found, Missing)
    assert "add 0.05 to the histogram's buckets" in found.detail
