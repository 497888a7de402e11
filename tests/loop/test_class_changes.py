"""A class that fifty profiles use is changed under them: nothing is written for it, and what follows is a few trials at a time."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pegbox.core.slots import SlotLimits
from pegbox.ports import CLASS, Ref
from pegbox.runtime.brakes import BrakeLimits
from tests.loop import documents
from tests.loop.world import World, make, written

NAMES = tuple(f"app-{number:02}" for number in range(50))
WORKLOADS = {"ConfigMap", "HorizontalPodAutoscaler", "Deployment", "StatefulSet", "Pod"}


async def fifty(**limits: Any) -> World:
    """At rest in Auto, three workers each."""
    world = await make(limits=BrakeLimits(slots=SlotLimits(**limits)) if limits else BrakeLimits())
    for name in NAMES:
        profile = documents.profile(name, documents.hot(initial=3), budgets=[])
        app = await world.add(profile, workers=3)
        app.service.load = 1.0
        await world.rest(name)
    return world


async def change(world: World, **knob: Any) -> None:
    """The knob `workers` of the class, and its description, as a new release of the class might."""
    body = copy.deepcopy(documents.CLASS)
    body["spec"]["description"] = "changed"
    body["spec"]["knobs"][0] |= knob
    await world.apply(body)


def of_workloads(world: World) -> list[tuple[str, str, str]]:
    return [each for each in written(world.pegbox) if each[1] in WORKLOADS]


async def test_no_profile_writes_anything_for_it_and_each_says_which_class_it_uses() -> None:
    """Another default, and wider limits."""
    world = await fifty()
    before = len(of_workloads(world))
    await change(world, max=128, default="8")
    generation = (await world.outside.get(Ref(CLASS, "", "service")))["metadata"]["generation"]
    for name in NAMES:
        await world.turn(name)
    assert len(of_workloads(world)) == before
    assert {(await world.status(name))["classGeneration"] for name in NAMES} == {generation}


async def test_narrowed_limits_are_walked_to_in_judged_trials_no_more_at_once_than_there_are_slots() -> None:
    """Three workers, at most two now: 50 profiles want a step at the same moment, and four may."""
    world = await fifty(trials=4)
    for name in NAMES:
        await world.edit(name, knobs=[{"name": "workers"}])  # an `initial` beyond the limits would be refused
    await change(world, max=2)
    most = 0
    for _ in range(4):
        world.clock.skip(6.0)
        for name in NAMES:
            await world.wake(name)
        under_way = [name for name in NAMES if (intent := await world.intent(name)) is not None and intent.stages]
        most = max(most, len(under_way))
    assert most == 4, await world.why(NAMES[0])
    for name in NAMES:
        assert (await world.values(name))["workers"] == ("2" if await world.intent(name) else "3")


async def test_a_class_that_makes_no_sense_any_more_moves_nobody_and_each_says_so() -> None:
    world = await fifty()
    before = len(of_workloads(world))
    await change(world, min=9, max=3)
    for name in NAMES:
        await world.turn(name)
    assert len(of_workloads(world)) == before
    assert {(await world.condition("Accepted", name))[:2] for name in NAMES} == {("False", "InvalidSpec")}
    await change(world, min=1, max=64)
    for name in NAMES:
        await world.turn(name)
    assert {(await world.condition("Accepted", name))[0] for name in NAMES} == {"True"}


async def test_a_class_that_is_edited_leaves_the_next_looks_as_far_apart_as_they_were() -> None:
    """All are looked at in the same moment, out of turn: the next turn of each stays where it was."""
    world, due, again = await fifty(), {}, {}
    for name in NAMES:
        due[name] = world.clock.monotonic() + (await world.wake(name) or 0.0)
        world.clock.skip(0.05)
    await change(world, max=128)
    for name in NAMES:
        again[name] = world.clock.monotonic() + (await world.wake(name) or 0.0)
    assert len(set(due.values())) == 50
    assert again == pytest.approx(due)
