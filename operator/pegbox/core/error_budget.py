"""The share of an SLO's error budget that trials may spend: `guards.errorBudgetShare`.

The budget of an SLO is (1 - goal) x the events of its own window, at the rate of now. Spent by a trial are the bad
events from its first write until it is accepted or its parent is in force again, less those that the parent's own share
of bad events explains: a setting pays only for what it made worse. Bad events are counted, so chance is allowed for:

    spent > share x (1 - goal) x events of the window + 3 x sqrt(2 x b x n x (1 + n / n0))

with b the parent's share of bad events, n the events since the first write, and n0 those that the parent was measured
on (`core.bad_events`).

Worked: goal 95 %, share 5 %, window 300 s, 10 events/s, a parent with 1 % bad of 2400. Allowed are 0.05 x 0.05 x 3000
= 7.5 events. After 120 s (1200 events) chance may add 3 x sqrt(2 x 0.01 x 1200 x 1.5) = 18. So 38 bad events (12 are
the parent's, 26 spent) are too many, and 37 are not.

All trials that spent within one window of the SLO share it. What the latest k of them spent adds up, and so do the
variances of their counts: the rule holds for every k, so that those before never leave more than a trial has alone.

Worked: a trial before spent 26 (variance 36). Then 7.5 + 3 x sqrt(36 + 36) - 26 = 7.0 are left after 120 s, not 25.5;
and 7.5 + 18 - 26 < 0 to begin with: none begins until that one ended a window ago.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from pegbox.core import bad_events
from pegbox.core.baseline import baseline_of, served
from pegbox.core.transitions import Ending
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import ProfileSpec, Slo
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Baseline, Intent, Ledger, Spending, TrialState

WORTH = 0.25  # of the share must be left for a trial to begin: with less, a little bad luck would end it
MERGED = 8  # trials that ended within this part of a window are kept as one, until the last of them is out of it
KEPT = 1.25  # what is beyond chance is stored whenever it grew by this factor

Before = Mapping[str, Sequence[Spending]]
NOBODY: Before = {}


@dataclass(frozen=True, slots=True)
class Overspent:
    """An SLO whose budget trials spent too fast: events spent by this one, what was left for it, and whether its own
    are beyond chance. Where they are not, those before it are to blame."""

    slo: str
    spent: float
    allowed: float
    guilty: bool = True

    def __str__(self) -> str:
        return f"SLO {self.slo}: {self.spent:.3g} bad events more than the parent's, {self.allowed:.3g} allowed"


@dataclass(frozen=True, slots=True)
class UsedUp:
    """An SLO with less than WORTH of the share left, what the trials within its window spent, and until when."""

    slo: str
    spent: float
    until: datetime

    def __str__(self) -> str:
        until = self.until.isoformat(timespec="seconds")
        return f"SLO {self.slo}: {self.spent:.3g} bad events more than the parents' within its window, until {until}"


def noted(spec: ProfileSpec, intent: Intent, seen: Observation | Missing, beside: Baseline | None = None) -> Intent:
    """The intent with its bad events beyond the parent's since the first write, the newest window included.

    What was spent until now is what was spent until the newest window began, by the looks of that time, and the excess
    in it. Of what lies before the first write none is expected. What nobody saw, because data was missing for longer
    than a window, is not counted.

    Of a canary, `seen` is its own window, and the parent's share is that of the pods beside it at the same time.
    """
    parent = beside or intent.baseline
    if isinstance(seen, Missing) or parent is None or seen.window.end <= intent.started_at:
        return intent
    since, begin = ((moment - intent.started_at).total_seconds() for moment in (seen.window.end, seen.window.start))
    spent, variance, looks = dict(intent.spent), dict(intent.variance), dict(intent.looks)
    for item, attained, base in _judged(spec, parent, seen):
        before = (look for look in looks.get(item.name, ()) if look[0] < since)  # the clock may have been set back
        known = tuple(before) or ((0.0, spent.get(item.name, 0.0)),)
        total = _until(known, begin) + attained.total - attained.good - (1 - base) * attained.total
        spent[item.name] = total
        variance[item.name] = _variance(spec, parent, base, attained.total / seen.window.seconds * since)
        later = [n for n, (when, _) in enumerate(known) if when > begin]  # and the one before them, to interpolate
        looks[item.name] = (*known[max(0, min(later, default=len(known)) - 1) :], (since, total))
    return replace(intent, spent=spent, variance=variance, looks=looks)


def _until(looks: Sequence[tuple[float, float]], moment: float) -> float:
    """What was spent until then, on a line between the looks around it; seconds since the first write."""
    if moment <= looks[0][0]:
        return looks[0][1]
    for (before, less), (after, more) in pairwise(looks):
        if moment <= after:
            return less + (more - less) * (moment - before) / (after - before)
    return looks[-1][1]


def _variance(spec: ProfileSpec, parent: Baseline, base: float, events: float) -> float:
    measured = max(1.0, parent.throughput * float(spec.guards.trial_window) * parent.windows)
    return bad_events.variance(bad_events.share(1 - base, measured), events, measured)


def overspent(
    spec: ProfileSpec,
    intent: Intent,
    seen: Observation | Missing,
    before: Before = NOBODY,
    beside: tuple[Baseline, Observation] | None = None,
) -> Overspent | None:
    """The first SLO whose stated share the trial, with those before it, has spent beyond what chance explains.

    Fewer events than `minimumEvents` since the first write prove nothing. Of a canary, `beside` is what the other pods
    did at the same time: the budget is that of the whole workload, and the bad events are the canary's alone.
    """
    parent = intent.baseline if beside is None else beside[0]
    if parent is None or isinstance(seen, Missing) or not served(parent):
        return None  # a backlog makes bad events by itself
    since = (seen.window.end - intent.started_at).total_seconds()
    for item, attained, base in _judged(spec, parent, seen):
        rate = attained.total / seen.window.seconds
        events = rate * since
        variance = _variance(spec, parent, base, events)
        rest = beside[1].slos.get(item.name) if beside is not None else None
        whole = rate + (rest.total / seen.window.seconds if isinstance(rest, Attainment) else 0.0)
        budget = _share(spec, item, whole * float(item.window))
        left = max(0.0, _left(budget, _within(item, before, seen.window.end), variance))
        used = intent.spent.get(item.name, 0.0)
        if events >= item.minimum_events and used > left:
            return Overspent(item.name, used, left, guilty=used > bad_events.chance(variance))
    return None


def already_spent(spec: ProfileSpec, parent: Baseline, seen: Observation, before: Before) -> Overspent | None:
    """The first SLO of which a trial that begins now would have spent too much as soon as `minimumEvents` are there:
    windows reach back before its write, and bring with them what was bad before."""
    if not served(parent):
        return None
    for item, attained, base in _judged(spec, parent, seen):
        spent = attained.total - attained.good - (1 - base) * attained.total
        variance = _variance(spec, parent, base, item.minimum_events)
        budget = _share(spec, item, attained.total / seen.window.seconds * float(item.window))
        left = max(0.0, _left(budget, _within(item, before, seen.window.end), variance))
        if attained.total >= item.minimum_events and spent > left:
            return Overspent(item.name, spent, left)
    return None


def ending(over: Overspent, now: datetime, jitter: float) -> Ending:
    """A setting is blamed for what it spent beyond chance, and not for what little was left for it."""
    if not over.guilty:
        return Ending(TrialState.INCONCLUSIVE, Reason.ERROR_BUDGET_SPENT, now, f"{over}, after trials before it")
    return Ending(TrialState.REVERTED, Reason.ERROR_BUDGET_SPENT, now, str(over), counted=True, jitter=jitter)


def guilty_before(over: Overspent, intent: Intent, moment: datetime) -> bool:
    """Were the setting's own bad events beyond chance before that moment, too?"""
    spent = _until(intent.looks.get(over.slo) or ((0.0, 0.0),), (moment - intent.started_at).total_seconds())
    return spent > bad_events.chance(intent.variance.get(over.slo, 0.0))


