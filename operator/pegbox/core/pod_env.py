"""Variables that admission puts into new pods: which pods have them, and why a trial of them cannot go on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pegbox.model.knobs import LocationKind, SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, PodFacts, Snapshot
from pegbox.model.trials import Intent


def _held(snapshot: Snapshot, names: Collection[str] | None = None) -> Iterator[tuple[str, Held]]:
    for knob in snapshot.spec.space.at(LocationKind.POD_ENV):
        if knob.tunable and knob.name in snapshot.held and (names is None or knob.name in names):
            yield knob.name, snapshot.held[knob.name]


def failed(snapshot: Snapshot, intent: Intent) -> Missing | None:
    """Why a trial that moves such a knob ends: it may not be written any more, or a pod was created without it."""
    for name, held in _held(snapshot, intent.moved):
        if held.refusal is not None:
            return Missing(held.refusal.reason, f"{name}: {held.refusal.detail}")
        without = held.missed if intent.in_force_at is None else held.stale
        if without and intent.applied_at is not None:
            return Missing(Reason.ADMISSION_MISSED, f"{name}: {', '.join(without)}")
    return None


def told_apart(space: SearchSpace, intent: Intent) -> tuple[str, ...]:
    """Variables of which the cohort has other values than the rest, in the stage under way."""
    names = intent.current.diff(intent.in_cohort)
    return tuple(n for n in names if n in space and space[n].location.kind is LocationKind.POD_ENV)


def belongs(space: SearchSpace, intent: Intent, pod: PodFacts) -> bool:
    """Is it a pod of the cohort? Where admission told it apart, its own variables say so, whatever its name is."""
    if intent.cohort is None:
        return False
    if any(pod.admitted.get(n) != intent.in_cohort[n] for n in told_apart(space, intent)):
        return False
    return intent.opening or pod.name in intent.cohort.pods


def stale(snapshot: Snapshot) -> tuple[str, ...]:
    """Pods that started with another value than the next one will."""
    return tuple(sorted({p for _, held in _held(snapshot) if held.refusal is None for p in held.stale}))


def replaceable(snapshot: Snapshot) -> frozenset[str]:
    """Those of them that a restart would put right: created before our write was known everywhere.

    A trial that lost its ledger or its mode in mid-course leaves such pods. What takes their place is created later,
    and if that lacks the value, it was missed: so this ends.
    """
    pairs = (item for _, item in _held(snapshot) if item.refusal is None)
    return frozenset(pod for item in pairs for pod in item.stale if pod not in item.missed)


def gone(snapshot: Snapshot) -> bool:
    """Was the object deleted that holds an accepted value?"""
    return any(held.behind and held.refusal is None for _, held in _held(snapshot))
