"""KubeCluster over HTTP, against a small server of our own on loopback; the real one is in tests/contract."""

import asyncio
import concurrent.futures
import gc
import json
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from pegbox.adapters.kube import client as client_module
from pegbox.adapters.kube.client import KubeCluster, path_of
from pegbox.adapters.kube.connect import connect
from pegbox.adapters.kube.limits import TokenBucket
from pegbox.model.errors import InvalidInput, NotAvailable, PegboxError, Refused
from pegbox.ports import CLASS, CONFIG_MAP, DEPLOYMENT, POD, PROFILE, Object, Ref
from pegbox.testing.clock import FakeClock

REF = Ref(CONFIG_MAP, "shop", "a")
BODY: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}
Answer = Callable[[web.Request], Any]


@dataclass
class Server:
    """Answers by `answer`, and keeps what it was asked."""

    url: str = ""
    answer: Answer = lambda request: web.json_response({"kind": "ConfigMap"})
    asked: list[tuple[str, str, dict[str, str], str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        kind = request.headers.get("Content-Type", "")
        self.asked.append((request.method, request.raw_path.partition("?")[0], dict(request.query), kind, text))
        self.tokens.append(request.headers.get("Authorization", ""))
        answered = self.answer(request)
        return await answered if asyncio.iscoroutine(answered) else answered


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def kubeconfig(path: Path, url: str, user: Object, **cluster: str) -> Path:
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "test", "user": user}],
    }
    path.write_text(yaml.safe_dump(body))
    return path


@pytest.fixture
async def cluster(server: Server, clock: FakeClock, tmp_path: Path) -> AsyncIterator[KubeCluster]:
    (tmp_path / "token").write_text("first")
    file = kubeconfig(tmp_path / "config", server.url, {"tokenFile": str(tmp_path / "token")})
    made = KubeCluster(await connect(clock, kubeconfig=file), clock)
    yield made
    await made.close()


async def test_an_apply_names_manager_validation_and_force(server: Server, cluster: KubeCluster) -> None:
    await cluster.apply(BODY | {"data": {"a": "1"}})
    method, path, query, kind, text = server.asked[0]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/shop/configmaps/a")
    assert query == {"fieldManager": "pegbox", "fieldValidation": "Strict", "force": "false"}
    assert kind == "application/apply-patch+yaml" and json.loads(text) == BODY | {"data": {"a": "1"}}
    await cluster.apply(BODY, force=True, subresource="status")
    assert server.asked[1][1].endswith("/configmaps/a/status") and server.asked[1][2]["force"] == "true"


async def test_nothing_of_an_object_is_dropped_or_defaulted(server: Server, cluster: KubeCluster) -> None:
    """Fields that no client library knows, nulls and odd numbers come through, both ways."""
    odd = {"kind": "ConfigMap", "newField": {"deep": [None, 1.5, {"x": ""}]}, "metadata": {"future": 2**60}}
    server.answer = lambda request: web.json_response(odd)
    assert await cluster.get(REF) == odd
    await cluster.apply(BODY | {"newField": None})
    assert json.loads(server.asked[-1][4]) == BODY | {"newField": None}


async def test_patches_deletes_and_evictions_carry_their_preconditions(server: Server, cluster: KubeCluster) -> None:
    operations: list[Object] = [{"op": "test", "path": "/metadata/uid", "value": "u"}]
    await cluster.json_patch(REF, operations, subresource="scale")
    await cluster.delete(REF, uid="u")
    await cluster.evict(Ref(POD, "shop", "p"), uid="u")
    patch, delete, evict = server.asked
    assert patch[1].endswith("/a/scale") and patch[3] == "application/json-patch+json"
    assert json.loads(patch[4]) == operations
    assert delete[0] == "DELETE" and json.loads(delete[4])["preconditions"] == {"uid": "u"}
    assert evict[1].endswith("/pods/p/eviction")
    assert json.loads(evict[4])["deleteOptions"] == {"preconditions": {"uid": "u"}}


async def test_a_list_follows_its_pages_and_names_the_kind(server: Server, cluster: KubeCluster) -> None:
    def page(request: web.Request) -> web.Response:
        last = "continue" in request.query
        metadata = {} if last else {"continue": "more"}
        return web.json_response({"metadata": metadata, "items": [{"metadata": {"name": "b" if last else "a"}}]})

    server.answer = page
    found = await cluster.list(CONFIG_MAP, "shop", labels="app in (x)", limit=1)
    assert [(each["kind"], each["metadata"]["name"]) for each in found] == [("ConfigMap", "a"), ("ConfigMap", "b")]
    assert server.asked[1][2] == {"limit": "1", "labelSelector": "app in (x)", "continue": "more"}


