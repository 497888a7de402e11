"""Cohorts: which pods run a trial first, what each pod runs in each stage, and how everybody gets to the goal. Pure.

The stages of a canary, with the setting in between that lowers before anything is raised (`core.plan`):

    stage    1         2        3         4
    rest     parent    parent   between   target
    cohort   between   target   target    target

In stage 2 the cohort is compared with the rest (`core.canary`). Where admission gives pods their variables, pods of
the cohort are made, not chosen: in its first stage new pods take them, until there are enough; then new pods are as the
rest again, and those that have them are the cohort:

    stage      1         2          3         4
    rest       parent    parent     between   target
    cohort     opened    target     target    target
    new pods   opened    parent     between   target

Any way back takes both sides to the goal at the same
time, each from its own setting by its own stages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pegbox.core import force, pod_env, usage, wording
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Effect, KnobValue, LocationKind, SearchSpace, Setting, values_hash
from pegbox.model.observations import Missing
from pegbox.model.profile import ProfileSpec
from pegbox.model.settings_document import TRIAL
from pegbox.model.snapshot import Document, Listed, PodFacts, Snapshot, Workload
from pegbox.model.trials import Cohort, Intent

MOST = 50  # pods of a cohort: more prove nothing more, and the ledger holds their names


@dataclass(frozen=True, slots=True)
class Standing:
    """Pods that are to run, or run, other values than the rest: `setting` is what they run now. `size`: how many pods
    admission is to make, where they are not there yet."""

    pods: tuple[str, ...]
    setting: Setting
    size: int = 0


def chosen(snapshot: Snapshot, workload: Workload, parent: Setting, target: Setting) -> Standing | None:
    """The pods in which a trial runs first, in name order, or how many; None where it is a plain step.

    It is one where it moves anything but hot knobs of the settings document and variables by admission, where pods do
    not say what they run, where fewer than `minPods` are ready, or where canaries are switched off. A pod of which both
    kinds move has one before the other, and after a restart perhaps the other before the one: they must not oppose each
    other in a budget.
    """
    wanted, space = snapshot.spec.canary, snapshot.spec.space
    moved = [space[n] for n in parent.diff(target) if n in space]
    hot = [k for k in moved if k.location.kind is LocationKind.SETTINGS and k.effect is Effect.HOT]
    made = [k for k in moved if k.location.kind is LocationKind.POD_ENV]
    if not moved or len(hot) + len(made) < len(moved) or wanted.share <= 0:
        return None
    if hot and not snapshot.ledger.reporting:
        return None
    if hot and made and len(usage.stages(snapshot.spec, parent, target)) > 1:
        return None
    ready = sorted(p.name for p in workload.unfinished if p.ready and not p.terminating)
    if len(ready) < max(wanted.min_pods, 2):
        return None
    size = min(MOST, max(1, math.floor(wanted.share * len(ready))))
    return Standing((), parent, size) if made else Standing(tuple(ready[:size]), parent)


Ways = tuple[tuple[Setting, ...], Cohort]
"""The stages of the rest, and the cohort with as many of its own."""


def first(spec: ProfileSpec, parent: Setting, target: Setting, standing: Standing) -> Ways:
    """The stages of a canary, of the rest and of the cohort: the cohort goes all the way, then the rest follows.

    A new pod takes all variables at once, so that nothing lies in between for it.
    """
    way = usage.stages(spec, parent, target)
    ahead = way
    if standing.size:
        made = {k.name: target[k.name] for k in spec.space.at(LocationKind.POD_ENV) if k.name in target}
        ahead = (parent.with_values(**made), target)
    return (parent,) * len(ahead) + way, Cohort(standing.pods, parent, ahead + (target,) * len(way), standing.size)


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


def left(snapshot: Snapshot, workload: Workload, current: Setting) -> Standing | None:
    """The same, and where no cohort is known, pods that still have the variables of one."""
    known = standing(snapshot, current)
    if known is not None or snapshot.ledger.intent is not None:
        return known
    own: dict[str, KnobValue] = {}
    for knob in snapshot.spec.space.at(LocationKind.POD_ENV):
        held = snapshot.held.get(knob.name)
        if knob.name not in current or held is None or held.refusal is not None:
            continue
        found = (p.admitted.get(knob.name) for p in workload.unfinished if p.name not in held.missed)
        others = [value for value in found if value is not None and value != current[knob.name]]
        if others:
            own[knob.name] = others[0]
    return Standing((), current.with_values(**own)) if own else None


def listed(spec: ProfileSpec, intent: Intent) -> Mapping[str, Listed]:
    """The cohorts of the document for the stage under way: what differs from the rest, no more."""
    if intent.cohort is None or not intent.split:
        return {}
    rest = force.document_values(spec.space, intent.current)
    own = force.document_values(spec.space, intent.in_cohort)
    values = {n: t for n, t in own.items() if rest.get(n) != t}
    return {TRIAL: Listed(intent.cohort.pods, values)} if values else {}


def edited(snapshot: Snapshot, intent: Intent) -> bool:
    """Did somebody else change the cohorts of the very document that we wrote?"""
    document = snapshot.document
    if isinstance(document, Missing) or document.profile_uid != snapshot.spec.uid:
        return False
    return document.generation == intent.generation and document.cohorts != listed(snapshot.spec, intent)


def members(space: SearchSpace, intent: Intent, workload: Workload) -> tuple[PodFacts, ...]:
    """The cohort's pods that are there."""
    return tuple(p for p in workload.unfinished if pod_env.belongs(space, intent, p))


