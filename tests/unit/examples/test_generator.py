"""Claims of the generator's arithmetic and of the calibration."""

from __future__ import annotations

from itertools import islice, takewhile

import pytest

from issue_service.calibrate import ALLOWED_LAG_P95, NEEDED_HASHES_PER_SECOND, judge
from issue_service.generator import Counts, arrivals, latency_quantiles, quantile


def test_arrivals_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    one, same, other = (list(islice(arrivals(50.0, seed), 100)) for seed in (1, 1, 2))
    assert one == same != other


def test_arrivals_come_at_their_rate() -> None:
    # 2,000 s x 50/s = 100,000 expected, standard deviation sqrt(100,000) = 316: five of them are 1.6 %.
    count = sum(1 for _ in takewhile(lambda due: due <= 2000.0, arrivals(50.0, 7)))
    assert abs(count - 100_000) < 1600


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [([1.0], 0.95, 1.0), ([1.0, 2.0], 0.5, 1.0), ([1.0, 2.0], 0.51, 2.0), (list(range(1, 101)), 0.95, 95)],
)
def test_a_quantile_is_the_smallest_value_that_covers_its_share(
    values: list[float], share: float, wanted: float
) -> None:
    assert quantile(values, share) == wanted


def test_nothing_committed_has_no_quantiles_rather_than_zero() -> None:
    assert latency_quantiles([]) == {}
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_counts_of_an_interval_are_the_difference() -> None:
    assert Counts(10, 7, 2, 1).minus(Counts(4, 3, 1, 0)) == Counts(6, 4, 1, 1)


FAST, PROMPT = NEEDED_HASHES_PER_SECOND, [0.001] * 100


@pytest.mark.parametrize(
    ("speed", "lags", "fast", "word"),
    [
        (FAST, PROMPT, True, "fast enough"),
        (FAST - 1.0, PROMPT, False, "CPU"),
        (FAST, [0.001] * 90 + [ALLOWED_LAG_P95 * 1.1] * 10, False, "event loop"),
        (FAST, [0.001] * 97 + [1.0] * 3, True, "fast enough"),
    ],
    ids=["a fast machine", "a slow core", "an event loop that comes late", "three late sleeps of a hundred"],
)
def test_the_machine_is_judged_by_cpu_and_lateness(speed: float, lags: list[float], fast: bool, word: str) -> None:
    found = judge(speed, lags)
    assert found.fast_enough is fast
    assert word in found.reason
