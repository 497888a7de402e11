"""PrometheusSource: the MetricsSource of a Prometheus-compatible server.

Questions run in threads of their own (the library is synchronous), at most `workers` at a time, each with a
deadline from when it is sent; a question that missed it keeps its slot until its thread is done, so that a hung server
can never collect more threads. Equal questions share one HTTP query: while it runs, and for `reuse` seconds after.

Everybody's questions go to one server, and anybody's pods can spoil one: by an answer that is too large, or takes too
long. So whether the server is down is not told by the question that failed, but by one that nobody can spoil, asked
right after it. Where that is answered the circuit stays closed, and the failed question alone waits, longer each time.

Those that failed lately share half of the slots, so that the others find one. What found none in time was never sent:
that says nothing of it, nor of the server, and it is asked at the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pegbox.adapters.prometheus import decode, promql
from pegbox.adapters.prometheus.circuit import Circuit
from pegbox.adapters.prometheus.promql import Dialect, Scope
from pegbox.adapters.prometheus.transport import Answer, Server, Transport
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.profile import Signal
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import SignalQuery, SignalRows

T = TypeVar("T")

PROBE = "vector(1)"
"""Whether the server answers at all: no series of anybody's are read for it."""
SPOILT = frozenset({Reason.QUERY_NOT_ANSWERED, Reason.QUERY_INVALID})
"""What may lie in the series of one namespace: without the others' it is asked again."""
FIRST_WAIT, LONGEST_WAIT = 10.0, 300.0
"""Seconds after which a spoilt question is asked again, doubling from the first to the longest."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard the server is asked. Seconds, but `workers`.

    A question waits at most `patience` for a slot, and from then on `deadline` for its answer. The first is long enough
    for a server that hangs to be found out before others give up behind its first questions.
    `delay` moves every question into the past, for servers whose samples arrive late (remote write).
    `lookback` is the age up to which an acknowledgement counts as one. `probe_deadline` is for the question that only
    asks whether the server is up.
    """

    workers: int = 4
    patience: float = 20.0
    deadline: float = 15.0
    probe_deadline: float = 5.0
    reuse: float = 10.0
    delay: float = 0.0
    lookback: float = 120.0


@dataclass(slots=True)
class Usage:
    """What was asked since the start. `size` is in bytes; `samples_read` as far as the server says it."""

    queries: int = 0
    failures: int = 0
    samples: int = 0
    samples_read: int = 0
    size: int = 0
    seconds: float = 0.0
    reused: int = 0


@dataclass(slots=True)
class _Shared:
    """One answer, and what was read from it: every profile of a class asks for all rows of the class.

    `spoilt` counts how often in a row this question got no answer from a server that was up; `until` is the monotonic
    time before which it is not asked again.
    """

    at: datetime
    task: asyncio.Task[Answer | Missing]
    read: dict[Signal | str, asyncio.Future[Any]] = field(default_factory=dict)
    spoilt: int = 0
    until: float | None = None


