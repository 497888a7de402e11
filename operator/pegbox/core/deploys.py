"""Deploys: did somebody change the pod template since it was recorded? Pure.

Code that answers otherwise ends a trial, and what was proven of the code before it. Evictions change no template, and a
rollout of ours only our own note in it, which `Workload.template` leaves out: so nothing that we do is ever a deploy.
"""

from __future__ import annotations

from dataclasses import replace

from pegbox.core import force
from pegbox.model.knobs import SearchSpace
from pegbox.model.snapshot import Workload
from pegbox.model.trials import Intent, Ledger


def came(recorded: Ledger | Intent, workload: Workload) -> bool:
    """Is the pod template another one than was recorded?

    Not where its controller, which has seen it, still knows it by the recorded name. Then pods stay as they are: a
    newer API server states more defaults, or the Deployment is paused, and the deploy comes once it is resumed.
    """
    if not (recorded.template and workload.template):  # of a release before: the controller's names are all there is
        return bool(recorded.revision and workload.revision) and recorded.revision != workload.revision
    same_name = workload.revision != "" and recorded.revision == workload.revision
    return recorded.template != workload.template and not same_name


def noted(space: SearchSpace, ledger: Ledger, workload: Workload) -> Ledger:
    """With the controller's name of now for the recorded template: a rollout of ours gave it a new one.

    The name counts with the template that it stands for. A deploy may come between the reads of a Deployment and of its
    ReplicaSets: under the new name the template of before would never be missed.

    A ledger of a release before names no template. What stands is the recorded one where the name is the same, and
    where a restart under way may have changed the name, as that release took it.
    """
    if not workload.revision:
        return ledger
    intent = ledger.intent
    restarts = intent is not None and intent.in_force_at is None and not intent.canary  # which never rolls out
    ours = intent is not None and restarts and bool(force.restarting(space, intent))
    if intent is not None and _stands(intent, workload, ours):
        intent = replace(intent, revision=workload.revision, template=workload.named)
    ledger = replace(ledger, intent=intent)
    if _stands(ledger, workload, ours):
        ledger = replace(ledger, revision=workload.revision, template=workload.named)
    return ledger


def _stands(recorded: Ledger | Intent, workload: Workload, ours: bool) -> bool:
    if recorded.template:
        return recorded.template == workload.named
    return ours or recorded.revision in ("", workload.revision)
