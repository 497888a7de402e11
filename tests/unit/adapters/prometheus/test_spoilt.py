"""One tenant's series spoil a question: it is that tenant's alone, and nobody takes the server for down.

The servers answer by what the question names: `evil` stands for a class, a namespace or a label whose series are bad.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from pegbox.adapters.prometheus.circuit import Circuit
from pegbox.adapters.prometheus.client import FIRST_WAIT, LONGEST_WAIT, PROBE, Pace, PrometheusSource
from pegbox.adapters.prometheus.promql import MOST_BUCKETS, Dialect
from pegbox.adapters.prometheus.transport import Server
from pegbox.model.observations import Missing
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.ports import SignalQuery, SignalRows
from tests.unit.adapters.prometheus.test_client import AT, GOOD, QUERY, Asked, Reply, _Server, row, serving, vector

LIMIT = 4000  # bytes of an answer: GOOD has some 300


def said(status: int, **body: str) -> Reply:
    return Reply(status, json.dumps({"status": "error", **body}).encode())


SPOILS = {
    "an answer that is too large": (Reply(body=b" " * (LIMIT + 1)), Reason.QUERY_NOT_ANSWERED, "more than"),
    "a query that the server times out": (
        said(503, errorType="timeout", error="query timed out in expression evaluation"),
        Reason.QUERY_NOT_ANSWERED,
        "timed out in expression evaluation",
    ),
    "a query over the server's limits": (
        said(422, errorType="execution", error="query processing would load too many samples into memory"),
        Reason.QUERY_INVALID,
        "too many samples",
    ),
    "series that cannot be joined": (said(422, error="found duplicate series"), Reason.QUERY_INVALID, "duplicate"),
    "a query that does not parse": (said(400, error="parse error"), Reason.QUERY_INVALID, "parse error"),
    "a form that is too long for a proxy": (Reply(413, b"<html>"), Reason.QUERY_NOT_ANSWERED, "413"),
    "a question that is forbidden": (said(403, error="not yours"), Reason.QUERY_NOT_ANSWERED, "403: not yours"),
    "an error of the server for this one": (said(500, error="panic"), Reason.QUERY_NOT_ANSWERED, "500: panic"),
    "an answer that breaks off": (Reply(200, b'{"sta', promise=90), Reason.QUERY_NOT_ANSWERED, "answered"),
    "an answer that is no JSON": (Reply(200, b"<html>"), Reason.QUERY_NOT_ANSWERED, "no JSON"),
}


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[_Server]:
    with serving() as opened:
        yield opened


def spoiling(reply: Reply, word: str = "evil") -> Callable[[Asked], Reply]:
    return lambda asked: reply if word in asked.form["query"][0] else GOOD


def opened(server: _Server, time: Time, **pace: Any) -> PrometheusSource:
    asking = Server(server.url, largest_answer=LIMIT, read_timeout=pace.pop("read_timeout", 5.0))
    return PrometheusSource(asking, pace=Pace(**{"reuse": 0.0, **pace}), circuit=Circuit(), monotonic=time)


def questions(server: _Server, word: str) -> int:
    return sum(word in asked.form["query"][0] for asked in server.asked)


EVIL = SignalQuery("evil", QUERY.signal, 20)


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
async def test_it_has_a_reason_of_its_own_and_everybody_else_is_answered(
    server: _Server, spoil: tuple[Reply, Reason, str]
) -> None:
    reply, reason, words = spoil
    server.reply, time = spoiling(reply), Time()
    source = opened(server, time)
    for second in range(0, 320, 5):
        time.now, at = float(second), AT + timedelta(seconds=second)
        bad = await source.fetch(EVIL, at)
        assert isinstance(bad, Missing)
        assert bad.reason is reason
        assert words in bad.detail
        assert isinstance(await source.fetch(QUERY, at), SignalRows)
    # 0, 10, 30, 70, 150, 310: the pause doubles from one failure to the next.
    moments = {asked.form["time"][0] for asked in server.asked if "evil" in asked.form["query"][0]}
    assert len(moments) == 6
    source.close()


async def test_it_is_asked_again_after_a_while_and_then_as_ever(server: _Server) -> None:
    server.reply, time = spoiling(said(422, error="too many samples")), Time()
    source = opened(server, time)
    for _ in range(20):
        await source.fetch(EVIL, AT + timedelta(seconds=time.now))
        time.now += LONGEST_WAIT
    assert questions(server, "evil") == 20, "at most so long, however often it failed"
    server.reply = lambda _: GOOD
    for second in range(5):
        assert isinstance(await source.fetch(EVIL, AT + timedelta(seconds=time.now + second)), SignalRows)
    assert questions(server, "evil") == 25
    server.reply = spoiling(said(422, error="again"))
    await source.fetch(EVIL, AT + timedelta(hours=9))
    time.now += FIRST_WAIT
    await source.fetch(EVIL, AT + timedelta(hours=10))
    assert questions(server, "evil") == 27, "from the first pause again"
    source.close()


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(said(500, error="down"), id="every_question_fails"),
        pytest.param(Reply(401, b"{}"), id="our_token_is_refused"),
        pytest.param(Reply(429, b"{}"), id="we_are_asked_to_wait"),
        pytest.param(Reply(404, b"not here"), id="another_server"),
        pytest.param(Reply(200, b"<html>"), id="a_login_page"),
    ],
)
async def test_a_server_that_answers_nobody_is_left_alone_as_ever(server: _Server, reply: Reply) -> None:
    server.reply, time = lambda _: reply, Time()
    source = opened(server, time)
    for _ in range(20):
        answer = await source.fetch(QUERY, AT)
        assert isinstance(answer, Missing)
        assert answer.reason is Reason.METRICS_UNREACHABLE
    asked = questions(server, "rate")
    assert asked == 3, "three failures in a row open the circuit"
    source.close()


async def test_who_asks_us_to_wait_is_not_asked_whether_he_is_up(server: _Server) -> None:
    server.reply = lambda asked: GOOD if asked.form["query"] == [PROBE] else Reply(429, b"{}")
    source = opened(server, Time())
    answer = await source.fetch(QUERY, AT)
    assert isinstance(answer, Missing)
    assert answer.reason is Reason.METRICS_UNREACHABLE
    assert questions(server, PROBE) == 0
    source.close()


async def test_slow_questions_in_every_slot_do_not_make_the_server_look_down(server: _Server) -> None:
    let_go = threading.Event()
    server.reply = spoiling(Reply(hang=let_go))
    source = opened(server, Time(), workers=2, deadline=0.2, read_timeout=0.5)
    slow = [SignalQuery(f"evil-{n}", QUERY.signal, 20) for n in range(4)]
    answers = await asyncio.gather(*(source.fetch(query, AT) for query in slow))
    assert {a.reason for a in answers if isinstance(a, Missing)} == {Reason.QUERY_NOT_ANSWERED}
    let_go.set()
    source.close()


async def put(source: PrometheusSource, words: list[str], at: datetime) -> list[Reason | None]:
    """What becomes of these questions, asked at once and in this order. None: answered."""
    answers = await asyncio.gather(*(source.fetch(SignalQuery(word, QUERY.signal, 20), at) for word in words))
    return [answer.reason if isinstance(answer, Missing) else None for answer in answers]


async def test_a_question_that_found_no_slot_was_never_sent_and_is_held_against_nobody(server: _Server) -> None:
    """Two slow ones hold both slots until their threads are done, longer than a third one waits."""
    let_go = threading.Event()
    server.reply, time, circuit = spoiling(Reply(hang=let_go)), Time(), Circuit()
    asking = Server(server.url, read_timeout=1.0)
    pace = Pace(workers=2, patience=0.3, deadline=0.2, reuse=15.0)
    source = PrometheusSource(asking, pace=pace, circuit=circuit, monotonic=time)
    assert await put(source, ["evil-1", "evil-2", "shop"], AT) == [
        *[Reason.QUERY_NOT_ANSWERED] * 2,
        Reason.QUERY_NOT_SENT,
    ]
    assert questions(server, "shop") == 0
    assert (circuit.failures, source.usage.queries) == (0, 2)
    let_go.set()
    async with source._slots:  # once a slow one's thread is done
        pass
    assert await put(source, ["shop"], AT) == [None], "at once: no pause, and no answer that is reused"
    assert await put(source, ["evil-1", "evil-2"], AT) == [Reason.QUERY_NOT_ANSWERED] * 2, "the slow ones wait"
    assert questions(server, "evil") == 2
    source.close()


async def test_those_that_failed_lately_leave_a_slot_for_the_others_also_where_they_are_asked_first(
    server: _Server,
) -> None:
    let_go = threading.Event()
    server.reply, time = spoiling(said(422, error="too many samples")), Time()
    source = opened(server, time, workers=4, patience=0.3, deadline=0.2)
    evil, good = [f"evil-{n}" for n in range(8)], [f"shop-{n}" for n in range(20)]
    assert await put(source, [*evil, *good], AT) == [Reason.QUERY_INVALID] * 8 + [None] * 20
    server.reply, time.now = spoiling(Reply(hang=let_go)), FIRST_WAIT
    later = AT + timedelta(seconds=FIRST_WAIT)
    found = await put(source, [*evil, *good], later)
    assert found[8:] == [None] * 20
    assert sorted(str(reason) for reason in found[:8]) == ["QueryNotAnswered"] * 2 + ["QueryNotSent"] * 6
    assert questions(server, "evil") == 8 + 2, "half of four slots"
    # Those that were not sent are still known for what they were: asked again at once, and in the same half.
    assert await put(source, [*evil, *good], later) == [*found[:8], *[None] * 20]
    let_go.set()
    source.close()


async def test_who_mends_his_series_is_no_longer_one_of_those(server: _Server) -> None:
    server.reply, time = spoiling(said(422, error="too many samples")), Time()
    source = opened(server, time, workers=2, patience=0.3)
    await put(source, ["evil-1", "evil-2"], AT)
    server.reply, time.now = lambda _: GOOD, FIRST_WAIT
    assert await put(source, ["evil-1", "evil-2"], AT + timedelta(seconds=10)) == [None] * 2
    assert not source._slots_of_spoilt.locked()
    let_go = threading.Event()

    def answer(asked: Asked) -> Reply:
        """The first one's comes once the second one is asked."""
        if "evil-2" in asked.form["query"][0]:
            let_go.set()
        return Reply(body=GOOD.body, hang=let_go)

    server.reply = answer
    found = await put(source, ["evil-1", "evil-2"], AT + timedelta(seconds=20))
    assert found == [None] * 2, "beside each other, not one after the other in the half"
    source.close()


