"""An intent under way: write, wait until in force, judge, accept or put back. Every step may be run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from pegbox.core import (
    canary,
    cohorts,
    error_budget,
    force,
    guards,
    hpa_bounds,
    left_behind,
    looks,
    overdrawn,
    pod_env,
    room,
    sizing,
    tokens,
    transitions,
    verify,
)
from pegbox.core.transitions import Begin, Ending
from pegbox.core.wording import in_words
from pegbox.model.decisions import Action, Admission, Decision, Event
from pegbox.model.knobs import KnobValue, LocationKind, Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import Mode
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Intent, IntentKind, Ledger, TrialState

STATE_REASONS = {
    TrialState.REVERTED: Reason.TRIAL_REVERTED,
    TrialState.INCONCLUSIVE: Reason.TRIAL_INCONCLUSIVE,
}


def start(snapshot: Snapshot, workload: Workload, item: Begin, now: datetime) -> Decision:
    """Begin a trial: the intent goes into the ledger, and its first stage is desired."""
    parent = snapshot.ledger.incumbent
    assert parent is not None
    if item.kind is IntentKind.TRIAL:
        item = replace(item, cohort=cohorts.chosen(snapshot, workload, parent, item.target))
    ledger = transitions.begin(snapshot.spec, snapshot.ledger, parent, item)
    decision = write(replace(snapshot, ledger=ledger), workload, now, Action.START)
    event = Event(item.reason, f"trying {in_words(snapshot.spec.space, item.target, parent)}: {item.why}")
    return replace(decision, reason=item.reason, message=event.message, events=(event,))


def write(snapshot: Snapshot, workload: Workload, now: datetime, action: Action) -> Decision:
    """Desire the stage under way. Its first writing time is recorded before the write."""
    ledger, intent = _under_way(snapshot)
    crowded = room.crowded(snapshot, workload, intent)
    if crowded:
        return replace(_wait(snapshot, Reason.BUDGET_EXCEEDED, crowded, now), action=action)
    wake = looks.SOON  # written before and not found: whoever put it back is not fought any faster
    if intent.stage_at is None:
        ledger, wake = replace(ledger, intent=replace(intent, stage_at=now)), looks.LEAST
    reason = Reason.ROLLING_BACK if intent.kind is IntentKind.ROLLBACK else Reason.WAITING_FOR_PODS
    message = f"writing {cohorts.stage_in_words(snapshot.spec.space, intent)}"
    return Decision(action, reason, message, ledger, desired=intent.written, wake_after=wake)


def proceed(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    """One wake of an intent under way."""
    ledger, intent = _under_way(snapshot)
    if snapshot.spec.mode is not Mode.AUTO and intent.kind is not IntentKind.RESTORE:
        return _mode_forbids(snapshot, now)
    foreign = foreign_changes(snapshot, intent)
    if snapshot.claimed >= {*intent.current}:
        return _let_go(snapshot, Reason.TARGET_BUSY, "an older profile has the target: it stays as it is", now)
    claimed = snapshot.known(snapshot.claimed & {*intent.current} - {*intent.keep})
    if foreign or claimed:
        return _give_way(snapshot, workload, {**claimed, **foreign}, now)
    if intent.kind is IntentKind.TRIAL:
        ended = _must_end(snapshot, workload, now, jitter)
        if ended is not None:
            return _turn_back(snapshot, workload, ended)
    elif cohorts.edited(snapshot, intent):  # no pod takes other values under a number that it knows
        ledger = transitions.renumber(ledger, intent)
        return write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)
    if intent.applied_at is None:
        if unwritten(snapshot, intent):
            return write(snapshot, workload, now, Action.CONTINUE)
        intent = replace(intent, applied_at=now, stage_at=intent.stage_at or now)
        if force.restarting(snapshot.spec.space, intent):
            intent = replace(intent, old_containers=force.containers(workload))
        snapshot = replace(snapshot, ledger=replace(ledger, intent=intent))
    elif _renumbered(snapshot, intent):
        return write(snapshot, workload, now, Action.CONTINUE)
    return _once_written(snapshot, workload, now, jitter)


def _once_written(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    ledger, intent = _under_way(snapshot)
    spec = snapshot.spec
    state = _with_sizes(snapshot, workload, force.in_force(spec, ledger, intent, workload, now), now)
    if intent.opening and (state.reached or state.overdue):
        return _opened(snapshot, workload, now)
    if not state.reached and intent.in_force_at is None:
        if intent.kind is IntentKind.TRIAL and state.overdue:
            ending = Ending(
                TrialState.INCONCLUSIVE, Reason.NOT_ACKNOWLEDGED, now, ", ".join(state.silent), jitter=jitter
            )
            return _turn_back(snapshot, workload, ending)
        if intent.kind is IntentKind.RESTORE and state.overdue and intent.stage + 1 == len(intent.stages):
            return _restored(snapshot, state.silent)  # written; a silent pod never holds up a deletion
        if state.overdue and room.beside_silent(snapshot, workload, intent, len(state.silent)):
            return _next_stage(snapshot, workload, now)
        reason = Reason.NOT_ACKNOWLEDGED if state.overdue else Reason.WAITING_FOR_PODS
        waiting = _wait(snapshot, reason, ", ".join(state.silent), now)
        # Pods that still need a restart are restarted one by one, by the same idempotent write.
        again = force.restarting(spec.space, intent) or sizing.behind(snapshot)
        return replace(waiting, desired=intent.written) if again else waiting
    if intent.compared:
        return _beside(snapshot, workload, now, jitter)
    if intent.stage + 1 < len(intent.stages):
        return _next_stage(snapshot, workload, now)
    if intent.in_force_at is None:
        # A restart of ours is a new revision of ours: what counts as somebody else's deploy starts here.
        ours = force.restarting(spec.space, intent)
        revision = workload.revision if ours else ledger.revision
        intent = replace(intent, in_force_at=now, revision=workload.revision, pods=len(workload.unfinished))
        snapshot = replace(snapshot, ledger=replace(ledger, intent=intent, revision=revision))
    match intent.kind:
        case IntentKind.TRIAL:
            return _judge(snapshot, workload, now, jitter)
        case IntentKind.ROLLBACK:
            return _rolled_back(snapshot, now)
        case IntentKind.ADOPT:
            return _adopted(snapshot)
        case IntentKind.RESTORE:
            return _restored(snapshot, ())


def _with_sizes(snapshot: Snapshot, workload: Workload, state: force.Force, now: datetime) -> force.Force:
    """Sizes are in force when each kubelet says so. On the way back only the knobs that move are waited for."""
    _, intent = _under_way(snapshot)
    names = None if intent.kind is IntentKind.TRIAL else force.changed(intent)
    late = sizing.unsized(snapshot, workload, intent.current, names)
    if not late or intent.applied_at is None:
        return state
    overdue = now >= intent.applied_at + timedelta(seconds=float(snapshot.spec.guards.ack_timeout))
    return force.Force(False, tuple(sorted({*state.silent, *late})), overdue)


def _opened(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision:
    """As many pods as were wanted have the variables, or as many as could be replaced in time: these are the canary,
    and new pods are as the rest again. Where not one could be, since a disruption budget forbids it, all follow."""
    ledger, intent = _under_way(snapshot)
    space = snapshot.spec.space
    named = cohorts.named(space, intent, workload)
    assert named.cohort is not None
    if named.cohort.pods:
        return _next_stage(replace(snapshot, ledger=replace(ledger, intent=named)), workload, now)
    without = ", ".join(p.name for p in workload.unfinished if not p.terminating and force.restarted(p, intent))
    if without:
        return _turn_back(snapshot, workload, Ending(TrialState.INCONCLUSIVE, Reason.ADMISSION_MISSED, now, without))
    ledger = transitions.plainly(snapshot.spec, ledger, intent)
    decision = write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)
    text = "no pod could be replaced for a canary: all pods take the setting together"
    return replace(decision, events=(Event(Reason.TRIAL_WIDENED, text, warning=True),))


def _next_stage(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision:
    ledger, intent = _under_way(snapshot)
    # A rollout of this stage was ours: only a revision after it is somebody else's deploy.
    ours = force.restarting(snapshot.spec.space, intent) and not intent.canary  # which never rolls out
    intent = replace(intent, revision=workload.revision) if ours else intent
    ledger = transitions.next_stage(ledger, intent)
    ledger = replace(ledger, revision=workload.revision) if ours else ledger
    return write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)


def _beside(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    """The canary is in force: compare it with the rest, then widen it or put it back."""
    ledger, intent = _under_way(snapshot)
    if intent.in_force_at is None:
        intent = replace(intent, in_force_at=now, pods=len(workload.unfinished))
        ledger = replace(ledger, intent=intent)
        snapshot = replace(snapshot, ledger=ledger)
    verdict = canary.judge(snapshot.spec, intent, snapshot.splits, now, snapshot.split)
    if verdict.outcome is verify.Outcome.WAIT:
        detail = ", ".join(t for t in (cohorts.in_words(snapshot.spec.space, intent, workload), verdict.detail) if t)
        return _wait(snapshot, verdict.reason, detail, now)
    if verdict.outcome is verify.Outcome.ACCEPT:
        text = f"{cohorts.in_words(snapshot.spec.space, intent, workload)}: {verdict.detail}: all pods follow"
        ledger = transitions.widen(ledger, intent)
        decision = write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)
        return replace(decision, events=(Event(Reason.TRIAL_WIDENED, text),))
    state = TrialState.REVERTED if verdict.outcome is verify.Outcome.REVERT else TrialState.INCONCLUSIVE
    ending = Ending(state, verdict.reason, now, verdict.detail, verdict.harmful, jitter)
    return _turn_back(snapshot, workload, ending)


def _judge(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    ledger, intent = _under_way(snapshot)
    windows = snapshot.baseline_windows
    verdict = verify.judge(snapshot.spec, intent, windows, now, snapshot.observation)
    seen = verify.usable(snapshot.spec, intent, windows)
    match verdict.outcome:
        case verify.Outcome.WAIT:
            waiting = _wait(snapshot, verdict.reason, verdict.detail, now)
            # A new pod starts as the template says: it is resized like the others.
            return replace(waiting, desired=intent.current) if sizing.behind(snapshot) else waiting
        case verify.Outcome.ACCEPT:
            ledger = transitions.accept(snapshot.spec, ledger, intent, seen, now)
            moved = in_words(snapshot.spec.space, intent.target, intent.parent)
            event = Event(Reason.TRIAL_ACCEPTED, f"accepted {moved}: {verdict.detail}")
            return Decision(
                Action.ACCEPT,
                event.reason,
                event.message,
                ledger,
                events=(event,),
                wake_after=looks.SOON,
            )
        case verify.Outcome.REVERT:
            state = TrialState.REVERTED
        case verify.Outcome.INCONCLUSIVE:
            state = TrialState.INCONCLUSIVE
    ending = Ending(state, verdict.reason, now, verdict.detail, verdict.harmful, jitter)
    if state is TrialState.REVERTED:
        ending = replace(ending, seen=seen)  # what the model had promised is held against it, too
    return _turn_back(snapshot, workload, ending)


def _must_end(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Ending | None:
    """What ends a trial at any moment: damage, bad samples, a spent error budget, a request, a deploy, an edit."""
    _, intent = _under_way(snapshot)
    hurt = (canary.hurt if intent.canary else _hurt)(snapshot, workload, now, jitter)
    return hurt or _whatever_it_does(snapshot, workload, now)


def _hurt(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Ending | None:
    """Harm that shows in the whole workload."""
    _, intent = _under_way(snapshot)
    damage = verify.damage(intent.started_at, workload)
    if damage is not None:
        return Ending(TrialState.REVERTED, damage.reason, now, damage.detail, counted=True, jitter=jitter)
    if intent.bad_samples >= verify.BAD_SAMPLES:
        why = f"{intent.bad_samples} bad samples since {intent.first_bad_at}"
        if verify.load_surged(snapshot.observation, intent.baseline):
            return Ending(TrialState.INCONCLUSIVE, Reason.LOAD_CHANGED, now, why)
        reason = verify.bad_for(intent, snapshot.observation, snapshot.spec) or Reason.REGRESSION
        return Ending(TrialState.REVERTED, reason, now, why, counted=True, jitter=jitter)
    over = error_budget.overspent(snapshot.spec, intent, snapshot.observation)
    seen = snapshot.observation
    if over is not None and not (isinstance(seen, Observation) and verify.more_came(intent, [seen])):
        if verify.load_surged(snapshot.observation, intent.baseline):
            return Ending(TrialState.INCONCLUSIVE, Reason.LOAD_CHANGED, now, str(over))
        return Ending(TrialState.REVERTED, Reason.ERROR_BUDGET_SPENT, now, str(over), counted=True, jitter=jitter)
    return None


def _whatever_it_does(snapshot: Snapshot, workload: Workload, now: datetime) -> Ending | None:
    """What ends a trial, however well it does."""
    _, intent = _under_way(snapshot)
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
    theirs = sizing.odd(snapshot, intent.parent.diff(intent.target))
    if theirs:
        return Ending(TrialState.INCONCLUSIVE, Reason.FOREIGN_CHANGE, now, f"resized by others: {theirs}")
    unadmitted = pod_env.failed(snapshot, intent)
    if unadmitted is not None:
        return Ending(TrialState.INCONCLUSIVE, unadmitted.reason, now, unadmitted.detail)
    if tokens.wants_rollback(snapshot):
        return Ending(TrialState.REVERTED, Reason.REQUESTED, now, "rollback requested")
    urgent = intent.reason is Reason.LIMITS_NARROWED
    frozen = guards.waiting.frozen(guards.as_urgent(snapshot) if urgent else snapshot, now)
    if frozen.admission is Admission.REFUSE and not intent.requested and _still_to_write(snapshot, intent):
        return Ending(TrialState.INCONCLUSIVE, Reason.FROZEN, now, frozen.detail)
    brake = guards.brakes.why(snapshot)
    if brake is not None:  # nobody is to blame: no breaker counts it
        return Ending(TrialState.INCONCLUSIVE, brake.reason, now, brake.detail)
    restarts = bool(force.restarting(snapshot.spec.space, intent)) and not intent.canary  # which never rolls out
    deployed = intent.revision and workload.revision != intent.revision
    if deployed and not (restarts and intent.in_force_at is None):
        return Ending(TrialState.INCONCLUSIVE, Reason.DEPLOYED, now, workload.revision)
    parent = snapshot.ledger.incumbent or intent.parent
    refused = guards.limits.bounds(snapshot, parent, intent.target)
    if guards.first_refusal((refused,)) is not None:
        return Ending(TrialState.INCONCLUSIVE, Reason.PROFILE_CHANGED, now, refused.detail)
    use = guards.budgets_guard.budgets(snapshot, parent, intent.target)
    if use.reason is Reason.BUDGET_EXCEEDED:  # a lowered limit, or pods that others added: looked at before a raise
        return Ending(TrialState.INCONCLUSIVE, Reason.BUDGET_EXCEEDED, now, use.detail)
    patience = timedelta(seconds=float(snapshot.spec.guards.ack_timeout))
    tried = intent.applied_at is None and intent.stage_at is not None and now >= intent.stage_at + patience
    if tried and unwritten(snapshot, intent):
        why = "the values were not found as written: refused, or put back by somebody else"
        return Ending(TrialState.INCONCLUSIVE, Reason.WRITE_FAILED, now, why)
    return None


def _still_to_write(snapshot: Snapshot, intent: Intent) -> bool:
    """Would the trial still write something new? In a freeze it goes back instead; what is in force may be judged."""
    return intent.stage + 1 < len(intent.stages) or (intent.applied_at is None and unwritten(snapshot, intent))


def note_sample(snapshot: Snapshot) -> Snapshot:
    """Count the newest window for the hard guards, once per window; a good one starts the count again."""
    intent, seen = snapshot.ledger.intent, snapshot.observation
    if intent is None or intent.kind is not IntentKind.TRIAL or intent.stage_at is None:
        return snapshot
    if intent.canary:
        return replace(snapshot, ledger=replace(snapshot.ledger, intent=canary.noted(snapshot, intent)))
    if not isinstance(seen, Observation):
        return snapshot
    newest = seen.window.end
    if newest <= intent.stage_at or (intent.last_sample_at is not None and newest <= intent.last_sample_at):
        return snapshot
    bad = verify.bad_for(intent, seen, snapshot.spec) is not None
    noted = replace(
        intent,
        last_sample_at=newest,
        bad_samples=intent.bad_samples + 1 if bad else 0,
        first_bad_at=(intent.first_bad_at or newest) if bad else None,
        spent=error_budget.spent(snapshot.spec, intent, seen),
    )
    return replace(snapshot, ledger=replace(snapshot.ledger, intent=noted))


def unwritten(snapshot: Snapshot, intent: Intent) -> bool:
    """Is anything of the stage under way still to be written?"""
    spec = snapshot.spec
    if force.own_document(spec.space):
        document = snapshot.document
        if isinstance(document, Missing) or document.profile_uid != spec.uid:
            return True
        if document.generation != intent.generation or cohorts.edited(snapshot, intent):
            return True
    return bool(force.applied(spec.space, intent.written, snapshot.held))


def _renumbered(snapshot: Snapshot, intent: Intent) -> bool:
    """Was the stage numbered again since it was read back, because somebody moved the document's number?"""
    document = snapshot.document
    ours = not isinstance(document, Missing) and document.profile_uid == snapshot.spec.uid
    return ours and not isinstance(document, Missing) and document.generation < intent.generation


