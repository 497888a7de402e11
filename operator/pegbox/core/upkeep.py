"""Upkeep: at rest, pods and objects are brought to what was accepted. No trial, and the same setting. Pure.

Pods that started as the template says are resized, the variables of a deleted object are written again, and pods from
before they were written are replaced.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pegbox.core import guards, looks, pod_env, room, sizing
from pegbox.core.guards.workload import unhealthy
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
        decision = _told(decision, late, why)
    replacing = late if why is None else frozenset[str]()
    if not (_written(snapshot) or replacing) or guards.brakes.why(snapshot) is not None:
        return decision
    ready = replacing if settled(snapshot.workload) else frozenset[str]()
    wake = min(decision.wake_after, looks.SOON)
    return replace(decision, desired=decision.ledger.incumbent, replaces=ready, wake_after=wake)


def without_slot(snapshot: Snapshot, decision: Decision, refused: Missing) -> Decision:
    """No pod is replaced at this look, and it is said why; what else is needed is brought to the pods all the same."""
    told = _told(replace(decision, replaces=frozenset()), decision.replaces, refused)
    if _written(replace(snapshot, ledger=decision.ledger)):
        return told
    return replace(told, desired=None, wake_after=looks.at_rest(snapshot.spec))


def _written(snapshot: Snapshot) -> bool:
    """Is anything to be resized, or written again, whatever pods are replaced?"""
    return bool(sizing.behind(snapshot)) or pod_env.gone(snapshot)


def _told(decision: Decision, late: frozenset[str], why: Missing) -> Decision:
    text = f"{SENTENCES[why.reason]}: {', '.join(sorted(late))} started with other variables; {why.detail}"
    return replace(decision, reason=why.reason, message=text)


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


def settled(workload: Workload | Missing) -> bool:
    """Is the pod that took the place of another one there, and ready? Until then no further one is replaced.

    Between the old pod and the new one of its name a StatefulSet has none, and all that are there are ready.
    """
    if isinstance(workload, Missing) or unhealthy(workload) is not None:
        return False
    pods = workload.unfinished
    return len(pods) >= workload.replicas and not any(p.terminating for p in pods)


def goes_back(snapshot: Snapshot, decision: Decision) -> bool:
    """Is it the way back that pods are replaced: out of a budget that they exceed with what they run?"""
    snapshot = replace(snapshot, ledger=decision.ledger)
    return isinstance(snapshot.workload, Workload) and room.replacing_lowers(
        snapshot, snapshot.workload, decision.replaces
    )
