"""One application as the cluster runs it: Deployment controller, autoscaler, kubelet and the program itself.

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
from typing import Any

from pegbox.adapters.kube import environment
from pegbox.model import settings_document
from pegbox.model.knobs import values_hash
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, POD, POD_ENVIRONMENT, REPLICA_SET, Object, Ref
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
    """`target` is the uid of the Deployment that it was made for, `runs` are the values of the document that it read,
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


def told_by(document: Object, pod: str) -> tuple[dict[str, str], str]:
    """What a document tells a pod, and the cohort that lists it there."""
    for name, cohort in document.get("cohorts", {}).items():
        if pod in cohort["pods"]:
            return {**document["values"], **cohort["values"]}, name
    return dict(document["values"]), ""


@dataclass
class Application:
    """`deaf`: its pods neither read nor acknowledge. `stuck`: new pods never become ready. `kills_at`: a pod that runs a
    value as large as this is killed for memory."""

    name: str
    namespace: str
    server: Server
    service: Service
    pods: list[Pod] = field(default_factory=list)
    deaf: bool = False
    lag: int = 1  # steps between two looks of a kubelet; each pod's has its own turn
    steps: int = 0
    stuck: bool = False
    crashing: bool = False
    kills_at: int = 0
    idle: bool = False  # the autoscaler wants the least
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    digest: tuple[str, str] = ("", "")
    reported: dict[str, str] = field(default_factory=dict)  # what was last written of each object's status
    shown: Mapping[str, str] = field(default_factory=dict)  # pod -> cohort, as the operator exports it for the join

    # --- what stands on the server

    @property
    def target(self) -> Ref:
        return Ref(DEPLOYMENT, self.namespace, self.name)

    @property
    def own_ref(self) -> Ref:
        return Ref(CONFIG_MAP, self.namespace, f"{self.name}-pegbox")

    @property
    def theirs_ref(self) -> Ref:
        return Ref(CONFIG_MAP, self.namespace, f"{self.name}-config")

    @property
    def document(self) -> Object | None:
        """Our settings document as the program would read it; None where it is not there or makes no sense."""
        text = (self.server.peek(self.own_ref) or {}).get("data", {}).get(settings_document.KEY)
        try:
            body: Object | None = json.loads(text) if text else None
        except ValueError:
            return None
        return body

    def own(self) -> list[Pod]:
        """Its pods without those of a Deployment of its name that was deleted."""
        target = self.server.peek(self.target)
        return [p for p in self.pods if target is None or p.target == target["metadata"]["uid"]]

    def bound(self) -> int:
        """Pods that run or may be started."""
        written, own = self.written(), len(self.own())
        return len(self.pods) - own + max(own, written.get("max_replicas", written.get("replicas", 0)))

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
        await self._roll(target, now)
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
        live = {p["metadata"]["name"] for p in self.server.peek_all(POD, self.namespace)}
        self.pods = [p for p in self.pods if p.name in live]  # what was evicted is gone
        await self._collect(target)
        revision = await self._revision(target)
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

    async def _start(self, revision: str, now: str, target: Object) -> None:
        name = f"{revision}-{next(self.numbers)}"
        replica_set = self.server.peek(Ref(REPLICA_SET, self.namespace, revision))
        assert replica_set is not None
        labels = replica_set["metadata"]["labels"]
        head = {"name": name, "namespace": self.namespace, "labels": labels}
        head |= {"ownerReferences": [_reference(replica_set)]}
        spec = {"containers": [{"name": "app", "image": "example.invalid/app:1"}]}
        made = await self.server.create({"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": spec})
        written, first = self.written(), dict(self.service.values)
        document = (self.document or {}).get("values", {})
        runs = {n: int(v) for n, v in document.items()} or {n: int(v) for n, v in first.items() if n not in RESTARTS}
        env = {ENV: written.get(ENV, int(first[ENV]))} if ENV in first else {}
        if VARIABLE in first:
            env[VARIABLE] = int(environment.stated(made, "app").get(VARIABLE.upper()) or START)
        self.pods.append(Pod(name, made["metadata"]["uid"], target["metadata"]["uid"], revision, now, runs, env))

    async def _end(self, pod: Pod) -> None:
        self.pods.remove(pod)
        ref = Ref(POD, self.namespace, pod.name)
        if self.server.peek(ref) is not None:
            await self.server.delete(ref)

    def _read(self, now: str) -> None:
        """Kubelet and program: the newest document, unless a pod hears nothing."""
        document, written = self.document, self.written()
        self.steps += 1
        for at, pod in enumerate(self.pods):
            turn = (self.steps + at) % self.lag == 0
            if turn and document is not None and not self.deaf and document["hash"] == values_hash(document["values"]):
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
            own = self.own() or [pod]
            newest = own[-1].revision
            pod.ready = not self.crashing and not (self.stuck and pod.revision == newest != own[0].revision)

    # --- what is said

    async def _tell(self, pod: Pod) -> None:
        ref = Ref(POD, self.namespace, pod.name)
        state: Object = {"running": {"startedAt": pod.started}}
        if pod.waiting:
            state = {"waiting": {"reason": pod.waiting}}
        last = {"terminated": {"reason": "OOMKilled", "finishedAt": pod.killed_at}} if pod.killed_at else {}
        container = {"name": "app", "ready": pod.ready, "restartCount": pod.restarts, "state": state, "lastState": last}
        ready = {"type": "Ready", "status": "True" if pod.ready else "False"}
        status = {"phase": "Running", "startTime": pod.started, "conditions": [ready], "containerStatuses": [container]}
        await self._write_status(ref, "v1", "Pod", status)

    async def _tell_target(self) -> None:
        target = self.server.peek(self.target)
        assert target is not None
        own = self.own()
        newest = own[-1].revision if own else ""
        updated = sum(p.revision == newest for p in own)
        reason = "NewReplicaSetAvailable" if updated == len(own) else "ReplicaSetUpdated"
        state = "True"
        if self.stuck and reason != "NewReplicaSetAvailable":
            reason, state = "ProgressDeadlineExceeded", "False"
        ready = sum(p.ready for p in own)
        counts = {"replicas": len(own), "updatedReplicas": updated, "readyReplicas": ready}
        status: Object = {"observedGeneration": target["metadata"]["generation"], **counts, "availableReplicas": ready}
        status["conditions"] = [{"type": "Progressing", "status": state, "reason": reason}]
        await self._write_status(self.target, "apps/v1", "Deployment", status)

    async def _write_status(self, ref: Ref, version: str, kind: str, status: Object) -> None:
        body = self.server.peek(ref)
        assert body is not None
        text = json.dumps([body["metadata"]["uid"], status])
        if self.reported.get(f"{kind} {ref.name}") == text:
            return
        self.reported[f"{kind} {ref.name}"] = text
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
        more = max(0, wanted - len(self.own())) + self._rollout_ahead(written)
        return int(math.fsum(uses)) + (more * per_pod(told) if told else 0)

    def _rollout_ahead(self, written: dict[str, int]) -> int:
        """The one pod more of a rollout that a write of ours began, and no controller has seen yet."""
        target = self.server.peek(self.target)
        if not RESTARTS & written.keys() or target is None or not self.own():
            return 0
        return int(self._digest(target) not in {p.revision for p in self.own()})

    def _digest(self, target: Object) -> str:
        """The name of the ReplicaSet for the template as it stands."""
        version = f"{target['metadata']['uid']} {target['metadata']['generation']}"
        if self.digest[0] != version:
            text = json.dumps(target["spec"]["template"], sort_keys=True)
            self.digest = version, f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        return self.digest[1]

    def copy(self, server: Server, service: Service) -> Application:
        pods = [replace(p, runs=dict(p.runs), env=dict(p.env)) for p in self.pods]
        out = replace(self, server=server, service=service, pods=pods, reported=dict(self.reported))
        out.numbers = itertools.count(next(self.numbers) + 1000)
        return out


def _stale(known: Acknowledgement | None, told: Acknowledgement) -> bool:
    """Rule 4 of docs/settings-document.md: of one profile no smaller number is taken, nor the same with other values."""
    if known is None or known.profile_uid != told.profile_uid:
        return False
    return told.generation < known.generation or (told.generation == known.generation and told.hash != known.hash)


_REVISION = "deployment.kubernetes.io/revision"


def _reference(body: Object) -> Object:
    kept = {key: body[key] for key in ("apiVersion", "kind")}
    return kept | {"name": body["metadata"]["name"], "uid": body["metadata"]["uid"], "controller": True}


def _owner(body: Object) -> str:
    return next((str(r["uid"]) for r in body["metadata"].get("ownerReferences", ()) if r.get("controller")), "")