def foreign_changes(snapshot: Snapshot, intent: Intent) -> Mapping[str, KnobValue]:
    """Values that are none of ours: neither the stage under way, nor (until it was written) where we came from.

    Our own ConfigMap is written whole, so its generation tells whether the stage was; other places are ours to
    write again until they were read back once, or this process knows that it wrote them: whoever put the parent's
    value back right after decided so. A value that was left to others is theirs, whatever it becomes.
    """
    out: dict[str, KnobValue] = {}
    whole = snapshot.written == intent.generation
    document = snapshot.document
    landed = not isinstance(document, Missing) and document.profile_uid == snapshot.spec.uid
    landed = landed and not isinstance(document, Missing) and document.generation == intent.generation
    for name, held in snapshot.held.items():
        if name not in intent.current or isinstance(held.value, Missing) or held.behind:
            continue
        if name not in snapshot.spec.space or not snapshot.spec.space[name].tunable:
            continue
        theirs = held.refusal is not None and name not in intent.moved
        if theirs and not _in_the_way(snapshot, intent, name, held.value):
            continue  # never ours in this intent; where we moved it, an edit made it somebody else's
        ours, place = [intent.written[name]], snapshot.spec.space[name].location.kind
        written = landed and place.in_own_config_map
        if intent.applied_at is None and not (written or whole) and name not in intent.keep:
            stages = intent.settings if place is LocationKind.POD_ENV else (intent.parent, *intent.stages)
            ours += [s[name] for s in stages if name in s]
        if held.value not in ours:
            out[name] = held.value
    return out


