"""The resizing rule of the redis-py adapter on a real Redis, whose own list of clients is the witness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from pegbox.live.redis_pool import ResizableRedisPool

LONGEST_COMMAND = 0.05
RULE = 1 + LONGEST_COMMAND


@pytest.fixture
async def witness(redis_port: int) -> AsyncIterator[Redis]:
    client = Redis(host="127.0.0.1", port=redis_port, single_connection_client=True)
    await client.ping()
    yield client
    await client.aclose()


@pytest.fixture
async def client(redis_port: int) -> AsyncIterator[Redis]:
    pool = ResizableRedisPool(limit=4, upper_bound=32, host="127.0.0.1", port=redis_port, client_name="app")
    client = Redis(connection_pool=pool)
    yield client
    await pool.aclose()


def pool_of(client: Redis) -> ResizableRedisPool:
    pool = client.connection_pool
    assert isinstance(pool, ResizableRedisPool)
    return pool


async def connections(witness: Redis) -> int:
    return sum(each["name"] == "app" for each in await witness.client_list())


class Load:
    """Callers that block the server's side of their connection for a while, without pause."""

    def __init__(self, client: Redis, callers: int) -> None:
        self._client, self._stop = client, False
        self.answers = 0
        self.tasks = [asyncio.ensure_future(self._call(n)) for n in range(callers)]

    async def _call(self, number: int) -> None:
        while not self._stop:
            assert await self._client.blpop([f"nothing-{number}"], timeout=LONGEST_COMMAND) is None
            self.answers += 1

    async def stop(self) -> None:
        self._stop = True
        await asyncio.gather(*self.tasks)


async def reach(witness: Redis, wanted: int, within: float) -> None:
    async with asyncio.timeout(within):
        while await connections(witness) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("old", "new"), [(12, 3), (3, 12), (2, 1)])
async def test_under_saturation_the_new_limit_is_reached_in_time_and_never_exceeded(
    client: Redis, witness: Redis, old: int, new: int
) -> None:
    await pool_of(client).resize(old)
    load = Load(client, callers=24)
    await reach(witness, old, within=10)
    await pool_of(client).resize(new)
    # Redis ends a blocked command up to 100 ms after its timeout (it looks ten times a second).
    await reach(witness, new, within=RULE + 0.1)
    for _ in range(20):
        assert await connections(witness) <= new
    await load.stop()
    assert load.answers >= 24


async def test_idle_connections_are_closed_at_once_by_a_shrink(client: Redis, witness: Redis) -> None:
    load = Load(client, callers=4)
    await reach(witness, 4, within=10)
    await load.stop()
    await pool_of(client).resize(1)
    async with asyncio.timeout(5):
        while await connections(witness) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert await client.ping()


async def test_cancelled_callers_leave_no_slot_behind(client: Redis, witness: Redis) -> None:
    load = Load(client, callers=16)
    await reach(witness, 4, within=10)
    for task in load.tasks:
        task.cancel()
    await asyncio.gather(*load.tasks, return_exceptions=True)
    assert (pool_of(client).limiter.in_use, pool_of(client).limiter.waiting) == (0, 0)
    assert await client.ping()


async def test_a_server_that_is_down_costs_no_slot() -> None:
    pool = ResizableRedisPool(limit=1, upper_bound=2, host="127.0.0.1", port=1)
    client = Redis(connection_pool=pool)
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            await client.ping()
    assert pool.limiter.in_use == 0
    await pool.aclose()


async def test_pipelines_hold_one_slot_and_give_it_back(client: Redis) -> None:
    async with client.pipeline() as pipeline:
        pipeline.set("a", 1)
        pipeline.get("a")
        assert (await pipeline.execute())[1] == b"1"
    assert pool_of(client).limiter.in_use == 0
