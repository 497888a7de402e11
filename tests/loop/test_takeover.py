"""An older profile turns to Auto at a target that a younger one tunes: nobody fights, and the owner's value comes back.

The owner's value is 2 everywhere; 3 does more and is accepted, 4 does harm.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pegbox.ports import PROFILE, Object, Ref
from tests.loop import documents
from tests.loop.test_claimed_places import TAKE
from tests.loop.test_finishing import beside_an_older_one, out_too
from tests.loop.world import World, make

KNOBS = documents.hot(), documents.path(**TAKE)


async def young_in_auto(wish: str = "", **elder: Any) -> World:
    """The younger one at rest, or just begun to try what is wished for."""
    world = await make()
    await world.apply(documents.config_map())
    settings = {"mode": "Recommend"} | elder
    await world.add(documents.profile("elder", *KNOBS, target="checkout", **settings), workers=2, cache=2)
    await world.turn("elder")
    world.clock.skip(5)
    await world.add(documents.profile("young", *KNOBS, target="checkout"), workers=2, cache=2)
    await world.steady("young")
    if wish:
        await world.annotate("try", wish, "young")
        await world.turns(1, "young")
    return world


async def accepted() -> World:
    world = await young_in_auto("workers=3,cache=3")
    assert (await world.rest("young")).trials[-1].state.value == "Accepted"
    return world


async def both(world: World, count: int = 12) -> None:
    for _ in range(count):
        for name in ("elder", "young"):
            if await world.exists(name):
                await world.turn(name)
            else:
                world.apps.pop(name, None)


async def stands(world: World) -> tuple[str, bool]:
    """workers, and does the ConfigMap hold the owner's?"""
    return (await world.values("checkout"))["workers"], "size: 2" in await world.theirs()


def writes(world: World, since: int) -> int:
    return sum(w.kind == "ConfigMap" and w.manager == "pegbox" for w in world.pegbox.writes[since:])


async def says(world: World, name: str, other: str) -> bool:
    status, reason, message = await world.condition("Accepted", name)
    return (status, reason) == ("False", "TargetClaimedByOther") and f"profile {other} tunes" in message


async def adopted(world: World, name: str) -> dict[str, Any]:
    ledger = await world.ledger(name)
    assert ledger is not None and ledger.adopted is not None and ledger.intent is None
    return {n: int(str(ledger.adopted[n])) for n in ledger.adopted}


async def test_a_trial_under_way_is_judged_first_and_its_harm_becomes_nobodys_original() -> None:
    world = await young_in_auto("workers=4")
    await world.edit("elder", mode="Auto")
    await world.turn("elder")
    assert await says(world, "elder", "young")
    await both(world)
    tried = await world.ledger("young")
    assert tried is not None and tried.trials[-1].state.value == "Reverted"
    assert await stands(world) == ("2", True)
    assert await adopted(world, "elder") == {"workers": 2, "cache": 2}
    assert await says(world, "young", "elder")


async def test_what_was_accepted_is_not_taken_over_and_goes_back_when_its_profile_is_deleted() -> None:
    world = await accepted()
    await world.edit("elder", mode="Auto")
    await both(world)
    assert await says(world, "elder", "young") and await stands(world) == ("3", False)
    since = len(world.pegbox.writes)
    await world.delete("young")
    await both(world, 60)
    assert not await world.exists("young") and await stands(world) == ("2", True)
    assert await adopted(world, "elder") == {"workers": 2, "cache": 2}
    # Document and path go back, the path is its owner's again, and the elder writes its own document.
    assert writes(world, since) == 4
    await world.annotate("try", "workers=3", "elder")
    assert (await world.rest("elder")).trials[-1].state.value == "Accepted"


async def test_a_stop_with_restore_puts_the_owners_values_back() -> None:
    world = await accepted()
    await world.edit("elder", mode="Auto")
    await both(world, 3)
    world.brake("restore")
    await both(world, 30)
    assert await stands(world) == ("2", True)


async def test_a_younger_one_with_nothing_out_gives_way_at_once_and_its_deletion_writes_nothing() -> None:
    world = await young_in_auto()
    await world.edit("elder", mode="Auto")
    await both(world)
    assert await says(world, "young", "elder") and await adopted(world, "elder") == {"workers": 2, "cache": 2}
    await world.annotate("try", "workers=3,cache=3", "elder")
    world.apps.pop("young")  # one target: its pods speak of the elder alone
    await world.rest("elder")
    since = len(world.pegbox.writes)
    await world.delete("young")
    for _ in range(3):
        await world.wake("young")
    assert not await world.exists("young") and writes(world, since) == 0
    assert await stands(world) == ("3", False)
    assert any("nothing is restored" in event.message for _, event in world.events.emitted)


async def test_an_elder_that_went_back_to_recommend_with_nothing_out_holds_up_nobody() -> None:
    world = await young_in_auto()
    await world.edit("elder", mode="Auto")
    await both(world)
    await world.edit("elder", mode="Recommend")
    await both(world)
    assert (await world.condition("Accepted", "young"))[0] == "True"
    since, before = len(world.pegbox.writes), await world.document("checkout")
    await world.delete("elder")  # the younger one writes the document by now
    await both(world, 4)
    assert not await world.exists("elder") and writes(world, since) == 0
    assert await world.document("checkout") == before


# --- both have values out, as a race may leave them


async def test_where_both_have_values_out_the_younger_ones_deletion_ends_and_leaves_the_target() -> None:
    world = await beside_an_older_one()
    await world.rest()
    await world.edit("older", targetRef={"kind": "Deployment", "name": "checkout"})
    await out_too(world, "workers", target="checkout")
    since, before = len(world.pegbox.writes), await world.document()
    await world.delete()
    await world.wake()
    assert not await world.exists() and writes(world, since) == 0 and await world.document() == before
    said = [event.message for _, event in world.events.emitted if event.reason.value == "TargetClaimedByOther"]
    assert "profile older tunes" in said[0] and "nothing is restored" in said[1]


async def test_of_one_place_it_leaves_that_one_and_restores_the_rest() -> None:
    world = await beside_an_older_one()
    await world.rest()
    await world.edit("older", knobs=[documents.hot(), documents.path()])
    await out_too(world, "cache")
    await world.delete()
    for _ in range(20):
        if await world.exists():
            await world.turn()
    assert not await world.exists()
    assert (await world.values())["workers"] == "2" and (await world.theirs("BACKLOG")).strip() == "2"
    assert "size: 3" in await world.theirs()


# --- an elder that never will write


async def deleted(world: World) -> None:
    await world.delete("elder")
    await world.wake("elder")


async def senseless(world: World) -> None:
    class_: Object = copy.deepcopy(documents.CLASS)
    class_["metadata"]["name"] = "odd"
    class_["spec"]["knobs"] = ["x"]
    await world.outside.apply(class_)
    await world.edit("elder", classRef={"name": "odd"})


@pytest.mark.parametrize("happens", [deleted, senseless])
async def test_an_older_profile_that_never_will_write_holds_up_nobody(
    happens: Callable[[World], Awaitable[None]],
) -> None:
    world = await make()
    elder = documents.profile("elder", documents.hot(), target="checkout")
    elder["metadata"]["finalizers"] = ["example.com/audit"]
    await world.apply(documents.deployment("checkout"), elder)
    await happens(world)
    assert await world.find(Ref(PROFILE, world.namespace, "elder")) is not None
    world.clock.skip(5)
    await world.add(documents.profile("young", documents.hot(), target="checkout"), workers=2)
    await world.turns(3, "young")
    assert (await world.condition("Accepted", "young"))[0] == "True"
