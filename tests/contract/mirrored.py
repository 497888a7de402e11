"""A real API server in the place of the fake one, for schedules of faults: the same faults on the way, and a mirror.

Schedules look at what stands on the server after each write, without waiting. Nobody writes here but through this module,
so a mirror that is read anew after each write is what stands there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from pegbox.adapters.kube.client import KubeCluster
from pegbox.model.errors import NotFound
from pegbox.ports import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    LEDGER,
    PDB,
    POD,
    POD_ENVIRONMENT,
    PROFILE,
    REPLICA_SET,
    STATEFUL_SET,
    Kind,
    Object,
    Ref,
)
from pegbox.testing.cluster import kind_of
from pegbox.testing.faults import Faults, WriteRecord

T = TypeVar("T")
KINDS = (PROFILE, LEDGER, BUDGET, POD_ENVIRONMENT, CONFIG_MAP, HPA, PDB, POD, REPLICA_SET, DEPLOYMENT, STATEFUL_SET)
"""What schedules leave in their namespace."""


class Mirrored:
    """A client of a real API server with the surface of `FakeCluster`. Faults strike before a request is sent, or after its
    answer came."""

    def __init__(self, clients: Mapping[str, KubeCluster], manager: str, mirror: dict[Ref, Object]) -> None:
        self._clients = clients
        self._client = clients[manager]
        self._mirror = mirror
        self.manager = manager
        self.faults = Faults()

    def as_manager(self, manager: str) -> Mirrored:
        """Another client of the same server: no faults apply to it."""
        other = Mirrored(self._clients, manager, self._mirror)
        other.faults.log = self.faults.log
        return other

    @property
    def writes(self) -> list[WriteRecord]:
        return self.faults.log

    def peek(self, ref: Ref) -> Object | None:
        return self._mirror.get(ref)

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]:
        return [body for ref, body in self._mirror.items() if ref.kind == kind and namespace in ("", ref.namespace)]

    # --- reading

    async def get(self, ref: Ref) -> Object:
        self.faults.enter("get", ref.kind, ref.namespace)
        return await self._client.get(ref)

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        self.faults.enter("list", kind, namespace)
        return await self._client.list(kind, namespace, labels=labels, limit=limit)

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        full = f"{resource}/{subresource}" if subresource else resource
        if self.faults.denies(verb, group, full, namespace):
            return False
        return await self._client.allowed(verb, group, resource, namespace=namespace, subresource=subresource)

    # --- writing

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        kind, meta = kind_of(body), body["metadata"]
        ref = Ref(kind, meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        act = self._client.apply(body, force=force, subresource=subresource)
        return await self._write("apply", ref, subresource, act)

    async def create(self, body: Object) -> Object:
        kind, meta = kind_of(body), body["metadata"]
        ref = Ref(kind, meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        return await self._write("create", ref, "", self._client.create(body))

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        act = self._client.json_patch(ref, operations, subresource=subresource)
        return await self._write("json_patch", ref, subresource, act)

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        await self._write("delete", ref, "", self._client.delete(ref, uid=uid, version=version))

    async def evict(self, pod: Ref, *, uid: str) -> None:
        await self._write("evict", pod, "eviction", self._client.evict(pod, uid=uid))

    # --- parts

    async def _write(self, verb: str, ref: Ref, subresource: str, act: Coroutine[Any, Any, T]) -> T:
        record = WriteRecord(verb, ref.kind.kind, ref.namespace, ref.name, subresource, self.manager)
        try:
            self.faults.enter(verb, ref.kind, ref.namespace, subresource)
            self.faults.reach("before", record)
        except BaseException:
            act.close()  # never sent
            raise
        before = _version(self._mirror.get(ref))
        try:
            answer = await act
        finally:
            await self.look(ref)
        self.faults.record(record, _version(self._mirror.get(ref)) != before)
        self.faults.reach("after", record)
        self.faults.raise_lost(verb, ref.kind)
        return answer

    async def look(self, ref: Ref) -> None:
        """Bring the mirror up to date about one object."""
        try:
            body = await self._clients["observer"].get(ref)
        except NotFound:
            self._mirror.pop(ref, None)
            return
        body["metadata"].pop("managedFields", None)
        self._mirror[ref] = body

    async def namespace(self, name: str) -> None:
        """It is there, with the account that pods ask for."""
        client = self._clients["observer"]
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account: Object = {"apiVersion": "v1", "kind": "ServiceAccount"}
        await client.apply(account | {"metadata": {"name": "default", "namespace": name}})

    async def terminate(self, namespace: str) -> None:
        raise NotImplementedError("namespaces are emptied and finished by a controller: there is none here")

    def recreate(self, namespace: str) -> None:
        """It never went."""

    async def clear(self, namespace: str) -> None:
        """Nothing is left of the schedule before: no controller empties namespaces here."""
        client = self._clients["observer"]
        for kind in KINDS:
            for body in await client.list(kind, namespace):
                ref = Ref(kind, namespace, body["metadata"]["name"])
                if body["metadata"].get("finalizers"):
                    await client.json_patch(ref, [{"op": "remove", "path": "/metadata/finalizers"}])
                await _unless_gone(client.delete(ref))
        self._mirror.clear()


async def _unless_gone(act: Awaitable[None]) -> None:
    try:
        await act
    except NotFound:
        return


def _version(body: Object | None) -> str:
    return str(body["metadata"]["resourceVersion"]) if body is not None else ""


Connect = Callable[[str], Awaitable[KubeCluster]]
MANAGERS = ("pegbox", "kubelet", "helm", "alice", "observer")


async def mirrored(connect: Connect) -> Mirrored:
    return Mirrored({name: await connect(name) for name in MANAGERS}, "pegbox", {})
