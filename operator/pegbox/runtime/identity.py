"""Who this process is, and which one it follows.

A container that was killed is started again in its own pod, and the Lease still names the dead process. It need not
run out then: who listens on a port of a pod knows that no other process of this pod does, as the kernel gives a port
to one at a time, and takes it back when a process has ended. `pegbox run` listens before it asks for the Lease, and
until all else has ended. A stale process of another pod is not known by this: it is waited for.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Process:
    """`place` is where one process runs at a time, "" where that is not known; `name` is of this process alone."""

    pod: str
    place: str
    name: str

    def followed(self, holder: str) -> bool:
        """Did this holder of a Lease run where we run now? Then it has ended. Ask only while the port is held."""
        return bool(self.place) and holder.startswith(self.place) and holder != self.name


def of(environment: Mapping[str, str], port: int) -> Process:
    """Port 0 is another one each time, and proves nothing."""
    pod, uid = environment.get("POD_NAME") or os.uname().nodename, environment.get("POD_UID", "")
    place = f"{pod}_{uid}_{port}_" if uid and port else ""
    return Process(pod, place, f"{place or pod + '_'}{uuid.uuid4()}")
