"""PrometheusSource: the MetricsSource of a Prometheus-compatible server.

Questions run in threads of their own (the library is synchronous), at most `workers` at a time, each with a
deadline; a question that missed it keeps its slot until its thread is done, so that a hung server can never
collect more threads. Equal questions share one HTTP query: while it runs, and for `reuse` seconds after.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard the server is asked. Seconds, but `workers`.

    `delay` moves every question into the past, for servers whose samples arrive late (remote write).
    `lookback` is the age up to which an acknowledgement counts as one.
    """

    workers: int = 4
    deadline: float = 15.0
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
    """One answer, and what was read from it: every profile of a class asks for all rows of the class."""

    at: datetime
    task: asyncio.Task[Answer | Missing]
    rows: dict[Signal, SignalRows | Missing] = field(default_factory=dict)


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
        self._executor = ThreadPoolExecutor(self._pace.workers, thread_name_prefix="prometheus")
        self._slots = asyncio.Semaphore(self._pace.workers)
        self._local = threading.local()
        self._transports: list[Transport] = []
        self._shared: dict[str, _Shared] = {}
        self._longest_age = self._pace.reuse

    async def fetch(self, query: SignalQuery, at: datetime, *, max_age: float | None = None) -> SignalRows | Missing:
        """Rows of every profile of the class. Answers up to `max_age` seconds old are reused; 0: none."""
        try:
            text = promql.build(query, self._dialect)
        except InvalidInput as error:
            return Missing(Reason.QUERY_INVALID, str(error))
        answer, shared = await self._ask(text, at, max_age)
        if isinstance(answer, Missing):
            return answer
        if query.signal not in shared.rows:
            shared.rows[query.signal] = decode.rows(query, answer.samples, shared.at)
        return shared.rows[query.signal]

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
        series = await self._dated("pegbox_settings_generation", ("profile_uid", "hash"), namespace, (at, max_age))
        if isinstance(series, Missing):
            return series
        return decode.acknowledgements(series, self._dialect.pod_label)

    async def setting_values(
        self, namespace: str, at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Mapping[str, float]] | Missing:
        """pod -> knob -> value in base units. Missing(NotReported) where no pod exports any."""
        series = await self._dated("pegbox_setting_value", ("knob",), namespace, (at, max_age))
        if isinstance(series, Missing):
            return series
        return decode.setting_values(series, self._dialect.pod_label)

    async def check(self) -> Missing | None:
        """None when the server answers `vector(1)`: its root page says nothing about its API."""
        answer = await self._run("vector(1)", None)
        return answer if isinstance(answer, Missing) else None

    def close(self) -> None:
        """Stop asking. Threads that wait for an answer end with its timeout."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for transport in self._transports:
            transport.close()

    async def _dated(
        self, metric: str, labels: tuple[str, ...], namespace: str, when: tuple[datetime, float | None]
    ) -> list[decode.Dated] | Missing:
        text = promql.build_dated(metric, labels, namespace, self._dialect)
        answer, shared = await self._ask(text, *when)
        if isinstance(answer, Missing):
            return answer
        series = decode.dated(answer.samples, shared.at, self._pace.lookback)
        return series or Missing(Reason.NOT_REPORTED, f"no pod of namespace {namespace} exports {metric}")

    async def _ask(self, text: str, at: datetime, max_age: float | None) -> tuple[Answer | Missing, _Shared]:
        """The answer, and with whom it is shared. Partial answers are Missing: they look complete."""
        at -= timedelta(seconds=self._pace.delay)
        limit = self._pace.reuse if max_age is None else max_age
        self._longest_age = max(self._longest_age, limit)
        shared = self._shared.get(text)
        if shared is None or not 0 <= (at - shared.at).total_seconds() < limit:
            self._forget(at)
            shared = _Shared(at, asyncio.ensure_future(self._run(text, at)))
            self._shared[text] = shared
        else:
            self.usage.reused += 1
        # Shielded: one caller that gives up must not take the answer from the others.
        answer = await asyncio.shield(shared.task)
        if isinstance(answer, Missing):
            if answer.reason is Reason.METRICS_UNREACHABLE and self._shared.get(text) is shared:
                del self._shared[text]  # the circuit says how soon it is asked again
            return answer, shared
        if answer.warnings:
            return Missing(Reason.PARTIAL_DATA, "; ".join(answer.warnings)[:500]), shared
        return answer, shared

    def _forget(self, at: datetime) -> None:
        """Drop answers that no caller would take any more."""
        oldest = at - timedelta(seconds=self._longest_age)
        self._shared = {k: s for k, s in self._shared.items() if not s.task.done() or s.at > oldest}

    async def _run(self, text: str, at: datetime | None) -> Answer | Missing:
        refusal = self._circuit.refusal(self._monotonic())
        if refusal is not None:
            return refusal
        started = self._monotonic()
        try:
            async with asyncio.timeout(self._pace.deadline):
                answer = await self._in_thread(text, at)
        except TimeoutError:
            answer = Missing(
                Reason.METRICS_UNREACHABLE,
                f"{self._server.shown}: no answer within {self._pace.deadline:g} s",
            )
        except Exception as error:
            self._circuit.failed(self._monotonic(), f"{type(error).__name__}: {error}")
            raise
        self._account(answer, self._monotonic() - started)
        return answer

    async def _in_thread(self, text: str, at: datetime | None) -> Answer | Missing:
        await self._slots.acquire()
        loop = asyncio.get_running_loop()

        def release(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the slot
                loop.call_soon_threadsafe(self._slots.release)

        try:
            future = self._executor.submit(self._ask_in_thread, text, at)
        except RuntimeError:
            self._slots.release()
            return Missing(Reason.METRICS_UNREACHABLE, "the source is closed")
        future.add_done_callback(release)
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
            self._circuit.succeeded()  # it answered: the question was wrong, not the server
