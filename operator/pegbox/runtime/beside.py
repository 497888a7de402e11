"""Beside older profiles: two never write one field, and the older one has the place that both claim.

What a profile in Auto says of its places is believed: the guard let it say so only with the rights on them. In another
mode it writes nothing, so it has only what its ledger says that it wrote, and may have to put back.
"""

from __future__ import annotations

from collections.abc import Iterator

from pegbox.api import ledger_codec
from pegbox.api.translate import to_model
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Mode, own_name
from pegbox.ports import CLASS, LEDGER, PROFILE, Cluster, Object, Ref
from pegbox.runtime import places
from pegbox.runtime.finding import maybe
from pegbox.runtime.places import Place


async def claims(cluster: Cluster, profile: Object, class_: Object | None, mine: set[Place]) -> dict[str, set[Place]]:
    """Which of these places older profiles of the namespace have: name of the profile -> places."""
    classes = {} if class_ is None else {class_["metadata"]["name"]: class_}
    found = {}
    for other in await cluster.list(PROFILE, profile["metadata"]["namespace"]):
        if other["metadata"]["uid"] == profile["metadata"]["uid"] or _age(other) > _age(profile):
            continue
        shared = places.clashing(mine, await _of(cluster, other, classes, mine))
        if shared:
            found[str(other["metadata"]["name"])] = shared
    return found


async def _of(cluster: Cluster, other: Object, classes: dict[str, Object], mine: set[Place]) -> set[Place]:
    spec = other.get("spec", {})
    if spec.get("mode") == Mode.AUTO.value:
        name = spec.get("classRef", {}).get("name", "")
        if name not in classes:
            classes[name] = await maybe(cluster, Ref(CLASS, "", name)) or {}
        if not _names(other, classes[name]) & {str(place[1]) for place in mine}:
            return set()  # to merge each profile with its class at each look would cost too much
        try:
            return places.of_spec(to_model(other, classes[name]))
        except InvalidInput:
            pass  # as it stands it writes nothing new
    if not places.finalized(other):
        return set()
    return await _written(cluster, other)


async def _written(cluster: Cluster, other: Object) -> set[Place]:
    """What its ledger says that it wrote. One that cannot be read says nothing of its places."""
    meta = other["metadata"]
    body = await maybe(cluster, Ref(LEDGER, meta["namespace"], meta["name"]))
    try:
        ledger = None if body is None else ledger_codec.decode(body)
    except InvalidInput:
        return set()
    if ledger is None or ledger.profile_uid != meta["uid"] or ledger.way_back is None:
        return set()
    return places.of_way_back(ledger.way_back)


def _names(profile: Object, class_: Object) -> set[str]:
    """Of every object that a profile may name, before it is merged with its class."""
    spec = profile.get("spec", {})
    target = str(spec.get("targetRef", {}).get("name", ""))
    scaler = str(((spec.get("autoscaler") or {}).get("ref") or {}).get("name", ""))
    return {target, own_name(target), scaler, *_config_maps(profile), *_config_maps(class_)}


def _config_maps(body: Object) -> Iterator[str]:
    for knob in body.get("spec", {}).get("knobs") or ():
        yield str((knob.get("location") or {}).get("configMap", ""))


def _age(profile: Object) -> tuple[str, str]:
    return profile["metadata"].get("creationTimestamp", ""), profile["metadata"]["uid"]
