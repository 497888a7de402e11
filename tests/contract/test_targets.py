"""Each place of a target, of a Deployment and of a StatefulSet alike, on a real API server: who else holds it, what is
written, what comes back, and that nothing is written to another object of the same name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from pegbox.adapters.kube import owners
from pegbox.adapters.kube.client import KubeCluster
from pegbox.ports import POD, Cluster, Kind, Object, Ref
from pegbox.runtime.reading import KINDS
from pegbox.testing.clock import FakeClock
from tests.contract.conftest import Connect
from tests.loop import documents
from tests.loop.world import World

REPLICAS = {"name": "replicas", "min": 1, "max": 8}
SMALL, LARGE = {"cpu": "0.5", "memory": "256Mi"}, {"cpu": "2", "memory": "1Gi"}
SIZE = {"name": "cpu_request", "conflictPolicy": "Take"}
NO_TEMPLATE = "the owner's template is as he wrote it"


@dataclass
class Shop:
    """The world, and the owner's own client. Helm 4 applies server-side, as this one does."""

    world: World
    helm: KubeCluster
    kind: str

    @property
    def ref(self) -> Ref:
        return Ref(KINDS[self.kind], self.world.namespace, "checkout")

    def body(self, replicas: int = 2) -> Object:
        return documents.workload(self.kind, replicas=replicas)

    async def apply(self, body: Object, *, force: bool = False) -> Object:
        return await self.helm.apply(documents.placed(body, self.world.namespace), force=force)

    async def target(self) -> Object:
        return await self.world.outside.get(self.ref)

    async def begin(self, *knobs: Object, body: Object | None = None, **spec: Any) -> None:
        """The profile joins what the owner applied; its setting is adopted and measured."""
        await self.apply(body or self.body())
        app = self.world._app("checkout", "checkout", self.kind)
        app.service.values = {"workers": 2.0} | ({"threads": 2.0} if documents.env() in knobs else {})
        profile = documents.profile("checkout", documents.hot(), *knobs, kind=self.kind, **spec)
        await self.world.apply(profile)
        await self.world.pods_step(app)
        await self.world.steady()

    async def trial(self, argument: str) -> tuple[str, str]:
        await self.world.annotate("try", argument)
        await self.world.turn()
        last = (await self.world.rest()).trials[-1]
        return last.state.value, last.reason.value

    async def in_trial(self, argument: str) -> None:
        """It is written and read back."""
        await self.world.annotate("try", argument)

        async def applied() -> bool:
            intent = await self.world.intent()
            return intent is not None and intent.applied_at is not None

        await self.world.until(applied)

    async def leave(self) -> None:
        await self.world.delete()

        async def gone() -> bool:
            return not await self.world.exists()

        await self.world.until(gone)

    async def pods(self) -> list[Object]:
        return await self.world.apps["checkout"].pods.pods()

    async def requests(self) -> list[str]:
        return [p["spec"]["containers"][0]["resources"]["requests"]["cpu"] for p in await self.pods()]


@pytest_asyncio.fixture(params=["Deployment", "StatefulSet"])
async def shop(request: pytest.FixtureRequest, cluster: KubeCluster, client: Connect, namespace: str) -> Shop:
    outside = await client("kubelet")
    await outside.apply(documents.CLASS, force=True)
    world = World(cluster, outside, FakeClock(auto=False), namespace=namespace)
    return Shop(world, await client("helm"), request.param)


def held_by(body: Object, path: owners.Path) -> list[str]:
    return [entry.manager for entry in owners.entries_owning(body, path)]


async def ended(world: World) -> tuple[str, str]:
    last = (await world.rest()).trials[-1]
    return last.state.value, last.reason.value


# Replicas.


async def test_replicas_that_their_owner_leaves_out_are_scaled_and_come_back(shop: Shop) -> None:
    """He stated none, so one is what stood there."""
    await shop.begin(REPLICAS, body=documents.without_replicas(shop.body()))
    before = await shop.target()
    assert await shop.trial("replicas=2") == ("Accepted", "TrialAccepted")
    assert (await shop.target())["spec"] == before["spec"] | {"replicas": 2}
    assert len(await shop.pods()) == 2
    await shop.leave()
    assert (await shop.target())["spec"] == before["spec"]
    assert (await shop.apply(documents.without_replicas(shop.body())))["spec"] == before["spec"], "without a conflict"


