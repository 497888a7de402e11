"""Tell: the status that a wake leaves on the profile."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from pegbox.api import status, status_told
from pegbox.core import conditions
from pegbox.model.decisions import ConditionType, Decision, Event
from pegbox.model.observations import Missing
from pegbox.model.prediction import ModelReport
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Intent
from pegbox.ports import Object
from pegbox.runtime.memory import Memory
from pegbox.runtime.reading import Objects


def status_of(found: Objects, snapshot: Snapshot, decision: Decision, memory: Memory, now: datetime) -> Object:
    """The whole status of a profile that was worked on."""
    previous = status.read_conditions(found.profile.get("status") or {})
    model: ModelReport | Missing = (
        memory.predictor if isinstance(memory.predictor, Missing) else memory.predictor.report
    )
    said = conditions.conditions(snapshot, decision, model, previous, now)
    return status.render(replace(decision, conditions=said), snapshot, model)


HELD_UP = frozenset({Reason.STOPPED, Reason.OPTED_OUT, Reason.FLEET_BREAKER_OPEN, Reason.EVICTION_FORBIDDEN})


def held_up(found: Objects, decision: Decision) -> Event | None:
    """An event when a brake or a disruption budget takes hold, once: the condition says the rest of the time that it
    holds."""
    if decision.reason not in HELD_UP or decision.events:
        return None
    before = status.read_conditions(found.profile.get("status") or {}).get(ConditionType.PROGRESSING)
    if before is not None and before.reason is decision.reason:
        return None
    return Event(decision.reason, decision.message, warning=True)


def goes_back(intent: Intent | None) -> bool:
    """Is a rollback or a restore under way?"""
    return intent is not None and intent.kind.goes_back


def failure(reason: Reason, text: str, intent: Intent | None) -> tuple[Reason, str]:
    """What a failed wake is told as: a way back that the server refuses is pending until it does no more."""
    if intent is None or not goes_back(intent):
        return reason, text
    said = f"{intent.kind.value} {intent.id} is under way and is tried again"
    if reason is Reason.WRITE_REFUSED:
        return Reason.RESTORE_PENDING, f"{reason.value}: {text}; {said}"
    return reason, f"{text}; {said}"


def pending(snapshot: Snapshot, decision: Decision) -> Decision:
    """An install that may not write any more: what a way back would write waits for the right, and that is said."""
    intent = decision.ledger.intent
    if intent is None or not goes_back(intent) or decision.desired is None or snapshot.spec.mode is not Mode.AUTO:
        return decision
    text = f"{intent.kind.value} {intent.id} is under way, and this install may not write: set mode.allowWrites"
    event = Event(Reason.RESTORE_PENDING, text, warning=True)
    return replace(decision, reason=Reason.RESTORE_PENDING, message=text, events=(*decision.events, event))


def refusal_status(profile: Object, reason: Reason, message: str, now: datetime, pending: str = "") -> Object:
    """The status of a profile that cannot be worked on. `pending`: why its values cannot be put back, as is asked."""
    previous = status.read_conditions(profile.get("status") or {})
    generation = int(profile["metadata"].get("generation", 1))
    said = conditions.refused(generation, reason, message, previous, now, pending)
    rendered = status.render_refusal(generation, said, f"{reason.value}: {message}")
    before = profile.get("status") or {}
    return rendered | {name: before[name] for name in status_told.KEPT if name in before}


def failure_status(profile: Object, reason: Reason, message: str, now: datetime) -> Object:
    """What was said before, with Degraded on top: a failed wake takes nothing back."""
    before = dict(profile.get("status") or {})
    previous = status.read_conditions(before)
    generation = int(profile["metadata"].get("generation", 1))
    said = conditions.degraded(generation, reason, message, previous, now)
    rendered = status.render_refusal(generation, said, f"{reason.value}: {message}")
    # A first wake that fails has no status to keep: the server asks for the fields that every status has.
    return rendered | before | {"conditions": rendered["conditions"], "why": rendered["why"]}


def canonical(body: Object) -> str:
    return json.dumps(body, sort_keys=True)
