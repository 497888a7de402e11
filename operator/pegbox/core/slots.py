"""Slots: how many trials, and how many rollouts, may be under way in the cluster at once, and what an hour may add.

A trial holds its slot until its way back is over. Only what begins of the tuner's own accord waits for one: a
rollback and a restore never do, but what they restart counts while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.core import added
from pegbox.model import units
from pegbox.model.knobs import Effect, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import Added, Intent, IntentKind, Ledger

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """0: no limit."""

    trials: int = 5
    restarts: int = 2
    hourly: Added = Added()  # that trials may add, over all profiles


@dataclass(frozen=True, slots=True)
class Flight:
    """What one profile's intent takes up."""

    trial: bool = False
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Growth:
    """What one trial may add, and when it began. `id` is that of its intent, which ends as a trial of the same id."""

    id: str
    at: datetime
    added: Added


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


def growths(ledger: Ledger, space: SearchSpace | None) -> tuple[Growth, ...]:
    """From the trials that a ledger keeps, whatever came of them, and the one under way.

    Of a release that recorded none, pods are told by the settings, once the knobs are known.
    """
    out = [Growth(t.id, t.started_at, _recorded(t.added, space, t.parent, t.setting)) for t in ledger.trials]
    intent = ledger.intent
    if intent is not None and intent.kind is IntentKind.TRIAL:
        item = _recorded(intent.added, space, intent.parent, intent.target)
        out.append(Growth(intent.id, intent.started_at, item))
    return tuple(each for each in out if each.added != Added())


def _recorded(known: Added | None, space: SearchSpace | None, parent: Setting, target: Setting) -> Added:
    if known is not None or space is None:
        return known or Added()
    return Added(added.pods(space, parent, target))


def lately(earlier: Iterable[Growth], now: datetime) -> Added:
    """All of the last hour. A start that lies in the future counts, too: the clock was set back."""
    known = [each.added for each in earlier if now - each.at < HOUR]
    return Added(sum(a.pods for a in known), sum(a.cpu for a in known), sum(a.memory for a in known))


def too_much(earlier: Iterable[Growth], wanted: Added, limits: SlotLimits, now: datetime) -> Missing | None:
    """Why so much more may not be tried within this hour."""
    used, most = lately(earlier, now), limits.hourly
    for name, limit, had, more, text in (
        ("maxReplicasAddedPerHour", most.pods, used.pods, wanted.pods, str),
        ("maxCpuAddedPerHour", most.cpu, used.cpu, wanted.cpu, _cores),
        ("maxMemoryAddedPerHour", most.memory, used.memory, wanted.memory, _bytes),
    ):
        if limit and more and had + more > limit:
            detail = f"{name} is {text(limit)}, {text(had)} were added and {text(more)} more are wanted"
            return Missing(Reason.WAITING_FOR_SLOT, detail)
    return None


def _cores(millis: int) -> str:
    return units.format_cpu(Fraction(millis, 1000))


def _bytes(count: int) -> str:
    return units.format_bytes(Fraction(count))
