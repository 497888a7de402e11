"""Write a profile's status: what changed, as far as the definition that the server has knows it.

Definitions and operator are upgraded one after the other, and rolled back one after the other. So a status may have
fields that the definition lacks, and the server refuses an apply with such a field as a whole. It names them; what it
names is left out, and tried again now and then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from pegbox.api import status as status_api
from pegbox.model.errors import Refused
from pegbox.ports import Cluster, Object
from pegbox.runtime.memory import Memory
from pegbox.runtime.points import Point, Reached

log = logging.getLogger(__name__)

SAVE_EVERY = timedelta(minutes=30)  # statistics alone are saved this often: frequent writes fill etcd


async def write(
    cluster: Cluster, profile: Object, status: Object, memory: Memory, now: datetime, reached: Reached
) -> None:
    """Only what changed, and figures alone now and then: an idle cycle writes nothing. Raises what the server says."""
    before = profile.get("status") or {}
    stale = memory.status_saved_at is None or now - memory.status_saved_at > SAVE_EVERY
    if stale:
        memory.undeclared = frozenset()
    told = status_api.without(status, memory.undeclared)
    if not status_api.significant(before, told) and (before == told or not stale):
        return
    reached(Point.BEFORE_STATUS)
    while True:
        try:
            await cluster.apply(_body(profile, told), force=True, subresource="status")
            break
        except Refused as error:
            unknown = status_api.undeclared(str(error))
            less = status_api.without(told, unknown)
            if less == told:
                raise
            memory.undeclared |= unknown
            told = less
            fields = ", ".join(".".join(("status", *path)) for path in sorted(unknown))
            log.warning("the definition of PerformanceProfile is older than this release: without %s", fields)
    reached(Point.AFTER_STATUS)
    memory.status_saved_at = now


def _body(profile: Object, status: Mapping[str, object]) -> Object:
    meta = profile["metadata"]
    return {
        "apiVersion": profile["apiVersion"],
        "kind": profile["kind"],
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "status": status,
    }