async def test_a_list_that_outlives_the_servers_history_starts_again(server: Server, cluster: KubeCluster) -> None:
    def page(request: web.Request) -> web.Response:
        if len(server.asked) == 2:
            return web.json_response({"kind": "Status", "message": "expired"}, status=410)
        more = {"continue": "more"} if len(server.asked) == 1 else {}
        return web.json_response({"metadata": more, "items": [{"metadata": {"name": str(len(server.asked))}}]})

    server.answer = page
    assert [each["metadata"]["name"] for each in await cluster.list(CONFIG_MAP, "shop")] == ["3"]


def _large(bytes_each: int, count: int) -> Answer:
    """A namespace with so many objects of so many bytes, which the server gives in pages as they are asked for."""

    def page(request: web.Request) -> web.Response:
        start, limit = int(request.query.get("continue", "0")), int(request.query["limit"])
        end = min(count, start + limit)
        items = [{"metadata": {"name": str(n), "annotations": {"a": "x" * bytes_each}}} for n in range(start, end)]
        return web.json_response({"metadata": {"continue": str(end)} if end < count else {}, "items": items})

    return page


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(
    server: Server, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may make objects in a namespace may make 500 of 1.5 MB: nobody reads 750 MB for one page."""
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 20_000)
    server.answer = _large(1_000, 100)
    found = await cluster.list(POD, "shop")
    assert [each["metadata"]["name"] for each in found] == [str(n) for n in range(100)]
    assert [asked[2]["limit"] for asked in server.asked][:5] == ["500", "125", "31", "7", "7"]


async def test_an_object_that_is_too_large_ends_the_list_and_the_read(
    server: Server, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 20_000)
    server.answer = _large(30_000, 3)
    with pytest.raises(NotAvailable, match="list pods in shop: the answer is over"):
        await cluster.list(POD, "shop", limit=1)
    server.answer = lambda _: web.json_response({"data": {"k": "x" * 30_000}})
    with pytest.raises(NotAvailable, match="get ConfigMap shop/a: the answer is over"):
        await cluster.get(REF)
    server.answer = lambda _: web.json_response({"data": {"k": "x" * 19_000}})
    assert len((await cluster.get(REF))["data"]["k"]) == 19_000


async def test_of_one_namespace_only_so_much_is_read_and_our_own_lists_are_whole(
    server: Server, cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_LIST_BYTES", 50_000)
    server.answer = _large(1_000, 100)
    with pytest.raises(NotAvailable, match="list pods in evil: more than"):
        await cluster.list(POD, "evil", limit=10)
    assert len(server.asked) == 5
    assert len(await cluster.list(PROFILE, "evil", limit=10)) == 100
    assert len(await cluster.list(PROFILE, limit=10)) == 100
    server.answer = _large(1_000, 40)
    assert len(await cluster.list(POD, "shop", limit=10)) == 40


async def test_access_is_asked_and_only_a_clear_yes_is_one(server: Server, cluster: KubeCluster) -> None:
    answers = iter([{"allowed": True}, {"allowed": False}, {}])
    server.answer = lambda request: web.json_response({"status": next(answers)}, status=201)
    asked = [await cluster.allowed("patch", "apps", "deployments", namespace="a", subresource="scale") for _ in "123"]
    assert asked == [True, False, False]
    attributes = json.loads(server.asked[0][4])["spec"]["resourceAttributes"]
    assert attributes["subresource"] == "scale" and attributes["namespace"] == "a"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"text": "<html>"}, id="no JSON"),
        pytest.param({"text": "[]"}, id="no object"),
        pytest.param({"status": 503, "text": "down"}, id="503"),
    ],
)
async def test_an_answer_that_is_none_is_not_available(
    server: Server, cluster: KubeCluster, answer: dict[str, Any]
) -> None:
    server.answer = lambda request: web.Response(**answer)  # a new one each time: it may be asked for twice
    with pytest.raises(NotAvailable, match="get ConfigMap shop/a"):
        await cluster.get(REF)


async def test_a_body_that_no_server_would_read_is_not_sent(server: Server, cluster: KubeCluster) -> None:
    with pytest.raises(Refused, match="over 3145728 bytes") as caught:
        await cluster.apply(BODY | {"data": {"a": "x" * 3 * 2**20}})
    assert caught.value.status == 413 and server.asked == []


async def test_a_redirect_is_not_an_object(server: Server, cluster: KubeCluster) -> None:
    server.answer = lambda request: web.Response(status=304)
    with pytest.raises(NotAvailable):
        await cluster.get(REF)


async def test_a_connection_that_breaks_or_is_refused_is_not_available(
    server: Server, cluster: KubeCluster, clock: FakeClock, tmp_path: Path
) -> None:
    def broken(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    server.answer = broken
    with pytest.raises(NotAvailable, match="get ConfigMap shop/a"):
        await cluster.get(REF)
    nobody = kubeconfig(tmp_path / "nobody", "http://127.0.0.1:9", {"token": "x"})
    closed = KubeCluster(await connect(clock, kubeconfig=nobody), clock)
    with pytest.raises(NotAvailable):
        await closed.get(REF)
    await closed.close()


def failing(request: web.Request) -> web.Response:
    return web.Response(status=500, text="etcdserver: leader changed")


def torn(request: web.Request) -> web.StreamResponse:
    """Half of what was announced."""

    async def answer() -> web.StreamResponse:
        out = web.StreamResponse(headers={"Content-Length": "100"})
        await out.prepare(request)
        await out.write(b'{"kind": "Conf')
        assert request.transport is not None
        request.transport.abort()
        return out

    return answer()  # type: ignore[return-value]  # the server awaits it


@pytest.mark.parametrize("first", [failing, torn])
async def test_a_read_that_failed_at_once_is_tried_once_more(
    server: Server, cluster: KubeCluster, clock: FakeClock, first: Answer
) -> None:
    answers = [first, lambda request: web.json_response({"kind": "ConfigMap"})]
    server.answer = lambda request: answers.pop(0)(request)
    before = clock.monotonic()
    assert await cluster.get(REF) == {"kind": "ConfigMap"}
    assert clock.monotonic() - before == client_module.AGAIN_SECONDS


async def test_a_read_that_fails_twice_is_not_available(server: Server, cluster: KubeCluster) -> None:
    server.answer = failing
    with pytest.raises(NotAvailable, match="leader changed"):
        await cluster.get(REF)
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410, 422, 429])
async def test_a_read_that_was_refused_or_told_to_wait_is_not_tried_again(
    server: Server, cluster: KubeCluster, status: int
) -> None:
    server.answer = lambda request: web.Response(status=status, text="no")
    with pytest.raises(PegboxError):
        await cluster.get(REF)
    assert len(server.asked) == 1


async def test_a_write_is_never_sent_twice(server: Server, cluster: KubeCluster) -> None:
    """Its answer may be what was lost: the next look reads what it did."""
    server.answer = failing
    for write in (cluster.apply(BODY), cluster.create(BODY), cluster.json_patch(REF, []), cluster.delete(REF)):
        with pytest.raises(NotAvailable):
            await write
    assert len(server.asked) == 4


async def test_a_server_that_does_not_answer_is_left_after_the_timeout(server: Server, cluster: KubeCluster) -> None:
    released = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    server.answer = slow
    request = client_module._Request(client_module._asked("get", REF), "GET", "/x", timeout=0.05)
    with pytest.raises(NotAvailable, match=r"no answer within 0\.05 s"):
        await cluster._send(request)
    assert len(server.asked) <= 1  # it is busy with the first
    released.set()


async def test_a_token_file_is_read_again_after_a_minute(
    server: Server, cluster: KubeCluster, clock: FakeClock, tmp_path: Path
) -> None:
    await cluster.get(REF)
    (tmp_path / "token").write_text("second")
    await cluster.get(REF)
    await clock.advance(61)
    await cluster.get(REF)
    assert server.tokens == ["Bearer first", "Bearer first", "Bearer second"]


@pytest.mark.parametrize("text", ["", "no: config", "{", "missing"], ids=["empty", "foreign", "torn", "missing"])
async def test_a_kubeconfig_that_cannot_be_used_is_named_with_its_remedy(
    tmp_path: Path, clock: FakeClock, text: str
) -> None:
    if text != "missing":
        (tmp_path / "config").write_text(text)
    with pytest.raises(NotAvailable, match=r"config cannot be read.*name a kubeconfig"):
        await connect(clock, kubeconfig=tmp_path / "config")


async def test_outside_of_a_pod_there_is_no_service_account(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NotAvailable, match="service account"):
        await connect(clock)


PROXY = "http://user:word@proxy.invalid:3128"
PROXIES: dict[str, tuple[dict[str, str], str | None]] = {
    "none without a word of it": ({}, None),
    "the one of the environment, with its credentials": ({"https_proxy": PROXY}, PROXY),
    "none where NO_PROXY names the server": ({"https_proxy": PROXY, "no_proxy": "other,10.0.0.1"}, None),
    "none where only the other scheme has one": ({"http_proxy": PROXY}, None),
}


@pytest.mark.parametrize("name", PROXIES)
async def test_the_environment_is_asked_once_for_a_proxy(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    variables, proxy = PROXIES[name]
    for each in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.upper(), raising=False)
    for each, value in variables.items():
        monkeypatch.setenv(each, value)
    client = await connect(clock, kubeconfig=kubeconfig(tmp_path / "config", "https://10.0.0.1:6443", {"token": "x"}))
    assert client.rest_client.proxy == proxy
    await client.close()


async def test_the_kubeconfigs_own_proxy_goes_before(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", PROXY)
    own = {"proxy-url": "http://other.invalid:1"}
    file = kubeconfig(tmp_path / "config", "https://10.0.0.1:6443", {"token": "x"}, **own)
    client = await connect(clock, kubeconfig=file)
    assert client.rest_client.proxy == "http://other.invalid:1"
    await client.close()


async def test_no_call_asks_the_environment_in_a_thread_nor_reads_a_netrc(
    server: Server, cluster: KubeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread would hold all that the caller had read until its next call."""
    (tmp_path / "netrc").write_text("default login somebody password else")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def submit(*_: Any, **__: Any) -> None:
        raise AssertionError("a call went through a thread")

    monkeypatch.setattr(concurrent.futures.ThreadPoolExecutor, "submit", submit)
    await cluster.get(REF)
    assert server.tokens == ["Bearer first"]


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        ({"apiVersion": "x/v1", "kind": "Y", "metadata": {"name": "a"}}, "in `kinds`"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, "metadata.namespace"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "metadata.name"),
    ],
    ids=["an unknown type", "no namespace", "no name"],
)
async def test_a_body_that_names_no_object_is_refused_before_it_is_sent(
    server: Server, cluster: KubeCluster, body: Object, remedy: str
) -> None:
    with pytest.raises(InvalidInput, match=remedy):
        await cluster.apply(body)
    assert server.asked == []


