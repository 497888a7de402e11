"""Pods without a kubelet: a driver that plays controller, kubelet and application for one workload.

It works on any ports.Cluster, so kill tests run on a real API server that has neither. Give it a client with
a field manager of its own: what it writes is not Pegbox's.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Collection, Mapping, Sequence

from pegbox.model.errors import NotFound, Refused
from pegbox.model.knobs import values_hash
from pegbox.model.settings_document import KEY, parse
from pegbox.model.snapshot import Acknowledgement, Document
from pegbox.ports import CONFIG_MAP, POD, REPLICA_SET, Clock, Cluster, Object, Ref
from pegbox.testing.metrics import FakeMetrics

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_REVISION_LABEL = "controller-revision-hash"


class FakePods:
    """`settle` brings pods and status to what the Deployment or StatefulSet asks for, in one step, all Ready.

    `acknowledge` makes every pod export the settings document that it read: the newest with `hot`, else the one
    that stood when the pod was created, as with envFrom. Resized pods have their new size at the next `settle`, unless
    `no_room` says why not (Infeasible or Deferred); one that is `frozen` says nothing. A kubelet that does not know of
    resizing (not `resizes`: that of pods which start now) reports no sizes at all. An application that does not know
    `cohorts` takes the document's values in every pod. Of a Deployment, pods that the server refuses are missing, which
    its status says.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, target: Ref, config_map: str, metrics: FakeMetrics | None = None
    ) -> None:
        self.metrics = metrics if metrics is not None else FakeMetrics()
        self.hot = True
        self.cohorts = True
        self.resizes = True
        self.no_room = ""
        self.frozen = False
        self._cluster, self._clock = cluster, clock
        self._target, self._config_map = target, Ref(CONFIG_MAP, target.namespace, config_map)
        self._read_at_start: dict[str, Document | None] = {}
        self._numbers = itertools.count(1)
        self._templates: dict[str, Object] = {}  # of a StatefulSet, by revision

    async def step(self) -> None:
        """One turn of the outside world: rollout, then acknowledgement."""
        await self.acknowledge(pods=await self.settle())

    async def settle(self) -> list[Object]:
        """The pods, after the workload's wish has come true."""
        target = await self._cluster.get(self._target)
        kept = await (self._ordinals(target) if target["kind"] == "StatefulSet" else self._any(target))
        return [await self._actuate(pod) for pod in kept]

    async def _any(self, target: Object) -> list[Object]:
        """A Deployment: those of the newest ReplicaSet stay, the rest is replaced."""
        sets = await self._replica_sets(target)
        newest = await self._newest(target, sets)
        wanted = int(target["spec"]["replicas"])
        kept: list[Object] = []
        for pod in await self._pods(target, sets):
            if len(kept) < wanted and _controller(pod) == newest["metadata"]["uid"]:
                kept.append(pod)
            else:
                await self._end(pod)
        said = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "done"}]
        while len(kept) < wanted:
            name = f"{newest['metadata']['name']}-{next(self._numbers)}"
            template = target["spec"]["template"] | {"metadata": {"labels": newest["metadata"]["labels"]}}
            try:
                kept.append(await self._start(name, newest, template))
            except Refused as error:  # by a quota, a LimitRange, admission: its controller tries again, for ever
                why = {"reason": "FailedCreate", "message": str(error)}
                said.append({"type": "ReplicaFailure", "status": "True", **why})
                break
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), len(kept))
        await self._report(target, counts | {"conditions": said})
        return kept

    async def _ordinals(self, target: Object) -> list[Object]:
        """A StatefulSet: name-0, name-1, ...; OnDelete and a partition keep pods of the revision before."""
        spec, newest = target["spec"], _digest(target)
        self._templates[newest] = spec["template"]
        strategy, wanted = spec.get("updateStrategy") or {}, int(spec["replicas"])
        on_delete = strategy.get("type") == "OnDelete"
        partition = int((strategy.get("rollingUpdate") or {}).get("partition", 0))
        current = target.get("status", {}).get("currentRevision") or newest
        present = {str(pod["metadata"]["name"]): pod for pod in await self._pods(target)}
        kept = []
        for ordinal in range(wanted):
            name = f"{self._target.name}-{ordinal}"
            pod, due = present.pop(name, None), newest if on_delete or ordinal >= partition else current
            if pod is not None and not on_delete and pod["metadata"]["labels"][_REVISION_LABEL] != due:
                await self._end(pod)
                pod = None
            if pod is None:
                template = self._templates.get(due, spec["template"])
                labels = template["metadata"]["labels"] | {_REVISION_LABEL: due}
                pod = await self._start(name, target, template | {"metadata": {"labels": labels}})
            kept.append(pod)
        for pod in present.values():
            await self._end(pod)
        updated = sum(pod["metadata"]["labels"][_REVISION_LABEL] == newest for pod in kept)
        revisions = {"updateRevision": newest, "currentRevision": newest if updated == wanted else current}
        counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas"), wanted)
        await self._report(target, counts | {"updatedReplicas": updated} | revisions)
        return kept

    async def _actuate(self, pod: Object) -> Object:
        """The kubelet makes the containers what the pod's spec asks for, or says why not."""
        if self.frozen:
            return pod
        status = copy.deepcopy(pod["status"])
        wanted = {c["name"]: c.get("resources") for c in pod["spec"]["containers"]}
        pending = [c for c in status["conditions"] if c["type"] == "PodResizePending"]
        others = [c for c in status["conditions"] if c["type"] != "PodResizePending"]
        able = [c for c in status["containerStatuses"] if self.resizes or "resources" in c]
        late = [c for c in able if c.get("resources") != wanted[c["name"]]]
        if late and self.no_room:
            why = {"type": "PodResizePending", "status": "True", "reason": self.no_room, "message": "no room"}
            others += pending or [why | {"lastTransitionTime": self._time()}]
        else:
            for each in late:
                each["resources"] = wanted[each["name"]]
        status["conditions"] = others
        if status == pod["status"]:
            return pod
        ref = Ref(POD, self._target.namespace, pod["metadata"]["name"])
        operations = [{"op": "replace", "path": "/status", "value": status}]
        return await self._cluster.json_patch(ref, operations, subresource="status")

    async def pods(self) -> list[Object]:
        """Those of the target, by name."""
        target = await self._cluster.get(self._target)
        return await self._pods(target, await self._replica_sets(target))

    async def acknowledge(self, only: Collection[str] | None = None, pods: Sequence[Object] | None = None) -> None:
        """Every pod (or only those named) exports what it runs; pods that are gone export nothing.

        `pods` saves reading them again right after `settle`.
        """
        now = await self._document()
        names = [str(pod["metadata"]["name"]) for pod in (await self.pods() if pods is None else pods)]
        for gone in set(self.metrics.acks.get(self._target.namespace, {})) - set(names):
            self.metrics.forget(self._target.namespace, gone)
        for name in names:
            document = now if self.hot else self._read_at_start.get(name, now)
            if document is not None and (only is None or name in only):
                runs = document.values_for(name) if self.cohorts else document.values
                hashed = values_hash(runs) if runs != document.values else document.hash
                ack = Acknowledgement(document.profile_uid, document.generation, hashed)
                self.metrics.acknowledge(self._target.namespace, name, ack, _numbers(runs))

    async def kill(self, pod: str, reason: str = "OOMKilled") -> None:
        """The pod's container was ended and started again."""
        ref = Ref(POD, self._target.namespace, pod)
        body = await self._cluster.get(ref)
        restarts = int(body["status"]["containerStatuses"][0]["restartCount"]) + 1
        ended = {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": self._time()}}
        await self._cluster.apply(self._status(body, restarts, ended), force=True, subresource="status")
        self._read_at_start[pod] = await self._document()

    async def _document(self) -> Document | None:
        try:
            body = await self._cluster.get(self._config_map)
        except NotFound:
            return None
        text = body.get("data", {}).get(KEY)
        return parse(text) if text is not None else None

    async def _replica_sets(self, target: Object) -> list[Object]:
        """Those of a Deployment; a StatefulSet has none."""
        if target["kind"] == "StatefulSet":
            return []
        uid = target["metadata"]["uid"]
        return [s for s in await self._cluster.list(REPLICA_SET, self._target.namespace) if _controller(s) == uid]

    async def _pods(self, target: Object, sets: Sequence[Object] = ()) -> list[Object]:
        """Those of the target and of its ReplicaSets, by name."""
        owners = {each["metadata"]["uid"] for each in (target, *sets)}
        found = await self._cluster.list(POD, self._target.namespace)
        return sorted((p for p in found if _controller(p) in owners), key=lambda p: str(p["metadata"]["name"]))

    async def _newest(self, target: Object, own: Sequence[Object]) -> Object:
        """The ReplicaSet of the current template, made the newest where another one was."""
        template = target["spec"]["template"]
        digest = _digest(target)
        revisions = {s["metadata"]["name"]: int(s["metadata"]["annotations"][_REVISION]) for s in own}
        name = f"{self._target.name}-{digest}"
        if name in revisions and revisions[name] == max(revisions.values()):
            return next(s for s in own if s["metadata"]["name"] == name)
        labels = {**template["metadata"]["labels"], _HASH: digest}
        body = _object(REPLICA_SET.api_version, "ReplicaSet", self._target.namespace, name)
        body["metadata"] |= {
            "labels": labels,
            "annotations": {_REVISION: str(max(revisions.values(), default=0) + 1)},
            "ownerReferences": [_owner(target)],
        }
        pod_template = template | {"metadata": template["metadata"] | {"labels": labels}}
        body["spec"] = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod_template}
        return await self._cluster.apply(body, force=True)

    async def _start(self, name: str, owner: Object, template: Object) -> Object:
        body = _object("v1", "Pod", self._target.namespace, name)
        body["metadata"] |= {"labels": template["metadata"]["labels"], "ownerReferences": [_owner(owner)]}
        made = await self._cluster.create(body | {"spec": _pod_spec(template)})
        self._read_at_start[name] = await self._document()
        return await self._cluster.apply(self._status(made, 0, {}), force=True, subresource="status")

    async def _end(self, pod: Object) -> None:
        name = str(pod["metadata"]["name"])
        await self._cluster.delete(Ref(POD, self._target.namespace, name), uid=pod["metadata"]["uid"])
        self._read_at_start.pop(name, None)
        self.metrics.forget(self._target.namespace, name)

    def _status(self, pod: Object, restarts: int, last: Object) -> Object:
        """Running and Ready since now."""
        metadata = pod["metadata"]
        now = self._time()
        body = _object("v1", "Pod", metadata["namespace"], metadata["name"])
        started = pod.get("status", {}).get("startTime", now)
        statuses = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": restarts,
                "state": {"running": {"startedAt": now}},
                "lastState": last,
                **({"resources": container["resources"]} if self.resizes and container.get("resources") else {}),
            }
            for container in pod["spec"]["containers"]
        ]
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        body["status"] = {
            "phase": "Running",
            "startTime": started,
            "conditions": [ready],
            "containerStatuses": statuses,
        }
        return body

    async def _report(self, target: Object, status: Object) -> None:
        metadata = target["metadata"]
        body = _object("apps/v1", target["kind"], metadata["namespace"], metadata["name"])
        body["status"] = {"observedGeneration": metadata["generation"], **status}
        if not _says(target.get("status") or {}, body["status"]):
            await self._cluster.apply(body, force=True, subresource="status")

    def _time(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _object(api_version: str, kind: str, namespace: str, name: str) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _says(status: Object, wanted: Object) -> bool:
    """Whether a status says all that already. A server leaves out what is zero and states nulls."""
    said = {key: status.get(key, 0) for key in wanted}
    if "conditions" in wanted:
        conditions = status.get("conditions") or []
        said["conditions"] = [{key: value for key, value in c.items() if value is not None} for c in conditions]
    return said == wanted


def _digest(target: Object) -> str:
    template = json.dumps(target["spec"]["template"], sort_keys=True)
    return hashlib.sha256(template.encode()).hexdigest()[:10]


def _pod_spec(template: Object) -> Object:
    """The template's containers; what needs a node to run is left out."""
    containers = template["spec"]["containers"]
    kept = ("name", "image", "env", "envFrom", "resources", "resizePolicy")
    return {"containers": [{key: each[key] for key in kept if key in each} for each in containers]}


def _owner(body: Object) -> Object:
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "name": body["metadata"]["name"],
        "uid": body["metadata"]["uid"],
        "controller": True,
    }


def _controller(body: Object) -> str:
    references = body["metadata"].get("ownerReferences", ())
    return next((str(each["uid"]) for each in references if each.get("controller")), "")


def _numbers(values: Mapping[str, str]) -> dict[str, float]:
    """What the application exports: values that are numbers."""
    found = {}
    for name, text in values.items():
        try:
            found[name] = float(text)
        except ValueError:
            continue
    return found
