"""Pods without a kubelet: a driver that plays controller, kubelet and application for one Deployment.

It works on any ports.Cluster, so kill tests run on a real API server that has neither. Give it a client with
a field manager of its own: what it writes is not Pegbox's.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Collection, Mapping

from pegbox.model.errors import NotFound
from pegbox.model.settings_document import KEY, parse
from pegbox.model.snapshot import Acknowledgement, Document
from pegbox.ports import CONFIG_MAP, POD, REPLICA_SET, Clock, Cluster, Object, Ref
from pegbox.testing.metrics import FakeMetrics

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


class FakePods:
    """`settle` brings ReplicaSets, pods and status to what the Deployment asks for, in one step, all Ready.

    `acknowledge` makes every pod export the settings document that it read: the newest with `hot`, else the one
    that stood when the pod was created, as with envFrom.
    """

    def __init__(
        self, cluster: Cluster, clock: Clock, target: Ref, config_map: str, metrics: FakeMetrics | None = None
    ) -> None:
        self.metrics = metrics if metrics is not None else FakeMetrics()
        self.hot = True
        self._cluster, self._clock = cluster, clock
        self._target, self._config_map = target, Ref(CONFIG_MAP, target.namespace, config_map)
        self._read_at_start: dict[str, Document | None] = {}
        self._numbers = itertools.count(1)

    async def step(self) -> None:
        """One turn of the outside world: rollout, then acknowledgement."""
        await self.settle()
        await self.acknowledge()

    async def settle(self) -> list[Object]:
        """The pods, after the Deployment's wish has come true."""
        target = await self._cluster.get(self._target)
        newest = await self._replica_set(target)
        wanted = int(target["spec"]["replicas"])
        kept: list[Object] = []
        for pod in await self.pods():
            if len(kept) < wanted and _controller(pod) == newest["metadata"]["uid"]:
                kept.append(pod)
            else:
                await self._end(pod)
        while len(kept) < wanted:
            kept.append(await self._start(target, newest))
        await self._report(target, wanted)
        return kept

    async def pods(self) -> list[Object]:
        """Those of the target, by name."""
        sets = await self._cluster.list(REPLICA_SET, self._target.namespace)
        uid = (await self._cluster.get(self._target))["metadata"]["uid"]
        own = {each["metadata"]["uid"] for each in sets if _controller(each) == uid}
        found = await self._cluster.list(POD, self._target.namespace)
        return sorted((p for p in found if _controller(p) in own), key=lambda p: str(p["metadata"]["name"]))

    async def acknowledge(self, only: Collection[str] | None = None) -> None:
        """Every pod (or only those named) exports what it runs; pods that are gone export nothing."""
        now = await self._document()
        names = [str(pod["metadata"]["name"]) for pod in await self.pods()]
        for gone in set(self.metrics.acks.get(self._target.namespace, {})) - set(names):
            self.metrics.forget(self._target.namespace, gone)
        for name in names:
            document = now if self.hot else self._read_at_start.get(name, now)
            if document is not None and (only is None or name in only):
                ack = Acknowledgement(document.profile_uid, document.generation, document.hash)
                self.metrics.acknowledge(self._target.namespace, name, ack, _numbers(document.values))

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

    async def _replica_set(self, target: Object) -> Object:
        """The ReplicaSet of the current template, made the newest where another one was."""
        template = target["spec"]["template"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        uid = target["metadata"]["uid"]
        own = [s for s in await self._cluster.list(REPLICA_SET, self._target.namespace) if _controller(s) == uid]
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
        pod_template = {"metadata": {"labels": labels}, "spec": _pod_spec(target)}
        body["spec"] = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod_template}
        return await self._cluster.apply(body, force=True)

    async def _start(self, target: Object, replica_set: Object) -> Object:
        name = f"{replica_set['metadata']['name']}-{next(self._numbers)}"
        body = _object("v1", "Pod", self._target.namespace, name)
        body["metadata"] |= {
            "labels": replica_set["metadata"]["labels"],
            "ownerReferences": [_owner(replica_set)],
        }
        made = await self._cluster.create(body | {"spec": _pod_spec(target)})
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

    async def _report(self, target: Object, replicas: int) -> None:
        metadata = target["metadata"]
        body = _object("apps/v1", "Deployment", metadata["namespace"], metadata["name"])
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
        done = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "done"}
        body["status"] = {"observedGeneration": metadata["generation"], "conditions": [done], **counts}
        await self._cluster.apply(body, force=True, subresource="status")

    def _time(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _object(api_version: str, kind: str, namespace: str, name: str) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _pod_spec(target: Object) -> Object:
    """The template's containers; what needs a node to run is left out."""
    containers = target["spec"]["template"]["spec"]["containers"]
    kept = ("name", "image", "env", "envFrom")
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
