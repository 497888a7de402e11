"""Beside other profiles: two never write one field.

Of two that claim one place, who has values out there keeps it: what stands is neither the owner's nor judged for
anybody else, and only its own ledger knows the way back. Else a profile in Auto has it before one in another mode,
which writes nothing; and of two in Auto the older one. Each profile decides by itself, so this is a full order: of two,
both come to the same answer.

What a profile in Auto says of its places is believed: the guard let it say so only with the rights on them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from pegbox.api import ledger_codec
from pegbox.api.translate import to_model
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Mode, own_name
from pegbox.ports import CLASS, LEDGER, PROFILE, Cluster, Object, Ref
from pegbox.runtime import places
from pegbox.runtime.finding import maybe
from pegbox.runtime.places import Place


@dataclass(frozen=True, slots=True)
class Side:
    """What one profile claims: the places that it may write, and those of them where it has values out."""

    profile: Object
    mine: set[Place]
    out: set[Place]
    auto: bool


async def claims(cluster: Cluster, side: Side, class_: Object | None) -> dict[str, set[Place]]:
    """Which of its places others of the namespace have: name of the profile -> places."""
    classes = {} if class_ is None else {class_["metadata"]["name"]: class_}
    deleting = bool(side.profile["metadata"].get("deletionTimestamp"))
    found = {}
    for other in await cluster.list(PROFILE, side.profile["metadata"]["namespace"]):
        if other["metadata"]["uid"] == side.profile["metadata"]["uid"] or _let_go(other):
            continue
        older = _age(other) < _age(side.profile)
        if not (older or side.auto or side.out or deleting):
            continue  # which of two has a place is nothing to the older one while it writes nothing
        shared = lost(side, *await _of(cluster, other, classes, side.mine), older=older)
        if shared:
            found[str(other["metadata"]["name"])] = shared
    return found


def lost(side: Side, wanted: set[Place], out: set[Place], *, older: bool) -> set[Place]:
    """The places that another profile has which `wanted` some in Auto, and has values `out`: it is `older` or not."""
    free = side.mine - places.clashing(side.mine, side.out)
    lost = places.clashing(side.mine if older else free, out)
    return lost | places.clashing(free, wanted) if older or not side.auto else lost


async def _of(
    cluster: Cluster, other: Object, classes: dict[str, Object], mine: set[Place]
) -> tuple[set[Place], set[Place]]:
    """What it may write in Auto, and where it has values out."""
    spec, wanted = other.get("spec", {}), set[Place]()
    auto = spec.get("mode") == Mode.AUTO.value
    if auto:
        name = spec.get("classRef", {}).get("name", "")
        if name not in classes:
            classes[name] = await maybe(cluster, Ref(CLASS, "", name)) or {}
        if classes[name] and not _names(other, classes[name]) & {str(place[1]) for place in mine}:
            return set(), set()  # to merge each profile with its class at each look would cost too much
        with contextlib.suppress(InvalidInput):  # as it stands it writes nothing new
            wanted = places.of_spec(to_model(other, classes[name]))
    return wanted, await _out(cluster, other, auto=auto) if places.finalized(other) else set()


async def _out(cluster: Cluster, other: Object, *, auto: bool) -> set[Place]:
    """By its ledger. One that cannot be read says nothing of its places."""
    meta = other["metadata"]
    body = await maybe(cluster, Ref(LEDGER, meta["namespace"], meta["name"]))
    try:
        ledger = None if body is None else ledger_codec.decode(body)
    except InvalidInput:
        return set()
    return places.out(ledger, auto=auto) if ledger is not None and ledger.profile_uid == meta["uid"] else set()


def _let_go(profile: Object) -> bool:
    """Is it being deleted with nothing left to do? Somebody else's finalizer may hold it for long."""
    return bool(profile["metadata"].get("deletionTimestamp")) and not places.finalized(profile)


def _names(profile: Object, class_: Object) -> set[str]:
    """Of every object that a profile may name, before it is merged with its class."""
    spec = profile.get("spec", {})
    target = str(spec.get("targetRef", {}).get("name", ""))
    scaler = str(((spec.get("autoscaler") or {}).get("ref") or {}).get("name", ""))
    return {target, own_name(target), scaler, *_config_maps(profile), *_config_maps(class_)}


def _config_maps(body: Object) -> Iterator[str]:
    """Of a class that makes no sense, none: whoever uses it is refused, and nobody else is held up."""
    knobs = body.get("spec", {}).get("knobs")
    for knob in knobs if isinstance(knobs, list) else ():
        location = knob.get("location") if isinstance(knob, dict) else None
        if isinstance(location, dict):
            yield str(location.get("configMap", ""))


def _age(profile: Object) -> tuple[str, str]:
    return profile["metadata"].get("creationTimestamp", ""), profile["metadata"]["uid"]
