"""Finishing: what is under way when a profile or its class can no longer be used.

A class that was deleted, or an edit that makes no sense, must not leave a workload at a trial's setting for ever. So a
process that has worked with the profile before finishes what is under way with what it read last. One that has not
(it was restarted meanwhile) goes back, by what the ledger records of the places: nobody could judge a trial there. A
ledger of an older release records none: that one is held, and said.
"""

from __future__ import annotations

from dataclasses import replace

from pegbox.api import ledger_codec
from pegbox.core import way_back
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.profile import DeletionPolicy, Mode
from pegbox.model.trials import Intent, Ledger
from pegbox.ports import LEDGER, Cluster, Object, Ref
from pegbox.runtime import reading
from pegbox.runtime.finding import maybe
from pegbox.runtime.memory import Memory
from pegbox.runtime.reading import Objects, Unacceptable


async def last_read(cluster: Cluster, memory: Memory, refusal: Unacceptable) -> Objects | None:
    """The profile as it was read last, where something is under way or it is being deleted; else None.

    Its mode and its deletion policy are those of now: they say what may be written, and every word of them can be read.
    """
    profile = refusal.profile
    ledger = await _ledger(cluster, profile)
    deleting = bool(profile["metadata"].get("deletionTimestamp"))
    if not deleting and (ledger is None or ledger.intent is None):
        return None
    now, spec, source = _named(profile), memory.spec, memory.source
    if spec is not None and spec.uid == now.uid:
        spec = replace(spec, mode=now.mode, deletion_policy=now.deletion_policy)
    elif ledger is not None and ledger.way_back is not None:
        spec, source = way_back.alone(now, ledger.way_back), reading.named_source(ledger.way_back.source)
    else:
        return None
    # By the target of then: an edit may name another one, to which nothing under way belongs.
    ref = Ref(reading.KINDS[spec.target.kind], spec.namespace, spec.target.name)
    target = await maybe(cluster, ref)
    return Objects(profile, source, spec, target=target, refusal=Missing(refusal.reason, str(refusal)))


async def under_way(cluster: Cluster, profile: Object) -> Intent | None:
    """What the ledger says is under way for this very profile; None also where the ledger cannot be read."""
    ledger = await _ledger(cluster, profile)
    return None if ledger is None else ledger.intent


async def _ledger(cluster: Cluster, profile: Object) -> Ledger | None:
    meta = profile["metadata"]
    body = await maybe(cluster, Ref(LEDGER, meta["namespace"], meta["name"]))
    if body is None:
        return None
    try:
        ledger = ledger_codec.decode(body)
    except InvalidInput:
        return None
    return ledger if ledger.profile_uid == meta["uid"] else None


def _named(profile: Object) -> way_back.Named:
    meta, wire = profile["metadata"], profile.get("spec", {})
    return way_back.Named(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 1)),
        class_name=str(wire.get("classRef", {}).get("name", "")),
        mode=_mode(wire.get("mode")),
        deletion_policy=DeletionPolicy.KEEP if wire.get("deletionPolicy") == "Keep" else DeletionPolicy.RESTORE,
    )


def _mode(text: object) -> Mode:
    """What cannot be read permits nothing."""
    return Mode.AUTO if text == Mode.AUTO.value else Mode.RECOMMEND
