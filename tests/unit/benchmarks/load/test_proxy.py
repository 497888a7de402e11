"""The proxy on loopback: what each fault lets caller and server see of one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from benchmarks.load import faults
from benchmarks.load.faults import Fault, Faults
from benchmarks.load.proxy import Call, Proxy

PATH = "/api/v1/namespaces/s/configmaps/a"


@dataclass
class Planned(Faults):
    """Draws what it is told, and is never slow for long."""

    next: Fault | None = None
    lasts: float | None = None

    def draw(self, among: tuple[Fault, ...]) -> Fault | None:
        assert self.next is None or self.next in among
        return self.next

    def watch(self) -> tuple[Fault, float] | None:
        return None if self.next is None or self.lasts is None else (self.next, self.lasts)

    def seconds(self) -> float:
        return 0.0


@dataclass
class Server:
    """Answers `{"kind": "answer"}` and notes what reached it; a watch says one line and stays open."""

    reached: list[str] = field(default_factory=list)
    wrote: list[Call] = field(default_factory=list)
    planned: Planned = field(default_factory=lambda: Planned(1, 0.1))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.reached.append(f"{request.method} {(await request.read()).decode()} {request.headers.get('X-Some')}")
        if "watch" in request.query:
            out = web.StreamResponse()
            await out.prepare(request)
            await out.write(b'{"type": "ADDED"}\n')
            if request.query["watch"] == "true":
                await asyncio.Event().wait()
            return out
        return web.json_response({"kind": "answer", "data": {"result": [{"value": [1, "2"]}]}})


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Proxy, aiohttp.ClientSession]]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy = Proxy(f"http://127.0.0.1:{runner.addresses[0][1]}", made.planned, wrote=made.wrote.append)
    await proxy.start()
    async with aiohttp.ClientSession(proxy.url) as session:
        yield made, proxy, session
    await proxy.close()
    await runner.cleanup()


Served = tuple[Server, Proxy, aiohttp.ClientSession]


async def patch(session: aiohttp.ClientSession) -> tuple[int, str]:
    async with session.patch(PATH, data=b"body", headers={"X-Some": "thing"}) as response:
        return response.status, await response.text()


async def test_without_a_fault_both_sides_see_all(server: Served) -> None:
    made, _, session = server
    status, text = await patch(session)
    assert status == 200 and '"answer"' in text
    assert made.reached == ["PATCH body thing"]
    assert [call.named for call in made.wrote] == [("configmaps", "s", "a")]


@pytest.mark.parametrize("fault", [*faults.STATUS], ids=lambda fault: fault.value)
async def test_a_refusal_is_heard_and_reached_the_server_only_after(server: Served, fault: Fault) -> None:
    made, _, session = server
    made.planned.next = fault
    status, text = await patch(session)
    assert status == faults.STATUS[fault] and f"injected {status}" in text
    assert len(made.reached) == len(made.wrote) == (1 if fault in faults.AFTER else 0)


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOST, Fault.TRUNCATED], ids=lambda fault: fault.value)
async def test_a_connection_that_breaks_says_nothing_of_what_was_done(server: Served, fault: Fault) -> None:
    made, _, session = server
    made.planned.next = fault
    with pytest.raises(aiohttp.ClientError):
        await patch(session)
    assert len(made.reached) == len(made.wrote) == (1 if fault in faults.AFTER else 0)


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.SLOW_AFTER], ids=lambda fault: fault.value)
async def test_a_slow_call_arrives(server: Served, fault: Fault) -> None:
    made, _, session = server
    made.planned.next = fault
    assert (await patch(session))[0] == 200
    assert len(made.reached) == 1


async def test_answers_of_a_prometheus_are_spoiled(server: Served) -> None:
    made, proxy, session = server
    proxy.queries, made.planned.next = True, Fault.NAN
    async with session.get("/api/v1/query") as response:
        assert (await response.json())["data"]["result"] == [{"value": [1, "NaN"]}]


async def test_a_watch_is_cut_in_mid_course(server: Served) -> None:
    made, _, session = server
    made.planned.next, made.planned.lasts = Fault.DROPPED, 0.2
    async with session.get("/api/v1/pods?watch=true") as response:
        assert await response.content.readline() == b'{"type": "ADDED"}\n'
        with pytest.raises(aiohttp.ClientError):
            await response.content.readline()


async def test_a_watch_that_the_server_ends_ends(server: Served) -> None:
    _, _, session = server
    async with session.get("/api/v1/pods?watch=1") as response:
        assert await response.content.read() == b'{"type": "ADDED"}\n'


async def test_a_server_that_is_away_reaches_nobody(server: Served) -> None:
    made, proxy, session = server
    proxy.away = True
    with pytest.raises(aiohttp.ClientError):
        await patch(session)
    assert made.reached == []
