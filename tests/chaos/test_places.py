"""Each rule about what is not ours is able to fail: a byte of somebody else's, a pod of the wrong size, a fence left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from pegbox.adapters.kube.workload import RESTARTED
from pegbox.model.trials import BreakerState
from pegbox.ports import CONFIG_MAP, HPA, POD, POD_ENVIRONMENT, PROFILE, Object, Ref
from pegbox.runtime.fence import FENCE
from tests.chaos.invariants import Watch
from tests.chaos.planting import remembered
from tests.chaos.schedule import Runner, unfinished
from tests.chaos.world import NAMESPACE, World
from tests.loop import documents

NAME = "checkout"
RUNNER = Runner()
Plant = Callable[[World], Awaitable[None]]
TEMPLATE = "/spec/template/metadata/annotations"


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


def _patched(place: Callable[[World], Ref], path: str, value: Any, subresource: str = "") -> Plant:
    """The operator's own client writes this."""

    async def act(world: World) -> None:
        operation: Object = {"op": "add", "path": path, "value": value}
        await world.server.json_patch(place(world), [operation], subresource=subresource)

    return act


def _target(world: World) -> Ref:
    return world.apps[NAME].target


def _hpa(world: World) -> Ref:
    return Ref(HPA, NAMESPACE, NAME)


def _theirs(world: World) -> Ref:
    return world.apps[NAME].theirs_ref


def _pod(world: World) -> Ref:
    return Ref(POD, NAMESPACE, world.apps[NAME].pods[0].name)


async def _another_config_map(world: World) -> None:
    await world.helm.apply(documents.placed(documents.config_map("app-config"), NAMESPACE))
    await world.server.json_patch(Ref(CONFIG_MAP, NAMESPACE, "app-config"), [_add("/data/BACKLOG", "3")])


async def _made_an_hpa(world: World) -> None:
    await world.server.create(documents.placed(documents.hpa("checkout-two"), NAMESPACE))


async def _pod_deleted(world: World) -> None:
    await world.server.delete(_pod(world))


async def _pod_evicted(world: World) -> None:
    ref = _pod(world)
    body = world.server.peek(ref)
    assert body is not None
    await world.server.evict(ref, uid=body["metadata"]["uid"])


def _add(path: str, value: Any) -> Object:
    return {"op": "add", "path": path, "value": value}


CPU = "/spec/containers/0/resources/requests/cpu"
PLANTED = [
    pytest.param("hot", _patched(_hpa, "/spec/behavior", {"scaleUp": {}}), id="behaviour of an HPA"),
    pytest.param("hot", _patched(_hpa, "/metadata/labels", {"a": "b"}), id="a label of an HPA"),
    pytest.param("hot", _patched(_hpa, "/spec/minReplicas", 1), id="a bound that is no knob"),
    pytest.param("hot", _patched(_target, "/spec/paused", True), id="a field of a Deployment"),
    pytest.param("hot", _patched(_target, "/spec/replicas", 3), id="replicas that are no knob"),
    pytest.param("hot", _patched(_target, "/metadata/annotations", {"a": "b"}), id="an annotation"),
    pytest.param("hot", _patched(_target, TEMPLATE, {RESTARTED: "x"}), id="a restart that no knob needs"),
    pytest.param("numbered", _patched(_target, TEMPLATE, {"a": "b"}), id="an annotation of a template"),
    pytest.param("numbered", _patched(_target, "/status/readyReplicas", 9, "status"), id="a status"),
    pytest.param("places", _patched(_theirs, "/data/other", "1"), id="a key of a ConfigMap"),
    pytest.param("places", _patched(_theirs, "/metadata/finalizers", ["a.b/c"]), id="a finalizer"),
    pytest.param("places", _another_config_map, id="a ConfigMap that no knob names"),
    pytest.param("hot", _made_an_hpa, id="an HPA that nobody asked for"),
    pytest.param("places", _pod_deleted, id="a pod that was deleted"),
    pytest.param("hot", _pod_evicted, id="a pod that was evicted for no knob"),
    pytest.param("sized", _patched(_pod, "/metadata/labels", {"app": NAME, "a": "b"}), id="a label of a pod"),
]
OURS = [
    pytest.param("hot", _patched(_hpa, "/spec/maxReplicas", 3), id="a bound that is a knob"),
    pytest.param("hot", _patched(_hpa, "/metadata/annotations", {FENCE: "x"}), id="a fence"),
    pytest.param("numbered", _patched(_target, "/spec/replicas", 1), id="replicas that are one"),
    pytest.param("numbered", _patched(_target, TEMPLATE, {RESTARTED: "x"}), id="a restart that one needs"),
    pytest.param("numbered", _pod_evicted, id="an eviction that one needs"),
    pytest.param("sized", _patched(_pod, CPU, "3", "resize"), id="a size"),
]


