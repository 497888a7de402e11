"""Rollout health: no trial while pods roll out, crash, start, or are not there."""

from __future__ import annotations

from datetime import datetime

from pegbox.core import pod_env, sizing
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload

CRASHING = frozenset({"CrashLoopBackOff", "Error", "CreateContainerConfigError"})
UNPULLED = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""The kubelet's words for a container without an image, which no setting is to blame for."""


def unhealthy(workload: Workload | Missing) -> Missing | None:
    """Why the workload is in no state to be measured or changed; None when it is."""
    if isinstance(workload, Missing):
        return workload
    pods = [p for p in workload.unfinished if not p.terminating]
    if not pods and workload.scaled_to_zero:
        return Missing(Reason.WORKLOAD_SCALED_TO_ZERO)
    crashing = sorted(p.name for p in pods if p.waiting in CRASHING | UNPULLED)
    if crashing:
        return Missing(Reason.CRASH_LOOP, ", ".join(crashing))
    if workload.stuck or workload.rolling:
        return Missing(Reason.ROLLOUT_IN_PROGRESS, "stuck" if workload.stuck else workload.revision)
    unready = sorted(p.name for p in pods if not p.ready)
    if unready or not pods:
        return Missing(Reason.WORKLOAD_NOT_READY, ", ".join(unready) or "no pods yet")
    return None


def rollout_health(snapshot: Snapshot, now: datetime) -> Verdict:
    why = unhealthy(snapshot.workload) or _unsized(snapshot) or _unadmitted(snapshot)
    if why is None:
        return Verdict("rollout-health", Admission.ADMIT, Reason.WITHIN_LIMITS)
    return Verdict("rollout-health", Admission.REFUSE, why.reason, why.detail)


def _unadmitted(snapshot: Snapshot) -> Missing | None:
    """Pods that started with other variables than the next one will: what they show is not of one setting."""
    if snapshot.ledger.incumbent is None or snapshot.spec.mode is not Mode.AUTO:
        return None
    late = pod_env.stale(snapshot)
    return Missing(Reason.WAITING_FOR_PODS, f"started with other variables: {', '.join(late)}") if late else None


def _unsized(snapshot: Snapshot) -> Missing | None:
    """Pods that do not have the accepted sizes (yet): new ones as the template makes them, ones without room, or ones
    that somebody else sized."""
    workload, incumbent = snapshot.workload, snapshot.ledger.incumbent
    if isinstance(workload, Missing) or incumbent is None or snapshot.spec.mode is not Mode.AUTO:
        return None
    stuck = sizing.impossible(snapshot, workload)
    if stuck:
        return Missing(Reason.RESIZE_NOT_POSSIBLE, stuck)
    theirs = sizing.odd(snapshot)
    if theirs:
        return Missing(Reason.OWNED_BY_OTHER, f"sized by others: {theirs}: delete these pods")
    late = sizing.unsized(snapshot, workload, incumbent)
    return Missing(Reason.WAITING_FOR_PODS, f"not resized yet: {', '.join(late)}") if late else None
