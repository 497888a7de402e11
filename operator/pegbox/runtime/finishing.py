"""Finishing: what is under way when a profile or its class can no longer be used.

A class that was deleted, or an edit that makes no sense, must not leave a workload at a trial's setting for ever. So a
process that has worked with the profile before finishes what is under way with what it read last. One that has not
(it was restarted meanwhile) holds, and says so.
"""

from __future__ import annotations

from dataclasses import replace

from pegbox.api import ledger_codec
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.profile import DeletionPolicy, Mode
from pegbox.model.trials import Intent
from pegbox.ports import LEDGER, Cluster, Object, Ref
from pegbox.runtime import reading
from pegbox.runtime.memory import Memory
from pegbox.runtime.reading import Objects, Unacceptable


async def last_read(cluster: Cluster, memory: Memory, refusal: Unacceptable) -> Objects | None:
    """The profile as it was read last, where something is under way or it is being deleted; else None.

    Its mode and its deletion policy are those of now: they say what may be written, and every word of them can be read.
    """
    profile, spec = refusal.profile, memory.spec
    if spec is None or memory.class_ is None or profile["metadata"]["uid"] != spec.uid:
        return None
    deleting = bool(profile["metadata"].get("deletionTimestamp"))
    if not deleting and await under_way(cluster, profile) is None:
        return None
    wire = profile.get("spec", {})
    spec = replace(
        spec,
        mode=_mode(wire.get("mode")),
        deletion_policy=DeletionPolicy.KEEP if wire.get("deletionPolicy") == "Keep" else DeletionPolicy.RESTORE,
    )
    # By the target of then: an edit may name another one, to which nothing under way belongs.
    ref = Ref(reading.KINDS[spec.target.kind], spec.namespace, spec.target.name)
    target = await reading.maybe(cluster, ref)
    return Objects(profile, memory.class_, spec, target=target, refusal=Missing(refusal.reason, str(refusal)))


async def under_way(cluster: Cluster, profile: Object) -> Intent | None:
    """What the ledger says is under way for this very profile; None also where the ledger cannot be read."""
    meta = profile["metadata"]
    body = await reading.maybe(cluster, Ref(LEDGER, meta["namespace"], meta["name"]))
    if body is None:
        return None
    try:
        ledger = ledger_codec.decode(body)
    except InvalidInput:
        return None
    return ledger.intent if ledger.profile_uid == meta["uid"] else None


def _mode(text: object) -> Mode:
    """What cannot be read permits nothing."""
    return Mode.AUTO if text == Mode.AUTO.value else Mode.RECOMMEND
