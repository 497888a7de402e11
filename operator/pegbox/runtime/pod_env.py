"""Variables that admission puts into new pods: what is held, what each pod runs, and the object that says so.

The template is never written. What a pod would have without us (what its template states, or what the application makes
of a variable that is absent) is where everything is put back to: then the PodEnvironment has no entry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from pegbox.adapters.kube import environment, owners, resources
from pegbox.core import pod_env as pod_env_rules
from pegbox.model.knobs import Knob, KnobValue, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import DeletionPolicy, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, Snapshot, Workload
from pegbox.model.trials import Ledger
from pegbox.ports import POD_ENVIRONMENT, Object
from pegbox.runtime import texts as text_values
from pegbox.runtime.reading import ORIGINALS, PARENTS, Objects, noted

LAG = timedelta(seconds=30)
"""A pod created later than this after the write was made by an API server that knew: informers lag by less than a
second where all is well. Both moments are of the API server's clock."""
THEIRS = frozenset({Reason.OWNED_BY_OTHER, Reason.ENV_UNREADABLE})
Agreed = Callable[[Objects, Knob], KnobValue | Missing]
Consent = Callable[[ProfileSpec, Knob, Object, owners.Path, Held], Held]


@dataclass(frozen=True, slots=True)
class Asking:
    """What one answer needs beside the knob. `agreed` is the one value that all pods report of a knob."""

    found: Objects
    ledger: Ledger | None
    agreed: Agreed
    consent: Consent


def held(asking: Asking, knob: Knob) -> Held:
    """One variable. One that is never written, being recommended or pinned, is no conflict."""
    value = _held(asking, knob)
    return value if knob.tunable else replace(value, refusal=None)


def _held(asking: Asking, knob: Knob) -> Held:
    found, name = asking.found, knob.location.key
    if found.target is None:
        return Held(Missing(Reason.TARGET_NOT_FOUND))
    uid = found.target["metadata"]["uid"]
    container, texts = _template(found)
    if texts is None:
        gone = Missing(Reason.ENV_UNREADABLE, f"the template has no container {container}: correct targetRef.container")
        return Held(gone, refusal=gone, object_uid=uid)
    start = _start(asking, knob, texts)
    if isinstance(start, Missing) and start.reason is Reason.ENV_UNREADABLE:
        return Held(start, refusal=start, object_uid=uid)  # without the text: it is no value, so nothing restores it
    value = _standing(asking, knob, start, texts)
    seen = Held(value, texts.get(name), start=None if isinstance(start, Missing) else start)
    seen = _left_open(asking, knob, replace(seen, behind=_gone(asking, knob, seen)))
    seen = _with_pods(asking, knob, seen)
    seen = replace(seen, refusal=_refused(asking, knob, seen))
    return asking.consent(found.spec, knob, found.target, environment.path(container, name), seen)


def _template(found: Objects) -> tuple[str, dict[str, str | None] | None]:
    """The tuned container's name and the variables that the template states; None where there is no such container."""
    template = (found.target or {}).get("spec", {}).get("template", {})
    name = resources.container_name(template, found.spec.target.container)
    if resources.container(template, name) is None:
        return name or found.spec.target.container, None
    return name, environment.stated(template, name)


def _start(asking: Asking, knob: Knob, texts: Mapping[str, str | None]) -> KnobValue | Missing:
    """What a pod has without us. A variable that nobody states has the value that was found at the adoption."""
    name = knob.location.key
    if name in texts:
        text = texts[name]
        if text is None:
            return Missing(Reason.ENV_UNREADABLE, f"{name} is taken by valueFrom: state a value in the template")
        return _parsed(knob, text, asking.ledger)
    remembered = noted(asking.found.pod_environment).get(knob.name)
    if remembered is not None:
        return _parsed(knob, remembered, asking.ledger)
    adopted = asking.ledger.adopted if asking.ledger is not None else None
    if adopted is not None and knob.name in adopted:
        return adopted[knob.name]
    return asking.agreed(asking.found, knob)


def _parsed(knob: Knob, text: str, ledger: Ledger | None) -> KnobValue | Missing:
    return text_values.value(knob, text, f"variable {knob.location.key}", Reason.ENV_UNREADABLE, ledger)


def _standing(
    asking: Asking, knob: Knob, start: KnobValue | Missing, texts: Mapping[str, str | None]
) -> KnobValue | Missing:
    """What the next pod gets: our entry where it applies to the template as it is now, else what it has anyway."""
    name = knob.location.key
    entry = environment.entries(asking.found.pod_environment).get(name)
    if entry is None or not environment.acts(entry, texts.get(name), named=name in texts):
        return start
    return _parsed(knob, str(entry["value"]), asking.ledger)


