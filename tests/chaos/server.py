"""What a schedule needs of an API server, fake or real: the port, faults on the way, and a look without waiting."""

from __future__ import annotations

from typing import Protocol, Self

from pegbox.ports import Cluster, Kind, Object, Ref
from pegbox.testing.faults import Faults


class Server(Cluster, Protocol):
    faults: Faults

    def as_manager(self, manager: str) -> Self: ...

    def peek(self, ref: Ref) -> Object | None: ...

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]: ...

    async def terminate(self, namespace: str) -> None: ...

    def recreate(self, namespace: str) -> None: ...
