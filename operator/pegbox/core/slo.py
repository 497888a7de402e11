"""SLOs: counted attainment against the goal.

At rest each is judged over its own window, and in a trial over the trial's windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import OnNoData, Slo
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot

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
        events=seen.total,
    )


def standing(snapshot: Snapshot) -> Mapping[str, SloJudgement | Missing]:
    """Each SLO over its own window: what conditions, status and freezes go by."""
    unasked = Missing(Reason.NO_DATA, "not asked over its own window yet")
    return {item.name: judge(item, snapshot.slos.get(item.name, unasked)) for item in snapshot.spec.slos}


def headroom(snapshot: Snapshot) -> bool | Missing:
    """Are all SLOs met at rest, with those left out that have no data and whose policy is Ignore?

    The own window may reach back before the setting in force. So an SLO is missed, or met, where the newest window
    of that setting does not say the contrary; where it does, neither is certain yet, and nothing is raised or cut.
    """
    seen = snapshot.observation
    verdict: bool | Missing = True
    for item in snapshot.spec.slos:
        own = judge(item, snapshot.slos.get(item.name, Missing(Reason.NO_DATA, f"SLO {item.name}")))
        if isinstance(own, Missing):
            if item.on_no_data is not OnNoData.IGNORE and verdict is True:
                verdict = own
            continue
        newest = (
            judge(item, seen.slos.get(item.name, Missing(Reason.NO_DATA))) if isinstance(seen, Observation) else seen
        )
        if isinstance(newest, Missing) or newest.state is own.state:
            if own.state is SloState.BREACHED:
                return False
        elif verdict is True:
            text = f"SLO {item.name}: {own.state.value} over its window, {newest.state.value} in the newest one"
            verdict = Missing(Reason.SLO_AT_RISK, text)
    return verdict
