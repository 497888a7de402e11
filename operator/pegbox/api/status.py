"""Decision and snapshot -> the profile's status: pure, and checked against the wire model before anybody writes it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from pegbox.api import status_wire as wire
from pegbox.api.packing import stamp
from pegbox.api.wire import read
from pegbox.core import cohorts, error_budget, slots, usage
from pegbox.model import units
from pegbox.model.decisions import Condition, ConditionType, Decision, Truth
from pegbox.model.knobs import Knob, KnobMode, KnobValue, SearchSpace, Setting
from pegbox.model.observations import Attainment, Missing
from pegbox.model.prediction import LoadForecast, ModelReport
from pegbox.model.profile import Mode, Slo
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Held, Snapshot, Workload
from pegbox.model.trials import Breaker, BreakerState, Ledger, TrialSummary

UNKNOWN = "Unknown"
_NOISY = frozenset({"attainment", "samples", "error", "baselineError", "coefficients", "missing", "load", "upper"})


def render(decision: Decision, snapshot: Snapshot, model: ModelReport | Missing) -> dict[str, Any]:
    """The status of a profile that could be translated. Raises InvalidInput where a text breaks the wire's bounds."""
    spec, ledger = snapshot.spec, decision.ledger
    setting = in_force(ledger, snapshot)
    slos = [_slo(slo, snapshot) for slo in spec.slos]
    status = {
        "observedGeneration": spec.generation,
        "classGeneration": spec.class_generation,
        "conditions": [_condition(item) for item in decision.conditions],
        "summary": {
            "target": _cut(f"{spec.target.kind}/{spec.target.name}", 253),
            "setting": _summary(spec.space, setting),
            "slo": _worst(slos),
        },
        "why": _cut(f"{decision.reason.value}: {decision.message}", 1024),
        "next": _cut(_next_braked(snapshot, ledger) or _next(snapshot, ledger), 1024),
        "setting": values(spec.space, setting),
        "proposal": values(spec.space, decision.proposal),
        "knobs": [_knob(knob, snapshot, decision.proposal) for knob in spec.space.knobs],
        "slos": slos,
        "budgets": _budgets(snapshot, setting),
        "breaker": _breaker(ledger.breaker),
        "pausedUntil": None if ledger.paused_until is None else _second(ledger.paused_until),
        "model": _model(model, decision.conditions) | {"forecast": _forecast(snapshot.forecast)},
        "trial": _trial(ledger, snapshot),
        "lastTrial": _last_trial(ledger.trials[-1], spec.space) if ledger.trials else None,
        "tokens": [{"name": verb, "value": token} for verb, token in sorted(ledger.tokens.items())],
        "guards": _guards(snapshot),
    }
    return check(status)


def render_refusal(generation: int, conditions: tuple[Condition, ...], why: str) -> dict[str, Any]:
    """The status of a profile that could not be translated: nothing of it is acted on."""
    body = {"observedGeneration": generation, "conditions": [_condition(c) for c in conditions], "why": _cut(why, 1024)}
    return check(body)


def check(status: Mapping[str, Any]) -> dict[str, Any]:
    """The status without empty fields, once it has passed the wire model. Raises InvalidInput."""
    present = {key: value for key, value in status.items() if value is not None}
    parsed = read(wire.ProfileStatus, present, "status")
    return parsed.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=False)


def read_conditions(status: Mapping[str, Any]) -> dict[ConditionType, Condition]:
    """The conditions of a status as read from the server; those that this release does not know are left out."""
    found: dict[ConditionType, Condition] = {}
    listed = status.get("conditions")
    for raw in listed if isinstance(listed, list) else ():
        try:
            item = read(wire.ConditionWire, raw, "status.conditions[]")
            since, reason = datetime.fromisoformat(item.last_transition_time), Reason(item.reason)
        except ValueError:
            continue
        found[item.type] = Condition(item.type, item.status, reason, item.message, item.observed_generation, since)
    return found


_UNDECLARED = re.compile(r"\.status\.(\S+): field not declared in schema")


