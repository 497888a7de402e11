"""Ownership: a value that somebody else owns is never written without consent."""

from __future__ import annotations

from pegbox.model.decisions import Admission, Verdict
from pegbox.model.knobs import Setting
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot


def owned(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Verdict:
    """Refuses a move of any knob whose place is not ours to write; names the knob and the owner."""
    for name in parent.diff(wanted):
        held = snapshot.held.get(name)
        if held is None:
            return Verdict("ownership", Admission.REFUSE, Reason.NOT_REPORTED, f"{name} was not read")
        if held.refusal is not None:
            return Verdict("ownership", Admission.REFUSE, held.refusal.reason, f"{name}: {held.refusal.detail}")
    return Verdict("ownership", Admission.ADMIT, Reason.NO_CONFLICT)
