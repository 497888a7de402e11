"""A gate before every write, and its count: what may not be written cannot be, whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pegbox import ports
from pegbox.model.errors import NotAvailable, Refused
from pegbox.ports import Cluster, Kind, Object, Ref

Allow = Callable[[str, str], bool]
"""(apiVersion, kind) -> whether objects of this type may be written."""

Ended = Callable[[str, bool], None]
"""(object, whether the server answered): told of every write but Events, which nobody waits for."""

Answer = TypeVar("Answer")

OWN_GROUP = "pegbox.dev"
_ALWAYS = frozenset({(ports.EVENT.api_version, ports.EVENT.kind), (ports.LEASE.api_version, ports.LEASE.kind)})


def own_objects_only(api_version: str, kind: str) -> bool:
    """The writes of Observe and Recommend: objects of pegbox.dev, Events and the Lease; not what pods are made of."""
    if kind == ports.POD_ENVIRONMENT.kind:
        return False
    return api_version.partition("/")[0] == OWN_GROUP or (api_version, kind) in _ALWAYS


def everything(api_version: str, kind: str) -> bool:
    """The writes of Auto: RBAC and the guards decide."""
    return True


class GuardedCluster:
    """Implements ports.Cluster over another one. `writes` counts, by kind, what was let through."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        allow_workload_writes: bool,
        wrote: Callable[[str, str], None] | None = None,
        ended: Ended | None = None,
    ) -> None:
        """`wrote(kind, verb)` is told of every write that was let through, with the verb as in RBAC."""
        self._cluster, self._wrote, self._ended = cluster, wrote, ended
        self._allow: Allow = everything if allow_workload_writes else own_objects_only
        self.writes: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def get(self, ref: Ref) -> Object:
        return await self._cluster.get(ref)

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        return await self._cluster.list(kind, namespace, labels=labels, limit=limit)

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        self._pass(str(body.get("apiVersion", "")), str(body.get("kind", "")), "patch")
        return await self._send(_named(body), self._cluster.apply(body, force=force, subresource=subresource))

    async def create(self, body: Object) -> Object:
        self._pass(str(body.get("apiVersion", "")), str(body.get("kind", "")), "create")
        return await self._send(_named(body), self._cluster.create(body))

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        self._pass(ref.kind.api_version, ref.kind.kind, "patch")
        return await self._send(str(ref), self._cluster.json_patch(ref, operations, subresource=subresource))

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        self._pass(ref.kind.api_version, ref.kind.kind, "delete")
        await self._send(str(ref), self._cluster.delete(ref, uid=uid, version=version))

    async def evict(self, pod: Ref, *, uid: str) -> None:
        self._pass(pod.kind.api_version, pod.kind.kind, "create")
        await self._send(str(pod), self._cluster.evict(pod, uid=uid))

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        return await self._cluster.allowed(verb, group, resource, namespace=namespace, subresource=subresource)

    async def _send(self, what: str, call: Awaitable[Answer]) -> Answer:
        """A server that refuses is well; one that gives no answer, or an error of its own, is not."""
        answered = True
        try:
            return await call
        except NotAvailable:
            answered = False
            raise
        finally:
            if self._ended is not None and not what.startswith(f"{ports.EVENT.kind} "):
                self._ended(what, answered)

    def _pass(self, api_version: str, kind: str, verb: str) -> None:
        if not self._allow(api_version, kind):
            self.refused[kind] += 1
            raise Refused(
                f"writing {kind} is not allowed here: only objects of {OWN_GROUP}, Events and the Lease are, "
                "unless the profile's mode is Auto and workload writes are enabled",
                status=403,
            )
        self.writes[kind] += 1
        if self._wrote is not None:
            self._wrote(kind, verb)


def _named(body: Object) -> str:
    """As a Ref prints itself."""
    meta = body.get("metadata", {})
    name = f"{meta['namespace']}/{meta.get('name')}" if meta.get("namespace") else str(meta.get("name"))
    return f"{body.get('kind')} {name}"
