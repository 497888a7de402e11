"""Room on the way back: a rollback is never lost to a budget, and never exceeds one either. Pure."""

from __future__ import annotations

from fractions import Fraction

from pegbox.core import usage
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Intent, IntentKind


def crowded(snapshot: Snapshot, workload: Workload, intent: Intent) -> str:
    """A way back that raises a budget's use waits while there are more pods than the setting lets live, and it would
    not fit with them: those of a rollout's surge, or such as still drain. "" where nothing stands in the way."""
    if intent.kind is not IntentKind.ROLLBACK or intent.applied_at is not None:
        return ""
    fewer = usage.scaled(snapshot.spec, workload, intent.current)
    seen = (
        usage.uses(snapshot, pods, setting) for pods, setting in ((workload, intent.current), (workload, intent.before))
    )
    for now, old, later in zip(*seen, usage.uses(snapshot, fewer, intent.current), strict=True):
        if isinstance(now, Missing) or isinstance(old, Missing) or isinstance(later, Missing):
            continue
        if now.used > old.used and not now.fits and later.fits:
            return f"{now.name}: {float(now.used):g} of {float(now.limit):g} until pods are gone that are too many"
    return ""


def affordable(snapshot: Snapshot, workload: Workload, here: Setting, goal: Setting) -> Setting:
    """The goal, less the raises that do not fit a budget beside what somebody else wrote meanwhile."""
    workload = usage.scaled(snapshot.spec, workload, goal)
    for item, use in zip(snapshot.spec.budgets, usage.uses(snapshot, workload, goal), strict=True):
        if isinstance(use, Missing) or use.fits:
            continue
        for name in usage.knob_names(snapshot.spec, item):
            before, after = here.get(name), goal.get(name)
            if isinstance(before, Fraction) and isinstance(after, Fraction) and before < after:
                goal = goal.with_values(**{name: before})
    return goal


def beside_silent(snapshot: Snapshot, workload: Workload, intent: Intent, silent: int) -> bool:
    """May the way back go on beside pods that never acknowledged? Where they fit at their old values, it may:
    a silent pod holds up a raise of a trial, never a rollback."""
    if intent.kind not in (IntentKind.ROLLBACK, IntentKind.RESTORE) or intent.stage + 1 >= len(intent.stages):
        return False
    return usage.fits_beside(snapshot, workload, silent, intent.before, intent.stages[intent.stage + 1])
