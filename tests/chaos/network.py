"""The way from the operator to the API server: calls that never arrive, and a process that stops in mid-write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pegbox.model.errors import NotAvailable
from pegbox.ports import LEDGER, Clock, Kind, Object, Ref
from pegbox.testing.cluster import kind_of
from tests.chaos.server import Server

T = TypeVar("T")
Seen = Callable[[str, Ref | Object, Any], None]


def nobody(verb: str, what: Ref | Object, body: Any) -> None:
    """Nobody looks at what is sent."""


ANY: frozenset[str] = frozenset()
LAST = frozenset({"HorizontalPodAutoscaler", "Deployment", "StatefulSet", "PodEnvironment"})  # after our ConfigMap
WORKLOAD = LAST | {"ConfigMap", "Pod"}
DOCUMENT = frozenset({"ConfigMap"})
CLAIM = frozenset({"SharedBudget"})
Late = Callable[[Ref, frozenset[Ref]], None]


def at_no_time(ref: Ref, fenced: frozenset[Ref]) -> None:
    """Nobody looks for late writes."""


Touch = Callable[[Ref], Awaitable[None]]


async def untouched(ref: Ref) -> None:
    """Nobody writes in between."""


@dataclass
class Network:
    """Implements ports.Cluster. `gone_until` is monotonic seconds; every process shares it by `parent`."""

    server: Server
    clock: Clock
    parent: Network | None = None
    gone_until: float = 0.0
    stop_at: int = 0  # the write, counted from now, before which the process stops; 0: never
    stop_kinds: frozenset[str] = frozenset()  # only these are counted; none named: all are
    stopped: asyncio.Event | None = None
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    seen: Seen = nobody  # told of every write as it is sent
    fenced: frozenset[Ref] = frozenset()  # what another process moved before this one goes on
    late: Late = at_no_time  # told of every write that changed something of it all the same
    storm: int = 0  # so many writes more find that somebody else wrote the object right before; of the parent
    touch: Touch = untouched

    async def get(self, ref: Ref) -> Object:
        """Who reads the ledger anew decides anew, and may write: that is for its Lease to forbid (seed 141000188: it was
        stopped in its own fence, whose pods were gone by then). Who reads one object anew decided before it was moved."""
        self._arrive()
        if ref.kind is LEDGER:
            self.fenced = frozenset()
        return await self.server.get(ref)

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        self._arrive()
        return await self.server.list(kind, namespace, labels=labels, limit=limit)

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        await self._send("apply", body, subresource)
        ref = _ref(body)
        await self._storm(ref)
        return await self._landed(ref, self.server.apply(body, force=force, subresource=subresource))

    async def create(self, body: Object) -> Object:
        await self._send("create", body, "")
        return await self._landed(_ref(body), self.server.create(body))

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        await self._send("json_patch", ref, (operations, subresource))
        await self._storm(ref)
        return await self._landed(ref, self.server.json_patch(ref, operations, subresource=subresource))

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        await self._send("delete", ref, uid)
        await self._landed(ref, self.server.delete(ref, uid=uid, version=version))

    async def evict(self, pod: Ref, *, uid: str) -> None:
        await self._send("evict", pod, uid)
        await self._landed(pod, self.server.evict(pod, uid=uid))

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        self._arrive()
        return await self.server.allowed(verb, group, resource, namespace=namespace, subresource=subresource)

    async def _send(self, verb: str, what: Ref | Object, body: Any) -> None:
        self._arrive()
        kind = what.kind.kind if isinstance(what, Ref) else str(what["kind"])
        if self.stop_at and (not self.stop_kinds or kind in self.stop_kinds):
            self.stop_at -= 1
            if self.stop_at == 0 and self.stopped is not None:
                self.stopped.set()
                await self.go_on.wait()
        (self.parent or self).seen(verb, what, body)

    async def _storm(self, ref: Ref) -> None:
        shared = self.parent or self
        if shared.storm:
            shared.storm -= 1
            await shared.touch(ref)

    async def _landed(self, ref: Ref, write: Awaitable[T]) -> T:
        before = self._version(ref)
        answer = await write
        if self._version(ref) != before:
            (self.parent or self).late(ref, self.fenced)
        return answer

    def _version(self, ref: Ref) -> str:
        return str((self.server.peek(ref) or {}).get("metadata", {}).get("resourceVersion", "")) if self.fenced else ""

    def _arrive(self) -> None:
        if self.clock.monotonic() < (self.parent or self).gone_until:
            raise NotAvailable("dial tcp: connection refused")


def _ref(body: Object) -> Ref:
    meta = body["metadata"]
    return Ref(kind_of(body), meta.get("namespace", ""), meta["name"])
