"""What a brake decides in place of the loop. Else the loop goes on, and its guards know the brakes.

| brake    | nothing under way         | adoption under way | trial                        | rollback | restore   |
|----------|---------------------------|--------------------|------------------------------|----------|-----------|
| stop     | no trial, no adopted pins | ended, not written | to its parent, Inconclusive  | goes on  | goes on   |
| restore  | restore, then stay there  | restore            | ended, then restore          | restore  | goes on   |
| opt-out  | nothing is written        | ended, not written | to its parent, Inconclusive  | goes on  | goes on   |

A stop never holds up a rollback: an accepted setting that does harm is taken back, and a rollback that a person asks
for is done. Opting out holds up both: the workload's owner wants no write at all, and says so himself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pegbox.core import cohorts, looks, requests, restoring, slots, transitions, under_way
from pegbox.core.guards.brakes import why as brake_of
from pegbox.core.transitions import Ending
from pegbox.model.brakes import Stop
from pegbox.model.decisions import Action, Decision, Event
from pegbox.model.observations import Missing
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Intent, IntentKind, Ledger, TrialState


def overrule(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision | None:
    """The decision of this wake, where a brake has one of its own. A restore that began is always finished."""
    intent, brake = snapshot.ledger.intent, brake_of(snapshot)
    if brake is None or (intent is not None and intent.kind is IntentKind.RESTORE):
        return None
    if snapshot.brakes.stop is Stop.RESTORE and not snapshot.brakes.opted_out:
        return _restore(snapshot, workload, brake, now)
    if intent is not None and intent.kind is IntentKind.ADOPT:
        return _left(snapshot, intent, brake)
    return None


def keeps(snapshot: Snapshot, now: datetime) -> Decision | None:
    """A profile of an opted-out workload is deleted: nothing is restored, and that is said.

    A trial or a way back is brought to its end first; only then does the profile go.
    """
    ledger = snapshot.ledger
    if not snapshot.brakes.opted_out or isinstance(snapshot.workload, Missing):
        return None
    moves = slots.moves(snapshot.spec, ledger.intent)  # else the mode puts it off, and the deletion with it
    if moves and ledger.intent is not None and ledger.intent.kind is not IntentKind.ADOPT:
        return under_way.proceed(snapshot, snapshot.workload, now, 0.0)
    text = f"{SENTENCES[Reason.OPTED_OUT]}: nothing is restored; the originals stand on our ConfigMap"
    event = Event(Reason.OPTED_OUT, text, warning=True)
    done = replace(ledger, intent=None)
    return Decision(Action.CLOSE, Reason.OPTED_OUT, text, done, events=(event,), wake_after=looks.SOON)


def _restore(snapshot: Snapshot, workload: Workload, brake: Missing, now: datetime) -> Decision | None:
    """Back to the adoption, once; while it stands there, nothing."""
    ledger = snapshot.ledger
    wrote = restoring.due(ledger)
    left = wrote and ledger.incumbent is not None and cohorts.left(snapshot, workload, ledger.incumbent) is not None
    if ledger.intent is None and (not wrote or (ledger.incumbent == ledger.adopted and not left)):
        text = f"{SENTENCES[brake.reason]}: {brake.detail}; the values of the adoption are in place"
        # What was owed before is asked for no more.
        restored = replace(snapshot, ledger=replace(ledger, owed=None))
        return _stays(restored, brake.reason, text)
    if not wrote or (ledger.intent is None and ledger.incumbent is None):
        return None  # the ledger was lost: what is in force is found out first
    assert ledger.adopted is not None
    decision = restoring.restore(snapshot, workload, ledger.adopted, Reason.STOPPED, now)
    begun = decision.ledger.intent
    if ledger.intent is None and begun is not None and begun.target == begun.parent and begun.cohort is None:
        theirs = snapshot.refusal.detail if snapshot.claimed and snapshot.refusal is not None else ""
        text = theirs or "beside what others set there is no room for the rest"
        text = f"{SENTENCES[Reason.RESTORE_PENDING]}: {text}"
        return _stays(snapshot, Reason.RESTORE_PENDING, text)
    if ledger.intent is not None and ledger.intent.kind is IntentKind.TRIAL:
        ending = Ending(TrialState.INCONCLUSIVE, brake.reason, now, brake.detail)
        summary = transitions.close(ledger, ledger.intent, ledger.intent.parent, ending).trials
        decision = replace(decision, ledger=replace(decision.ledger, trials=summary))
    text = f"{SENTENCES[brake.reason]}: {brake.detail}; putting the values of the adoption back"
    event = Event(brake.reason, text, warning=True)
    return replace(decision, reason=brake.reason, message=text, events=(event,))


def _stays(snapshot: Snapshot, reason: Reason, text: str) -> Decision:
    """Restored as far as may be, and so it remains: what is asked for meanwhile is refused, and not done later."""
    request = requests.pending(snapshot)
    if request is not None:
        return requests.refused(snapshot, request, text)
    return Decision(Action.HOLD, reason, text, snapshot.ledger, wake_after=looks.at_rest(snapshot.spec))


def _left(snapshot: Snapshot, intent: Intent, brake: Missing) -> Decision:
    """An adoption under way ends as it stands; what is missing is adopted anew when the brake is released."""
    here = intent.current.with_values(**snapshot.known(intent.current))
    ledger: Ledger = replace(snapshot.ledger, intent=None, incumbent=here)
    text = f"{SENTENCES[brake.reason]}: {brake.detail}"
    return Decision(Action.CLOSE, brake.reason, text, ledger, wake_after=looks.SOON)
