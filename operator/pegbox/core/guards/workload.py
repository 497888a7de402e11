"""Rollout health: no trial while pods roll out, crash, start, or are not there."""

from __future__ import annotations

from datetime import datetime

from pegbox.model.decisions import Admission, Verdict
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload

CRASHING = frozenset({"CrashLoopBackOff", "Error", "CreateContainerConfigError", "ImagePullBackOff", "ErrImagePull"})


def unhealthy(workload: Workload | Missing) -> Missing | None:
    """Why the workload is in no state to be measured or changed; None when it is."""
    if isinstance(workload, Missing):
        return workload
    pods = [p for p in workload.unfinished if not p.terminating]
    if not pods and workload.replicas == 0:
        return Missing(Reason.WORKLOAD_SCALED_TO_ZERO)
    crashing = sorted(p.name for p in pods if p.waiting in CRASHING)
    if crashing:
        return Missing(Reason.CRASH_LOOP, ", ".join(crashing))
    if workload.stuck or workload.rolling:
        return Missing(Reason.ROLLOUT_IN_PROGRESS, "stuck" if workload.stuck else workload.revision)
    unready = sorted(p.name for p in pods if not p.ready)
    if unready or not pods:
        return Missing(Reason.WORKLOAD_NOT_READY, ", ".join(unready) or "no pods yet")
    return None


def rollout_health(snapshot: Snapshot, now: datetime) -> Verdict:
    why = unhealthy(snapshot.workload)
    if why is None:
        return Verdict("rollout-health", Admission.ADMIT, Reason.WITHIN_LIMITS)
    return Verdict("rollout-health", Admission.REFUSE, why.reason, why.detail)
