"""Remembering: the ledger of one wake, as it is stored, as this process knows it, or made anew from what is left.

A lost ledger makes the operator no bolder. What the status tells of brakes holds on, and as for what nobody tells (what
failed lately, what of an error budget is spent), nothing is tried of our own accord for one backoff of the breaker.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pegbox.api import ledger_codec, status_told
from pegbox.core import transitions
from pegbox.model.observations import Missing
from pegbox.model.trials import Ledger
from pegbox.runtime import reading
from pegbox.runtime.memory import Memory
from pegbox.runtime.reading import Objects


def current(memory: Memory, found: Objects, now: datetime) -> Ledger:
    """The stored ledger; with the unsaved statistics of this process where nobody else wrote it since."""
    known = memory.ledger
    if known is not None and found.ledger_version and memory.ledger_version == found.ledger_version:
        return known
    if found.stored is not None:
        # Somebody else wrote it (a restored backup): what this process decided before does not stand there.
        memory.ledger, memory.ledger_text = found.stored, ledger_codec.state_of(found.stored)
        return found.stored
    if known is not None and known.intent and known.profile_uid == found.spec.uid:
        return known  # lost in mid-course, deleted or torn: what is under way is finished first
    spent = {} if known is None else known.spent
    return replace(anew(found, now), spent=spent)


def anew(found: Objects, now: datetime) -> Ledger:
    """From the originals on our ConfigMap, the document's number, and the brakes that the status tells.

    | the status              | pause     | breaker                    | first trial of our own accord |
    |-------------------------|-----------|----------------------------|-------------------------------|
    | was never written whole | none      | Closed                     | at once: no ledger was lost   |
    | tells `openings`        | as it was | as it was                  | after `breakerBase`           |
    | does not                | as it was | as after its first opening | after `breakerBase`           |
    """
    adopted, document = reading.adopted_before(found), found.document
    generation = 0 if adopted is None else 1
    if not isinstance(document, Missing) and document.profile_uid == found.spec.uid:
        generation = document.generation  # the counter only ever grows
    tokens = reading.echoed_tokens(found)
    made = Ledger(profile_uid=found.spec.uid, generation=generation, adopted=adopted, tokens=tokens)
    told = status_told.brakes(found.profile.get("status") or {})
    if told is None:
        return made
    wait = timedelta(seconds=float(transitions.longest_cooldown(found.spec.guards, made)))
    return replace(made, paused_until=told.paused_until, breaker=told.breaker, cooldown_until=now + wait)
