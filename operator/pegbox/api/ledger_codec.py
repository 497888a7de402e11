"""Ledger <-> TuningLedger: canonical JSON in one text field, versioned and summed, at most 64 KiB.

Settings are stored once and referred to by position, since trials, rungs and rows share them. A knob value is a JSON
number (integer), `[numerator, denominator]`, a boolean, or a text (choice), so that reading needs no search space.
Statistics of rows are kept to nine significant digits: `rounded` says what comes back.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pegbox.api import ledger_reader
from pegbox.api.ledger_wire import MAX_STATE, LedgerData, LedgerSummary
from pegbox.api.wire import API_VERSION, read
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobValue, Setting
from pegbox.model.prediction import Row
from pegbox.model.trials import MAX_TRIALS, Baseline, Intent, Ledger, Rung, TrialSummary

SCHEMA_VERSION = 1
MAX_BYTES = MAX_STATE
KEPT_TRIALS = 10  # the newest failures guard against trying them again: rows go before these
_CHUNK = 5  # entries dropped at a time while the state is too large


def encode(
    ledger: Ledger, *, namespace: str, name: str, profile: str, written_at: datetime
) -> dict[str, Any]:
    """The TuningLedger object, without uid and resourceVersion. Raises InvalidInput where nothing is left to drop."""
    kept, state = _fit(rounded(ledger))
    data = LedgerData(
        schema_version=SCHEMA_VERSION,
        sha256=hashlib.sha256(state.encode()).hexdigest(),
        state=state,
        summary=LedgerSummary(
            profile=profile,
            profile_uid=kept.profile_uid,
            generation=kept.generation,
            breaker=kept.breaker.state,
            intent="" if kept.intent is None else f"{kept.intent.kind.value} {kept.intent.id}",
            trials=len(kept.trials),
            rows=len(kept.rows),
            written_at=stamp(written_at),
        ),
    )
    labels = {"app.kubernetes.io/managed-by": "pegbox", "pegbox.dev/profile-uid": kept.profile_uid}
    return {
        "apiVersion": API_VERSION,
        "kind": "TuningLedger",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "data": data.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def decode(obj: Mapping[str, Any]) -> Ledger:
    """The ledger of an object. Raises InvalidInput when it is torn, edited, or of a newer release."""
    name = obj.get("metadata", {}).get("name", "")
    where = f"TuningLedger {name} data"
    raw = obj.get("data")
    version = raw.get("schemaVersion") if isinstance(raw, Mapping) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        remedy = (
            f"this release reads versions up to {SCHEMA_VERSION}: run the newer release, or delete the ledger"
        )
        raise InvalidInput(f"{where}.schemaVersion", version, remedy)
    data = read(LedgerData, raw, where)
    if hashlib.sha256(data.state.encode()).hexdigest() != data.sha256:
        remedy = "it was edited or torn: delete the ledger to adopt the workload afresh"
        raise InvalidInput(f"{where}.sha256", data.sha256, remedy)
    return ledger_reader.ledger(data.state, where)


def state_of(ledger: Ledger) -> str:
    """Canonical text: equal ledgers give equal texts, so that an unchanged ledger is not written again."""
    return _fit(rounded(ledger))[1]


def stamp(when: datetime) -> str:
    """RFC 3339 in UTC. Raises ValueError for a naive time."""
    if when.tzinfo is None:
        raise ValueError(f"time without a zone: {when}")
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


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


def _fit(ledger: Ledger) -> tuple[Ledger, str]:
    """What fits: without the oldest trials, then without the rows seen longest ago, then without the last trials."""
    state = _encode(ledger)
    while len(state.encode()) > MAX_BYTES:
        ledger = _smaller(ledger)
        state = _encode(ledger)
    return ledger, state


def _smaller(ledger: Ledger) -> Ledger:
    if len(ledger.trials) > KEPT_TRIALS:
        return replace(ledger, trials=ledger.trials[-max(KEPT_TRIALS, len(ledger.trials) - _CHUNK) :])
    if ledger.rows:
        old = sorted(range(len(ledger.rows)), key=lambda i: ledger.rows[i].last_seen)[:_CHUNK]
        return replace(ledger, rows=tuple(row for i, row in enumerate(ledger.rows) if i not in old))
    if ledger.trials:
        return replace(ledger, trials=ledger.trials[1:])
    raise InvalidInput(
        "ledger", f"{len(_encode(ledger))} bytes", f"keep knobs and originals under {MAX_BYTES} bytes"
    )


class _Settings:
    """The table of distinct settings, in order of first use."""

    def __init__(self) -> None:
        self.table: list[dict[str, Any]] = []
        self._index: dict[str, int] = {}

    def at(self, setting: Setting) -> int:
        """Told apart by text: to Python, `True` and 1 are the same value."""
        values = {name: value_out(value) for name, value in setting.items()}
        key = json.dumps(values)
        if key not in self._index:
            self._index[key] = len(self.table)
            self.table.append(values)
        return self._index[key]


def value_out(value: KnobValue) -> Any:
    """See the module's text for the form."""
    if isinstance(value, bool | str):
        return value
    return value.numerator if value.denominator == 1 else [value.numerator, value.denominator]


