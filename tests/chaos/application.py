"""One application as the cluster runs it: controllers, autoscaler, kubelet and the program itself.

It is told nothing by the operator but what stands on the API server. What each pod runs is known here exactly, so the
invariants can count it; what pods say of themselves is what the operator sees.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from pegbox.adapters.kube import environment
from pegbox.model import settings_document, units
from pegbox.model.knobs import values_hash
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import CONFIG_MAP, HPA, POD, POD_ENVIRONMENT, REPLICA_SET, Object, Ref
from pegbox.runtime.reading import KINDS
from pegbox.testing.copying import copied
from pegbox.testing.metrics import FakeMetrics
from tests.chaos.server import Server
from tests.loop.service import Group, Service

CACHE = re.compile(r"(size: )(\d+)")
ENV = "threads"
VARIABLE = "lanes"  # put into new pods by admission
RESTARTS = frozenset({ENV, VARIABLE})
START = 2  # what a pod makes of a variable that nobody states


@dataclass
class Pod:
    """`target` is the uid of the Deployment or StatefulSet that it was made for, `runs` are the values of the document that it read,
    `env` those with which its container started. `leaving`: the garbage collector has taken note."""

    name: str
    uid: str
    target: str
    revision: str
    started: str
    runs: dict[str, int]
    env: dict[str, int]
    ack: Acknowledgement | None = None
    restarts: int = 0
    killed_at: str = ""  # when its container was last ended for memory
    waiting: str = ""
    ready: bool = True
    leaving: bool = False
    cohort: str = ""  # that lists it in the document which it runs
    sizes: Object = field(default_factory=dict)  # the resources that its container has


def cores(pod: Object) -> int | None:
    """What the container of a pod or template requests; None where it states nothing."""
    text = (pod["spec"]["containers"][0].get("resources") or {}).get("requests", {}).get("cpu")
    return None if text is None else int(units.parse_quantity(text, "cpu"))


def told_by(document: Object, pod: str) -> tuple[dict[str, str], str]:
    """What a document tells a pod, and the cohort that lists it there."""
    for name, cohort in document.get("cohorts", {}).items():
        if pod in cohort["pods"]:
            return {**document["values"], **cohort["values"]}, name
    return dict(document["values"]), ""


@dataclass
class Application:
    """`deaf`: its pods neither read nor acknowledge. `stuck`: new pods never become ready. `kills_at`: a pod that runs a
    value as large as this is killed for memory. `no_room`: why a node resizes nothing."""

    name: str
    namespace: str
    server: Server
    service: Service
    kind: str = "Deployment"
    pods: list[Pod] = field(default_factory=list)
    deaf: bool = False
    lag: int = 1  # steps between two looks of a kubelet; each pod's has its own turn
    steps: int = 0
    stuck: bool = False
    crashing: bool = False
    kills_at: int = 0
    no_room: str = ""
    newest: str = ""  # revision, that its controller has seen
    current: str = ""  # of a StatefulSet: the revision before a rollout, until that is complete
    idle: bool = False  # the autoscaler wants the least
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    digest: tuple[str, str] = ("", "")
    templates: dict[str, Object] = field(default_factory=dict)  # by revision
    reported: dict[str, Object] = field(default_factory=dict)  # what was last written of each object's status
    shown: Mapping[str, str] = field(default_factory=dict)  # pod -> cohort, as the operator exports it for the join

    # --- what stands on the server

    @cached_property
    def target(self) -> Ref:
        return Ref(KINDS[self.kind], self.namespace, self.name)

    @cached_property
    def own_ref(self) -> Ref:
        return Ref(CONFIG_MAP, self.namespace, f"{self.name}-pegbox")

    @cached_property
    def theirs_ref(self) -> Ref:
        return Ref(CONFIG_MAP, self.namespace, f"{self.name}-config")

    @property
    def document(self) -> Object | None:
        """Our settings document as the program would read it; None where it is not there or makes no sense."""
        body: Object | None = copied(
            _parsed((self.server.peek(self.own_ref) or {}).get("data", {}).get(settings_document.KEY))
        )
        return body

    def own(self) -> list[Pod]:
        """Its pods without those of a Deployment of its name that was deleted."""
        target = self.server.peek(self.target)
        return [p for p in self.pods if target is None or p.target == target["metadata"]["uid"]]

    def bound(self) -> int:
        """Pods that run or may be started."""
        written = self.written()
        return len(self.pods) + self._missing(written.get("max_replicas", written.get("replicas", 0)))

    def _missing(self, wanted: int) -> int:
        """Pods that may be started at any moment. Of a StatefulSet not one beside a pod of its name, a former set's as
        well (seed 260000577)."""
        if self.kind != "StatefulSet":
            return max(0, wanted - len(self.own()))
        return len(set(range(wanted)) - {_ordinal(p.name) for p in self.pods})

    def hpa(self) -> Object | None:
        acting = (h for h in self.server.peek_all(HPA, self.namespace))
        return next((h for h in acting if h["spec"]["scaleTargetRef"]["name"] == self.name), None)

    def written(self) -> dict[str, int]:
        """Every value that stands on the server for this application, by knob."""
        out: dict[str, int] = {}
        document = self.document
        if document is not None:
            out |= {n: int(v) for n, v in document["values"].items()}
        own = (self.server.peek(self.own_ref) or {}).get("data", {})
        if ENV.upper() in own:
            out[ENV] = int(own[ENV.upper()])
        if VARIABLE in self.service.values:
            entries = environment.entries(self.server.peek(Ref(POD_ENVIRONMENT, self.namespace, self.name)))
            out[VARIABLE] = int(entries.get(VARIABLE.upper(), {"value": START})["value"])
        theirs = self.server.peek(self.theirs_ref)
        found = CACHE.search(theirs["data"]["app.yaml"]) if theirs else None
        if found:
            out["cache"] = int(found[2])
        hpa, target = self.hpa(), self.server.peek(self.target)
        if hpa is not None:
            out |= {"min_replicas": hpa["spec"]["minReplicas"], "max_replicas": hpa["spec"]["maxReplicas"]}
        elif target is not None:
            out["replicas"] = int(target["spec"]["replicas"])
        return out

    # --- time passes

    async def step(self, metrics: FakeMetrics, now: str) -> None:
        """Everybody takes note of what was written."""
        target = self.server.peek(self.target)
        if target is None:
            for pod in list(self.pods):
                await self._end(pod)
            self._say(metrics)
            return
        await self._autoscale(target)
        live = {p["metadata"]["name"]: p["metadata"]["uid"] for p in self.server.peek_all(POD, self.namespace)}
        self.pods = [p for p in self.pods if live.get(p.name) == p.uid]  # what was evicted is gone
        await self._collect(target)
        await (self._roll_in_order if self.kind == "StatefulSet" else self._roll)(target, now)
        self._read(now)
        for pod in self.pods:
            await self._tell(pod)
        await self._tell_target()
        self._say(metrics)

    async def _autoscale(self, target: Object) -> None:
        """The autoscaler wants the most, or the least; it leaves a workload alone that was scaled to zero."""
        hpa, now = self.hpa(), int(target["spec"]["replicas"])
        wanted = hpa["spec"]["minReplicas" if self.idle else "maxReplicas"] if hpa is not None else now
        if now and now != wanted:
            operation = {"op": "replace", "path": "/spec/replicas", "value": wanted}
            await self.server.json_patch(self.target, [operation], subresource="scale")

    async def _roll(self, target: Object, now: str) -> None:
        """A rollout takes two steps: first one pod more of the new revision, then the rest."""
        wanted = int(target["spec"]["replicas"])
        revision = self.newest = await self._revision(target)
        fresh = [p for p in self.own() if p.revision == revision]
        stale = [p for p in self.own() if p.revision != revision]
        if stale and not fresh and wanted:
            await self._start(revision, now, target)
            return
        if self.stuck and stale:
            return
        for pod in stale:
            await self._end(pod)
        while len(self.own()) > wanted:
            await self._end(self.own()[-1])
        while len(self.own()) < wanted:
            await self._start(revision, now, target)

    async def _roll_in_order(self, target: Object, now: str) -> None:
        """A StatefulSet: what is missing starts first; then one pod per step is replaced, the last one first, and the
        next one not before it is ready. No two pods of one name: the old one goes before the new one starts."""
        wanted, revision = int(target["spec"]["replicas"]), self._digest(target)
        self.newest = revision
        for pod in [p for p in self.own() if _ordinal(p.name) >= wanted]:
            await self._end(pod)
        own = {_ordinal(p.name): p for p in self.own()}
        stale = [n for n, p in own.items() if p.revision != revision]
        self.current = self.current if stale and self.current else revision
        if stale and len(own) == wanted and all(p.ready for p in own.values()):
            await self._end(own.pop(max(stale)))
        for at in (n for n in range(wanted) if n not in own):
            due = self.current if any(n > at for n in stale if n in own) else revision
            if not any(p.name == f"{self.name}-{at}" for p in self.pods):  # one of a former set drains
                await self._start(due, now, target, f"{self.name}-{at}")
        self.pods.sort(key=lambda p: _ordinal(p.name))

    async def _collect(self, target: Object) -> None:
        """The garbage collector: pods of a deleted Deployment drain for a step beside those of the new one, and go, also
        while the new one's rollout is stuck."""
        for pod in [p for p in self.pods if p.target != target["metadata"]["uid"]]:
            if pod.leaving:
                await self._end(pod)
            pod.leaving = True

    async def _revision(self, target: Object) -> str:
        """The name of the newest ReplicaSet, made where the template is new."""
        uid, digest = target["metadata"]["uid"], self._digest(target)
        own = [s for s in self.server.peek_all(REPLICA_SET, self.namespace) if _owner(s) == uid]
        newest = max(own, key=lambda s: int(s["metadata"]["annotations"][_REVISION]), default=None)
        if newest is not None and newest["metadata"]["name"] == digest:
            return digest
        number = 1 + (int(newest["metadata"]["annotations"][_REVISION]) if newest else 0)
        labels = {
            **target["spec"]["template"]["metadata"]["labels"],
            "pod-template-hash": digest.removeprefix(f"{self.name}-"),
        }
        head = {"name": digest, "namespace": self.namespace, "labels": labels}
        head |= {"annotations": {_REVISION: str(number)}, "ownerReferences": [_reference(target)]}
        template = target["spec"]["template"] | {
            "metadata": target["spec"]["template"]["metadata"] | {"labels": labels}
        }
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": head, "spec": spec}
        old = self.server.peek(Ref(REPLICA_SET, self.namespace, digest))
        if old is not None and _owner(old) != uid:
            await self.server.delete(Ref(REPLICA_SET, self.namespace, digest))
        await self.server.apply(body, force=True)
        return digest

    async def _start(self, revision: str, now: str, target: Object, name: str = "") -> None:
        """`name` is that of a StatefulSet's pod."""
        name, owner = name or f"{revision}-{next(self.numbers)}", target
        if self.kind != "StatefulSet":
            found = self.server.peek(Ref(REPLICA_SET, self.namespace, revision))
            assert found is not None
            owner = found
        template = self.templates[revision]
        labels = owner["metadata"].get("labels") or template["metadata"]["labels"] | {_NUMBERED: revision}
        head = {"name": name, "namespace": self.namespace, "labels": labels}
        head |= {"ownerReferences": [_reference(owner)]}
        sizes = template["spec"]["containers"][0].get("resources", {})
        spec = {"containers": [{"name": "app", "image": "example.invalid/app:1", "resources": sizes}]}
        made = await self.server.create({"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": spec})
        written, first = self.written(), dict(self.service.values)
        document = (self.document or {}).get("values", {})
        runs = {n: int(v) for n, v in document.items()} or {n: int(v) for n, v in first.items() if n not in RESTARTS}
        env = {ENV: written.get(ENV, int(first[ENV]))} if ENV in first else {}
        if VARIABLE in first:
            env[VARIABLE] = int(environment.stated(made, "app").get(VARIABLE.upper()) or START)
        ids = made["metadata"]["uid"], target["metadata"]["uid"]
        self.pods.append(Pod(name, *ids, revision, now, runs, env, sizes=sizes))

    async def _end(self, pod: Pod) -> None:
        self.pods.remove(pod)
        ref = Ref(POD, self.namespace, pod.name)
        if self.server.peek(ref) is not None:
            await self.server.delete(ref)

    def _read(self, now: str) -> None:
        """Kubelet and program: the newest document, unless a pod hears nothing."""
        document, written = self.document, self.written()
        whole = document is not None and document["hash"] == values_hash(document["values"])
        self.steps += 1
        for at, pod in enumerate(self.pods):
            turn = (self.steps + at) % self.lag == 0
            if turn and document is not None and whole and not self.deaf:
                told, cohort = told_by(document, pod.name)
                ack = Acknowledgement(document["profileUID"], int(document["generation"]), values_hash(told))
                if not _stale(pod.ack, ack):
                    pod.runs, pod.ack, pod.cohort = {n: int(v) for n, v in told.items()}, ack, cohort
            most = max([*pod.runs.values(), *pod.env.values()], default=0)
            if self.kills_at and most >= self.kills_at:
                pod.killed_at, pod.restarts, pod.started = now, pod.restarts + 1, now
                # envFrom is read again; what admission put into the pod is there for as long as the pod is.
                pod.env = {n: v if n == VARIABLE else written.get(n, v) for n, v in pod.env.items()}
            pod.waiting = "CrashLoopBackOff" if self.crashing else ""
            mixed = any(p.revision != self.newest for p in self.own())
            pod.ready = not self.crashing and not (self.stuck and mixed and pod.revision == self.newest)
            self._resize(pod)

    def _resize(self, pod: Pod) -> None:
        """The kubelet makes a container what its pod's spec asks for."""
        body = self.server.peek(Ref(POD, self.namespace, pod.name))
        if body is not None and not self.no_room:
            pod.sizes = body["spec"]["containers"][0].get("resources", {})

    # --- what is said

    async def _tell(self, pod: Pod) -> None:
        ref = Ref(POD, self.namespace, pod.name)
        state: Object = {"running": {"startedAt": pod.started}}
        if pod.waiting:
            state = {"waiting": {"reason": pod.waiting}}
        last = {"terminated": {"reason": "OOMKilled", "finishedAt": pod.killed_at}} if pod.killed_at else {}
        container = {"name": "app", "ready": pod.ready, "restartCount": pod.restarts, "state": state, "lastState": last}
        container |= {"resources": pod.sizes} if pod.sizes else {}
        conditions = [{"type": "Ready", "status": "True" if pod.ready else "False"}]
        body = self.server.peek(ref)
        if body is not None and body["spec"]["containers"][0].get("resources", {}) != pod.sizes:
            conditions.append({"type": "PodResizePending", "status": "True", "reason": self.no_room})
        status = {"phase": "Running", "startTime": pod.started, "conditions": conditions}
        status |= {"containerStatuses": [container]}
        await self._write_status(ref, "v1", "Pod", status)

    async def _tell_target(self) -> None:
        target = self.server.peek(self.target)
        assert target is not None
        own = self.own()
        updated = sum(p.revision == self.newest for p in own)
        reason = "NewReplicaSetAvailable" if updated == len(own) else "ReplicaSetUpdated"
        state = "True"
        if self.stuck and reason != "NewReplicaSetAvailable":
            reason, state = "ProgressDeadlineExceeded", "False"
        ready = sum(p.ready for p in own)
        counts = {"replicas": len(own), "updatedReplicas": updated, "readyReplicas": ready}
        status: Object = {"observedGeneration": target["metadata"]["generation"], **counts, "availableReplicas": ready}
        if self.kind == "StatefulSet":  # which knows no such condition
            status |= {"currentRevision": self.current, "updateRevision": self.newest}
        else:
            status["conditions"] = [{"type": "Progressing", "status": state, "reason": reason}]
        await self._write_status(self.target, "apps/v1", self.kind, status)

    async def _write_status(self, ref: Ref, version: str, kind: str, status: Object) -> None:
        body = self.server.peek(ref)
        assert body is not None
        said = {"uid": body["metadata"]["uid"], "status": status}
        if self.reported.get(f"{kind} {ref.name}") == said:
            return
        self.reported[f"{kind} {ref.name}"] = copied(said)
        operations = [{"op": "add", "path": "/status", "value": status}]
        await self.server.json_patch(ref, operations, subresource="status")

    def _say(self, metrics: FakeMetrics) -> None:
        """What the pods export, and what the service's metrics follow from."""
        acks, values = metrics.acks.setdefault(self.namespace, {}), metrics.values.setdefault(self.namespace, {})
        names = {p.name for p in self.pods}
        for gone in [n for n in acks.keys() | values.keys() if n.startswith(f"{self.name}-") and n not in names]:
            acks.pop(gone, None)
            values.pop(gone, None)
        labels: dict[str, int] = {}
        groups: dict[tuple[str, str], list[dict[str, int]]] = {}
        now = int((self.document or {}).get("generation", 0))
        for pod in self.pods:
            acks.pop(pod.name, None)
            if pod.ack is not None and not self.deaf:
                acks[pod.name] = pod.ack
            values[pod.name] = {n: float(v) for n, v in (pod.runs | pod.env).items()}
            label = str(pod.ack.generation) if pod.ack is not None and not self.deaf else "0"
            labels[label] = labels.get(label, 0) + 1
            known = not self.deaf and pod.ack is not None and pod.ack.generation == now
            cohort = self.shown.get(pod.name, "") if VARIABLE in pod.env else pod.cohort
            groups.setdefault((cohort if known else "", label), []).append(pod.runs | pod.env)
        self.service.labels, self.service.pods = labels, len(self.pods)
        if self.pods:
            seen = [p.runs | p.env for p in self.pods]
            self.service.values |= {n: sum(s.get(n, 0) for s in seen) / len(seen) for n in seen[0]}
        if "cache" in self.service.values:
            self.service.values["cache"] = self.written().get("cache", 2)
        self.service.groups = ()
        if any(cohort for cohort, _ in groups):
            self.service.groups = tuple(
                Group(cohort, label, len(each), self.service.values | {n: float(v) for n, v in each[0].items()})
                for (cohort, label), each in sorted(groups.items())
            )

    # --- budgets

    def worst(self, per_pod: Any, *, alike: bool = False) -> int:
        """What the pods use at the most: each at the larger of what it runs and what it may read or start with at any
        moment, and as many more pods as may start. `alike`: those of a cohort take the document's values as well."""
        written = self.written()
        document = {n: v for n, v in written.items() if n not in (ENV, "cache")}
        new = document | {ENV: written[ENV]} if ENV in written else document
        uses, body = [], self.document
        for pod in self.pods:
            own = {n: int(v) for n, v in told_by(body, pod.name)[0].items()} if body is not None else {}
            mixes = (pod.runs | pod.env, {**pod.runs, **document, **own, **pod.env}, {**pod.runs, **new, **own})
            wide = ({**pod.runs, **new},) if alike else ()
            uses.append(max(per_pod(mix) for mix in (*mixes, *wide)))
        first = {n: int(v) for n, v in self.service.values.items()}  # of a pod that is told nothing
        told = {**(self.pods[0].runs | self.pods[0].env if self.pods else first), **new}
        wanted = written.get("max_replicas", written.get("replicas", 0))
        if not self.pods and "replicas" in written and written["replicas"] == 0:
            return 0
        more = self._missing(wanted) + self._rollout_ahead(written)
        return int(math.fsum(uses)) + (more * per_pod(told) if told else 0)

    def _rollout_ahead(self, written: dict[str, int]) -> int:
        """The one pod more of a rollout that a write of ours began, and no controller has seen yet."""
        target = self.server.peek(self.target)
        if not RESTARTS & written.keys() or target is None or not self.own() or self.kind == "StatefulSet":
            return 0
        return int(self._digest(target) not in {p.revision for p in self.own()})

    def _digest(self, target: Object) -> str:
        """The name of the ReplicaSet, or of the revision, for the template as it stands."""
        version = f"{target['metadata']['uid']} {target['metadata']['generation']}"
        if self.digest[0] != version:
            text = json.dumps(target["spec"]["template"], sort_keys=True)
            self.digest = version, f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
            self.templates[self.digest[1]] = target["spec"]["template"]
        return self.digest[1]

    def copy(self, server: Server, service: Service) -> Application:
        pods = [replace(p, runs=dict(p.runs), env=dict(p.env)) for p in self.pods]
        out = replace(self, server=server, service=service, pods=pods, reported=dict(self.reported))
        out.templates = dict(self.templates)
        out.numbers = itertools.count(next(self.numbers) + 1000)
        return out


@lru_cache(maxsize=256)  # the invariants ask at each write
def _parsed(text: str | None) -> Object | None:
    try:
        body: Object | None = json.loads(text) if text else None
    except ValueError:
        return None
    return body


def _stale(known: Acknowledgement | None, told: Acknowledgement) -> bool:
    """Rule 4 of docs/settings-document.md: of one profile no smaller number is taken, nor the same with other values."""
    if known is None or known.profile_uid != told.profile_uid:
        return False
    return told.generation < known.generation or (told.generation == known.generation and told.hash != known.hash)


_REVISION = "deployment.kubernetes.io/revision"
_NUMBERED = "controller-revision-hash"


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])


def _reference(body: Object) -> Object:
    kept = {key: body[key] for key in ("apiVersion", "kind")}
    return kept | {"name": body["metadata"]["name"], "uid": body["metadata"]["uid"], "controller": True}


def _owner(body: Object) -> str:
    return next((str(r["uid"]) for r in body["metadata"].get("ownerReferences", ()) if r.get("controller")), "")
