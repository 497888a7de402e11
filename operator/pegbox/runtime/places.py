"""Places that a profile's knobs are written to: of two profiles that claim one, one has it (`runtime.beside`).

A place is a tuple from the whole to the part: ConfigMap, key, steps of a path. Of two places one may lie within the
other, so they clash where one begins with the other, however their authors spelled them.
"""

from __future__ import annotations

from collections.abc import Iterable

from pegbox.core import restoring
from pegbox.model import textpath
from pegbox.model.knobs import Location, LocationKind
from pegbox.model.profile import Autoscaler, ProfileSpec, Target
from pegbox.model.trials import Ledger
from pegbox.ports import Object

FINALIZER = "pegbox.dev/restore"  # of a profile that has written, and may have to put back

Place = tuple[str | int, ...]

_HPA = (LocationKind.HPA_MIN, LocationKind.HPA_MAX)
_IN_CONFIG_MAP = (LocationKind.CONFIG_MAP_KEY, LocationKind.CONFIG_MAP_PATH)


def finalized(profile: Object) -> bool:
    """Does our finalizer stand?"""
    return FINALIZER in (profile["metadata"].get("finalizers") or ())


def of_spec(spec: ProfileSpec) -> set[Place]:
    """What a profile in Auto may write."""
    return _of(spec.target, spec.autoscaler, (knob.location for knob in spec.space.knobs))


def out(ledger: Ledger | None, *, auto: bool) -> set[Place]:
    """Where a profile has values out: in Auto all that it tunes, so that of two no one holds up the other in part.

    In another mode only where its values stand in place of those of the adoption: what it merely names since, nobody
    asked its author for rights on.
    """
    names = frozenset[str]() if ledger is None else restoring.out(ledger)
    if ledger is None or ledger.way_back is None or not names:
        return set()
    way = ledger.way_back
    return _of(way.target, way.autoscaler, (p.location for p in way.places if auto or p.knob in names))


def clashing(mine: Iterable[Place], theirs: Iterable[Place]) -> set[Place]:
    """Those of mine that others write, too."""
    others = tuple(theirs)
    return {place for place in mine if any(textpath.overlap(place, other) for other in others)}


def knobs_at(spec: ProfileSpec, claimed: Iterable[Place]) -> frozenset[str]:
    """The knobs that live at these places; all of them where it is the target itself."""
    taken = tuple(claimed)
    whole = _target(spec.target) in taken
    return frozenset(
        knob.name
        for knob in spec.space.knobs
        if whole or clashing([_at(knob.location, spec.target, spec.autoscaler)], taken)
    )


def in_words(place: Place) -> str:
    kind, *rest = place
    if kind != "ConfigMap" or len(rest) < 3:
        return f"{kind} {'/'.join(str(each) for each in rest)}"
    return f"ConfigMap {rest[0]}/{rest[1]}/{textpath.spell(tuple(rest[2:]))}"


def _of(target: Target, autoscaler: Autoscaler | None, locations: Iterable[Location]) -> set[Place]:
    always = {_target(target), _own(target)}
    return always | _scaler(autoscaler) | {_at(location, target, autoscaler) for location in locations}


def _at(where: Location, target: Target, autoscaler: Autoscaler | None) -> Place:
    if where.kind in _HPA and autoscaler is not None:
        return ("HorizontalPodAutoscaler", autoscaler.name)
    if where.kind in _IN_CONFIG_MAP:
        return ("ConfigMap", where.config_map, where.key, *textpath.steps(where.path))
    return _own(target) if where.kind.in_own_config_map else _target(target)


def _target(target: Target) -> Place:
    return (target.kind, target.name)


def _own(target: Target) -> Place:
    """Our ConfigMap is named after the target alone: a StatefulSet of a Deployment's name would share it."""
    return ("ConfigMap", target.own_name)


def _scaler(autoscaler: Autoscaler | None) -> set[Place]:
    return set() if autoscaler is None else {("HorizontalPodAutoscaler", autoscaler.name)}
