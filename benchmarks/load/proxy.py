"""A proxy on loopback between the operator and one server, which breaks calls as `Faults` draws them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp import web

from benchmarks.load import faults
from benchmarks.load.faults import AFTER, STATUS, Fault, Faults

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "upgrade"})
SPOILED = frozenset({Fault.NAN, Fault.EMPTY, Fault.PARTIAL})
CLOSE_SECONDS = 10.0
GIVE_UP = 120.0  # seconds after which a call to the server behind is ended


@dataclass(frozen=True)
class Call:
    """One call as it came in. `at` is monotonic, in seconds."""

    at: float
    method: str
    path: str

    @property
    def named(self) -> tuple[str, str, str]:
        """(plural with subresource left out, namespace, name) of a Kubernetes path; "" for what it does not name."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if len(parts) > 2 and parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        return (parts[0] if parts else "", namespace, parts[1] if len(parts) > 1 else "")


def _ignore(call: Call) -> None:
    """Nobody asks."""


@dataclass
class Proxy:
    """`upstream` is the server's URL. `came` hears every call, `wrote` every write that the server has received."""

    upstream: str
    faults: Faults
    context: ssl.SSLContext | None = None
    queries: bool = False  # a Prometheus: answers may be spoiled
    came: Callable[[Call], None] = _ignore
    wrote: Callable[[Call], None] = _ignore
    away: bool = False  # nobody is reached at all
    port: int = 0
    _held: set[asyncio.Future[tuple[int, dict[str, str], bytes]]] = field(default_factory=set)

    async def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        connector = aiohttp.TCPConnector(limit=0, ssl=self.context if self.context is not None else True)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Handlers that still wait for a server that is being ended are not waited for."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._runner.cleanup(), CLOSE_SECONDS)
        await self._session.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(monotonic(), request.method, request.path_qs)
        self.came(call)
        body = await request.read()
        if self.away:
            return _cut(request)
        if parse_qs(request.query_string).get("watch", [""])[0] in ("true", "1"):
            return await self._watch(request)
        fault = self.faults.draw(self._among(request.method))
        if fault is None or fault in AFTER:
            return await self._pass(request, body, fault, call)
        if fault is Fault.SLOW:
            await asyncio.sleep(self.faults.seconds())
            return await self._pass(request, body, None, call)
        return _cut(request) if fault is Fault.RESET else _refused(STATUS[fault])

    def _among(self, method: str) -> tuple[Fault, ...]:
        if self.queries:
            return faults.QUERIES
        return faults.WRITES if method in WRITING else faults.READS

    async def _pass(self, request: web.Request, body: bytes, fault: Fault | None, call: Call) -> web.StreamResponse:
        """Forward it, then tell the caller what the fault lets him hear.

        In a task of its own: what the server has begun goes on though the caller has given up.
        """
        answering = asyncio.ensure_future(self._forward(request, body, call))
        self._held.add(answering)
        answering.add_done_callback(self._held.discard)
        try:
            status, headers, answer = await asyncio.shield(answering)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return _cut(request)
        if fault is Fault.SLOW_AFTER:
            await asyncio.sleep(self.faults.seconds())
        elif fault is Fault.LOST:
            return _cut(request)
        elif fault is Fault.BROKEN_AFTER:
            return _refused(500)
        elif fault is Fault.TRUNCATED:
            return await _truncated(request, status, headers, answer)
        elif fault in SPOILED and fault is not None:
            answer = faults.spoiled(fault, answer)
        return web.Response(status=status, headers=headers, body=answer)

    async def _forward(self, request: web.Request, body: bytes, call: Call) -> tuple[int, dict[str, str], bytes]:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP}
        if self.queries:
            headers.pop("Accept-Encoding", None)  # answers are read here
        async with asyncio.timeout(GIVE_UP):
            async with self._session.request(
                request.method, self.upstream + request.path_qs, headers=headers, data=body or None
            ) as response:
                if request.method in WRITING:
                    self.wrote(call)
                answer = await response.read()
                kept = {k: v for k, v in response.headers.items() if k.lower() not in HOP}
                return response.status, kept, answer

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """Lines as they come, until the watch's end is due: cut, or silent with the connection open."""
        end = self.faults.watch()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP}
        try:
            async with self._session.get(self.upstream + request.path_qs, headers=headers) as response:
                out = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
                await out.prepare(request)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if end is None else end[1]):
                        async for chunk in response.content.iter_any():
                            await out.write(chunk)
                        return out
            if end is not None and end[0] is Fault.MUTE:
                while not _gone(request):  # noqa: ASYNC110  a transport has no event for it
                    await asyncio.sleep(1.0)
            return _cut(request, out)
        except (aiohttp.ClientError, OSError):
            return _cut(request)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """The connection is reset: the caller hears nothing, or nothing more."""
    if request.transport is not None:
        request.transport.abort()
    return response if response is not None else web.Response(status=502)


def _refused(status: int) -> web.Response:
    headers = {"Retry-After": str(faults.RETRY_AFTER)} if status == 429 else {}
    return web.json_response(faults.status_body(status), status=status, headers=headers)


async def _truncated(request: web.Request, status: int, headers: dict[str, str], answer: bytes) -> web.StreamResponse:
    """Half of what was announced, then nothing."""
    out = web.StreamResponse(status=status, headers=headers | {"Content-Length": str(len(answer))})
    await out.prepare(request)
    await out.write(answer[: len(answer) // 2])
    return _cut(request, out)
