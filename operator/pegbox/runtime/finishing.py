"""Finishing: what is under way when a profile or its class can no longer be used.

A class that was deleted, or an edit that makes no sense, must not leave a workload at a trial's setting for ever. So a
process that has worked with the profile before finishes what is under way with what it read last: what is in force is
judged, and what would still write something new goes back, as in a freeze, for nobody knows what was edited since. One
that has not (it was restarted meanwhile) goes back, by what the ledger records of the places: nobody could judge a
trial there. A ledger of an older release records none: that one is held, and said. A stop with restore puts back by the
same means what was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pegbox.api import ledger_codec
from pegbox.core import way_back
from pegbox.core.restoring import due
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.profile import DeletionPolicy, Mode
from pegbox.model.trials import Ledger
from pegbox.ports import LEDGER, Cluster, Object, Ref
from pegbox.runtime import places, reading
from pegbox.runtime.finding import maybe
from pegbox.runtime.memory import Memory
from pegbox.runtime.reading import Objects, Unacceptable


async def last_read(cluster: Cluster, memory: Memory, refusal: Unacceptable, *, restoring: bool) -> Objects | None:
    """The profile as it was read last, where something is to be finished: an intent, a deletion, or what a stop with
    restore (`restoring`) asks for; else None.

    Its mode and its deletion policy are those of now: they say what may be written, and every word of them can be read.
    """
    profile = refusal.profile
    ledger = await _ledger(cluster, profile)
    deleting = bool(profile["metadata"].get("deletionTimestamp"))
    finishes = deleting or (ledger is not None and ledger.intent is not None)
    if not finishes and not (restoring and _may_be_out(ledger)):
        return None
    now, spec, source = _named(profile), memory.spec, memory.source
    if spec is not None and spec.uid == now.uid:
        spec = replace(spec, mode=now.mode, deletion_policy=now.deletion_policy)
    elif ledger is not None and ledger.way_back is not None:
        spec, source = way_back.alone(now, ledger.way_back), reading.named_source(ledger.way_back.source)
    else:
        return None
    if refusal.class_ is not None and refusal.class_["metadata"]["name"] == spec.class_name:
        source = reading.source_of(refusal.class_)  # pods are asked where that class says now
    # By the target of then: an edit may name another one, to which nothing under way belongs.
    ref = Ref(reading.KINDS[spec.target.kind], spec.namespace, spec.target.name)
    target = await maybe(cluster, ref)
    why = Missing(refusal.reason, str(refusal))
    return Objects(profile, source, spec, target=target, refusal=why, restoring=restoring)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of a profile that nobody can read waits until somebody can: an intent, or what a stop with restore asks for
    (`restore`). `text` says it for people, "" where nothing waits."""

    goes_back: bool = False
    restore: bool = False
    text: str = ""


async def waiting(cluster: Cluster, profile: Object, *, restoring: bool) -> Waiting:
    """Of a profile for which `last_read` has nothing."""
    ledger = await _ledger(cluster, profile)
    intent = None if ledger is None else ledger.intent
    moved = ledger is None or intent is not None or ledger.incumbent != ledger.adopted
    if restoring and moved and _may_be_out(ledger) and places.finalized(profile):
        text = "the values of the adoption are not put back, since nobody knows their places: make class and profile "
        text += "readable again, or put them back by hand"
        return Waiting(goes_back=True, restore=True, text=text)
    if intent is None:
        return Waiting()
    text = f"{intent.kind.value} {intent.id} is under way and waits for it: nothing is written"
    return Waiting(goes_back=intent.kind.goes_back, text=text)


def _may_be_out(ledger: Ledger | None) -> bool:
    """May values stand that were not there at the adoption? Who lost the ledger has to look."""
    return ledger is None or due(ledger)


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
