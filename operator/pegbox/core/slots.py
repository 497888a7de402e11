"""Slots: how many trials, and how many rollouts, may be under way in the cluster at once.

A trial holds its slot until its way back is over. Only what begins of the tuner's own accord waits for one: a
rollback and a restore never do, but what they restart counts while it lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from pegbox.model.knobs import Effect, SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, IntentKind


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """0: no limit."""

    trials: int = 5
    restarts: int = 2


@dataclass(frozen=True, slots=True)
class Flight:
    """What one profile's intent takes up."""

    trial: bool = False
    restarts: bool = False


def flight(intent: Intent | None, space: SearchSpace | None) -> Flight:
    """Of an intent. Where the knobs are not known, as for a ledger read at a start, it counts as a restart."""
    if intent is None:
        return Flight()
    trial = intent.kind is IntentKind.TRIAL or (intent.kind is IntentKind.ROLLBACK and intent.state is not None)
    moved = {n for a, b in pairwise((intent.parent, *intent.stages)) for n in a.diff(b)}
    if space is None:
        return Flight(trial, bool(moved))
    return Flight(trial, any(n in space and space[n].effect is Effect.RESTART for n in moved))


def refusal(others: Mapping[str, Flight], wanted: Flight, limits: SlotLimits) -> Missing | None:
    """Why what is wanted has to wait beside what others have under way."""
    trials = sum(each.trial for each in others.values())
    if wanted.trial and limits.trials and trials >= limits.trials:
        return Missing(Reason.WAITING_FOR_SLOT, f"maxConcurrentTrials is {limits.trials}")
    restarts = sum(each.restarts for each in others.values())
    if wanted.restarts and limits.restarts and restarts >= limits.restarts:
        return Missing(Reason.WAITING_FOR_SLOT, f"maxConcurrentRestarts is {limits.restarts}")
    return None
