"""An SQLAlchemy async pool that grows and shrinks under load.

    engine = create_async_engine(url, poolclass=ResizableAsyncPool, pool_size=4, max_overflow=0)
    resize_engine(engine, 12)

Why a pool class: changing the library's own pool in place grows but never shrinks while callers wait, and
replacing `engine.pool` leaves the old connections beside the new ones, over the database's budget. Here a
limiter stands before every checkout, so idle + in use + closing never exceeds max(old limit, new limit).
The two methods replaced, `_do_get` and `_do_return_conn`, are what SQLAlchemy's own pools implement; a test
against a real server guards them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_only, greenlet_spawn

from pegbox.live.limiter import Resizable


class ResizableAsyncPool(AsyncAdaptedQueuePool):
    """At most `pool_size + max_overflow` connections, of which at most `pool_size` are kept idle."""

    def __init__(
        self,
        creator: Any,
        pool_size: int = 5,
        max_overflow: int = 10,
        timeout: float = 30.0,
        **options: Any,
    ) -> None:
        self.limiter: Resizable = options.pop("limiter", None) or Resizable(pool_size + max_overflow)
        super().__init__(creator, pool_size, max_overflow, timeout, **options)
        self._size = pool_size
        self._idle: deque[ConnectionPoolEntry] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._disposed = False

    def resize(self, pool_size: int, max_overflow: int = 0) -> None:
        """Set the limits; call it in the event loop. Idle connections above them are closed at once."""
        self._size, self._max_overflow = pool_size, max_overflow
        self.limiter.resize(pool_size + max_overflow)
        while self._idle and not self._room_for_idle(len(self._idle)):
            self._close_idle(self._idle.popleft())

    async def settled(self) -> None:
        """Return once no more connections are open than the limit allows."""
        if self._closing:
            await asyncio.wait(set(self._closing))
        await self.limiter.settled()

    def _room_for_idle(self, idle: int) -> bool:
        return idle <= self._size and self.checkedout() + idle <= self.limiter.limit

    def _close_idle(self, record: ConnectionPoolEntry) -> None:
        # A closing connection still counts at the server, so it holds a slot until it is gone.
        self.limiter.acquire_regardless()
        task = asyncio.get_running_loop().create_task(greenlet_spawn(record.close))
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        self.limiter.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.logger.error("closing an idle connection failed", exc_info=error)

    async def _take_slot(self) -> None:
        async with asyncio.timeout(self._timeout):
            await self.limiter.acquire()

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            await_only(self._take_slot())
        except TimeoutError as error:
            raise exc.TimeoutError(
                f"no connection of {self.limiter.limit} came free in {self._timeout:g} s; raise the pool's "
                f"size "
                "or hold connections for less time",
                code="3o7r",
            ) from error
        if self._idle:
            return self._idle.pop()
        try:
            return self._create_connection()
        except BaseException:
            self.limiter.release()
            raise

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        # The slot of this connection is still held: it is the one that turns from in use to idle.
        room = len(self._idle) < self._size and self.checkedout() + len(self._idle) <= self.limiter.limit
        if room and not self._disposed:
            self._idle.append(record)
            self.limiter.release()
            return
        try:
            record.close()
        finally:
            self.limiter.release()

    def recreate(self) -> ResizableAsyncPool:
        """The pool that follows a dispose; it shares the limiter, since old connections may still be out."""
        self.logger.info("Pool recreating")
        return self.__class__(
            self._creator,
            pool_size=self._size,
            max_overflow=self._max_overflow,
            timeout=self._timeout,
            limiter=self.limiter,
            pre_ping=self._pre_ping,
            recycle=self._recycle,
            echo=self.echo,
            logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return,
            _dispatch=self.dispatch,
            dialect=self._dialect,
        )

    def dispose(self) -> None:
        """Close idle connections now and the others when they come back: nobody will ask this pool again."""
        self._disposed = True
        while self._idle:
            self._idle.pop().close()

    def size(self) -> int:
        return self._size

    def checkedin(self) -> int:
        return len(self._idle)

    def checkedout(self) -> int:
        return self.limiter.in_use - len(self._closing)

    def overflow(self) -> int:
        return self.checkedout() + self.checkedin() - self._size


def pool_of(engine: AsyncEngine) -> ResizableAsyncPool:
    """The engine's pool as it is now; a dispose replaces it, so never keep it."""
    pool = engine.pool
    if not isinstance(pool, ResizableAsyncPool):
        raise TypeError(f"poolclass: {type(pool).__name__} cannot shrink; create the engine with ResizableAsyncPool")
    return pool


def resize_engine(engine: AsyncEngine, pool_size: int, max_overflow: int = 0) -> None:
    pool_of(engine).resize(pool_size, max_overflow)
