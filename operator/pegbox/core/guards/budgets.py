"""Budgets: the setting, and every setting on the way to it, stays within each limit; one trial per shared budget."""

from __future__ import annotations

from pegbox.core import usage
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts, Snapshot


def budgets(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Verdict:
    if isinstance(snapshot.workload, Missing):
        return Verdict("budget", Admission.REFUSE, snapshot.workload.reason, snapshot.workload.detail)
    spec = snapshot.spec
    for stage in usage.stages(spec, parent, wanted):
        for use in usage.uses(snapshot, snapshot.workload, stage):
            if isinstance(use, Missing):
                return Verdict("budget", Admission.REFUSE, use.reason, use.detail)
            if not use.fits and not _lowers(snapshot, use, parent):
                detail = f"{use.name}: {float(use.used):g} of {float(use.limit):g}"
                return Verdict("budget", Admission.REFUSE, Reason.BUDGET_EXCEEDED, detail)
    for facts in snapshot.budgets.values():
        if isinstance(facts, SharedBudgetFacts) and facts.trial_holder not in ("", spec.key):
            detail = f"{facts.name}: a trial of {facts.trial_holder} is in flight"
            return Verdict("budget", Admission.REFUSE, Reason.WAITING_FOR_BUDGET, detail)
    return Verdict("budget", Admission.ADMIT, Reason.WITHIN_LIMITS)


def _lowers(snapshot: Snapshot, use: usage.Use, parent: Setting) -> bool:
    """A budget that somebody else's change exceeds may still be approached from above."""
    if isinstance(snapshot.workload, Missing):
        return False
    for before in usage.uses(snapshot, snapshot.workload, parent):
        if isinstance(before, usage.Use) and before.name == use.name:
            return use.used < before.used
    return False
