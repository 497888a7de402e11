"""Pods that never get ready, or never go, hold up no way back: those of the trial's own rollout, and those of others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pegbox.model.reasons import Reason
from pegbox.ports import DEPLOYMENT, PDB, POD, Object, Ref
from pegbox.testing.pods import FakePods, _digest
from tests.loop import documents
from tests.loop.world import App, World, make, written

EVICT = ("evict", "Pod", "eviction")
GUARDS = documents.QUICK | {"ackTimeout": "60s"}
BAD = 3.0


class Careful(FakePods):
    """Its controllers wait for new pods: a Deployment of surge 1 that lets no ready pod go before its successor is ready,
    and a StatefulSet that goes on after each ready pod, highest number first, and repairs none that is not."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sick: set[str] = set()

    def bad(self, pod: Object) -> bool:
        return pod["metadata"]["uid"] in self.sick

    async def _start(self, name: str, owner: Object, template: Object) -> Object:
        pod, own = await super()._start(name, owner, template), await self._cluster.get(self._config_map)
        if float(own["data"]["THREADS"]) == BAD:
            self.sick.add(pod["metadata"]["uid"])
        return pod

    async def settle(self) -> list[Object]:
        pods = await super().settle()
        return [await told(self._cluster, pod, ready=not self.bad(pod)) for pod in pods]

    async def _any(self, target: Object) -> list[Object]:
        sets = await self._replica_sets(target)
        newest = await self._newest(target, sets)
        pods = await self._pods(target, [s for s in sets if s is not newest] + [newest])
        wanted = int(target["spec"]["replicas"])
        new = [p for p in pods if p["metadata"]["ownerReferences"][0]["uid"] == newest["metadata"]["uid"]]
        old = [p for p in pods if p not in new]
        for pod in [p for p in old if self.bad(p)]:
            await self._end(pod)
            old.remove(pod)
        if old and not any(map(self.bad, new)) and len(new) + len(old) > wanted:
            await self._end(old.pop())
        if len(new) < wanted and len(new) + len(old) <= wanted:
            template = target["spec"]["template"] | {"metadata": {"labels": newest["metadata"]["labels"]}}
            new.append(await self._start(f"{newest['metadata']['name']}-{next(self._numbers)}", newest, template))
        done = len(new) == wanted and not old and not any(map(self.bad, new))
        reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        counts = {"replicas": len(new) + len(old), "updatedReplicas": len(new)}
        said = [{"type": "Progressing", "status": "True", "reason": reason, "message": "x"}]
        await self._report(target, counts | {"conditions": said})
        return new + old

    async def _ordinals(self, target: Object) -> list[Object]:
        spec = target["spec"]
        newest, wanted = _digest(target), int(spec["replicas"])
        current = target.get("status", {}).get("currentRevision") or newest
        present = {p["metadata"]["name"]: p for p in await self._pods(target)}
        names = [f"{self._target.name}-{n}" for n in range(wanted)]
        missing = [n for n in names if n not in present]
        stuck = any(self.bad(p) for p in present.values())
        if not missing and not stuck:
            late = [n for n in names if self._label(present[n]) != newest]
            for name in late[-1:]:
                await self._end(present.pop(name))
                missing.append(name)
        for name in missing:
            labels = spec["template"]["metadata"]["labels"] | {"controller-revision-hash": newest}
            present[name] = await self._start(name, target, spec["template"] | {"metadata": {"labels": labels}})
        updated = sum(self._label(p) == newest for p in present.values())
        revisions = {"updateRevision": newest, "currentRevision": newest if updated == wanted else current}
        await self._report(target, {"replicas": wanted, "updatedReplicas": updated} | revisions)
        return [present[n] for n in names]

    def _label(self, pod: Object) -> str:
        return str(pod["metadata"]["labels"]["controller-revision-hash"])


