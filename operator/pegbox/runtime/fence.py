"""Fence: before a new leader goes on with an intent that it did not begin, it moves every object that the intent names.

A Lease alone fences nothing: a leader that was paused for a minute still believes in itself, and its late write names
the resourceVersion that it read before. Once the object has moved, that write is a conflict. An apply that changes
nothing does not move an object, so an annotation is set and taken away again.
"""

from __future__ import annotations

from collections.abc import Iterator

from pegbox.adapters.kube import patches
from pegbox.model.knobs import Effect, LocationKind
from pegbox.model.trials import Intent
from pegbox.ports import CONFIG_MAP, HPA, POD_ENVIRONMENT, Cluster, Object, Ref
from pegbox.runtime.points import Point, Reached
from pegbox.runtime.reading import KINDS, Objects

FENCE = "pegbox.dev/fence"


async def fence(cluster: Cluster, found: Objects, intent: Intent, token: str, reached: Reached) -> None:
    """Move every object that the intent writes. `token` names the process. Raises WriteConflict and the like."""
    for ref, body in named(found, intent):
        reached(Point.BEFORE_FENCE)
        moved = await cluster.json_patch(ref, patches.annotated(body, FENCE, token))
        await cluster.json_patch(ref, patches.annotated(moved, FENCE, None))
        reached(Point.AFTER_FENCE)


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
