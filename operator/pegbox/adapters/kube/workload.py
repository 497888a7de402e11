"""From the objects of a workload to the facts that the loop decides on. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from pegbox.adapters.kube import resources
from pegbox.adapters.kube.owners import controller, controller_uid
from pegbox.model.errors import InvalidInput
from pegbox.model.snapshot import PodFacts, Workload
from pegbox.ports import Object

RESTARTED = "pegbox.dev/restarted-for"
"""The only note of ours in a pod template: it restarts pods by a rollout (`runtime/actuate.py`)."""
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
_DEPLOYMENT_HASH, _STATEFUL_SET_HASH = "pod-template-hash", "controller-revision-hash"
_SHOWN = 300  # characters of the server's words
_FINISHED = frozenset({"Succeeded", "Failed"})
_OPERATORS = {"In": "in", "NotIn": "notin"}


def selector_text(target: Object) -> str:
    """The workload's pod selector in the form that LIST takes."""
    selector = target.get("spec", {}).get("selector") or {}
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        terms.append(_expression(each))
    if not terms:
        raise InvalidInput("spec.selector", selector, "a workload without a selector has no pods of its own")
    return ",".join(terms)


def _expression(each: Mapping[str, Any]) -> str:
    key, operator = each["key"], each["operator"]
    if operator in _OPERATORS:
        return f"{key} {_OPERATORS[operator]} ({','.join(each.get('values') or ())})"
    if operator == "Exists":
        return str(key)
    if operator == "DoesNotExist":
        return f"!{key}"
    raise InvalidInput("spec.selector.matchExpressions.operator", operator, "known: In NotIn Exists DoesNotExist")


def decode(
    target: Object, pods: Iterable[Object] = (), replica_sets: Iterable[Object] = (), container: str = ""
) -> Workload:
    """The workload as it stands. Pods and ReplicaSets of other owners are left out, but for the pods of a target of the
    same name that was deleted.

    `container` is the one that the profile tunes; "" takes the default container's annotation, then the first.
    """
    if target["kind"] == "StatefulSet":
        return _stateful_set(target, pods, container)
    return _deployment(target, pods, replica_sets, container)


def _deployment(target: Object, pods: Iterable[Object], replica_sets: Iterable[Object], container: str) -> Workload:
    uid = str(target["metadata"]["uid"])
    own = [each for each in replica_sets if controller_uid(each) == uid]
    uids = {str(each["metadata"]["uid"]) for each in own}
    newest = max(own, key=_revision_number, default=None)
    labels = (newest or {}).get("metadata", {}).get("labels") or {}
    replicas = _replicas(target)
    return Workload(
        kind="Deployment",
        uid=uid,
        replicas=replicas,
        revision="" if _behind(target) else str(labels.get(_DEPLOYMENT_HASH, "")),
        rolling=_deployment_rolling(target, replicas),
        stuck=_condition(target, "Progressing").get("reason") == "ProgressDeadlineExceeded",
        surge=_surge(target, replicas),
        pods=_pods(target, pods, uids, container),
        generation=int(target["metadata"].get("generation", 0)),
        template=_template(target),
        rolled_out="" if newest is None else _template(newest),
        unmade=_unmade(target),
    )


def _stateful_set(target: Object, pods: Iterable[Object], container: str) -> Workload:
    uid = str(target["metadata"]["uid"])
    status = target.get("status", {})
    replicas = _replicas(target)
    return Workload(
        kind="StatefulSet",
        uid=uid,
        replicas=replicas,
        revision="" if _behind(target) else str(status.get("updateRevision", "")),
        rolling=_stateful_set_rolling(target, replicas),
        stuck=False,  # a StatefulSet has no progress deadline
        surge=0,
        pods=_pods(target, pods, {uid}, container),
        generation=int(target["metadata"].get("generation", 0)),
        first=int((target.get("spec", {}).get("ordinals") or {}).get("start", 0)),
        template=_template(target),
    )