async def told(cluster: Any, pod: Object, *, ready: bool, **status: Any) -> Object:
    """The pod, once its kubelet says whether it is ready."""
    body = copy.deepcopy(pod["status"]) | status
    known = next(c for c in body["conditions"] if c["type"] == "Ready")
    known["status"] = str(ready)
    if body == pod["status"]:
        return pod
    ref = Ref(POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
    return dict(
        await cluster.json_patch(ref, [{"op": "replace", "path": "/status", "value": body}], subresource="status")
    )


async def start(target: Object, *, pdb: bool) -> tuple[World, App]:
    """A trial of threads=3, which no pod survives, under way."""
    world = await make()
    if pdb:
        await world.apply(documents.pdb())
    profile = documents.profile("checkout", documents.hot(), documents.env(), kind=target["kind"], guards=GUARDS)
    app = await world.add(profile, target, workers=2, threads=2)
    old = app.pods
    await world.steady()
    app.pods = Careful(old._cluster, old._clock, old._target, "checkout-pegbox", old.metrics)
    app.pods._numbers = old._numbers
    await world.pods_step(app)
    await world.annotate("try", "threads=3")
    return world, app


async def threads(app: App) -> set[float]:
    return {app.started_with[p["metadata"]["uid"]]["threads"] for p in await app.pods.pods()}


async def _stuck(world: World) -> bool:
    """The trial was ended for want of restarts, and a pod runs its value."""
    intent = await world.intent()
    return intent is not None and intent.kind.goes_back


def rollouts(world: World, kind: str) -> int:
    return written(world.pegbox).count(("apply", kind, ""))


@pytest.mark.parametrize(
    ("target", "pdb"),
    [
        pytest.param(documents.deployment(replicas=1), False, id="a Deployment of one pod"),
        pytest.param(documents.deployment(replicas=3), True, id="a Deployment under a budget that forbids evictions"),
    ],
)
async def test_a_way_back_restarts_the_pod_that_made_our_own_rollout_stick(target: Object, pdb: bool) -> None:
    world, app = await start(target, pdb=pdb)
    await world.until(lambda: _stuck(world), limit=200)
    assert BAD in await threads(app)
    assert (await world.rest(limit=30)).intent is None and await threads(app) == {2.0}
    assert rollouts(world, "Deployment") <= 2


async def test_of_a_stateful_set_it_is_evicted_since_a_rollout_waits_for_it_for_ever() -> None:
    """While the budget forbids that, it is the reason; once it allows it, the pod goes."""
    world, app = await start(documents.stateful_set(replicas=3), pdb=True)
    await world.until(lambda: _stuck(world), limit=200)
    await world.turns(30)
    assert BAD in await threads(app) and rollouts(world, "StatefulSet") == 2
    told = [e for _, e in world.events.emitted if e.reason is Reason.EVICTION_FORBIDDEN and "a rollout" in e.message]
    assert len(told) <= 2 and "budget checkout" in await world.why()
    await world.outside.delete(Ref(PDB, world.namespace, "checkout"))
    assert (await world.rest(limit=30)).intent is None and await threads(app) == {2.0}


async def test_a_deletion_names_the_pod_that_still_runs_the_trials_value() -> None:
    world, app = await start(documents.stateful_set(replicas=3), pdb=True)
    await world.until(lambda: _stuck(world), limit=200)
    await world.delete()
    for _ in range(100):
        if not await world.exists():
            break
        await world.turn()
    assert not await world.exists() and BAD in await threads(app)
    restored = [e.message for _, e in world.events.emitted if e.reason is Reason.RESTORED]
    assert len(restored) == 1 and "not acknowledged by" in restored[0] and "checkout-2" in restored[0]


class NoRoom(FakePods):
    """There are nodes for three pods: another one is Pending, and no kubelet has taken it, until one of them goes. A new
    pod for which `broken` says so never gets ready."""

    broken = False
    placed: frozenset[str] | None = None

    async def settle(self) -> list[Object]:
        pods = await super().settle()
        uids = [pod["metadata"]["uid"] for pod in pods]
        before = self.placed if self.placed is not None else frozenset(uids[:3])
        kept = [uid for uid in uids if uid in before]
        new = [uid for uid in uids if uid not in before][: 3 - len(kept)]
        self.placed = frozenset([*kept, *new])
        self.sick = getattr(self, "sick", set()) | (set(new) if self.broken else set())
        return [await self._told(pod) for pod in pods]

    async def _told(self, pod: Object) -> Object:
        if pod["metadata"]["uid"] in (self.placed or ()):
            start = pod["status"].get("startTime") or self._time()
            return await told(self._cluster, pod, ready=pod["metadata"]["uid"] not in self.sick, startTime=start)
        return await told(self._cluster, pod, ready=False, startTime=None)

    async def _pods(self, target: Object, sets: Any = ()) -> list[Object]:
        """A controller counts none that terminates."""
        return [p for p in await super()._pods(target, sets) if "deletionTimestamp" not in p["metadata"]]


async def in_trial(replicas: int = 3) -> tuple[World, App, NoRoom]:
    """A trial of threads=3 is in force in every pod."""
    world = await make()
    profile = documents.profile("checkout", documents.hot(), documents.env(), guards=GUARDS)
    app = await world.add(profile, documents.deployment(replicas=replicas), workers=2, threads=2)
    old = app.pods
    await world.steady()
    app.pods = pods = NoRoom(old._cluster, old._clock, old._target, "checkout-pegbox", old.metrics)
    pods._numbers = old._numbers
    await world.pods_step(app)
    await world.annotate("try", "threads=3")

    async def in_force() -> bool:
        intent = await world.intent()
        return intent is not None and intent.in_force_at is not None

    await world.until(in_force)
    return world, app, pods


async def back(world: World, pods: NoRoom) -> int:
    """How many of the pods that ran the trial still do, long after it was taken back."""
    before = pods.placed or frozenset()
    await world.annotate("rollback")
    await world.turns(80)
    return len(before & (pods.placed or frozenset()))


@pytest.mark.parametrize("broken", [False, True], ids=["a pod without a node", "the twin: new pods do not get ready"])
async def test_a_way_back_goes_on_beside_a_pod_without_a_node_while_what_it_restarts_gets_ready(broken: bool) -> None:
    world, app, pods = await in_trial()
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 4)
    await world.pods_step(app)
    before = written(world.pegbox).count(EVICT)
    pods.broken = broken
    assert await back(world, pods) == (2 if broken else 0)
    assert written(world.pegbox).count(EVICT) == before + (1 if broken else 3)


async def test_a_way_back_goes_on_beside_a_pod_whose_node_is_gone() -> None:
    world, app, pods = await in_trial()
    lost = Ref(POD, world.namespace, (await app.pods.pods())[0]["metadata"]["name"])
    await world.patch(lost, "/metadata/finalizers", ["example.com/x"])
    await world.outside.delete(lost)
    await world.pods_step(app)
    assert await back(world, pods) == 0
    assert (await world.intent()) is not None and (await world.why()).endswith(f": {lost.name}"), "it may still run"
    await world.patch(lost, "/metadata/finalizers", [])
    assert (await world.rest()).trials[-1].reason is Reason.REQUESTED
