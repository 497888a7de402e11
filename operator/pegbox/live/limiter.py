"""Resizable: a limiter whose limit moves while callers wait in it.

The libraries' own pools grow under load but do not shrink (their waiters hand a slot to each other before
the limit is looked at again). So every adapter puts this limiter in front of a pool that is built at its
upper bound.

Promises: first come, first served; never more than max(old limit, new limit) at once; a raised limit wakes
waiters in the same call; a cancelled waiter neither keeps nor loses a slot. For one event loop;
not thread-safe.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType


class BusyMeter:
    """Integral of a count over time, in unit-seconds: `rate()` of it is the mean number in use.

    A gauge sampled at each scrape misses what happens between scrapes; an integral does not.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._sum = 0.0
        self._count = 0

    def change(self, count: int) -> None:
        now = self._clock()
        self._sum += self._count * (now - self._since)
        self._since, self._count = now, count

    def total(self) -> float:
        return self._sum + self._count * (self._clock() - self._since)


class Resizable:
    """FIFO limiter. `wait_observer` gets the seconds that each acquire waited (0.0 when it did not)."""

    def __init__(
        self,
        limit: int,
        *,
        wait_observer: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = _at_least_one(limit)
        self._in_use = 0
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._settling: list[asyncio.Future[None]] = []
        self._clock = clock
        self._busy = BusyMeter(clock)
        self.wait_observer = wait_observer

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def in_use(self) -> int:
        """Slots held now; above `limit` only while a shrink is still draining."""
        return self._in_use

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def busy_seconds(self) -> float:
        """Slot-seconds held since the start."""
        return self._busy.total()

    def resize(self, limit: int) -> None:
        """Set the limit. Grown: waiters are woken now. Shrunk: nothing is granted until enough was
        released.
        """
        self._limit = _at_least_one(limit)
        self._grant()

    async def settled(self) -> None:
        """Return once no more slots are held than the limit allows: a shrink is in force only then."""
        while self._in_use > self._limit:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settling.append(future)
            await future

    async def acquire(self) -> None:
        """Take a slot, waiting in line for it. Cancelling is safe at any await."""
        if self.try_acquire():
            self._observe(0.0)
            return
        started = self._clock()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[future] = None
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release()
            else:
                self._waiters.pop(future, None)
            raise
        self._observe(self._clock() - started)

    def try_acquire(self) -> bool:
        """Take a slot if one is free and nobody stands in line."""
        if self._waiters or self._in_use >= self._limit:
            return False
        self._hold(1)
        return True

    def acquire_regardless(self) -> None:
        """Count one more holder, whatever the limit: for something that already exists, such as a closing
        connection.
        """
        self._hold(1)

    def release(self) -> None:
        if self._in_use == 0:
            raise RuntimeError("release() without acquire(): each acquire is released exactly once")
        self._hold(-1)
        self._grant()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _grant(self) -> None:
        while self._waiters and self._in_use < self._limit:
            future, _ = self._waiters.popitem(last=False)
            if not future.done():
                self._hold(1)
                future.set_result(None)
        if self._in_use <= self._limit:
            for settling in self._settling:
                if not settling.done():
                    settling.set_result(None)
            self._settling.clear()

    def _hold(self, change: int) -> None:
        self._in_use += change
        self._busy.change(self._in_use)

    def _observe(self, waited: float) -> None:
        if self.wait_observer is not None:
            self.wait_observer(waited)


def _at_least_one(limit: int) -> int:
    if limit < 1:
        raise ValueError(f"limit: {limit} would stop all work; the least is 1")
    return limit