def _watched(shop: str, plant: Plant) -> list[str]:
    async def run() -> list[str]:
        world = await RUNNER.world(shop)
        watch = Watch(world)
        watch.woken(NAME)
        await plant(world)
        return [line.partition(":")[0] for line in watch.found]

    return asyncio.run(run())


@pytest.mark.parametrize(("shop", "plant"), PLANTED)
def test_a_byte_of_somebody_elses_is_found_at_the_write(shop: str, plant: Plant) -> None:
    assert "only_its_places" in _watched(shop, plant)


@pytest.mark.parametrize(("shop", "plant"), OURS)
def test_a_place_of_a_knob_is_none(shop: str, plant: Plant) -> None:
    assert _watched(shop, plant) == []


def test_a_pods_size_out_of_bounds_is_found() -> None:
    assert _watched("sized", _patched(_pod, CPU, "5", "resize")) == ["bounds_hold"]


async def _further_than_a_probe(world: World) -> None:
    """A tenth of 2 cores is less than one: 3 may be probed."""
    world.wishes[NAME] = {"cpu_request": 1}
    await world.turn()
    ledger = world.ledger(NAME)
    assert ledger is not None and "Trial" in world.intent_text(NAME)
    await remembered(world, replace(ledger, breaker=replace(ledger.breaker, state=BreakerState.HALF_OPEN)))
    await _patched(_pod, CPU, "4", "resize")(world)


def test_a_resize_further_than_a_probe_is_found() -> None:
    assert _watched("sized", _further_than_a_probe) == ["steps_hold"]


async def _another_set_of_its_name(world: World) -> None:
    await world.alice.delete(_target(world))
    await world.helm.apply(world.tenant(NAME).target())
    world.on_others()
    await _patched(_target, "/spec/replicas", 3)(world)


def test_a_write_to_a_recreated_stateful_set_is_found() -> None:
    assert "target_is_the_recorded_one" in _watched("numbered", _another_set_of_its_name)


@pytest.mark.parametrize(("uid", "found"), [("", ["identity_stated"]), ("u", [])])
def test_a_deletion_of_our_variables_that_names_no_uid_is_found(uid: str, found: list[str]) -> None:
    async def run() -> list[str]:
        watch = Watch(await RUNNER.world("admitted"))
        watch.sent("delete", Ref(POD_ENVIRONMENT, NAMESPACE, NAME), uid)
        return [line.partition(":")[0] for line in watch.found]

    assert asyncio.run(run()) == found


@pytest.mark.parametrize(
    ("ledger", "said", "lost"),
    [
        ("older", True, 0),
        ("older", False, 1),
        ("lost at rest", True, 0),
        ("lost at rest", False, 1),
        ("whole", True, 1),
    ],
)
def test_a_size_that_no_ledger_knows_is_no_loss_where_its_pod_is_named(ledger: str, said: bool, lost: int) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("sized")
        watch, pod = Watch(world), _pod(world)
        await _patched(_pod, CPU, "3", "resize")(world)
        await world.others_step()
        world.lapsed |= {NAME: "the ledger is older"} if ledger == "older" else {}
        world.forgotten |= {NAME} if ledger == "lost at rest" else set()
        named = {"type": "Conflict", "status": "True", "reason": "OwnedByOther", "message": pod.name if said else ""}
        place = Ref(PROFILE, NAMESPACE, NAME)
        await _patched(lambda world: place, "/status/conditions", [named], "status")(world)
        return unfinished(world, watch)

    assert len(asyncio.run(run())) == lost


@pytest.mark.parametrize(
    ("shop", "plant", "words"),
    [
        pytest.param("sized", _patched(_pod, CPU, "3", "resize"), "has 3 cores, the incumbent 2", id="a pod of a size"),
        pytest.param("hot", _patched(_hpa, "/metadata/annotations", {FENCE: "x"}), "holds a fence", id="a fence"),
        pytest.param("places", _patched(_theirs, "/metadata/annotations", {FENCE: "x"}), "holds a fence", id="another"),
    ],
)
def test_what_is_left_at_the_end_is_found(shop: str, plant: Plant, words: str) -> None:
    async def run() -> str:
        world = await RUNNER.world(shop)
        watch = Watch(world)
        assert unfinished(world, watch) == []
        await plant(world)
        await world.others_step()
        return "".join(unfinished(world, watch))

    assert words in asyncio.run(run())