async def test_replicas_that_their_owner_states_are_his_and_manager_and_field_are_named(shop: Shop) -> None:
    await shop.begin(REPLICAS)
    before = (await shop.target())["metadata"]["resourceVersion"]
    status, reason, message = await shop.world.condition("Conflict")
    assert (status, reason) == ("True", "OwnedByOther")
    assert "helm" in message and "spec.replicas" in message
    await shop.world.annotate("try", "replicas=3")
    await shop.world.turns(3)
    assert (await shop.target())["metadata"]["resourceVersion"] == before


async def test_replicas_that_are_taken_by_consent_go_back_to_their_owner_whose_next_apply_passes(shop: Shop) -> None:
    await shop.begin(REPLICAS | {"conflictPolicy": "Take"})
    before = await shop.target()
    assert await shop.trial("replicas=3") == ("Accepted", "TrialAccepted")
    taken = await shop.target()
    assert taken["spec"]["replicas"] == 3 and held_by(taken, owners.REPLICAS) == ["pegbox"]
    await shop.leave()
    after = await shop.target()
    assert after["spec"] == before["spec"] and held_by(after, owners.REPLICAS) == ["helm"]
    assert (await shop.apply(shop.body(replicas=4)))["spec"]["replicas"] == 4


async def test_their_owner_takes_replicas_back_in_mid_trial_and_they_are_not_written_again(shop: Shop) -> None:
    await shop.begin(REPLICAS | {"conflictPolicy": "Take"})
    await shop.in_trial("replicas=3")
    theirs = await shop.apply(shop.body(replicas=4), force=True)
    assert await ended(shop.world) == ("Inconclusive", "ForeignChange")
    status, reason, message = await shop.world.condition("Conflict")
    assert (status, reason) == ("True", "ForeignChange") and "replicas" in message
    await shop.world.turns(20)
    after = await shop.target()
    assert after["spec"] == theirs["spec"] and held_by(after, owners.REPLICAS) == ["helm"]


# Requests, resized in the pods.


async def test_a_request_is_resized_in_the_pods_and_comes_back_as_it_was_written(shop: Shop) -> None:
    await shop.begin(SIZE, body=documents.sized(shop.body(), requests=SMALL, limits=LARGE))
    before, pods = await shop.target(), await shop.pods()
    assert await shop.trial("cpu_request=750m,workers=3") == ("Accepted", "TrialAccepted")
    assert await shop.requests() == ["750m", "750m"]
    await shop.leave()
    assert await shop.requests() == ["500m", "500m"], "the server spells 0.5 so"
    after = await shop.target()
    assert after["spec"] == before["spec"], NO_TEMPLATE
    assert "pegbox" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}
    assert [p["metadata"]["uid"] for p in await shop.pods()] == [p["metadata"]["uid"] for p in pods], "no restart"


async def test_without_consent_a_request_is_its_owners_and_manager_and_field_are_named(shop: Shop) -> None:
    await shop.begin({"name": "cpu_request"}, body=documents.sized(shop.body(), requests=SMALL, limits=LARGE))
    status, reason, message = await shop.world.condition("Conflict")
    assert (status, reason) == ("True", "OwnedByOther")
    assert "helm" in message and "cpu_request" in message
    await shop.world.annotate("try", "cpu_request=750m")
    await shop.world.turns(3)
    assert await shop.requests() == ["500m", "500m"]


async def test_a_request_that_its_owner_changes_in_mid_trial_is_his(shop: Shop) -> None:
    body = documents.sized(shop.body(), requests=SMALL, limits=LARGE)
    await shop.begin(SIZE, body=body)
    await shop.in_trial("cpu_request=750m")
    await shop.apply(documents.sized(body, requests={"cpu": "1", "memory": "256Mi"}, limits=LARGE))
    state, reason = await ended(shop.world)
    assert state == "Inconclusive" and reason in ("Deployed", "ForeignChange")
    await shop.world.turns(10)
    assert await shop.requests() == ["1", "1"]


# Env of our own ConfigMap, by eviction.


