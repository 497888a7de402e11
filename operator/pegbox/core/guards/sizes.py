"""Sizes of containers: requests within limits at every stage, the same quality of service, memory that is in use."""

from __future__ import annotations

from pegbox.core import sizing
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.knobs import Setting
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot


def sizes(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Verdict:
    """Refuses what the API server would refuse, before it is written, and a memory limit that could kill."""
    why = sizing.objection(snapshot, parent, wanted)
    if why is None:
        return Verdict("sizes", Admission.ADMIT, Reason.WITHIN_LIMITS)
    return Verdict("sizes", Admission.REFUSE, why.reason, why.detail)
