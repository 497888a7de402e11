"""A redis-py async connection pool that grows and shrinks under load.

    client = redis.asyncio.Redis(connection_pool=ResizableRedisPool.from_url(url, limit=8, upper_bound=64))

Only public methods of redis-py are overridden. Its free list is last in, first out, and a shrink
disconnects all idle connections, so connected ones always lie above disconnected ones and are taken first.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

from pegbox.live.limiter import Resizable


class ResizableRedisPool(ConnectionPool):
    """At most `limit` connections; callers wait in line up to `timeout` seconds for one."""

    def __init__(self, limit: int = 8, upper_bound: int = 256, timeout: float = 20.0, **options: Any) -> None:
        if limit > upper_bound:
            raise ValueError(f"limit: {limit} is above the upper bound {upper_bound} that the pool is built for")
        self.limiter = Resizable(limit)
        self._timeout = timeout
        self._holding: set[AbstractConnection] = set()
        super().__init__(max_connections=upper_bound, **options)

    async def resize(self, limit: int) -> None:
        """Set the limit; a shrink disconnects idle connections at once (they connect again when needed)."""
        if limit > self.max_connections:
            raise ValueError(f"limit: {limit} is above the upper bound {self.max_connections}; lower the maximum")
        shrunk = limit < self.limiter.limit
        self.limiter.resize(limit)
        if shrunk:
            await self.disconnect(inuse_connections=False)

    async def settled(self) -> None:
        """Return once no more connections are in use than the limit allows."""
        await self.limiter.settled()

    async def get_connection(self, *arguments: Any, **options: Any) -> AbstractConnection:
        try:
            async with asyncio.timeout(self._timeout):
                await self.limiter.acquire()
        except TimeoutError as error:
            raise RedisConnectionError(
                f"no connection of {self.limiter.limit} came free in {self._timeout:g} s; raise the pool's limit"
            ) from error
        try:
            connection: AbstractConnection = await super().get_connection()  # type: ignore[no-untyped-call]
        except BaseException:
            self.limiter.release()
            raise
        self._holding.add(connection)
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        # The library also calls this for a connection that get_connection failed to bring up: it holds no
        # slot here.
        try:
            if self.limiter.in_use > self.limiter.limit:
                await connection.disconnect()
            await super().release(connection)
        finally:
            if connection in self._holding:
                self._holding.discard(connection)
                self.limiter.release()
