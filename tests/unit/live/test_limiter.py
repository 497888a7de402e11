"""Claims of Resizable: when a shrink is in force, what is measured, what is refused. Random runs: tests/property."""

from __future__ import annotations

import asyncio

import pytest

from pegbox.live.limiter import Resizable


async def turns(count: int = 5) -> None:
    """Let the event loop run what is ready, without time passing."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_settled_returns_when_the_shrink_is_in_force() -> None:
    limiter = Resizable(3)
    for _ in range(3):
        await limiter.acquire()
    limiter.resize(1)
    settled = asyncio.ensure_future(limiter.settled())
    limiter.release()
    await turns()
    assert not settled.done()
    limiter.release()
    await turns()
    assert settled.done()


async def test_busy_seconds_are_the_integral_of_slots_held() -> None:
    now = [0.0]
    limiter = Resizable(4, clock=lambda: now[0])
    await limiter.acquire()
    now[0] = 2.0
    await limiter.acquire()
    now[0] = 5.0
    limiter.release()
    now[0] = 6.0
    # 1 slot x 2 s + 2 slots x 3 s + 1 slot x 1 s
    assert limiter.busy_seconds() == 9.0


async def test_the_wait_of_each_acquire_is_observed() -> None:
    now, waits = [0.0], list[float]()
    limiter = Resizable(1, clock=lambda: now[0], wait_observer=waits.append)
    await limiter.acquire()
    second = asyncio.ensure_future(limiter.acquire())
    await turns()
    now[0] = 1.5
    limiter.release()
    await second
    assert waits == [0.0, 1.5]


async def test_one_release_too_many_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exactly once"):
        Resizable(1).release()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_stops_all_work_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="the least is 1"):
        Resizable(limit)
