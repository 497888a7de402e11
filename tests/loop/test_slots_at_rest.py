"""Pods that are replaced at rest take one of the cluster's slots for restarts: who waits, who does not, and until when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pegbox.adapters.kube import environment
from pegbox.adapters.telemetry import Telemetry
from pegbox.core.slots import SlotLimits
from pegbox.model.brakes import STOP_ANNOTATION
from pegbox.model.reasons import Reason
from pegbox.ports import PDB, POD, POD_ENVIRONMENT, Object, Ref
from pegbox.runtime.brakes import BrakeLimits, Brakes
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World, make, written

EVICT, ROLLOUT = ("evict", "Pod", "eviction"), ("apply", "Deployment", "")
SIZES = {"requests": {"cpu": "500m", "memory": "256Mi"}}


async def left_behind(restarts: int, *names: str, behind: tuple[str, ...] | None = None, **spec: Any) -> World:
    """Two pods of each. Their trials of 3 lanes were written, and their mode turned off before any pod had them,
    under a release that put nothing back."""
    world = await make(limits=BrakeLimits(SlotLimits(0, restarts)))
    for body in documents.policy():
        await world.outside.apply(body)
    size = {"name": "cpu_request", "conflictPolicy": "Take"}
    for name in names:
        knobs = (documents.hot(), documents.env(), documents.variable(), size)
        target = documents.sized(documents.deployment(name), **SIZES)
        await world.add(documents.profile(name, *knobs, **spec), target, workers=2, threads=2, lanes=2)
    for name in names:
        await world.steady(name)
    for name in names if behind is None else behind:
        await world.annotate("try", "lanes=3", name)
        await world.wake(name)
        await world.let_go(name)
        assert await variables(world, name) == [None, None] and await world.intent(name) is None
    return world


async def variables(world: World, name: str) -> list[str | None]:
    return [environment.stated(pod, "app").get("LANES") for pod in await world.apps[name].pods.pods()]


async def auto(world: World, *names: str) -> None:
    for name in names:
        await world.edit(name, mode="Auto")


async def replacing(world: World, *names: str) -> list[str]:
    """One wake of each; who has lost a pod by then."""
    found = []
    for name in names:
        before = written(world.pegbox).count(EVICT)
        await world.wake(name)
        found += [name] if written(world.pegbox).count(EVICT) > before else []
    return found


async def waits(world: World, name: str, limit: int = 1) -> None:
    status, reason, message = await world.condition("Progressing", name)
    assert (status, reason) == ("False", "WaitingForSlot"), message
    assert "started with other variables" in message and f"maxConcurrentRestarts is {limit}" in message
    assert await variables(world, name) == [None, None]


async def done(world: World, name: str) -> None:
    await world.turns(8, name)
    assert await variables(world, name) == ["3", "3"], await world.why(name)


def restarting(world: World) -> float | None:
    return world.telemetry.registry.get_sample_value("pegbox_in_flight", {"what": "restart"})


async def test_pods_are_replaced_in_one_profile_after_the_other_and_who_waits_says_so() -> None:
    world = await left_behind(1, "a", "b", "c")
    await auto(world, "a", "b", "c")
    assert await replacing(world, "a", "b", "c") == ["a"]
    await waits(world, "b")
    await waits(world, "c")
    assert restarting(world) == 1
    await world.turn("a")  # its second pod
    assert await replacing(world, "b", "c") == []
    await done(world, "a")
    assert await replacing(world, "c", "b") == ["c"]
    await done(world, "c")
    await done(world, "b")
    assert written(world.pegbox).count(EVICT) == 6
    assert (await world.condition("Progressing", "b"))[1] != "WaitingForSlot"
    await world.turn("b")
    assert restarting(world) == 0


@pytest.mark.parametrize(("limit", "expected"), [(2, ["a", "b"]), (0, ["a", "b", "c"])], ids=["two", "no_limit"])
async def test_as_many_as_there_are_slots_do_not_wait(limit: int, expected: list[str]) -> None:
    world = await left_behind(limit, "a", "b", "c")
    await auto(world, "a", "b", "c")
    assert await replacing(world, "a", "b", "c") == expected


async def test_looks_at_the_same_time_do_not_share_one_slot() -> None:
    world = await left_behind(1, "a", "b", "c")
    await auto(world, "a", "b", "c")
    await asyncio.gather(*(world.wake(name) for name in ("a", "b", "c")))
    assert written(world.pegbox).count(EVICT) == 1


async def test_trials_and_pins_that_restart_wait_for_it_and_hot_trials_do_not() -> None:
    world = await left_behind(1, "a", "b", "c", "d", behind=("a",))
    await auto(world, "a")
    assert await replacing(world, "a") == ["a"]
    await world.annotate("try", "threads=3", "b")
    await world.wake("b")
    assert (await world.condition("Progressing", "b"))[1] == "WaitingForSlot"
    await world.edit("c", knobs=[documents.hot(), {"name": "threads", "value": 4}, documents.variable()])
    await world.wake("c")
    assert (await world.condition("Progressing", "c"))[1] == "WaitingForSlot"
    await world.annotate("try", "workers=3", "d")
    await world.wake("d")
    assert await world.intent("d") is not None
    await done(world, "a")
    await world.turn("a")
    await world.turn("b")
    assert await world.intent("b") is not None  # what was asked for was not lost


async def test_it_waits_for_a_trial_that_restarts() -> None:
    world = await left_behind(1, "a", "b", behind=("b",))
    await world.annotate("try", "threads=3", "a")
    await world.wake("a")
    await auto(world, "b")
    assert await replacing(world, "b") == []
    await waits(world, "b")
    await world.rest("a")
    await done(world, "b")


# --- what waits for nothing


async def test_the_way_out_of_an_exceeded_budget_does_not_wait_but_counts() -> None:
    """Back to 2 lanes from 3 in two pods: 6 of 5, and 4 after it."""
    limited = [{"name": "postgres", "uses": "pods * lanes", "limit": 9}]
    world = await left_behind(1, "a", "b", "c", behind=("a", "c"), budgets=limited)
    await world.annotate("try", "lanes=3", "b")
    await world.rest("b")
    assert (await world.ledger("b")).incumbent.number("lanes") == 3  # type: ignore[union-attr]
    await world.annotate("try", "lanes=2", "b")
    await world.wake("b")
    await world.let_go("b")
    assert await variables(world, "b") == ["3", "3"]
    await auto(world, "a", "b", "c")
    assert await replacing(world, "a") == ["a"]
    assert await replacing(world, "b") == []  # 6 of 9: it is no way out of anything, and waits as others do
    await world.edit("b", budgets=[limited[0] | {"limit": 5}])
    assert await replacing(world, "b") == ["b"]
    assert restarting(world) == 2
    await done(world, "a")
    await world.turn("a")
    assert await replacing(world, "c") == []  # `b` has the slot now
    await waits(world, "c")


@pytest.mark.parametrize("how", ["a rollback", "a restore", "a stop"])
async def test_a_way_back_waits_for_no_pod_that_is_replaced_at_rest(how: str) -> None:
    world = await left_behind(1, "a", "b", behind=("a",))
    await world.annotate("try", "threads=3", "b")
    if how != "a rollback":
        await world.rest("b")
        assert (await world.ledger("b")).incumbent.number("threads") == 3  # type: ignore[union-attr]
    await world.wake("b")
    world.brakes.release("shop/b")  # as if it had begun before
    await auto(world, "a")
    assert await replacing(world, "a") == ["a"]
    match how:
        case "a rollback":
            await world.annotate("rollback", name="b")
        case "a restore":
            await world.delete("b")
        case _:
            world.brake("restore")
    for _ in range(12):
        if await world.exists("b"):
            await world.turn("b")
    if how != "a restore":
        assert (await world.own("b"))["data"]["THREADS"] == "2", await world.why("b")
    else:
        assert not await world.exists("b")


async def test_sizes_are_brought_to_pods_that_wait_and_take_no_slot_themselves() -> None:
    world = await left_behind(1, "a", "b", "c", behind=("a",))
    for name in ("b", "c"):
        await world.annotate("try", "cpu_request=750m,workers=3", name)
        await world.rest(name)
    await world.annotate("try", "lanes=3", "b")
    await world.wake("b")
    await world.let_go("b")
    await auto(world, "a", "b")
    assert await replacing(world, "a") == ["a"]
    for name in ("b", "c"):
        pod = (await world.apps[name].pods.pods())[0]
        ref = Ref(POD, world.namespace, pod["metadata"]["name"])
        await world.outside.delete(ref)
        await world.pods_step(world.apps[name])
        await world.turns(2, name)
        sizes = [p["spec"]["containers"][0]["resources"]["requests"]["cpu"] for p in await world.apps[name].pods.pods()]
        assert sizes == ["750m", "750m"], name
    assert written(world.pegbox).count(EVICT) == 1 and restarting(world) == 1
    assert (await world.condition("Progressing", "b"))[1] == "WaitingForSlot"


async def test_an_object_that_is_written_again_takes_no_slot_and_waits_for_none() -> None:
    world = await left_behind(1, "a", "b", behind=("a",))
    await world.annotate("try", "lanes=3", "b")
    await world.rest("b")
    await auto(world, "a")
    assert await replacing(world, "a") == ["a"]
    ref = Ref(POD_ENVIRONMENT, world.namespace, "b")
    assert await world.find(ref) is not None
    await world.outside.delete(ref)
    await world.turns(2, "b")
    assert await world.find(ref) is not None and restarting(world) == 1


# --- until when


@pytest.mark.parametrize("how", ["its mode is turned off", "a freeze", "it is deleted"])
async def test_who_is_not_to_go_on_any_more_gives_the_slot_up(how: str) -> None:
    world = await left_behind(1, "a", "b", deletionPolicy="Keep")
    await auto(world, "a", "b")
    assert await replacing(world, "a", "b") == ["a"]
    await world.pods_step(world.apps["a"])
    match how:
        case "its mode is turned off":
            await world.edit("a", mode="Recommend")
        case "a freeze":
            await world.edit("a", freezes=[documents.ALWAYS])
        case _:
            await world.delete("a")
    await world.turns(2, "a")
    assert await replacing(world, "b") == ["b"]


@pytest.mark.parametrize("last", [False, True], ids=["the_first_ones", "the_last_ones"])
async def test_the_pod_that_takes_anothers_place_is_waited_for(last: bool) -> None:
    """And not for ever: `a` is looked at all the time, and its new pod never comes."""
    world = await left_behind(1, "a", "b")
    await auto(world, "a", "b")
    if last:
        await world.wake("a")
        await world.pods_step(world.apps["a"])
    assert await replacing(world, "a") == ["a"]
    for _ in range(29):
        await world.clock.advance(30)
        assert await replacing(world, "a", "b") == []
    await world.clock.advance(31)
    assert await replacing(world, "a", "b") == ["b"]


async def test_whose_evictions_are_forbidden_takes_the_slot_from_nobody() -> None:
    world = await left_behind(1, "a", "b")
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    body: Object = documents.pdb("a")
    await world.apply(body)
    status: dict[str, Any] = {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 2}
    full = body | {"status": status | {"desiredHealthy": 2, "expectedPods": 2}}
    await server.as_manager("kube-controller-manager").apply(full, force=True, subresource="status")
    assert await world.find(Ref(PDB, world.namespace, "a")) is not None
    await auto(world, "a", "b")
    assert await replacing(world, "a") == []
    assert (await world.condition("Progressing", "a"))[1] == "EvictionForbidden"
    assert await replacing(world, "b") == ["b"]


async def test_a_restart_of_the_operator_begins_none_before_it_knows_what_is_under_way() -> None:
    world = await left_behind(1, "a", "b", behind=("b",))
    await world.annotate("try", "threads=3", "a")
    await world.wake("a")
    world.restart()
    world.brakes.recalled = False
    await auto(world, "b")
    assert await replacing(world, "b") == []
    assert "still being read" in (await world.condition("Progressing", "b"))[2]
    await world.recall()
    assert await replacing(world, "b") == []
    await waits(world, "b")
    await world.rest("a")
    await done(world, "b")


async def test_what_was_replaced_before_a_restart_of_the_operator_takes_its_slot_anew() -> None:
    world = await left_behind(1, "a", "b")
    await auto(world, "a", "b")
    assert await replacing(world, "a") == ["a"]
    await world.pods_step(world.apps["a"])
    world.restart()
    await world.recall()
    assert await replacing(world, "a", "b") == ["a"]
    await waits(world, "b")
    await done(world, "a")
    await done(world, "b")


async def test_a_stop_replaces_none_and_holds_no_slot() -> None:
    world = await left_behind(1, "a", "b")
    await auto(world, "a", "b")
    assert await replacing(world, "a") == ["a"]
    await world.pods_step(world.apps["a"])
    world.brake("stop")
    assert await replacing(world, "a", "b") == []
    assert restarting(world) == 0
    world.brake(None)
    assert await replacing(world, "b", "a") == ["b"]


def test_a_stop_that_comes_between_a_look_and_its_write_replaces_none() -> None:
    brakes = Brakes(FakeClock(auto=False), Telemetry(), BrakeLimits(SlotLimits(0, 1)))
    brakes.notice({STOP_ANNOTATION: "stop"}, leading=True)
    refused = brakes.replaces("shop/a", waits=True)
    assert refused is not None and refused.reason is Reason.STOPPED
    brakes.notice({}, leading=True)
    assert brakes.replaces("shop/a", waits=True) is None


async def test_who_may_write_nothing_holds_no_slot() -> None:
    world = await left_behind(1, "a")
    await auto(world, "a")
    world.reconciler.allow_writes = False
    assert await replacing(world, "a") == [] and restarting(world) == 0
    world.reconciler.allow_writes = True
    assert await replacing(world, "a") == ["a"]


async def test_a_trial_that_begins_right_after_the_last_pod_holds_no_restart() -> None:
    world = await left_behind(1, "a", "b")
    await auto(world, "a", "b")
    await world.turn("a")
    assert await replacing(world, "a") == ["a"]
    await world.pods_step(world.apps["a"])
    await world.edit("a", knobs=[{"name": "workers", "value": 4}, documents.env(), documents.variable()])
    await world.wake("a")
    assert await world.intent("a") is not None  # a pin: no look at rest came in between
    assert await replacing(world, "b") == ["b"]
