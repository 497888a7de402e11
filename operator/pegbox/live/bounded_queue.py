"""ResizableQueue: a bounded queue in one process whose capacity moves without losing what it accepted."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

from pegbox.live.limiter import Resizable

Item = TypeVar("Item")


class ResizableQueue(Generic[Item]):
    """FIFO for putters and getters. Shrunk below its length it refuses new items until enough were taken."""

    def __init__(self, capacity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = Resizable(capacity, clock=clock)
        self._items: deque[Item] = deque()
        self._getters: OrderedDict[asyncio.Future[Item], None] = OrderedDict()
        self._line = asyncio.Lock()
        self._in_line = 0

    @property
    def capacity(self) -> int:
        return self._slots.limit

    def __len__(self) -> int:
        """Items accepted and not yet taken; above `capacity` only after a shrink."""
        return len(self._items)

    def resize(self, capacity: int) -> None:
        """Set the capacity. Grown: waiting putters are woken now. Shrunk: nothing accepted is dropped."""
        self._slots.resize(capacity)

    async def settled(self) -> None:
        """Return once no more items are held than the capacity allows."""
        await self._slots.settled()

    async def put(self, item: Item) -> None:
        """Wait in line for room. Cancelled, it has put nothing."""
        if self.try_put(item):
            return
        self._in_line += 1
        try:
            # Only the head of the line waits for a slot: a slot granted to a putter that has not run yet
            # must not
            # let a later one slip in before it.
            async with self._line:
                await self._slots.acquire()
                self._append(item)
        finally:
            self._in_line -= 1

    def try_put(self, item: Item) -> bool:
        """Put without waiting; False when the queue is full or others wait in line: the caller sheds load."""
        if self._in_line or not self._slots.try_acquire():
            return False
        self._append(item)
        return True

    async def get(self) -> Item:
        """Take the oldest item, waiting in line for it. Cancelled, it has taken nothing."""
        if self._items and not self._getters:
            item = self._items.popleft()
        else:
            item = await self._wait_in_line()
        self._slots.release()
        return item

    async def _wait_in_line(self) -> Item:
        future: asyncio.Future[Item] = asyncio.get_running_loop().create_future()
        self._getters[future] = None
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._items.appendleft(future.result())
                self._hand_over()
            else:
                self._getters.pop(future, None)
            raise

    def _append(self, item: Item) -> None:
        self._items.append(item)
        self._hand_over()

    def _hand_over(self) -> None:
        while self._items and self._getters:
            future, _ = self._getters.popitem(last=False)
            if not future.done():
                future.set_result(self._items.popleft())
