"""Keeps all pods together within the upstream's rate limit, which only the upstream's headers tell.

Each pod alone cannot: between two answers it does not see what the others send. So the calls of all pods
are noted in one sorted set in Redis, and a call may go while fewer than 95 % of the limit went in the last
window. The window slides, hence wherever the upstream's own windows begin, none holds more. The other 5 %
are for calls that bunch up on their way.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping

from redis.asyncio import Redis

SHARE = 0.95
CAREFUL_LIMIT = 10
"""Calls per second until the first answer's headers tell the limit."""

_POLICY = re.compile(r"\s*\d+\s*;\s*w=(\d+(?:\.\d+)?)")
_KEYS = ("issues:calls", "issues:calls:number", "issues:calls:limit")

# Returns the seconds until a call may go, as text since Redis cuts numbers; "0" when it may go now and was
# noted.
_ASK = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local limit = tonumber(ARGV[1])
local window = tonumber(ARGV[2])
if ARGV[3] == '1' then
  redis.call('SET', KEYS[3], ARGV[1])
else
  limit = tonumber(redis.call('GET', KEYS[3]) or limit)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - window))
if redis.call('ZCARD', KEYS[1]) < limit then
  local number = redis.call('INCR', KEYS[2])
  redis.call('ZADD', KEYS[1], string.format('%.6f', now), number)
  redis.call('PEXPIRE', KEYS[1], math.ceil(window * 2000))
  return '0'
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return string.format('%.6f', tonumber(oldest[2]) + window - now)
"""

Ask = Callable[[int, float], Awaitable[float]]


def ask_redis(redis: Redis) -> Ask:
    async def ask(limit: int, window: float) -> float:
        # A pod that joins knows no limit yet. Among busy ones its own careful one would never let it call.
        learned = int(limit > CAREFUL_LIMIT)
        return float(await redis.eval(_ASK, len(_KEYS), *_KEYS, limit, window, learned))

    return ask


class RateGate:
    """`permit` before each call, `learn` from each answer, `stop_for` when one was refused all the same."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._limit, self._window = CAREFUL_LIMIT, 1.0
        self._stopped_until = 0.0
        self._line = asyncio.Lock()
        self._in_line = 0
        self.waits = 0

    @property
    def allowed(self) -> tuple[int, float]:
        """(calls, seconds): so many calls of all pods in any window of that length."""
        return max(1, int(self._limit * SHARE)), self._window

    async def permit(self) -> None:
        """Wait for a call's turn. Who must wait stands in line, so that one waiter per pod asks again."""
        if self._in_line == 0 and await self._seconds_to_wait() <= 0:
            return
        self._in_line += 1
        try:
            async with self._line:
                while (wait := await self._seconds_to_wait()) > 0:
                    self.waits += 1
                    await asyncio.sleep(wait)
        finally:
            self._in_line -= 1

    async def _seconds_to_wait(self) -> float:
        stopped = self._stopped_until - self._clock()
        return stopped if stopped > 0 else await self._ask(*self.allowed)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take limit and window from X-RateLimit-Limit and RateLimit-Policy; what cannot be read changes
        nothing.
        """
        limit, policy = headers.get("X-RateLimit-Limit", ""), _POLICY.match(headers.get("RateLimit-Policy", ""))
        if limit.isascii() and limit.isdigit() and int(limit) > 0:
            self._limit = int(limit)
        if policy and float(policy[1]) > 0:
            self._window = float(policy[1])

    def stop_for(self, seconds: float) -> None:
        self._stopped_until = max(self._stopped_until, self._clock() + seconds)
