"""The way back, as the ledger records it: the places of the values, so that putting them back needs no class.

A class may be deleted or lose a knob, and a profile may be edited, while a trial's value stands in somebody's HPA. Who
read them before may be gone by then. What an intent wrote goes back to where it wrote it, whatever they say by now.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from fractions import Fraction

from pegbox.core.restoring import out
from pegbox.model.knobs import Knob, KnobMode, LocationKind, SearchSpace
from pegbox.model.profile import Autoscaler, DeletionPolicy, Guards, Mode, Objective, ProfileSpec
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Ledger, Place, WayBack

INTERVAL = Fraction(30)  # seconds between two looks where nobody says: of nothing but a way back
HPA = (LocationKind.HPA_MIN, LocationKind.HPA_MAX)
IN_CONTAINER = (LocationKind.CONTAINER_RESOURCE, LocationKind.POD_ENV)


def recorded(snapshot: Snapshot, ledger: Ledger, source: str) -> Ledger:
    """The ledger with the places of now. An intent ends where it began, and so does a deletion: these move no place.

    A knob that is tried no more, while a value of ours stands there, is still put back by a restore.
    """
    spec, before = snapshot.spec, ledger.way_back
    if ledger.adopted is None or snapshot.refusal is not None or snapshot.deleting:
        return ledger
    if before is not None and snapshot.ledger.intent is not None:
        return ledger
    ours = set() if before is None else {p.knob for p in before.places if p.tunable} & out(ledger)
    places = [_place(spec, knob, tunable=knob.tunable or knob.name in ours) for knob in spec.space.knobs]
    if before is not None:  # of knobs that are not adopted anew yet, since there was no workload to look at
        places += [p for p in before.places if p.knob in ledger.adopted and p.knob not in spec.space]
    way = WayBack(spec.target, tuple(places), spec.autoscaler, spec.budgets, spec.guards.ack_timeout, source)
    return ledger if way == before else replace(ledger, way_back=way)


def remembered(spec: ProfileSpec, ledger: Ledger, *, deleting: bool, restoring: bool = False) -> ProfileSpec:
    """The spec, with each knob that is still to be put back where its value was written. `restoring`: a stop of
    everything asks for the values of the adoption."""
    way, names = ledger.way_back, set[str]()
    if way is None:
        return spec
    if ledger.intent is not None:
        names |= ledger.intent.moved
    if deleting and ledger.adopted is not None:
        names |= set(ledger.adopted)
    if restoring:
        names |= out(ledger)
    lost = [place for place in way.places if place.knob in names and not _still_there(spec, way, place)]
    if not lost:
        return spec
    mine = {p.knob: _knob(p) for p in lost}
    scaled = any(p.location.kind in HPA for p in lost)
    inside = any(p.location.kind in IN_CONTAINER for p in lost)
    return replace(
        spec,
        target=replace(spec.target, container=way.target.container) if inside else spec.target,
        space=SearchSpace((*(k for k in spec.space.knobs if k.name not in mine), *mine.values())),
        autoscaler=way.autoscaler if scaled else spec.autoscaler,
        take_knobs=spec.take_knobs - set(mine) | _taken(lost),
        forgotten=frozenset(mine),
    )


@dataclass(frozen=True, slots=True)
class Named:
    """What can be read of any profile, whatever else in it makes no sense."""

    namespace: str
    name: str
    uid: str
    generation: int
    class_name: str
    mode: Mode
    deletion_policy: DeletionPolicy


def alone(profile: Named, way: WayBack) -> ProfileSpec:
    """Class and profile as far as the ledger knows them: enough to go back, and too little to try anything."""
    return ProfileSpec(
        namespace=profile.namespace,
        name=profile.name,
        uid=profile.uid,
        generation=profile.generation,
        target=way.target,
        class_name=profile.class_name,
        class_generation=0,
        mode=profile.mode,
        objective=Objective.MINIMIZE_COST,
        interval=INTERVAL,
        space=SearchSpace(tuple(_knob(place) for place in way.places)),
        roles={},
        signals=(),
        slos=(),
        budgets=way.budgets,
        guards=Guards(ack_timeout=way.ack_timeout),
        autoscaler=way.autoscaler,
        take_knobs=_taken(way.places),
        deletion_policy=profile.deletion_policy,
        forgotten=frozenset(place.knob for place in way.places),
    )


def _still_there(spec: ProfileSpec, way: WayBack, place: Place) -> bool:
    """Is the place of the knob still this one, and still to be written?"""
    if place.knob not in spec.space:
        return False
    knob = spec.space[place.knob]
    if place.location.kind in HPA and _scaler(spec.autoscaler) != _scaler(way.autoscaler):
        return False
    if place.location.kind in IN_CONTAINER and spec.target.container != way.target.container:
        return False
    return knob.location == place.location and (knob.tunable or not place.tunable)


def _scaler(autoscaler: Autoscaler | None) -> str:
    return "" if autoscaler is None else autoscaler.name


def _place(spec: ProfileSpec, knob: Knob, *, tunable: bool) -> Place:
    return Place(
        knob.name,
        knob.type,
        knob.location,
        knob.effect,
        knob.minimum,
        knob.maximum,
        tunable=tunable,
        take=spec.takes(knob.name),
    )


def _knob(place: Place) -> Knob:
    return Knob(
        name=place.knob,
        type=place.type,
        location=place.location,
        effect=place.effect,
        minimum=place.minimum,
        maximum=place.maximum,
        mode=KnobMode.TUNE if place.tunable else KnobMode.RECOMMEND,
    )


def _taken(places: Collection[Place]) -> frozenset[str]:
    return frozenset(place.knob for place in places if place.take)
