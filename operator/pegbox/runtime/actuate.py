"""Actuate: make the workload match the desired setting, idempotently, one change set, then read it back.

Every write names field manager, uid and resourceVersion of what was read, so that a recreated or moved object is a
conflict and never a surprise; where nothing was, it makes the object and writes over none. An eviction and a nudge name
the uid alone: a pod moves all the time. What is in place already is not written again. Dry runs are another actuator
(`nothing`), not a flag.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import partial

from pegbox.adapters.kube import configmaps, owners, patches, resources
from pegbox.adapters.kube.workload import RESTARTED, all_at_once
from pegbox.core import cohorts, evictions, force, room, sizing, upkeep
from pegbox.model import settings_document
from pegbox.model.errors import NotAvailable, NotEvicted, NotFound, PegboxError, Refused, ResizeRefused
from pegbox.model.knobs import Knob, LocationKind, Setting, Size
from pegbox.model.observations import Missing
from pegbox.model.profile import DeletionPolicy, ProfileSpec
from pegbox.model.snapshot import PodFacts, Snapshot, Workload
from pegbox.model.trials import Intent
from pegbox.ports import ABSENT, CONFIG_MAP, HPA, POD, Cluster, Object, Ref
from pegbox.runtime import pod_env, sizes
from pegbox.runtime.points import Point, Reached
from pegbox.runtime.reading import KINDS, ORIGINALS, Objects, adopted_before

REFRESH = "pegbox.dev/refresh"
THEIRS = (LocationKind.CONFIG_MAP_KEY, LocationKind.CONFIG_MAP_PATH)


@dataclass(frozen=True, slots=True)
class Change:
    """One change set: the stage of an intent, and the objects as they were read for the decision."""

    found: Objects
    snapshot: Snapshot
    intent: Intent
    desired: Setting
    forbidden_since: datetime | None = None  # at rest: when an eviction was refused for the first time in a row
    replaces: frozenset[str] = frozenset()  # pods of which one may be replaced at rest
    documents: bool = True  # False: somebody sets our document again, and its next writing has to wait

    @property
    def spec(self) -> ProfileSpec:
        return self.found.spec

    def moved(self, *kinds: LocationKind) -> list[tuple[Knob, str]]:
        """Writable knobs at these places whose value in the cluster is not the desired one, with its text."""
        missing = set(force.applied(self.spec.space, self.desired, self.snapshot.held, self.intent))
        texts = self.spec.space.format(self.desired)
        return [(k, texts[k.name]) for k in self.spec.space.at(*kinds) if k.name in missing]

    @property
    def mark(self) -> str:
        """What a rollout writes into the template: another text for each stage, and at rest for each choice of pods, of
        which there may be several while the ledger stays as it is."""
        stage = f"{self.intent.id}-{self.intent.generation}"
        if self.snapshot.ledger.intent is not None or isinstance(self.found.workload, Missing):
            return stage
        uids = " ".join(sorted(pod.uid for pod in self.to_restart(self.found.workload)))
        return f"{stage}-{hashlib.sha256(uids.encode()).hexdigest()[:12]}"

    def config_maps(self) -> list[str]:
        """Those of theirs that hold a value to be written."""
        return sorted({knob.location.config_map for knob, _ in self.moved(*THEIRS)})

    def sizes(self, name: str, pod: Object) -> tuple[str, dict[Size, str]]:
        """The tuned container of a pod, and the text of each size that it does not have yet.

        The template's own text is used for the template's value, so that what is put back reads as before.
        """
        held, container = self.snapshot.held, resources.container_name(pod, self.spec.target.container)
        texts: dict[Size, str] = {}
        for knob, _ in self._unsized(name):
            value, size, item = self.desired[knob.name], knob.location.size, held[knob.name]
            assert size is not None
            texts[size] = item.raw if item.raw is not None and value == item.start else knob.type.format(value)
        return container, texts

    def _unsized(self, name: str) -> list[tuple[Knob, Fraction]]:
        """Sizes that a pod does not have yet, with what it has."""
        found, held = list[tuple[Knob, Fraction]](), self.snapshot.held
        for knob in sizing.writable(self.spec.space, held):
            value = self.desired.get(knob.name)
            if value is None or name in held[knob.name].odd or knob.name in self.intent.keep:
                continue
            has = sizes.pod_values(self.found, knob).get(name, value)
            if isinstance(has, Fraction) and has != value:
                found.append((knob, has))
        return found

    def holds_up(self, name: str) -> bool:
        """Has a pod to be resized before a way back is over?"""
        held, intent = self.snapshot.held, self.intent
        return intent.kind.goes_back and not all(
            sizing.as_made(held[knob.name], intent, knob.name, has) for knob, has in self._unsized(name)
        )

    def to_restart(self, workload: Workload) -> list[PodFacts]:
        """For what the stage under way moves, once it was read back; at rest for variables written before.

        What admission missed would be missed again: such a pod is told, and not restarted for that for ever.
        """
        if self.snapshot.ledger.intent is None:
            return [p for p in workload.unfinished if not p.terminating and p.name in self.replaces]
        if not force.restarting(self.spec.space, self.intent) or self.intent.applied_at is None:
            return []
        late = force.outdated(self.spec.space, self.intent, workload)
        late = tuple(p for p in late if not p.terminating and self._gains(p))
        if all(p.ready for p in late) and room.restart_waits(self.snapshot, workload, self.intent):
            return []
        return list(late)

    def _gains(self, pod: PodFacts) -> bool:
        """Would another pod in its place run more of the stage?"""
        moved = force.restarting(self.spec.space, self.intent)
        missed = {n for n in moved if n in self.snapshot.held and pod.name in self.snapshot.held[n].missed}
        return not missed or force.owes(self.spec.space, self.intent, pod, [n for n in moved if n not in missed])


@dataclass(frozen=True, slots=True)
class Acted:
    """Was anything written? `forbidden` says what kept a pod from being evicted; `rolls_out` that a rollout was begun
    in its place."""

    wrote: bool = False
    forbidden: NotEvicted | None = None
    rolls_out: bool = False


Actuator = Callable[[Change], Awaitable[Acted]]
"""Writes what is missing."""


async def nothing(change: Change) -> Acted:
    """The actuator of every mode but Auto."""
    return Acted()


Place = Callable[[Change], Awaitable[bool]]
"""Writes what is missing in one place. Was there anything?"""


@dataclass(frozen=True, slots=True)
class LiveActuator:
    """Writes through the Cluster port. Raises WriteConflict, NotAvailable, Refused; ResizeRefused after all writes."""

    cluster: Cluster
    reached: Reached
    nudge: bool = False

    async def __call__(self, change: Change) -> Acted:
        theirs = [partial(self._config_map, name=name) for name in change.config_maps()]
        read_at_start: list[Place] = [self._own_config_map, self._pod_environment, *theirs]
        wrote, errors = await self._each(change, read_at_start)
        # A pod that starts now would not find what it is restarted for.
        lost = force.own_document(change.spec.space) and change.found.own_config_map is None and not wrote
        held_up = lost or bool(errors)
        more, others = await self._each(change, [self._hpa, self._replicas, self._resize])
        restarted = Acted() if held_up else await self._restart(change)
        for first in (*errors, *others):
            raise first
        return replace(restarted, wrote=restarted.wrote or wrote or more)

    async def _each(self, change: Change, places: Sequence[Place]) -> tuple[bool, list[PegboxError]]:
        """Was anything written, and what was refused.

        A trial that is refused in one place writes no further one. A way back is tried in each, since what stands there
        may do harm; only an object that moved ends it, as what was read is old.
        """
        wrote, errors = False, list[PegboxError]()
        for place in places:
            try:
                wrote = await place(change) or wrote
            except (NotAvailable, NotFound, Refused) as error:
                if not change.intent.kind.goes_back and not isinstance(error, ResizeRefused):
                    raise
                errors.append(error.with_traceback(None))  # raised later, and must not keep what was read here
        return wrote, errors

    async def _own_config_map(self, change: Change) -> bool:
        """Made whole, as pods read it from then on, and only where none is: a late write of a leader that was paused
        before it is a conflict once another one made it."""
        spec = change.spec
        if not force.own_document(spec.space) or not change.documents:
            return False
        body = own_config_map(change)
        present = change.found.own_config_map
        if present is None:
            body["metadata"]["resourceVersion"] = ABSENT
        else:
            meta = present["metadata"]
            body["metadata"] |= {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
            originals = (meta.get("annotations") or {}).get(ORIGINALS)
            if originals and adopted_before(change.found) is not None:
                body["metadata"]["annotations"][ORIGINALS] = originals
            if present.get("data") == body["data"]:
                return False
        self.reached(Point.BEFORE_DOCUMENT)
        # The object is ours alone, so a value that somebody edited in it is no reason to be refused.
        await self.cluster.apply(body, force=True)
        self.reached(Point.AFTER_DOCUMENT)
        if self.nudge:
            await self._nudge(change)
        return True

    async def _nudge(self, change: Change) -> None:
        """Touch an annotation of each pod: its kubelet then refreshes volumes at once, not within its period."""
        if isinstance(change.found.workload, Missing):
            return
        for pod in change.found.workload.unfinished:
            key = REFRESH.replace("/", "~1")
            ops: list[Object] = [{"op": "test", "path": "/metadata/uid", "value": pod.uid}]
            body = next((p for p in change.found.pods if p["metadata"]["uid"] == pod.uid), {})
            if not (body.get("metadata", {}).get("annotations")):
                ops.append({"op": "add", "path": "/metadata/annotations", "value": {}})
            value = str(change.intent.generation)
            ops.append({"op": "add", "path": f"/metadata/annotations/{key}", "value": value})
            try:
                await self.cluster.json_patch(Ref(POD, change.spec.namespace, pod.name), ops)
            except (Refused, NotFound):
                continue  # a convenience: the kubelet comes by anyway

    async def _pod_environment(self, change: Change) -> bool:
        """Created empty, and filled by a write that names what was created: so no late write of a paused leader makes
        or fills it once another one has been here. Whoever edited a variable of it keeps that: see `pod_env.wanted`.
        """
        found, present = change.found, change.found.pod_environment
        if not change.spec.space.at(LocationKind.POD_ENV) or not found.environments:
            return False
        body = pod_env.wanted(found, change.snapshot, change.desired, change.intent.keep)
        wrote = False
        if present is None:
            due = any(change.snapshot.held[k.name].behind for k in change.spec.space.at(LocationKind.POD_ENV))
            if not body["spec"].get("env") and not due:
                return False
            self.reached(Point.BEFORE_POD_ENVIRONMENT)
            present, wrote = await self.cluster.create(pod_env.emptied(body)), True
            self.reached(Point.AFTER_POD_ENVIRONMENT)
        if pod_env.same(present, body):
            return wrote
        body["metadata"] |= {k: present["metadata"][k] for k in ("uid", "resourceVersion")}
        self.reached(Point.BEFORE_POD_ENVIRONMENT)
        await self.cluster.apply(body, force=True)  # over what we created: nobody else holds a field of it
        self.reached(Point.AFTER_POD_ENVIRONMENT)
        return True

    async def _config_map(self, change: Change, name: str) -> bool:
        """One of theirs."""
        if name not in change.found.config_maps:
            raise NotFound(f"ConfigMap {change.spec.namespace}/{name} does not exist any more")
        body = change.found.config_maps[name]
        data: dict[str, str] = {}
        moved = [(knob, text) for knob, text in change.moved(*THEIRS) if knob.location.config_map == name]
        for knob, text in moved:
            key, path = knob.location.key, knob.location.path
            whole = data.get(key, body["data"][key])
            data[key] = configmaps.write_path(whole, path, text) if path else _replaced(whole, text)
        forced = any(change.spec.takes(knob.name) for knob, _ in moved)
        # What an apply leaves out it releases, and a key that only we owned would vanish.
        data = owners.applied(body).get("data", {}) | data
        self.reached(Point.BEFORE_CONFIG_MAP)
        await self.cluster.apply(_patch(body, CONFIG_MAP.api_version, "ConfigMap", data=data), force=forced)
        self.reached(Point.AFTER_CONFIG_MAP)
        return True

    async def _hpa(self, change: Change) -> bool:
        moved = change.moved(LocationKind.HPA_MIN, LocationKind.HPA_MAX)
        present = change.found.hpa
        scaler = change.spec.autoscaler
        if present is None and scaler is not None and scaler.create and change.found.target is not None:
            self.reached(Point.BEFORE_HPA)
            await self.cluster.create(created_hpa(change))
            self.reached(Point.AFTER_HPA)
            return True
        if not moved or present is None:
            return False
        fields = {"minReplicas" if k.location.kind is LocationKind.HPA_MIN else "maxReplicas": int(t) for k, t in moved}
        body = _patch(present, HPA.api_version, "HorizontalPodAutoscaler")
        created = scaler is not None and scaler.create
        # Apply replaces all that we applied before: an HPA of ours is applied whole, or its metrics would vanish.
        body["spec"] = (present["spec"] if created else owners.applied(present).get("spec", {})) | fields
        self.reached(Point.BEFORE_HPA)
        await self.cluster.apply(body, force=created or any(change.spec.takes(k.name) for k, _ in moved))
        self.reached(Point.AFTER_HPA)
        return True

    async def _replicas(self, change: Change) -> bool:
        moved = change.moved(LocationKind.REPLICAS)
        if not moved or change.found.target is None:
            return False
        target = change.found.target
        ref = Ref(KINDS[change.spec.target.kind], change.spec.namespace, change.spec.target.name)
        self.reached(Point.BEFORE_SCALE)
        await self.cluster.json_patch(
            ref,
            [
                *patches.unmoved(target),
                {"op": "replace", "path": "/spec/replicas", "value": int(moved[0][1])},
            ],
            subresource="scale",
        )
        self.reached(Point.AFTER_SCALE)
        return True

    async def _resize(self, change: Change) -> bool:
        """Pod after pod, all sizes of the container in one patch. The template stays as its owner wrote it.

        Raises at the end for pods that the server would not resize: since Kubernetes 1.36 it knows what a node can
        never hold, and says so before any kubelet does. The others are resized all the same; a way back is held up by
        those that it has to put right.
        """
        wrote, refused, held_up = False, dict[str, str](), list[str]()
        for name, pod in sorted(sizes.resizable(change.found).items()):
            container, texts = change.sizes(name, pod)
            if texts:
                self.reached(Point.BEFORE_RESIZE)
                ref = Ref(POD, change.spec.namespace, name)
                try:
                    await self.cluster.json_patch(ref, resources.resize(pod, container, texts), subresource="resize")
                except NotFound:
                    continue  # it went meanwhile: the pod that follows is resized on a later wake
                except Refused as error:
                    refused[pod["metadata"]["uid"]] = str(error)
                    held_up += [str(error)] if change.holds_up(name) else []
                    continue
                self.reached(Point.AFTER_RESIZE)
                wrote = True
        if refused:
            raise Refused(held_up[0]) if held_up else ResizeRefused(refused)
        return wrote

    async def _restart(self, change: Change) -> Acted:
        """One pod at a time while all others are ready, or a way back goes on without them; a rollout where eviction
        cannot be had."""
        intent, workload = change.intent, change.found.workload
        if isinstance(workload, Missing):
            return Acted()
        old = change.to_restart(workload)
        sick = [p for p in old if not p.ready]
        # On the way back, a pod that the trial made sick is restarted whatever else holds: waiting would not heal it.
        back = intent.kind.goes_back and bool(sick) and not ends_sick(change, workload)
        goes_on = back or upkeep.settled(workload) or evictions.goes_on(change.snapshot, workload, intent)
        # Pods that leave still hold their connections.
        if not old or not goes_on or evictions.leaving(change.snapshot, workload, intent):
            return Acted()
        # Where a rollout ends the old pod first, too, evicting it is no worse, alone or not.
        ends_first = workload.kind == "StatefulSet" or all_at_once(change.found.target)
        if len(workload.unfinished) >= 2 or ends_first:
            return await self._evict(change, workload, min(sick if back else old, key=lambda p: p.name))
        return Acted(await self._rollout(change))

    async def _evict(self, change: Change, workload: Workload, pod: PodFacts) -> Acted:
        self.reached(Point.BEFORE_EVICTION)
        try:
            await self.cluster.evict(Ref(POD, change.spec.namespace, pod.name), uid=pod.uid)
        except NotFound:
            return Acted()
        except NotEvicted as error:
            forbidden = error.with_traceback(None)  # it is told later, and must not keep what was read here
            if evictions.waits(change.snapshot, workload, change.intent, forbidden, change.forbidden_since):
                return Acted(False, forbidden)
            began = await self._rollout(change)
            return Acted(began, forbidden, began)
        self.reached(Point.AFTER_EVICTION)
        return Acted(True)

    async def _rollout(self, change: Change) -> bool:
        """A template annotation, once per intent and stage; costs a revision, and goes as the workload's own strategy
        says: surge and readiness are respected where that does, a PodDisruptionBudget by none."""
        target = change.found.target
        if target is None or not may_roll_out(change):
            return False  # the pods are waited for
        if rolled_out(change):
            return False
        body = _patch(target, target.get("apiVersion", "apps/v1"), change.spec.target.kind)
        body["spec"] = {"template": {"metadata": {"annotations": {RESTARTED: change.mark}}}}
        self.reached(Point.BEFORE_ROLLOUT)
        await self.cluster.apply(body)
        self.reached(Point.AFTER_ROLLOUT)
        return True


def rolled_out(change: Change) -> bool:
    """Does the template ask for the restarts of this stage?"""
    metadata = (change.found.target or {}).get("spec", {}).get("template", {}).get("metadata") or {}
    return (metadata.get("annotations") or {}).get(RESTARTED) == change.mark


def ends_sick(change: Change, workload: Workload) -> bool:
    """Does a rollout of this stage end the pods that are not ready? One of the trial's own may stick at them for ever.
    That of a StatefulSet waits for them, too, whatever the template says by then.
    """
    goes_on = workload.rolling and rolls_out(change.found.target)
    return goes_on and workload.kind == "Deployment" and rolled_out(change)


def may_roll_out(change: Change) -> bool:
    """Would a new revision restart every pod, and may it?

    Never for a canary, whose setting it would bring to every pod: it waits for an eviction. Where it ends all pods at
    once, only for a way back that must not wait.
    """
    target, intent = change.found.target, change.intent
    held_back = all_at_once(target) and not evictions.outweighed(intent)
    return rolls_out(target) and not intent.canary and not held_back


def rolls_out(target: Object | None) -> bool:
    """Does a change of the template replace every pod? Not in a paused Deployment, nor where a StatefulSet waits for
    its pods to be deleted or holds some back by a partition.
    """
    if target is None:
        return False
    strategy = target["spec"].get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition", 0))
    return not target["spec"].get("paused") and strategy.get("type") != "OnDelete" and partition == 0


def own_config_map(change: Change) -> Object:
    """Our ConfigMap: the settings document, plain keys for envFrom, and the originals for a lost ledger."""
    spec, space = change.spec, change.spec.space
    texts = space.format(change.desired)
    data = {k.location.key or k.name.upper(): texts[k.name] for k in space.at(LocationKind.ENV) if k.name in texts}
    if force.own_document(space):  # with env knobs alone too: its generation tells which stage was written
        values = force.document_values(space, change.desired)
        listed = cohorts.listed(spec, change.intent)
        data[settings_document.KEY] = settings_document.render(spec.uid, change.intent.generation, values, listed)
    adopted = change.snapshot.ledger.adopted
    originals = space.format(adopted) if adopted is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": spec.config_map_name,
            "namespace": spec.namespace,
            "labels": {"app.kubernetes.io/managed-by": "pegbox", "pegbox.dev/profile": spec.name},
            "annotations": {ORIGINALS: json.dumps(originals, sort_keys=True)},
        },
        "data": data,
    }


def created_hpa(change: Change) -> Object:
    """The HPA of the profile's template. It goes with the profile, unless the deletion policy is Keep."""
    spec, scaler = change.spec, change.spec.autoscaler
    assert scaler is not None
    bounds = {"minReplicas": scaler.min_replicas, "maxReplicas": scaler.max_replicas}
    for knob in spec.space.at(LocationKind.HPA_MIN, LocationKind.HPA_MAX):
        value = change.desired.get(knob.name)
        if isinstance(value, Fraction):
            bounds["minReplicas" if knob.location.kind is LocationKind.HPA_MIN else "maxReplicas"] = int(value)
    profile = change.found.profile
    owner = {
        "apiVersion": profile["apiVersion"],
        "kind": profile["kind"],
        "name": spec.name,
        "uid": spec.uid,
        "controller": False,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": HPA.api_version,
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": scaler.name,
            "namespace": spec.namespace,
            "labels": {"app.kubernetes.io/managed-by": "pegbox", "pegbox.dev/profile": spec.name},
            "ownerReferences": [] if spec.deletion_policy is DeletionPolicy.KEEP else [owner],
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": spec.target.kind, "name": spec.target.name},
            **bounds,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": scaler.cpu_utilization},
                    },
                }
            ],
        },
    }


def _patch(present: Object, api_version: str, kind: str, **rest: object) -> Object:
    """An apply body for an object that was read: its uid and resourceVersion make any move a conflict."""
    meta = present["metadata"]
    head = {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": api_version, "kind": kind, "metadata": head, **rest}


def _replaced(whole: str, text: str) -> str:
    """A plain key's new text keeps the white space around the old one."""
    stripped = whole.strip()
    return whole.replace(stripped, text, 1) if stripped else text
