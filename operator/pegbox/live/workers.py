"""WorkerGroup: a number of workers that changes while they are saturated, without losing a task.

A worker takes an item, runs it, and looks whether it is still wanted. Shrinking lets idle workers go at
once and busy ones when their task is done; it never interrupts a task.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pegbox.live.limiter import BusyMeter

Item = TypeVar("Item")

TAKE_RETRY_SECONDS = 1.0
"""Pause of a worker whose `take` raised, so that a queue that is down is not asked in a tight loop."""


class WorkerGroup(Generic[Item]):
    """`size` workers, each looping over `take` and `run`.

    `take` waits for the next item and must be cancel-safe: cancelled, it has taken nothing
    (ResizableQueue.get and asyncio.Queue.get are). `run` handles its own errors; what it raises all the
    same goes to `on_error`, and the worker goes on: one bad item must not cost a worker.
    """

    def __init__(
        self,
        take: Callable[[], Awaitable[Item]],
        run: Callable[[Item], Awaitable[None]],
        on_error: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._take, self._run, self._on_error = take, run, on_error
        self._limit = 0
        self._busy_by_task: dict[asyncio.Task[None], bool] = {}
        self._busy = 0
        self._meter = BusyMeter(clock)
        self._settling: list[asyncio.Future[None]] = []
        self._numbers = itertools.count(1)

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def alive(self) -> int:
        """Workers that still run; above `limit` only while a shrink is draining."""
        return len(self._busy_by_task)

    @property
    def busy(self) -> int:
        return self._busy

    def busy_seconds(self) -> float:
        """Worker-seconds spent in `run` since the start."""
        return self._meter.total()

    def resize(self, size: int) -> None:
        """Set the number of workers. Call it within a running event loop; 0 lets all of them go."""
        if size < 0:
            raise ValueError(f"size: {size} workers cannot be; the least is 0")
        self._limit = size
        while self.alive < size:
            task = asyncio.get_running_loop().create_task(self._work(), name=f"worker-{next(self._numbers)}")
            self._busy_by_task[task] = False
            task.add_done_callback(self._gone)
        self._dismiss_idle(self.alive - size)

    async def settled(self) -> None:
        """Return once no more workers live than were asked for."""
        while self.alive > self._limit:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._settling.append(future)
            await future

    async def stop(self) -> None:
        """Let every worker finish its task and go."""
        self.resize(0)
        await self.settled()

    def _dismiss_idle(self, surplus: int) -> None:
        idle = [task for task, busy in self._busy_by_task.items() if not busy]
        for task in idle[::-1][: max(0, surplus)]:
            del self._busy_by_task[task]
            task.cancel()
        self._wake_settling()

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while self.alive <= self._limit:
            try:
                item = await self._take()
            except Exception as error:
                self._on_error(error)
                await asyncio.sleep(TAKE_RETRY_SECONDS)
                continue
            self._mark(task, busy=True)
            try:
                await self._run(item)
            except Exception as error:
                self._on_error(error)
            finally:
                self._mark(task, busy=False)
        # Left in the same step as it was decided: a second finisher must see one worker fewer.
        self._gone(task)

    def _mark(self, task: asyncio.Task[None], *, busy: bool) -> None:
        self._busy_by_task[task] = busy
        self._busy += 1 if busy else -1
        self._meter.change(self._busy)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._busy_by_task.pop(task, None)
        self._wake_settling()

    def _wake_settling(self) -> None:
        if self.alive <= self._limit:
            for future in self._settling:
                if not future.done():
                    future.set_result(None)
            self._settling.clear()
