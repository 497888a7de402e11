"""A metrics server that lies in each way that a real one does, as the port reports it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import SignalQuery, SignalRow, SignalRows
from pegbox.testing.metrics import FakeMetrics
from tests.loop.service import Service, answering

LIES = (
    *("down", "nan", "raw nan", "infinite", "partial", "empty", "stale", "old pods", "no join", "half the pods"),
    *("scrape gaps", "counter resets", "every series twice", "one signal"),
)
ONE_SIGNAL, SILENCED = LIES[-1], "success"  # which an SLO counts, and no figure that a verdict needs

BLIND = frozenset({"down", "nan", "raw nan", "infinite", "partial", "empty", "stale", "old pods", "no join"})
"""Lies from which nothing can be known of the setting in force; the others tell some of it."""

SILENT = BLIND - {"old pods", "no join"}
"""Those of which load is hidden, too: it alone is not told by setting, and known while pods take a setting up."""


class LyingMetrics(FakeMetrics):
    """`lie` is one of LIES, or "" for the truth. `told_at`: of when the newest is that it said and
    that could be used, by the operator's clock, which asks."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        super().__init__()
        answering(self, services)
        self.lie = ""
        self.told_at: datetime | None = None
        self.since: datetime | None = None  # when the newest sample of a stale answer was taken

    async def fetch(
        self, query: SignalQuery, at: datetime, *, namespace: str = "", max_age: float | None = None
    ) -> SignalRows | Missing:
        answer = await super().fetch(query, at, namespace=namespace, max_age=max_age)
        if isinstance(answer, SignalRows) and self.lie not in BLIND:
            self.told_at = at
        if isinstance(answer, SignalRows) and self.lie == "stale" and self.since is not None:
            self.told_at = self.since  # what it still says, it could say then
        if isinstance(answer, Missing) or not self.lie:
            return answer
        if self.lie == ONE_SIGNAL:
            return replace(answer, rows=()) if query.signal.name == SILENCED else answer
        return self._lied(answer, at)

    def _lied(self, answer: SignalRows, at: datetime) -> SignalRows | Missing:
        rows = answer.rows
        match self.lie:
            case "nan":
                refused = {(r.profile, r.cohort, r.setting): Missing(Reason.NOT_A_NUMBER, "NaN") for r in rows}
                return SignalRows((), at, refused)
            case "raw nan":  # beyond the port's promise: even so, nothing may come of it
                return replace(answer, rows=tuple(replace(r, value=math.nan) for r in rows))
            case "infinite":
                return replace(answer, rows=tuple(replace(r, value=math.inf) for r in rows))
            case "partial":
                return Missing(Reason.PARTIAL_DATA, "the server answered with warnings")
            case "empty":
                return replace(answer, rows=())
            case "stale":
                return replace(answer, at=self.since or at - timedelta(minutes=10))
            case "old pods":
                return replace(answer, rows=tuple(replace(r, setting=_former(r.setting)) for r in rows))
            case "no join":
                return replace(answer, rows=tuple(r for r in rows if not r.setting))
            case "scrape gaps":  # every other window has too few scrapes, which the adapter tells per setting
                if int(at.timestamp()) // 10 % 2:
                    return answer
                why = Missing(Reason.PARTIAL_DATA, "fewer than 4 scrapes in the window")
                joined = {(r.profile, r.cohort, r.setting): why for r in rows if r.setting}
                return SignalRows(tuple(r for r in rows if not r.setting), at, joined)
            case "counter resets":  # `rate` loses what came between the last scrape and the reset
                return replace(answer, rows=tuple(replace(r, value=r.value * 0.6) for r in rows))
            case "every series twice":  # two replicas, and nobody who drops one
                return replace(answer, rows=tuple(replace(r, value=r.value * 2, pods=r.pods * 2) for r in rows))
            case "half the pods":
                return replace(answer, rows=tuple(_half(rows)))
        return answer

    async def acknowledgements(
        self, namespace: str, at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Acknowledgement] | Missing:
        return self._unasked() or await super().acknowledgements(namespace, at, max_age=max_age)

    async def setting_values(
        self, namespace: str, knobs: Collection[str], at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Mapping[str, float]] | Missing:
        return self._unasked() or await super().setting_values(namespace, knobs, at, max_age=max_age)

    def _unasked(self) -> Missing | None:
        if self.lie == "partial":
            return Missing(Reason.PARTIAL_DATA, "the server answered with warnings")
        return Missing(Reason.NO_DATA, "no series") if self.lie == "empty" else None


def _former(setting: str) -> str:
    """The short generation before this one."""
    return str(max(int(setting) - 1, 0)) if setting else setting


def _half(rows: Iterable[SignalRow]) -> Iterable[SignalRow]:
    for row in rows:
        yield replace(row, pods=row.pods // 2, value=row.value / 2) if row.setting else row
