"""The share of an SLO's error budget that one trial may spend: `guards.errorBudgetShare`.

The budget of an SLO is (1 - goal) x the events of its own window, at the rate of now. Spent by a trial are the bad
events since its first write, less those that the parent's own share of bad events explains: a setting pays only for
what it made worse. Bad events are counted, so chance is allowed for:

    spent > share x (1 - goal) x events of the window + 3 x sqrt(2 x b x n x (1 + n / n0))

with b the parent's share of bad events, n the events since the first write, and n0 those that the parent was measured
on. The 2 stands for events that go bad in clumps, twice as noisy as Poisson's, as in `verify.p_more`.

Worked: goal 95 %, share 5 %, window 300 s, 10 events/s, a parent with 1 % bad of 2400. Allowed are 0.05 x 0.05 x 3000
= 7.5 events. After 120 s (1200 events) chance may add 3 x sqrt(2 x 0.01 x 1200 x 1.5) = 18. So 38 bad events (12 are
the parent's, 26 spent) are too many, and 37 are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pegbox.core.baseline import served
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import ProfileSpec, Slo
from pegbox.model.trials import Baseline, Intent

CHANCE = 3.0  # standard deviations: it is looked at with every scrape
CLUMPS = 2.0  # variance of counted events over Poisson's


@dataclass(frozen=True, slots=True)
class Overspent:
    """An SLO whose budget the trial spends too fast: events spent, and what was allowed for."""

    slo: str
    spent: float
    allowed: float

    def __str__(self) -> str:
        return f"SLO {self.slo}: {self.spent:.3g} bad events more than the parent's, {self.allowed:.3g} allowed"


def spent(
    spec: ProfileSpec, intent: Intent, seen: Observation | Missing, beside: Baseline | None = None
) -> Mapping[str, float]:
    """SLO -> bad events beyond the parent's since the trial's first write, the newest window included.

    In the first window's length the window holds the parent's time too, of which no excess is expected: its whole
    excess is the trial's. After that each new stretch of time adds its part of the newest window's; what nobody
    saw, because data was missing for longer than a window, is not counted.

    Of a canary, `seen` is its own window, and the parent's share is that of the pods beside it at the same time.
    """
    parent = beside or intent.baseline
    if isinstance(seen, Missing) or parent is None:
        return intent.spent
    end, length = seen.window.end, seen.window.seconds
    since = (end - intent.started_at).total_seconds()
    last = intent.last_sample_at or intent.started_at
    fresh = min(length, (end - last).total_seconds()) / length
    found = dict(intent.spent)
    for item, attained, base in _judged(spec, parent, seen):
        excess = attained.total - attained.good - (1 - base) * attained.total
        found[item.name] = excess if since <= length else found.get(item.name, 0.0) + excess * fresh
    return found


def overspent(
    spec: ProfileSpec, intent: Intent, seen: Observation | Missing, beside: tuple[Baseline, Observation] | None = None
) -> Overspent | None:
    """The first SLO whose stated share the trial has spent beyond what chance explains; None where none is.

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
        measured = max(1.0, parent.throughput * float(spec.guards.trial_window) * parent.windows)
        bad = max(1 - base, 1 / measured)  # none seen is not none there
        chance = CHANCE * math.sqrt(CLUMPS * bad * events * (1 + events / measured))
        rest = beside[1].slos.get(item.name) if beside is not None else None
        whole = rate + (rest.total / seen.window.seconds if isinstance(rest, Attainment) else 0.0)
        budget = float(spec.guards.error_budget_share * (1 - item.goal)) * whole * float(item.window)
        used = intent.spent.get(item.name, 0.0)
        if events >= item.minimum_events and used > budget + chance:
            return Overspent(item.name, used, budget + chance)
    return None


def _judged(spec: ProfileSpec, parent: Baseline, seen: Observation) -> Iterator[tuple[Slo, Attainment, float]]:
    """SLOs with events now that the parent met. Of one that was missed before, no budget is left to be shared out."""
    for item in spec.slos:
        attained, base = seen.slos.get(item.name), parent.slo_shares.get(item.name)
        if isinstance(attained, Attainment) and attained.total > 0 and base is not None and base >= float(item.goal):
            yield item, attained, base
