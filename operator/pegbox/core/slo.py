"""SLOs: counted attainment against the goal, burn rate, and the share of the error budget that was spent.

Formulas: burn rate = (bad / all) / (1 - goal); spent share = burn rate x window / budget period (Google SRE
Workbook, chapter 5). A burn rate of 1 spends the budget exactly by the end of the period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from pegbox.model.observations import Attainment, Missing
from pegbox.model.profile import Slo
from pegbox.model.reasons import Reason

BUDGET_PERIOD = Fraction(30 * 24 * 3600)
"""Seconds over which an error budget is counted where nothing else is said."""
TOLERANCE = 1e-9
"""Relative. Rates times seconds give 189.9999999 for 190 events: that is no breach."""


class SloState(StrEnum):
    MET = "Met"
    BREACHED = "Breached"


@dataclass(frozen=True, slots=True)
class SloJudgement:
    """One SLO in one window. `slack` is share minus goal: 0 or more is feasible."""

    name: str
    state: SloState
    share: float
    slack: float
    burn_rate: float
    events: float


def judge(slo: Slo, seen: Attainment | Missing) -> SloJudgement | Missing:
    """Met, breached, or why that cannot be said: fewer than `minimumEvents` prove nothing either way."""
    if isinstance(seen, Missing):
        return seen
    if seen.total < slo.minimum_events * (1 - TOLERANCE) or seen.total <= 0:
        return Missing(
            Reason.TOO_FEW_EVENTS,
            f"SLO {slo.name}: {seen.total:.0f} events in {float(slo.window):g} s, needs {slo.minimum_events}",
        )
    goal = float(slo.goal)
    met = seen.good >= goal * seen.total * (1 - TOLERANCE)
    return SloJudgement(
        name=slo.name,
        state=SloState.MET if met else SloState.BREACHED,
        share=seen.share,
        slack=seen.share - goal,
        burn_rate=burn_rate(seen, slo.goal),
        events=seen.total,
    )


def burn_rate(seen: Attainment, goal: Fraction) -> float:
    """How many times faster than allowed the error budget is spent; infinite for a bad event of a goal of 1."""
    bad = max(0.0, 1.0 - seen.share)
    allowed = float(1 - goal)
    if bad <= TOLERANCE:
        return 0.0
    return bad / allowed if allowed > 0 else math.inf


def budget_spent(rate: float, window: Fraction, period: Fraction = BUDGET_PERIOD) -> float:
    """Share of the period's error budget spent by `window` seconds at this burn rate."""
    return rate * float(window / period)


def burning(short: float | Missing, long: float | Missing, limit: float) -> bool | Missing:
    """Does the budget burn faster than `limit`, now and for long enough to matter?

    Both windows must exceed it: the long one alone keeps alarming after the end, the short one alone
    alarms at every hiccup. A window that is missing is no evidence, unless the other one already says no.
    """
    known = [rate for rate in (short, long) if not isinstance(rate, Missing)]
    if any(rate <= limit for rate in known):
        return False
    if isinstance(short, Missing):
        return short
    return long if isinstance(long, Missing) else True