def undeclared(refusal: str) -> frozenset[tuple[str, ...]]:
    """The fields that an API server names where an apply has what its definition lacks: of
    `.status.slos[name="p95"].later: field not declared in schema` the path (slos, later), in every entry."""
    return frozenset(tuple(re.sub(r"\[[^]]*\]", "", path).split(".")) for path in _UNDECLARED.findall(refusal))


def without(status: Mapping[str, Any], paths: Collection[tuple[str, ...]]) -> dict[str, Any]:
    """The status without these fields."""
    return {
        key: _within(item, [p[1:] for p in paths if p[0] == key]) for key, item in status.items() if (key,) not in paths
    }


def _within(item: Any, paths: list[tuple[str, ...]]) -> Any:
    if isinstance(item, list):
        return [_within(each, paths) for each in item]
    return without(item, paths) if paths and isinstance(item, Mapping) else item


def significant(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Did anything change but figures that move with every scrape? Those alone are worth a write only now and then."""
    return not _alike(old, new)


def _alike(old: Any, new: Any) -> bool:
    """But for the noise: attainment, model figures, and the summary's SLO text that repeats one of them."""
    if isinstance(old, dict) and isinstance(new, dict):
        told = _told(old)
        return told == _told(new) and all(_alike(old[key], new[key]) for key in told)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_alike, old, new))
    return bool(old == new)


def _told(node: Mapping[str, Any]) -> set[str]:
    """The keys that say more than noise."""
    told = node.keys() - _NOISY
    return told - {"slo"} if "setting" in told else told


def in_force(ledger: Ledger, snapshot: Snapshot) -> Setting | None:
    """The acknowledged setting: the intent's once every pod has it, else what it started from; held values before.

    While a canary runs, the rest's: what most pods have.
    """
    intent = ledger.intent
    if intent is not None and intent.in_force_at is not None:
        return intent.current
    if intent is not None and intent.stage > 0:
        return intent.stages[intent.stage - 1]
    if ledger.incumbent is not None:
        return ledger.incumbent
    known = snapshot.known()
    return Setting(known) if known else None


def values(space: SearchSpace, setting: Setting | None) -> list[dict[str, str]]:
    """A setting as a list map."""
    if setting is None:
        return []
    return [{"name": name, "value": _cut(text, 253)} for name, text in space.format(setting).items()]


def number(value: Fraction | float | Missing) -> str:
    """A decimal text, or Unknown."""
    if isinstance(value, Missing):
        return UNKNOWN
    return units.format_decimal(value) if isinstance(value, Fraction) else f"{value:.4g}"


def _condition(item: Condition) -> dict[str, Any]:
    return {
        "type": item.type.value,
        "status": item.status.value,
        "observedGeneration": item.observed_generation,
        "lastTransitionTime": _second(item.since),
        "reason": item.reason.value,
        "message": _cut(item.message, 4096),
    }


def _second(when: datetime) -> str:
    """Whole seconds, as Kubernetes writes them."""
    return stamp(when.replace(microsecond=0))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _summary(space: SearchSpace, setting: Setting | None) -> str:
    """The tunable knobs, which is what people look for; all of them where nothing is tunable."""
    if setting is None:
        return UNKNOWN
    texts = space.format(setting)
    shown = {k.name for k in space.tunable} or set(texts)
    return _cut(",".join(f"{name}={text}" for name, text in texts.items() if name in shown), 253)


def _slo(slo: Slo, snapshot: Snapshot) -> dict[str, Any]:
    found = snapshot.slos.get(slo.name)
    body = {"name": slo.name, "goal": _percent(slo.goal)}
    if not isinstance(found, Attainment):
        reason = found.reason.value if isinstance(found, Missing) else UNKNOWN
        return {**body, "attainment": reason, "met": Truth.UNKNOWN.value}
    met = found.share >= float(slo.goal)
    return {**body, "attainment": f"{found.share * 100:.2f}%", "met": (Truth.TRUE if met else Truth.FALSE).value}


def _percent(share: Fraction) -> str:
    return f"{units.format_decimal(share * 100)}%"


def _worst(slos: list[dict[str, Any]]) -> str:
    """The first SLO that is not met, else how many are."""
    if not slos:
        return "none"
    bad = next((s for s in slos if s["met"] == Truth.FALSE.value), None)
    if bad is not None:
        return _cut(f"{bad['name']} {bad['attainment']} < {bad['goal']}", 253)
    met = sum(s["met"] == Truth.TRUE.value for s in slos)
    return f"{met}/{len(slos)} met"


