"""Two leaders: what a paused one still believes, and how the new one makes that harmless."""

from __future__ import annotations

import copy

import pytest

from pegbox.model.errors import WriteConflict
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, Object, Ref
from pegbox.runtime import fence, reading
from tests.loop import documents
from tests.loop.world import World, make, written

SCALER = {"create": {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}}
BOUND = {"name": "max_replicas", "min": 1, "max": 8}


async def in_mid_trial() -> World:
    """A trial of a hot knob, a key of the owner's ConfigMap and an HPA bound, written but not yet read back."""
    world = await make()
    await world.apply(documents.config_map())
    knobs = documents.hot(), documents.plain(conflictPolicy="Take"), BOUND
    await world.add(documents.profile("checkout", *knobs, autoscaler=SCALER), workers=2, backlog=2)
    await world.steady()
    await world.annotate("try", "workers=3,backlog=3,max_replicas=4")
    await world.turn()
    return world


def refs(world: World) -> dict[str, Ref]:
    return {
        "our ConfigMap": Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"),
        "their ConfigMap": Ref(CONFIG_MAP, world.namespace, "app-config"),
        "the HPA": Ref(HPA, world.namespace, "checkout-pegbox"),
    }


async def seen(world: World) -> dict[str, Object]:
    return {name: copy.deepcopy(await world.outside.get(ref)) for name, ref in refs(world).items()}


def version(body: Object) -> str:
    return str(body["metadata"]["resourceVersion"])


async def test_a_new_leader_moves_every_object_of_the_recorded_intent_before_it_writes() -> None:
    world = await in_mid_trial()
    before = await seen(world)
    world.restart()
    await world.wake()
    after = await seen(world)
    assert {name for name in before if version(before[name]) != version(after[name])} == set(before)
    for name, body in after.items():
        assert fence.FENCE not in (body["metadata"].get("annotations") or {}), name
        assert body.get("data") == before[name].get("data")


@pytest.mark.parametrize("name", ["our ConfigMap", "their ConfigMap", "the HPA"])
async def test_a_stale_leaders_late_write_then_fails(name: str) -> None:
    """It read the object, was paused for a minute, and writes with the version that it knows."""
    world = await in_mid_trial()
    stale = (await seen(world))[name]
    world.restart()
    await world.wake()
    late = {k: stale[k] for k in ("apiVersion", "kind")} | {
        "metadata": {k: stale["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")},
        "data" if "data" in stale else "spec": stale.get("data") or {"maxReplicas": 8},
    }
    with pytest.raises(WriteConflict):
        await world.pegbox.apply(late, force=True)


async def test_the_same_leader_never_fences_what_it_began() -> None:
    world = await in_mid_trial()
    begun = written(world.pegbox).count(("json_patch", "ConfigMap", ""))
    await world.rest()
    assert written(world.pegbox).count(("json_patch", "ConfigMap", "")) == begun


async def test_what_no_stage_moves_is_not_touched() -> None:
    world = await in_mid_trial()
    found = await reading.read_rest(
        world.pegbox, await reading.read_spec(world.pegbox, world.namespace, "checkout", None)
    )
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.TRIAL
    kinds = [ref.kind.kind for ref, _ in fence.named(found, intent)]
    assert kinds == ["ConfigMap", "ConfigMap", "HorizontalPodAutoscaler"]  # and not the Deployment


async def test_with_writes_forbidden_nothing_is_fenced() -> None:
    world = await in_mid_trial()
    before = await seen(world)
    world.allow_writes = False
    world.restart()
    await world.wake()
    assert await seen(world) == before


async def test_a_target_that_was_recreated_is_not_touched_by_the_fence() -> None:
    """The intent was recorded for the old one: nothing of it is written to another object of the same name."""
    world = await make()
    await world.add(documents.profile("checkout", documents.env()), workers=2, threads=2)
    await world.steady()
    await world.annotate("try", "threads=3")
    await world.wake()
    target = Ref(DEPLOYMENT, world.namespace, "checkout")
    await world.outside.delete(target)
    await world.apply(documents.deployment())
    begun = written(world.pegbox).count(("json_patch", "Deployment", ""))
    world.restart()
    await world.wake()
    assert written(world.pegbox).count(("json_patch", "Deployment", "")) == begun
