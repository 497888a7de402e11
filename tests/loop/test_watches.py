"""What a watch may do to us: expire (410), end, break, or fall silent with its connection open. Real kopf, our own server.

A change that it did not tell is marked all the same: after 410 by the list that kopf makes anew, after an end or a break by
the next watch, in silence by kopf's timeout. Beneath that, each profile is looked at once per interval, and all are listed
every 300 s.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from pegbox.runtime import handlers

GROUP = "/apis/pegbox.dev/v1alpha1"
PLURALS = {
    "performanceprofiles": "PerformanceProfile",
    "performanceclasses": "PerformanceClass",
    "sharedbudgets": "SharedBudget",
}
EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


def profile(generation: int) -> dict[str, Any]:
    meta = {"name": "checkout", "namespace": "shop", "uid": "u", "resourceVersion": str(generation)}
    return {
        "apiVersion": "pegbox.dev/v1alpha1",
        "kind": "PerformanceProfile",
        "metadata": meta | {"generation": generation},
    }


def _kind(name: str, kind: str) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "patch"]
    return {"name": name, "singularName": "", "kind": kind, "namespaced": name != "performanceclasses", "verbs": verbs}


@dataclass
class ApiServer:
    """Has one profile, which changes while it is watched for the first time. That watch does `first` instead of saying so."""

    first: Callable[[web.StreamResponse], Any]
    generation: int = 1
    lists: int = 0
    watches: int = 0
    theirs: list[dict[str, Any]] = field(default_factory=list)
    asked_of_theirs: int = 0
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if path == "/apis":
            version = {"groupVersion": "pegbox.dev/v1alpha1", "version": "v1alpha1"}
            group = {"name": "pegbox.dev", "versions": [version], "preferredVersion": version}
            return web.json_response({"kind": "APIGroupList", "groups": [group]})
        if path == "/api":
            return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
        if path == GROUP:
            kinds = [_kind(name, kind) for name, kind in PLURALS.items()]
            return web.json_response(
                {"kind": "APIResourceList", "groupVersion": "pegbox.dev/v1alpha1", "resources": kinds}
            )
        if path == "/api/v1":
            core = [_kind("configmaps", "ConfigMap"), _kind("namespaces", "Namespace"), _kind("events", "Event")]
            return web.json_response({"kind": "APIResourceList", "groupVersion": "v1", "resources": core})
        ours = path == f"{GROUP}/performanceprofiles"
        if path.endswith("/configmaps"):
            self.asked_of_theirs += 1
            meta = {"resourceVersion": "1"}
            return web.json_response({"kind": "ConfigMapList", "metadata": meta, "items": self.theirs})
        if request.query.get("watch") != "true":
            self.lists += ours
            meta = {"resourceVersion": str(self.generation)}
            return web.json_response(
                {"kind": "List", "metadata": meta, "items": [profile(self.generation)] if ours else []}
            )
        response = web.StreamResponse()
        await response.prepare(request)
        if not ours:
            await self.released.wait()
            return response
        self.watches += 1
        if self.watches == 1:
            self.generation += 1  # changed, and this watch never says so
            self.watched.set()
            await self.first(response)
        else:
            if int(request.query["resourceVersion"]) < self.generation:  # as a server does: what came since
                told = {"type": "MODIFIED", "object": profile(self.generation)}
                await response.write(json.dumps(told).encode() + b"\n")
            await self.released.wait()
        return response


async def expires(response: web.StreamResponse) -> None:
    await response.write(json.dumps(EXPIRED).encode() + b"\n")


async def ends(response: web.StreamResponse) -> None:
    await response.write_eof()


async def breaks(response: web.StreamResponse) -> None:
    await response.write(b'{"type": "MODIF')
    assert response._payload_writer is not None
    transport = response._payload_writer.transport
    assert transport is not None
    transport.close()


async def falls_silent(response: web.StreamResponse) -> None:
    await asyncio.Event().wait()


def only(mark: Callable[[str], None]) -> handlers.Marks:
    """Marks of profiles; all others are thrown away."""

    def nothing(_: str) -> None:
        return

    return handlers.Marks(mark, nothing, nothing, nothing)


@asynccontextmanager
async def watching(server: ApiServer, folder: Path, marks: Callable[[str], None]) -> AsyncIterator[None]:
    """Kopf with our handlers and settings, on this server."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    registry, settings = handlers.registry(only(marks), file), handlers.tuned()
    settings.watching.client_timeout = 1  # 610 s in production: the longest silence that is believed
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(handlers.watch(registry, (), ready, stop, lambda: None, settings))
    try:
        yield
    finally:
        stop.set()
        server.released.set()
        await asyncio.wait_for(task, 30)
        await runner.cleanup()


