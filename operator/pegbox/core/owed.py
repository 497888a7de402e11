"""Owed: what a way back left lowered, since more would not fit beside what others set: into a budget, or, of an HPA's
minimum, under its maximum; and a maximum that it had to leave above a minimum of theirs. Pure.

The ledger remembers the value (`transitions.owing`), and it returns at rest once it fits, as the rest of the way back.
Nothing is owed any more where somebody else set the knob, where a trial was accepted, or where a person asked for
another setting.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from pegbox.core import guards, transitions, under_way
from pegbox.core.transitions import Begin
from pegbox.core.wording import in_words
from pegbox.model.decisions import Admission, Decision, Event
from pegbox.model.knobs import LocationKind, Setting
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger


def still(spec: ProfileSpec, ledger: Ledger) -> Ledger:
    """What stands as it was, or is no knob any more, is not owed. Nor is what stands higher, but for an HPA's maximum:
    of that more is left only where a minimum of others holds it up."""
    if ledger.owed is None or ledger.incumbent is None:
        return ledger
    here = ledger.incumbent
    most = {k.name for k in spec.space.at(LocationKind.HPA_MAX)}
    return transitions.owing(
        ledger, foreign=[n for n, v in ledger.owed.items() if not _short(here.get(n), v, higher=n in most)]
    )


def _short(here: object, owed: object, *, higher: bool) -> bool:
    """Does it stand lower than what is owed, or otherwise at all?"""
    return isinstance(here, Fraction) and isinstance(owed, Fraction) and (here != owed if higher else here < owed)


def returned(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision | None:
    """Begin to put back as much as fits by now, if any of it does."""
    ledger = snapshot.ledger
    if ledger.owed is None or not guards.brakes.free(snapshot):
        return None
    if guards.waiting.frozen(snapshot, now).admission is Admission.REFUSE:
        return None  # nothing urgent: it may cost restarts
    incumbent = ledger.incumbent
    assert incumbent is not None
    goal = _fitting(snapshot, incumbent, ledger.owed)
    if goal == incumbent:
        return None
    text = f"there is room again for {in_words(snapshot.spec.space, goal, incumbent)}"
    item = Begin(IntentKind.ROLLBACK, goal, Reason.ROLLING_BACK, now, why=text, revision=workload.revision)
    decision = under_way.start(snapshot, workload, item, now)
    return replace(decision, message=text, events=(Event(Reason.ROLLING_BACK, text),))


def _fitting(snapshot: Snapshot, incumbent: Setting, owed: Setting) -> Setting:
    """One knob after the other, as far as every budget and every rule allows."""
    goal = incumbent
    for name, value in owed.items():
        more = goal.with_values(**{name: value})
        verdicts = (
            guard(snapshot, incumbent, more)
            for guard in (
                guards.ownership.owned,
                guards.limits.bounds,
                guards.limits.rules,
                guards.budgets_guard.budgets,
            )
        )
        goal = goal if any(v.admission is Admission.REFUSE for v in verdicts) else more
    return goal
