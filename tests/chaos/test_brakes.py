"""Each rule of stops, opt-outs and freezes is able to fail, and finds nothing where the operator may write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from pegbox.adapters.kube.workload import RESTARTED
from pegbox.ports import POD, PROFILE, Object, Ref
from tests.chaos.invariants import IN_PLACE, Watch
from tests.chaos.planting import written
from tests.chaos.schedule import Runner, unfinished
from tests.chaos.users import opted
from tests.chaos.world import NAMESPACE, World

NAME = "checkout"
RUNNER = Runner()
Act = Callable[[World], Awaitable[None]]


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


async def _stopped(world: World) -> None:
    world.brake("stop")


async def _opted_out(world: World) -> None:
    await opted(world, NAME, "true")


async def _free(world: World) -> None:
    """No brake."""


async def _moved(world: World) -> None:
    document = world.apps[NAME].document
    assert document is not None
    await written(world, workers=3 - int(document["values"]["workers"]))  # 1 and 2


async def _noted(world: World) -> None:
    """Our own document under another number: no value of it moves."""
    await written(world)


async def _rolled(world: World) -> None:
    path = "/spec/template/metadata/annotations"
    await world.server.json_patch(
        world.apps[NAME].target, [{"op": "add", "path": path, "value": {RESTARTED: "planted"}}]
    )


async def _evicted(world: World) -> None:
    ref = Ref(POD, NAMESPACE, world.apps[NAME].pods[0].name)
    body = world.server.peek(ref)
    assert body is not None
    await world.server.evict(ref, uid=body["metadata"]["uid"])


def _found(shop: str, first: Act, brake: Act, plant: Act) -> list[str]:
    async def run() -> list[str]:
        world = await RUNNER.world(shop)
        watch = Watch(world)
        world.on_wake = watch.woken
        await first(world)
        await brake(world)
        watch.others()
        watch.woken(NAME)
        await plant(world)
        return [line.partition(":")[0] for line in watch.found]

    return asyncio.run(run())


async def _at_rest(world: World) -> None:
    """Nothing is under way."""


async def _in_a_trial(world: World) -> None:
    world.wishes[NAME] = {"workers": -1}
    await world.turn()
    assert "Trial" in world.intent_text(NAME)


async def _asked_for(world: World) -> None:
    await world.ask(NAME, "try", "workers=1")
    await world.turn()
    assert "Trial" in world.intent_text(NAME)


async def _on_the_way_back(world: World) -> None:
    await _in_a_trial(world)
    await world.ask(NAME, "rollback")
    await world.wake(NAME)
    assert "Rollback" in world.intent_text(NAME)


BRAKED = ["still_under_a_brake"]


@pytest.mark.parametrize(
    ("first", "brake", "plant", "found"),
    [
        pytest.param(_in_a_trial, _stopped, _moved, BRAKED, id="a trial writes a value in a stop"),
        pytest.param(_in_a_trial, _stopped, _noted, BRAKED, id="a trial writes anything in a stop"),
        pytest.param(_in_a_trial, _stopped, _evicted, BRAKED, id="a trial restarts a pod in a stop"),
        pytest.param(_in_a_trial, _opted_out, _moved, BRAKED, id="a trial goes on though its workload opted out"),
        pytest.param(_at_rest, _stopped, _moved, BRAKED, id="a value moves in a stop"),
        pytest.param(_at_rest, _opted_out, _noted, BRAKED, id="something is written though its workload opted out"),
        pytest.param(_at_rest, _stopped, _noted, [], id="what is ours is written anew in a stop"),
        pytest.param(_on_the_way_back, _stopped, _moved, [], id="a way back goes on in a stop"),
        pytest.param(_on_the_way_back, _opted_out, _moved, [], id="and where the workload opted out"),
        pytest.param(_in_a_trial, _free, _moved, [], id="a trial without a brake"),
    ],
)
def test_what_a_brake_forbids_is_found(first: Act, brake: Act, plant: Act, found: list[str]) -> None:
    assert _found("numbered", first, brake, plant) == found


def _freeze(allow: str = "None", ended: bool = False) -> Act:
    async def act(world: World) -> None:
        now = world.own_clock.now() - timedelta(seconds=120 if ended else 0)
        dates = {"from": now.isoformat(), "until": (now + timedelta(seconds=60)).isoformat()}
        await world.edit_spec(NAME, freezes=[{"name": "now", "allow": allow, **dates}])

    return act


@pytest.mark.parametrize(
    ("first", "freeze", "plant", "found"),
    [
        pytest.param(_in_a_trial, _freeze(), _moved, ["nothing_new_in_a_freeze"], id="a trial writes in a freeze"),
        pytest.param(_in_a_trial, _freeze(), _evicted, ["nothing_new_in_a_freeze"], id="a trial evicts in a freeze"),
        pytest.param(_in_a_trial, _freeze(), _rolled, ["nothing_new_in_a_freeze"], id="a trial rolls out in a freeze"),
        pytest.param(_in_a_trial, _freeze(), _noted, [], id="a trial that neither writes a value nor restarts a pod"),
        pytest.param(_asked_for, _freeze(), _evicted, [], id="a restart that was asked for"),
        pytest.param(_on_the_way_back, _freeze(), _rolled, [], id="a restart of a way back"),
        pytest.param(_in_a_trial, _freeze("Urgent"), _moved, [], id="one that lets what is urgent through"),
        pytest.param(_in_a_trial, _freeze(ended=True), _moved, [], id="one that is over"),
        pytest.param(_asked_for, _freeze(), _moved, [], id="a trial that was asked for"),
        pytest.param(_on_the_way_back, _freeze(), _moved, [], id="a way back"),
    ],
)
def test_what_a_freeze_forbids_is_found(first: Act, freeze: Act, plant: Act, found: list[str]) -> None:
    assert _found("numbered", first, freeze, plant) == found


def _lies(lie: str, ago: float = 0.0) -> Act:
    async def act(world: World) -> None:
        world.metrics.lie, world.metrics.since = lie, world.own_clock.now() - timedelta(seconds=ago)

    return act


UNSEEN = ["nothing_new_unseen"]


@pytest.mark.parametrize(
    ("first", "lie", "plant", "found"),
    [
        pytest.param(_in_a_trial, _lies("empty"), _moved, UNSEEN, id="a trial writes on empty answers"),
        pytest.param(_in_a_trial, _lies("nan"), _evicted, UNSEEN, id="a trial evicts on NaN"),
        pytest.param(_in_a_trial, _lies("partial"), _rolled, UNSEEN, id="a trial rolls out on partial answers"),
        pytest.param(_in_a_trial, _lies("stale", 31), _moved, UNSEEN, id="a trial writes on stale answers"),
        pytest.param(_in_a_trial, _lies("stale", 30), _moved, [], id="which are young enough"),
        pytest.param(_in_a_trial, _lies("empty"), _noted, [], id="a trial that neither writes a value nor restarts"),
        pytest.param(_in_a_trial, _lies("scrape gaps"), _moved, [], id="a lie that tells some of it"),
        pytest.param(_in_a_trial, _lies(""), _moved, [], id="the truth"),
        pytest.param(_asked_for, _lies("empty"), _moved, UNSEEN, id="one that was asked for does, too"),
        pytest.param(_on_the_way_back, _lies("empty"), _moved, [], id="a way back"),
    ],
)
def test_what_is_written_while_nothing_is_known_is_found(first: Act, lie: Act, plant: Act, found: list[str]) -> None:
    assert _found("numbered", first, lie, plant) == found


async def _said(world: World) -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "Stopped", "message": IN_PLACE}
    operation: Object = {"op": "add", "path": "/status/conditions", "value": [condition]}
    await world.server.json_patch(Ref(PROFILE, NAMESPACE, NAME), [operation], subresource="status")


@pytest.mark.parametrize(("workers", "found"), [(1, ["adoption_is_in_place"]), (2, [])])
def test_a_restore_that_is_said_to_be_done_and_is_not_is_found(workers: int, found: list[str]) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        watch.woken(NAME)
        await written(world, workers=workers)
        await _said(world)
        watch.told(NAME)
        return [line.partition(":")[0] for line in watch.found]

    assert asyncio.run(run()) == found


@pytest.mark.parametrize(
    ("resized", "found"),
    [
        pytest.param(True, ["adoption_is_in_place"], id="a size that neither template has"),
        pytest.param(False, [], id="the template's of before, while that of its owner rolls out"),
    ],
)
def test_a_pods_size_after_a_restore_is_held_against_the_template_that_it_was_made_of(
    resized: bool, found: list[str]
) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("sized")
        watch = Watch(world)
        watch.woken(NAME)
        app = world.apps[NAME]
        await world.patch(app.target, "/spec/template/spec/containers/0/resources", {"requests": {"cpu": "1"}})
        await world.others_step()
        if resized:
            cpu = {"op": "replace", "path": "/spec/containers/0/resources/requests/cpu", "value": "3"}
            await world.server.json_patch(Ref(POD, NAMESPACE, app.own()[0].name), [cpu], subresource="resize")
        await _said(world)
        watch.told(NAME)
        assert {*world.sizes(NAME).values()} == ({1, 2, 3} if resized else {1, 2})
        return [line.partition(":")[0] for line in watch.found]

    assert asyncio.run(run()) == found


@pytest.mark.parametrize(("policy", "lost"), [("Restore", ["workers=1 is left of a deleted profile"]), ("Keep", [])])
def test_an_accepted_value_that_a_deletion_leaves_is_found(policy: str, lost: list[str]) -> None:
    """Somebody stands for it, but nobody had it at the adoption."""

    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        await world.edit_spec(NAME, deletionPolicy=policy)
        watch.woken(NAME)
        await written(world, workers=1)
        watch.good[NAME] |= {("workers", 1)}
        ref = Ref(PROFILE, NAMESPACE, NAME)
        await world.alice.json_patch(ref, [{"op": "replace", "path": "/metadata/finalizers", "value": []}])
        await world.alice.delete(ref)
        return [line.partition(f"{NAME}: ")[2] for line in unfinished(world, watch)]

    assert asyncio.run(run()) == lost
