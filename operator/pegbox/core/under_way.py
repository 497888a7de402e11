"""An intent under way: write, wait until in force, judge, accept or put back. Every step may be run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pegbox.core import (
    canary,
    cohorts,
    cut_short,
    force,
    hpa_bounds,
    left_behind,
    looks,
    overdrawn,
    pod_env,
    read_back,
    room,
    sizing,
    slots,
    tokens,
    transitions,
    verify,
)
from pegbox.core.read_back import ledger_and_intent
from pegbox.core.transitions import Begin, Ending
from pegbox.core.wording import in_words
from pegbox.model.decisions import Action, Decision, Event
from pegbox.model.knobs import KnobValue, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger, TrialState

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
    ledger, intent = ledger_and_intent(snapshot)
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
    """One wake of an intent under way. A mode that was turned away from Auto ends it, or puts its way back off."""
    _, intent = ledger_and_intent(snapshot)
    if slots.moves(snapshot.spec, intent):
        return _proceed(snapshot, workload, now, jitter)
    if intent.kind is IntentKind.ADOPT:
        return _let_go(snapshot, Reason.MODE_RECOMMEND, "the mode forbids writes: the workload stays as it is", now)
    if intent.kind is IntentKind.TRIAL:
        return _put_off(snapshot, _proceed(snapshot, workload, now, jitter), now)
    waiting = _others(snapshot, workload, now) or _wait(snapshot, Reason.MODE_RECOMMEND, "", now)
    return _put_off(snapshot, waiting, now)


def _proceed(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    ledger, intent = ledger_and_intent(snapshot)
    theirs = _others(snapshot, workload, now)
    if theirs is not None:
        return theirs
    if intent.kind is IntentKind.TRIAL:
        ended = cut_short.must_end(snapshot, workload, now, jitter)
        if ended is not None:
            return _turn_back(snapshot, workload, ended)
    elif cohorts.edited(snapshot, intent):  # no pod takes other values under a number that it knows
        ledger = transitions.renumber(ledger, intent)
        return write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)
    if intent.applied_at is None:
        if read_back.unwritten(snapshot, intent):
            unseen = cut_short.blind(snapshot, now)
            if unseen is not None:
                return _blind(snapshot, unseen, now)
            return write(_fitting(snapshot, workload), workload, now, Action.CONTINUE)
        intent = replace(intent, applied_at=now, stage_at=intent.stage_at or now)
        if force.restarting(snapshot.spec.space, intent):
            intent = replace(intent, old_containers=force.containers(workload, created=intent.opening))
        snapshot = replace(snapshot, ledger=replace(ledger, intent=intent))
    elif read_back.renumbered(snapshot, intent):
        return write(snapshot, workload, now, Action.CONTINUE)
    return _once_written(snapshot, workload, now, jitter)


def _others(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision | None:
    """Somebody else set what the intent moves, or has its place."""
    _, intent = ledger_and_intent(snapshot)
    if snapshot.claimed >= {*intent.current}:
        return _let_go(snapshot, Reason.TARGET_BUSY, "another profile has the target: it stays as it is", now)
    foreign = read_back.foreign_changes(snapshot, intent)
    claimed = snapshot.known(snapshot.claimed & {*intent.current} - {*intent.keep})
    if foreign or claimed or read_back.out_of_order(snapshot, intent):
        return _give_way(snapshot, workload, {**claimed, **foreign}, now)
    return None


def _fitting(snapshot: Snapshot, workload: Workload) -> Snapshot:
    """A way back that was put off goes as far as there is room by now: others had time to take it."""
    ledger, intent = ledger_and_intent(snapshot)
    if intent.kind is not IntentKind.ROLLBACK or intent.stage_at is not None:
        return snapshot
    fits = room.within(snapshot, workload, intent)
    return replace(snapshot, ledger=replace(transitions.owing(ledger, intent.target, fits.target), intent=fits))


def _once_written(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    ledger, intent = ledger_and_intent(snapshot)
    spec = snapshot.spec
    gone = {n for n, held in snapshot.held.items() if isinstance(held.value, Missing)}
    state = _with_sizes(snapshot, workload, force.in_force(spec, ledger, intent, workload, now, gone), now)
    unseen = cut_short.blind(snapshot, now)
    if intent.opening and (state.reached or state.overdue):
        if unseen is not None:
            return _blind(snapshot, unseen, now)
        return _opened(snapshot, workload, now)
    if not state.reached and intent.in_force_at is None:
        if intent.kind is IntentKind.TRIAL and state.overdue:
            ending = Ending(
                TrialState.INCONCLUSIVE, Reason.NOT_ACKNOWLEDGED, now, _waited_for(state, workload), jitter=jitter
            )
            return _turn_back(snapshot, workload, ending)
        if intent.kind is IntentKind.RESTORE and state.overdue and intent.stage + 1 == len(intent.stages):
            ended = _restored(snapshot, state.silent)  # written; a silent pod never holds up a deletion
            # What the server refused may have kept pods from their restart: then it is asked once more.
            return replace(ended, desired=intent.written) if force.to_restart(spec.space, intent, workload) else ended
        if state.overdue and room.beside_silent(snapshot, workload, intent, len(state.silent)):
            return _next_stage(snapshot, workload, now)
        reason = Reason.NOT_ACKNOWLEDGED if state.overdue else Reason.WAITING_FOR_PODS
        waiting = _wait(snapshot, reason, _waited_for(state, workload), now)
        # Pods that still need a restart are restarted one by one, by the same idempotent write.
        again = force.restarting(spec.space, intent) or sizing.behind(snapshot)
        if again and unseen is not None:
            return _blind(snapshot, unseen, now)
        return replace(waiting, desired=intent.written) if again else waiting
    if intent.compared:
        return _beside(snapshot, workload, now, jitter)
    if intent.stage + 1 < len(intent.stages):
        if unseen is not None:
            return _blind(snapshot, unseen, now)
        return _next_stage(snapshot, workload, now)
    if intent.in_force_at is None:
        intent = replace(intent, in_force_at=now, pods=len(workload.unfinished))
        snapshot = replace(snapshot, ledger=replace(ledger, intent=intent))
    match intent.kind:
        case IntentKind.TRIAL:
            return _judge(snapshot, workload, now, jitter)
        case IntentKind.ROLLBACK:
            return _rolled_back(snapshot, now)
        case IntentKind.ADOPT:
            return _adopted(snapshot)
        case IntentKind.RESTORE:
            return _restored(snapshot, ())


def restarted_once_more(snapshot: Snapshot, now: datetime) -> Decision:
    """A restore that was about to end has restarted a pod after all: it waits for that one, and for those after it."""
    ledger, intent = ledger_and_intent(snapshot)
    again = replace(snapshot, ledger=replace(ledger, intent=replace(intent, applied_at=now)))
    return replace(_wait(again, Reason.WAITING_FOR_PODS, "", now), wake_after=looks.SOON)


def _waited_for(state: force.Force, workload: Workload) -> str:
    """The silent pods, and why the next one is not made."""
    return "; ".join(filter(None, (", ".join(state.silent), workload.unmade)))


def _with_sizes(snapshot: Snapshot, workload: Workload, state: force.Force, now: datetime) -> force.Force:
    """Sizes are in force when each kubelet says so. On the way back only the knobs that move are waited for."""
    _, intent = ledger_and_intent(snapshot)
    names = None if intent.kind is IntentKind.TRIAL else force.changed(intent)
    late = sizing.unsized(snapshot, workload, intent.current, names)
    if not late or intent.applied_at is None:
        return state
    overdue = now >= intent.applied_at + force.patience(snapshot.spec, intent, workload)
    return force.Force(False, tuple(sorted({*state.silent, *late})), overdue)


def _opened(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision:
    """As many pods as were wanted have the variables, or as many as could be replaced in time: these are the canary,
    and new pods are as the rest again. Where not one could be, since a disruption budget forbids it, all follow."""
    ledger, intent = ledger_and_intent(snapshot)
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
    ledger, intent = ledger_and_intent(snapshot)
    ledger = transitions.next_stage(ledger, intent)
    return write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)


def _beside(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    """The canary is in force: compare it with the rest, then widen it or put it back."""
    ledger, intent = ledger_and_intent(snapshot)
    if intent.in_force_at is None:
        intent = replace(intent, in_force_at=now, pods=len(workload.unfinished))
        ledger = replace(ledger, intent=intent)
        snapshot = replace(snapshot, ledger=ledger)
    verdict = canary.judge(snapshot.spec, intent, snapshot.splits, now, snapshot.split)
    if verdict.outcome is verify.Outcome.WAIT:
        detail = ", ".join(t for t in (cohorts.in_words(snapshot.spec.space, intent, workload), verdict.detail) if t)
        return _watching(snapshot, verdict.reason, detail, now)
    if verdict.outcome is verify.Outcome.ACCEPT:
        text = f"{cohorts.in_words(snapshot.spec.space, intent, workload)}: {verdict.detail}: all pods follow"
        ledger = transitions.widen(ledger, intent)
        decision = write(replace(snapshot, ledger=ledger), workload, now, Action.CONTINUE)
        return replace(decision, events=(Event(Reason.TRIAL_WIDENED, text),))
    state = TrialState.REVERTED if verdict.outcome is verify.Outcome.REVERT else TrialState.INCONCLUSIVE
    ending = Ending(state, verdict.reason, now, verdict.detail, verdict.harmful, jitter)
    return _turn_back(snapshot, workload, ending)


def _judge(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision:
    ledger, intent = ledger_and_intent(snapshot)
    windows = snapshot.baseline_windows
    verdict = verify.judge(snapshot.spec, intent, windows, now, snapshot.observation)
    seen = verify.usable(snapshot.spec, intent, windows)
    match verdict.outcome:
        case verify.Outcome.WAIT:
            return _watching(snapshot, verdict.reason, verdict.detail, now)
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


def _watching(snapshot: Snapshot, reason: Reason, detail: str, now: datetime) -> Decision:
    """In force, and not yet judged. A new pod starts as the template says: it is resized like the others."""
    _, intent = ledger_and_intent(snapshot)
    waiting = _wait(snapshot, reason, detail, now)
    again = sizing.behind(snapshot) and cut_short.blind(snapshot, now) is None
    return replace(waiting, desired=intent.written) if again else waiting


def _give_way(snapshot: Snapshot, workload: Workload, foreign: Mapping[str, KnobValue], now: datetime) -> Decision:
    """A foreign edit wins and ends the trial; only our other values are put back."""
    ledger, intent = ledger_and_intent(snapshot)
    names = ", ".join(sorted(foreign)) or hpa_bounds.crossed(snapshot.spec, intent.written)
    reason = Reason.TARGET_BUSY if snapshot.claimed else Reason.FOREIGN_CHANGE
    if intent.kind is IntentKind.TRIAL:
        here, goal = (transitions.keeping(s, foreign) for s in (intent.current, intent.parent))
        goal = room.affordable(snapshot, workload, here, goal, foreign)
        ahead = cohorts.here(intent, here)
        goal = goal if ahead is None else room.affordable(snapshot, workload, ahead.setting, goal, foreign)
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
    ledger, intent = ledger_and_intent(snapshot)
    if ending.reason is Reason.DEPLOYED:
        ledger = transitions.deployed(ledger, workload, ending.now)
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
    text += _left_lowered(snapshot, ledger)
    event = Event(reason, text, warning=ending.state is TrialState.REVERTED)
    return replace(decision, reason=ending.reason, message=text, events=(event,))


def _put_off(snapshot: Snapshot, decision: Decision, now: datetime) -> Decision:
    """The mode forbids writes: what would be written now is written once it is Auto again, as the same intent, stage by
    stage. It ends by itself where nothing had been written, or somebody else puts the values back."""
    intent = decision.ledger.intent
    if intent is None:
        return decision
    if read_back.stands(snapshot, intent):
        ended = _rolled_back(replace(snapshot, ledger=decision.ledger), now)
        return replace(ended, events=decision.events + ended.events)
    waits = replace(intent, stage_at=None, applied_at=None)  # what waits for pods begins with Auto: nobody restarts any
    back = in_words(snapshot.spec.space, Setting({n: intent.target[n] for n in intent.moved}))
    reason = Reason.MODE_OBSERVE if snapshot.spec.mode is Mode.OBSERVE else Reason.MODE_RECOMMEND
    return replace(
        decision,
        reason=reason,
        message=f"{SENTENCES[reason]}; still to be put back, once it is Auto: {back}",
        ledger=replace(decision.ledger, intent=waits),
        desired=None,
        wake_after=looks.at_rest(snapshot.spec),
    )


def _let_go(snapshot: Snapshot, reason: Reason, text: str, now: datetime) -> Decision:
    """Nothing more is written; what is there is the incumbent."""
    ledger, intent = ledger_and_intent(snapshot)
    ending = Ending(TrialState.INCONCLUSIVE, reason, now)
    known = snapshot.known(intent.current)
    if intent.opening:  # what new pods take was for the canary alone
        known = {n: v for n, v in known.items() if n not in pod_env.told_apart(snapshot.spec.space, intent)}
    ledger = transitions.close(ledger, intent, intent.current.with_values(**known), ending)
    if intent.cohort is not None and intent.split:
        until = "mode Auto is back" if reason is Reason.MODE_RECOMMEND else "the other profile writes its own document"
        text += f"; the canary keeps its values until {until}: {', '.join(intent.cohort.pods)}"
    event = Event(Reason.TRIAL_INCONCLUSIVE, text, warning=True)
    return Decision(Action.CLOSE, reason, text, ledger, events=(event,), wake_after=looks.SOON)


def _rolled_back(snapshot: Snapshot, now: datetime) -> Decision:
    ledger, intent = ledger_and_intent(snapshot)
    lowers = overdrawn.lowers(intent)
    finish = transitions.finish_lowering if lowers else transitions.finish_rollback
    ledger = finish(snapshot.spec, ledger, intent, now)
    ledger = replace(ledger, tokens={**ledger.tokens, **tokens.rollback_tokens(snapshot)})
    text = f"{'lowered' if lowers else 'back'} to {in_words(snapshot.spec.space, intent.target)}"
    event = Event(Reason.ROLLED_BACK, text)
    return Decision(Action.CLOSE, Reason.ROLLED_BACK, text, ledger, events=(event,), wake_after=looks.SOON)


def _adopted(snapshot: Snapshot) -> Decision:
    ledger, intent = ledger_and_intent(snapshot)
    text = f"adopted {in_words(snapshot.spec.space, intent.target)}"
    return Decision(
        Action.CLOSE,
        Reason.ADOPTED,
        text,
        replace(transitions.left_to_others(ledger, read_back.left_alone(ledger)), intent=None, incumbent=intent.target),
        events=(Event(Reason.ADOPTED, text),),
        wake_after=looks.SOON,
    )


def _restored(snapshot: Snapshot, silent: tuple[str, ...]) -> Decision:
    ledger, intent = ledger_and_intent(snapshot)
    text = f"restored {in_words(snapshot.spec.space, intent.target)}"
    if silent:
        text += f"; not acknowledged by {', '.join(silent)}"
    goal = left_behind.goal(snapshot)[0] if snapshot.deleting else None
    crossed = "" if goal is None else hpa_bounds.crossed(snapshot.spec, goal)
    text += f"; {crossed}" if crossed else ""
    done = replace(ledger, intent=None, incumbent=intent.target)
    lowered = ""
    if not snapshot.deleting:
        done, lowered = transitions.stopped_at(ledger, intent), _left_lowered(snapshot, ledger)
    event = Event(Reason.RESTORED, text + lowered, warning=bool(silent or lowered or crossed))
    return Decision(Action.CLOSE, Reason.RESTORED, text + lowered, done, events=(event,), wake_after=looks.SOON)


def _left_lowered(snapshot: Snapshot, ledger: Ledger) -> str:
    """What a way back leaves otherwise than it was, as the end of a sentence."""
    owed, space = ledger.owed, snapshot.spec.space
    if owed is None:
        return ""
    side = "other" if any(k.name in owed for k in space.at(LocationKind.HPA_MAX)) else "less"  # see `owed.still`
    return f"; until it fits, {side} than {in_words(space, owed)}"


def _blind(snapshot: Snapshot, unseen: Missing, now: datetime) -> Decision:
    """Nothing new is written, and no pod restarted, while nobody could see what it does."""
    return _wait(snapshot, unseen.reason, f"{unseen.detail}: nothing more is written", now)


def _wait(snapshot: Snapshot, reason: Reason, detail: str, now: datetime) -> Decision:
    message = f"{SENTENCES[reason]}: {detail}" if detail else SENTENCES[reason]
    ledger, intent = ledger_and_intent(snapshot)
    wake = looks.wake_after(snapshot.spec, intent, snapshot.baseline_windows, now)
    return Decision(Action.CONTINUE, reason, message, ledger, wake_after=wake)