def _knob(knob: Knob, snapshot: Snapshot, proposal: Setting | None) -> dict[str, Any]:
    held = snapshot.held.get(knob.name)
    body: dict[str, Any] = {
        "name": knob.name,
        "value": _cut(_held(knob, held), 253),
        "location": str(knob.location),
        "writable": Truth.TRUE.value,
    }
    if proposal is not None and knob.name in proposal:
        body["proposed"] = _cut(_text(knob, proposal[knob.name]), 253)
    if held is not None and held.owners:
        body["owner"] = _cut(", ".join(held.owners), 253)
    refusal = _refusal(knob, held)
    if refusal:
        body |= {"writable": Truth.FALSE.value, "reason": _cut(refusal, 253)}
    return body


def _refusal(knob: Knob, held: Held | None) -> str:
    if knob.pinned is not None:
        return "Pinned"
    if knob.mode is KnobMode.RECOMMEND:
        return "ModeRecommend"
    return str(held.refusal) if held is not None and held.refusal is not None else ""


def _held(knob: Knob, held: Held | None) -> str:
    if held is None:
        return UNKNOWN
    return held.value.reason.value if isinstance(held.value, Missing) else _text(knob, held.value)


def _text(knob: Knob, value: KnobValue) -> str:
    return knob.type.format(value)


def _budgets(snapshot: Snapshot, setting: Setting | None) -> list[dict[str, Any]]:
    """Use at the setting in force. Limits of shared budgets are what is left for this profile."""
    workload = snapshot.workload
    complete = setting is not None and all(name in setting for name in snapshot.spec.space.names)
    if not isinstance(workload, Workload) or setting is None or not complete:
        return [{"name": b.name, "used": UNKNOWN, "limit": UNKNOWN} for b in snapshot.spec.budgets]
    found = usage.uses(snapshot, workload, setting)
    intent = snapshot.ledger.intent
    if intent is not None and intent.split and intent.applied_at is not None:
        ahead = len(cohorts.members(snapshot.spec.space, intent, workload))
        found = usage.split_uses(snapshot, workload, setting, intent.in_cohort, ahead)
    return [
        {"name": item.name, "used": UNKNOWN, "limit": UNKNOWN}
        if isinstance(use, Missing)
        else {"name": item.name, "used": number(use.used), "limit": number(use.limit)}
        for item, use in zip(snapshot.spec.budgets, found, strict=True)
    ]


def _breaker(breaker: Breaker) -> dict[str, Any]:
    body: dict[str, Any] = {"state": breaker.state.value, "failures": breaker.failures}
    if breaker.opened:
        body["openings"] = breaker.opened
    return body if breaker.until is None else {**body, "until": _second(breaker.until)}


