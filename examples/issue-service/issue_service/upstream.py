"""The upstream: somebody else's API, with latency, a rate limit shared by all callers, and its own books.

Its counters are the witness of whether a limit was exceeded; nobody else's word counts.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from issue_service.workload import Upstream, Workload


class Books:
    """Fixed windows of `window` seconds; a call is counted in the window in which it arrives."""

    def __init__(self, numbers: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._numbers, self._clock = numbers, clock
        self._window_started = clock()
        self.used = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self.window_max = 0
        self.outcomes = {"ok": 0, "rate_limited": 0, "concurrency_limited": 0}
        self.issues = 0

    def roll(self) -> None:
        now = self._clock()
        passed = math.floor((now - self._window_started) / self._numbers.window)
        if passed:
            self._window_started += passed * self._numbers.window
            self.used = 0

    def admit(self) -> str:
        """ "ok", or the limit that the call exceeds. Every call uses the window, refused ones too."""
        self.roll()
        self.used += 1
        self.window_max = max(self.window_max, self.used)
        if self.used > self._numbers.rate_limit:
            return "rate_limited"
        if self._numbers.concurrency_limit and self.in_flight >= self._numbers.concurrency_limit:
            return "concurrency_limited"
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        return "ok"

    def headers(self) -> dict[str, str]:
        self.roll()
        reset = self._numbers.window - (self._clock() - self._window_started)
        return {
            "X-RateLimit-Limit": str(self._numbers.rate_limit),
            "X-RateLimit-Remaining": str(max(0, self._numbers.rate_limit - self.used)),
            "X-RateLimit-Reset": f"{max(0.0, reset):.3f}",
            "RateLimit-Policy": f"{self._numbers.rate_limit};w={self._numbers.window:g}",
        }

    @property
    def limit_exceeded(self) -> int:
        return self.outcomes["rate_limited"] + self.outcomes["concurrency_limited"]


class UpstreamServer:
    def __init__(self, workload: Workload) -> None:
        self._numbers = workload.upstream
        self._rng = random.Random(workload.upstream.seed)
        self.books = Books(workload.upstream)
        self._registry = CollectorRegistry()
        self._requests = Counter("upstream_requests", "Calls by outcome.", ["outcome"], registry=self._registry)
        self._exceeded = Counter("upstream_limit_exceeded", "Calls refused for a limit.", registry=self._registry)
        highest = Gauge("upstream_in_flight_max", "Most calls at once so far.", registry=self._registry)
        highest.set_function(lambda: self.books.in_flight_max)
        busiest = Gauge("upstream_window_max", "Most calls in one window so far.", registry=self._registry)
        busiest.set_function(lambda: self.books.window_max)
        for outcome in self.books.outcomes:
            self._requests.labels(outcome)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/batch", self._batch)
        app.router.add_get("/stats", self._stats)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", _healthy)
        return app

    def latency(self, issues: int) -> float:
        """Seconds of a call: lognormal with the file's median and sigma, plus a little per further issue."""
        first = self._numbers.latency_median * math.exp(self._numbers.latency_sigma * self._rng.gauss(0, 1))
        return first + self._numbers.per_issue * (issues - 1)

    async def _batch(self, request: web.Request) -> web.Response:
        outcome = self.books.admit()
        self.books.outcomes[outcome] += 1
        self._requests.labels(outcome).inc()
        if outcome != "ok":
            self._exceeded.inc()
            headers = self.books.headers()
            return web.Response(status=429, headers={**headers, "Retry-After": headers["X-RateLimit-Reset"]})
        try:
            issues: list[dict[str, Any]] = (await request.json())["issues"]
            self.books.issues += len(issues)
            await asyncio.sleep(self.latency(len(issues)))
        finally:
            self.books.in_flight -= 1
        answers = [
            {"id": each["id"], "digest": hashlib.sha256(each["payload"].encode()).hexdigest()} for each in issues
        ]
        return web.json_response({"issues": answers}, headers=self.books.headers())

    async def _stats(self, request: web.Request) -> web.Response:
        books = self.books
        return web.json_response(
            {
                "requests": books.outcomes,
                "issues": books.issues,
                "in_flight": books.in_flight,
                "in_flight_max": books.in_flight_max,
                "window_max": books.window_max,
                "limit_exceeded": books.limit_exceeded,
                "rate_limit": self._numbers.rate_limit,
                "concurrency_limit": self._numbers.concurrency_limit,
            }
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _healthy(request: web.Request) -> web.Response:
    return web.Response(text="ok")
