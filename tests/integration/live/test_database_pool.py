"""The resizing rule of the SQLAlchemy adapter on a real PostgreSQL, whose own counters are the witness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pegbox.live.database_pool import ResizableAsyncPool, pool_of, resize_engine

LONGEST_QUERY = 0.05


class Witness:
    """Counts the application's sessions at the server, over a connection of another role."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.highest = 0

    async def sessions(self) -> int:
        async with self._engine.connect() as connection:
            found = await connection.scalar(text("select count(*) from pg_stat_activity where usename = 'pool_app'"))
        self.highest = max(self.highest, int(found or 0))
        return int(found or 0)

    async def until(self, wanted: int, within: float) -> float:
        """Seconds until exactly `wanted` sessions are open; fails after `within`."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with asyncio.timeout(within):
            while await self.sessions() != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return loop.time() - started


@pytest.fixture
def app_role(postgres_server: Any) -> Any:
    postgres_server.run_sql("drop role if exists pool_app; create role pool_app login connection limit 8")
    return postgres_server


@pytest.fixture
async def engine(app_role: Any) -> AsyncIterator[AsyncEngine]:
    url = app_role.url("pool_app")
    engine = create_async_engine(url, poolclass=ResizableAsyncPool, pool_size=4, max_overflow=0, pool_timeout=20)
    yield engine
    await engine.dispose()


@pytest.fixture
async def witness(app_role: Any) -> AsyncIterator[Witness]:
    engine = create_async_engine(app_role.url("postgres"), pool_size=1, max_overflow=0)
    yield Witness(engine)
    await engine.dispose()


class Load:
    """Callers that query without pause until stopped; every query must succeed."""

    def __init__(self, engine: AsyncEngine, callers: int) -> None:
        self._engine = engine
        self._stop = False
        self.queries = 0
        self.tasks = [asyncio.ensure_future(self._call()) for _ in range(callers)]

    async def _call(self) -> None:
        while not self._stop:
            async with self._engine.connect() as connection:
                await connection.execute(text("select pg_sleep(:s)"), {"s": LONGEST_QUERY})
            self.queries += 1

    async def stop(self) -> None:
        self._stop = True
        await asyncio.gather(*self.tasks)


@pytest.mark.parametrize(("old", "new"), [(4, 2), (2, 4), (4, 8), (8, 1)])
async def test_under_saturation_the_new_limit_is_reached_in_time_and_never_exceeded(
    engine: AsyncEngine, witness: Witness, old: int, new: int
) -> None:
    resize_engine(engine, old)
    load = Load(engine, callers=24)
    await witness.until(old, within=10)
    resize_engine(engine, new)
    await witness.until(new, within=1 + LONGEST_QUERY)
    await asyncio.wait_for(pool_of(engine).settled(), 1 + LONGEST_QUERY)
    for _ in range(20):
        assert await witness.sessions() <= new
    await load.stop()
    assert witness.highest == max(old, new)


async def test_idle_connections_above_the_new_limit_are_closed_at_once(engine: AsyncEngine, witness: Witness) -> None:
    load = Load(engine, callers=4)
    await witness.until(4, within=10)
    await load.stop()
    assert await witness.sessions() == 4
    resize_engine(engine, 1)
    await asyncio.wait_for(pool_of(engine).settled(), 5)
    await witness.until(1, within=1)


async def test_a_fast_shrink_and_raise_never_opens_beside_connections_that_still_close(
    engine: AsyncEngine, witness: Witness
) -> None:
    resize_engine(engine, 8)
    load = Load(engine, callers=24)
    await witness.until(8, within=10)
    for size in (1, 8, 2, 8, 1, 8):
        resize_engine(engine, size)
        await asyncio.sleep(0)
        await witness.sessions()
    await witness.until(8, within=5)
    # CONNECTION LIMIT 8 stands at the server: one connection too many would have failed a query.
    await load.stop()
    assert load.queries >= 24


async def test_cancelled_callers_leave_no_slot_behind(engine: AsyncEngine) -> None:
    for _ in range(5):
        load = Load(engine, callers=16)
        await asyncio.sleep(0.06)
        for task in load.tasks:
            task.cancel()
        await asyncio.gather(*load.tasks, return_exceptions=True)
    assert pool_of(engine).limiter.in_use == 0
    assert pool_of(engine).limiter.waiting == 0
    async with engine.connect() as connection:
        assert await connection.scalar(text("select 1")) == 1


async def test_a_connection_that_cannot_be_opened_gives_its_slot_back(app_role: Any) -> None:
    engine = create_async_engine(app_role.url("nobody"), poolclass=ResizableAsyncPool, pool_size=1, max_overflow=0)
    for _ in range(3):
        with pytest.raises(Exception, match="nobody"):
            async with engine.connect():
                pass
    assert pool_of(engine).limiter.in_use == 0
    await engine.dispose()


async def test_a_caller_that_waits_too_long_gets_the_librarys_own_error(app_role: Any) -> None:
    engine = create_async_engine(
        app_role.url("pool_app"), poolclass=ResizableAsyncPool, pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    async with engine.connect():
        with pytest.raises(exc.TimeoutError, match="came free"):
            async with engine.connect():
                pass
    async with engine.connect():
        pass
    await engine.dispose()


async def test_overflow_connections_are_open_under_load_and_not_kept(engine: AsyncEngine, witness: Witness) -> None:
    resize_engine(engine, 2, max_overflow=3)
    load = Load(engine, callers=10)
    await witness.until(5, within=10)
    await load.stop()
    assert pool_of(engine).checkedin() <= 2
    await witness.until(2, within=2)


async def test_a_disposed_engine_keeps_its_limit(engine: AsyncEngine) -> None:
    resize_engine(engine, 3)
    async with engine.connect():
        await engine.dispose()
        assert pool_of(engine).limiter.limit == 3
        assert pool_of(engine).limiter.in_use == 1, "the connection that is still out counts"
    assert pool_of(engine).limiter.in_use == 0


def test_an_engine_with_the_librarys_own_pool_is_refused() -> None:
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    with pytest.raises(TypeError, match="create the engine with ResizableAsyncPool"):
        resize_engine(engine, 3)
