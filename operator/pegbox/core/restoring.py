"""Restoring: what was adopted is put back, at a deletion or where everything is stopped and restored. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from pegbox.core import cohorts, left_behind, looks, read_back, room, transitions, under_way
from pegbox.core.transitions import Begin
from pegbox.model.decisions import Action, Decision, Event
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger


def delete(snapshot: Snapshot, now: datetime) -> Decision:
    """The profile is being deleted: restore or keep, then close. The shell drops the finalizer on CLOSE."""
    ledger = snapshot.ledger
    goal, reason = left_behind.goal(snapshot)
    if goal is None or not snapshot.spec.space.knobs:
        done = replace(ledger, intent=None)
        return Decision(Action.CLOSE, Reason.STABLE, "nothing to restore", done, wake_after=looks.SOON)
    if isinstance(snapshot.workload, Missing):  # the reader left only knobs whose place is still there
        gone = Workload(snapshot.spec.target.kind, ledger.target_uid, 0, ledger.revision, False, False, 0, ())
        snapshot = replace(snapshot, workload=gone)
    assert isinstance(snapshot.workload, Workload)
    if snapshot.claimed >= {*snapshot.spec.space.names}:
        return _left_to_others(snapshot)
    begun = ledger.intent is not None and ledger.intent.kind is IntentKind.RESTORE
    if not begun or ledger.owed is not None:  # a stop's restore made do with the room there was (seed 700003494)
        return restore(snapshot, snapshot.workload, goal, reason, now)
    return under_way.proceed(snapshot, snapshot.workload, now, 0.0)


def _left_to_others(snapshot: Snapshot) -> Decision:
    """Both would write one document, for ever: who has it keeps it, and the originals are told."""
    text = "another profile has the target: nothing is restored; the originals stand on our ConfigMap"
    event = Event(Reason.TARGET_BUSY, text, warning=True)
    done = replace(snapshot.ledger, intent=None)
    return Decision(Action.CLOSE, Reason.TARGET_BUSY, text, done, events=(event,), wake_after=looks.SOON)


def let_go(snapshot: Snapshot) -> Decision:
    """Nobody waits for what we would put back: who may take the finalizer away need not be one who may write there."""
    done = replace(snapshot.ledger, intent=None)
    text = "deleted without our finalizer: nothing is restored"
    return Decision(Action.CLOSE, Reason.STABLE, text, done, wake_after=looks.SOON)


def due(ledger: Ledger) -> bool:
    """Was anything written that a restore would put back?"""
    return ledger.adopted is not None and ledger.generation > 0


def out(ledger: Ledger) -> frozenset[str]:
    """Knobs that may stand otherwise than at the adoption, by our doing: what a restore has to put back."""
    if not due(ledger):
        return frozenset()
    adopted, here = ledger.adopted or Setting({}), ledger.incumbent
    moved = frozenset[str]() if ledger.intent is None else ledger.intent.moved
    return moved | {n for n in adopted if here is None or n not in here or here[n] != adopted[n]}


def restore(snapshot: Snapshot, workload: Workload, goal: Setting, reason: Reason, now: datetime) -> Decision:
    """Begin to put `goal`, most often the values of the adoption, back from wherever the workload is now."""
    ledger = snapshot.ledger
    parent = ledger.intent.current if ledger.intent is not None else ledger.incumbent or _standing(snapshot)
    foreign = {**read_back.left_alone(ledger), **read_back.foreign_at_restore(snapshot, parent)}
    foreign |= snapshot.known(snapshot.claimed)
    parent = _unfinished(snapshot, _here(snapshot, parent), goal)
    parent, goal = transitions.keeping(parent, foreign), transitions.keeping(goal, foreign)
    wanted, fits = goal, not snapshot.deleting  # a deletion promises the originals, whatever stands beside them
    goal = room.affordable(snapshot, workload, parent, goal, foreign) if fits else goal
    left = cohorts.left(snapshot, workload, parent)
    begin = Begin(IntentKind.RESTORE, goal, reason, now, revision=workload.revision, cohort=left)
    ledger = transitions.begin(snapshot.spec, replace(ledger, owed=None), parent, begin)
    begun = ledger.intent
    assert begun is not None
    if fits:  # a bound that yields to another is owed, too
        ledger = transitions.owing(ledger, wanted, begun.target)
    ledger = replace(ledger, intent=replace(begun, keep=tuple(sorted(foreign))))
    return under_way.write(replace(snapshot, ledger=ledger), workload, now, Action.RESTORE)


def _here(snapshot: Snapshot, wanted: Setting) -> Setting:
    """Where the workload is now: what an intent wanted may not have been written yet, and what stands is ours, too."""
    late = {n for n, held in snapshot.held.items() if held.behind}
    return wanted.with_values(**{n: v for n, v in snapshot.known(wanted).items() if n not in late})


def _unfinished(snapshot: Snapshot, here: Setting, goal: Setting) -> Setting:
    """A stage that is not in force yet is the restore's to end: what stands may be the goal already, while pods still
    run what was before, or more of them run than its bounds allow. Of two values that are not the goal the larger
    counts: pods may still use as much."""
    intent = snapshot.ledger.intent
    if intent is None or intent.in_force_at is not None:
        return here
    found = {}
    for name in (n for n in here if n in goal):
        ran = [s[name] for s in (intent.before, intent.cohort_before) if name in s]
        left = [v for v in (here[name], *ran) if v != goal[name]]
        if left:
            found[name] = max((v for v in left if isinstance(v, Fraction)), default=left[0])
    return here.with_values(**found)


def _standing(snapshot: Snapshot) -> Setting:
    """After the ledger was lost nobody knows who set what stands: as at an adoption, it counts as the incumbent."""
    adopted = snapshot.ledger.adopted
    assert adopted is not None
    return adopted.with_values(**snapshot.known(adopted))