def _encode(ledger: Ledger) -> str:
    table = _Settings()
    body: dict[str, Any] = {
        "profileUID": ledger.profile_uid,
        "targetUID": ledger.target_uid,
        "generation": ledger.generation,
        "incumbent": None if ledger.incumbent is None else table.at(ledger.incumbent),
        "originals": [[o.location, o.raw, o.owner, o.uid] for o in ledger.originals],
        "ladder": [_rung(rung, table) for rung in ledger.ladder],
        "intent": None if ledger.intent is None else _intent(ledger.intent, table),
        "breaker": [
            ledger.breaker.state.value,
            ledger.breaker.failures,
            ledger.breaker.opened,
            _when(ledger.breaker.until),
        ],
        "trials": [_trial(trial, table) for trial in ledger.trials],
        "cooldownUntil": _when(ledger.cooldown_until),
        "pausedUntil": _when(ledger.paused_until),
        "tokens": dict(ledger.tokens),
        "reporting": ledger.reporting,
        "revision": ledger.revision,
        "halted": None if ledger.halted is None else ledger.halted.value,
        "forecasts": [list(forecast) for forecast in ledger.forecasts],
        **_rows(ledger, table),
    }
    body["settings"] = table.table
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise InvalidInput(
            "ledger", str(error), "keep numbers that are not finite out of the ledger"
        ) from error


def _rows(ledger: Ledger, table: _Settings) -> dict[str, Any]:
    """Rows as columns' values; signal names stand once."""
    names = sorted({name for row in ledger.rows for name in row.signals})
    return {"signals": names, "rows": [_row(row, table, names) for row in ledger.rows]}


def _row(row: Row, table: _Settings, names: list[str]) -> list[Any]:
    numbers = [row.pods, row.load, row.throughput, row.latency, row.throughput_m2, row.latency_m2]
    signals = [row.signals.get(name) for name in names]
    return [
        table.at(row.setting),
        row.count,
        *map(_short, numbers),
        _short(row.last_seen),
        list(map(_short, signals)),
    ]


def _short(value: float | None) -> float | int | None:
    """Whole floats without `.0`: reading makes floats of both."""
    if value is None or not math.isfinite(value):
        return value
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _rung(rung: Rung, table: _Settings) -> list[Any]:
    return [table.at(rung.setting), rung.proven_load, rung.replicates, rung.latency, stamp(rung.proven_at)]


def _trial(trial: TrialSummary, table: _Settings) -> dict[str, Any]:
    return {
        "id": trial.id,
        "setting": table.at(trial.setting),
        "parent": table.at(trial.parent),
        "state": trial.state.value,
        "reason": trial.reason.value,
        "startedAt": stamp(trial.started_at),
        "endedAt": stamp(trial.ended_at),
        "figures": [trial.predicted_throughput, trial.throughput, trial.latency],
    }


def _intent(intent: Intent, table: _Settings) -> dict[str, Any]:
    return {
        "id": intent.id,
        "kind": intent.kind.value,
        "parent": table.at(intent.parent),
        "stages": [table.at(stage) for stage in intent.stages],
        "startedAt": stamp(intent.started_at),
        "generation": intent.generation,
        "stage": intent.stage,
        "stageAt": _when(intent.stage_at),
        "inForceAt": _when(intent.in_force_at),
        "reason": intent.reason.value,
        "why": intent.why,
        "revision": intent.revision,
        "pods": intent.pods,
        "baseline": None if intent.baseline is None else _baseline(intent.baseline),
        "state": None if intent.state is None else intent.state.value,
        "counted": intent.counted,
        "requested": intent.requested,
    }


def _baseline(baseline: Baseline) -> dict[str, Any]:
    return {
        "load": baseline.load,
        "throughput": baseline.throughput,
        "latency": baseline.latency,
        "errors": baseline.errors,
        "sloShares": dict(baseline.slo_shares),
        "latencySD": baseline.latency_sd,
        "windows": baseline.windows,
    }