def _gone(asking: Asking, knob: Knob, seen: Held) -> tuple[str, ...]:
    """Our object is not there, though the ledger wants a value of it: it is written (again).

    It has to be there for whatever moves the value, also for the way back to what pods have without it: a leader that
    was paused before its first write would else make it after all.
    """
    found, ledger = asking.found, asking.ledger
    if found.pod_environment is not None or not found.environments or ledger is None or seen.start is None:
        return ()
    intent, setting = ledger.intent, ledger.incumbent
    wanted = seen.start if setting is None else setting.get(knob.name, seen.start)
    due = wanted != seen.start if intent is None else knob.name in intent.moved and knob.name not in intent.keep
    return (f"{POD_ENVIRONMENT.kind} {found.spec.name}",) if due else ()


def _left_open(asking: Asking, knob: Knob, seen: Held) -> Held:
    """New pods take what was for a canary that nobody knows of any more: its ledger was lost, or its mode. The object
    says what is to stand there again."""
    intent = asking.ledger.intent if asking.ledger is not None else None
    text = noted(asking.found.pod_environment, PARENTS).get(knob.name)
    if text is None or (intent is not None and intent.cohort is not None):
        return seen
    return replace(
        seen, value=_parsed(knob, text, asking.ledger), behind=(f"{POD_ENVIRONMENT.kind} {asking.found.spec.name}",)
    )


def _with_pods(asking: Asking, knob: Knob, seen: Held) -> Held:
    """Pods that started with something else; of them those that were created when admission had to know. Without our
    object nothing is ours to know: whoever put that there would do so again. A canary's pods, and those beside them,
    are as they are to be.
    """
    found = asking.found
    if isinstance(seen.value, Missing) or seen.behind:
        return seen
    written = environment.written_at(found.pod_environment)
    stale, missed = [], []
    for pod in _live(found):
        runs = _runs(asking.found, knob, pod, seen.start, asking.ledger)
        late = written is None or environment.created_at(pod) > written + LAG
        if runs != seen.value and not _beside(asking, knob, pod, runs, late):
            stale.append(str(pod["metadata"]["name"]))
            missed += stale[-1:] if late else []
    return replace(seen, stale=tuple(sorted(stale)), missed=tuple(sorted(missed)))


def _beside(asking: Asking, knob: Knob, pod: Object, runs: KnobValue | None, late: bool) -> bool:
    """Is it one of a canary's pods, or, while new pods are made for it, one from before?"""
    intent, name = asking.ledger.intent if asking.ledger is not None else None, knob.name
    if intent is None or intent.cohort is None or intent.current.get(name) == intent.in_cohort.get(name):
        return False
    if intent.opening:
        return runs == intent.current.get(name) and not late
    return pod["metadata"]["name"] in intent.cohort.pods and runs == intent.in_cohort.get(name)


def _live(found: Objects) -> Iterator[Object]:
    workload = found.workload
    uids = {p.uid for p in workload.unfinished if not p.terminating} if isinstance(workload, Workload) else set()
    return (pod for pod in found.pods if pod["metadata"]["uid"] in uids)


def _runs(found: Objects, knob: Knob, pod: Object, start: KnobValue | None, ledger: Ledger | None) -> KnobValue | None:
    """What a pod's own env makes of a knob; None where that cannot be told."""
    texts = environment.stated(pod, resources.container_name(pod, found.spec.target.container))
    if knob.location.key not in texts:
        return start
    text = texts[knob.location.key]
    value = Missing(Reason.ENV_UNREADABLE) if text is None else _parsed(knob, text, ledger)
    return None if isinstance(value, Missing) else value


def _refused(asking: Asking, knob: Knob, seen: Held) -> Missing | None:
    found, ledger = asking.found, asking.ledger
    back = ledger is not None and ledger.intent is not None and ledger.intent.kind.goes_back
    if found.admission is not None and not back:  # putting back needs no policy
        return found.admission
    body = found.pod_environment
    others = owners.owners(body, environment.entry_path(knob.location.key)) if body is not None else ()
    if others:
        detail = f"field manager {', '.join(others)} holds {knob.location.key} of PodEnvironment {found.spec.name}"
        return Missing(Reason.OWNED_BY_OTHER, f"{detail}: delete that object, and it is written again")
    if seen.missed and (ledger is None or ledger.intent is None):
        what = f"{knob.location.key} of {', '.join(seen.missed)} is not as written"
        return Missing(Reason.ADMISSION_MISSED, f"{what}: delete these pods once the policy works")
    return None


