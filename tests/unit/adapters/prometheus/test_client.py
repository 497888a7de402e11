"""PrometheusSource against servers that misbehave: hang, drip, break off, redirect, warn, answer nonsense."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pegbox.adapters.prometheus.circuit import Circuit
from pegbox.adapters.prometheus.client import PROBE, Pace, PrometheusSource
from pegbox.adapters.prometheus.transport import LONGEST_GET, Server
from pegbox.model.observations import Missing
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.ports import SignalQuery, SignalRows

AT = datetime(2026, 1, 1, tzinfo=UTC)
QUERY = SignalQuery("c", Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, "rate(a{$matchers}[$window])"), 20)


@dataclass
class Reply:
    """What the server does with a request. `hang` holds it until the event is set."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    promise: int = 0  # bytes announced beyond the body: the connection breaks off


@dataclass
class Asked:
    method: str
    path: str
    form: dict[str, list[str]]
    headers: dict[str, str]


def vector(*samples: dict[str, Any], **more: Any) -> Reply:
    document = {"status": "success", "data": {"resultType": "vector", "result": list(samples)}, **more}
    return Reply(body=json.dumps(document).encode())


def row(part: str, value: str) -> dict[str, Any]:
    return {"metric": {"profile": "shop/a", "setting": "1", "part": part}, "value": [0, value]}


GOOD = vector(row("value", "5"), row("fresh", "1"), row("sound", "1"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    reply: Callable[[Asked], Reply] = staticmethod(lambda _: GOOD)

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Clients that went away are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, form: str) -> None:
        asked = Asked(self.command, urlsplit(self.path).path, parse_qs(form), dict(self.headers))
        self.server.asked.append(asked)
        reply = self.server.reply(asked)
        if reply.hang is not None:
            reply.hang.wait(10)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + reply.promise))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[_Server]:
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> Iterator[_Server]:
    with serving() as opened:
        yield opened


@pytest.fixture
async def source(server: _Server) -> AsyncIterator[PrometheusSource]:
    opened = PrometheusSource(Server(server.url), pace=Pace(reuse=10.0))
    yield opened
    opened.close()


async def missing(source: PrometheusSource, at: datetime = AT) -> Missing:
    answer = await source.fetch(QUERY, at)
    assert isinstance(answer, Missing), answer
    return answer


async def test_rows_are_read_at_the_time_asked_for(server: _Server, source: PrometheusSource) -> None:
    answer = await source.fetch(QUERY, AT)
    assert isinstance(answer, SignalRows)
    assert [one.value for one in answer.rows] == [5.0]
    assert answer.at == AT
    assert server.asked[0].form["time"] == [f"{AT.timestamp():.3f}"]
    assert server.asked[0].path == "/api/v1/query"


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        pytest.param(Reply(503, b"{}"), Reason.METRICS_UNREACHABLE, "503", id="unavailable"),
        pytest.param(Reply(429, b"{}"), Reason.METRICS_UNREACHABLE, "429", id="too_many_requests"),
        pytest.param(Reply(401, b"{}"), Reason.METRICS_UNREACHABLE, "401", id="unauthorized"),
        pytest.param(Reply(401, b"no org id"), Reason.METRICS_UNREACHABLE, "401", id="no_tenant"),
        pytest.param(Reply(403, b"{}"), Reason.METRICS_UNREACHABLE, "403", id="a_tenant_that_is_refused"),
        pytest.param(
            Reply(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
            Reason.NO_DATA,
            "no series",
            id="another_tenant_who_has_no_such_series",
        ),
        pytest.param(Reply(404, b"not here"), Reason.METRICS_UNREACHABLE, "404", id="another_server"),
        pytest.param(Reply(200, b"<html>"), Reason.METRICS_UNREACHABLE, "no JSON", id="a_login_page"),
        pytest.param(Reply(200, b"[]"), Reason.METRICS_UNREACHABLE, "not as a Prometheus", id="other_json"),
        pytest.param(Reply(200, b'{"sta', promise=90), Reason.METRICS_UNREACHABLE, "", id="broken_off"),
        pytest.param(
            Reply(302, b"", {"Location": "http://127.0.0.1:1/"}),
            Reason.METRICS_UNREACHABLE,
            "302",
            id="redirects_are_not_followed",
        ),
        pytest.param(
            Reply(400, b'{"status":"error","errorType":"bad_data","error":"parse error: x"}'),
            Reason.QUERY_INVALID,
            "parse error: x",
            id="query_that_does_not_parse",
        ),
        pytest.param(
            Reply(422, b'{"status":"error","error":"many-to-many"}'),
            Reason.QUERY_INVALID,
            "many-to-many",
            id="query_that_cannot_run",
        ),
        pytest.param(
            Reply(200, b'{"status":"success","data":{"resultType":"scalar","result":[0,"1"]}}'),
            Reason.QUERY_INVALID,
            "scalar",
            id="not_a_vector",
        ),
        pytest.param(
            Reply(200, b'{"status":"success","data":{"resultType":"' + b"x" * 9000 + b'","result":[]}}'),
            Reason.QUERY_INVALID,
            "not " + "x" * 40,
            id="an_endless_name_for_something_else",
        ),
        pytest.param(vector(), Reason.NO_DATA, "no series", id="empty"),
        pytest.param(
            vector(row("value", "5"), row("fresh", "1"), row("sound", "1"), warnings=["store b: timeout"]),
            Reason.PARTIAL_DATA,
            "store b: timeout",
            id="partial_answer_with_a_warning",
        ),
    ],
)
async def test_what_is_no_answer_is_missing_with_its_reason(
    server: _Server, source: PrometheusSource, reply: Reply, reason: Reason, said: str
) -> None:
    server.reply = lambda _: reply
    answer = await missing(source)
    assert answer.reason is reason
    assert said in answer.detail
    assert len(answer.detail) <= 500


