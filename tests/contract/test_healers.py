"""Somebody applies his manifests for ever, as Argo CD does with self-heal: on a real API server nobody fights.

Two kinds: server-side apply with a field manager and force, and kubectl's own three-way one, the default of Argo CD.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from dev.cluster.control import ControlPlane
from pegbox.ports import HPA, Object, Ref
from pegbox.runtime.reading import KINDS
from pegbox.testing.clock import FakeClock
from tests.contract.conftest import Connect
from tests.contract.test_pod_env import variables
from tests.loop import documents
from tests.loop.world import World

MAX = {"name": "max_replicas", "min": 1, "max": 8}
TAKE: dict[str, Any] = {"autoscaler": {"ref": {"name": "checkout"}}, "conflictPolicy": "Take"}
RESTARTING = ("threads", "lanes")
Apply = Callable[[Sequence[Object]], Awaitable[None]]


@dataclass
class Shop:
    """The world, and what a healer applies after every wake of ours."""

    world: World
    apply: Apply
    kind: str = "Deployment"
    bodies: list[Object] = field(default_factory=list)
    ours: dict[str, str] = field(default_factory=dict)  # resourceVersion -> kind, where a wake of ours moved it

    async def heal(self) -> None:
        await self.apply([documents.placed(copy.deepcopy(body), self.world.namespace) for body in self.bodies])

    async def theirs(self) -> dict[str, Object]:
        refs = (Ref(KINDS[self.kind], self.world.namespace, "checkout"), Ref(HPA, self.world.namespace, "checkout"))
        found = [await self.world.find(ref) for ref in refs]
        return {body["kind"]: body for body in found if body is not None}

    async def turn(self) -> None:
        """A wake, with what it wrote of theirs; then the healer, then the outside world."""
        before = await self.theirs()
        after = await self.world.wake()
        for kind, body in (await self.theirs()).items():
            if body["metadata"]["resourceVersion"] != before[kind]["metadata"]["resourceVersion"]:
                self.ours[body["metadata"]["resourceVersion"]] = kind
        await self.heal()
        await self.world.pods_step(self.world.apps["checkout"])
        self.world.clock.skip(max(after or 0.0, 1.0))

    async def begin(self, *knobs: Object, **spec: Any) -> None:
        await self.heal()
        app = self.world._app("checkout", "checkout", self.kind)
        app.service.values = {"workers": 2.0} | {k["name"]: 2.0 for k in knobs if k["name"] in RESTARTING}
        app.without = {"lanes": 2.0}
        await self.world.apply(documents.profile("checkout", documents.hot(), *knobs, kind=self.kind, **spec))
        await self.world.pods_step(app)
        for _ in range(10):
            await self.turn()

    async def ended(self, limit: int = 60) -> tuple[str, str]:
        for _ in range(limit):
            await self.turn()
            ledger = await self.world.ledger()
            if ledger is not None and ledger.intent is None and ledger.trials:
                return ledger.trials[-1].state.value, ledger.trials[-1].reason.value
        raise AssertionError(await self.world.why())


@pytest.fixture(params=["Deployment", "StatefulSet"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(params=["server-side, with force", "client-side, three-way"])
async def shop(
    request: pytest.FixtureRequest,
    client: Connect,
    cluster: Any,
    namespace: str,
    control_plane: ControlPlane,
    kind: str,
) -> Shop:
    outside, argo = await client("kubelet"), await client("argocd-controller")
    await outside.apply(documents.CLASS, force=True)

    async def server_side(bodies: Sequence[Object]) -> None:
        for body in bodies:
            await argo.apply(body, force=True)

    async def client_side(bodies: Sequence[Object]) -> None:
        done = control_plane.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, bodies)))
        assert done.returncode == 0, done.stderr

    world = World(cluster, outside, FakeClock(auto=False), namespace=namespace)
    apply = server_side if request.param.startswith("server") else client_side
    return Shop(world, apply, kind, [documents.workload(kind), documents.hpa(low=1, high=2, kind=kind)])


async def test_a_hot_trial_is_accepted_and_nothing_of_theirs_is_written(shop: Shop) -> None:
    await shop.begin(MAX, autoscaler=TAKE["autoscaler"])
    before = await shop.theirs()
    await shop.world.annotate("try", "workers=3")
    assert await shop.ended() == ("Accepted", "TrialAccepted")
    assert await shop.world.values() == {"workers": "3"}
    assert shop.ours == {}
    for kind, body in (await shop.theirs()).items():
        assert body["spec"] == before[kind]["spec"]
        assert "pegbox" not in {entry["manager"] for entry in body["metadata"]["managedFields"]}


async def test_what_was_taken_is_written_once_and_the_healer_wins(shop: Shop) -> None:
    await shop.begin(MAX, **TAKE)
    await shop.world.annotate("try", "workers=3,max_replicas=3")
    assert await shop.ended() == ("Inconclusive", "ForeignChange")
    for _ in range(30):
        await shop.turn()
    assert list(shop.ours.values()) == ["HorizontalPodAutoscaler"], "one write, no second one"
    theirs = (await shop.theirs())["HorizontalPodAutoscaler"]
    assert theirs["spec"]["maxReplicas"] == 2
    assert await shop.world.values() == {"workers": "2"}, "what was ours is put back"
    ledger = await shop.world.ledger()
    assert ledger is not None and ledger.trials[-1].foreign == ("max_replicas",)


async def test_a_restart_that_we_ask_for_on_their_template_is_not_healed_away(shop: Shop) -> None:
    """One pod, so that a Deployment takes a rollout: neither applier removes an annotation that it never stated. That of a
    StatefulSet is evicted, and nothing of theirs is written."""
    shop.bodies[0] = documents.workload(shop.kind, replicas=1)
    shop.bodies.pop()
    await shop.begin(documents.env())
    before = await shop.world.apps["checkout"].pods.pods()
    await shop.world.annotate("try", "threads=3")
    assert await shop.ended() == ("Accepted", "TrialAccepted")
    rollouts = ["Deployment"] if shop.kind == "Deployment" else []
    assert list(shop.ours.values()) == rollouts, "one rollout, whatever was applied meanwhile"
    after = await shop.world.apps["checkout"].pods.pods()
    assert after[0]["metadata"]["uid"] != before[0]["metadata"]["uid"]


async def test_a_variable_by_admission_is_nothing_that_could_be_healed_away(shop: Shop) -> None:
    """The manifest states the variable, and is applied after every wake: its value stands in the template, ours in pods."""
    shop.bodies[0] = documents.with_variables(documents.workload(shop.kind), {"name": "LANES", "value": "2"})
    shop.bodies.pop()
    await shop.begin(documents.variable(conflictPolicy="Take"))
    before = await shop.theirs()
    await shop.world.annotate("try", "lanes=3")
    assert await shop.ended(limit=120) == ("Accepted", "TrialAccepted")
    for _ in range(10):
        await shop.turn()
    assert await variables(shop.world) == ["3", "3"]
    assert shop.ours == {} and (await shop.theirs())[shop.kind]["spec"] == before[shop.kind]["spec"]
    assert (await shop.world.condition("Conflict"))[1] == "NoConflict"