def _template(body: Object) -> str:
    """Sixteen hex digits of the pod template without our note, and without the label that a Deployment's controller
    puts into a ReplicaSet's: so both have the same. What a server states as null or empty in its metadata, and another
    one leaves out, is nothing: it states `annotations: {}` once our note was the only one."""
    template = body.get("spec", {}).get("template") or {}
    metadata = dict(template.get("metadata") or {})
    notes = {name: text for name, text in (metadata.get("annotations") or {}).items() if name != RESTARTED}
    labels = {name: text for name, text in (metadata.get("labels") or {}).items() if name != _DEPLOYMENT_HASH}
    said = {name: value for name, value in (metadata | {"annotations": notes, "labels": labels}).items() if value}
    text = json.dumps({**template, "metadata": said}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _replicas(target: Object) -> int:
    """Wanted pods. The server fills in 1 where nothing is stated, so absence means an object of a test or diff."""
    stated = target.get("spec", {}).get("replicas")
    return 1 if stated is None else int(stated)


def _revision_number(replica_set: Object) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION, "0")
    return int(text) if text.isdecimal() else 0


def _behind(target: Object) -> bool:
    """Whether the controller has not seen the newest spec yet."""
    return int(target.get("status", {}).get("observedGeneration", 0)) < int(target["metadata"].get("generation", 0))


def _deployment_rolling(target: Object, replicas: int) -> bool:
    """As `kubectl rollout status`, but a pod that falls ill after the rollout is not a rollout.

    Progressing=True with another reason than NewReplicaSetAvailable is one under way; the counts tell the rest,
    and those of a paused Deployment stay unequal for as long as its template is half rolled out.
    """
    status = target.get("status", {})
    updated = int(status.get("updatedReplicas", 0))
    if _behind(target) or updated < replicas or int(status.get("replicas", 0)) > updated:
        return True
    progressing = _condition(target, "Progressing")
    if progressing:
        return progressing.get("status") == "True" and progressing.get("reason") != "NewReplicaSetAvailable"
    return int(status.get("availableReplicas", 0)) < updated


def _stateful_set_rolling(target: Object, replicas: int) -> bool:
    """OnDelete leaves old pods until somebody deletes them, and a partition for good: neither is a rollout."""
    status = target.get("status", {})
    if _behind(target) or int(status.get("replicas", 0)) != replicas:
        return True
    strategy = target.get("spec", {}).get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete" or status.get("currentRevision") == status.get("updateRevision"):
        return False
    partition = int((strategy.get("rollingUpdate") or {}).get("partition", 0))
    return int(status.get("updatedReplicas", 0)) < replicas - partition


def _surge(target: Object, replicas: int) -> int:
    """Pods above `replicas` in a rollout: maxSurge, percentages rounded up as the server does."""
    return 0 if _recreates(target) else math.ceil(_of_rollout(target, "maxSurge", replicas))


def all_at_once(target: Object | None) -> bool:
    """May a rollout of the Deployment end its last old pod before any new one is ready? By Recreate, or where as many
    pods as there are may be unavailable. As its controller counts: percentages are rounded down, of nothing at all it
    makes one, and what may be added above the replicas keeps no old pod.
    """
    if target is None or target["kind"] != "Deployment":
        return False
    replicas = int(target["spec"].get("replicas", 1))
    surge, unavailable = (_of_rollout(target, name, replicas) for name in ("maxSurge", "maxUnavailable"))
    return _recreates(target) or max(math.floor(unavailable), 1 if surge == 0 else 0) >= replicas


def _recreates(target: Object) -> bool:
    return (target.get("spec", {}).get("strategy") or {}).get("type") == "Recreate"


def _of_rollout(target: Object, name: str, replicas: int) -> Fraction:
    """`maxSurge` or `maxUnavailable`, in pods: a count, or a percentage of the replicas, 25 % by default."""
    stated = ((target.get("spec", {}).get("strategy") or {}).get("rollingUpdate") or {}).get(name, "25%")
    if isinstance(stated, str) and stated.endswith("%"):
        return Fraction(int(stated[:-1]) * replicas, 100)
    return Fraction(stated)