async def test_env_comes_by_evictions_of_pods_and_back_and_their_object_is_not_touched(shop: Shop) -> None:
    await shop.begin(documents.env())
    before, pods = await shop.target(), await shop.pods()
    assert await shop.trial("threads=3") == ("Accepted", "TrialAccepted")
    assert (await shop.world.own())["data"]["THREADS"] == "3"
    assert not {p["metadata"]["uid"] for p in pods} & {p["metadata"]["uid"] for p in await shop.pods()}
    await shop.leave()
    assert (await shop.world.own())["data"]["THREADS"] == "2"
    after = await shop.target()
    assert after["spec"] == before["spec"], NO_TEMPLATE
    assert "pegbox" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}


async def test_a_deploy_in_mid_restart_ends_the_trial_and_goes_through(shop: Shop) -> None:
    await shop.begin(documents.env())
    await shop.trial("threads=3")
    await shop.world.annotate("try", "workers=3")
    await shop.world.turns(2)
    body = shop.body()
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.invalid/app:2"
    await shop.apply(body)
    assert await ended(shop.world) == ("Inconclusive", "Deployed")
    assert (await shop.world.own())["data"]["THREADS"] == "3", "what was accepted before stays"
    assert (await shop.target())["spec"]["template"]["spec"]["containers"][0]["image"] == "example.invalid/app:2"


# Another object of the same name.


class Recreating:
    """A cluster in which the target, or a pod, is replaced right before our write to it arrives: what was read is gone."""

    def __init__(self, cluster: Cluster, kind: Kind, recreate: Callable[[Ref], Awaitable[None]]) -> None:
        self._cluster, self._kind, self._recreate = cluster, kind, recreate
        self.met = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def _meet(self, ref: Ref) -> None:
        if ref.kind == self._kind and not self.met:
            self.met += 1
            await self._recreate(ref)

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        await self._meet(ref)
        return await self._cluster.json_patch(ref, operations, subresource=subresource)

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        if body["kind"] == self._kind.kind:
            await self._meet(Ref(self._kind, body["metadata"]["namespace"], body["metadata"]["name"]))
        return await self._cluster.apply(body, force=force, subresource=subresource)

    async def evict(self, pod: Ref, *, uid: str) -> None:
        await self._meet(pod)
        await self._cluster.evict(pod, uid=uid)


@dataclass(frozen=True)
class Place:
    knob: Object
    wish: str
    pods: bool  # the write goes to a pod, else to the target
    forbidden: bool = False  # nothing may be evicted


PLACES = {
    "scale": Place(REPLICAS | {"conflictPolicy": "Take"}, "replicas=3", pods=False),
    "resize": Place(SIZE, "cpu_request=750m", pods=True),
    "eviction": Place(documents.env(), "threads=3", pods=True),
    "rollout": Place(documents.env(), "threads=3", pods=False, forbidden=True),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_nothing_is_written_to_another_object_of_the_same_name(shop: Shop, place: Place) -> None:
    """Each write names the uid that was read. The new object of that name has another one, and moves by nothing of ours."""
    world = shop.world
    await shop.begin(place.knob, body=documents.sized(shop.body(), requests=SMALL, limits=LARGE))
    if place.forbidden:
        await shop.apply(documents.pdb())
    kind = POD if place.pods else shop.ref.kind
    made: list[Object] = []

    async def recreate(ref: Ref) -> None:
        body = await world.outside.get(ref)
        meta = {
            k: body["metadata"][k] for k in ("name", "namespace", "labels", "ownerReferences") if k in body["metadata"]
        }
        await world.outside.delete(ref)
        kept = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": body["spec"]}
        made.append(await world.outside.create(kept))

    met = Recreating(world.pegbox, kind, recreate)
    world.pegbox = met  # type: ignore[assignment]
    world.restart()
    await world.annotate("try", place.wish)
    for _ in range(30):
        await world.wake()
        if met.met:
            break
        world.clock.skip(2.0)
    assert met.met == 1 and len(made) == 1, await world.why()
    ref = Ref(kind, world.namespace, made[0]["metadata"]["name"])
    now = await world.outside.get(ref)
    assert now["metadata"]["resourceVersion"] == made[0]["metadata"]["resourceVersion"]
    assert now["spec"] == made[0]["spec"]