def used_up(snapshot: Snapshot, now: datetime) -> UsedUp | None:
    """The SLO that keeps a trial from beginning for the longest. None where every SLO has enough of its share left.

    One that the setting in force misses by itself keeps none back: a trial could spend nothing of it (`_judged`), and
    may be what mends it. Without events the budget is 0: then only what was spent beyond chance counts.
    """
    parent = baseline_of(snapshot.baseline_windows)
    found = []
    for item in snapshot.spec.slos:
        before = _within(item, snapshot.ledger.spent, now)
        base = parent.slo_shares.get(item.name) if parent is not None else None
        if not before or (base is not None and base < float(item.goal)):
            continue
        share = _share(snapshot.spec, item, _events(snapshot, item))
        if _left(share, before) >= WORTH * share:
            continue
        later = (tuple(b for b in before if b.until > a.until) for a in before)
        out = next(n for n, rest in enumerate(later) if _left(share, rest) >= WORTH * share)
        until = before[out].until + _length(item)
        found.append(UsedUp(item.name, sum(b.events for b in before), until))
    return max(found, key=lambda each: each.until, default=None)


def _events(snapshot: Snapshot, item: Slo) -> float:
    """Of the SLO's own window; where that was not asked, at the rate of the newest one."""
    own, seen = snapshot.slos.get(item.name), snapshot.observation
    if isinstance(own, Attainment):
        return own.total
    newest = seen.slos.get(item.name) if isinstance(seen, Observation) else None
    if isinstance(newest, Attainment) and isinstance(seen, Observation):
        return newest.total / seen.window.seconds * float(item.window)
    return 0.0