def _in_the_way(snapshot: Snapshot, intent: Intent, name: str, value: KnobValue) -> bool:
    """Does an HPA's bound that is somebody else's cross the one that is to be written? The API server refuses that."""
    return bool(hpa_bounds.crossed(snapshot.spec, intent.written.with_values(**{name: value})))


def _give_way(snapshot: Snapshot, workload: Workload, foreign: Mapping[str, KnobValue], now: datetime) -> Decision:
    """A foreign edit wins and ends the trial; only our other values are put back."""
    ledger, intent = _under_way(snapshot)
    names = ", ".join(sorted(foreign))
    reason = Reason.TARGET_BUSY if snapshot.claimed else Reason.FOREIGN_CHANGE
    if intent.kind is IntentKind.TRIAL:
        here, goal = (transitions.keeping(s, foreign) for s in (intent.current, intent.parent))
        goal = room.affordable(snapshot, workload, here, goal)
        ahead = cohorts.here(intent, here)
        goal = goal if ahead is None else room.affordable(snapshot, workload, ahead.setting, goal)
        ending = Ending(TrialState.INCONCLUSIVE, reason, now, names, foreign=foreign, goal=goal)
        return _turn_back(snapshot, workload, ending)
    ledger = transitions.yield_to(snapshot.spec, ledger, intent, foreign)
    assert ledger.intent is not None
    if not snapshot.deleting:  # a deletion promises the originals, whatever stands beside them
        fits = room.within(snapshot, workload, ledger.intent)
        if intent.kind is not IntentKind.ADOPT:
            wanted = transitions.keeping(intent.target, foreign)  # a bound that yields to another is owed, too
            ledger = transitions.owing(ledger, wanted, fits.target)
        ledger = replace(ledger, intent=fits)
    decision = write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)
    event = Event(reason, f"changed by others meanwhile, and left so: {names}", warning=True)
    return replace(decision, events=(event,))


