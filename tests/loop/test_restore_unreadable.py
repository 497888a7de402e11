"""`stop --all --restore` reaches each workload, also one whose profile or class cannot be used any more."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.ports import CLASS, DEPLOYMENT, LEDGER, Ref
from tests.loop import documents, test_way_back
from tests.loop.test_finishing import (
    HAPPENINGS,
    Happens,
    beside_an_older_one,
    class_gone,
    out_too,
)
from tests.loop.test_pending import pending
from tests.loop.world import World, make, written

OWN = {"PerformanceProfile", "TuningLedger", "SharedBudget", "Lease", "Event"}
ACCEPTED = dict.fromkeys(("workers", "threads", "cache", "backlog", "max"), "3")


async def accepted(**profile: Any) -> World:
    """At rest with three of everything, accepted; two were adopted, and a maximum of four."""
    world = await test_way_back.tried(**profile)
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await world.turns(3)
    assert await test_way_back.standing(world) == ACCEPTED
    return world


@HAPPENINGS
@pytest.mark.parametrize("restarted", [False, True], ids=["same_process", "restarted"])
async def test_accepted_values_go_back_to_the_adoption_and_stay_there(
    happens: Happens, reason: str, restarted: bool
) -> None:
    world = await accepted()
    await happens(world)
    if restarted:
        world.restart()
    await world.turn()
    assert await test_way_back.standing(world) == ACCEPTED, "a class that is gone alone moves nothing"
    world.brake("restore")
    await world.turns(25)
    assert await test_way_back.standing(world) == test_way_back.BEFORE
    assert (await world.condition("Accepted"))[:2] == ("False", reason)
    assert (await world.condition("Degraded"))[1] != "RestorePending" and pending(world) == [0.0]
    assert "Restored" in world.events.reasons()
    before = len(written(world.pegbox))
    await world.turns(10)
    assert [kind for _, kind, _ in written(world.pegbox)[before:] if kind not in OWN] == []


@HAPPENINGS
async def test_a_plain_stop_moves_nothing_of_it(happens: Happens, reason: str) -> None:
    """The twin: only `restore` asks for it."""
    world = await accepted()
    await happens(world)
    world.brake("stop")
    await world.turns(10)
    assert await test_way_back.standing(world) == ACCEPTED
    assert (await world.condition("Accepted"))[:2] == ("False", reason)


@HAPPENINGS
async def test_an_opted_out_workload_stays_as_its_owner_wants_it(happens: Happens, reason: str) -> None:
    world = await accepted()
    await world.patch(
        Ref(DEPLOYMENT, world.namespace, "checkout"), "/metadata/annotations", {"pegbox.dev/opt-out": "true"}
    )
    await happens(world)
    before = len(written(world.pegbox))
    world.brake("restore")
    await world.turns(10)
    assert await test_way_back.standing(world) == ACCEPTED
    assert [kind for _, kind, _ in written(world.pegbox)[before:] if kind not in OWN] == []


async def test_once_the_class_is_back_and_the_stop_is_over_it_is_adopted_anew_and_tuned_again() -> None:
    world = await accepted()
    await class_gone(world)
    world.restart()
    world.brake("restore")
    await world.turns(25)
    world.brake(None)
    await world.outside.apply(documents.CLASS)
    ledger = await world.steady()
    assert ledger.incumbent is not None and ledger.incumbent.number("workers") == 2
    await world.annotate("try", "workers=3")
    await world.turn()
    assert (await world.rest()).trials[-1].state.value == "Accepted"


async def test_with_the_ledger_lost_who_read_the_class_before_still_restores_it() -> None:
    """The originals stand on our ConfigMap, the places in this process."""
    world = await accepted()
    await class_gone(world)
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.brake("restore")
    await world.turns(25)
    assert await test_way_back.standing(world) == test_way_back.BEFORE


async def test_what_nobody_knows_the_places_of_is_said_until_the_class_is_back() -> None:
    world = await accepted()
    await class_gone(world)
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    await world.turn()
    assert (await world.condition("Degraded"))[:2] == ("Unknown", "ClassNotFound"), "nothing was asked for yet"
    world.brake("restore")
    await world.turns(3)
    status, reason, message = await world.condition("Degraded")
    assert (status, reason) == ("True", "RestorePending") and "put them back by hand" in message
    assert pending(world) == [1.0]
    await world.outside.apply(documents.CLASS)
    await world.turns(20)
    assert await test_way_back.standing(world) == test_way_back.BEFORE
    assert (await world.condition("Degraded"))[1] != "RestorePending" and pending(world) == [0.0]


async def test_a_profile_that_never_wrote_anything_has_nothing_pending() -> None:
    world = await make()
    await world.outside.delete(Ref(CLASS, "", "service"))
    await world.add(documents.profile(), workers=2)
    world.brake("restore")
    await world.turns(3)
    assert (await world.condition("Degraded"))[:2] == ("Unknown", "ClassNotFound")
    assert pending(world) == [0.0]


async def test_a_place_that_an_older_profile_has_by_now_is_left_to_it_and_the_rest_is_restored() -> None:
    world = await beside_an_older_one()
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await world.edit("older", knobs=[documents.hot(), documents.path()])
    await out_too(world, "cache")
    await world.turn()
    assert (await world.condition("Accepted"))[:2] == ("False", "TargetClaimedByOther")
    theirs = await world.theirs()
    world.brake("restore")
    await world.turns(25)
    assert (await world.values())["workers"] == "2" and (await world.theirs("BACKLOG")).strip() == "2"
    assert await world.theirs() == theirs and "size: 3" in theirs
    assert (await world.condition("Accepted"))[:2] == ("False", "TargetClaimedByOther")


async def test_of_a_target_that_an_older_profile_has_by_now_nothing_is_written_and_that_is_said() -> None:
    world = await beside_an_older_one()
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await world.edit("older", targetRef={"kind": "Deployment", "name": "checkout"})
    await out_too(world, "workers", target="checkout")
    before = await world.document()
    world.brake("restore")
    await world.turns(5)
    assert await world.document() == before
    assert (await world.condition("Degraded"))[:2] == ("True", "RestorePending")
    assert "profile older tunes" in await world.why()