async def test_notes_of_the_server_are_no_warnings(server: _Server, source: PrometheusSource) -> None:
    samples = json.loads(GOOD.body)["data"]["result"]
    server.reply = lambda _: vector(*samples, infos=["metric might not be a counter"])
    assert isinstance(await source.fetch(QUERY, AT), SignalRows)


async def test_a_server_that_hangs_costs_the_deadline_and_no_more_threads_than_workers(server: _Server) -> None:
    let_go = threading.Event()
    server.reply = lambda _: Reply(hang=let_go)
    slow = PrometheusSource(
        Server(server.url, read_timeout=5.0),
        pace=Pace(workers=2, patience=0.2, deadline=0.2, probe_deadline=0.2),
        circuit=Circuit(failures_to_open=99),
    )
    asked = [slow.fetch(QUERY, AT + timedelta(hours=i)) for i in range(6)]
    answers = await asyncio.gather(*asked)
    reasons = [a.reason for a in answers if isinstance(a, Missing)]
    assert sorted(reasons) == [Reason.METRICS_UNREACHABLE] * 2 + [Reason.QUERY_NOT_SENT] * 4
    assert len(server.asked) <= 2 + 1  # the one more asks whether the server is up
    let_go.set()
    slow.close()


async def test_an_answer_that_comes_too_slowly_is_no_answer(server: _Server) -> None:
    let_go = threading.Event()
    server.reply = lambda _: Reply(hang=let_go)
    impatient = PrometheusSource(Server(server.url, read_timeout=0.1))
    answer = await missing(impatient)
    assert answer.reason is Reason.METRICS_UNREACHABLE
    texts = [asked.form["query"][0] for asked in server.asked]
    assert texts[1:] == [PROBE]  # a server that is busy with a question is not asked it again
    let_go.set()
    impatient.close()


async def test_an_answer_that_is_too_large_is_not_read(server: _Server) -> None:
    server.reply = lambda _: Reply(body=b" " * 200_000)
    small = PrometheusSource(Server(server.url, largest_answer=100_000))
    answer = await missing(small)
    assert answer.reason is Reason.QUERY_NOT_ANSWERED
    assert "more than 100000 bytes" in answer.detail
    small.close()


async def test_a_gateway_s_hiccup_is_asked_once_more(server: _Server, source: PrometheusSource) -> None:
    server.reply = lambda _: Reply(502) if len(server.asked) == 1 else GOOD
    assert isinstance(await source.fetch(QUERY, AT), SignalRows)
    assert len(server.asked) == 2


async def test_a_dead_server_is_not_asked_for_a_while_and_then_probed(server: _Server) -> None:
    now = 0.0
    failing = PrometheusSource(
        Server(server.url), pace=Pace(reuse=0), circuit=Circuit(failures_to_open=2), monotonic=lambda: now
    )
    server.reply = lambda _: Reply(500)
    for _ in range(5):
        assert (await missing(failing)).reason is Reason.METRICS_UNREACHABLE
    assert len(server.asked) == 4  # each failure, and whether the server is up
    server.reply = lambda _: GOOD
    now = 10.0
    assert isinstance(await failing.fetch(QUERY, AT), SignalRows)
    failing.close()


async def test_equal_questions_share_one_query_while_it_runs_and_after(
    server: _Server, source: PrometheusSource
) -> None:
    await asyncio.gather(*(source.fetch(QUERY, AT) for _ in range(100)))
    later = await source.fetch(QUERY, AT + timedelta(seconds=9))
    assert len(server.asked) == 1
    assert isinstance(later, SignalRows)
    assert later.at == AT  # the answer says for which moment it holds
    assert source.usage.reused == 100


async def test_a_shared_answer_is_read_once_however_many_ask(server: _Server, source: PrometheusSource) -> None:
    """Each of 500 profiles of a class asks for all of its rows: read again for each, that is 250,000 readings."""
    first, second = await asyncio.gather(*(source.fetch(QUERY, AT) for _ in range(2)))
    assert isinstance(first, SignalRows)
    assert first is second