def _turn_back(snapshot: Snapshot, workload: Workload, ending: Ending) -> Decision:
    ledger, intent = _under_way(snapshot)
    if ending.reason is Reason.DEPLOYED:
        ledger = transitions.deployed(ledger, workload.revision)
    if ending.goal is None:  # a bound of pods that somebody raised meanwhile may leave no room for all of the parent
        ending = replace(ending, goal=room.affordable(snapshot, workload, intent.current, intent.parent))
    ledger = transitions.turn_back(snapshot.spec, ledger, intent, ending)
    ledger = replace(ledger, tokens={**ledger.tokens, **tokens.rollback_tokens(snapshot)})
    decision = write(replace(snapshot, ledger=ledger), workload, ending.now, Action.REVERT)
    reason = STATE_REASONS[ending.state]
    moved = in_words(snapshot.spec.space, intent.target, intent.parent)
    where = cohorts.in_words(snapshot.spec.space, intent, workload)
    moved = f"{moved} ({where})" if where else moved
    text = f"{moved} ended {ending.state.value}, {ending.reason.value}: {ending.why or SENTENCES[ending.reason]}"
    if ledger.owed is not None:
        text += f"; until it fits, less than {in_words(snapshot.spec.space, ledger.owed)}"
    event = Event(reason, text, warning=ending.state is TrialState.REVERTED)
    return replace(decision, reason=ending.reason, message=text, events=(event,))


