"""One bound of an HPA is a knob, the other is its owner's alone: a way back ends as far as the server takes it."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.model.errors import NotAvailable
from pegbox.model.reasons import Reason
from pegbox.ports import DEPLOYMENT, HPA, Object, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World, make


def without(name: str) -> dict[str, Any]:
    """The class without one knob."""
    knobs = [knob for knob in documents.CLASS["spec"]["knobs"] if knob["name"] != name]
    return {"service": documents.CLASS | {"spec": documents.CLASS["spec"] | {"knobs": knobs}}}


MOST = "max_replicas", "min_replicas", "max_replicas=6,workers=3", "/spec/minReplicas", 5  # of 2 to 4
LEAST = "min_replicas", "max_replicas", "min_replicas=1,workers=3", "/spec/maxReplicas", 1
SCALERS = {"created": {"create": {"minReplicas": 2, "maxReplicas": 4}}, "of its owner": {"ref": {"name": "checkout"}}}


async def across(scaler: str, side: tuple[str, str, str, str, int], how: str) -> tuple[World, Ref]:
    """Of an HPA's bounds one is a knob. A trial moves it, and somebody the other one, to where the way back would cross it."""
    knob, other, tried, path, moved = side
    world = await make(without(other))
    await world.apply(*([] if scaler == "created" else [documents.hpa(low=2, high=4)]))
    bound = {"name": knob, "min": 1, "max": 8} | ({} if scaler == "created" else {"conflictPolicy": "Take"})
    profile = documents.profile("checkout", documents.hot(), bound, autoscaler=SCALERS[scaler])
    await world.add(profile, workers=2)
    await world.steady()
    await world.annotate("try", tried)
    await world.turn()
    if how != "a trial is stopped":
        await world.rest()
    if how == "while it is put back":
        world.brake("restore")
        server = world.pegbox
        assert isinstance(server, FakeCluster)
        server.faults.fail_next("apply", HPA, NotAvailable("timeout"))
        await world.wake()
    theirs = Ref(HPA, world.namespace, "checkout-pegbox" if scaler == "created" else "checkout")
    await world.patch(theirs, path, moved)
    return world, theirs


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("side", [MOST, LEAST], ids=["the maximum", "the minimum"])
@pytest.mark.parametrize("how", ["a trial is stopped", "all is restored", "while it is put back"])
async def test_a_bound_beside_one_that_is_no_knob_goes_back_as_far_as_that_lets_it_and_the_rest_is_owed(
    scaler: str, side: tuple[str, str, str, str, int], how: str
) -> None:
    world, theirs = await across(scaler, side, how)
    world.brake("stop" if how == "a trial is stopped" else "restore")
    await world.turns(10)
    await world.rest()
    assert (await world.bounds(theirs.name), await world.values()) == ((side[4], side[4]), {"workers": "2"})
    world.brake(None)
    await world.turns(2)
    await world.patch(theirs, side[3], 3)
    await world.turns(30)
    assert await world.bounds(theirs.name) == ((3, 4) if side is MOST else (2, 3))


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("side", [MOST, LEAST], ids=["the maximum", "the minimum"])
async def test_nor_does_it_hold_up_a_deletion_and_that_is_said(
    scaler: str, side: tuple[str, str, str, str, int]
) -> None:
    world, theirs = await across(scaler, side, "a deletion")
    await world.delete()
    await world.turns(6)
    assert not await world.exists()
    assert (await world.bounds(theirs.name), await world.values()) == ((side[4], side[4]), {"workers": "2"})
    words = "minReplicas 5 is above max_replicas 4" if side is MOST else "min_replicas 2 is above maxReplicas 1"
    assert any(words in event.message for _, event in world.events.emitted if event.reason is Reason.RESTORED)


@pytest.mark.parametrize(
    "uses", [[], [{"name": "db", "uses": "pods * workers", "limit": 12}]], ids=["without a budget", "with a budget"]
)
async def test_an_hpa_that_is_deleted_in_mid_trial_holds_up_no_way_back(uses: list[Object]) -> None:
    """Six pods of the trial stay, as nobody scales them down to the three of the parent. With six of them there is no room
    for what it raises: that waits until somebody scales."""
    world = await make()
    await world.apply(documents.hpa(high=3))
    bound = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
    knobs = documents.hot(initial=4), bound
    profile = documents.profile("checkout", *knobs, autoscaler=SCALERS["of its owner"], budgets=uses)
    await world.add(profile, workers=4)
    await world.steady()
    await world.annotate("try", "max_replicas=6,workers=2")
    await world.until(lambda: stands(world, (2, 6)))
    await world.outside.delete(Ref(HPA, world.namespace, "checkout"))
    world.brake("stop")
    await world.turns(60)
    if uses:
        assert (await world.values(), (await world.condition("Progressing"))[1]) == ({"workers": "2"}, "BudgetExceeded")
        replicas = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
        await world.outside.json_patch(Ref(DEPLOYMENT, world.namespace, "checkout"), replicas, subresource="scale")
        await world.turns(20)
    assert (await world.intent(), await world.values()) == (None, {"workers": "4"})


async def stands(world: World, bounds: tuple[int, int]) -> bool:
    return await world.bounds() == bounds
