"""Claims of the upstream's books and of the client that keeps within them."""

from __future__ import annotations

import random
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from issue_service.upstream import Books
from issue_service.upstream_client import RateGate
from issue_service.workload import Upstream

NUMBERS = Upstream(
    latency_median=0.2, latency_sigma=0.2, per_issue=0.01, seed=1, rate_limit=10, window=1.0, concurrency_limit=3
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_call_above_the_rate_limit_is_refused_and_counts_in_the_window() -> None:
    clock = Clock()
    books = Books(NUMBERS, clock)
    outcomes = []
    for _ in range(12):
        outcomes.append(books.admit())
        books.in_flight = 0
    assert outcomes == ["ok"] * 10 + ["rate_limited"] * 2
    assert books.window_max == 12
    assert books.headers()["X-RateLimit-Remaining"] == "0"


def test_the_next_window_starts_anew_on_the_grid() -> None:
    clock = Clock()
    books = Books(NUMBERS, clock)
    for _ in range(10):
        books.admit()
        books.in_flight = 0
    clock.now = 2.25
    assert books.admit() == "ok"
    assert books.headers()["X-RateLimit-Remaining"] == "9"
    assert books.headers()["X-RateLimit-Reset"] == "0.750"


def test_a_call_above_the_concurrency_limit_is_refused() -> None:
    books = Books(NUMBERS, Clock())
    assert [books.admit() for _ in range(4)] == ["ok"] * 3 + ["concurrency_limited"]
    assert books.in_flight_max == 3


def headers(remaining: int, reset: float) -> dict[str, str]:
    return {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": str(reset)}


@pytest.mark.parametrize(
    ("remaining", "at", "wait"),
    [(5, 0.0, 0.0), (2, 0.0, 0.0), (1, 0.0, 0.6), (0, 0.25, 0.35), (0, 0.6, 0.0)],
    ids=["room", "above the reserve", "reserve of a tenth: 1 of 10", "later in the window", "the window is over"],
)
def test_the_gate_waits_until_the_windows_end_when_only_the_reserve_is_left(
    remaining: int, at: float, wait: float
) -> None:
    clock = Clock()
    gate = RateGate(random.Random(1), clock)
    gate.learn(headers(remaining, 0.6))
    clock.now = at
    assert gate.wait_seconds() == pytest.approx(wait)


def test_headers_that_are_missing_or_no_numbers_change_nothing() -> None:
    gate = RateGate(random.Random(1), Clock())
    gate.learn(headers(0, 5.0))
    gate.learn({})
    gate.learn({"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "9", "X-RateLimit-Reset": "1"})
    assert gate.wait_seconds() == 5.0


def test_retry_after_closes_the_gate_for_its_time() -> None:
    clock = Clock()
    gate = RateGate(random.Random(1), clock)
    gate.stop_for(2.0)
    clock.now = 1.5
    assert gate.wait_seconds() == pytest.approx(0.5)


@given(st.integers(0, 20), st.integers(0, 2**32))
async def test_between_two_answers_the_gate_lets_no_more_pass_than_the_room_it_was_told(room: int, seed: int) -> None:
    gate = RateGate(random.Random(seed), Clock())
    gate.learn({"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": str(room), "X-RateLimit-Reset": "1"})
    passed = 0
    for _ in islice(range(100), 100):
        if gate.wait_seconds() > 0:
            break
        await gate.permit()
        passed += 1
    # A tenth of 20 stays in reserve.
    assert passed == max(0, room - 2)
