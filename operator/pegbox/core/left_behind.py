"""Left behind: the setting that a deleted profile leaves in its workload."""

from __future__ import annotations

from pegbox.model.brakes import Stop
from pegbox.model.knobs import Setting
from pegbox.model.profile import DeletionPolicy, Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import IntentKind


def goal(snapshot: Snapshot) -> tuple[Setting | None, Reason]:
    """The setting to leave behind, and why it is written; None where nothing is to be written.

    Keep keeps what was accepted: a trial in mid-course was not, so its parent is put back first, and neither was what
    stands half-way to where a stop sent it. Mode Auto and the policy are looked at each time: turning either away lets
    a profile go whose values cannot be written.
    """
    ledger, spec = snapshot.ledger, snapshot.spec
    if ledger.generation == 0:
        return None, Reason.STABLE
    if spec.deletion_policy is DeletionPolicy.RESTORE:
        return ledger.adopted, Reason.RESTORE_PENDING
    intent = ledger.intent
    if intent is not None and intent.kind is IntentKind.RESTORE and snapshot.brakes.stop is Stop.RESTORE:
        return intent.target, Reason.RESTORE_PENDING  # whatever the mode, as that of any other profile
    if intent is None or spec.mode is not Mode.AUTO:
        return None, Reason.STABLE
    if intent.kind is IntentKind.TRIAL:
        return intent.parent, Reason.ROLLING_BACK
    going_back = intent.kind is IntentKind.ROLLBACK or intent.reason in (Reason.ROLLING_BACK, Reason.STOPPED)
    return (intent.target if going_back else None), Reason.ROLLING_BACK
