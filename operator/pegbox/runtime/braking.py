"""The brakes within one wake: a slot before anything begins, and what belongs to others after a global restore."""

from __future__ import annotations

from dataclasses import replace

from pegbox.core import change_per_hour, upkeep
from pegbox.model.decisions import Action, Decision
from pegbox.model.observations import Missing
from pegbox.model.reasons import NOT_ASKED, SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind
from pegbox.runtime.brakes import Brakes


def with_slot(brakes: Brakes, snapshot: Snapshot, decision: Decision) -> Decision:
    """What is about to begin of our own accord takes its slot, or waits for one. A way back waits for nothing."""
    intent = decision.ledger.intent
    if decision.replaces:
        return _replacing(brakes, snapshot, decision)
    if upkeep.settled(snapshot.workload):
        brakes.rests(snapshot.spec.key)
    if snapshot.ledger.intent is not None or intent is None or decision.desired is None:
        return decision
    if intent.kind not in (IntentKind.TRIAL, IntentKind.ADOPT):
        return decision
    if intent.kind is IntentKind.TRIAL and isinstance(snapshot.workload, Workload):
        change = change_per_hour.of(snapshot, snapshot.workload, intent)
        intent = replace(intent, added=change.added, removed=change.removed)
        decision = replace(decision, ledger=replace(decision.ledger, intent=intent))
    refused = brakes.reserve(snapshot.spec.key, snapshot.spec.space, intent)
    if refused is None:
        return decision
    return replace(waiting(snapshot, decision, refused), wake_after=snapshot.spec.interval)


def _replacing(brakes: Brakes, snapshot: Snapshot, decision: Decision) -> Decision:
    """Pods that are replaced at rest take a slot until the last one is there, and wait for one, unless they are the way
    back. What is resized or written beside them does not wait."""
    refused = brakes.replaces(snapshot.spec.key, waits=not upkeep.goes_back(snapshot, decision))
    return decision if refused is None else upkeep.without_slot(snapshot, decision, refused)


def waiting(snapshot: Snapshot, decision: Decision, refused: Missing) -> Decision:
    """What was about to begin waits, and its request with it. What else this wake took note of stays noted."""
    message = f"{SENTENCES[refused.reason]}: {refused.detail}"
    after, asked = decision.ledger, snapshot.ledger.tokens.get("try")
    tokens = {verb: token for verb, token in after.tokens.items() if verb != "try"}
    tokens |= {"try": asked} if asked is not None else {}
    return replace(
        decision,
        action=Action.HOLD,
        reason=refused.reason,
        message=message,
        ledger=replace(after, intent=None, generation=after.generation - 1, tokens=tokens),
        desired=None,
        events=tuple(e for e in decision.events if e.reason is not Reason.TRIAL_STARTED),
    )


def ends_restore(snapshot: Snapshot, decision: Decision) -> bool:
    """Does a restore end that a global stop began? Then what was taken goes back before it is forgotten."""
    intent = snapshot.ledger.intent
    restoring = intent is not None and intent.kind is IntentKind.RESTORE
    return restoring and decision.action is Action.CLOSE and not snapshot.deleting


def answered(*answers: object) -> bool:
    """Did the metrics server say anything, be it that it has nothing?"""
    silent = (isinstance(a, Missing) and a.reason in NOT_ASKED for a in answers)
    return not all(silent)
