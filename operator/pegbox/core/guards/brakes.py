"""Brakes above one profile: the global stop, the workload's opt-out, the breaker over all profiles."""

from __future__ import annotations

from datetime import datetime

from pegbox.model.decisions import Admission, Verdict
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot


def why(snapshot: Snapshot) -> Missing | None:
    """The brake that forbids writes of the tuner's own accord; the stop of all before that of one workload."""
    brakes = snapshot.brakes
    if brakes.stop is not None:
        return Missing(Reason.STOPPED, brakes.stop_text)
    return Missing(Reason.OPTED_OUT, brakes.opt_out_text) if brakes.opted_out else None


def free(snapshot: Snapshot) -> bool:
    """May anything be written of the tuner's own accord: in Auto, where the install may write, under no brake?"""
    return snapshot.writes and snapshot.spec.mode is Mode.AUTO and why(snapshot) is None


def opened(snapshot: Snapshot) -> Missing | None:
    """The breaker over all profiles is Open: trials under way end as well. Ways back do not ask."""
    return snapshot.brakes.held if snapshot.brakes.opened else None


def stopped(snapshot: Snapshot, now: datetime) -> Verdict:
    """Everything is stopped: asked for or not, no trial starts."""
    if snapshot.brakes.stop is None:
        return Verdict("stopped", Admission.ADMIT, Reason.WITHIN_LIMITS)
    return Verdict("stopped", Admission.REFUSE, Reason.STOPPED, snapshot.brakes.stop_text)


def opted_out(snapshot: Snapshot, now: datetime) -> Verdict:
    """The workload's owner wants nothing to be done to it."""
    if not snapshot.brakes.opted_out:
        return Verdict("opted-out", Admission.ADMIT, Reason.WITHIN_LIMITS)
    return Verdict("opted-out", Admission.REFUSE, Reason.OPTED_OUT, snapshot.brakes.opt_out_text)


def fleet(snapshot: Snapshot, now: datetime) -> Verdict:
    """The breaker over all profiles: no new trials anywhere, asked for or not."""
    held = snapshot.brakes.held
    if held is None:
        return Verdict("fleet-breaker", Admission.ADMIT, Reason.WITHIN_LIMITS)
    return Verdict("fleet-breaker", Admission.REFUSE, held.reason, held.detail)