class PrometheusSource:
    """Implements pegbox.ports.MetricsSource. Belongs to one event loop; `close` it at the end."""

    def __init__(
        self,
        server: Server,
        dialect: Dialect | None = None,
        pace: Pace | None = None,
        *,
        circuit: Circuit | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.usage = Usage()
        self._server, self._dialect, self._pace = server, dialect or Dialect(), pace or Pace()
        self._circuit, self._monotonic = circuit or Circuit(), monotonic
        self._executor = ThreadPoolExecutor(self._pace.workers + 1, thread_name_prefix="prometheus")
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="prometheus-read")  # a large answer holds up no loop
        self._slots = asyncio.Semaphore(self._pace.workers)
        self._slots_of_spoilt = asyncio.Semaphore(max(1, self._pace.workers // 2))  # beside one of `_slots`
        self._probe_slot = asyncio.Semaphore(1)  # its own: slow questions must not make the server look down
        self._probing: asyncio.Task[Missing | None] | None = None
        self._local = threading.local()
        self._transports: list[Transport] = []
        self._shared: dict[str, _Shared] = {}
        self._longest_age = self._pace.reuse

    async def fetch(
        self, query: SignalQuery, at: datetime, *, namespace: str = "", max_age: float | None = None
    ) -> SignalRows | Missing:
        """Rows of every profile of the class. Answers up to `max_age` seconds old are reused; 0: none.

        Where the answer for all is spoilt, that for `namespace` alone is asked for: another may spoil it.
        """
        answer = await self._rows(query, self._dialect, at, max_age)
        allowed = namespace and (not self._dialect.namespaces or namespace in self._dialect.namespaces)
        if not (allowed and isinstance(answer, Missing) and _spoilt(answer)):
            return answer
        return await self._rows(query, replace(self._dialect, namespaces=(namespace,)), at, max_age)

    async def _rows(
        self, query: SignalQuery, dialect: Dialect, at: datetime, max_age: float | None
    ) -> SignalRows | Missing:
        try:
            text = promql.build(query, dialect)
        except InvalidInput as error:
            return Missing(Reason.QUERY_INVALID, str(error))
        answer, shared = await self._ask(text, at, max_age)
        if isinstance(answer, Missing):
            return answer
        return await self._read(shared, query.signal, lambda: decode.rows(query, answer.samples, shared.at))

    async def fetch_scope(self, query: SignalQuery, scope: Scope, at: datetime) -> SignalRows | Missing:
        """The same for pods that the query names, where the server does not scrape Pegbox: no settings."""
        try:
            text = promql.build_for_scope(query, self._dialect, scope)
        except InvalidInput as error:
            return Missing(Reason.QUERY_INVALID, str(error))
        answer, shared = await self._ask(text, at, None)
        if isinstance(answer, Missing):
            return answer
        return decode.rows(query, answer.samples, shared.at, profile=scope.profile)

    async def acknowledgements(
        self, namespace: str, at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Acknowledgement] | Missing:
        """pod -> what it says it runs. Missing(NotReported) where no pod of the namespace says anything."""
        text = promql.build_acknowledgements(namespace, self._dialect)
        return await self._dated(text, (at, max_age), decode.acknowledgements, f"any of namespace {namespace}")

    async def setting_values(
        self, namespace: str, knobs: Collection[str], at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Mapping[str, float]] | Missing:
        """pod -> knob -> value in base units, of these knobs. Missing(NotReported) where no pod exports any."""
        text = promql.build_setting_values(namespace, knobs, self._dialect)
        return await self._dated(text, (at, max_age), decode.setting_values, f"any knob's value in {namespace}")

    async def check(self) -> Missing | None:
        """None when the server answers `vector(1)`: its root page says nothing about its API."""
        answer = await self._run(PROBE, None, (self._slots,))
        return answer if isinstance(answer, Missing) else None

    def close(self) -> None:
        """Stop asking. Threads that wait for an answer end with its timeout."""
        for executor in (self._executor, self._readers):
            executor.shutdown(wait=False, cancel_futures=True)
        for transport in self._transports:
            transport.close()

    async def _dated(
        self,
        text: str,
        when: tuple[datetime, float | None],
        decoded: Callable[[list[decode.Dated], str], dict[str, T]],
        what: str,
    ) -> dict[str, T] | Missing:
        answer, shared = await self._ask(text, *when)
        if isinstance(answer, Missing):
            return answer

        def read() -> dict[str, T]:
            return decoded(decode.dated(answer.samples, shared.at, self._pace.lookback), self._dialect.pod_label)

        found = await self._read(shared, "", read)
        return found or Missing(Reason.NOT_REPORTED, f"no pod exports {what}")

    async def _read(self, shared: _Shared, key: Signal | str, decoded: Callable[[], T]) -> T | Missing:
        """What a shared answer says, read once, and in a thread: a large one takes some tenths of a second."""
        if key not in shared.read:
            try:
                shared.read[key] = asyncio.get_running_loop().run_in_executor(self._readers, decoded)
            except RuntimeError:
                return Missing(Reason.METRICS_UNREACHABLE, "the source is closed")
        found: T = await asyncio.shield(shared.read[key])
        return found

    async def _ask(self, text: str, at: datetime, max_age: float | None) -> tuple[Answer | Missing, _Shared]:
        """The answer, and with whom it is shared. Partial answers are Missing: they look complete."""
        at -= timedelta(seconds=self._pace.delay)
        limit = self._pace.reuse if max_age is None else max_age
        self._longest_age = max(self._longest_age, limit)
        shared, now = self._shared.get(text), self._monotonic()
        young = shared is not None and shared.until is None and 0 <= (at - shared.at).total_seconds() < limit
        waits = shared is not None and shared.until is not None and now < shared.until
        if shared is None or not (young or waits):
            self._forget(at, now)
            spoilt = shared.spoilt if shared is not None else 0
            slots = (self._slots_of_spoilt, self._slots) if spoilt else (self._slots,)
            shared = _Shared(at, asyncio.ensure_future(self._run(text, at, slots)), spoilt=spoilt)
            self._shared[text] = shared
        else:
            self.usage.reused += 1
        # Shielded: one caller that gives up must not take the answer from the others.
        answer = await asyncio.shield(shared.task)
        if not isinstance(answer, Missing):
            shared.spoilt = 0
            if answer.warnings:
                return Missing(Reason.PARTIAL_DATA, "; ".join(answer.warnings)[:500]), shared
        elif answer.reason in SPOILT:
            if shared.until is None:
                shared.until = self._monotonic() + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(shared.spoilt, 30))
                shared.spoilt += 1
        elif shared.spoilt:
            shared.until = self._monotonic()  # asked again as soon as may be, and still as one that was spoilt
        elif self._shared.get(text) is shared:
            del self._shared[text]  # the circuit says how soon it is asked again
        return answer, shared

    def _forget(self, at: datetime, now: float) -> None:
        """Drop answers that no caller would take any more, and how spoilt a question was that nobody asks any more."""
        oldest = at - timedelta(seconds=self._longest_age)

        def kept(shared: _Shared) -> bool:
            waits = shared.until is not None and now < shared.until + LONGEST_WAIT
            return waits or not shared.task.done() or shared.at > oldest

        self._shared = {text: shared for text, shared in self._shared.items() if kept(shared)}

    async def _run(self, text: str, at: datetime | None, slots: tuple[asyncio.Semaphore, ...]) -> Answer | Missing:
        """At most `patience`, `deadline` and `probe_deadline` long, one after the other."""
        refusal = self._circuit.would_refuse(self._monotonic())
        if refusal is not None:
            return refusal
        release = await self._held(slots)
        if release is None:
            return self._circuit.would_refuse(self._monotonic()) or self._not_sent()
        refusal = self._circuit.refusal(self._monotonic())  # it may have opened while this one waited
        if refusal is not None:
            release()
            return refusal
        started = self._monotonic()
        try:
            answer = await self._within(self._pace.deadline, text, at, release)
            if isinstance(answer, Missing) and answer.reason is Reason.METRICS_UNREACHABLE and text != PROBE:
                answer = await self._of_a_server_that_is_up(answer)
        except Exception as error:
            self._circuit.failed(self._monotonic(), f"{type(error).__name__}: {error}")
            raise
        self._account(answer, self._monotonic() - started)
        return answer

    async def _held(self, slots: tuple[asyncio.Semaphore, ...]) -> Callable[[], None] | None:
        """What releases these slots, all of which are held now. None: they were not to be had in time, none is held."""
        with contextlib.ExitStack() as held:
            try:
                async with asyncio.timeout(self._pace.patience):
                    for slot in slots:
                        await slot.acquire()
                        held.callback(slot.release)
            except TimeoutError:
                return None
            return held.pop_all().close

    def _not_sent(self) -> Missing:
        busy = f"no place among the {self._pace.workers} questions at a time within {self._pace.patience:g} s"
        return Missing(Reason.QUERY_NOT_SENT, f"{self._server.shown}: {busy}, others are slow; asked at the next look")

    async def _of_a_server_that_is_up(self, failed: Missing) -> Missing:
        """The failure as the question's own, where the server answers one that nobody's series can spoil.

        Not after 429: who asks us to wait is heard.
        """
        if failed.detail.startswith(f"{self._server.shown}: answered 429"):
            return failed
        if self._probing is None or self._probing.done():
            self._probing = asyncio.ensure_future(self._probe())
        down = await asyncio.shield(self._probing)
        if down is not None:
            return failed
        detail = f"{failed.detail}; other questions are answered: ask for less, or raise the server's limits"
        return Missing(Reason.QUERY_NOT_ANSWERED, detail)

    async def _probe(self) -> Missing | None:
        answer = await self._within(self._pace.probe_deadline, PROBE, None, None)
        return answer if isinstance(answer, Missing) else None

    async def _within(
        self, deadline: float, text: str, at: datetime | None, release: Callable[[], None] | None
    ) -> Answer | Missing:
        """The answer to a question whose slot is held; without `release`: in the slot of probes, waited for in time."""
        try:
            async with asyncio.timeout(deadline):
                if release is None:
                    await self._probe_slot.acquire()
                    release = self._probe_slot.release
                return await self._in_thread(text, at, release)
        except TimeoutError:
            return Missing(Reason.METRICS_UNREACHABLE, f"{self._server.shown}: no answer within {deadline:g} s")

    async def _in_thread(self, text: str, at: datetime | None, release: Callable[[], None]) -> Answer | Missing:
        loop = asyncio.get_running_loop()

        def done(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the slot
                loop.call_soon_threadsafe(release)

        try:
            future = self._executor.submit(self._ask_in_thread, text, at)
        except RuntimeError:
            release()
            return Missing(Reason.METRICS_UNREACHABLE, "the source is closed")
        future.add_done_callback(done)
        return await asyncio.wrap_future(future)

    def _ask_in_thread(self, text: str, at: datetime | None) -> Answer | Missing:
        transport: Transport | None = getattr(self._local, "transport", None)
        if transport is None:
            transport = self._local.transport = Transport(self._server)
            self._transports.append(transport)
        return transport.ask(text, at)

    def _account(self, answer: Answer | Missing, seconds: float) -> None:
        self.usage.queries += 1
        self.usage.seconds += seconds
        if isinstance(answer, Answer):
            self._circuit.succeeded()
            self.usage.samples += len(answer.samples)
            self.usage.samples_read += answer.samples_read
            self.usage.size += answer.size
            return
        self.usage.failures += 1
        if answer.reason is Reason.METRICS_UNREACHABLE:
            self._circuit.failed(self._monotonic(), answer.detail)
        else:
            self._circuit.succeeded()  # it answered, this question or the probe: it is up


def _spoilt(answer: Missing) -> bool:
    """Could it be the series of another namespace? A warning of the language is about a series; any other one is about
    a part of the server, which is as partial for fewer of them."""
    return answer.reason in SPOILT or (answer.reason is Reason.PARTIAL_DATA and answer.detail.startswith("PromQL "))