def remembered(spec: ProfileSpec, before: Ledger, after: Ledger, now: datetime) -> Ledger:
    """The ledger after a decision, with what the trial spent, once that and its way back are over.

    Bounded: of each SLO of the profile at most MERGED + 1 entries, all of its window. An entry stands for its trials
    until the last of them is out of the window, so they count for an eighth of it longer at the most.
    """
    ended = before.intent
    if ended is None or not ended.spent or (after.intent is not None and after.intent.id == ended.id):
        return after
    kept: dict[str, tuple[Spending, ...]] = {}
    for item in spec.slos:
        known = _within(item, after.spent, now)
        events = ended.spent.get(item.name, 0.0)
        if events > 0:  # what was better than the parent is no credit for others
            fresh = Spending(now, now, events, ended.variance.get(item.name, 0.0))
            known = _added(known, fresh, _length(item) / MERGED)
        if known:
            kept[item.name] = known
    return replace(after, spent=kept)


def _added(known: tuple[Spending, ...], fresh: Spending, span: timedelta) -> tuple[Spending, ...]:
    if not known or fresh.until - known[-1].since > span:
        return (*known, fresh)
    last = known[-1]
    events, variance = last.events + fresh.events, last.variance + fresh.variance
    return (*known[:-1], Spending(last.since, fresh.until, events, variance))


def told(intent: Intent) -> Mapping[str, float]:
    """What is worth a write of the ledger in mid-trial: how often what is beyond chance has grown by KEPT."""
    sure = {n: e - bad_events.chance(intent.variance.get(n, 0.0)) for n, e in intent.spent.items()}
    return {n: float(math.floor(math.log(e, KEPT))) for n, e in sorted(sure.items()) if e > 1}


def _left(share: float, before: Sequence[Spending], variance: float = 0.0) -> float:
    """The least of what the latest k trials before leave, for every k from none to all."""
    left, events = share + bad_events.chance(variance), 0.0
    for item in reversed(before):
        events, variance = events + item.events, variance + item.variance
        left = min(left, share + bad_events.chance(variance) - events)
    return left


def _share(spec: ProfileSpec, item: Slo, events: float) -> float:
    return float(spec.guards.error_budget_share * (1 - item.goal)) * events


def _length(item: Slo) -> timedelta:
    return timedelta(seconds=float(item.window))


def _within(item: Slo, before: Before, now: datetime) -> tuple[Spending, ...]:
    """What ended no longer ago than the SLO's window, oldest first."""
    return tuple(b for b in before.get(item.name, ()) if b.until > now - _length(item))


def _judged(spec: ProfileSpec, parent: Baseline, seen: Observation) -> Iterator[tuple[Slo, Attainment, float]]:
    """SLOs with events now that the parent met. Of one that was missed before, no budget is left to be shared out."""
    for item in spec.slos:
        attained, base = seen.slos.get(item.name), parent.slo_shares.get(item.name)
        if isinstance(attained, Attainment) and attained.total > 0 and base is not None and base >= float(item.goal):
            yield item, attained, base
