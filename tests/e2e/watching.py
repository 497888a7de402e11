"""Every version of an object, by a watch: who wrote it how often is counted, not guessed from a look now and then."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.e2e.api import Api, Object

OURS = "pegbox"


@dataclass
class History:
    """The versions of the objects of one kind in one namespace, in order; `lost` says that the watch ended."""

    versions: list[Object] = field(default_factory=list)
    lost: str = ""

    def of(self, name: str) -> list[Object]:
        """What the watch began with, and each change."""
        assert not self.lost, self.lost
        return [body for body in self.versions if body["metadata"]["name"] == name]

    def written_by(self, name: str, manager: str = OURS) -> list[Object]:
        """The versions that this field manager made: its entry appeared, or is not what it was before.

        Times are whole seconds, and we look every two seconds at the most. A scale of a field that nobody holds leaves
        no entry: no world of these tests tunes replicas.
        """
        versions = self.of(name)
        return [
            body for before, body in pairwise(versions)
            if _entries(body, manager) and _entries(body, manager) != _entries(before, manager)
        ]  # fmt: skip


def _entries(body: Object, manager: str) -> list[Any]:
    """With their times. A field that another one took over leaves an entry shorter: that is no write of its manager."""
    found = [entry for entry in body["metadata"].get("managedFields", []) if entry["manager"] == manager]
    return [(entry["operation"], entry.get("subresource", ""), entry.get("time", "")) for entry in found]


@contextmanager
def watched(api: Api, path: str) -> Iterator[History]:
    """`path`: the list that is watched. The connection has no time limit of its own; the server's is an hour."""
    history = History()
    connection = api.connection()
    connection.request("GET", f"{path}?watch=true&timeoutSeconds=3600")
    answer = connection.getresponse()
    assert answer.status == 200, answer.read().decode()
    channel: socket.socket = connection.sock
    channel.settimeout(None)
    ending = threading.Event()

    def follow() -> None:
        try:
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    history.lost = json.dumps(event["object"])
                else:
                    history.versions.append(event["object"])
        except (OSError, ValueError, AttributeError) as error:
            if not ending.is_set():
                history.lost = repr(error)

    thread = threading.Thread(target=follow, name=f"watch {path}")
    thread.start()
    try:
        yield history
    finally:
        ending.set()
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)
        thread.join()
        connection.close()
