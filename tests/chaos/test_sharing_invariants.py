"""The invariant of a shared budget is able to fail, and excuses what nobody else can know of: no more than that."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from pegbox.ports import BUDGET, Ref
from tests.chaos.invariants import Watch
from tests.chaos.planting import written
from tests.chaos.schedule import Runner
from tests.chaos.world import NAMESPACE, World

RUNNER = Runner()


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


def test_profiles_that_share_a_budget_are_counted_together() -> None:
    """alpha 2 x 4 and beta 2 x 4 fit alone; with gamma's 2 x 2 they are 20 of 17."""

    async def run() -> list[str]:
        world = await RUNNER.world("sharing")
        watch = Watch(world)
        for name in ("alpha", "beta"):
            watch.woken(name)
            await written(world, name=name, workers=4)
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run())] == ["budgets_hold"]


async def _scaled(world: World, name: str, replicas: int) -> None:
    operation = {"op": "replace", "path": "/spec/replicas", "value": replicas}
    await world.alice.json_patch(world.apps[name].target, [operation], subresource="scale")
    world.on_others()


async def _raised_by_a_user(world: World, name: str, workers: int) -> None:
    app = world.apps[name]
    document = app.document
    assert document is not None
    document["values"]["workers"] = str(workers)
    await world.patch(app.own_ref, "/data/settings.json", json.dumps(document))
    world.on_others()


@pytest.mark.parametrize(
    ("wakes", "claims", "sleeps", "expected"),
    [
        pytest.param(False, False, False, [], id="before gamma's next wake nobody else can know of it"),
        pytest.param(True, False, True, ["budgets_hold"], id="after it everybody can"),
        pytest.param(True, False, False, [], id="one that failed before its claim told nobody"),
        pytest.param(True, True, False, ["budgets_hold"], id="one that failed after it did"),
    ],
)
def test_what_others_raise_is_excused_until_a_wake_of_their_profile_tells(
    wakes: bool, claims: bool, sleeps: bool, expected: list[str]
) -> None:
    """alpha and beta 2 x 2, gamma 2 x 4 by hand: 16 of 17; one worker more in alpha makes it 18."""

    async def run() -> list[str]:
        world = await RUNNER.world("sharing")
        watch = Watch(world)
        await _raised_by_a_user(world, "gamma", 4)
        if wakes:
            watch.woken("gamma")
        if claims:
            budget = Ref(BUDGET, NAMESPACE, "postgres")
            note = {"op": "add", "path": "/metadata/annotations", "value": {"note": "1"}}
            await world.server.json_patch(budget, [note])
        if sleeps:
            watch.told("gamma")
        watch.woken("alpha")
        await written(world, name="alpha", workers=3)
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run())] == expected


@pytest.mark.parametrize(
    ("raised", "ours", "expected"),
    [
        pytest.param(2, 5, ["budgets_hold"], id="what comes back as it was stayed claimed"),
        pytest.param(3, 4, [], id="of a value that was raised meanwhile nobody else can know"),
        pytest.param(3, 5, ["budgets_hold"], id="it excuses no more than it adds"),
    ],
)
def test_what_comes_back_from_zero_is_excused_only_where_it_is_more_than_before(
    raised: int, ours: int, expected: list[str]
) -> None:
    """alpha 2 x 5, beta and gamma 2 x 2 each are 18 of 17. Where gamma comes back with 3 workers, 2 of its 6 are excused:
    with alpha's 2 x 4 these are 18 of 19, with 2 x 5 they are 20. Its pods are not there yet, but its replicas are."""

    async def run() -> list[str]:
        world = await RUNNER.world("sharing")
        watch = Watch(world)
        await _scaled(world, "gamma", 0)
        await world.others_step()
        watch.woken("gamma")
        watch.told("gamma")
        if raised != 2:
            await _raised_by_a_user(world, "gamma", raised)
        await _scaled(world, "gamma", 2)
        watch.woken("alpha")
        await written(world, name="alpha", workers=ours)
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run())] == expected
