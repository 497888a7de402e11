"""A target that is deleted and made anew: for a while pods of both run, and all of them hold their share of a budget."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.chaos.schedule import Runner, Schedule, Step, table
from tests.chaos.world import NAMESPACE, World
from tests.loop import documents

NAME = "checkout"


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Every failed write is logged on purpose."""
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


async def recreated(world: World) -> None:
    await world.alice.delete(world.apps[NAME].target)
    await world.helm.apply(documents.placed(documents.deployment(NAME), NAMESPACE))


@pytest.mark.parametrize("stuck", [False, True], ids=["a plain rollout", "a stuck one"])
def test_its_old_pods_drain_beside_the_new_ones_and_go(stuck: bool) -> None:
    """No Deployment keeps them: theirs is gone, so the garbage collector ends them."""

    async def run() -> list[tuple[int, int]]:
        world = await Runner().world("hot")
        app, seen = world.apps[NAME], []
        await recreated(world)
        await world.patch(app.target, "/spec/template/metadata/labels/version", "v2")
        app.stuck = stuck
        for _ in range(2):
            await world.others_step()
            seen.append((len(app.pods), len(app.own())))
        return seen

    assert asyncio.run(run()) == [(6, 2), (4, 4)], "the new one starts with two replicas, before its autoscaler looks"


def test_what_may_still_start_beside_them_is_counted() -> None:
    """4 old pods, and 4 new ones by the HPA's maximum, at 2 x 2 each."""

    async def run() -> tuple[int, int]:
        world = await Runner().world("hot")
        await recreated(world)
        return world.worst(), world.apps[NAME].bound()

    assert asyncio.run(run()) == (32, 8)


def test_of_a_stateful_set_none_starts_before_the_old_one_of_its_name_has_gone() -> None:
    """2 old pods at 2 each, and a set of 3: number 2 may start, and 0 and 1 not yet."""

    async def run() -> tuple[int, int]:
        world = await Runner().world("numbered")
        body = documents.placed(documents.stateful_set(NAME, 3), NAMESPACE)
        await world.alice.delete(world.apps[NAME].target)
        await world.helm.apply(body)
        return world.worst(), world.apps[NAME].bound()

    assert asyncio.run(run()) == (6, 3)


LOST = (
    Schedule(
        260000577,
        "numbered",
        (
            Step("proposal of the model", 973615740, turns=2),
            Step("verb try", 21720518, turns=2),
            Step("deleted and recreated", 674353499, turns=1),
        ),
    ),
    Schedule(
        7101161,
        "created",
        (
            Step("proposal of the model", 105573764, turns=1),
            Step("verb try", 620432824, turns=0),
            Step("deleted and recreated", 899498391, turns=0),
            Step("Prometheus: every series twice", 24809319, turns=0),
        ),
    ),
    Schedule(
        7101727,
        "hot, canaries",
        (
            Step("proposal of the model", 464033908, turns=2),
            Step("Prometheus well again", 687491353, turns=0),
            Step("deleted and recreated", 290444315, turns=1),
        ),
    ),
)
"""Before the operator counted pods of a former target, each raised a value while they drained: 24 of 20, and 28 of 18.
The first is of a StatefulSet, of which the invariant counted two pods of one name."""


@pytest.mark.parametrize("schedule", LOST, ids=[str(s.seed) for s in LOST])
def test_a_way_back_raises_nothing_while_they_drain(schedule: Schedule) -> None:
    outcome = asyncio.run(Runner().run(schedule))
    assert not outcome.violations, table(outcome)
