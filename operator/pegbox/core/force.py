"""In force: written is not in force. When does every pod run what was written?

Settings keys count once every unfinished pod acknowledged (profile uid, generation, hash). Env keys follow container
start times. The rest (ConfigMap keys of the application, HPA bounds, replicas) has nobody to acknowledge it: it
counts when it was read back, and for ConfigMap values when ackTimeout has passed since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.core import pod_env
from pegbox.model.knobs import Effect, Knob, LocationKind, SearchSpace, Setting, values_hash
from pegbox.model.observations import Missing
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, Document, Held, PodFacts, Workload
from pegbox.model.trials import Intent, Ledger

STILL_OURS = frozenset({Reason.VOLUME_NOT_HOT, Reason.CONFIG_IMMUTABLE})


@dataclass(frozen=True, slots=True)
class Force:
    """`silent` names pods that have not acknowledged; `overdue` says that ackTimeout has passed for them."""

    reached: bool
    silent: tuple[str, ...] = ()
    overdue: bool = False


def document_values(space: SearchSpace, setting: Setting) -> dict[str, str]:
    """knob -> text of the settings document for a setting."""
    texts = space.format(setting)
    names = {k.name for k in space.at(LocationKind.SETTINGS)}
    return {name: text for name, text in texts.items() if name in names}


def applied(
    space: SearchSpace, setting: Setting, held: Mapping[str, Held], intent: Intent | None = None
) -> tuple[str, ...]:
    """Names of writable knobs whose value in the cluster is not the setting's yet, while the intent is under way."""
    back = intent.moved if intent is not None and intent.kind.goes_back else frozenset[str]()
    out = []
    for name, value in setting.items():
        if name not in space or not space[name].tunable:
            continue
        seen = held.get(name)
        if seen is not None and _writable(seen, name in back) and (seen.value != value or seen.behind):
            out.append(name)
    return tuple(out)


def _writable(seen: Held, back: bool) -> bool:
    """What we wrote, and nobody else took, is put back also where no trial would begin any more: in a file that running
    pods read no more, and in an immutable one, which the server refuses, and so holds up the end."""
    return seen.refusal is None or (back and not seen.owners and seen.refusal.reason in STILL_OURS)


def in_force(
    spec: ProfileSpec, ledger: Ledger, intent: Intent, workload: Workload, now: datetime, gone: Container[str] = ()
) -> Force:
    """Has every pod taken the stage under way? `gone`: knobs whose place is not there any more."""
    if intent.applied_at is None:
        return Force(False)
    space = spec.space
    timed_out = now >= intent.applied_at + timedelta(seconds=float(spec.guards.ack_timeout))
    late = outdated(space, intent, workload)
    overdue = now >= intent.applied_at + patience(spec, intent, workload)
    if intent.opening:  # nothing but variables moves, and what admission put into a pod needs no word of it
        return Force(not late and opened(space, intent, workload), tuple(sorted(p.name for p in late)), overdue)
    silent: set[str] = set()
    if space.at(LocationKind.SETTINGS):
        rest, cohort = (values_hash(document_values(space, s)) for s in (intent.current, intent.in_cohort))
        ahead = frozenset(intent.cohort.pods if intent.cohort is not None else ())
        wanted = [(p, cohort if p.name in ahead else rest) for p in workload.unfinished]
        silent |= {p.name for p, hashed in wanted if not _acknowledged(p, spec, intent, hashed)}
        if silent and overdue and not ledger.reporting:
            silent = set()  # an application that does not report: the timeout is all there is
    if any(k.effect is Effect.RESTART for k in space.tunable) and restarting(space, intent):
        silent |= {p.name for p in late}
        if workload.rolling:
            return Force(False, tuple(sorted(silent)), overdue)
    if (_unacknowledgeable(space, intent) and not timed_out) or _too_many_pods(space, intent, workload, gone):
        return Force(False, tuple(sorted(silent)), overdue)
    return Force(not silent, tuple(sorted(silent)), bool(silent) and overdue)


