"""The keyed queue: keys are marked dirty, each is worked on by one worker at a time, failures back off.

The model of controller-runtime: adding a key that waits changes nothing, adding one that is being worked on makes it
run once more afterwards. One failing key delays nobody: its own next run moves away, with jitter.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pegbox.ports import Clock

BASE_BACKOFF = 1.0
LONGEST_BACKOFF = 60.0
TICK = 0.001  # seconds: a key that is due within it is due, or rounding would make a sleep of nothing


@dataclass(slots=True)
class _Entry:
    due: float
    failures: int = 0
    running: bool = False
    again: float | None = None  # when it was marked to be due, while it was being worked on


@dataclass
class KeyedQueue:
    """Dirty keys with the time at which each is due. `jitter()` gives a number in [0, 1)."""

    clock: Clock
    jitter: Callable[[], float]
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _heap: list[tuple[float, int, str]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _sleepers: set[asyncio.Future[None]] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def overdue(self) -> float:
        """Seconds by which the most overdue key waits; what liveness looks at."""
        now = self.clock.monotonic()
        return max((now - e.due for e in self._entries.values() if not e.running), default=0.0)

    def add(self, key: str, after: float = 0.0) -> None:
        """Make a key due; an earlier due time wins."""
        due = self.clock.monotonic() + after
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(due)
        elif entry.running:
            entry.again = due if entry.again is None else min(entry.again, due)
            return
        elif due >= entry.due:
            return
        entry.due = due
        heapq.heappush(self._heap, (due, next(self._order), key))
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    def forget(self, key: str) -> None:
        entry = self._entries.get(key)
        if entry is not None and not entry.running:
            del self._entries[key]

    async def take(self) -> str:
        """The next due key; it is running until `done` or `failed`."""
        while True:
            now = self.clock.monotonic()
            while self._heap and self._heap[0][0] <= now + TICK:
                due, _, key = heapq.heappop(self._heap)
                entry = self._entries.get(key)
                if entry is not None and not entry.running and entry.due == due:
                    entry.running, entry.again = True, None
                    return key
            await self._sleep(self._heap[0][0] - now if self._heap else None)

    async def _sleep(self, seconds: float | None) -> None:
        """Until a key is marked, or the clock says that the next one is due."""
        marked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.add(marked)
        waits: list[asyncio.Future[None]] = [marked]
        if seconds is not None:
            waits.append(asyncio.ensure_future(self.clock.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sleepers.discard(marked)
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def done(self, key: str, after: float | None) -> None:
        """Finished; run again `after` seconds (None: only when marked)."""
        entry = self._entries.pop(key)
        if entry.again is not None:
            self.add(key, max(0.0, entry.again - self.clock.monotonic()))
        if after is not None:
            self.add(key, after)

    def failed(self, key: str) -> float:
        """Failed; run again after 1, 2, 4 ... 60 s, stretched by up to a half. Returns the seconds."""
        entry = self._entries.pop(key)
        wait = min(BASE_BACKOFF * 2.0 ** min(entry.failures, 10), LONGEST_BACKOFF) * (1 + self.jitter() / 2)
        if entry.again is not None:  # what it failed on may have been mended meanwhile
            wait = min(wait, max(0.0, entry.again - self.clock.monotonic()))
        self.add(key, wait)
        self._entries[key].failures = entry.failures + 1
        return wait


async def work(queue: KeyedQueue, run: Callable[[str], Awaitable[float | None]]) -> None:
    """One worker: for ever takes a key, runs it, and asks when to look again. `run` never raises."""
    while True:
        key = await queue.take()
        after = await run(key)
        if after is not None and after < 0:
            queue.failed(key)
        else:
            queue.done(key, after)
