"""The load: open loop, so that a slow service does not slow its own load and hide its latency.

Arrivals are Poisson by a seed and are due at their times whatever the service does. Latency runs from the
time an issue was due to its commit, read from the committed rows in PostgreSQL over a role of its own.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from issue_service.shared_queue import now
from issue_service.workload import Workload

VISIBLE_AFTER = 1.0
"""Rows carry their commit time from just before the commit; a second later all of them can be read."""

DRAIN_SECONDS = 10.0
"""How long the summary waits for accepted issues that are still under way."""

_COMMITTED = text(
    "select extract(epoch from committed_at)::float8, extract(epoch from committed_at - "
    "scheduled_at)::float8 "
    "from issues where committed_at >= :since and id like :run"
)
_COUNT = text("select count(*) from issues where id like :run and committed_at is not null")


def arrivals(rate: float, seed: int) -> Iterator[float]:
    """Seconds from the start at which each issue is due."""
    rng, due = random.Random(seed), 0.0
    while True:
        due += rng.expovariate(rate)
        yield due


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; NaN-free: raises on no values."""
    if not ordered:
        raise ValueError("quantile of no values")
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


@dataclass
class Counts:
    """Issues by what became of the post. `lost`: no answer, so unknown; counted as failed."""

    offered: int = 0
    accepted: int = 0
    rejected: int = 0
    lost: int = 0

    def minus(self, other: Counts) -> Counts:
        return Counts(*(a - b for a, b in zip(self._tuple(), other._tuple(), strict=True)))

    def copy(self) -> Counts:
        return Counts(*self._tuple())

    def _tuple(self) -> tuple[int, int, int, int]:
        return self.offered, self.accepted, self.rejected, self.lost


@dataclass
class Interval:
    """One line of the report. Quantiles are in seconds; absent where nothing was committed."""

    seconds: float
    counts: Counts
    committed: int
    latency: dict[str, float]
    backlog: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "offered_per_s": round(self.counts.offered / self.seconds, 2),
            "committed_per_s": round(self.committed / self.seconds, 2),
            **{name: round(value, 4) for name, value in self.latency.items()},
            "rejected": self.counts.rejected,
            "lost": self.counts.lost,
            "backlog": self.backlog,
        }


@dataclass
class Totals:
    committed: int = 0
    latencies: list[float] = field(default_factory=list)


def latency_quantiles(latencies: Sequence[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    if not ordered:
        return {}
    return {name: quantile(ordered, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


@dataclass(frozen=True)
class Plan:
    """Where to post, for how long (seconds; 0: until ended), how often to report, and at which rate."""

    url: str
    database_url: str
    duration: float
    interval: float
    rate: float


class Generator:
    def __init__(self, workload: Workload, plan: Plan) -> None:
        self._workload, self._plan = workload, plan
        self.run = uuid.uuid4().hex[:8]
        self.counts = Counts()
        self.totals = Totals()
        self.latest: dict[str, Any] = {}
        self._payload = "x" * workload.issue.payload_bytes
        self._posts: set[asyncio.Task[None]] = set()
        self._engine: AsyncEngine = create_async_engine(plan.database_url, pool_size=1, max_overflow=0)

    async def generate(self) -> dict[str, Any]:
        """Post until the plan's end, then report what became of every issue."""
        # One connection per post: kube-proxy balances connections, so a kept one would stay with its first
        # pod.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=10.0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            report = asyncio.ensure_future(self._report())
            try:
                await self._post_all(session)
            finally:
                await asyncio.gather(*self._posts)
                report.cancel()
                await asyncio.gather(report, return_exceptions=True)
        return await self._summary()

    async def _post_all(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        started, epoch = loop.time(), now()
        for number, due in enumerate(arrivals(self._plan.rate, self._workload.arrivals.seed)):
            if self._plan.duration and due > self._plan.duration:
                await asyncio.sleep(max(0.0, started + self._plan.duration - loop.time()))
                return
            if (wait := started + due - loop.time()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(self._post(session, f"{self.run}-{number}", epoch + due))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    async def _post(self, session: aiohttp.ClientSession, issue_id: str, scheduled_at: float) -> None:
        body = {"issues": [{"id": issue_id, "scheduled_at": scheduled_at, "payload": self._payload}]}
        self.counts.offered += 1
        try:
            async with session.post(self._plan.url, json=body) as response:
                await response.read()
                if response.status == 202:
                    self.counts.accepted += 1
                elif response.status == 429:
                    self.counts.rejected += 1
                else:
                    self.counts.lost += 1
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.counts.lost += 1

    async def _report(self) -> None:
        before, since = self.counts.copy(), now() - VISIBLE_AFTER
        minute: deque[list[float]] = deque(maxlen=max(1, round(60 / self._plan.interval)))
        while True:
            await asyncio.sleep(self._plan.interval)
            until = now() - VISIBLE_AFTER
            try:
                rows = await self._committed(since)
            except Exception as error:
                print(json.dumps({"error": f"committed rows cannot be read: {error!r:.300}"}), flush=True)
                continue
            latencies = [latency for committed_at, latency in rows if committed_at < until]
            self.totals.committed += len(latencies)
            self.totals.latencies.extend(latencies)
            minute.append(latencies)
            still_counted_next_time = len(rows) - len(latencies)
            interval = Interval(
                until - since,
                self.counts.minus(before),
                len(latencies),
                latency_quantiles(latencies),
                self.counts.accepted - self.totals.committed - still_counted_next_time,
            )
            before, since = self.counts.copy(), until
            pooled = latency_quantiles([latency for part in minute for latency in part])
            self.latest = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                **interval.as_dict(),
                **({"p95_minute": round(pooled["p95"], 4)} if pooled else {}),
            }
            print(json.dumps(self.latest), flush=True)

    async def _committed(self, since: float) -> list[tuple[float, float]]:
        """(commit time, latency by due time) of each issue committed since then."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                _COMMITTED, {"run": f"{self.run}-%", "since": datetime.fromtimestamp(since, UTC)}
            )
            return [(float(row[0]), float(row[1])) for row in rows]

    async def _count_committed(self) -> int:
        async with self._engine.connect() as connection:
            return int(await connection.scalar(_COUNT, {"run": f"{self.run}-%"}) or 0)

    async def _summary(self) -> dict[str, Any]:
        """Success share over all offered issues: rejected, expired, failed and lost ones all count against
        it.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_SECONDS
        while (  # noqa: ASYNC110
            committed := await self._count_committed()
        ) < self.counts.accepted and loop.time() < until:
            await asyncio.sleep(0.25)
        await self._engine.dispose()
        return {
            "summary": True,
            "run": self.run,
            "workload": self._workload.name,
            **asdict(self.counts),
            "committed": committed,
            "expired_failed_or_open": self.counts.accepted - committed,
            "success_share": round(committed / max(1, self.counts.offered), 5),
            **{name: round(value, 4) for name, value in latency_quantiles(self.totals.latencies).items()},
        }

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/stats", self._stats)
        app.router.add_get("/healthz", self._healthy)
        return app

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response({"run": self.run, "totals": asdict(self.counts), "latest": self.latest})

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")


def print_summary(summary: dict[str, Any]) -> None:
    print(json.dumps(summary), file=sys.stdout, flush=True)
