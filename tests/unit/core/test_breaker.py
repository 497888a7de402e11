"""The breaker: every row of its table."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction as F

import pytest

from pegbox.core.breaker import LONGEST, fail, open_time, succeed, tick
from pegbox.model.profile import Guards
from pegbox.model.trials import Breaker, BreakerState
from tests.unit.core.build import T0, at

GUARDS = Guards(failures_to_open=3, breaker_base=F(900))
OPEN = Breaker(BreakerState.OPEN, failures=3, opened=1, until=at(900))
HALF = Breaker(BreakerState.HALF_OPEN, failures=3, opened=1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(Breaker(), Breaker(failures=1), id="closed_counts_a_failure_below_the_limit"),
        pytest.param(Breaker(failures=2), OPEN, id="closed_opens_with_the_failure_that_meets_the_limit"),
        pytest.param(OPEN, OPEN, id="open_is_not_opened_further_by_a_requested_trial"),
        # base 900 s doubled once for the opening before: 1800 s
        pytest.param(HALF, Breaker(BreakerState.OPEN, 4, 2, at(1800)), id="a_failed_probe_doubles_the_wait"),
    ],
)
def test_a_failure(before: Breaker, after: Breaker) -> None:
    assert fail(before, GUARDS, T0, 0.0) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(Breaker(failures=2), Breaker(), id="closed_forgets_its_failures"),
        pytest.param(HALF, Breaker(), id="half_open_closes_and_forgets_its_openings"),
        pytest.param(OPEN, OPEN, id="open_stays_open"),
    ],
)
def test_a_success(before: Breaker, after: Breaker) -> None:
    assert succeed(before) == after


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        pytest.param(899, BreakerState.OPEN, id="one_second_before_its_time_it_is_open"),
        pytest.param(900, BreakerState.HALF_OPEN, id="at_its_time_it_half_opens"),
    ],
)
def test_time_half_opens(seconds: int, state: BreakerState) -> None:
    assert tick(OPEN, at(seconds)).state is state


def test_time_moves_neither_closed_nor_half_open() -> None:
    assert tick(Breaker(failures=2), at(10**6)) == Breaker(failures=2)
    assert tick(HALF, at(10**6)) == HALF


@pytest.mark.parametrize(
    ("opened", "jitter", "expected"),
    [
        pytest.param(0, 0.0, timedelta(seconds=900), id="the_base"),
        pytest.param(3, 0.0, timedelta(seconds=7200), id="eight_times_the_base"),
        pytest.param(0, 1.0, timedelta(seconds=990), id="stretched_by_a_tenth_at_most"),
        pytest.param(7, 0.0, LONGEST, id="115200_seconds_are_cut_to_a_day"),
        pytest.param(10**6, 1.0, LONGEST, id="any_number_of_openings_ends_at_a_day"),
    ],
)
def test_the_open_time_doubles_up_to_a_day(opened: int, jitter: float, expected: timedelta) -> None:
    assert open_time(F(900), opened, jitter) == expected
