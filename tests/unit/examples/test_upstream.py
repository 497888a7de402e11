"""Claims of the upstream's books and of the client that keeps within them."""

from __future__ import annotations

import asyncio

import pytest

from issue_service.rate_gate import RateGate
from issue_service.upstream import Books
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


class Shared:
    """Stands for Redis: answers each question with the next of the given waits, and notes what was asked."""

    def __init__(self, *waits: float) -> None:
        self.waits = list(waits)
        self.asked: list[tuple[int, float]] = []

    async def __call__(self, limit: int, window: float) -> float:
        self.asked.append((limit, window))
        return self.waits.pop(0) if self.waits else 0.0


def headers(limit: str, policy: str) -> dict[str, str]:
    return {"X-RateLimit-Limit": limit, "RateLimit-Policy": policy}


def test_the_gate_keeps_to_95_percent_of_what_the_headers_tell() -> None:
    gate = RateGate(Shared())
    gate.learn(headers("80", "80;w=2"))
    assert gate.allowed == (76, 2.0)


@pytest.mark.parametrize(
    "told",
    [{}, headers("many", "80"), headers("0", "80;w=0"), headers("-5", ""), headers("\u0668", "w=1")],
    ids=["no headers", "words", "zero", "negative", "digits that are not ASCII"],
)
def test_headers_that_cannot_be_read_change_nothing(told: dict[str, str]) -> None:
    gate = RateGate(Shared())
    gate.learn(headers("80", "80;w=1"))
    gate.learn(told)
    assert gate.allowed == (76, 1.0)


def test_before_the_first_answer_the_gate_is_careful() -> None:
    assert RateGate(Shared()).allowed == (9, 1.0)


async def test_a_call_waits_until_the_shared_window_has_room() -> None:
    shared = Shared(0.001, 0.001, 0.001)
    gate = RateGate(shared)
    await gate.permit()
    assert gate.waits == 2
    assert len(shared.asked) == 4, "once before the line, three times in it"


async def test_while_one_waits_the_others_stand_in_line_without_asking() -> None:
    shared = Shared(0.001, 0.001)
    gate = RateGate(shared)
    first = asyncio.ensure_future(gate.permit())
    for _ in range(3):
        await asyncio.sleep(0)
    others = [asyncio.ensure_future(gate.permit()) for _ in range(9)]
    await asyncio.sleep(0)
    assert len(shared.asked) == 2, "the first one before the line and in it"
    await asyncio.gather(first, *others)
    assert len(shared.asked) == 12, "ten permits and the first one's two waits"


async def test_retry_after_closes_the_gate_for_its_time_without_asking() -> None:
    clock, shared = Clock(), Shared()
    gate = RateGate(shared, clock)
    gate.stop_for(0.001)
    waiting = asyncio.ensure_future(gate.permit())
    await asyncio.sleep(0)
    assert shared.asked == []
    clock.now = 0.001
    await waiting
    assert len(shared.asked) == 1
