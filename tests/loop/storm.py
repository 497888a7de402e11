"""A schedule of faults that can be run on the fake API server and on a real one alike: drawn from a seed, call by call."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pegbox.model.errors import NotAvailable, Refused, WriteConflict
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import CLASS, CONFIG_MAP, HPA, Cluster, Kind, Object, Ref
from pegbox.testing.faults import Killed
from tests.loop import documents
from tests.loop.world import World

T = TypeVar("T")
WISHES = ("workers=3", "workers=4", "cache=3,workers=2", "workers=3,max_replicas=6", "max_replicas=3")
CAPACITY = 100
USES = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}


@dataclass
class Rough:
    """Implements ports.Cluster: so many of all calls fail before or after they were carried out, or end the process."""

    server: Cluster
    chance: random.Random
    share: float = 0.0
    struck: int = 0

    async def get(self, ref: Ref) -> Object:
        return await self._roughly(lambda: self.server.get(ref), writes=False)

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        return await self._roughly(lambda: self.server.list(kind, namespace, labels=labels, limit=limit), writes=False)

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        return await self._roughly(lambda: self.server.apply(body, force=force, subresource=subresource))

    async def create(self, body: Object) -> Object:
        return await self._roughly(lambda: self.server.create(body))

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        return await self._roughly(lambda: self.server.json_patch(ref, operations, subresource=subresource))

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        await self._roughly(lambda: self.server.delete(ref, uid=uid, version=version))

    async def evict(self, pod: Ref, *, uid: str) -> None:
        await self._roughly(lambda: self.server.evict(pod, uid=uid))

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        return await self.server.allowed(verb, group, resource, namespace=namespace, subresource=subresource)

    async def _roughly(self, call: Callable[[], Awaitable[T]], writes: bool = True) -> T:
        if self.chance.random() >= self.share:
            return await call()
        self.struck += 1
        error = self._error(writes)
        if writes and self.chance.random() < 0.5:
            await call()  # carried out, and nobody hears of it
        raise error

    def _error(self, writes: bool) -> BaseException:
        gone = NotAvailable("connection reset by peer")
        if not writes:
            return gone
        return self.chance.choice(
            [gone, WriteConflict("the object has been modified"), Refused("denied", status=403), Killed()]
        )


async def furnish(world: World) -> None:
    """Knobs in our document, a ConfigMap of others and an HPA of others, and a shared budget."""
    await world.outside.apply(documents.CLASS, force=True)
    await world.outside.get(Ref(CLASS, "", "service"))
    await world.apply(documents.config_map(), documents.budget(capacity=CAPACITY), documents.hpa())
    guards = documents.QUICK | {"failuresToOpen": 50}  # a breaker that opens is not the point here
    knobs = documents.hot(), documents.path(), {"name": "max_replicas", "min": 1, "max": 8}
    body = documents.profile(
        "checkout",
        *knobs,
        conflictPolicy="Take",
        autoscaler={"ref": {"name": "checkout"}},
        budgets=[USES],
        guards=guards,
    )
    await world.add(body, workers=2, cache=2)
    await world.steady()


async def storm(world: World, rough: Rough, seed: int, turns: int = 36) -> list[str]:
    """Trials in the middle of faults, then calm. Raises where an invariant breaks; what became of each trial."""
    chance, generation = random.Random(seed), 0
    for turn in range(turns):
        if turn % 9 == 0:
            await world.annotate("try", chance.choice(WISHES))
        match chance.randrange(8):
            case 0:
                world.restart()
            case 1:
                world.metrics.down = None if world.metrics.down else Missing(Reason.METRICS_UNREACHABLE)
            case 2:
                world.apps["checkout"].silent ^= True
            case 3 if turn > 12:
                await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", chance.randrange(3, 8))
        rough.share = 0.08
        try:
            await world.turn()
        except Killed:
            world.restart()
        finally:
            rough.share = 0.0
        generation = await _holds(world, generation)
    world.metrics.down, world.apps["checkout"].silent = None, False
    world.restart()
    await world.turns(30)
    ledger = await world.rest(limit=80)
    await _holds(world, generation)
    assert ledger.incumbent is not None
    assert await world.values() == {"workers": str(ledger.incumbent["workers"])}
    assert await world.theirs() == documents.APP.replace("size: 2 ", f"size: {ledger.incumbent['cache']} ")
    assert (await world.bounds())[1] == int(ledger.incumbent.number("max_replicas"))
    assert {slot for _, slot in (await world.claims()).values()} == {"None"}
    return [f"{trial.setting} {trial.state.value}" for trial in ledger.trials]


async def _holds(world: World, generation: int) -> int:
    """After each wake: numbers only grow, values are within their limits, claims within the budget."""
    if await world.find(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox")) is None:
        return generation
    document = await world.document()
    assert document.generation >= generation and not document.foreign
    assert 1 <= int(document.values["workers"]) <= 64
    low, high = await world.bounds()
    assert 1 <= low <= high <= 8
    assert sum(amount for amount, _ in (await world.claims()).values()) <= CAPACITY
    return document.generation