@pytest.mark.parametrize("first", [expires, ends, breaks, falls_silent], ids=lambda each: each.__name__)
async def test_a_change_that_the_watch_never_told_is_marked_all_the_same(
    first: Callable[[web.StreamResponse], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "")  # set by the handlers: put back afterwards
    server, marked = ApiServer(first), asyncio.Queue[str]()
    async with watching(server, tmp_path, marked.put_nowait):
        assert await asyncio.wait_for(marked.get(), 30) == "shop/checkout", "the first list"
        await asyncio.wait_for(server.watched.wait(), 30)
        assert await asyncio.wait_for(marked.get(), 60) == "shop/checkout", "the change"
    assert server.lists == (2 if first is expires else 1), "410 asks for a new list, nothing else does"


class Told:
    """What the handlers marked, where events are told by hand."""

    def __init__(self) -> None:
        self.marked: list[str] = []

        def waiting(namespace: str) -> None:
            self.marked.append(f"who waits in {namespace}")

        mark = self.marked.append
        made = handlers.registry(handlers.Marks(mark, mark, mark, waiting))
        found = made._watching.get_all_handlers()
        self.handlers: dict[str, Any] = {str(each.selector and each.selector.any_name): each.fn for each in found}

    async def tell(self, plural: str, how: str | None, **meta: Any) -> list[str]:
        """The marks that this event made."""
        before, named = len(self.marked), {"name": "n", "namespace": "shop"}
        await self.handlers[plural](**named, type=how, meta=named | {"uid": "u"} | meta)
        return self.marked[before:]


KINDS = [
    ("performanceprofiles", "shop/n", "generation"),
    ("performanceclasses", "n", "generation"),
    ("sharedbudgets", "shop", "generation"),
    ("sharedbudgets", "who waits in shop", "resourceVersion"),
]


@pytest.mark.parametrize(("plural", "mark", "counter"), KINDS, ids=[" ".join(k) for k in KINDS])
async def test_a_list_that_tells_again_what_was_told_marks_nothing_and_a_change_in_it_does(
    plural: str, mark: str, counter: str
) -> None:
    """A watch that expired begins with such a list. One of a class used to mark all profiles that use it."""
    told = Told()
    whole = mark.rpartition(" ")[2]
    assert await told.tell(plural, None, **{counter: 1}) == [whole], "its first"
    assert await told.tell(plural, None, **{counter: 1}) == []
    assert await told.tell(plural, None, **{counter: 2}) == [mark]
    assert await told.tell(plural, "DELETED", **{counter: 2}) == [whole]
    assert await told.tell(plural, "ADDED", **{counter: 2}) == [whole], "made again"


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/managed-by": "pegbox", "pegbox.dev/profile": "checkout"}])
async def test_what_others_put_into_config_maps_is_never_sent_to_us_unasked(
    labels: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kopf lists what it watches whole, and anybody may write the label of ours: 200 of 1 MB were 611 MiB here."""
    monkeypatch.setenv("KUBECONFIG", "")
    server, marked = ApiServer(expires), asyncio.Queue[str]()
    server.theirs = [{"metadata": {"name": "n", "namespace": "evil", "labels": labels}, "data": {"k": "x" * 1000}}]
    async with watching(server, tmp_path, marked.put_nowait):
        for _ in range(2):
            assert await asyncio.wait_for(marked.get(), 60) == "shop/checkout"
    assert server.asked_of_theirs == 0


def test_what_is_watched_is_ours_alone() -> None:
    """A kind of others would be listed whole: nobody bounds how many there are, and how large."""
    told = Told()
    assert set(told.handlers) == set(PLURALS)


def test_no_watch_is_believed_for_ever() -> None:
    """The server ends it after 10 minutes, and where it forgets that, the client does."""
    found = handlers.tuned().watching
    assert (found.server_timeout, found.client_timeout) == (600, 610)
