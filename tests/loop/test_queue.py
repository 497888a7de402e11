"""The keyed queue: one worker per key at a time, nothing lost, failures delay nobody else. In virtual time."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegbox.runtime.queue import LONGEST_BACKOFF, TICK, KeyedQueue, work
from pegbox.testing.clock import FakeClock
from tests.loop import documents
from tests.loop.world import make

ADDS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.sampled_from([0.0, 1.0, 7.0])), max_size=30)
LENGTHS = st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=1, max_size=6)


async def served(
    adds: list[tuple[str, int, float]], lengths: list[float], workers: int
) -> tuple[dict[str, list[float]], int]:
    """Keys are marked at given times while workers run; when each run began, and the most runs of one key at once."""
    clock = FakeClock(auto=False)
    queue = KeyedQueue(clock, lambda: 0.0)
    began: dict[str, list[float]] = defaultdict(list)
    running: dict[str, int] = defaultdict(int)
    most = 0

    async def run(key: str) -> float | None:
        nonlocal most
        began[key].append(clock.monotonic())
        running[key] += 1
        most = max(most, running[key])
        await clock.sleep(lengths[sum(map(len, began.values())) % len(lengths)])
        running[key] -= 1
        return None

    tasks = [asyncio.create_task(work(queue, run)) for _ in range(workers)]
    for key, at, after in sorted(adds, key=lambda each: each[1]):
        await clock.advance(at - clock.monotonic())
        queue.add(key, after)
    await clock.advance(600)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(queue) == 0
    return began, most


@given(ADDS, LENGTHS, st.integers(1, 3))
def test_a_key_never_runs_twice_at_a_time_and_every_mark_is_followed_by_a_run(
    adds: list[tuple[str, int, float]], lengths: list[float], workers: int
) -> None:
    began, most = asyncio.run(served(adds, lengths, workers))
    assert most <= 1
    for key, at, after in adds:
        assert any(start >= at - TICK for start in began[key]), (key, at, after, began)


@pytest.mark.parametrize("after", [0.0, 2.0], ids=["at once", "in a while"])
async def test_a_key_marked_while_it_runs_runs_once_more(after: float) -> None:
    clock = FakeClock(auto=False)
    queue = KeyedQueue(clock, lambda: 0.0)
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a", after)
    queue.add("a", after + 5)  # an earlier due time wins
    queue.done("a", 300.0)
    assert queue.overdue == pytest.approx(-after)


async def test_a_failure_backs_off_and_a_mark_meanwhile_ends_the_wait() -> None:
    clock = FakeClock(auto=False)
    queue = KeyedQueue(clock, lambda: 0.0)
    waits = []
    queue.add("a")
    for _ in range(8):
        await clock.advance(100)
        assert await queue.take() == "a"
        waits.append(queue.failed("a"))
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_BACKOFF, LONGEST_BACKOFF]
    await clock.advance(100)
    assert await queue.take() == "a"
    queue.add("a")
    assert queue.failed("a") == 0.0


async def test_jitter_stretches_a_back_off_by_at_most_a_half() -> None:
    queue = KeyedQueue(FakeClock(auto=False), lambda: 0.999)
    queue.add("a")
    await queue.take()
    assert 1.0 <= queue.failed("a") < 1.5


async def test_one_broken_profile_does_not_stop_another() -> None:
    """A wake that hangs for 30 s and then fails, on two workers: the others stay within a second of their due time."""
    clock = FakeClock(auto=False)
    queue = KeyedQueue(clock, lambda: 0.0)
    late: list[float] = []
    due = {f"good-{n}": 0.0 for n in range(20)}

    async def run(key: str) -> float | None:
        if key == "bad":
            await clock.sleep(30.0)
            return -1.0
        late.append(clock.monotonic() - due[key])
        await clock.sleep(0.02)
        due[key] = clock.monotonic() + 5.0
        return 5.0

    for key in ("bad", *due):
        queue.add(key)
    tasks = [asyncio.create_task(work(queue, run)) for _ in range(2)]
    await clock.advance(300)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    late.sort()
    assert len(late) > 900
    assert late[int(0.99 * len(late))] < 1.0


async def test_a_profile_whose_every_wake_raises_is_told_and_the_next_one_goes_on() -> None:
    world = await make()
    await world.add(documents.profile("broken"), workers=2)
    await world.add(documents.profile("checkout"), workers=2)

    async def explode(snapshot: object, memory: object, now: object) -> object:
        if getattr(snapshot, "spec").name == "broken":  # noqa: B009
            raise RuntimeError("a bug")
        return await type(world.predicting).proposal(world.predicting, snapshot, memory, now)  # type: ignore[arg-type]

    world.reconciler.predicting.proposal = explode  # type: ignore[method-assign, assignment]
    for _ in range(8):
        assert await world.turn("broken") == -1.0
        await world.turn("checkout")
    assert (await world.condition("Degraded", "broken"))[:2] == ("True", "InternalError")
    assert await world.values("checkout") == {"workers": "2"}
    assert (await world.condition("Degraded"))[0] == "False"
