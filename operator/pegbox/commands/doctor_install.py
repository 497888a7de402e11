"""Doctor, the install: rights, CustomResourceDefinitions, metrics servers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pegbox.api import schema
from pegbox.api.wire import GROUP, VERSION
from pegbox.commands.findings import Finding, bad, note, ok
from pegbox.model.errors import NotFound, Refused
from pegbox.ports import Cluster, Kind, MetricsSource, Ref

CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
APPLY = "pegbox render-crds | kubectl apply --server-side -f -"


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on one resource, `resource/subresource` in the notation of RBAC."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    cluster_wide: bool = False

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


_LIST, _WATCH = ("get", "list"), ("get", "list", "watch")
READ = (
    Right(GROUP, "performanceclasses", _WATCH, cluster_wide=True),
    Right(GROUP, "performanceprofiles", (*_WATCH, "patch")),
    Right(GROUP, "performanceprofiles/status", ("patch",)),
    Right(GROUP, "sharedbudgets", _WATCH),
    Right(GROUP, "sharedbudgets/status", ("patch",)),
    Right(GROUP, "tuningledgers", (*_LIST, "create", "patch", "delete")),
    Right(GROUP, "podenvironments", ("get",)),
    Right("apps", "deployments", ("get",)),
    Right("apps", "statefulsets", ("get",)),
    Right("apps", "replicasets", ("list",)),
    Right("", "pods", ("list",)),
    Right("", "configmaps", ("get",)),
    Right("autoscaling", "horizontalpodautoscalers", ("list",)),
    Right("events.k8s.io", "events", ("create",)),
)
WRITE = (
    Right("", "configmaps", ("create", "patch")),
    Right(GROUP, "podenvironments", ("create", "patch", "delete")),
    Right("apps", "deployments", ("patch",)),
    Right("apps", "statefulsets", ("patch",)),
    Right("apps", "deployments/scale", ("patch",)),
    Right("apps", "statefulsets/scale", ("patch",)),
    Right("autoscaling", "horizontalpodautoscalers", ("create", "patch")),
    Right("", "pods/eviction", ("create",)),
    Right("", "pods/resize", ("patch",)),
)
LEASE_RIGHTS = Right("coordination.k8s.io", "leases", ("create",))
"""The other verbs are granted for the Lease's own name, which a review of the whole resource does not see."""


async def rights(cluster: Cluster, namespace: str, lease_namespace: str, *, writes: bool) -> list[Finding]:
    """Of the account that asks, read and write apart. `writes`: a profile or the settings want them.

    Raises NotAvailable, where the server cannot be asked at all, and Refused.
    """
    found = await _missing(cluster, READ, namespace)
    found |= await _missing(cluster, (LEASE_RIGHTS,), lease_namespace)
    out = [
        bad("rights to read", f"{resource}: may not {', '.join(verbs)}", "bind the chart's roles (rbac.create=true)")
        for resource, verbs in found.items()
    ] or [ok("rights to read", f"all verbs on {len(READ) + 1} resources")]
    lacking = await _missing(cluster, WRITE, namespace)
    if not lacking:
        return [*out, ok("rights to write", f"all verbs on {len(WRITE)} resources")]
    texts = [f"{resource}: may not {', '.join(verbs)}" for resource, verbs in lacking.items()]
    if not writes:
        granted = "none is granted" if len(lacking) == len(WRITE) else "; ".join(texts)
        return [*out, note("rights to write", f"{granted}: enough to observe and to recommend")]
    remedy = "install the chart with mode.allowWrites=true, or bind its write role"
    return [*out, *(bad("rights to write", text, remedy) for text in texts)]


async def _missing(cluster: Cluster, wanted: tuple[Right, ...], namespace: str) -> dict[str, list[str]]:
    """resource -> verbs that are not allowed."""

    async def ask(right: Right, verb: str) -> bool:
        resource, _, subresource = right.resource.partition("/")
        where = "" if right.cluster_wide else namespace
        return await cluster.allowed(verb, right.group, resource, namespace=where, subresource=subresource)

    pairs = [(right, verb) for right in wanted for verb in right.verbs]
    answers = await asyncio.gather(*(ask(right, verb) for right, verb in pairs))
    out: dict[str, list[str]] = {}
    for (right, verb), allowed in zip(pairs, answers, strict=True):
        if not allowed:
            out.setdefault(str(right), []).append(verb)
    return out


async def definitions(cluster: Cluster) -> list[Finding]:
    """Installed, established, and as this version wants them. Raises NotAvailable."""
    return [await _definition(cluster, resource) for resource in schema.RESOURCES]


async def _definition(cluster: Cluster, resource: schema.Resource) -> Finding:
    about = f"CRD {resource.plural}"
    try:
        found = await cluster.get(Ref(CRD, "", f"{resource.plural}.{GROUP}"))
    except NotFound:
        return bad(about, "it is not installed", APPLY)
    except Refused:
        return await _by_listing(cluster, resource, about)
    versions = {v["name"]: v for v in found.get("spec", {}).get("versions", [])}
    ours = versions.get(VERSION)
    if ours is None or not ours.get("served"):
        return bad(about, f"it does not serve {VERSION} but {', '.join(versions) or 'nothing'}", APPLY)
    conditions = {c["type"]: c["status"] for c in (found.get("status") or {}).get("conditions") or []}
    if conditions.get("Established") != "True":
        return bad(about, "the API server has not established it", f"kubectl describe crd {resource.plural}.{GROUP}")
    if not same_schema(_wanted()[resource.plural], ours):
        return bad(about, "its schema is not this version's: fields may be dropped or refused", APPLY)
    return ok(about, f"{VERSION} is served, with this version's schema")


@cache
def _wanted() -> dict[str, Any]:
    """plural -> the version as this program renders it; read only."""
    return {resource.plural: schema.crd(resource)["spec"]["versions"][0] for resource in schema.RESOURCES}


async def _by_listing(cluster: Cluster, resource: schema.Resource, about: str) -> Finding:
    """Few accounts may read definitions; whether the kind is served can still be told."""
    kind = Kind(f"{GROUP}/{VERSION}", resource.kind, resource.plural, resource.scope == "Namespaced")
    try:
        await cluster.list(kind, limit=1)
    except Refused:
        return note(about, "this account may read neither the definition nor the objects", "ask as an administrator")
    return note(about, "it is served; its schema may not be read by this account", "ask as an administrator")


def same_schema(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Our schemas come back as they were applied: a contract test holds the API server to that."""
    return bool(wanted.get("schema") == found.get("schema"))


async def servers(sources: Mapping[str, MetricsSource]) -> list[Finding]:
    """Does each metrics server answer?"""
    if not sources:
        remedy = "give --prometheus URL, or --config with the operator's settings"
        return [note("metrics server", "none was named, so no signal was looked at", remedy)]
    out = []
    for name, source in sources.items():
        down = await source.check()
        about = f"metrics server {name}"
        if down is None:
            out.append(ok(about, "it answers"))
        else:
            remedy = "correct its URL, token or CA, or let a NetworkPolicy pass; from outside, use kubectl port-forward"
            out.append(bad(about, str(down), remedy))
    return out
