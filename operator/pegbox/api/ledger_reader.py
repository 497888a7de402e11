"""The state text of a TuningLedger, read back: the other half of `ledger_codec`."""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction
from typing import Any

from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobValue, Setting
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason
from pegbox.model.trials import (
    Baseline,
    Breaker,
    BreakerState,
    Intent,
    IntentKind,
    Ledger,
    Original,
    Rung,
    TrialState,
    TrialSummary,
)


def ledger(state: str, field: str) -> Ledger:
    """Raises InvalidInput for a text that this release cannot read, whatever is wrong with it."""
    try:
        return _ledger(json.loads(state))
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
        ZeroDivisionError,
    ) as error:
        remedy = "this release cannot read it: delete the ledger to adopt the workload afresh"
        raise InvalidInput(
            f"{field}.state", state[:40], f"{remedy} ({type(error).__name__}: {error})"
        ) from error


def _ledger(body: dict[str, Any]) -> Ledger:
    settings = [Setting({name: _value(raw) for name, raw in entry.items()}) for entry in body["settings"]]
    state, failures, opened, until = body["breaker"]
    return Ledger(
        profile_uid=body["profileUID"],
        target_uid=body["targetUID"],
        generation=body["generation"],
        incumbent=None if body["incumbent"] is None else settings[body["incumbent"]],
        originals=tuple(Original(*entry) for entry in body["originals"]),
        ladder=tuple(_rung(entry, settings) for entry in body["ladder"]),
        intent=None if body["intent"] is None else _intent(body["intent"], settings),
        breaker=Breaker(BreakerState(state), failures, opened, _time(until)),
        trials=tuple(_trial(entry, settings) for entry in body["trials"]),
        rows=tuple(_row(entry, settings, body["signals"]) for entry in body["rows"]),
        cooldown_until=_time(body["cooldownUntil"]),
        paused_until=_time(body["pausedUntil"]),
        tokens={str(verb): str(token) for verb, token in body["tokens"].items()},
        reporting=body["reporting"],
        revision=body["revision"],
        halted=None if body["halted"] is None else Reason(body["halted"]),
        forecasts=tuple((float(a), float(b), float(c)) for a, b, c in body["forecasts"]),
    )


def _value(raw: Any) -> KnobValue:
    if isinstance(raw, bool | str):
        return raw
    if isinstance(raw, list):
        numerator, denominator = raw
        return Fraction(numerator, denominator)
    return Fraction(raw)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _float(raw: float | None) -> float | None:
    return None if raw is None else float(raw)


def _rung(entry: list[Any], settings: list[Setting]) -> Rung:
    setting, load, replicates, latency, proven_at = entry
    return Rung(settings[setting], float(load), replicates, float(latency), _moment(proven_at))


def _row(entry: list[Any], settings: list[Setting], names: list[str]) -> Row:
    setting, count, pods, load, throughput, latency, throughput_m2, latency_m2, last_seen, signals = entry
    return Row(
        setting=settings[setting],
        pods=float(pods),
        load=float(load),
        throughput=float(throughput),
        latency=float(latency),
        count=count,
        throughput_m2=float(throughput_m2),
        latency_m2=float(latency_m2),
        last_seen=float(last_seen),
        signals={n: float(v) for n, v in zip(names, signals, strict=True) if v is not None},
    )


def _trial(body: dict[str, Any], settings: list[Setting]) -> TrialSummary:
    predicted, throughput, latency = map(_float, body["figures"])
    return TrialSummary(
        id=body["id"],
        setting=settings[body["setting"]],
        parent=settings[body["parent"]],
        state=TrialState(body["state"]),
        reason=Reason(body["reason"]),
        started_at=_moment(body["startedAt"]),
        ended_at=_moment(body["endedAt"]),
        predicted_throughput=predicted,
        throughput=throughput,
        latency=latency,
    )


def _intent(body: dict[str, Any], settings: list[Setting]) -> Intent:
    return Intent(
        id=body["id"],
        kind=IntentKind(body["kind"]),
        parent=settings[body["parent"]],
        stages=tuple(settings[stage] for stage in body["stages"]),
        started_at=_moment(body["startedAt"]),
        generation=body["generation"],
        stage=body["stage"],
        stage_at=_time(body["stageAt"]),
        in_force_at=_time(body["inForceAt"]),
        reason=Reason(body["reason"]),
        why=body["why"],
        revision=body["revision"],
        pods=body["pods"],
        baseline=None if body["baseline"] is None else _baseline(body["baseline"]),
        state=None if body["state"] is None else TrialState(body["state"]),
        counted=body["counted"],
        requested=body["requested"],
    )


def _baseline(body: dict[str, Any]) -> Baseline:
    return Baseline(
        load=float(body["load"]),
        throughput=float(body["throughput"]),
        latency=float(body["latency"]),
        errors=_float(body["errors"]),
        slo_shares={str(name): float(share) for name, share in body["sloShares"].items()},
        latency_sd=float(body["latencySD"]),
        windows=body["windows"],
    )