def with_admitted(found: Objects, values: Mapping[str, Held], ledger: Ledger | None = None) -> Objects:
    """Pods with what their own env makes of each such knob. `ledger`: where it is not the stored one."""
    ledger = ledger if ledger is not None else found.stored
    knobs = found.spec.space.at(LocationKind.POD_ENV)
    if not knobs or isinstance(found.workload, Missing):
        return found
    bodies = {pod["metadata"]["uid"]: pod for pod in found.pods}
    pods = []
    for pod in found.workload.pods:
        runs = {k.name: _runs(found, k, bodies[pod.uid], values[k.name].start, ledger) for k in knobs}
        pods.append(replace(pod, admitted={name: value for name, value in runs.items() if value is not None}))
    return replace(found, workload=replace(found.workload, pods=tuple(pods)))


def wanted(found: Objects, snapshot: Snapshot, desired: Setting, keep: tuple[str, ...]) -> Object:
    """The PodEnvironment for a setting: an entry for each variable that must differ from what pods have anyway."""
    spec, values, present = found.spec, snapshot.held, environment.entries(found.pod_environment)
    knobs = {k.location.key: k for k in spec.space.at(LocationKind.POD_ENV) if k.name in values}
    entries = [entry for name, entry in present.items() if name not in knobs]  # of a knob that was taken out: it stays
    notes = noted(found.pod_environment)
    for name, knob in sorted(knobs.items()):
        seen, value = values[knob.name], desired.get(knob.name)
        if seen.start is not None:
            notes[knob.name] = knob.type.format(seen.start)
        theirs = seen.refusal is not None and seen.refusal.reason in THEIRS
        if not knob.tunable or theirs or knob.name in keep or value is None:
            entries += [present[name]] if name in present else []
        elif seen.start is not None and value != seen.start:
            over = {} if seen.raw is None else {"over": seen.raw}
            entries.append({"name": name, "value": knob.type.format(value)} | over)
    container, _ = _template(found)
    target = {"kind": spec.target.kind, "name": spec.target.name}
    body: Object = {
        "apiVersion": POD_ENVIRONMENT.api_version,
        "kind": POD_ENVIRONMENT.kind,
        "metadata": {
            "name": spec.name,
            "namespace": spec.namespace,
            "labels": {"app.kubernetes.io/managed-by": "pegbox", "pegbox.dev/profile": spec.name},
            "annotations": {ORIGINALS: json.dumps(notes, sort_keys=True)},
            "ownerReferences": _owners(found, snapshot),
        },
        "spec": {"profileUID": spec.uid, "target": target, "container": container},
    }
    parents = _parents(snapshot)
    if parents:
        body["metadata"]["annotations"][PARENTS] = json.dumps(parents, sort_keys=True)
    body["spec"] |= {"env": sorted(entries, key=lambda e: str(e["name"]))} if entries else {}
    return body


def _parents(snapshot: Snapshot) -> dict[str, str]:
    """While new pods take the variables of a canary: those of the rest, which stand here again after it."""
    intent, space = snapshot.ledger.intent, snapshot.spec.space
    if intent is None or not intent.opening:
        return {}
    names = pod_env_rules.told_apart(space, intent)
    return {n: text for n, text in space.format(intent.current).items() if n in names}


def emptied(body: Object) -> Object:
    """As it is created. What a creation states belongs to it, and no later apply takes that away by leaving it out."""
    notes = {key: text for key, text in body["metadata"]["annotations"].items() if key != PARENTS}
    spec = {key: part for key, part in body["spec"].items() if key != "env"}
    return body | {"metadata": body["metadata"] | {"annotations": notes}, "spec": spec}


def same(present: Object, body: Object) -> bool:
    """Do both say the same? In which order a server keeps entries says nothing."""
    if noted(present, PARENTS) != noted(body, PARENTS):
        return False
    heads = ({key: part for key, part in each["spec"].items() if key != "env"} for each in (present, body))
    return environment.entries(present) == environment.entries(body) and next(heads) == next(heads)


def _owners(found: Objects, snapshot: Snapshot) -> list[Object]:
    """It goes with its profile, however that goes, unless values of it are to be kept: by the deletion policy, or since
    an earlier profile kept them."""
    adopted = snapshot.ledger.adopted
    names = [k.name for k in found.spec.space.at(LocationKind.POD_ENV) if adopted is not None and k.name in adopted]
    starts = {n: snapshot.held[n].start for n in names if n in snapshot.held}
    kept = adopted is not None and any(start not in (None, adopted[n]) for n, start in starts.items())
    if kept or found.spec.deletion_policy is DeletionPolicy.KEEP:
        return []
    profile = found.profile
    owner = {"apiVersion": profile["apiVersion"], "kind": profile["kind"], "name": found.spec.name}
    return [owner | {"uid": found.spec.uid, "controller": False, "blockOwnerDeletion": False}]