def _model(report: ModelReport | Missing, conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """Trusted or not is the condition's word: one place decides it."""
    trust = next((c.status for c in conditions if c.type is ConditionType.MODEL_TRUSTED), Truth.UNKNOWN)
    if isinstance(report, Missing):
        return {"trusted": trust.value, "missing": _cut(str(report), 1024)}
    body: dict[str, Any] = {
        "trusted": trust.value,
        "samples": report.samples,
        "error": number(report.error),
        "baselineError": number(report.baseline_error),
        "coefficients": [{"name": n, "value": number(v)} for n, v in sorted(report.coefficients.items())[:64]],
    }
    if report.unidentified:
        body["missing"] = _cut(f"not identifiable yet: {', '.join(report.unidentified)}", 1024)
    return body


def _forecast(found: LoadForecast | Missing) -> dict[str, Any]:
    if isinstance(found, Missing):
        return {"available": Truth.FALSE.value, "missing": _cut(str(found), 1024)}
    return {
        "available": Truth.TRUE.value,
        "load": number(found.now),
        "upper": number(found.upper),
        "horizon": units.format_duration(Fraction(found.horizon)),
        "level": _percent(Fraction(str(found.level))),
    }


def _trial(ledger: Ledger, snapshot: Snapshot) -> dict[str, Any] | None:
    intent, space = ledger.intent, snapshot.spec.space
    if intent is None:
        return None
    stage = f"stage {intent.stage + 1} of {len(intent.stages)}"
    if intent.stage_at is None:
        step = "to be written"
    elif intent.in_force_at is None:
        step = "written, not yet in force"
    else:
        step = "in force"
    where = cohorts.in_words(space, intent, snapshot.workload)
    step = f"{step}, {where}" if where else step
    return {
        "id": _cut(intent.id, 253),
        "candidate": values(space, intent.target),
        "state": _cut(f"{intent.kind.value}: {stage}, {step}", 253),
        "since": _second(intent.started_at),
        "why": _cut(intent.why or SENTENCES[intent.reason], 1024),
    }


def _last_trial(trial: TrialSummary, space: SearchSpace) -> dict[str, Any]:
    return {
        "id": _cut(trial.id, 253),
        "candidate": values(space, trial.setting),
        "state": trial.state.value,
        "since": _second(trial.ended_at),
        "why": f"{trial.reason.value}: {SENTENCES[trial.reason]}",
    }


_FOREVER = datetime.max.replace(tzinfo=UTC)


def _next_braked(snapshot: Snapshot, ledger: Ledger) -> str:
    """While a brake above this profile holds it, and nothing has to be brought to its end first."""
    brakes = snapshot.brakes
    if ledger.intent is not None:
        return ""
    if brakes.stop is not None:
        return "nothing until `pegbox start --all`"
    if not snapshot.writes and snapshot.spec.mode is Mode.AUTO:
        return "nothing until this install may write: set the chart's mode.allowWrites"
    return "nothing until the workload no longer opts out" if brakes.opted_out else ""


def _next(snapshot: Snapshot, ledger: Ledger) -> str:
    """What comes next, with times of day: a text that counted down would be a write at every wake."""
    mode = snapshot.spec.mode
    if ledger.intent is not None:
        back = ledger.intent.kind.goes_back
        if back and not slots.moves(snapshot.spec, ledger.intent):
            return "put the rest back, once the mode is Auto again"
        if ledger.intent.opening:
            return "replace pods until the canary has its variables"
        if ledger.intent.in_force_at is None:
            return "wait until every pod runs the recorded setting" if back else "wait until every pod has acknowledged"
        if ledger.intent.compared:
            return "compare the canary with the rest, then widen or revert it"
        return "close the rollback" if back else "collect evidence, then accept or revert"
    if ledger.halted is not None:
        return f"nothing until `reset`: {SENTENCES[ledger.halted]}"
    if ledger.paused_until is not None:
        return (
            "nothing until `resume`"
            if ledger.paused_until >= _FOREVER
            else f"nothing until {_second(ledger.paused_until)}"
        )
    if mode is Mode.OBSERVE:
        return "observe; set mode Recommend for proposals"
    if mode is Mode.RECOMMEND:
        return "recommend; set mode Auto to let Pegbox try it"
    if ledger.breaker.state is BreakerState.OPEN and ledger.breaker.until is not None:
        return f"one smallest step after {_second(ledger.breaker.until)}"
    used = error_budget.used_up(replace(snapshot, ledger=ledger), snapshot.read_at) if snapshot.read_at else None
    waits = [m for m in (ledger.cooldown_until, used.until if used else None) if m is not None]
    if waits:
        return f"the next trial not before {_second(max(waits))}"
    return "try the next proposal that passes the guards"


def _guards(snapshot: Snapshot) -> list[dict[str, str]]:
    """The guards in effect, and how trials reach the pods; defaults included."""
    guards = snapshot.spec.guards
    shares = ("max_step", "error_budget_share")
    out = []
    for item in fields(guards):
        value = getattr(guards, item.name)
        if isinstance(value, Fraction):
            text = _percent(value) if item.name in shares else units.format_duration(value)
        else:
            text = str(value)
        head, *rest = item.name.split("_")
        out.append({"name": head + "".join(part.title() for part in rest), "value": text})
    canary = snapshot.spec.canary
    out.append({"name": "canaryShare", "value": _percent(canary.share)})
    return [*out, {"name": "canaryMinPods", "value": str(canary.min_pods)}]
