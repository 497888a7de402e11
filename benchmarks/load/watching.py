"""The observer's eyes: every change of every object of some kinds, read from the API server itself, in stored order.

One watch per kind gives the order within it. Between kinds the resourceVersion does: it is etcd's own count of
changes. So changes are held back for a moment and told in its order.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import aiohttp

from pegbox.adapters.kube.client import path_of
from pegbox.ports import Kind, Object

HOLD_SECONDS = 3.0
"""How long a change waits for earlier ones of other kinds. One that comes later than that is counted as late."""
PAGE = 500

Told = Callable[[], None]


@dataclass
class Ordered:
    """Holds what came, and tells it in the order of its version once it is old enough."""

    hold: float = HOLD_SECONDS
    seen: int = 0  # the newest version that came
    told: int = 0  # the newest version that was told
    late: int = 0
    _heap: list[tuple[int, int, float, Told]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def came(self, version: int, at: float, tell: Told) -> None:
        self.late += version < self.told
        self.seen = max(self.seen, version)
        heapq.heappush(self._heap, (version, next(self._order), at, tell))

    def beside(self, at: float, tell: Told) -> None:
        """Something that has no version: it happened after all that was seen so far."""
        heapq.heappush(self._heap, (self.seen, next(self._order), at, tell))

    def release(self, now: float) -> None:
        """Tell all that is due. What is younger waits, and all that follows it with it."""
        while self._heap and self._heap[0][2] <= now - self.hold:
            version, _, _, tell = heapq.heappop(self._heap)
            self.told = max(self.told, version)
            tell()


@dataclass
class Watching:
    """`changed(kind, event, object)` hears all in order; `at_once(kind, event, object)` hears it as it comes."""

    url: str
    token: str
    context: ssl.SSLContext
    changed: Callable[[str, str, Object], None]
    at_once: Callable[[str, str, Object], None]
    ordered: Ordered = field(default_factory=Ordered)
    restarts: int = 0

    async def run(self, kinds: Sequence[Kind]) -> None:
        """For ever. An error of ours ends it; one of the server makes a watch begin again."""
        async with (
            aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                connector=aiohttp.TCPConnector(limit=0, ssl=self.context),
                read_bufsize=2**22,
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for kind in kinds:
                group.create_task(self._kind(session, kind))
            group.create_task(self._release())

    async def _release(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            self.ordered.release(monotonic())

    async def _kind(self, session: aiohttp.ClientSession, kind: Kind) -> None:
        version = ""
        while True:
            try:
                if not version:
                    version = await self._listed(session, kind)
                version = await self._watched(session, kind, version)
            except (aiohttp.ClientError, OSError):
                self.restarts += 1
                await asyncio.sleep(1.0)

    async def _listed(self, session: aiohttp.ClientSession, kind: Kind) -> str:
        """What stands already is told like what is added."""
        version, token = "", ""
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            async with session.get(self.url + path_of(kind), params=query) as response:
                response.raise_for_status()
                page = await response.json()
            version = version or page["metadata"]["resourceVersion"]
            for item in page["items"] or ():
                self._tell(kind, "ADDED", {"apiVersion": kind.api_version, "kind": kind.kind} | item)
            token = page["metadata"].get("continue", "")
            if not token:
                return str(version)

    async def _watched(self, session: aiohttp.ClientSession, kind: Kind, version: str) -> str:
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        async with session.get(self.url + path_of(kind), params=query) as response:
            response.raise_for_status()
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    said: Any = json.loads(line)
                    if said["type"] == "ERROR":
                        return ""  # its history is gone: listed anew
                    version = said["object"]["metadata"]["resourceVersion"]
                    if said["type"] != "BOOKMARK":
                        self._tell(kind, said["type"], said["object"])
        return version

    def _tell(self, kind: Kind, event: str, body: Object) -> None:
        self.at_once(kind.kind, event, body)
        version = int(body["metadata"]["resourceVersion"])
        self.ordered.came(version, monotonic(), lambda: self.changed(kind.kind, event, body))
