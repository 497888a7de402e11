"""The client of the upstream: batch calls over a resizable pool, within the rate limit that the headers tell.

The limit is shared by all pods, and none knows the others: each trusts the newest X-RateLimit-Remaining,
keeps a tenth of the limit in reserve for what the others send meanwhile, and stops until the window's end
below that.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pegbox.live.http_pool import HttpPool

from issue_service.shared_queue import Issue

RESERVE = 0.1
MAX_CALL_ATTEMPTS = 5


class UpstreamFailed(Exception):
    """The upstream did not do the batch; nothing of it may be committed."""


class RateGate:
    """Lets calls pass while the current window has room, as far as this pod knows."""

    def __init__(self, rng: random.Random, clock: Callable[[], float] = time.monotonic) -> None:
        self._rng, self._clock = rng, clock
        self._remaining = 0.0
        self._reset_at = 0.0
        self._reserve = 0.0
        self.waits = 0

    def wait_seconds(self) -> float:
        """Seconds until a call may go; 0 when it may go now. After the window's end the room is unknown:
        go.
        """
        now = self._clock()
        if now >= self._reset_at or self._remaining > self._reserve:
            return 0.0
        return self._reset_at - now

    async def permit(self) -> None:
        while (wait := self.wait_seconds()) > 0:
            self.waits += 1
            # Spread over a tenth of the wait, or all pods would begin the next window in the same instant.
            await asyncio.sleep(wait + self._rng.random() * 0.05)
        self._remaining -= 1

    def learn(self, headers: Mapping[str, str]) -> None:
        try:
            limit = float(headers["X-RateLimit-Limit"])
            remaining = float(headers["X-RateLimit-Remaining"])
            reset = float(headers["X-RateLimit-Reset"])
        except (KeyError, ValueError):
            return
        self._remaining, self._reset_at = remaining, self._clock() + reset
        self._reserve = limit * RESERVE

    def stop_for(self, seconds: float) -> None:
        self._remaining, self._reset_at = 0.0, max(self._reset_at, self._clock() + seconds)


class UpstreamClient:
    def __init__(self, url: str, pool: HttpPool, rng: random.Random) -> None:
        self._url, self._pool = url.rstrip("/") + "/batch", pool
        self._gate = RateGate(rng)

    async def call(self, issues: Sequence[Issue]) -> dict[str, dict[str, Any]]:
        """One batch call; the answers by issue id. Raise UpstreamFailed after the last attempt."""
        body = {"issues": [{"id": issue.id, "payload": issue.payload} for issue in issues]}
        reason = ""
        for attempt in range(MAX_CALL_ATTEMPTS):
            async with self._pool.limiter:
                # The wait for the window is inside the slot: outside it, every waiter would burst at its end.
                await self._gate.permit()
                try:
                    async with self._pool.session.post(self._url, json=body) as response:
                        self._gate.learn(response.headers)
                        if response.status == 200:
                            answers = await response.json()
                            return {answer["id"]: answer for answer in answers["issues"]}
                        reason = f"status {response.status}"
                        if response.status == 429:
                            self._gate.stop_for(_retry_after(response.headers))
                except (OSError, TimeoutError, ValueError) as error:
                    reason = repr(error)
            await asyncio.sleep(min(2.0, 0.05 * 2**attempt))
        raise UpstreamFailed(f"{MAX_CALL_ATTEMPTS} attempts, the last: {reason}")


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(30.0, max(0.0, float(headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0
