"""Claims of the issue queue on a real Redis: bounded by one script, at least once, nothing lost by a
cancel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError


@pytest.fixture
async def redis(redis_port: int) -> AsyncIterator[Redis]:
    client = Redis(host="127.0.0.1", port=redis_port)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def queue_of(redis: Redis) -> Callable[..., object]:
    from issue_service.shared_queue import SharedQueue

    return lambda lease=30.0, attempts=3: SharedQueue(redis, lease, attempts)


def issues(count: int, start: int = 0) -> list[object]:
    from issue_service.shared_queue import Issue

    return [Issue(f"id-{n}", float(n), float(n), "x") for n in range(start, start + count)]


async def test_many_pods_pushing_at_once_never_exceed_the_capacity(queue_of) -> None:
    pods = [queue_of() for _ in range(5)]
    taken = await asyncio.gather(*(pods[n % 5].push(issues(3, start=3 * n), capacity=20) for n in range(40)))
    assert sum(taken) == 20
    assert await pods[0].length() == 20


async def test_a_lowered_capacity_drops_nothing_and_refuses_new_issues(queue_of) -> None:
    queue = queue_of()
    assert await queue.push(issues(10), capacity=10) == 10
    assert await queue.push(issues(1, start=10), capacity=5) == 0
    assert await queue.length() == 10


async def test_issues_come_out_in_order_and_a_batch_is_what_is_there(queue_of) -> None:
    queue = queue_of()
    await queue.push(issues(5), capacity=10)
    assert [each.id for each in await queue.take(lambda: 3)] == ["id-0", "id-1", "id-2"]
    assert [each.id for each in await queue.take(lambda: 3)] == ["id-3", "id-4"]


async def test_a_taken_issue_is_leased_until_it_is_done(queue_of) -> None:
    queue = queue_of()
    await queue.push(issues(2), capacity=10)
    batch = await queue.take(lambda: 2)
    assert await queue.leased() == 2
    await queue.done(batch)
    assert (await queue.leased(), await queue.length()) == (0, 0)


async def test_what_a_dead_worker_held_comes_back_at_the_head(queue_of) -> None:
    dead, alive = queue_of(lease=-1.0), queue_of()
    await dead.push(issues(3), capacity=10)
    await dead.take(lambda: 1)
    assert await alive.recover() == (1, 0)
    batch = await alive.take(lambda: 3)
    assert [(each.id, each.attempt) for each in batch] == [("id-0", 1), ("id-1", 0), ("id-2", 0)]
    assert await alive.recover() == (0, 0), "a lease that still runs is left alone"


async def test_after_the_last_attempt_an_issue_is_a_dead_letter(queue_of, redis: Redis) -> None:
    queue = queue_of(attempts=2)
    await queue.push(issues(1), capacity=10)
    assert await queue.fail(await queue.take(lambda: 1)) == 0
    assert await queue.fail(await queue.take(lambda: 1)) == 1
    assert (await queue.length(), await queue.leased()) == (0, 0)
    assert await redis.llen("issues:dead") == 1


async def test_cancelled_takers_lose_nothing(queue_of) -> None:
    queue = queue_of()
    await queue.push(issues(50), capacity=100)
    for turns in range(12):
        takers = [asyncio.ensure_future(queue.take(lambda: 2)) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for taker in takers:
            taker.cancel()
        for found in await asyncio.gather(*takers, return_exceptions=True):
            if isinstance(found, list):
                await queue.fail(found)
        await queue.stop()
        assert await queue.length() == 50
        assert await queue.leased() == 0
        # Only what was handed out costs an attempt; three of those would make dead letters.
        await queue._redis.flushall()
        await queue.push(issues(50), capacity=100)


async def test_a_push_of_the_same_pod_wakes_a_waiting_taker(queue_of) -> None:
    queue = queue_of()
    taker = asyncio.ensure_future(queue.take(lambda: 1))
    await asyncio.sleep(0)
    await queue.push(issues(1), capacity=1)
    assert len(await asyncio.wait_for(taker, 5)) == 1


async def test_one_question_serves_all_waiting_takers_in_the_order_of_their_line(queue_of) -> None:
    queue = queue_of()
    takers = [asyncio.ensure_future(queue.take(lambda: 2)) for _ in range(3)]
    await asyncio.sleep(0)
    await queue.push(issues(5), capacity=10)
    batches = await asyncio.wait_for(asyncio.gather(*takers), 5)
    assert [[each.id for each in batch] for batch in batches] == [["id-0", "id-1"], ["id-2", "id-3"], ["id-4"]]


async def test_a_queue_that_cannot_be_asked_tells_every_taker() -> None:
    from issue_service.shared_queue import SharedQueue

    nowhere = Redis(host="127.0.0.1", port=1)
    queue = SharedQueue(nowhere, 30.0, 3)
    takers = [asyncio.ensure_future(queue.take(lambda: 1)) for _ in range(3)]
    found = await asyncio.wait_for(asyncio.gather(*takers, return_exceptions=True), 30)
    assert [type(each) for each in found] == [RedisConnectionError] * 3
    await nowhere.aclose()