def test_a_name_cannot_reach_another_path() -> None:
    assert path_of(CONFIG_MAP, "shop", "../pods/x") == "/api/v1/namespaces/shop/configmaps/..%2Fpods%2Fx"
    assert path_of(CONFIG_MAP, "a?b", "") == "/api/v1/namespaces/a%3Fb/configmaps"
    assert path_of(DEPLOYMENT, "shop", "web", "scale") == "/apis/apps/v1/namespaces/shop/deployments/web/scale"
    assert path_of(CLASS, "ignored", "x") == "/apis/pegbox.dev/v1alpha1/performanceclasses/x"


async def test_requests_are_limited_to_the_rate_after_a_burst() -> None:
    """40 at once, then 20 per second: the 60th leaves at (60 - 40) / 20 = 1 s."""
    clock = FakeClock()
    bucket = TokenBucket(clock, rate=20.0, burst=40)
    for _ in range(40):
        await bucket.take()
    assert clock.monotonic() == 0.0
    await asyncio.gather(*(bucket.take() for _ in range(20)))
    assert clock.monotonic() == pytest.approx(1.0)


async def test_tokens_come_back_but_never_beyond_the_burst() -> None:
    clock = FakeClock()
    bucket = TokenBucket(clock, rate=1.0, burst=2)
    await clock.advance(1000)
    for _ in range(3):
        await bucket.take()
    assert clock.monotonic() == pytest.approx(1001.0)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_limit_that_would_stop_everything_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        TokenBucket(FakeClock(), rate=rate, burst=burst)


