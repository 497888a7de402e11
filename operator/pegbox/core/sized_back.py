"""Requests that an HPA came to scale on, at rest: they go back to what their owner's template says. Pure.

The HPA's share was written for the template's request. Beside another one it means something else, and pods that start
from now on have the template's anyway, since a size that may not be written is given to nobody.
"""

from __future__ import annotations

from datetime import datetime

from pegbox.core import guards, room, sizing, transitions
from pegbox.core.transitions import Begin
from pegbox.model.decisions import Admission
from pegbox.model.knobs import KnobValue, Setting
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger


def begun(snapshot: Snapshot, workload: Workload, now: datetime) -> Ledger | None:
    """The ledger with the way back begun; None where every such request is the template's, or a brake or a freeze says
    that nothing may be written."""
    here = snapshot.ledger.incumbent
    if here is None or not guards.brakes.free(snapshot):
        return None
    if guards.waiting.frozen(guards.as_urgent(snapshot), now).admission is Admission.REFUSE:
        return None
    moved = _displaced(snapshot, here)
    goal = room.affordable(snapshot, workload, here, here.with_values(**moved))
    if goal == here:
        return None
    why = "; ".join(sorted({_refusal(snapshot, name) for name in here.diff(goal)}))
    item = Begin(IntentKind.ROLLBACK, goal, Reason.UTILIZATION_TARGET, now, why=why, revision=workload.revision)
    return transitions.begin(snapshot.spec, snapshot.ledger, here, item)


def _displaced(snapshot: Snapshot, here: Setting) -> dict[str, KnobValue]:
    """knob -> the template's value, where the incumbent has another one."""
    found = dict[str, KnobValue]()
    for knob in sizing.knobs(snapshot.spec.space):
        held = snapshot.held.get(knob.name)
        if held is None or held.start is None or knob.name not in here:
            continue
        scaled_on = held.refusal is not None and held.refusal.reason is Reason.UTILIZATION_TARGET
        if scaled_on and here[knob.name] != held.start:
            found[knob.name] = held.start
    return found


def _refusal(snapshot: Snapshot, name: str) -> str:
    refusal = snapshot.held[name].refusal
    return "" if refusal is None else refusal.detail
