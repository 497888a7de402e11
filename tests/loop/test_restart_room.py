"""A restart of ours adds a pod for a moment, which a budget counts: it waits for what makes room for that, and for nothing
that would not."""

from __future__ import annotations

from typing import Any

from pegbox.model.trials import IntentKind
from tests.loop import documents
from tests.loop.test_budgets import set_by_hand
from tests.loop.world import World, make, written


async def restarting(limit: int) -> World:
    """Two pods of 4 workers, and a trial of 3 with other threads: read back, and no pod has read it yet."""
    world = await make()
    uses = {"name": "postgres", "uses": "pods * workers", "limit": limit}
    knobs = documents.hot(initial=4), documents.env()
    await world.add(documents.profile("checkout", *knobs, budgets=[uses]), workers=4, threads=2)
    await world.steady()
    await world.annotate("try", "workers=3,threads=3")
    for _ in range(2):
        world.clock.skip(await world.wake() or 0.0)
    return world


async def test_a_restart_waits_until_pods_have_read_what_makes_room_for_one_pod_more() -> None:
    """While the evicted pod drains there are three: 4 + 4 + 3 of 10, and 3 x 3 = 9 once they have read it."""
    world = await restarting(10)
    assert ("evict", "Pod", "eviction") not in written(world.pegbox)
    await world.pods_step(world.apps["checkout"])
    await world.turn()
    assert ("evict", "Pod", "eviction") in written(world.pegbox)
    await world.rest()
    assert (await world.own())["data"]["THREADS"] == "3"


async def test_a_restart_for_which_there_is_room_does_not_wait() -> None:
    world = await restarting(11)
    assert ("evict", "Pod", "eviction") in written(world.pegbox)


async def raised_in_mid_trial() -> World:
    """At most four pods of 2 workers, of 18. A trial of five pods with other threads, of which nothing may be evicted; then
    somebody sets 4 workers: the way back is written, and read back while the fifth pod is still there."""
    world = await make()
    await world.apply(documents.hpa(high=4), documents.pdb())
    uses = {"name": "postgres", "uses": "pods * workers", "limit": 18}
    knobs = documents.hot(max=8), documents.env(), {"name": "max_replicas", "min": 1, "max": 6}
    spec: dict[str, Any] = {"conflictPolicy": "Take", "autoscaler": {"ref": {"name": "checkout"}}, "budgets": [uses]}
    await world.add(documents.profile("checkout", *knobs, **spec), workers=2, threads=2)
    await world.steady()
    await world.annotate("try", "max_replicas=5,threads=3")
    await world.turn()
    await set_by_hand(world, 4, hashed=True, number=0)
    for _ in range(2):
        world.clock.skip(await world.wake() or 0.0)
    return world


def rollouts(world: World) -> int:
    return written(world.pegbox).count(("apply", "Deployment", ""))


async def test_a_way_back_restarts_no_pod_while_there_are_more_than_it_lets_live() -> None:
    """Five pods of 4 workers and one more would be 24 of 18."""
    world = await raised_in_mid_trial()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK and intent.applied_at is not None
    assert rollouts(world) == 0


async def test_a_way_back_for_whose_restart_somebody_left_no_room_is_not_lost_to_that() -> None:
    """Four of them are 16 of 18, and 20 with the pod that a rollout adds: no waiting would change that."""
    world = await raised_in_mid_trial()
    await world.pods_step(world.apps["checkout"])
    assert (await world.condition("Degraded"))[1] != "BudgetExceeded", "it waits for the fifth pod, and adds none"
    while rollouts(world) == 0:
        await world.wake()
    status, reason, message = await world.condition("Degraded")
    assert (status, reason) == ("True", "BudgetExceeded")
    assert message.endswith("until they are over: postgres: 20 of 18")
    ledger = await world.rest()
    await world.turn()
    assert rollouts(world) == 1 and (await world.condition("Degraded"))[0] == "False"
    assert ledger.incumbent is not None and ledger.incumbent.number("workers") == 4
    assert (await world.own())["data"]["THREADS"] == "2" and (await world.bounds())[1] == 4