class Read:
    """Something that a look has read, and holds when a call of it fails."""


def _hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    "answer",
    [
        *(pytest.param(lambda _, s=s: web.json_response({}, status=s), id=str(s)) for s in (403, 404, 409, 429, 500)),
        pytest.param(lambda _: web.Response(text="no JSON"), id="no JSON"),
        pytest.param(lambda _: web.json_response([]), id="no object"),
        pytest.param(_hangs_up, id="hangs up"),
    ],
)
async def test_what_a_look_had_read_is_gone_with_the_error_that_ended_it(
    server: Server, cluster: KubeCluster, answer: Answer
) -> None:
    """And does not wait for the garbage collector: where a tenth of all calls failed, that was a third of the heap."""
    server.answer, held = answer, []

    async def look() -> None:
        read = Read()
        held.append(weakref.ref(read))
        await cluster.get(REF)

    gc.disable()
    try:
        with pytest.raises(PegboxError) as caught:
            await look()
        del caught
        assert held[0]() is None
    finally:
        gc.enable()


async def test_so_it_is_with_a_call_that_nobody_answers_in_time(server: Server, cluster: KubeCluster) -> None:
    released, held = asyncio.Event(), []

    async def slow(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async def look() -> None:
        read = Read()
        held.append(weakref.ref(read))
        await cluster._send(client_module._Request(client_module._asked("get", REF), "GET", "/x", timeout=0.05))

    server.answer = slow
    gc.disable()
    try:
        with pytest.raises(NotAvailable, match="no answer within") as caught:
            await look()
        del caught
        await asyncio.sleep(0)  # Python 3.13 lets go of it in the loop's next turn
        assert held[0]() is None
    finally:
        gc.enable()
        released.set()
