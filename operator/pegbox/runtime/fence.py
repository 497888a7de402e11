"""Fence: before a new leader goes on with an intent that it did not begin, it moves the ledger that records it, and
every object that the intent names.

A Lease alone fences nothing: a leader that was paused for a minute still believes in itself, and its late write names
the resourceVersion that it read before. Once the object has moved, that write is a conflict. An apply that changes
nothing does not move an object, so an annotation is set and taken away again.

Pods are moved by what may be written to them anyway: `pods/resize` takes a size in another form (500m as 500e-3), keeps
it, and knows it for the same value, so that no generation moves and the kubelet has nothing to do. Then the form is put
back. A right to patch pods, which also replaces their images, is not needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from pegbox.adapters.kube import patches, resources
from pegbox.core import force
from pegbox.model.errors import NotFound, Refused
from pegbox.model.knobs import Effect, LocationKind, Size
from pegbox.model.observations import Missing
from pegbox.model.trials import Intent
from pegbox.ports import CONFIG_MAP, HPA, LEDGER, POD, POD_ENVIRONMENT, Cluster, Object, Ref
from pegbox.runtime import sizes
from pegbox.runtime.points import Point, Reached
from pegbox.runtime.reading import KINDS, Objects

log = logging.getLogger(__name__)

FENCE = "pegbox.dev/fence"


async def fence(cluster: Cluster, found: Objects, intent: Intent, token: str, reached: Reached) -> None:
    """Move the ledger, and every object that the intent writes. `token` names the process. Raises WriteConflict etc."""
    assert found.ledger is not None
    recorded = Ref(LEDGER, found.spec.namespace, found.spec.name), found.ledger
    for ref, body in (recorded, *named(found, intent)):
        reached(Point.BEFORE_FENCE)
        moved = await cluster.json_patch(ref, patches.annotated(body, FENCE, token))
        await cluster.json_patch(ref, patches.annotated(moved, FENCE, None))
        reached(Point.AFTER_FENCE)
    for pod, container, size in resized(found, intent):
        await _move(cluster, pod, container, size, reached)


async def clear(cluster: Cluster, found: Objects, reached: Reached) -> bool:
    """Take away the notes of a fence that broke off between its two writes, where the intent is over: whoever goes on
    with one fences again. True where any was there. Raises WriteConflict etc."""
    spec, target = found.spec, found.target
    held = [(Ref(CONFIG_MAP, spec.namespace, n), body) for n, body in sorted(found.config_maps.items())]
    if found.own_config_map is not None:
        held.append((Ref(CONFIG_MAP, spec.namespace, spec.config_map_name), found.own_config_map))
    if found.pod_environment is not None:
        held.append((Ref(POD_ENVIRONMENT, spec.namespace, spec.name), found.pod_environment))
    if found.hpa is not None:
        held.append((Ref(HPA, spec.namespace, found.hpa["metadata"]["name"]), found.hpa))
    if target is not None:
        held.append((Ref(KINDS[spec.target.kind], spec.namespace, spec.target.name), target))
    noted = [(ref, body) for ref, body in held if FENCE in (body["metadata"].get("annotations") or {})]
    for ref, body in noted:
        reached(Point.BEFORE_FENCE)
        await cluster.json_patch(ref, patches.annotated(body, FENCE, None))
        reached(Point.AFTER_FENCE)
    return bool(noted)


def patient(found: Objects, fenced: str, now: datetime) -> Objects:
    """Whoever takes a way back over waits for pods that want their restart as long as whoever began it: nobody
    restarted one meanwhile."""
    stored, workload = found.stored, found.workload
    intent = stored.intent if stored is not None else None
    if stored is None or intent is None or intent.id != fenced or isinstance(workload, Missing):
        return found
    if not intent.kind.goes_back or intent.applied_at is None:
        return found
    if not force.to_restart(found.spec.space, intent, workload):
        return found
    return replace(found, stored=replace(stored, intent=replace(intent, applied_at=now)))


async def _move(cluster: Cluster, pod: Object, container: str, size: Size, reached: Reached) -> None:
    """What the server refuses to a pod must not hold up the way back of all others: a late resize of it is still known
    by its value. A size that is another one by now is a conflict, and looked at again."""
    ref = Ref(POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
    text = (resources.container(pod, container) or {})["resources"][size.side.value][size.resource.value]
    reached(Point.BEFORE_FENCE)
    try:
        for form in resources.forms(text, size):
            pod = await cluster.json_patch(ref, resources.restated(pod, container, size, form), subresource="resize")
    except (NotFound, Refused) as error:
        log.info("a pod was not fenced", extra={"pod": ref.name, "error": str(error)})
        return
    reached(Point.AFTER_FENCE)


def resized(found: Objects, intent: Intent) -> Iterator[tuple[Object, str, Size]]:
    """Pods that a stage of the intent may resize, with one size of the container to write in another form. A pod that
    started or left since a stale leader read it needs none: it has another uid, or moved."""
    moved = [found.spec.space[n] for n in sorted(intent.moved) if n in found.spec.space and n not in intent.keep]
    if not any(knob.location.kind is LocationKind.CONTAINER_RESOURCE for knob in moved):
        return
    for _, pod in sorted(sizes.resizable(found).items()):
        name = resources.container_name(pod, found.spec.target.container)
        container = resources.container(pod, name) or {}
        stated = resources.sizes_of(container).items()
        readable = [s for s, v in stated if resources.states(container, s) and (v * 1000).denominator == 1]
        if readable and (resources.running(pod, name) or {}).get("resources"):
            yield pod, name, readable[0]


def named(found: Objects, intent: Intent) -> Iterator[tuple[Ref, Object]]:
    """Our own ConfigMap, and whatever holds a knob that a stage of the intent moves. Only what exists."""
    spec = found.spec
    if found.own_config_map is not None:
        yield Ref(CONFIG_MAP, spec.namespace, spec.config_map_name), found.own_config_map
    moved = [spec.space[n] for n in sorted(intent.moved) if n in spec.space]
    places = {knob.location for knob in moved if knob.name not in intent.keep}
    for name in sorted({p.config_map for p in places if p.config_map}):
        if name in found.config_maps:
            yield Ref(CONFIG_MAP, spec.namespace, name), found.config_maps[name]
    kinds = {p.kind for p in places}
    if LocationKind.POD_ENV in kinds and found.pod_environment is not None:
        yield Ref(POD_ENVIRONMENT, spec.namespace, spec.name), found.pod_environment
    if kinds & {LocationKind.HPA_MIN, LocationKind.HPA_MAX} and found.hpa is not None:
        yield Ref(HPA, spec.namespace, found.hpa["metadata"]["name"]), found.hpa
    restarts = any(knob.effect is Effect.RESTART for knob in moved)
    recorded = found.stored.target_uid if found.stored is not None else ""
    same = found.target is not None and recorded in ("", found.target["metadata"]["uid"])
    if (LocationKind.REPLICAS in kinds or restarts) and found.target is not None and same:  # not one of the same name
        yield Ref(KINDS[spec.target.kind], spec.namespace, spec.target.name), found.target