def patience(spec: ProfileSpec, intent: Intent, workload: Workload) -> timedelta:
    """How long the stage under way waits for pods: `ackTimeout`, once for each that it may have to restart."""
    each = timedelta(seconds=float(spec.guards.ack_timeout))
    if not restarting(spec.space, intent):
        return each
    return each * max(1, _one_by_one(intent, workload, len(outdated(spec.space, intent, workload))))


def unread(spec: ProfileSpec, ledger: Ledger, document: Document | Missing, workload: Workload) -> tuple[str, ...]:
    """Pods that have not acknowledged the document that stands, whoever wrote it. None of an application that never
    reported: of those nobody knows."""
    if not ledger.reporting or not spec.space.at(LocationKind.SETTINGS):
        return ()
    return tuple(sorted(p.name for p in workload.unfinished if not _has_read(p, spec.uid, document)))


def _has_read(pod: PodFacts, uid: str, document: Document | Missing) -> bool:
    if isinstance(document, Missing) or document.foreign or document.profile_uid != uid or pod.ack is None:
        return False
    return pod.ack == _told(pod, document)


def _told(pod: PodFacts, document: Document) -> Acknowledgement:
    """What the pod says once it has read the document."""
    return Acknowledgement(document.profile_uid, document.generation, values_hash(document.values_for(pod.name)))


def number_reused(uid: str, document: Document | Missing, workload: Workload) -> bool:
    """Does a pod run other values under the number of the document that stands? Somebody edited that and left the
    number: readers refuse it (rule 4 of docs/settings-document.md), so nobody ever runs it."""
    if isinstance(document, Missing) or document.profile_uid != uid:
        return False
    acks = ((p.ack, _told(p, document)) for p in workload.unfinished if p.ack is not None)
    return any(replace(ack, hash=told.hash) == told != ack for ack, told in acks)


def changed(intent: Intent) -> tuple[str, ...]:
    """Knobs that the stage under way changes, against the stage before it."""
    return intent.before.diff(intent.current)


def restarting(space: SearchSpace, intent: Intent) -> tuple[str, ...]:
    """Knobs that need a restart to come into force, of those that the stage changes in any pod or holds apart."""
    apart = (*intent.cohort_before.diff(intent.in_cohort), *intent.current.diff(intent.in_cohort))
    names = {*changed(intent), *(n for n in apart if n not in intent.keep)}
    return tuple(sorted(n for n in names if n in space and space[n].effect is Effect.RESTART))


def opened(space: SearchSpace, intent: Intent, workload: Workload) -> bool:
    """Have as many pods the cohort's variables as there are to be?"""
    assert intent.cohort is not None
    return sum(pod_env.belongs(space, intent, p) for p in _staying(workload)) >= intent.cohort.size


def _staying(workload: Workload) -> tuple[PodFacts, ...]:
    return tuple(p for p in workload.unfinished if not p.terminating)


def _one_by_one(intent: Intent, workload: Workload, late: int) -> int:
    """How many pods may have to be restarted, which is done one after the other."""
    if intent.opening and intent.cohort is not None:
        return intent.cohort.size
    return late + 1 if intent.compared else len(workload.unfinished)


def outdated(space: SearchSpace, intent: Intent, workload: Workload) -> tuple[PodFacts, ...]:
    """Pods that do not run yet what the stage moved by a restart.

    A container reads envFrom when it starts, so one that started after the read-back has the new values. What admission
    put into a pod stands in the pod, whenever it started. While new pods take the cohort's variables, as many are
    replaced as are missing of it, in name order. Beside a cohort, whatever else took them is replaced.
    """
    if intent.opening and intent.cohort is not None:
        others = [p for p in _staying(workload) if not pod_env.belongs(space, intent, p)]
        return tuple(others[: max(0, intent.cohort.size - len(_staying(workload)) + len(others))])
    names = restarting(space, intent)
    return tuple(p for p in workload.unfinished if owes(space, intent, p, names))


def owes(space: SearchSpace, intent: Intent, pod: PodFacts, names: Collection[str]) -> bool:
    """Does the pod not run yet what the stage moved of these knobs by a restart?"""
    admitted = [n for n in names if space[n].location.kind is LocationKind.POD_ENV]
    if len(admitted) < len(names) and not restarted(pod, intent):
        return True
    return any(pod.admitted.get(n) != _wanted(space, intent, pod)[n] for n in admitted)


