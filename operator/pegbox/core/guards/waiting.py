"""Guards that only wait: mode, the right to write, pause, halt, breaker, cool-down, freezes, a spent error budget."""

from __future__ import annotations

from datetime import datetime

from pegbox.core import error_budget, freeze, slo
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import BreakerState


def _verdict(guard: str, refusal: Reason | None, detail: str = "") -> Verdict:
    if refusal is None:
        return Verdict(guard, Admission.ADMIT, Reason.WITHIN_LIMITS)
    return Verdict(guard, Admission.REFUSE, refusal, detail)


def mode(snapshot: Snapshot, now: datetime) -> Verdict:
    """Only Auto may start a trial."""
    refusals = {Mode.OBSERVE: Reason.MODE_OBSERVE, Mode.RECOMMEND: Reason.MODE_RECOMMEND}
    return _verdict("mode", refusals.get(snapshot.spec.mode))


def writes(snapshot: Snapshot, now: datetime) -> Verdict:
    """An install that may write to no workload starts nothing: nobody could see it fail, and it would hold slots."""
    return _verdict("writes", None if snapshot.writes else Reason.WRITES_NOT_ALLOWED)


def paused(snapshot: Snapshot, now: datetime) -> Verdict:
    """The verb `pause`, until its time."""
    until = snapshot.ledger.paused_until
    return _verdict("paused", Reason.PAUSED if until is not None and now < until else None, f"until {until}")


def halted(snapshot: Snapshot, now: datetime) -> Verdict:
    """The last known good setting fails as well: nothing is tried until it recovers or a person resets."""
    return _verdict("halted", snapshot.ledger.halted)


def breaker(snapshot: Snapshot, now: datetime) -> Verdict:
    """Open: no trials at all, asked for or not."""
    state = snapshot.ledger.breaker
    refused = state.state is BreakerState.OPEN
    return _verdict("breaker", Reason.BREAKER_OPEN if refused else None, f"until {state.until}")


def cooldown(snapshot: Snapshot, now: datetime) -> Verdict:
    until = snapshot.ledger.cooldown_until
    waits = until is not None and now < until
    return _verdict("cooldown", Reason.COOLING_DOWN if waits else None, f"until {until}")


def frozen(snapshot: Snapshot, now: datetime) -> Verdict:
    """A freeze of the profile is in force. Where it allows what is urgent, a missed SLO may be mended."""
    for item in snapshot.spec.freezes:
        if freeze.in_force(item, now) and not (item.allow_urgent and urgent(snapshot)):
            return _verdict("frozen", Reason.FROZEN, f"freeze {item.name}")
    return _verdict("frozen", None)


def urgent(snapshot: Snapshot) -> bool:
    """A breach over the SLO's own window: a bad scrape or two are no reason to act in a freeze."""
    found = slo.standing(snapshot).values()
    return any(not isinstance(v, Missing) and v.state is slo.SloState.BREACHED for v in found)


def spent(snapshot: Snapshot, now: datetime) -> Verdict:
    """Earlier trials left too little of an SLO's error budget: nobody's wish, urgent or by a person, spends more."""
    used = error_budget.used_up(snapshot, now)
    return _verdict("error-budget", Reason.ERROR_BUDGET_SPENT if used is not None else None, str(used))