async def test_those_that_wait_while_the_server_turns_out_to_hang_are_told_so_and_not_sent(server: _Server) -> None:
    let_go = threading.Event()
    server.reply = lambda _: Reply(hang=let_go)
    circuit = Circuit(failures_to_open=2)
    pace = Pace(workers=2, patience=5.0, deadline=0.2, probe_deadline=0.2)
    source = PrometheusSource(Server(server.url, read_timeout=1.0), pace=pace, circuit=circuit)
    assert await put(source, [f"shop-{n}" for n in range(9)], AT) == [Reason.METRICS_UNREACHABLE] * 9
    assert questions(server, "shop") == 2
    let_go.set()
    source.close()


async def test_one_that_found_no_slot_does_not_keep_an_open_circuit_open(server: _Server) -> None:
    """After the pause one question may go through. Where it never went, the next one may."""
    let_go = threading.Event()
    server.reply, time = lambda _: Reply(hang=let_go), Time()
    circuit = Circuit(failures_to_open=1, pause=10.0)
    pace = Pace(workers=1, patience=0.1, deadline=0.1, probe_deadline=0.1)
    source = PrometheusSource(Server(server.url, read_timeout=30.0), pace=pace, circuit=circuit, monotonic=time)
    assert await put(source, ["shop-1"], AT) == [Reason.METRICS_UNREACHABLE]
    time.now = 10.0
    assert await put(source, ["shop-2"], AT) == [Reason.QUERY_NOT_SENT], "the first one's thread holds the slot"
    let_go.set()
    server.reply = lambda _: GOOD
    async with source._slots:
        pass
    assert await put(source, ["shop-2"], AT) == [None]
    source.close()


