"""Ledgers outlive their profiles, so that a deletion by mistake loses nothing; for a month, not for ever."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from pegbox.model.errors import NotFound, WriteConflict
from pegbox.ports import LEDGER, PROFILE, Cluster, Object, Ref

log = logging.getLogger(__name__)

KEPT = timedelta(days=30)  # after the profile's end, which is the ledger's last write
EVERY = 24 * 3600.0  # seconds
FIRST = 600.0  # after a start: not among everything else, and not never where processes live for hours


async def remove_old_ledgers(cluster: Cluster, namespaces: Sequence[str], now: datetime) -> int:
    """Delete ledgers without a profile whose last write is older than that. How many. Raises NotAvailable, Refused."""
    removed = 0
    for namespace in namespaces:
        for ledger in await cluster.list(LEDGER, namespace):
            meta = ledger["metadata"]
            if now - _last_write(ledger) < KEPT or await _profile_exists(cluster, ledger):
                continue
            ref = Ref(LEDGER, meta["namespace"], meta["name"])
            try:
                await cluster.delete(ref, uid=meta["uid"], version=meta["resourceVersion"])
            except (NotFound, WriteConflict):  # gone, or written since: a profile of that name is back
                continue
            removed += 1
            log.info("removed a ledger whose profile is long gone", extra={"ledger": str(ref)})
    return removed


def _last_write(ledger: Object) -> datetime:
    """What cannot be read counts as written when the object was created."""
    text = ledger.get("data", {}).get("summary", {}).get("writtenAt") or ledger["metadata"]["creationTimestamp"]
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return datetime.fromisoformat(ledger["metadata"]["creationTimestamp"])


async def _profile_exists(cluster: Cluster, ledger: Object) -> bool:
    meta = ledger["metadata"]
    try:
        await cluster.get(Ref(PROFILE, meta["namespace"], meta["name"]))
    except NotFound:
        return False
    return True