def _mode_forbids(snapshot: Snapshot, now: datetime) -> Decision:
    """The mode was turned away from Auto in mid-course."""
    return _let_go(snapshot, Reason.MODE_RECOMMEND, "the mode forbids writes: the workload stays as it is", now)


def _let_go(snapshot: Snapshot, reason: Reason, text: str, now: datetime) -> Decision:
    """Nothing more is written; what is there is the incumbent."""
    ledger, intent = _under_way(snapshot)
    ending = Ending(TrialState.INCONCLUSIVE, reason, now)
    known = snapshot.known(intent.current)
    if intent.opening:  # what new pods take was for the canary alone
        known = {n: v for n, v in known.items() if n not in pod_env.told_apart(snapshot.spec.space, intent)}
    ledger = transitions.close(ledger, intent, intent.current.with_values(**known), ending)
    if intent.cohort is not None and intent.split:
        until = "mode Auto is back" if reason is Reason.MODE_RECOMMEND else "the older profile writes its own document"
        text += f"; the canary keeps its values until {until}: {', '.join(intent.cohort.pods)}"
    event = Event(Reason.TRIAL_INCONCLUSIVE, text, warning=True)
    return Decision(Action.CLOSE, reason, text, ledger, events=(event,), wake_after=looks.SOON)