MIXED = 'PromQL warning: encountered a mix of histograms and floats for metric name "a"'


@pytest.mark.parametrize(
    "reply",
    [*(reply for reply, _, _ in SPOILS.values()), vector(row("value", "5"), warnings=[MIXED])],
    ids=[*SPOILS, "series of two forms"],
)
async def test_one_bad_namespace_spoils_the_answer_of_its_class_for_nobody_else(server: _Server, reply: Reply) -> None:
    """As load: for ten minutes, beside ten honest namespaces that share the class."""
    honest = [f"shop-{n}" for n in range(10)]

    def answer(asked: Asked) -> Reply:
        text = asked.form["query"][0]
        return GOOD if text == PROBE or any(f'namespace=~"{name}"' in text for name in honest) else reply

    server.reply, time = answer, Time()
    source, told = opened(server, time, reuse=15.0), 0
    for second in range(0, 600, 30):
        time.now, at = float(second), AT + timedelta(seconds=second)
        for name in honest:
            told += isinstance(await source.fetch(QUERY, at, namespace=name), SignalRows)
        assert isinstance(await source.fetch(QUERY, at, namespace="evil"), Missing)
    assert told == 200
    source.close()


async def test_a_part_of_the_server_that_is_missing_is_missing_for_everybody(server: _Server) -> None:
    """Asking for each namespace would be no better answer, and many more questions."""
    server.reply = lambda _: vector(row("value", "5"), warnings=["store b: timeout"])
    source = opened(server, Time())
    answer = await source.fetch(QUERY, AT, namespace="shop")
    assert isinstance(answer, Missing)
    assert answer.reason is Reason.PARTIAL_DATA
    assert len(server.asked) == 1
    source.close()


