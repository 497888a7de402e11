"""Cut short: what ends a trial at any moment, and the samples that are counted for it. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pegbox.core import (
    canary,
    cohorts,
    deploys,
    error_budget,
    force,
    guards,
    measure,
    pod_env,
    sizing,
    tokens,
    usage,
    verify,
)
from pegbox.core.baseline import baseline_of
from pegbox.core.guards.workload import UNPULLED
from pegbox.core.read_back import ledger_and_intent, unwritten
from pegbox.core.transitions import Ending
from pegbox.model.decisions import Admission
from pegbox.model.knobs import Effect
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import Mode, OnNoData
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Intent, IntentKind, TrialState


def must_end(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Ending | None:
    """What ends a trial at any moment: a deploy, damage, bad samples, a spent error budget, a request, an edit.

    A deploy before all harm: from then on it is other code that answers, and nobody can tell whose harm it is. An edit
    of what is measured before all that figures tell.
    """
    _, intent = ledger_and_intent(snapshot)
    if deploys.came(intent, workload):
        return Ending(TrialState.INCONCLUSIVE, Reason.DEPLOYED, now)
    damage = _damage(snapshot, workload, intent)
    if damage is not None:
        return Ending(TrialState.REVERTED, damage.reason, now, damage.detail, counted=True, jitter=jitter)
    if snapshot.refusal is None and measure.edited(snapshot.spec, intent):
        return Ending(TrialState.INCONCLUSIVE, Reason.PROFILE_CHANGED, now, "another thing is measured than before it")
    hurt = (canary.hurt if intent.canary else _hurt)(snapshot, workload, now, jitter)
    return hurt or _whatever_it_does(snapshot, workload, now)


def _damage(snapshot: Snapshot, workload: Workload, intent: Intent) -> verify.Judgement | None:
    """To the pods that run it."""
    if intent.canary:
        workload = replace(workload, pods=cohorts.members(snapshot.spec.space, intent, workload))
    return verify.damage(intent.started_at, workload)


def _hurt(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Ending | None:
    """Harm that shows in the whole workload."""
    ledger, intent = ledger_and_intent(snapshot)
    others = verify.disturbed(snapshot.spec, intent, snapshot.observation)
    if intent.bad_samples >= verify.BAD_SAMPLES:
        why = f"{intent.bad_samples} bad samples since {intent.first_bad_at}"
        if verify.load_surged(snapshot.observation, intent.baseline):
            return Ending(TrialState.INCONCLUSIVE, Reason.LOAD_CHANGED, now, why)
        if intent.disturbed >= intent.bad_samples:
            return Ending(TrialState.INCONCLUSIVE, others or Reason.SCALED, now, f"{why}, {verify.BY_OTHERS}")
        reason = verify.bad_for(intent, snapshot.observation, snapshot.spec) or Reason.REGRESSION
        return Ending(TrialState.REVERTED, reason, now, why, counted=True, jitter=jitter)
    seen = snapshot.observation
    over = error_budget.overspent(snapshot.spec, intent, seen, ledger.spent)
    if over is not None and not (isinstance(seen, Observation) and verify.more_came(intent, [seen])):
        if verify.load_surged(snapshot.observation, intent.baseline):
            return Ending(TrialState.INCONCLUSIVE, Reason.LOAD_CHANGED, now, str(over))
        if others and isinstance(seen, Observation) and not error_budget.guilty_before(over, intent, seen.window.start):
            return Ending(TrialState.INCONCLUSIVE, others, now, f"{over}, {verify.BY_OTHERS}")
        return error_budget.ending(over, now, jitter)
    return None


def bad_before(snapshot: Snapshot, now: datetime, reason: Reason = Reason.TRIAL_STARTED) -> Missing | None:
    """Why no trial is to begin now: the newest window is bad as it is, and the first ones after the write reach back
    into it. Then it would be blamed for what was there before.

    What is as bad for long becomes the baseline, and then keeps nothing back.
    """
    seen, spec, parent = snapshot.observation, snapshot.spec, snapshot.ledger.incumbent
    base = baseline_of(snapshot.baseline_windows)
    if isinstance(seen, Missing) or base is None or parent is None or guards.data.unseen(spec, seen, now) is not None:
        return None
    intent = Intent("", IntentKind.TRIAL, parent, (parent,), now, 0, reason=reason, baseline=base)
    found = verify.bad_for(intent, seen, spec)
    if found is not None:
        return Missing(found, "in the newest window, before any trial")
    over = error_budget.already_spent(spec, base, seen, snapshot.ledger.spent)
    if over is None or verify.more_came(intent, [seen]):
        return None
    return Missing(Reason.SLO_BREACHED, f"in the newest window, before any trial: {over}")


def _whatever_it_does(snapshot: Snapshot, workload: Workload, now: datetime) -> Ending | None:
    """What ends a trial, however well it does."""
    _, intent = ledger_and_intent(snapshot)
    if snapshot.spec.mode is not Mode.AUTO:
        return Ending(TrialState.INCONCLUSIVE, Reason.MODE_RECOMMEND, now, "the mode was turned away from Auto")
    unpulled = _unpulled(snapshot, workload, intent)
    if unpulled:
        return Ending(TrialState.INCONCLUSIVE, Reason.WORKLOAD_NOT_READY, now, unpulled)
    forgotten = sorted(intent.moved & snapshot.spec.forgotten)
    if forgotten:
        reason = Reason.PROFILE_CHANGED if snapshot.refusal is None else snapshot.refusal.reason
        return Ending(TrialState.INCONCLUSIVE, reason, now, f"only the ledger still knows {', '.join(forgotten)}")
    stuck = sizing.impossible(snapshot, workload)
    if stuck:
        return Ending(TrialState.INCONCLUSIVE, Reason.RESIZE_NOT_POSSIBLE, now, stuck)
    refusal = sizing.refused(snapshot, intent.parent.diff(intent.target))
    if refusal is not None:
        return Ending(TrialState.INCONCLUSIVE, refusal.reason, now, refusal.detail)
    if cohorts.edited(snapshot, intent):
        return Ending(TrialState.INCONCLUSIVE, Reason.FOREIGN_CHANGE, now, "the document's cohorts were edited")
    theirs = sizing.odd(snapshot)  # of another knob, too: it is not the trial's doing what these pods do
    if theirs:
        return Ending(TrialState.INCONCLUSIVE, Reason.FOREIGN_CHANGE, now, f"resized by others: {theirs}")
    unadmitted = pod_env.failed(snapshot, intent)
    if unadmitted is not None:
        return Ending(TrialState.INCONCLUSIVE, unadmitted.reason, now, unadmitted.detail)
    if tokens.wants_rollback(snapshot):
        return Ending(TrialState.REVERTED, Reason.REQUESTED, now, "rollback requested")
    urgent = intent.urgent or intent.reason is Reason.LIMITS_NARROWED  # as it began: its own success ends no urgency
    frozen = guards.waiting.frozen(guards.as_urgent(snapshot) if urgent else snapshot, now)
    goes_on = _still_to_write(snapshot, intent) or _still_to_restart(snapshot, workload, intent)
    writes = goes_on or sizing.behind(snapshot)  # a pod that began meanwhile is resized, too (seed 710003917)
    if frozen.admission is Admission.REFUSE and not intent.requested and writes:
        return Ending(TrialState.INCONCLUSIVE, Reason.FROZEN, now, frozen.detail)
    if snapshot.refusal is not None and goes_on:  # a freeze or a limit that was edited since is not known either
        return Ending(TrialState.INCONCLUSIVE, snapshot.refusal.reason, now, snapshot.refusal.detail)
    brake = guards.brakes.why(snapshot) or guards.brakes.opened(snapshot)
    if brake is not None:  # nobody is to blame: no breaker counts it
        return Ending(TrialState.INCONCLUSIVE, brake.reason, now, brake.detail)
    silent = _silent(snapshot, intent, now) if goes_on else None
    if silent is not None:
        return silent
    parent = snapshot.ledger.incumbent or intent.parent
    refused = guards.limits.bounds(snapshot, parent, intent.target)
    if guards.first_refusal((refused,)) is not None:
        return Ending(TrialState.INCONCLUSIVE, Reason.PROFILE_CHANGED, now, refused.detail)
    use = guards.budgets_guard.budgets(_restarting(snapshot, workload, intent), parent, intent.target)
    # A lowered limit, or pods that others added. Before a raise, too, where nobody can tell any more what fits.
    unknown = use.admission is Admission.REFUSE and goes_on
    if use.reason is Reason.BUDGET_EXCEEDED or unknown:
        return Ending(TrialState.INCONCLUSIVE, use.reason, now, use.detail)
    patience = timedelta(seconds=float(snapshot.spec.guards.ack_timeout))
    tried = intent.applied_at is None and intent.stage_at is not None and now >= intent.stage_at + patience
    if tried and unwritten(snapshot, intent):
        unseen = blind(snapshot, now)
        if unseen is not None:  # nobody wrote them again
            return Ending(TrialState.INCONCLUSIVE, unseen.reason, now, "no data to write on with until ackTimeout")
        why = "the values were not found as written: refused, or put back by somebody else"
        return Ending(TrialState.INCONCLUSIVE, Reason.WRITE_FAILED, now, why)
    return None


def _restarting(snapshot: Snapshot, workload: Workload, intent: Intent) -> Snapshot:
    """The pod more by which a trial restarts is counted once: ahead, as before it began, and not as a pod of others."""
    space = snapshot.spec.space
    if not any(n in space and space[n].effect is Effect.RESTART for n in intent.moved):
        return snapshot
    return replace(snapshot, workload=usage.scaled(snapshot.spec, workload, intent.target))


def blind(snapshot: Snapshot, now: datetime) -> Missing | None:
    """Why a trial may write nothing new at this look, nor restart a pod; None where it may."""
    intent = snapshot.ledger.intent
    if intent is None or intent.kind is not IntentKind.TRIAL:
        return None
    return guards.data.blind(snapshot.spec, snapshot.observation, now)


def _silent(snapshot: Snapshot, intent: Intent, now: datetime) -> Ending | None:
    """What ends a trial that waits for figures to go on: an SLO that reverts, once there were none for as long as a
    window; else trialTimeout since the stage began. Once in force, the verdict asks the same (`verify.no_data`)."""
    unseen = blind(snapshot, now)
    if unseen is None or intent.in_force_at is not None or intent.stage_at is None:
        return None
    spec = snapshot.spec
    known = max(intent.stage_at, intent.last_sample_at or intent.stage_at)
    reverts = sorted(item.name for item in spec.slos if item.on_no_data is OnNoData.REVERT)
    if reverts and now > known + timedelta(seconds=float(spec.guards.trial_window)):
        return Ending(TrialState.REVERTED, unseen.reason, now, f"SLO {reverts[0]}: onNoData Revert")
    if now > intent.stage_at + timedelta(seconds=float(spec.guards.trial_timeout)):
        return Ending(TrialState.INCONCLUSIVE, unseen.reason, now, "no data to go on with until trialTimeout")
    return None


def _still_to_write(snapshot: Snapshot, intent: Intent) -> bool:
    """Would the trial still write something new? In a freeze it goes back instead; what is in force may be judged."""
    return intent.stage + 1 < len(intent.stages) or (intent.applied_at is None and unwritten(snapshot, intent))


def _unpulled(snapshot: Snapshot, workload: Workload, intent: Intent) -> str:
    """Pods that cannot have their image while restarts of the trial are under way: each of these would end one more."""
    if intent.in_force_at is not None or not force.restarting(snapshot.spec.space, intent):
        return ""
    late = sorted((p.name, p.waiting) for p in workload.unfinished if p.waiting in UNPULLED and not p.terminating)
    return ", ".join(f"{name}: {waiting}" for name, waiting in late)


def _still_to_restart(snapshot: Snapshot, workload: Workload, intent: Intent) -> bool:
    """Would the trial still restart a pod?"""
    space = snapshot.spec.space
    restarts = intent.in_force_at is None and force.restarting(space, intent)
    return bool(restarts and force.outdated(space, intent, workload))


def note_sample(snapshot: Snapshot) -> Snapshot:
    """Count the newest window for the hard guards, once per window; a good one starts the count again. On a trial's way
    back only what it spends is counted on: until its parent is in force it is its time."""
    intent, seen = snapshot.ledger.intent, snapshot.observation
    if intent is None or intent.stage_at is None or measure.edited(snapshot.spec, intent):
        return snapshot
    if intent.kind is IntentKind.ROLLBACK and intent.state is not None:
        return _with(snapshot, _spending(snapshot, intent))
    if intent.kind is not IntentKind.TRIAL:
        return snapshot
    if intent.canary:
        return _with(snapshot, canary.noted(snapshot, intent))
    if not isinstance(seen, Observation) or seen.window.end <= intent.stage_at or not _newer(seen, intent):
        return snapshot
    bad = verify.bad_for(intent, seen, snapshot.spec) is not None
    others = verify.disturbed(snapshot.spec, intent, seen) is not None
    before = intent.disturbed if intent.bad_samples else 0
    noted = _spending(snapshot, intent)
    noted = replace(
        noted,
        last_sample_at=seen.window.end,
        bad_samples=intent.bad_samples + 1 if bad else 0,
        disturbed=before + others if bad else 0,
        first_bad_at=(intent.first_bad_at or seen.window.end) if bad else None,
    )
    return _with(snapshot, noted)


def _newer(seen: Observation, intent: Intent) -> bool:
    return intent.last_sample_at is None or seen.window.end > intent.last_sample_at


def _spending(snapshot: Snapshot, intent: Intent) -> Intent:
    seen = snapshot.observation
    if not isinstance(seen, Observation) or not _newer(seen, intent):
        return intent
    if verify.more_came(intent, [seen]):  # what that load does, the trial does not
        return replace(intent, last_sample_at=seen.window.end)
    return replace(error_budget.noted(snapshot.spec, intent, seen), last_sample_at=seen.window.end)


def _with(snapshot: Snapshot, intent: Intent) -> Snapshot:
    return replace(snapshot, ledger=replace(snapshot.ledger, intent=intent))
