"""The invariant of a shared budget is able to fail, and excuses what nobody else can know of: no more than that."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from fractions import Fraction

import pytest

from pegbox.model.knobs import Setting
from pegbox.ports import BUDGET, HPA, Ref
from tests.chaos.invariants import Watch
from tests.chaos.planting import remembered, written
from tests.chaos.schedule import Runner, unfinished
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


@pytest.mark.parametrize(
    ("bounds", "workers", "found"),
    [
        pytest.param({"alpha": 6}, 2, [], id="6 x 2 and 3 x 2 are 18 of 18"),
        pytest.param({"alpha": 6, "beta": 4}, 2, ["budgets_hold"], id="6 x 2 and 4 x 2 are 20"),
        pytest.param({"alpha": 6}, 3, ["budgets_hold"], id="6 x 2 and 3 x 3 are 21"),
    ],
)
def test_maxima_and_values_of_profiles_that_share_a_budget_are_counted_together(
    bounds: dict[str, int], workers: int, found: list[str]
) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("dividing")
        watch = Watch(world)
        for name, most in bounds.items():
            watch.woken(name)
            operation = {"op": "replace", "path": "/spec/maxReplicas", "value": most}
            await world.server.json_patch(Ref(HPA, NAMESPACE, name), [operation])
        watch.woken("beta")
        await written(world, name="beta", workers=workers)
        return sorted({line.partition(":")[0] for line in watch.found})

    assert asyncio.run(run()) == found


@pytest.mark.parametrize(
    ("limit", "lost"),
    [
        pytest.param(14, True, id="3 x 2 fit beside 3 x 2, and the pod more that beta claims for a restart"),
        pytest.param(13, False, id="beside that pod they do not"),
    ],
)
def test_what_is_owed_is_missed_only_where_others_do_not_claim_the_room(limit: int, lost: bool) -> None:
    """alpha has one pod less than somebody stands for, and owes it."""

    async def run() -> list[str]:
        world = await RUNNER.world("dividing")
        watch = Watch(world)
        world.shop = replace(world.shop, limit=limit)
        operation = {"op": "replace", "path": "/spec/maxReplicas", "value": 2}
        await world.server.json_patch(Ref(HPA, NAMESPACE, "alpha"), [operation])
        ledger = world.ledger("alpha")
        assert ledger is not None and ledger.incumbent is not None
        here = ledger.incumbent.with_values(max_replicas=Fraction(2))
        owed = Setting({"max_replicas": Fraction(3)})
        await remembered(world, replace(ledger, incumbent=here, owed=owed), name="alpha")
        await world.others_step()
        return [line for line in unfinished(world, watch) if "owed" in line]

    assert bool(asyncio.run(run())) is lost


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
