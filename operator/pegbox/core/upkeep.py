"""Upkeep: at rest, pods and objects are brought to what was accepted. No trial, and the same setting. Pure.

Pods that started as the template says are resized, the variables of a deleted object are written again, and pods from
before they were written are replaced.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pegbox.core import guards, looks, pod_env, room, sizing
from pegbox.model.decisions import Admission, Decision
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload


def needed(snapshot: Snapshot, decision: Decision, now: datetime) -> Decision:
    """The decision of a wake at rest, with the setting to be brought to the pods where any of that is needed."""
    if decision.ledger.intent is not None or snapshot.spec.mode is not Mode.AUTO:
        return decision
    snapshot = replace(snapshot, ledger=decision.ledger)
    late, why = pod_env.replaceable(snapshot), waiting(snapshot, now)
    if late and why is not None and why.reason is Reason.WAITING_FOR_BUDGET:
        text = f"{SENTENCES[why.reason]}: {', '.join(sorted(late))} started with other variables; {why.detail}"
        decision = replace(decision, reason=why.reason, message=text)
    if not (sizing.behind(snapshot) or pod_env.gone(snapshot) or (late and why is None)):
        return decision
    if guards.brakes.why(snapshot) is not None:
        return decision
    return replace(decision, desired=decision.ledger.incumbent, wake_after=min(decision.wake_after, looks.SOON))


def waiting(snapshot: Snapshot, now: datetime) -> Missing | None:
    """Why no pod is replaced at rest: a freeze, or a budget that has no room for the pod that this adds. A trial asks
    for that room before it begins; here nothing was proposed, so that it is asked at each look."""
    frozen = guards.waiting.frozen(snapshot, now)
    if frozen.admission is Admission.REFUSE:
        return Missing(frozen.reason, frozen.detail)
    if not isinstance(snapshot.workload, Workload):
        return snapshot.workload
    crowded = room.replacing_waits(snapshot, snapshot.workload, pod_env.replaceable(snapshot))
    return Missing(Reason.WAITING_FOR_BUDGET, crowded) if crowded else None


def replaced(snapshot: Snapshot) -> frozenset[str]:
    """The pods that may be replaced at this look, at rest."""
    if snapshot.read_at is None or waiting(snapshot, snapshot.read_at) is not None:
        return frozenset()
    return pod_env.replaceable(snapshot)