def named(space: SearchSpace, intent: Intent, workload: Workload) -> Intent:
    """Those that admission made are the cohort from now on: the first by name, and no more than it was to be."""
    assert intent.cohort is not None
    own = sorted(p.name for p in members(space, intent, workload) if not p.terminating)
    return replace(intent, cohort=replace(intent.cohort, pods=tuple(own[: intent.cohort.size])))


def label(space: SearchSpace, intent: Intent | None, document: Document | Missing, uid: str, pod: PodFacts) -> str:
    """The label `cohort` of a pod: only once it runs what tells it apart."""
    told = {} if isinstance(document, Missing) else document.cohorts
    listed_in = "" if isinstance(document, Missing) else cohort_of(document, uid, pod)
    if intent is None or not intent.canary or not pod_env.told_apart(space, intent):
        return listed_in
    return TRIAL if pod_env.belongs(space, intent, pod) and (not told or listed_in == TRIAL) else ""


def cohort_of(document: Document, uid: str, pod: PodFacts) -> str:
    """The same by the document alone: it says that it runs that cohort's values of this document."""
    ack = pod.ack
    if ack is None or ack.profile_uid != uid or document.profile_uid != uid:
        return ""
    name = next((n for n, c in document.cohorts.items() if pod.name in c.pods), "")
    return name if name == TRIAL and _runs(document, pod) else ""


def unread(document: Document | Missing, uid: str, workload: Workload | Missing) -> bool:
    """Does a pod say that it still runs something else than the document that stands? At rest, too: what somebody edits
    is read by one pod after the other."""
    if isinstance(document, Missing) or isinstance(workload, Missing) or document.profile_uid != uid:
        return False
    known = (p for p in workload.unfinished if p.ack is not None and p.ack.profile_uid == uid)
    return any(not _runs(document, pod) for pod in known)


def _runs(document: Document, pod: PodFacts) -> bool:
    here = document.generation, values_hash(document.values_for(pod.name))
    return pod.ack is not None and (pod.ack.generation, pod.ack.hash) == here


def stage_in_words(space: SearchSpace, intent: Intent) -> str:
    """What the stage under way writes, and where only the cohort moves, to which pods."""
    if intent.cohort is None or intent.current != intent.before:
        return wording.in_words(space, intent.current, intent.parent)
    if intent.in_cohort == intent.cohort_before:
        return f"new pods as all others, beside {', '.join(intent.cohort.pods)}"
    moved = wording.in_words(space, intent.in_cohort, intent.cohort_before)
    where = f"new pods, until {intent.cohort.size} have it" if intent.opening else ", ".join(intent.cohort.pods)
    return f"{moved} in {where}"


def in_words(space: SearchSpace, intent: Intent, workload: Workload | Missing) -> str:
    """`canary 1 of 5 pods`; "" where the stage under way has no cohort."""
    if intent.cohort is None or not intent.split:
        return ""
    if isinstance(workload, Missing):
        return f"canary of {len(intent.cohort.pods) or intent.cohort.size}"
    return f"canary {len(members(space, intent, workload))} of {len(workload.unfinished)} pods"
