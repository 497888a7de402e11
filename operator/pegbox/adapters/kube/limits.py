"""A client-side rate limit: no Python client has one, and a hot loop would hurt everybody's API server."""

from __future__ import annotations

import asyncio

from pegbox.ports import Clock


class TokenBucket:
    """At most `rate` requests per second in the long run, `burst` at once. Waiters are served in order."""

    def __init__(self, clock: Clock, *, rate: float = 20.0, burst: int = 40) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"rate {rate} and burst {burst} must be positive")
        self._clock, self._rate, self._burst = clock, rate, float(burst)
        self._tokens = float(burst)
        self._at = clock.monotonic()
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait for one token."""
        async with self._turn:
            self._refill()
            if self._tokens < 1.0:
                await self._clock.sleep((1.0 - self._tokens) / self._rate)
                self._refill()
            self._tokens -= 1.0

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