def _unmade(target: Object) -> str:
    """What refuses the pods of a Deployment. Of a StatefulSet only events say so."""
    failure = _condition(target, "ReplicaFailure")
    return str(failure.get("message", ""))[:_SHOWN] if failure.get("status") == "True" else ""


def _condition(body: Object, kind: str) -> Mapping[str, Any]:
    conditions = body.get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def _pods(target: Object, pods: Iterable[Object], owners: set[str], container: str) -> tuple[PodFacts, ...]:
    label = _STATEFUL_SET_HASH if target["kind"] == "StatefulSet" else _DEPLOYMENT_HASH
    found = []
    for each in pods:
        former = _former(target, each, owners)
        if former or controller_uid(each) in owners:
            found.append(_pod(each, label, container, former=former))
    return tuple(sorted(found, key=lambda pod: pod.name))


def _former(target: Object, pod: Object, owners: set[str]) -> bool:
    """Was the pod made for another object of the target's kind and name? No two of them stand at the same time, so that
    one was deleted. Its ReplicaSet may be gone already: it is told by its name, the Deployment's and the pod's hash."""
    owner, kind, name = controller(pod), target["kind"], str(target["metadata"]["name"])
    if kind == "Deployment":
        digest = (pod["metadata"].get("labels") or {}).get(_DEPLOYMENT_HASH, "")
        kind, name = "ReplicaSet", f"{name}-{digest}"
    return (owner.get("kind"), owner.get("name")) == (kind, name) and str(owner.get("uid", "")) not in owners


def _pod(pod: Object, label: str, container: str, *, former: bool) -> PodFacts:
    metadata, status = pod["metadata"], pod.get("status", {})
    every: list[Mapping[str, Any]] = list(status.get("containerStatuses") or ())
    inits: list[Mapping[str, Any]] = list(status.get("initContainerStatuses") or ())
    name = resources.container_name(pod, container)
    main = next((each for each in every if each.get("name") == name), {})
    return PodFacts(
        name=str(metadata["name"]),
        uid=str(metadata["uid"]),
        ready=_condition(pod, "Ready").get("status") == "True",
        revision=str((metadata.get("labels") or {}).get(label, "")),
        started_at=_time(status.get("startTime")),
        restarts=int(main.get("restartCount", 0)),
        waiting=_waiting([main, *every, *inits]),
        oom_killed_at=_oom_killed_at([*every, *inits]),
        terminating=former or "deletionTimestamp" in metadata,
        ends_at=_time(metadata.get("deletionTimestamp")),
        former=former,
        finished=status.get("phase") in _FINISHED,
        container_started_at=_time(((main.get("state") or {}).get("running") or {}).get("startedAt")),
        sizes=resources.sizes_of(main),
        start_up=_start_up(pod),
        resizing=resources.resizing(pod),
    )


def _start_up(pod: Object) -> float | None:
    """Scheduling, pulling and starting included. A pod that was Ready before tells when it was so again."""
    ready, created = _condition(pod, "Ready"), _time(pod["metadata"].get("creationTimestamp"))
    since = _time(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None
    return None if since is None or created is None else max(0.0, (since - created).total_seconds())


def _waiting(statuses: Sequence[Mapping[str, Any]]) -> str:
    """The first reason that a container waits for, the tuned container's first."""
    for each in statuses:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return str(waiting["reason"])
    return ""


def _oom_killed_at(statuses: Sequence[Mapping[str, Any]]) -> datetime | None:
    """When a container of the pod was last killed for memory."""
    times = []
    for each in statuses:
        for state in (each.get("state") or {}, each.get("lastState") or {}):
            ended = state.get("terminated") or {}
            at = _time(ended.get("finishedAt"))
            if ended.get("reason") == "OOMKilled" and at is not None:
                times.append(at)
    return max(times, default=None)


def _time(text: str | None) -> datetime | None:
    """RFC 3339 as the server writes it; the port's types ask for an aware datetime."""
    return datetime.fromisoformat(text) if text else None
