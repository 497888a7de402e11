"""Virtual time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
_TURNS = 50
"""How often others may run before time moves: enough for a chain of fake calls between two sleeps."""


class FakeClock:
    """Implements ports.Clock. With `auto`, sleepers move time themselves, the earliest deadline first, once
    everybody else had a few turns of the loop; without, only `advance` does.
    """

    def __init__(self, start: datetime = START, *, auto: bool = True) -> None:
        self._start = start
        self._elapsed = 0.0
        self._auto = auto
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def jump(self, seconds: float) -> None:
        """The wall clock is set; monotonic time and sleepers do not notice."""
        self._start += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        entry = (self._elapsed + max(seconds, 0.0), next(self._order), asyncio.Event())
        heapq.heappush(self._sleepers, entry)
        try:
            await self._turns()
            while self._auto and not entry[2].is_set():
                if self._sleepers[0] is entry:
                    self._elapsed = max(self._elapsed, entry[0])
                    return
                await self._turns()
            await entry[2].wait()
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)

    def skip(self, seconds: float) -> None:
        """Time passes; only where nobody sleeps, so that nobody has to be woken."""
        assert not self._sleepers, "somebody sleeps: advance wakes them in order"
        self._elapsed += seconds

    async def advance(self, seconds: float) -> None:
        """Move time on, waking whoever falls due, in order; each may act before the next."""
        target = self._elapsed + seconds
        await self._turns()
        while self._sleepers and self._sleepers[0][0] <= target:
            deadline, _, waking = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, deadline)
            waking.set()
            await self._turns()
        self._elapsed = max(self._elapsed, target)
        await self._turns()

    async def _turns(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
