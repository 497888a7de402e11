"""Room on the way back: a rollback is never lost to a budget, and never exceeds one either. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from pegbox.core import cohorts, force, hpa_bounds, usage
from pegbox.model.knobs import LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import ProfileSpec
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Intent


def crowded(snapshot: Snapshot, workload: Workload, intent: Intent) -> str:
    """A way back that raises a budget's use waits while there are more pods than the setting lets live, and it would
    not fit with them: those of a rollout's surge, or such as still drain. "" where nothing stands in the way.

    A deletion waits for none of them: it promises the originals, and a rollout that is stuck would hold it for good.
    """
    if not intent.kind.goes_back or snapshot.deleting or intent.applied_at is not None:
        return ""
    fewer = usage.scaled(snapshot.spec, workload, intent.current)
    ahead = len(cohorts.members(snapshot.spec.space, intent, workload))
    now_uses, old_uses, later_uses = (
        usage.split_uses(snapshot, pods, rest, cohort, ahead)
        for pods, rest, cohort in (
            (workload, intent.current, intent.in_cohort),
            (workload, intent.before, intent.cohort_before),
            (fewer, intent.current, intent.in_cohort),
        )
    )
    for now, old, later in zip(now_uses, old_uses, later_uses, strict=True):
        if isinstance(now, Missing) or isinstance(old, Missing) or isinstance(later, Missing):
            continue
        if now.used > old.used and not now.fits and later.fits:
            return f"{now.name}: {float(now.used):g} of {float(now.limit):g} until pods are gone that are too many"
    return ""


def affordable(
    snapshot: Snapshot, workload: Workload, here: Setting, goal: Setting, kept: Collection[str] = ()
) -> Setting:
    """The goal, less the raises that do not fit a budget beside what somebody else wrote meanwhile (`kept`), and with
    the bounds of an HPA in order: a maximum that has to stay leaves less room."""
    goal = hpa_bounds.uncrossed(snapshot.spec, goal, kept)
    workload = usage.scaled(snapshot.spec, workload, goal)
    for item, use in zip(snapshot.spec.budgets, usage.uses(snapshot, workload, goal), strict=True):
        if isinstance(use, Missing) or use.fits:
            continue
        for name in usage.knob_names(snapshot.spec, item):
            before, after = here.get(name), goal.get(name)
            if isinstance(before, Fraction) and isinstance(after, Fraction) and before < after:
                goal = goal.with_values(**{name: before})
    return hpa_bounds.uncrossed(snapshot.spec, goal, kept)


def within(snapshot: Snapshot, workload: Workload, intent: Intent) -> Intent:
    """A way back, less the raises that do not fit beside what somebody else just wrote: that stays as it is."""
    if intent.cohort is None:
        fits = tuple(affordable(snapshot, workload, intent.parent, s, intent.keep) for s in intent.stages)
        return ordered(snapshot.spec, replace(intent, stages=fits))
    goal = intent.target
    for here in (intent.parent, intent.cohort.parent):
        goal = affordable(snapshot, workload, here, goal, intent.keep)
    goal = goal.with_values(**{n: intent.target[n] for n in intent.keep if n in intent.target})
    left = cohorts.Standing(intent.cohort.pods, intent.cohort.parent)
    stages, cohort = cohorts.together(snapshot.spec, intent.parent, goal, left)
    return ordered(snapshot.spec, replace(intent, stages=stages, cohort=cohort))


def ordered(spec: ProfileSpec, intent: Intent) -> Intent:
    """With the bounds of an HPA in order in all that is still to be written. What others set stays."""

    def each(stages: tuple[Setting, ...]) -> tuple[Setting, ...]:
        written, rest = stages[: intent.stage], stages[intent.stage :]
        theirs = {n: intent.target[n] for n in intent.keep if n in intent.target}
        return (*written, *(hpa_bounds.uncrossed(spec, s.with_values(**theirs), intent.keep) for s in rest))

    cohort = None if intent.cohort is None else replace(intent.cohort, stages=each(intent.cohort.stages))
    return replace(intent, stages=each(intent.stages), cohort=cohort)


def beside_silent(snapshot: Snapshot, workload: Workload, intent: Intent, silent: int) -> bool:
    """May the way back go on beside pods that never acknowledged? Where they fit at their old values, it may:
    a silent pod holds up a raise of a trial, never a rollback."""
    if not intent.kind.goes_back or intent.stage + 1 >= len(intent.stages):
        return False
    ahead = [] if intent.cohort is None else [intent.cohort.stages[intent.stage + 1]]
    old, new = [intent.before, intent.cohort_before], [intent.stages[intent.stage + 1], *ahead]
    return usage.fits_beside(snapshot, workload, silent, old, new)


def restart_waits(snapshot: Snapshot, workload: Workload, intent: Intent) -> bool:
    """Does the pod that a restart adds for a moment have to wait: for pods that are too many to go, or, until
    ackTimeout, for pods to read what was lowered?

    Not where neither would make room, since somebody else raised what stays as he set it: a trial's value in some of
    the pods for as long as he likes would be worse than one pod more, which each deploy of his adds as well.
    """
    unread = force.unread(snapshot.spec, snapshot.ledger, snapshot.document, workload)
    old, new = (intent.before, intent.cohort_before), (intent.current, intent.in_cohort)
    if usage.fits_beside(snapshot, workload, len(unread), old, new):
        return False
    if len(usage.scaled(snapshot.spec, workload, intent.current).unfinished) < len(workload.unfinished):
        return True
    if not unread or intent.applied_at is None or snapshot.read_at is None:
        return False
    return snapshot.read_at < intent.applied_at + timedelta(seconds=float(snapshot.spec.guards.ack_timeout))


def exceeds(snapshot: Snapshot, workload: Workload) -> str:
    """What a way back exceeds a budget by, while it restarts pods for which there is no room: "" where it does not.

    It goes on all the same (`restart_waits`), and that is said.
    """
    intent = snapshot.ledger.intent
    if intent is None or not intent.kind.goes_back or intent.applied_at is None:
        return ""
    if not force.to_restart(snapshot.spec.space, intent, workload) or restart_waits(snapshot, workload, intent):
        return ""
    unread = force.unread(snapshot.spec, snapshot.ledger, snapshot.document, workload)
    old, new = (intent.before, intent.cohort_before) if unread else (), (intent.current, intent.in_cohort)
    uses = usage.beside(snapshot, workload, len(unread), old, new)
    return _over(use for use in uses if isinstance(use, usage.Use))


def _over(uses: Iterable[usage.Use | Missing]) -> str:
    over = []
    for use in uses:
        if isinstance(use, Missing):
            over.append(use.detail or use.reason.value)
        elif not use.fits:
            over.append(f"{use.name}: {float(use.used):g} of {float(use.limit):g}")
    return ", ".join(over)


def replacing_waits(snapshot: Snapshot, workload: Workload, pods: Collection[str]) -> str:
    """Why pods that started with other variables are not replaced at rest yet: the pod that this adds does not fit, or
    nobody knows that it does. "" where it may begin.

    Each of them counts at what it runs, and all others at the incumbent. Where they use more of the budget than what
    takes their place, replacing them is the way back to where it holds, and does not wait.
    """
    incumbent = snapshot.ledger.incumbent
    if incumbent is None or not pods or not snapshot.spec.budgets:
        return ""
    sizes = (count(snapshot.spec, workload, snapshot.held, incumbent) for count in (usage.pods_bound, usage.most_pods))
    if len({*sizes}) == 1:
        return ""  # a StatefulSet starts no pod before the old one of its name has gone
    runs = _runs(workload, pods, incumbent)
    uses, lowered = usage.beside(snapshot, workload, len(runs), runs, [incumbent]), _lowered(snapshot, runs, incumbent)
    over = _over(use for use in uses if isinstance(use, Missing) or use.name not in lowered)
    if over:
        return f"{over} with the pod that this adds"
    unread = force.unread(snapshot.spec, snapshot.ledger, snapshot.document, workload)
    counted = {n for item in snapshot.spec.budgets for n in usage.knob_names(snapshot.spec, item)}
    if unread and counted.intersection(k.name for k in snapshot.spec.space.at(LocationKind.SETTINGS)):
        return f"{', '.join(unread)} may still run what was lowered"
    return ""


def replacing_lowers(snapshot: Snapshot, workload: Workload, pods: Collection[str]) -> bool:
    """Is replacing such pods the way back: is a budget exceeded as they run, which each of them replaced lowers?"""
    incumbent = snapshot.ledger.incumbent
    if incumbent is None or not pods:
        return False
    runs = _runs(workload, pods, incumbent)
    uses = usage.beside(snapshot, workload, len(runs), runs, [incumbent], usage.most_pods)
    lowered = _lowered(snapshot, runs, incumbent)
    return any(isinstance(use, usage.Use) and not use.fits and use.name in lowered for use in uses)


def _runs(workload: Workload, pods: Collection[str], incumbent: Setting) -> list[Setting]:
    """What each of them runs: the incumbent, but for the variables that it started with."""
    stale = [p for p in workload.unfinished if p.name in pods]
    return [incumbent.with_values(**{n: v for n, v in p.admitted.items() if n in incumbent}) for p in stale]


def _lowered(snapshot: Snapshot, runs: Iterable[Setting], incumbent: Setting) -> set[str]:
    """Budgets of which any such pod uses more than one at the incumbent."""
    after = usage.per_pod(snapshot, incumbent)
    return {name for each in runs for name, used in usage.per_pod(snapshot, each).items() if used > after[name]}
