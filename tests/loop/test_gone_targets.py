"""A profile that is deleted while its target is gone: what still stands is put back, and nothing is made anew."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.model.errors import Refused
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, PROFILE, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World, make, written

BOUND = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
TAKE = {"conflictPolicy": "Take"}


async def accepted(**spec: Any) -> World:
    """A knob of our ConfigMap, a key and a path of theirs, an HPA's maximum, and env: all of them raised by one."""
    world = await make()
    await world.apply(documents.config_map(), documents.hpa())
    knobs = documents.hot(), documents.plain(**TAKE), documents.path(**TAKE), BOUND, documents.env()
    body = documents.profile("checkout", *knobs, autoscaler={"ref": {"name": "checkout"}}, **spec)
    await world.add(body, workers=2, backlog=2, cache=2, threads=2)
    await world.steady()
    await world.annotate("try", "workers=3,backlog=3,cache=3,max_replicas=5")
    await world.turn()
    ledger = await world.rest()
    assert ledger.trials[-1].state.value == "Accepted", ledger.trials
    return world


async def gone(world: World, limit: int = 40) -> None:
    """The target goes, then the profile."""
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    await world.delete()
    for _ in range(limit):
        if not await world.exists():
            return
        await world.turn_without_pods()
    raise AssertionError(await world.why())


async def test_config_maps_and_the_hpa_have_the_values_of_the_adoption_again() -> None:
    world = await accepted()
    assert await world.bounds() == (2, 5)
    await gone(world)
    assert (await world.values())["workers"] == "2"
    assert await world.theirs() == documents.APP and (await world.theirs("BACKLOG")).strip() == "2"
    assert await world.bounds() == (2, 4)


async def test_a_trial_in_mid_course_goes_back_too_also_with_keep() -> None:
    world = await accepted(deletionPolicy="Keep")
    await world.annotate("try", "workers=4,max_replicas=6")
    await world.turn()
    assert await world.intent() is not None
    await gone(world)
    assert (await world.values())["workers"] == "3" and await world.bounds() == (2, 5)


async def test_with_keep_and_at_rest_nothing_is_written() -> None:
    world = await accepted(deletionPolicy="Keep")
    await gone(world)
    assert (await world.values())["workers"] == "3" and await world.bounds() == (2, 5)


@pytest.mark.parametrize("kind", [CONFIG_MAP, HPA], ids=["their_config_map", "the_hpa"])
async def test_what_is_gone_as_well_holds_up_nothing(kind: Any) -> None:
    world = await accepted()
    name = "app-config" if kind is CONFIG_MAP else "checkout"
    await world.outside.delete(Ref(kind, world.namespace, name))
    await gone(world)
    assert (await world.values())["workers"] == "2"
    assert await world.find(Ref(kind, world.namespace, name)) is None


async def test_a_place_that_is_gone_holds_up_nothing_beside_a_target_that_stands_either() -> None:
    world = await accepted()
    await world.outside.delete(Ref(CONFIG_MAP, world.namespace, "app-config"))
    await world.delete()
    for _ in range(40):
        if not await world.exists():
            break
        await world.turn()
    assert not await world.exists(), await world.why()
    assert (await world.values())["workers"] == "2" and await world.bounds() == (2, 4)
    assert "InternalError" not in world.events.reasons()


async def test_a_config_map_that_goes_in_mid_trial_is_no_error_of_ours() -> None:
    world = await accepted()
    await world.annotate("try", "cache=2")
    await world.wake()
    await world.outside.delete(Ref(CONFIG_MAP, world.namespace, "app-config"))
    for _ in range(5):
        await world.turn()
    assert "InternalError" not in world.events.reasons()


async def test_a_value_that_somebody_changed_since_is_his() -> None:
    world = await accepted()
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 7)
    await gone(world)
    assert (await world.values())["workers"] == "2" and await world.bounds() == (2, 7)


async def test_a_terminating_namespace_is_not_held_up_by_what_cannot_be_made_anew() -> None:
    """Everything in it is deleted at once, and it takes no new object."""
    world = await accepted()
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    for kind, name in ((CONFIG_MAP, "checkout-pegbox"), (CONFIG_MAP, "app-config"), (HPA, "checkout")):
        await world.outside.delete(Ref(kind, world.namespace, name))
    server.faults.fail_next("create", CONFIG_MAP, Refused("namespace is being terminated", status=403), times=9)
    before = written(server)
    await gone(world, limit=3)
    kinds = {kind for _, kind, _ in written(server)[len(before) :]}
    assert kinds <= {"PerformanceProfile", "TuningLedger", "SharedBudget"}


async def test_an_hpa_of_ours_is_not_made_again_for_nobody() -> None:
    world = await make()
    scaler = {"create": {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}}
    knob = {"name": "max_replicas", "min": 1, "max": 8}
    await world.add(documents.profile("checkout", documents.hot(), knob, autoscaler=scaler), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3,max_replicas=4")
    await world.turn()
    await world.rest()
    await world.outside.delete(Ref(HPA, world.namespace, "checkout-pegbox"))
    await gone(world)
    assert await world.find(Ref(HPA, world.namespace, "checkout-pegbox")) is None
    assert (await world.values())["workers"] == "2"


async def test_killed_in_the_middle_it_goes_on() -> None:
    world = await accepted()
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    await world.delete()
    for _ in range(40):
        if not await world.exists():
            break
        world.restart()
        await world.turn_without_pods()
    assert await world.find(Ref(PROFILE, world.namespace, "checkout")) is None
    assert (await world.values())["workers"] == "2" and await world.bounds() == (2, 4)
