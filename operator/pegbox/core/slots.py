"""Slots: how many trials, and how many rollouts, may be under way in the cluster at once, and what an hour may change.

A trial holds its slot until its way back is over. Only what begins of the tuner's own accord waits for one: a
rollback and a restore never do, but what they restart counts while it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.core import change_per_hour
from pegbox.model import units
from pegbox.model.knobs import Effect, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import Amount, Amounts, Intent, IntentKind, Ledger, TrialSummary

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """0: no limit."""

    trials: int = 5
    restarts: int = 2
    hourly: Amounts = Amounts()  # that trials may make, over all profiles


@dataclass(frozen=True, slots=True)
class Flight:
    """What one profile's intent takes up."""

    trial: bool = False
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """What one trial may change, and when it began. `id` is its intent's, which ends as a trial of the same id."""

    id: str
    at: datetime
    change: Amounts


def moves(spec: ProfileSpec, intent: Intent | None) -> bool:
    """Not where it is put off until the mode is Auto again."""
    return spec.mode is Mode.AUTO or (intent is not None and intent.kind is IntentKind.RESTORE)


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


def entry(intent: Intent) -> Entry:
    """Of a trial that begins."""
    return Entry(intent.id, intent.started_at, Amounts(intent.added or Amount(), intent.removed or Amount()))


def entries(ledger: Ledger, space: SearchSpace | None) -> tuple[Entry, ...]:
    """From the trials that a ledger keeps, whatever came of them, and the one under way.

    Of a release that recorded none, pods are told by the settings, once the knobs are known.
    """
    out = [Entry(t.id, t.started_at, _recorded(t, space, t.parent, t.setting)) for t in ledger.trials]
    intent = ledger.intent
    if intent is not None and intent.kind is IntentKind.TRIAL:
        out.append(Entry(intent.id, intent.started_at, _recorded(intent, space, intent.parent, intent.target)))
    return tuple(each for each in out if each.change != Amounts())


def _recorded(of: Intent | TrialSummary, space: SearchSpace | None, parent: Setting, target: Setting) -> Amounts:
    told = Amounts()
    if space is not None and (of.added is None or of.removed is None):
        told = change_per_hour.pods(space, parent, target)
    return Amounts(of.added or told.added, of.removed or told.removed)


def lately(earlier: Iterable[Entry], now: datetime) -> Amounts:
    """All of the last hour. A start that lies in the future counts, too: the clock was set back."""
    known = [each.change for each in earlier if now - each.at < HOUR]
    return Amounts(_sum(c.added for c in known), _sum(c.removed for c in known))


def _sum(amounts: Iterable[Amount]) -> Amount:
    known = [*amounts]
    return Amount(sum(a.pods for a in known), sum(a.cpu for a in known), sum(a.memory for a in known))


def _cores(millis: int) -> str:
    return units.format_cpu(Fraction(millis, 1000))


def _bytes(count: int) -> str:
    return units.format_bytes(Fraction(count))


_LIMITS: tuple[tuple[str, str, Callable[[Amounts], int], Callable[[int], str]], ...] = (
    ("maxReplicasAddedPerHour", "added", lambda c: c.added.pods, str),
    ("maxCpuAddedPerHour", "added", lambda c: c.added.cpu, _cores),
    ("maxMemoryAddedPerHour", "added", lambda c: c.added.memory, _bytes),
    ("maxReplicasRemovedPerHour", "removed", lambda c: c.removed.pods, str),
    ("maxCpuRemovedPerHour", "removed", lambda c: c.removed.cpu, _cores),
    ("maxMemoryRemovedPerHour", "removed", lambda c: c.removed.memory, _bytes),
)


def limited(wanted: Amounts, limits: SlotLimits) -> bool:
    """Is any of it limited?"""
    return any(of(limits.hourly) and of(wanted) for _, _, of, _ in _LIMITS)


def too_much(earlier: Iterable[Entry], wanted: Amounts, limits: SlotLimits, now: datetime) -> Missing | None:
    """Why so much may not be changed within this hour."""
    used = lately(earlier, now)
    for name, done, of, text in _LIMITS:
        limit, had, more = of(limits.hourly), of(used), of(wanted)
        if limit and more and had + more > limit:
            detail = f"{name} is {text(limit)}, {text(had)} were {done} and {text(more)} more are wanted"
            return Missing(Reason.WAITING_FOR_SLOT, detail)
    return None
