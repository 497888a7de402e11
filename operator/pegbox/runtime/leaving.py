"""The finalizer and the end of a profile: what was taken goes back to its owners, then the profile may go."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime

from pegbox.adapters.kube import environment, owners, patches, resources
from pegbox.api.budget_wire import Claim
from pegbox.model.errors import NotFound, NotServed, Refused
from pegbox.model.knobs import Knob, LocationKind
from pegbox.model.profile import DeletionPolicy
from pegbox.model.snapshot import Held
from pegbox.model.trials import Ledger
from pegbox.ports import CONFIG_MAP, HPA, POD_ENVIRONMENT, PROFILE, Cluster, Object, Ref
from pegbox.runtime import claims
from pegbox.runtime.finding import maybe
from pegbox.runtime.places import FINALIZER
from pegbox.runtime.points import Point, Reached
from pegbox.runtime.reading import KINDS, Objects, noted, opt_out

SEPARATOR = "; "  # between recorded owners of one field


async def ensure_finalizer(cluster: Cluster, profile: Object, reached: Reached) -> None:
    """Before the first write to a workload, and never for a profile that writes nothing."""
    present = profile["metadata"].get("finalizers") or []
    if FINALIZER not in present:
        reached(Point.BEFORE_FINALIZER)
        await _patch_finalizers(cluster, profile, [*present, FINALIZER])
        reached(Point.AFTER_FINALIZER)


async def drop_finalizer(cluster: Cluster, profile: Object) -> bool:
    """Let the profile go. False where the finalizer was not there."""
    present = profile["metadata"].get("finalizers") or []
    if FINALIZER not in present:
        return False
    await _patch_finalizers(cluster, profile, [f for f in present if f != FINALIZER])
    return True


async def release(
    cluster: Cluster,
    found: Objects,
    values: Mapping[str, Held],
    ledger: Ledger,
    mine: Mapping[str, Claim],
    now: datetime,
    reached: Reached,
) -> None:
    """After the last write: fields, claims, finalizer, in this order. May be killed and run again. `mine` are the
    claims that this process wrote."""
    restored = found.spec.deletion_policy is DeletionPolicy.RESTORE and not opt_out(found.target)[0]
    if restored and not found.let_go:
        await give_back(cluster, found, values, ledger, reached)
        await remove_variables(cluster, found, ledger, reached)
    if found.spec.deletion_policy is DeletionPolicy.KEEP and not found.let_go:
        await disown(cluster, found)
    await claims.release(cluster, found, mine, now)
    profile = await cluster.get(Ref(PROFILE, found.spec.namespace, found.spec.name))  # status moved it
    reached(Point.BEFORE_RELEASE)
    await drop_finalizer(cluster, profile)
    reached(Point.AFTER_RELEASE)


async def disown(cluster: Cluster, found: Objects) -> None:
    """What was made under Restore goes with the profile, by its owner reference. What is to be kept has none."""
    scaler, variables = found.hpa, found.pod_environment
    made = [] if scaler is None else [(Ref(HPA, found.spec.namespace, scaler["metadata"]["name"]), scaler)]
    if variables is not None:
        made.append((Ref(POD_ENVIRONMENT, found.spec.namespace, found.spec.name), variables))
    for ref, body in made:
        present = body["metadata"].get("ownerReferences") or []
        others = [owner for owner in present if owner.get("uid") != found.spec.uid]
        if others != present:
            field = {"op": "replace", "path": "/metadata/ownerReferences", "value": others}
            with contextlib.suppress(NotFound, Refused):  # without the right nothing is held up for it
                await cluster.json_patch(ref, [*patches.unmoved(body), field])


async def give_back(
    cluster: Cluster, found: Objects, values: Mapping[str, Held], ledger: Ledger, reached: Reached
) -> None:
    """What was taken by consent and has its old value again belongs to its recorded owner again.

    Without this, the owner's next apply of another value would be a conflict with a tool that is no longer there. It is
    written to objects as this wake read them: read anew, a paused leader would know what a fence has moved since.
    """
    originals, moved = {o.location: o for o in ledger.originals}, dict[Ref, Object]()
    for knob in found.spec.space.knobs:
        original, value = originals.get(str(knob.location)), values.get(knob.name)
        if original is None or value is None or not original.owner or knob.name in found.claimed:
            continue
        if (value.raw, value.object_uid) != (original.raw, original.uid):
            continue  # somebody else's by now, or another object of the same name
        ref, path, read = _place(found, knob)
        body = moved.get(ref, read)
        owner = owners.Owner.parse(original.owner.partition(SEPARATOR)[0])
        if owners.ours(body, path) and owner not in owners.entries_owning(body, path):
            reached(Point.BEFORE_GIVE_BACK)
            moved[ref] = await cluster.json_patch(ref, owners.give_back(body, path, owner))
            reached(Point.AFTER_GIVE_BACK)


async def remove_variables(cluster: Cluster, found: Objects, ledger: Ledger, reached: Reached) -> None:
    """Our variables go once nothing has to stand in them: without the object, new pods are as their template says.

    What stays is what was found at the adoption and differs from that: left by a profile that kept its values.
    """
    ref = Ref(POD_ENVIRONMENT, found.spec.namespace, found.spec.name)
    try:
        body = await maybe(cluster, ref)
    except NotServed:
        return
    if body is None or body["spec"].get("profileUID") != found.spec.uid:
        return
    if found.target is not None and _adopted_with(found, body, ledger):
        return
    reached(Point.BEFORE_VARIABLES_GO)
    with contextlib.suppress(NotFound, Refused):  # without the right it goes with its owner, the profile
        await cluster.delete(ref, uid=body["metadata"]["uid"], version=body["metadata"]["resourceVersion"])
    reached(Point.AFTER_VARIABLES_GO)


def _adopted_with(found: Objects, body: Object, ledger: Ledger) -> bool:
    """Does an entry hold what was in force at the adoption already?"""
    entries, without = environment.entries(body), noted(body)
    for knob in found.spec.space.at(LocationKind.POD_ENV):
        value = ledger.adopted.get(knob.name) if ledger.adopted is not None else None
        entry = entries.get(knob.location.key)
        if entry is None or value is None or knob.name not in without:
            continue
        if knob.type.format(value) == entry["value"] != without[knob.name]:
            return True
    return False


def _place(found: Objects, knob: Knob) -> tuple[Ref, owners.Path, Object]:
    """The object and the field that hold a knob outside of our own ConfigMap, and that object as it was read."""
    spec, where, target = found.spec, knob.location, found.target or {}
    of_target = Ref(KINDS[spec.target.kind], spec.namespace, spec.target.name)
    match where.kind:
        case LocationKind.HPA_MIN | LocationKind.HPA_MAX:
            assert found.hpa is not None
            path = owners.MIN_REPLICAS if where.kind is LocationKind.HPA_MIN else owners.MAX_REPLICAS
            return Ref(HPA, spec.namespace, found.hpa["metadata"]["name"]), path, found.hpa
        case LocationKind.REPLICAS:
            return of_target, owners.REPLICAS, target
        case LocationKind.POD_ENV:  # of the template, which is never ours: nothing to give back
            name = resources.container_name(target["spec"]["template"], spec.target.container)
            return of_target, environment.path(name, where.key), target
        case LocationKind.CONTAINER_RESOURCE:  # the same
            name = resources.container_name(target.get("spec", {}).get("template", {}), spec.target.container)
            return of_target, owners.container_field(name, "resources", *str(where.size).split(".")), target
        case _:
            config_map = found.config_maps[where.config_map]
            return Ref(CONFIG_MAP, spec.namespace, where.config_map), owners.data_key(where.key), config_map


async def _patch_finalizers(cluster: Cluster, profile: Object, finalizers: list[str]) -> None:
    meta = profile["metadata"]
    operation = "replace" if "finalizers" in meta else "add"
    await cluster.json_patch(
        Ref(PROFILE, meta["namespace"], meta["name"]),
        [
            *patches.unmoved(profile),
            {"op": operation, "path": "/metadata/finalizers", "value": finalizers},
        ],
    )
