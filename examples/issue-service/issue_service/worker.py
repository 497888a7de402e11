"""A worker pod: ingress, workers, pools, live settings and metrics in one event loop."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from issue_service import store
from issue_service.knobs import HTTP_UPPER_BOUND, Knobs, declare
from issue_service.processing import Processor
from issue_service.rate_gate import RateGate, ask_redis
from issue_service.shared_queue import Issue, SharedQueue, now
from issue_service.upstream_client import UpstreamClient
from issue_service.workload import Workload
from pegbox.live import (
    Gauge,
    LiveSettings,
    SettingsSource,
    TaskMetrics,
    Values,
    WorkerGroup,
    WorkloadMetrics,
)
from pegbox.live.database_pool import ResizableAsyncPool, pool_of, resize_engine
from pegbox.live.http_pool import HttpPool
from pegbox.live.redis_pool import ResizableRedisPool

logger = logging.getLogger("issue_service")

REDIS_CONNECTIONS = 8
RECOVER_SECONDS = 5.0
MAX_ISSUES_PER_POST = 1000


@dataclass(frozen=True)
class Places:
    """Where the worker finds its neighbours and what it listens on."""

    database_url: str
    redis_url: str
    upstream_url: str
    ingress_port: int
    metrics_port: int
    host: str
    pod: str

    @classmethod
    def from_environment(cls) -> Places:
        return cls(
            database_url=os.environ["DATABASE_URL"],
            redis_url=os.environ["REDIS_URL"],
            upstream_url=os.environ["UPSTREAM_URL"],
            ingress_port=int(os.environ.get("INGRESS_PORT", "8080")),
            metrics_port=int(os.environ.get("METRICS_PORT", "9100")),
            host=os.environ.get("LISTEN_HOST", "0.0.0.0"),
            pod=os.environ.get("POD_NAME", f"pid-{os.getpid()}"),
        )


class Worker:
    """Everything that one pod runs. `start` and `stop` are its whole life."""

    def __init__(self, workload: Workload, places: Places, source: SettingsSource) -> None:
        self.workload, self.places = workload, places
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.knobs: Knobs = declare()
        self.live = LiveSettings(self.knobs.all(), source, registry=self.registry)
        self.tasks = TaskMetrics(self.registry)
        start = self.live.current
        self.engine: AsyncEngine = create_async_engine(
            places.database_url, poolclass=ResizableAsyncPool, pool_size=start[self.knobs.pool_size], max_overflow=0
        )
        pool = ResizableRedisPool.from_url(places.redis_url, limit=REDIS_CONNECTIONS, upper_bound=64)
        self.redis = Redis(connection_pool=pool)
        self.queue = SharedQueue(self.redis, workload.issue.lease, workload.issue.attempts)
        self.http = HttpPool(start[self.knobs.http_pool], HTTP_UPPER_BOUND, timeout=aiohttp.ClientTimeout(total=10.0))
        upstream = UpstreamClient(places.upstream_url, self.http, RateGate(ask_redis(self.redis)))
        self.processor = Processor(workload, self.queue, self.engine, upstream, self.tasks, places.pod)
        self.group: WorkerGroup[list[Issue]] = WorkerGroup(self._take, self.processor.run, self._report)
        self.length = 0
        self._watch(pool)
        self._background: list[asyncio.Task[None]] = []
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        await store.migrate(self.engine)
        self.live.subscribe(self._apply, self._settled)
        self._apply(self.live.current, self.live.current)
        await self.live.start()
        self._background = [asyncio.ensure_future(self._recover()), asyncio.ensure_future(self._measure())]
        await self._listen(self._ingress(), self.places.ingress_port)
        await self._listen(self._monitoring(), self.places.metrics_port)
        logger.info("pod %s works with %s", self.places.pod, self.live.current)

    async def stop(self) -> None:
        """Refuse new issues, finish what runs, leave the rest in the queue."""
        for runner in self._runners:
            await runner.cleanup()
        await self.live.stop()
        await self.group.stop()
        await self.queue.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.http.close()
        await self.engine.dispose()
        await self.redis.aclose()
        await self.redis.connection_pool.aclose()

    def _apply(self, old: Values, new: Values) -> None:
        self.http.resize(new[self.knobs.http_pool])
        resize_engine(self.engine, new[self.knobs.pool_size])
        self.group.resize(new[self.knobs.worker_count])

    async def _settled(self) -> None:
        await asyncio.gather(self.http.settled(), pool_of(self.engine).settled(), self.group.settled())

    async def _take(self) -> list[Issue]:
        return await self.queue.take(lambda: self.live.current[self.knobs.batch_size])

    def _report(self, error: Exception) -> None:
        logger.error("a worker met an error: %r", error)

    def _watch(self, redis_pool: ResizableRedisPool) -> None:
        metrics = WorkloadMetrics(self.registry)
        metrics.watch_pool("http", self.http.limiter)
        metrics.watch_pool("db", pool_of(self.engine).limiter)
        metrics.watch_pool("redis", redis_pool.limiter)
        for gauge in (
            Gauge("pegbox_queue_length", "Issues waiting, in the queue that all pods share.", lambda: self.length),
            Gauge(
                "pegbox_queue_capacity",
                "Issues that may wait, in the queue that all pods share.",
                lambda: self.live.current[self.knobs.worker_queue_capacity],
            ),
            Gauge("pegbox_workers_busy", "Workers with a batch.", lambda: self.group.busy),
            Gauge("pegbox_workers_limit", "Workers wanted.", lambda: self.group.limit),
            Gauge(
                "pegbox_workers_busy_seconds",
                "Worker-seconds with a batch; its rate is the mean number busy.",
                self.group.busy_seconds,
                counter=True,
            ),
        ):
            metrics.add(gauge)

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(RECOVER_SECONDS)
            try:
                found, dead = await self.queue.recover()
            except Exception as error:
                logger.warning("recovery failed and is tried again: %r", error)
                continue
            if found:
                logger.warning("%d issues of a dead worker found, %d of them dead letters", found, dead)
                self.tasks.outcomes.labels("failure").inc(dead)

    async def _measure(self) -> None:
        while True:
            try:
                self.length = await self.queue.length()
            except Exception as error:
                logger.warning("the queue's length is unknown: %r", error)
            await asyncio.sleep(0.5)

    async def _listen(self, app: web.Application, port: int) -> None:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        await web.TCPSite(runner, self.places.host, port).start()
        self._runners.append(runner)

    def _ingress(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/issues", self._accept)
        return app

    def _monitoring(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthy)
        return app

    async def _accept(self, request: web.Request) -> web.Response:
        """202 when all issues were accepted, 429 with the accepted number when the queue was full."""
        enqueued_at = now()
        try:
            given: list[dict[str, Any]] = (await request.json())["issues"]
            issues = [
                Issue(str(each["id"]), float(each["scheduled_at"]), enqueued_at, str(each["payload"])) for each in given
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise web.HTTPBadRequest(text=f"issues: {error!r}; send id, scheduled_at and payload of each") from error
        if len(issues) > MAX_ISSUES_PER_POST:
            raise web.HTTPRequestEntityTooLarge(max_size=MAX_ISSUES_PER_POST, actual_size=len(issues))
        self.tasks.arrived.inc(len(issues))
        accepted = await self.queue.push(issues, self.live.current[self.knobs.worker_queue_capacity])
        rejected = len(issues) - accepted
        if rejected:
            self.tasks.outcomes.labels("rejected").inc(rejected)
        return web.json_response({"accepted": accepted, "rejected": rejected}, status=429 if rejected else 202)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")
