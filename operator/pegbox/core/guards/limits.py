"""Bounds, steps, class rules, and the memory of what failed."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from pegbox.core import hpa_bounds, narrowed, steps
from pegbox.core import rules as class_rules
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.knobs import Setting
from pegbox.model.profile import Guards
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import BreakerState, TrialState, TrialSummary

REMEMBERED = 10  # trials: for as long as so many of them would take, a reverted setting is not tried again
SUSPECT = (Reason.SCALED, Reason.ROLLOUT_IN_PROGRESS)  # did badly, but only while others changed the pods
LONGEST = timedelta(days=7)  # loads and neighbours come again by the week


def _admit(guard: str) -> Verdict:
    return Verdict(guard, Admission.ADMIT, Reason.WITHIN_LIMITS)


def bounds(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Verdict:
    """Hard limits of class and profile; a pinned or recommend-only knob does not move at all.

    From outside of limits that were narrowed a step towards them is let through.
    """
    space = snapshot.spec.space
    for name in parent.diff(wanted):
        if name not in space or name not in parent or name not in wanted:
            return Verdict("bounds", Admission.REFUSE, Reason.OUT_OF_BOUNDS, f"{name} is no knob of this profile")
        knob = space[name]
        if not knob.tunable:
            return Verdict("bounds", Admission.REFUSE, Reason.OUT_OF_BOUNDS, f"{name} is pinned or recommend-only")
        if not knob.admits(wanted[name]) and not narrowed.nearer(knob, parent[name], wanted[name]):
            texts = [knob.type.format(v) for v in (knob.minimum, knob.maximum) if v is not None]
            allowed = " to ".join(texts) or ", ".join(knob.choices)
            detail = f"{name}={knob.type.format(wanted[name])} is outside of {allowed}"
            return Verdict("bounds", Admission.REFUSE, Reason.OUT_OF_BOUNDS, detail)
    return _admit("bounds")


def step(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Verdict:
    """maxStep of every moved knob; a Cap carries the nearest setting within reach. The smallest while HalfOpen."""
    smallest = snapshot.ledger.breaker.state is BreakerState.HALF_OPEN
    far = steps.too_far(snapshot.spec.space, parent, wanted, smallest=smallest)
    if not far:
        return _admit("step")
    capped = steps.nearest(snapshot.spec.space, parent, wanted, smallest=smallest)
    if capped is None or capped == parent:
        return Verdict("step", Admission.REFUSE, Reason.STEP_TOO_LARGE, ", ".join(far))
    return Verdict("step", Admission.CAP, Reason.STEP_TOO_LARGE, ", ".join(far), capped)


def rules(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Verdict:
    """Comparisons of the class, such as pool_size <= worker_count * 4; and an HPA's bounds have an order."""
    crossed = hpa_bounds.crossed(snapshot.spec, wanted)
    broken = (*class_rules.violated(snapshot.spec.rules, wanted), *([crossed] if crossed else ()))
    if broken:
        return Verdict("rules", Admission.REFUSE, Reason.RULE_VIOLATED, "; ".join(broken))
    return _admit("rules")


def recent_failures(snapshot: Snapshot) -> list[TrialSummary]:
    """Reverted trials that are not forgotten yet: what failed under one load may be right under the next.

    The memory decays, but more slowly for what failed again: each failure of the same setting doubles its time. Those
    that did badly while others changed the pods are among them: an autoscaler may have acted because of their harm.
    """
    failed = [t for t in snapshot.ledger.trials if t.state is TrialState.REVERTED or _suspect(t)]
    if snapshot.read_at is None:
        return failed[-REMEMBERED:]
    times: Counter[Setting] = Counter()
    kept = []
    for trial in failed:  # oldest first
        times[trial.setting] += 1
        if trial.ended_at + remembered(snapshot.spec.guards, times[trial.setting]) >= snapshot.read_at:
            kept.append(trial)
    return kept


def _suspect(trial: TrialSummary) -> bool:
    return trial.state is TrialState.INCONCLUSIVE and trial.reason in SUSPECT


def remembered(guards: Guards, times: int) -> timedelta:
    """For how long a setting that failed so many times is not tried again: 130 min by default, then twice that."""
    seconds = REMEMBERED * float(guards.settle + guards.trial_window + guards.cooldown)
    doubled = timedelta(seconds=seconds * 2.0 ** min(times - 1, 20))
    return min(doubled, max(LONGEST, timedelta(seconds=seconds)))


def left_alone(snapshot: Snapshot) -> dict[str, datetime]:
    """Knob -> until when it is left to others, who set it again after we had moved it.

    A controller that heals, a chart's next upgrade, a person: each time is a decision of theirs, and to try it again
    at once would be a war at the pace of trials. A trial of it that was accepted, and stayed, ends the count.
    """
    times: Counter[str] = Counter()
    until: dict[str, datetime] = {}
    for trial in snapshot.ledger.trials:  # oldest first
        for name in trial.foreign:
            times[name] += 1
            until[name] = trial.ended_at + remembered(snapshot.spec.guards, times[name])
        if trial.state is TrialState.ACCEPTED:
            for name in set(trial.parent.diff(trial.setting)) - set(trial.foreign):
                times.pop(name, None)
                until.pop(name, None)
    now = snapshot.read_at
    return {name: end for name, end in until.items() if now is None or end >= now}


def recently_failed(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Verdict:
    """The same setting was reverted among the newest trials of this revision, or others set one of its knobs again."""
    alone = left_alone(snapshot)
    for name in parent.diff(wanted):
        if name in alone:
            detail = f"others set {name} again: it is left to them until {alone[name].isoformat()}"
            return Verdict("recently-failed", Admission.REFUSE, Reason.FOREIGN_CHANGE, detail)
    for trial in recent_failures(snapshot):
        if trial.setting == wanted:
            return Verdict("recently-failed", Admission.REFUSE, Reason.RECENTLY_FAILED, trial.reason.value)
    return _admit("recently-failed")