async def test_an_install_for_some_namespaces_never_asks_about_another(server: _Server) -> None:
    server.reply = lambda asked: said(422, error="too many samples")
    source = PrometheusSource(Server(server.url), Dialect(namespaces=("shop", "bank")))
    await source.fetch(QUERY, AT, namespace="elsewhere")
    assert questions(server, "elsewhere") == 0
    await source.fetch(QUERY, AT, namespace="shop")
    assert questions(server, 'namespace=~"shop"') == 1
    source.close()


async def test_only_the_knobs_of_the_class_are_asked_for(server: _Server) -> None:
    source = opened(server, Time())
    await source.setting_values("shop", ["b", "a.c"], AT)
    assert questions(server, 'pegbox_setting_value{namespace="shop",knob=~"a\\\\.c|b"}') == 1
    source.close()


async def test_a_large_answer_is_read_beside_the_loop(server: _Server) -> None:
    threads: list[str] = []

    class Watching(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            threads.append(threading.current_thread().name)
            return super().get(key, default)

    source = opened(server, Time())
    transport = source._ask_in_thread

    def watched(text: str, at: Any) -> Any:
        answer = transport(text, at)
        assert not isinstance(answer, Missing)
        return type(answer)(tuple(Watching(s) for s in answer.samples), (), answer.size, 0)

    source._ask_in_thread = watched  # type: ignore[method-assign]
    await source.fetch(QUERY, AT)
    assert threads
    assert all(name.startswith("prometheus-read") for name in threads)
    source.close()


async def test_a_histogram_that_was_cut_is_nobody_s_histogram(server: _Server) -> None:
    signal = Signal("s", SignalKind.HISTOGRAM, Purpose.LATENCY, *(f"rate(a_{x}{{$matchers}}[$window])" for x in "bsc"))

    def bucket(profile: str, bound: int) -> dict[str, Any]:
        labels = {"profile": profile, "part": "bucket", "le": str(bound)}
        return {"metric": labels, "value": [0, str(bound)]}

    def rest(profile: str) -> list[dict[str, Any]]:
        return [
            {"metric": {"profile": profile, "part": p}, "value": [0, "1"]} for p in ("sum", "count", "fresh", "sound")
        ]

    many = [bucket("evil/a", n) for n in range(MOST_BUCKETS + 1)] + rest("evil/a")
    most = [bucket("shop/a", n) for n in range(MOST_BUCKETS)] + rest("shop/a")
    server.reply = lambda _: vector(*many, *most)
    source = PrometheusSource(Server(server.url))
    answer = await source.fetch(SignalQuery("c", signal, 20), AT)
    assert isinstance(answer, SignalRows)
    assert {one.profile for one in answer.rows} == {"shop/a"}
    assert "more than 200 buckets" in answer.refused["evil/a", "", ""].detail
    source.close()
