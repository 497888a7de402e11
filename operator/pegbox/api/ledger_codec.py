"""Ledger <-> TuningLedger: canonical JSON in one text field, versioned and summed, at most 64 KiB.

Rows, the bulk of it, are written as columns, their statistics to nine significant digits: `rounded` says what comes
back. Everything else comes back exactly.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from pegbox.api.ledger_wire import MAX_STATE, LedgerData, LedgerSummary
from pegbox.api.packing import Table, pack, setting_in, stamp, unpack
from pegbox.api.wire import API_VERSION, read
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason
from pegbox.model.trials import MAX_TRIALS, Ledger

SCHEMA_VERSION = 3
"""2: an intent may have a cohort, which a release that does not know of it would misread. 3: admission makes
its pods. Without the one it is still 1, and without the other 2, so that an older release can go on."""
LATER_REASONS: Mapping[Reason, Reason] = {
    Reason.AHEAD_OF_LOAD: Reason.REQUESTED,
    Reason.EVICTION_FORBIDDEN: Reason.NOT_ACKNOWLEDGED,
    Reason.WRITES_NOT_ALLOWED: Reason.MODE_RECOMMEND,
    Reason.QUERY_NOT_ANSWERED: Reason.METRICS_UNREACHABLE,
    Reason.QUERY_NOT_SENT: Reason.METRICS_UNREACHABLE,
}
"""Reasons that came after version 1, and what releases from before it read in their place: a word that they do not know
would cost them the whole ledger. The reason itself stands beside it (`exactly`), which they ignore."""
LATER_FIELDS = frozenset({"disturbed", "urgent", "measured"})
"""Fields of an intent that came later. Where they say nothing they are left out: older releases write the same text."""
MAX_BYTES = MAX_STATE
KEPT_TRIALS = 10  # the newest failures guard against trying them again: rows go before these
_COLUMNS = tuple(item.name for item in fields(Row) if item.name not in ("setting", "signals"))


class Fitted(NamedTuple):
    """What of a ledger fits into its object, and the text of that."""

    ledger: Ledger
    state: str


def fitted(ledger: Ledger) -> Fitted:
    """Raises InvalidInput where nothing is left to drop."""
    return _fit(rounded(ledger))


def encode(ledger: Ledger | Fitted, *, namespace: str, name: str, profile: str, written_at: datetime) -> dict[str, Any]:
    """The TuningLedger object, without uid and resourceVersion. Raises InvalidInput where nothing is left to drop."""
    kept, state = fitted(ledger) if isinstance(ledger, Ledger) else ledger
    data = LedgerData(
        schema_version=_version(kept),
        sha256=hashlib.sha256(state.encode()).hexdigest(),
        state=state,
        summary=_summary(kept, profile=profile, written_at=stamp(written_at)),
    )
    labels = {"app.kubernetes.io/managed-by": "pegbox", "pegbox.dev/profile-uid": kept.profile_uid}
    return {
        "apiVersion": API_VERSION,
        "kind": "TuningLedger",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "data": data.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def _summary(ledger: Ledger, **more: Any) -> LedgerSummary:
    return LedgerSummary(
        profile_uid=ledger.profile_uid,
        generation=ledger.generation,
        breaker=ledger.breaker.state,
        intent="" if ledger.intent is None else f"{ledger.intent.kind.value} {ledger.intent.id}",
        trials=len(ledger.trials),
        rows=len(ledger.rows),
        **more,
    )


def _version(ledger: Ledger) -> int:
    cohort = ledger.intent.cohort if ledger.intent is not None else None
    if cohort is None:
        return 1
    return SCHEMA_VERSION if cohort.size else 2


def decode(obj: Mapping[str, Any]) -> Ledger:
    """The ledger of an object. Raises InvalidInput when it is torn, edited, or of a newer release."""
    where = f"TuningLedger {obj.get('metadata', {}).get('name', '')} data"
    raw = obj.get("data")
    version = raw.get("schemaVersion") if isinstance(raw, Mapping) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        remedy = f"this release reads versions up to {SCHEMA_VERSION}: run the newer release, or delete the ledger"
        raise InvalidInput(f"{where}.schemaVersion", version, remedy)
    data = read(LedgerData, raw, where)
    if hashlib.sha256(data.state.encode(errors="replace")).hexdigest() != data.sha256:
        remedy = "it is not the sum of state, which was edited or torn: delete the ledger to adopt the workload afresh"
        raise InvalidInput(f"{where}.sha256", data.sha256, remedy)
    try:
        return _decoded(data.state)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError) as error:
        remedy = "this release cannot read it: delete the ledger to adopt the workload afresh"
        raise InvalidInput(f"{where}.state", data.state[:40], f"{remedy} ({type(error).__name__})") from error


@lru_cache(maxsize=8)  # a wake may read one version several times; each is up to 64 KiB of text
def _decoded(state: str) -> Ledger:
    ledger = _unpacked(json.loads(state, parse_constant=_no_constant))
    _summary(ledger)  # what could not be written again is not read
    state_of(ledger)
    return ledger


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def state_of(ledger: Ledger) -> str:
    """Canonical text: equal ledgers give equal texts, so that an unchanged ledger is not written again."""
    return fitted(ledger).state


def rounded(ledger: Ledger) -> Ledger:
    """The ledger as it comes back: row statistics to nine significant digits, the newest trials only."""
    return replace(ledger, trials=ledger.trials[-MAX_TRIALS:], rows=tuple(map(_rounded_row, ledger.rows)))


def _rounded_row(row: Row) -> Row:
    return replace(
        row,
        pods=_nine(row.pods),
        load=_nine(row.load),
        throughput=_nine(row.throughput),
        latency=_nine(row.latency),
        throughput_m2=_nine(row.throughput_m2),
        latency_m2=_nine(row.latency_m2),
        last_seen=round(float(row.last_seen), 3),
        signals={name: _nine(value) for name, value in sorted(row.signals.items())},
    )


def _nine(value: float) -> float:
    return float(f"{value:.9g}")


def _fit(ledger: Ledger) -> Fitted:
    """What fits: without the oldest trials, then without the rows seen longest ago, then without the last trials."""
    state = _packed(ledger)
    while (size := len(state.encode())) > MAX_BYTES:
        ledger = _smaller(ledger, size)
        state = _packed(ledger)
    return Fitted(ledger, state)


def _smaller(ledger: Ledger, size: int) -> Ledger:
    """Half of what seems too much goes at once, so that little more is lost than must be."""
    share = (1 - MAX_BYTES / size) / 2
    if len(ledger.trials) > KEPT_TRIALS:
        cut = max(1, int(len(ledger.trials) * share))
        return replace(ledger, trials=ledger.trials[min(cut, len(ledger.trials) - KEPT_TRIALS) :])
    if ledger.rows:
        cut = max(1, int(len(ledger.rows) * share))
        old = set(sorted(range(len(ledger.rows)), key=lambda i: ledger.rows[i].last_seen)[:cut])
        return replace(ledger, rows=tuple(row for i, row in enumerate(ledger.rows) if i not in old))
    if ledger.trials:
        return replace(ledger, trials=ledger.trials[1:])
    raise InvalidInput(
        "ledger", f"{size} bytes", f"tune fewer knobs with one profile: a ledger holds {MAX_BYTES} bytes"
    )


def _packed(ledger: Ledger) -> str:
    table = Table()
    signals = sorted({name for row in ledger.rows for name in row.signals})
    try:
        body = pack(replace(ledger, rows=()), table)
        body["columns"] = {"numbers": _COLUMNS, "signals": signals}
        body["rows"] = [_row_out(row, table, signals) for row in ledger.rows]
        body["settings"] = table.entries
        begun = body["intent"] or {}
        for name in LATER_FIELDS & begun.keys():
            if not begun[name]:
                del begun[name]
        measured = begun.get("baseline")
        if measured is not None and not measured["pods"]:
            del measured["pods"]  # likewise, of a baseline
        for part in _with_reasons(body):
            later = LATER_REASONS.get(part["reason"])
            if later is not None:
                part |= {"reason": later.value, "exactly": part["reason"]}
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise InvalidInput(
            "ledger", str(error), "keep numbers that are not finite and times without a zone out"
        ) from error


def _with_reasons(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The intent, if any, and the trials."""
    return [part for part in (body.get("intent"), *body.get("trials", ())) if part is not None]


def _row_out(row: Row, table: Table, signals: list[str]) -> list[Any]:
    numbers = [_short(getattr(row, name)) for name in _COLUMNS]
    return [table.at(row.setting), numbers, [_short(row.signals.get(name)) for name in signals]]


def _short(value: float | None) -> float | None:
    """Whole numbers without `.0`: reading makes floats of both."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _unpacked(body: dict[str, Any]) -> Ledger:
    settings = [setting_in(entry) for entry in body.pop("settings")]
    columns = body.pop("columns")
    rows = tuple(_row_in(entry, columns, settings) for entry in body.pop("rows"))
    for part in _with_reasons(body):
        if part.get("exactly") in LATER_REASONS:
            part["reason"] = part["exactly"]
    ledger: Ledger = unpack(Ledger, body, settings)
    return replace(ledger, rows=rows)


def _row_in(entry: list[Any], columns: Mapping[str, list[str]], settings: list[Setting]) -> Row:
    setting, numbers, signals = entry
    named: dict[str, Any] = dict(zip(columns["numbers"], numbers, strict=True))
    named["signals"] = {n: v for n, v in zip(columns["signals"], signals, strict=True) if v is not None}
    row: Row = unpack(Row, {**named, "setting": setting}, settings)
    return row
