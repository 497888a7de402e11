"""The issue queue: one Redis list shared by all pods, bounded, at least once.

Shared, because a pod's own queue dies with the pod, and because a bound per pod would move with the
replicas. The bound is checked and the push done by one script, so two pods cannot both take the last place.
A popped issue is leased, not removed: a worker that dies loses nothing, since an expired lease puts the
issue back at the head.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from redis.asyncio import Redis

POLL_SECONDS = 0.02
"""How often a pod with waiting workers looks for issues that other pods accepted; its own pod's wake it at
once.
"""

_KEYS = ("issues:queue", "issues:leases", "issues:leased", "issues:dead")

_PUSH = """
local room = tonumber(ARGV[1]) - redis.call('LLEN', KEYS[1])
local taken = 0
for i = 2, #ARGV do
  if taken >= room then break end
  redis.call('LPUSH', KEYS[1], ARGV[i])
  taken = taken + 1
end
return taken
"""

_POP = """
local now = redis.call('TIME')
local until_ = tonumber(now[1]) + tonumber(now[2]) / 1e6 + tonumber(ARGV[2])
local out = {}
for i = 1, tonumber(ARGV[1]) do
  local entry = redis.call('RPOP', KEYS[1])
  if not entry then break end
  local id = cjson.decode(entry)['id']
  redis.call('ZADD', KEYS[2], until_, id)
  redis.call('HSET', KEYS[3], id, entry)
  out[i] = entry
end
return out
"""

_DONE = """
local n = 0
for i = 1, #ARGV do
  n = n + redis.call('ZREM', KEYS[2], ARGV[i])
  redis.call('HDEL', KEYS[3], ARGV[i])
end
return n
"""

# Puts an issue back at the head with one attempt more, or, after the last one, among the dead letters.
_RETURN = """
local function give_back(id, count)
  local entry = redis.call('HGET', KEYS[3], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  if not entry then return 0 end
  local issue = cjson.decode(entry)
  issue['attempt'] = issue['attempt'] + count
  if issue['attempt'] >= tonumber(ARGV[1]) then
    redis.call('LPUSH', KEYS[4], cjson.encode(issue))
    return 1
  end
  redis.call('RPUSH', KEYS[1], cjson.encode(issue))
  return 0
end
local dead = 0
"""
_FAIL = _RETURN + "for i = 3, #ARGV do dead = dead + give_back(ARGV[i], tonumber(ARGV[2])) end return dead"
_RECOVER = (
    _RETURN
    + """
local now = redis.call('TIME')
local late = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', tonumber(now[1]), 'LIMIT', 0, 100)
for i = 1, #late do dead = dead + give_back(late[i], 1) end
return {#late, dead}
"""
)


@dataclass(frozen=True)
class Issue:
    """Times are seconds since the epoch: when the generator meant it, and when a pod accepted it."""

    id: str
    scheduled_at: float
    enqueued_at: float
    payload: str
    attempt: int = 0

    def encode(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: bytes | str) -> Issue:
        return cls(**json.loads(text))


class SharedQueue:
    def __init__(self, redis: Redis, lease: float, attempts: int) -> None:
        self._redis, self._lease, self._attempts = redis, lease, attempts
        self._arrived = asyncio.Event()
        self._takers: OrderedDict[asyncio.Future[list[Issue]], None] = OrderedDict()
        self._poll: asyncio.Task[None] | None = None

    async def push(self, issues: Sequence[Issue], capacity: int) -> int:
        """Accept the first issues up to the capacity; return how many. The rest is rejected: the caller
        says so.
        """
        taken = int(await self._script(_PUSH, capacity, *(issue.encode() for issue in issues)))
        if taken:
            self._arrived.set()
        return taken

    async def take(self, count: Callable[[], int]) -> list[Issue]:
        """Wait in line for issues and lease up to `count()` of them. Cancelled, it has taken nothing."""
        taker: asyncio.Future[list[Issue]] = asyncio.get_running_loop().create_future()
        self._takers[taker] = None
        if self._poll is None or self._poll.done():
            self._poll = asyncio.ensure_future(self._serve(count))
        try:
            return await taker
        except asyncio.CancelledError:
            self._takers.pop(taker, None)
            if taker.done() and not taker.cancelled() and taker.exception() is None:
                await self.give_back(taker.result())
            raise

    async def stop(self) -> None:
        """Once nobody takes any more: wait until what was on its way to a taker is back in the queue."""
        if self._poll is not None:
            await self._poll

    async def _serve(self, count: Callable[[], int]) -> None:
        """Serve this pod's takers with one question to Redis for all of them.

        One question each, one after the other, would bind a pod's throughput to the round trip's time.
        """
        try:
            while self._takers:
                self._arrived.clear()
                size = count()
                issues = await self._pop(size * len(self._takers))
                rest = self._hand_over(issues, size)
                if rest:
                    await self.give_back(rest)
                if not issues:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await self._arrived.wait()
        except Exception as error:
            while self._takers:
                taker, _ = self._takers.popitem(last=False)
                if not taker.done():
                    taker.set_exception(error)

    def _hand_over(self, issues: list[Issue], size: int) -> list[Issue]:
        """Give the takers their batches in the order of the line; return what nobody is there for any more."""
        while issues and self._takers:
            taker, _ = self._takers.popitem(last=False)
            if not taker.done():
                taker.set_result(issues[:size])
                issues = issues[size:]
        return issues

    async def _pop(self, count: int) -> list[Issue]:
        return [Issue.decode(entry) for entry in await self._script(_POP, count, self._lease)]

    async def done(self, issues: Sequence[Issue]) -> None:
        await self._script(_DONE, *(issue.id for issue in issues))

    async def fail(self, issues: Sequence[Issue]) -> int:
        """Queue them again with one attempt more; return how many became dead letters."""
        return int(await self._script(_FAIL, self._attempts, 1, *(issue.id for issue in issues)))

    async def give_back(self, issues: Sequence[Issue]) -> None:
        """Queue them again at the head, as if they had not been taken."""
        await self._script(_FAIL, self._attempts, 0, *(issue.id for issue in issues))

    async def recover(self) -> tuple[int, int]:
        """Queue again what dead workers held; return (found, of them dead letters)."""
        found, dead = await self._script(_RECOVER, self._attempts)
        return int(found), int(dead)

    async def length(self) -> int:
        return int(await self._redis.llen(_KEYS[0]))

    async def leased(self) -> int:
        return int(await self._redis.zcard(_KEYS[1]))

    async def _script(self, script: str, *arguments: Any) -> Any:
        return await self._redis.eval(script, len(_KEYS), *_KEYS, *arguments)


def now() -> float:
    """Wall clock in seconds: times that cross processes."""
    return time.time()
