"""At rest, too, a pod that is replaced for its variables needs room in the budgets for the one that this adds."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.ports import BUDGET, DEPLOYMENT, Object, Ref
from tests.loop import documents
from tests.loop.test_pod_env import start, variables
from tests.loop.world import App, World, written

EVICT = ("evict", "Pod", "eviction")
ROLLOUT = ("apply", "Deployment", "")


def limited(limit: int, uses: str = "pods * workers") -> list[Object]:
    return [{"name": "postgres", "uses": uses, "limit": limit}]


async def left_behind(budgets: list[Object], *, target: Object | None = None) -> tuple[World, App]:
    """Two pods of two workers: 4, and 6 with one more. An older release wrote a trial of 3 lanes, and its mode was turned
    off before any pod had them: new pods take them, and none does."""
    world, app = await start(budgets=budgets, target=target)
    await world.annotate("try", "lanes=3")
    await world.wake()
    await world.let_go()
    assert await variables(app) == [None, None]
    return world, app


async def waits(world: World, app: App, figures: str) -> None:
    await world.edit(mode="Auto")
    await world.turns(10)
    assert not {EVICT, ROLLOUT} & set(written(world.pegbox)) and await variables(app) == [None, None]
    status, reason, message = await world.condition("Progressing")
    assert (status, reason) == ("False", "WaitingForBudget")
    assert figures in message and app.pods._target.name in message, message


async def replaced(world: World, app: App) -> None:
    await world.turns(6)
    assert await variables(app) == ["3", "3"] and written(world.pegbox).count(EVICT) == 2
    assert (await world.condition("Progressing"))[1] != "WaitingForBudget"


async def test_it_waits_until_the_profiles_own_budget_has_room_and_says_so() -> None:
    world, app = await left_behind(limited(6))
    await world.edit(budgets=limited(5))
    await waits(world, app, "postgres: 6 of 5 with the pod that this adds")
    await world.edit(budgets=limited(6))
    await replaced(world, app)


async def test_it_waits_until_a_shared_budget_has_room_and_says_so() -> None:
    uses: list[Object] = [{"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "main"}}]
    world, app = await start(budgets=limited(6))
    await world.apply(documents.budget("main", capacity=6))
    await world.edit(budgets=uses)
    await world.rest()
    await world.annotate("try", "lanes=3")
    await world.wake()
    await world.let_go()
    await world.patch(Ref(BUDGET, world.namespace, "main"), "/spec/capacity", 5)
    await waits(world, app, "postgres: 6 of 5")
    await world.patch(Ref(BUDGET, world.namespace, "main"), "/spec/capacity", 6)
    await replaced(world, app)


async def test_where_the_old_variables_use_more_than_the_new_ones_it_does_not_wait() -> None:
    """Back to 2 lanes from 3: pods * lanes is 6 of 5 now and 4 after it. The pod in between is how one gets there."""
    world, app = await start(budgets=limited(9, "pods * lanes"))
    await world.annotate("try", "lanes=3")
    await world.until(lambda: _in_pods(app, "3"))
    await world.rest()
    assert (await world.ledger()).incumbent.number("lanes") == 3  # type: ignore[union-attr]
    await world.annotate("try", "lanes=2")
    await world.wake()
    await world.let_go()
    assert await variables(app) == ["3", "3"]
    await world.edit(mode="Auto", budgets=limited(5, "pods * lanes"))
    await world.turns(8)
    assert await variables(app) == [None, None]


async def _in_pods(app: App, text: str) -> bool:
    return set(await variables(app)) == {text}


async def test_a_stateful_set_adds_no_pod_and_does_not_wait() -> None:
    world, app = await left_behind(limited(6), target=documents.stateful_set())
    await world.edit(mode="Auto", budgets=limited(5))
    await replaced(world, app)


@pytest.mark.parametrize("what", ["a freeze", "no room"])
async def test_what_else_is_brought_to_the_pods_at_rest_replaces_none_of_them(what: str) -> None:
    """Their sizes are behind at the same time, which is a write of its own."""
    sizes = {"requests": {"cpu": "500m", "memory": "256Mi"}}
    target = documents.sized(documents.deployment(), **sizes)
    size = {"name": "cpu_request", "conflictPolicy": "Take"}
    world, app = await start(documents.variable(), size, target=target, budgets=limited(6))
    await world.annotate("try", "lanes=3,workers=2,cpu_request=750m")
    await world.rest()
    await world.annotate("try", "lanes=4")
    await world.wake()
    await world.let_go()
    before = {p["metadata"]["uid"] for p in await app.pods.pods()}
    evicted = written(world.pegbox).count(EVICT)
    ref = Ref(DEPLOYMENT, world.namespace, "checkout")
    await world.outside.json_patch(ref, [{"op": "replace", "path": "/spec/replicas", "value": 3}], subresource="scale")
    spec: dict[str, Any] = {"freezes": [documents.ALWAYS]} if what == "a freeze" else {"budgets": limited(7)}
    await world.edit(mode="Auto", **spec)
    await world.pods_step(app)
    await world.turns(4)
    pods = await app.pods.pods()
    assert {p["spec"]["containers"][0]["resources"]["requests"]["cpu"] for p in pods} == {"750m"}, await world.why()
    assert before < {p["metadata"]["uid"] for p in pods} and written(world.pegbox).count(EVICT) == evicted