@pytest.mark.parametrize(
    ("seconds", "max_age"),
    [
        pytest.param(10, None, id="older_than_reuse"),
        pytest.param(-1, None, id="a_moment_before"),
        pytest.param(0, 0.0, id="asked_afresh"),
        pytest.param(3, 2.0, id="older_than_the_caller_takes"),
    ],
)
async def test_an_answer_is_not_reused_beyond_its_age(
    server: _Server, source: PrometheusSource, seconds: int, max_age: float | None
) -> None:
    await source.fetch(QUERY, AT)
    await source.fetch(QUERY, AT + timedelta(seconds=seconds), max_age=max_age)
    assert len(server.asked) == 2


async def test_a_caller_that_takes_older_answers_finds_them_whatever_was_asked_since(
    server: _Server, source: PrometheusSource
) -> None:
    await source.fetch(QUERY, AT, max_age=30.0)
    other = SignalQuery("other", QUERY.signal, 20)
    await source.fetch(other, AT + timedelta(seconds=20))
    await source.fetch(QUERY, AT + timedelta(seconds=25), max_age=30.0)
    assert len(server.asked) == 2


async def test_that_nobody_answered_is_not_remembered(server: _Server, source: PrometheusSource) -> None:
    server.reply = lambda _: Reply(500)
    await missing(source)
    server.reply = lambda _: GOOD
    assert isinstance(await source.fetch(QUERY, AT), SignalRows)


async def test_a_caller_that_gives_up_takes_the_answer_from_nobody(server: _Server, source: PrometheusSource) -> None:
    let_go = threading.Event()
    server.reply = lambda _: Reply(body=GOOD.body, hang=let_go)
    impatient = asyncio.ensure_future(source.fetch(QUERY, AT))
    patient = asyncio.ensure_future(source.fetch(QUERY, AT))
    await asyncio.sleep(0)
    impatient.cancel()
    let_go.set()
    assert isinstance(await patient, SignalRows)
    assert len(server.asked) == 1


async def test_the_token_is_read_anew_for_each_question_and_headers_and_params_go_along(
    server: _Server, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    asking = PrometheusSource(
        Server(
            f"{server.url}/mimir/",
            token_file=str(token),
            headers={"X-Scope-OrgID": "team"},
            params={"partial_response": "false"},
        ),
        pace=Pace(reuse=0),
    )
    await asking.fetch(QUERY, AT)
    token.write_text("second\n")
    await asking.fetch(QUERY, AT)
    assert [a.headers["Authorization"] for a in server.asked] == ["Bearer first", "Bearer second"]
    assert server.asked[0].headers["X-Scope-OrgID"] == "team"
    assert server.asked[0].form["partial_response"] == ["false"]
    assert server.asked[0].path == "/mimir/api/v1/query"
    asking.close()


async def test_a_missing_token_file_says_so(server: _Server, tmp_path: Path) -> None:
    asking = PrometheusSource(Server(server.url, token_file=str(tmp_path / "none")))
    answer = await missing(asking)
    assert answer.reason is Reason.METRICS_UNREACHABLE
    assert "none" in answer.detail
    assert server.asked == []
    asking.close()


async def test_proxies_of_the_environment_do_not_count(
    server: _Server, source: PrometheusSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert isinstance(await source.fetch(QUERY, AT), SignalRows)


async def test_a_password_in_the_url_is_in_no_message() -> None:
    asking = PrometheusSource(Server("http://me:secret@127.0.0.1:1/x"))
    answer = await missing(asking)
    assert "secret" not in answer.detail
    assert "127.0.0.1:1/x" in answer.detail
    assert "refused" in answer.detail
    assert "pegbox_pod_setting" not in answer.detail  # the query would bury the reason
    asking.close()


async def test_a_long_query_goes_as_a_form(server: _Server, source: PrometheusSource) -> None:
    await source.fetch(SignalQuery("c", QUERY.signal, 20, (("queue", "x" * LONGEST_GET),)), AT)
    assert server.asked[0].method == "POST"
    assert "x" * LONGEST_GET in server.asked[0].form["query"][0]


async def test_a_label_that_cannot_be_asked_for_is_an_invalid_query(server: _Server, source: PrometheusSource) -> None:
    answer = await source.fetch(SignalQuery("c", QUERY.signal, 20, (("a-b", "x"),)), AT)
    assert isinstance(answer, Missing)
    assert answer.reason is Reason.QUERY_INVALID
    assert server.asked == []


async def test_what_was_asked_is_counted(server: _Server, source: PrometheusSource) -> None:
    await source.fetch(QUERY, AT)
    server.reply = lambda _: Reply(500)
    await source.fetch(QUERY, AT + timedelta(hours=1))
    usage = source.usage
    assert (usage.queries, usage.failures, usage.samples, usage.size) == (2, 1, 3, len(GOOD.body))


async def test_a_closed_source_says_so(source: PrometheusSource) -> None:
    source.close()
    assert (await missing(source)).reason is Reason.METRICS_UNREACHABLE


async def test_the_check_asks_for_a_vector_and_not_for_a_page(server: _Server, source: PrometheusSource) -> None:
    server.reply = lambda asked: vector({"metric": {}, "value": [0, "1"]}) if "query" in asked.form else Reply(200)
    assert await source.check() is None
    assert server.asked[0].form["query"] == ["vector(1)"]
