"""Read back: what of the stage under way stands as it was written, and what others changed meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pegbox.core import cohorts, force, hpa_bounds, sizing
from pegbox.model.knobs import Knob, KnobMode, KnobValue, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Intent, Ledger


def ledger_and_intent(snapshot: Snapshot) -> tuple[Ledger, Intent]:
    assert snapshot.ledger.intent is not None
    return snapshot.ledger, snapshot.ledger.intent


def unwritten(snapshot: Snapshot, intent: Intent) -> bool:
    """Is anything of the stage under way still to be written?"""
    spec = snapshot.spec
    if force.own_document(spec.space):
        document = snapshot.document
        if isinstance(document, Missing) or document.profile_uid != spec.uid:
            return True
        if document.generation != intent.generation or cohorts.edited(snapshot, intent):
            return True
    late = force.applied(spec.space, intent.written, snapshot.held, intent)
    return any(sizing.holds_up(snapshot, intent, name) for name in late)


def stands(snapshot: Snapshot, intent: Intent) -> bool:
    """Does all that the intent moves stand at its end already, by whomever, in a place where pods need no restart, and
    have they read it?"""
    document = snapshot.document
    apart = intent.cohort is not None or (not isinstance(document, Missing) and bool(document.cohorts))
    if apart or force.restarting(snapshot.spec.space, intent) or intent.stage + 1 < len(intent.stages):
        return False
    late = any(snapshot.held[n].behind for n in intent.moved if n in snapshot.held) or _unread(snapshot, intent)
    return not late and snapshot.known(intent.moved) == {n: intent.target[n] for n in intent.moved}


def _unread(snapshot: Snapshot, intent: Intent) -> bool:
    """Does a pod not say yet that it runs the settings document, where the intent moves a value of that?"""
    read = {k.name for k in snapshot.spec.space.at(LocationKind.SETTINGS)}
    if isinstance(snapshot.workload, Missing) or read.isdisjoint(intent.moved):
        return False
    return bool(force.unread(snapshot.spec, snapshot.ledger, document=snapshot.document, workload=snapshot.workload))


def renumbered(snapshot: Snapshot, intent: Intent) -> bool:
    """Was the stage numbered again since it was read back, because somebody moved the document's number?"""
    document = snapshot.document
    ours = not isinstance(document, Missing) and document.profile_uid == snapshot.spec.uid
    return ours and not isinstance(document, Missing) and document.generation < intent.generation


def foreign_changes(snapshot: Snapshot, intent: Intent) -> Mapping[str, KnobValue]:
    """Values that are none of ours: neither the stage under way, nor (until it was written) where we came from.

    Our own ConfigMap is written whole, so its generation tells whether the stage was; other places are ours to
    write again until they were read back once, or this process knows that it wrote them: whoever put the parent's
    value back right after decided so. A value that was left to others is theirs, whatever it becomes.
    """
    out: dict[str, KnobValue] = {}
    whole = snapshot.written == intent.generation
    document = snapshot.document
    landed = not isinstance(document, Missing) and document.profile_uid == snapshot.spec.uid
    landed = landed and not isinstance(document, Missing) and document.generation == intent.generation
    for name, held in snapshot.held.items():
        if name not in intent.current or isinstance(held.value, Missing) or held.behind:
            continue
        if name not in snapshot.spec.space or not _written_with(snapshot.spec.space[name]):
            continue
        theirs = held.refusal is not None and name not in intent.moved
        if theirs and not _in_the_way(snapshot, intent, name, held.value):
            continue  # never ours in this intent; where we moved it, an edit made it somebody else's
        ours, place = [intent.written[name]], snapshot.spec.space[name].location.kind
        written = landed and place.in_own_config_map
        if intent.applied_at is None and not (written or whole) and name not in intent.keep:
            stages = intent.settings if place is LocationKind.POD_ENV else (intent.parent, *intent.stages)
            ours += [s[name] for s in stages if name in s]
        if held.value not in ours:
            out[name] = held.value
    return out


def _written_with(knob: Knob) -> bool:
    """Does a stage write the knob's value? In our own ConfigMap, which is written whole, also of one that is only
    recommended."""
    return knob.tunable or (knob.mode is KnobMode.RECOMMEND and knob.location.kind.in_own_config_map)


def _in_the_way(snapshot: Snapshot, intent: Intent, name: str, value: KnobValue) -> bool:
    """Does an HPA's bound that is somebody else's cross the one that is to be written? The API server refuses that."""
    return bool(hpa_bounds.crossed(snapshot.spec, intent.written.with_values(**{name: value})))


def out_of_order(snapshot: Snapshot, intent: Intent) -> bool:
    """Does a bound that no knob moves cross one that is still to be written?"""
    rest = () if intent.applied_at is not None else intent.stages[intent.stage :]
    return any(hpa_bounds.uncrossed(snapshot.spec, stage, intent.keep) != stage for stage in rest)


def left_alone(ledger: Ledger) -> Mapping[str, KnobValue]:
    """What the intent under way gave way to: it stays with others, whatever follows that intent."""
    intent = ledger.intent
    return {} if intent is None else {n: intent.current[n] for n in intent.keep if n in intent.current}


def foreign_at_restore(snapshot: Snapshot, parent: Setting) -> Mapping[str, KnobValue]:
    """What others changed and no wake has noticed yet: a restore leaves it, as every other write does. Beside an
    intent, too, where it was not in the way: the restore may be."""
    ledger, intent = snapshot.ledger, snapshot.ledger.intent
    assert ledger.adopted is not None
    seen = snapshot.known(parent)
    if intent is not None:
        theirs = {n for n, held in snapshot.held.items() if held.refusal is not None and n not in intent.moved}
        seen = {n: v for n, v in seen.items() if n in theirs}
    moved = {n: v for n, v in seen.items() if v not in (parent[n], ledger.adopted.get(n))}
    return moved if intent is None else {**moved, **foreign_changes(snapshot, intent)}
