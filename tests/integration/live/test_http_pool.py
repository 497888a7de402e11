"""The resizing rule of the aiohttp adapter against a server on loopback that counts its own connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from pegbox.live.http_pool import HttpPool

LONGEST_REQUEST = 0.05
RULE = 1 + LONGEST_REQUEST


class CountingConnections(web.Server):
    """aiohttp's low-level server, which tells of each connection made."""

    most = 0

    def connection_made(self, handler: Any, transport: Any) -> None:
        super().connection_made(handler, transport)
        self.most = max(self.most, len(self.connections))


class CountingServer:
    """Two sites of one server; counts open client connections and requests in progress."""

    def __init__(self) -> None:
        self.in_progress = self.most_in_progress = 0
        self.urls: list[str] = []

    async def start(self) -> None:
        self._server = CountingConnections(self._answer)
        loop = asyncio.get_running_loop()
        self._sites = [await loop.create_server(self._server, "127.0.0.1", 0) for _ in range(2)]
        self.urls = [f"http://127.0.0.1:{site.sockets[0].getsockname()[1]}/" for site in self._sites]

    @property
    def connections(self) -> int:
        return len(self._server.connections)

    @property
    def most_connections(self) -> int:
        return self._server.most

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        await asyncio.sleep(LONGEST_REQUEST)
        self.in_progress -= 1
        return web.Response(text="done")

    async def stop(self) -> None:
        for site in self._sites:
            site.close()
        await self._server.shutdown()
        for site in self._sites:
            await site.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[CountingServer]:
    server = CountingServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def pool() -> AsyncIterator[HttpPool]:
    pool = HttpPool(limit=4, upper_bound=32)
    yield pool
    await pool.close()


class Load:
    """Callers without pause, alternating between the two sites."""

    def __init__(self, pool: HttpPool, urls: list[str], callers: int) -> None:
        self._pool, self._urls, self._stop = pool, urls, False
        self.answers = 0
        self.tasks = [asyncio.ensure_future(self._call(n)) for n in range(callers)]

    async def _call(self, number: int) -> None:
        while not self._stop:
            number += 1
            async with self._pool.request("GET", self._urls[number % len(self._urls)]) as response:
                assert await response.text() == "done"
            self.answers += 1

    async def stop(self) -> None:
        self._stop = True
        await asyncio.gather(*self.tasks)


async def reach(server: CountingServer, wanted: int, within: float) -> None:
    async with asyncio.timeout(within):
        while server.in_progress != wanted or server.connections > wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(("old", "new"), [(12, 3), (3, 12), (1, 2), (2, 1)])
async def test_under_saturation_the_new_limit_is_reached_in_time_and_never_exceeded(
    server: CountingServer, pool: HttpPool, old: int, new: int
) -> None:
    pool.resize(old)
    load = Load(pool, server.urls[:1], callers=24)
    await reach(server, old, within=10)
    pool.resize(new)
    await reach(server, new, within=RULE)
    await asyncio.wait_for(pool.settled(), RULE)
    server.most_in_progress = 0
    await asyncio.sleep(3 * LONGEST_REQUEST)
    await load.stop()
    assert server.most_in_progress == new
    assert server.most_connections == max(old, new)


async def test_idle_connections_above_the_new_limit_are_closed_at_once(server: CountingServer, pool: HttpPool) -> None:
    load = Load(pool, server.urls[:1], callers=4)
    await reach(server, 4, within=10)
    await load.stop()
    assert pool.connector.open_connections == 4
    pool.resize(1)
    assert pool.connector.open_connections == 1
    async with asyncio.timeout(5):
        while server.connections != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_an_idle_connection_to_one_host_makes_room_for_another_host(
    server: CountingServer, pool: HttpPool
) -> None:
    load = Load(pool, server.urls, callers=16)
    await reach(server, 4, within=10)
    for _ in range(100):
        assert pool.connector.open_connections <= 4
        await asyncio.sleep(0.002)
    await load.stop()


async def test_cancelled_callers_leave_no_slot_behind(server: CountingServer, pool: HttpPool) -> None:
    load = Load(pool, server.urls, callers=16)
    await reach(server, 4, within=10)
    for task in load.tasks:
        task.cancel()
    await asyncio.gather(*load.tasks, return_exceptions=True)
    assert (pool.limiter.in_use, pool.limiter.waiting) == (0, 0)
    async with pool.request("GET", server.urls[0]) as response:
        assert response.status == 200


async def test_a_limit_above_the_bound_that_the_connector_is_built_for_is_refused(pool: HttpPool) -> None:
    with pytest.raises(ValueError, match="upper bound 32"):
        pool.resize(33)
