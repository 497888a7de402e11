"""Slots: how many trials, and how many rollouts, may be under way in the cluster at once.

A trial holds its slot until its way back is over. Only what begins of the tuner's own accord waits for one: a
rollback and a restore never do, but what they restart counts while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.model.knobs import Effect, LocationKind, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, IntentKind, Ledger

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """0: no limit."""

    trials: int = 5
    restarts: int = 2
    replicas_per_hour: int = 0  # that trials may add, over all profiles


@dataclass(frozen=True, slots=True)
class Flight:
    """What one profile's intent takes up."""

    trial: bool = False
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Growth:
    """Pods that one trial may add: by how much it raised replicas or an HPA's maximum, and when it began."""

    at: datetime
    pods: int


def flight(intent: Intent | None, space: SearchSpace | None) -> Flight:
    """Of an intent. Where the knobs are not known, as for a ledger read at a start, it counts as a restart."""
    if intent is None:
        return Flight()
    trial = intent.kind is IntentKind.TRIAL or (intent.kind is IntentKind.ROLLBACK and intent.state is not None)
    if space is None:
        return Flight(trial, bool(intent.moved))
    return Flight(trial, any(n in space and space[n].effect is Effect.RESTART for n in intent.moved))


def refusal(others: Mapping[str, Flight], wanted: Flight, limits: SlotLimits) -> Missing | None:
    """Why what is wanted has to wait beside what others have under way."""
    trials = sum(each.trial for each in others.values())
    if wanted.trial and limits.trials and trials >= limits.trials:
        return Missing(Reason.WAITING_FOR_SLOT, f"maxConcurrentTrials is {limits.trials}")
    restarts = sum(each.restarts for each in others.values())
    if wanted.restarts and limits.restarts and restarts >= limits.restarts:
        return Missing(Reason.WAITING_FOR_SLOT, f"maxConcurrentRestarts is {limits.restarts}")
    return None


def added(space: SearchSpace, parent: Setting, target: Setting) -> int:
    """Pods that the target may have more than its parent; what one knob lowers makes up for no other."""
    raised = 0
    for knob in space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS):
        old, new = parent.get(knob.name), target.get(knob.name)
        if isinstance(old, Fraction) and isinstance(new, Fraction):
            raised += max(0, int(new - old))
    return raised


def growths(ledger: Ledger, space: SearchSpace) -> tuple[Growth, ...]:
    """From the trials that a ledger keeps, whatever came of them, and the one under way."""
    out = [Growth(t.started_at, added(space, t.parent, t.setting)) for t in ledger.trials]
    intent = ledger.intent
    if intent is not None and intent.kind is IntentKind.TRIAL:
        out.append(Growth(intent.started_at, added(space, intent.parent, intent.target)))
    return tuple(each for each in out if each.pods)


def too_much(earlier: Iterable[Growth], wanted: int, limits: SlotLimits, now: datetime) -> Missing | None:
    """Why so many more pods may not be tried within this hour. A start that lies in the future counts, too."""
    used = sum(each.pods for each in earlier if now - each.at < HOUR)
    if not limits.replicas_per_hour or not wanted or used + wanted <= limits.replicas_per_hour:
        return None
    text = f"maxReplicasAddedPerHour is {limits.replicas_per_hour}, {used} were added and {wanted} more are wanted"
    return Missing(Reason.WAITING_FOR_SLOT, text)
