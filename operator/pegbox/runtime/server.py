"""The operator's own HTTP server: liveness that means that the loop lives, readiness, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

LATEST_OVERDUE = 120.0  # seconds: a key that waits longer means that no worker takes keys any more


@dataclass(frozen=True, slots=True)
class Health:
    """Why the loop is not alive or not ready; an empty text when it is."""

    dead: Callable[[], str]
    unready: Callable[[], str]


async def serve(port: int, registry: CollectorRegistry, health: Health) -> web.AppRunner:
    """Start the server; the caller cleans the runner up. Runs on every replica, leading or not."""

    async def healthz(_: web.Request) -> web.Response:
        return _answer(health.dead())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(health.unready())

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    return runner


def _answer(why: str) -> web.Response:
    return web.Response(text=(why or "ok") + "\n", status=503 if why else 200)
