"""Cohorts: which pods run a trial first, what each pod runs in each stage, and how everybody gets to the goal. Pure.

The stages of a canary, with the setting in between that lowers before anything is raised (`core.plan`):

    stage    1         2        3         4
    rest     parent    parent   between   target
    cohort   between   target   target    target

In stage 2 the cohort is compared with the rest (`core.canary`). Any way back takes both sides to the goal at the same
time, each from its own setting by its own stages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pegbox.core import force, usage, wording
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Effect, LocationKind, SearchSpace, Setting, values_hash
from pegbox.model.observations import Missing
from pegbox.model.profile import ProfileSpec
from pegbox.model.settings_document import TRIAL
from pegbox.model.snapshot import Document, Listed, PodFacts, Snapshot, Workload
from pegbox.model.trials import Cohort, Intent

MOST = 50  # pods of a cohort: more prove nothing more, and the ledger holds their names


@dataclass(frozen=True, slots=True)
class Standing:
    """Pods that are to run, or run, other values than the rest: `setting` is what they run now."""

    pods: tuple[str, ...]
    setting: Setting


def chosen(snapshot: Snapshot, workload: Workload, parent: Setting, target: Setting) -> tuple[str, ...]:
    """The pods in which a trial runs first, in name order; none where it is a plain step.

    It is one where it moves anything but hot knobs of the settings document, where pods do not say what they run, where
    fewer than `minPods` are ready, or where canaries are switched off.
    """
    wanted, space = snapshot.spec.canary, snapshot.spec.space
    moved = [space[n] for n in parent.diff(target) if n in space]
    hot = all(k.location.kind is LocationKind.SETTINGS and k.effect is Effect.HOT for k in moved)
    if not moved or not hot or not snapshot.ledger.reporting or wanted.share <= 0:
        return ()
    ready = sorted(p.name for p in workload.unfinished if p.ready and not p.terminating)
    if len(ready) < max(wanted.min_pods, 2):
        return ()
    return tuple(ready[: min(MOST, max(1, math.floor(wanted.share * len(ready))))])


Ways = tuple[tuple[Setting, ...], Cohort]
"""The stages of the rest, and the cohort with as many of its own."""


def first(spec: ProfileSpec, parent: Setting, target: Setting, pods: tuple[str, ...]) -> Ways:
    """The stages of a canary, of the rest and of the cohort: the cohort goes all the way, then the rest follows."""
    way = usage.stages(spec, parent, target)
    ahead = way + (target,) * len(way)
    return (parent,) * len(way) + way, Cohort(pods, parent, ahead)


def together(spec: ProfileSpec, here: Setting, goal: Setting, standing: Standing) -> Ways:
    """The stages of a way back: rest and cohort go to the goal at the same time, each through what lies in between.

    Whoever has the shorter way stays where he is first, so that what is lowered is lowered first on both sides. What is
    not in the document (replicas, bounds of an HPA) has no cohorts: there the rest's setting holds for all.
    """
    rest, cohort = usage.stages(spec, here, goal), usage.stages(spec, standing.setting, goal)
    length = max(len(rest), len(cohort))
    rest = (here,) * (length - len(rest)) + rest
    cohort = (standing.setting,) * (length - len(cohort)) + cohort
    names = [k.name for k in spec.space.at(LocationKind.SETTINGS)]
    told = tuple(
        r.with_values(**{n: c[n] for n in names if n in r and n in c}) for r, c in zip(rest, cohort, strict=True)
    )
    return rest, Cohort(standing.pods, standing.setting, told)


def here(intent: Intent, current: Setting) -> Standing | None:
    """What the cohort of an intent under way runs, where that is not what the rest runs. `current` is what the rest
    runs: knobs in which the cohort does not differ follow it, as they do in the document.
    """
    if intent.cohort is None or not intent.split:
        return None
    own = {n: intent.in_cohort[n] for n in intent.current.diff(intent.in_cohort) if n in intent.in_cohort}
    return Standing(intent.cohort.pods, current.with_values(**own))


def standing(snapshot: Snapshot, current: Setting) -> Standing | None:
    """The cohort as it stands: by the intent under way, else by a document in which one was left."""
    intent, document = snapshot.ledger.intent, snapshot.document
    if intent is not None:
        return here(intent, current)
    if isinstance(document, Missing) or document.profile_uid != snapshot.spec.uid:
        return None
    left = document.cohorts.get(TRIAL)
    if left is None:
        return None
    space = snapshot.spec.space
    try:
        own = {n: space[n].type.parse(t, f"cohort {TRIAL}: {n}") for n, t in left.values.items() if n in space}
    except InvalidInput:
        return None  # nobody knows what they run; the document that follows says what they shall
    return Standing(left.pods, current.with_values(**{n: v for n, v in own.items() if n in current}))


def listed(spec: ProfileSpec, intent: Intent) -> Mapping[str, Listed]:
    """The cohorts of the document for the stage under way: what differs from the rest, no more."""
    if intent.cohort is None or not intent.split:
        return {}
    rest = force.document_values(spec.space, intent.current)
    own = force.document_values(spec.space, intent.in_cohort)
    return {TRIAL: Listed(intent.cohort.pods, {n: t for n, t in own.items() if rest.get(n) != t})}


def edited(snapshot: Snapshot, intent: Intent) -> bool:
    """Did somebody else change the cohorts of the very document that we wrote?"""
    document = snapshot.document
    if isinstance(document, Missing) or document.profile_uid != snapshot.spec.uid:
        return False
    return document.generation == intent.generation and document.cohorts != listed(snapshot.spec, intent)


def members(intent: Intent, workload: Workload) -> tuple[PodFacts, ...]:
    """The cohort's pods that are there."""
    pods = frozenset(() if intent.cohort is None else intent.cohort.pods)
    return tuple(p for p in workload.unfinished if p.name in pods)


def cohort_of(document: Document, uid: str, pod: PodFacts) -> str:
    """The label `cohort` of a pod: only once it says that it runs that cohort's values of this document."""
    ack = pod.ack
    if ack is None or ack.profile_uid != uid or document.profile_uid != uid or ack.generation != document.generation:
        return ""
    name = next((n for n, c in document.cohorts.items() if pod.name in c.pods), "")
    known = name == TRIAL and ack.hash == values_hash(document.values_for(pod.name))
    return name if known else ""


def stage_in_words(space: SearchSpace, intent: Intent) -> str:
    """What the stage under way writes, and where only the cohort moves, to which pods."""
    if intent.cohort is None or intent.current != intent.before:
        return wording.in_words(space, intent.current, intent.parent)
    moved = wording.in_words(space, intent.in_cohort, intent.cohort_before)
    return f"{moved} in {', '.join(intent.cohort.pods)}"


def in_words(intent: Intent, workload: Workload | Missing) -> str:
    """`canary 1 of 5 pods`; "" where the stage under way has no cohort."""
    if intent.cohort is None or not intent.split:
        return ""
    if isinstance(workload, Missing):
        return f"canary of {len(intent.cohort.pods)}"
    return f"canary {len(members(intent, workload))} of {len(workload.unfinished)} pods"