def _rolled_back(snapshot: Snapshot, now: datetime) -> Decision:
    ledger, intent = _under_way(snapshot)
    lowers = overdrawn.lowers(intent)
    finish = transitions.finish_lowering if lowers else transitions.finish_rollback
    ledger = finish(snapshot.spec, ledger, intent, now)
    ledger = replace(ledger, tokens={**ledger.tokens, **tokens.rollback_tokens(snapshot)})
    text = f"{'lowered' if lowers else 'back'} to {in_words(snapshot.spec.space, intent.target)}"
    event = Event(Reason.ROLLED_BACK, text)
    return Decision(Action.CLOSE, Reason.ROLLED_BACK, text, ledger, events=(event,), wake_after=looks.SOON)


def _adopted(snapshot: Snapshot) -> Decision:
    ledger, intent = _under_way(snapshot)
    text = f"adopted {in_words(snapshot.spec.space, intent.target)}"
    return Decision(
        Action.CLOSE,
        Reason.ADOPTED,
        text,
        replace(transitions.left_to_others(ledger, _left_alone(ledger)), intent=None, incumbent=intent.target),
        events=(Event(Reason.ADOPTED, text),),
        wake_after=looks.SOON,
    )


def delete(snapshot: Snapshot, now: datetime) -> Decision:
    """The profile is being deleted: restore or keep, then close. The shell drops the finalizer on CLOSE."""
    ledger = snapshot.ledger
    goal, reason = left_behind.goal(snapshot)
    if goal is None or not snapshot.spec.space.knobs:
        done = replace(ledger, intent=None)
        return Decision(Action.CLOSE, Reason.STABLE, "nothing to restore", done, wake_after=looks.SOON)
    if isinstance(snapshot.workload, Missing):  # the reader left only knobs whose place is still there
        gone = Workload(snapshot.spec.target.kind, ledger.target_uid, 0, ledger.revision, False, False, 0, ())
        snapshot = replace(snapshot, workload=gone)
    assert isinstance(snapshot.workload, Workload)
    if ledger.intent is None or ledger.intent.kind is not IntentKind.RESTORE:
        return restore(snapshot, snapshot.workload, goal, reason, now)
    return proceed(snapshot, snapshot.workload, now, 0.0)


