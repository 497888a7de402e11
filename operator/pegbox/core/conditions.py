"""Conditions: a decision and what was there before -> all conditions, sorted, with kept transition times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from pegbox.core import overdrawn, room, slo
from pegbox.core.guards.data import missing_figure
from pegbox.core.guards.limits import left_alone
from pegbox.core.guards.workload import unhealthy
from pegbox.core.wording import in_words
from pegbox.model.brakes import Stop
from pegbox.model.decisions import Condition, ConditionType, Decision, Truth
from pegbox.model.observations import Missing
from pegbox.model.prediction import ModelReport
from pegbox.model.reasons import NOT_ASKED, SENTENCES, Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import BreakerState, IntentKind

State = tuple[Truth, Reason, str]
TIE = 0.01  # mean absolute log errors closer than this are the same, as in learning.evaluate
DEGRADING = frozenset({Reason.NOT_ACKNOWLEDGED, Reason.RESTORE_PENDING})


def conditions(
    snapshot: Snapshot,
    decision: Decision,
    model: ModelReport | Missing,
    previous: Mapping[ConditionType, Condition],
    now: datetime,
) -> tuple[Condition, ...]:
    """Every condition type, each with its status, reason and message. Set on the first visit, even if Unknown."""
    states: dict[ConditionType, State] = {
        ConditionType.ACCEPTED: _accepted(snapshot, decision),
        ConditionType.METRICS_AVAILABLE: _metrics(snapshot),
        ConditionType.MODEL_TRUSTED: trusted(model),
        ConditionType.PROGRESSING: _progressing(decision),
        ConditionType.SLO_MET: _slo_met(snapshot),
        ConditionType.DEGRADED: _degraded(snapshot, decision),
        ConditionType.CONFLICT: _conflict(snapshot, decision),
    }
    states[ConditionType.READY] = _ready(states)
    generation = snapshot.spec.generation
    return tuple(
        Condition(kind, status, reason, message[:1000], generation, _since(previous.get(kind), status, now))
        for kind, (status, reason, message) in sorted(states.items())
    )


def refused(
    generation: int,
    reason: Reason,
    message: str,
    previous: Mapping[ConditionType, Condition],
    now: datetime,
    pending: str = "",
) -> tuple[Condition, ...]:
    """Conditions of a profile that cannot be worked on at all. `pending`: why what is asked to be put back is not."""
    states: dict[ConditionType, State] = dict.fromkeys(ConditionType, (Truth.UNKNOWN, reason, SENTENCES[reason]))
    states[ConditionType.ACCEPTED] = (Truth.FALSE, reason, message)
    states[ConditionType.READY] = (Truth.FALSE, reason, message)
    states[ConditionType.PROGRESSING] = (Truth.FALSE, reason, SENTENCES[reason])
    if pending:
        states[ConditionType.DEGRADED] = (Truth.TRUE, Reason.RESTORE_PENDING, pending)
    return tuple(
        Condition(kind, status, why, text[:1000], generation, _since(previous.get(kind), status, now))
        for kind, (status, why, text) in sorted(states.items())
    )


def _since(before: Condition | None, status: Truth, now: datetime) -> datetime:
    return before.since if before is not None and before.status is status else now


def _accepted(snapshot: Snapshot, decision: Decision) -> State:
    if snapshot.refusal is not None:
        text = f"{snapshot.refusal.detail}; what is under way is finished with what was read before"
        return Truth.FALSE, snapshot.refusal.reason, text
    if isinstance(snapshot.workload, Missing):
        return (
            Truth.FALSE,
            snapshot.workload.reason,
            f"{SENTENCES[snapshot.workload.reason]}: {snapshot.workload.detail}",
        )
    if decision.reason is Reason.BASELINE_UNKNOWN:
        return Truth.FALSE, Reason.BASELINE_UNKNOWN, decision.message
    return Truth.TRUE, Reason.ACCEPTED, SENTENCES[Reason.ACCEPTED]


def _metrics(snapshot: Snapshot) -> State:
    missing = missing_figure(snapshot.observation)
    if missing is not None:
        status = Truth.UNKNOWN if missing.reason in NOT_ASKED else Truth.FALSE
        return status, missing.reason, f"{SENTENCES[missing.reason]}: {missing.detail}"
    return Truth.TRUE, Reason.DATA_AVAILABLE, SENTENCES[Reason.DATA_AVAILABLE]


def trusted(model: ModelReport | Missing) -> State:
    """A model is trusted when what it said came truer than what the baseline would have said."""
    if isinstance(model, Missing):
        return Truth.FALSE, model.reason, f"{SENTENCES[model.reason]}: {model.detail}"
    if isinstance(model.error, Missing) or isinstance(model.baseline_error, Missing):
        return Truth.UNKNOWN, Reason.LEARNING, "no prediction came due yet"
    figures = f"error {model.error:.1%} against {model.baseline_error:.1%} of the baseline"
    if model.error > model.baseline_error + TIE:
        return Truth.FALSE, Reason.MODEL_INACCURATE, figures
    return Truth.TRUE, Reason.MODEL_TRUSTED, figures


def _progressing(decision: Decision) -> State:
    moving = decision.ledger.intent is not None
    return Truth.TRUE if moving else Truth.FALSE, decision.reason, decision.message


def _slo_met(snapshot: Snapshot) -> State:
    if not snapshot.spec.slos:
        return Truth.TRUE, Reason.SLO_MET, "the profile names no SLO"
    unknown: Missing | None = None
    missed = []
    for name, verdict in slo.standing(snapshot).items():
        if isinstance(verdict, Missing):
            unknown = unknown or verdict
        elif verdict.state is slo.SloState.BREACHED:
            missed.append(name)  # its share stands in status.slos: here it would change with every scrape
    if missed:
        return Truth.FALSE, Reason.SLO_BREACHED, f"{SENTENCES[Reason.SLO_BREACHED]}: {', '.join(missed)}"
    if unknown is not None:
        return Truth.UNKNOWN, unknown.reason, f"{SENTENCES[unknown.reason]}: {unknown.detail}"
    return Truth.TRUE, Reason.SLO_MET, SENTENCES[Reason.SLO_MET]


def _degraded(snapshot: Snapshot, decision: Decision) -> State:
    ledger = decision.ledger
    if ledger.halted is not None:
        return Truth.TRUE, ledger.halted, SENTENCES[ledger.halted]
    crowded = decision.reason is Reason.BUDGET_EXCEEDED and ledger.intent is not None  # a way back that has no room yet
    if decision.reason in DEGRADING or (crowded and not overdrawn.lowers(ledger.intent)):
        return Truth.TRUE, decision.reason, decision.message
    if ledger.intent is None and ledger.owed is not None and snapshot.brakes.stop is Stop.RESTORE:
        words = in_words(snapshot.spec.space, ledger.owed)
        return Truth.TRUE, Reason.RESTORE_PENDING, f"{SENTENCES[Reason.RESTORE_PENDING]}: still to be put back: {words}"
    more = _restarts_without_room(replace(snapshot, ledger=ledger))
    if ledger.intent is not None and ledger.intent.kind is IntentKind.ROLLBACK and ledger.intent.counted:
        return Truth.TRUE, Reason.ROLLING_BACK, f"{ledger.intent.why}; {more}" if more else ledger.intent.why
    if more:
        return Truth.TRUE, Reason.BUDGET_EXCEEDED, more
    over = _overdrawn(replace(snapshot, ledger=ledger))
    if over:
        return Truth.TRUE, Reason.BUDGET_EXCEEDED, over
    if ledger.breaker.state is BreakerState.OPEN:
        return Truth.TRUE, Reason.BREAKER_OPEN, f"open until {ledger.breaker.until}"
    sick = unhealthy(snapshot.workload)
    if sick is not None and sick.reason in (Reason.CRASH_LOOP, Reason.ROLLOUT_IN_PROGRESS) and sick.detail:
        status = Truth.TRUE if sick.reason is Reason.CRASH_LOOP or sick.detail == "stuck" else Truth.FALSE
        return status, sick.reason, f"{SENTENCES[sick.reason]}: {sick.detail}"
    return Truth.FALSE, Reason.STABLE, SENTENCES[Reason.STABLE]


def _restarts_without_room(snapshot: Snapshot) -> str:
    """A way back restarts pods, and others left no room for the one that this adds."""
    over = "" if isinstance(snapshot.workload, Missing) else room.exceeds(snapshot, snapshot.workload)
    return f"exceeded by the pod that the restarts of the way back add, until they are over: {over}" if over else ""


def _overdrawn(snapshot: Snapshot) -> str:
    """What is exceeded, and whether it is being lowered. A trial or a way back beside it says so by its own reason."""
    intent = snapshot.ledger.intent
    if intent is not None:
        return f"exceeded by others, and being lowered: {intent.why}" if overdrawn.lowers(intent) else ""
    over = overdrawn.in_words(overdrawn.exceeded(snapshot))
    return f"exceeded by others: {over}" if over else ""


def _conflict(snapshot: Snapshot, decision: Decision) -> State:
    """What others did is news, and gives the reason; what they own without consent stands beside it."""
    refused = {name: held.refusal for name, held in sorted(snapshot.held.items()) if held.refusal is not None}
    intent = decision.ledger.intent
    kept = [name for name in (intent.keep if intent is not None else ()) if name not in refused]
    alone = left_alone(replace(snapshot, ledger=decision.ledger))
    until = [f"{name} until {end.isoformat()}" for name, end in sorted(alone.items()) if name not in refused]
    texts = [f"{name}: {refusal.detail}" for name, refusal in refused.items()]
    if kept:
        texts.insert(0, f"left as others set them: {', '.join(kept)}")
    elif until:
        texts.insert(0, f"others set again what was tuned, and it is left to them: {', '.join(until)}")
    if not texts:
        return Truth.FALSE, Reason.NO_CONFLICT, SENTENCES[Reason.NO_CONFLICT]
    reason = Reason.FOREIGN_CHANGE if kept or until else next(iter(refused.values())).reason
    return Truth.TRUE, reason, "; ".join(texts)


def _ready(states: Mapping[ConditionType, State]) -> State:
    """A fresh accepted profile without data is Ready: installers wait for this, and data takes its time."""
    accepted = states[ConditionType.ACCEPTED]
    if accepted[0] is not Truth.TRUE:
        return Truth.FALSE, accepted[1], accepted[2]
    degraded = states[ConditionType.DEGRADED]
    if degraded[0] is Truth.TRUE and degraded[1] in (Reason.LAST_KNOWN_GOOD_FAILING, Reason.RESTORE_PENDING):
        return Truth.FALSE, degraded[1], degraded[2]
    return Truth.TRUE, Reason.ACCEPTED, SENTENCES[Reason.ACCEPTED]


def by_type(items: Iterable[Condition]) -> dict[ConditionType, Condition]:
    return {item.type: item for item in items}


def degraded(
    generation: int, reason: Reason, message: str, previous: Mapping[ConditionType, Condition], now: datetime
) -> tuple[Condition, ...]:
    """The conditions as they were, with Degraded: a wake that failed says nothing about the rest. Only, a profile whose
    way back is refused is not Ready."""
    states = {ConditionType.DEGRADED: Truth.TRUE}
    if reason is Reason.RESTORE_PENDING:
        states[ConditionType.READY] = Truth.FALSE
    said = {
        kind: Condition(kind, status, reason, message[:1000], generation, _since(previous.get(kind), status, now))
        for kind, status in states.items()
    }
    return tuple(item for _, item in sorted({**previous, **said}.items()))