def to_restart(space: SearchSpace, intent: Intent, workload: Workload) -> bool:
    """Do pods still run what the stage moved by a restart? Not told of a ledger that holds times only."""
    return intent.old_containers is not None and bool(outdated(space, intent, workload))


def _wanted(space: SearchSpace, intent: Intent, pod: PodFacts) -> Setting:
    return intent.in_cohort if pod_env.belongs(space, intent, pod) else intent.current


def _too_many_pods(space: SearchSpace, intent: Intent, workload: Workload, gone: Container[str]) -> bool:
    """A lowered bound of pods is in force once the pods above it have gone: until then they use the budgets.

    A way back does not wait for what an HPA that was deleted will never do. What it raises later waits for room
    (`room.crowded`).
    """
    pods = max(len(workload.unfinished), workload.replicas)
    for knob in space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS):
        old, new = intent.before.get(knob.name), intent.current.get(knob.name)
        if intent.kind.goes_back and knob.name in gone:
            continue
        if knob.tunable and isinstance(old, Fraction) and isinstance(new, Fraction) and new < old and new < pods:
            return True
    return False


def own_document(space: SearchSpace) -> bool:
    """Does any knob live in our own ConfigMap?"""
    return any(k.location.kind.in_own_config_map for k in space.knobs)


def _unacknowledgeable(space: SearchSpace, intent: Intent) -> bool:
    return any(_files(space[n]) for n in changed(intent) if n in space)


def _files(knob: Knob) -> bool:
    """Is it read from a file that is the application's own?"""
    files = (LocationKind.CONFIG_MAP_KEY, LocationKind.CONFIG_MAP_PATH)
    return knob.location.kind in files and knob.effect is Effect.HOT


def untold(space: SearchSpace, ledger: Ledger, names: Iterable[str]) -> bool:
    """Does no pod tell when it takes one of these values, so that `ackTimeout` is all there is?"""
    knobs = [space[n] for n in names if n in space]
    silent = () if ledger.reporting else space.at(LocationKind.SETTINGS)
    return any(_files(k) or k in silent for k in knobs)


def _acknowledged(pod: PodFacts, spec: ProfileSpec, intent: Intent, hashed: str) -> bool:
    ack = pod.ack
    if ack is None or ack.profile_uid != spec.uid:
        return False
    return ack.generation == intent.generation and ack.hash == hashed


def containers(workload: Workload, *, created: bool = False) -> tuple[str, ...]:
    """Which containers run now, in short: a pod's uid and how often it was restarted.

    One that no kubelet has taken yet reads what stands when it starts. `created` names it, too: what admission put into
    it stands already.
    """
    return tuple(_container(p) for p in workload.unfinished if created or p.started_at is not None)


def restarted(pod: PodFacts, intent: Intent) -> bool:
    """Did the pod's container start after the read-back? Told by what ran then, not by times: the clocks of nodes and
    of the operator may differ by more than a restart takes. A ledger of an older release has times only."""
    if intent.old_containers is not None:
        return _container(pod) not in intent.old_containers
    started, applied = pod.container_started_at, intent.applied_at
    return started is not None and applied is not None and started >= applied


def made_up_for(intent: Intent, workload: Workload) -> bool:
    """Does a ready pod stand for each one that was restarted or went since the read-back? What terminates has gone, and
    before that where its time was over by then."""
    applied = intent.applied_at
    if intent.old_containers is None or applied is None:
        return False
    left_before = (p for p in workload.unfinished if p.ends_at is not None and p.ends_at <= applied)
    staying = _staying(workload)
    gone = {*intent.old_containers} - {_container(p) for p in (*staying, *left_before)}
    return sum(p.ready and restarted(p, intent) for p in staying) >= len(gone)


def _container(pod: PodFacts) -> str:
    """Twelve hex digits: a ledger of 64 KiB must hold hundreds."""
    return hashlib.sha256(f"{pod.uid} {pod.restarts}".encode()).hexdigest()[:12]