def restore(snapshot: Snapshot, workload: Workload, goal: Setting, reason: Reason, now: datetime) -> Decision:
    """Begin to put `goal`, most often the values of the adoption, back from wherever the workload is now."""
    ledger = snapshot.ledger
    parent = ledger.intent.current if ledger.intent is not None else ledger.incumbent or _standing(snapshot)
    foreign = {**_left_alone(ledger), **foreign_at_restore(snapshot, parent)}
    parent, goal = transitions.keeping(_here(snapshot, parent), foreign), transitions.keeping(goal, foreign)
    if not snapshot.deleting:
        wanted, goal = goal, room.affordable(snapshot, workload, parent, goal)
        ledger = transitions.owing(replace(ledger, owed=None), wanted, goal)
    left = cohorts.left(snapshot, workload, parent)
    begin = Begin(IntentKind.RESTORE, goal, reason, now, revision=workload.revision, cohort=left)
    ledger = transitions.begin(snapshot.spec, ledger, parent, begin)
    assert ledger.intent is not None
    ledger = replace(ledger, intent=replace(ledger.intent, keep=tuple(sorted(foreign))))
    return write(replace(snapshot, ledger=ledger), workload, now, Action.RESTORE)


def _here(snapshot: Snapshot, wanted: Setting) -> Setting:
    """Where the workload is now: what an intent wanted may not have been written yet, and what stands is ours, too."""
    late = {n for n, held in snapshot.held.items() if held.behind}
    return wanted.with_values(**{n: v for n, v in snapshot.known(wanted).items() if n not in late})


def _standing(snapshot: Snapshot) -> Setting:
    """After the ledger was lost nobody knows who set what stands: as at an adoption, it counts as the incumbent."""
    adopted = snapshot.ledger.adopted
    assert adopted is not None
    return adopted.with_values(**snapshot.known(adopted))


def _left_alone(ledger: Ledger) -> Mapping[str, KnobValue]:
    """What the intent under way gave way to: it stays with others, whatever follows that intent."""
    intent = ledger.intent
    return {} if intent is None else {n: intent.current[n] for n in intent.keep if n in intent.current}


def foreign_at_restore(snapshot: Snapshot, parent: Setting) -> Mapping[str, KnobValue]:
    """What others changed and no wake has noticed yet: a restore leaves it, as every other write does."""
    ledger = snapshot.ledger
    if ledger.intent is not None:
        return foreign_changes(snapshot, ledger.intent)
    assert ledger.adopted is not None
    return {n: v for n, v in snapshot.known(parent).items() if v not in (parent[n], ledger.adopted.get(n))}


def _restored(snapshot: Snapshot, silent: tuple[str, ...]) -> Decision:
    ledger, intent = _under_way(snapshot)
    text = f"restored {in_words(snapshot.spec.space, intent.target)}"
    if silent:
        text += f"; not acknowledged by {', '.join(silent)}"
    done = replace(ledger, intent=None, incumbent=intent.target)
    if not snapshot.deleting:
        done = transitions.stopped_at(ledger, intent)
    event = Event(Reason.RESTORED, text, warning=bool(silent))
    return Decision(Action.CLOSE, Reason.RESTORED, text, done, events=(event,), wake_after=looks.SOON)


def _wait(snapshot: Snapshot, reason: Reason, detail: str, now: datetime) -> Decision:
    message = f"{SENTENCES[reason]}: {detail}" if detail else SENTENCES[reason]
    ledger, intent = _under_way(snapshot)
    wake = looks.wake_after(snapshot.spec, intent, snapshot.baseline_windows, now)
    return Decision(Action.CONTINUE, reason, message, ledger, wake_after=wake)


def _under_way(snapshot: Snapshot) -> tuple[Ledger, Intent]:
    assert snapshot.ledger.intent is not None
    return snapshot.ledger, snapshot.ledger.intent
