"""An aiohttp client whose number of connections grows and shrinks under load.

The connector is built at the knob's upper bound and never becomes the limit; a limiter in front is. Excess
connections are closed when they come back, idle excess at once. aiohttp has no public way to close one idle
connection, so `_release`, `_create_connection`, `_conns` and `_acquired` of its connector are used; a test
against a real server guards them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey

from pegbox.live.limiter import Resizable


class ResizableConnector(aiohttp.TCPConnector):
    """A connector that keeps open connections, over all hosts, within a limiter's limit."""

    def __init__(self, limiter: Resizable, upper_bound: int, **options: Any) -> None:
        super().__init__(limit=upper_bound, **options)
        self._limiter = limiter

    @property
    def open_connections(self) -> int:
        """Connections in use, being opened, or idle."""
        return len(self._acquired) + self._idle_count()

    def close_excess(self) -> None:
        """Close idle connections, oldest first, until no more are open than the limit allows."""
        excess = self.open_connections - self._limiter.limit
        for key in list(self._conns):
            idle = self._conns[key]
            while idle and excess > 0:
                idle.popleft()[0].close()
                excess -= 1
            if not idle:
                del self._conns[key]

    def _idle_count(self) -> int:
        return sum(len(idle) for idle in self._conns.values())

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        # The connection coming back is still counted here.
        too_many = self.open_connections > self._limiter.limit
        super()._release(key, protocol, should_close=should_close or too_many)

    async def _create_connection(self, *arguments: Any, **options: Any) -> ResponseHandler:
        # The new one is counted already; an idle connection to another host makes room for it.
        self.close_excess()
        return await super()._create_connection(*arguments, **options)


class HttpPool:
    """An aiohttp session behind a Resizable limiter. Create it in the event loop that uses it."""

    def __init__(self, limit: int, upper_bound: int, **session_options: Any) -> None:
        if limit > upper_bound:
            raise ValueError(f"limit: {limit} is above the upper bound {upper_bound} that the connector is built for")
        self.limiter = Resizable(limit)
        self.upper_bound = upper_bound
        self.connector = ResizableConnector(self.limiter, upper_bound)
        self.session = aiohttp.ClientSession(connector=self.connector, **session_options)

    def resize(self, limit: int) -> None:
        if limit > self.upper_bound:
            raise ValueError(f"limit: {limit} is above the upper bound {self.upper_bound}; lower the knob's maximum")
        self.limiter.resize(limit)
        self.connector.close_excess()

    async def settled(self) -> None:
        """Return once no more requests run than the limit allows."""
        await self.limiter.settled()

    @asynccontextmanager
    async def request(self, method: str, url: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request that holds its slot until the response was read or left."""
        async with self.limiter, self.session.request(method, url, **options) as response:
            yield response

    async def close(self) -> None:
        await self.session.close()
