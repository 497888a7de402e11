"""The way from the operator to the API server: calls that never arrive, and a process that stops in mid-write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pegbox.model.errors import NotAvailable
from pegbox.ports import Clock, Kind, Object, Ref
from pegbox.testing.cluster import FakeCluster

Seen = Callable[[str, Ref | Object, Any], None]


def nobody(verb: str, what: Ref | Object, body: Any) -> None:
    """Nobody looks at what is sent."""


@dataclass
class Network:
    """Implements ports.Cluster. `gone_until` is monotonic seconds; every process shares it by `parent`."""

    server: FakeCluster
    clock: Clock
    parent: Network | None = None
    gone_until: float = 0.0
    stop_at: int = 0  # the write, counted from now, before which the process stops; 0: never
    stopped: asyncio.Event | None = None
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    seen: Seen = nobody  # told of every write as it is sent

    async def get(self, ref: Ref) -> Object:
        self._arrive()
        return await self.server.get(ref)

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        self._arrive()
        return await self.server.list(kind, namespace, labels=labels, limit=limit)

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        await self._send("apply", body, subresource)
        return await self.server.apply(body, force=force, subresource=subresource)

    async def create(self, body: Object) -> Object:
        await self._send("create", body, "")
        return await self.server.create(body)

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        await self._send("json_patch", ref, (operations, subresource))
        return await self.server.json_patch(ref, operations, subresource=subresource)

    async def delete(self, ref: Ref, *, uid: str = "") -> None:
        await self._send("delete", ref, uid)
        await self.server.delete(ref, uid=uid)

    async def evict(self, pod: Ref, *, uid: str) -> None:
        await self._send("evict", pod, uid)
        await self.server.evict(pod, uid=uid)

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        self._arrive()
        return await self.server.allowed(verb, group, resource, namespace=namespace, subresource=subresource)

    async def _send(self, verb: str, what: Ref | Object, body: Any) -> None:
        self._arrive()
        if self.stop_at:
            self.stop_at -= 1
            if self.stop_at == 0 and self.stopped is not None:
                self.stopped.set()
                await self.go_on.wait()
        (self.parent or self).seen(verb, what, body)

    def _arrive(self) -> None:
        if self.clock.monotonic() < (self.parent or self).gone_until:
            raise NotAvailable("dial tcp: connection refused")
