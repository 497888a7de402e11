"""What of the objects of others the operator may write at all: the places of its knobs. All else stays byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pegbox.adapters.kube.workload import RESTARTED
from pegbox.ports import CONFIG_MAP, HPA, POD, POD_ENVIRONMENT, Kind, Object, Ref
from pegbox.runtime.fence import FENCE
from pegbox.runtime.reading import KINDS
from pegbox.testing import sizing
from pegbox.testing.faults import WriteRecord
from tests.chaos.application import CACHE, RESTARTS, VARIABLE
from tests.chaos.shops import Tenant
from tests.chaos.world import World

_KINDS: dict[str, Kind] = {k.kind: k for k in (CONFIG_MAP, HPA, POD, POD_ENVIRONMENT, *KINDS.values())}
_BOUNDS = {"min_replicas": "minReplicas", "max_replicas": "maxReplicas"}


def written(world: World, record: WriteRecord) -> Object | None:
    """The object that a write is about, as it stands; None where there is none."""
    kind = _KINDS.get(record.kind)
    return None if kind is None else world.server.peek(Ref(kind, record.namespace, record.name))


def content(body: Object | None) -> Object:
    """What a write that only fences leaves as it was."""
    if body is None:
        return {}
    notes = {n: t for n, t in (body["metadata"].get("annotations") or {}).items() if n != FENCE}
    spec = sizing.by_value(body["spec"]) if body["kind"] == "Pod" else body.get("spec")
    return {"notes": notes, "spec": spec, "data": body.get("data")}


def intruded(tenant: Tenant, record: WriteRecord, before: Object | None, after: Object | None) -> str:
    """What a write of the operator did that no knob of the tenant asks for; "" where it kept to its places."""
    if record.name == f"{tenant.name}-pegbox" and record.kind == "ConfigMap":
        return ""
    if record.kind == "PodEnvironment":
        return "" if VARIABLE in tenant.knobs else "no variable is tuned"
    if record.verb == "evict":
        return "" if RESTARTS & set(tenant.knobs) else "no knob needs a restart"
    if before is None:
        made = record.kind == "HorizontalPodAutoscaler" and "create" in tenant.profile["spec"].get("autoscaler", {})
        return "" if made else "it was made"
    if after is None:
        return "it is gone"
    old, new = (json.dumps(_without_ours(tenant, body), sort_keys=True) for body in (before, after))
    return "" if old == new else _difference(old, new)


def _without_ours(tenant: Tenant, body: Object) -> Object:
    meta, spec, data = body["metadata"], dict(body.get("spec") or {}), dict(body.get("data") or {})
    notes = {n: t for n, t in (meta.get("annotations") or {}).items() if n != FENCE}
    head = {n: meta.get(n) for n in ("labels", "ownerReferences", "finalizers", "uid")}
    match body["kind"]:
        case "HorizontalPodAutoscaler":
            spec = {n: v for n, v in spec.items() if n not in {f for k, f in _BOUNDS.items() if k in tenant.knobs}}
        case "ConfigMap" if body["metadata"]["name"] == f"{tenant.name}-config" and "cache" in tenant.knobs:
            data["app.yaml"] = CACHE.sub(r"\g<1>_", data["app.yaml"])
        case "Deployment" | "StatefulSet":
            spec = _of_workload(tenant, spec)
        case "Pod" if tenant.sizes:
            spec["containers"] = [{**c, "resources": _of_container(c)} for c in spec["containers"]]
    return {"metadata": head, "notes": notes, "spec": spec, "data": data, "status": body.get("status")}


def _of_workload(tenant: Tenant, spec: Object) -> Object:
    if "replicas" in tenant.knobs:
        spec.pop("replicas", None)
    if RESTARTS & set(tenant.knobs):
        meta = spec["template"].get("metadata") or {}
        notes = {n: t for n, t in (meta.get("annotations") or {}).items() if n != RESTARTED}
        spec["template"] = spec["template"] | {"metadata": meta | {"annotations": notes}}
    return spec


def template(world: World, name: str) -> str:
    """The pod template of a tenant's target, without our own note; "" without a target."""
    target = world.server.peek(world.apps[name].target)
    if target is None:
        return ""
    pod = target["spec"]["template"]
    meta = pod.get("metadata") or {}
    notes = {n: t for n, t in (meta.get("annotations") or {}).items() if n != RESTARTED}
    return json.dumps(pod | {"metadata": meta | {"annotations": notes}}, sort_keys=True)


def _of_container(container: Object) -> Object:
    resources = container.get("resources") or {}
    return {side: {n: t for n, t in stated.items() if n != "cpu"} for side, stated in resources.items()}


def _difference(old: str, new: str) -> str:
    """The texts around the first byte that differs."""
    at = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    first = max(0, at - 40)
    return f"...{old[first : at + 60]}... became ...{new[first : at + 60]}..."


def fences_left(world: World, name: str) -> Iterator[str]:
    """Objects on which a new leader's note still stands."""
    app, hpa = world.apps[name], world.apps[name].hpa()
    refs = [app.own_ref, app.theirs_ref, app.target, Ref(POD_ENVIRONMENT, app.namespace, name)]
    for body in (hpa, *map(world.server.peek, refs)):
        if body is not None and FENCE in (body["metadata"].get("annotations") or {}):
            yield f"{body['kind']} {body['metadata']['name']}"
