"""What is under way when class or profile can no longer be used: finished by who read them, put back by who did not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from pegbox.api import ledger_codec
from pegbox.model.trials import IntentKind
from pegbox.ports import CLASS, CONFIG_MAP, DEPLOYMENT, PROFILE, Ref
from pegbox.runtime.places import FINALIZER
from tests.loop import documents
from tests.loop.world import World, make

UNDER_WAY = {  # what a trial is doing when it happens: turns after the `try`
    "written": 1,
    "in_force": 2,
}


async def tried(turns: int, **profile: Any) -> World:
    """workers 2 -> 3 under way; one more makes more, so it is accepted where nothing comes between."""
    world = await make()
    await world.add(documents.profile(**profile), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turns(turns)
    assert await world.intent() is not None
    return world


async def class_gone(world: World) -> None:
    await world.outside.delete(Ref(CLASS, "", "service"))


async def class_unusable(world: World) -> None:
    body = await world.outside.get(Ref(CLASS, "", "service"))
    knobs = [{**k, "min": 9, "max": 1} if k["name"] == "workers" else k for k in body["spec"]["knobs"]]
    await world.patch(Ref(CLASS, "", "service"), "/spec/knobs", knobs)


async def profile_unusable(world: World) -> None:
    await world.edit(slos=[{"name": "x", "signal": "nosuch", "goal": "90%"}])


Happens = Callable[[World], Awaitable[None]]
HAPPENINGS = pytest.mark.parametrize(
    ("happens", "reason"),
    [
        pytest.param(class_gone, "ClassNotFound", id="the_class_is_deleted"),
        pytest.param(class_unusable, "InvalidSpec", id="the_class_is_edited_into_nonsense"),
        pytest.param(profile_unusable, "InvalidSpec", id="the_profile_is_edited_into_nonsense"),
    ],
)


@HAPPENINGS
@pytest.mark.parametrize("turns", UNDER_WAY.values(), ids=UNDER_WAY.keys())
async def test_a_trial_is_finished_with_what_was_read_before(turns: int, happens: Any, reason: str) -> None:
    world = await tried(turns)
    await happens(world)
    await world.wake()
    status, why, message = await world.condition("Accepted")
    assert (status, why) == ("False", reason) and "is finished with what was read before" in message
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Accepted"]
    assert await world.values() == {"workers": "3"}
    await world.turns(3)
    assert (await world.condition("Accepted"))[:2] == ("False", reason)
    assert await world.ledger() == ledger, "at rest nothing moves"


@HAPPENINGS
async def test_nothing_new_is_written_by_what_was_read_before(happens: Any, reason: str) -> None:
    """One knob of a budget down and one up are two stages. A freeze that was edited beside it is not known: no second one."""
    world = await make()
    budget = {"name": "db", "uses": "pods * workers * pool", "limit": 40}
    knobs = documents.hot(), documents.hot("pool")
    await world.add(documents.profile("checkout", *knobs, budgets=[budget]), workers=2, pool=2)
    await world.steady()
    await world.annotate("try", "workers=3,pool=1")
    await world.turn()
    intent = await world.intent()
    assert intent is not None and (intent.stage, len(intent.stages)) == (0, 2)
    await happens(world)
    ledger = await world.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", reason)]
    assert await world.values() == {"workers": "2", "pool": "2"}
    assert ledger.breaker.failures == 0


@HAPPENINGS
async def test_a_harmful_trial_is_put_back_all_the_same(happens: Any, reason: str) -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=4")  # thrashes
    await world.turns(2)
    await happens(world)
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Reverted"]
    assert await world.values() == {"workers": "2"}


@HAPPENINGS
async def test_after_a_restart_it_goes_back_and_is_said_and_tried_again_once_it_can_be_read(
    happens: Any, reason: str
) -> None:
    """The new process knows the places from the ledger, and nothing to judge by."""
    world = await tried(1)
    slos = (await world.profile())["spec"]["slos"]
    await happens(world)
    world.restart()
    ledger = await world.rest()
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", reason)
    assert await world.values() == {"workers": "2"}
    assert (await world.condition("Accepted"))[:2] == ("False", reason)
    await world.outside.apply(documents.CLASS, force=True)
    await world.edit(slos=slos)
    await world.annotate("try", "workers=3")

    async def tried_again() -> bool:
        ledger = await world.ledger()
        return ledger is not None and [t.state.value for t in ledger.trials] == ["Inconclusive", "Accepted"]

    await world.until(tried_again)


@HAPPENINGS
async def test_a_mode_turned_away_is_obeyed_even_then(happens: Any, reason: str) -> None:
    """The trial does harm: in Auto it would be put back."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=4")  # thrashes
    await world.turn()
    await happens(world)
    await world.edit(mode="Recommend")
    document = await world.document()
    await world.turns(3)
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK
    assert await world.document() == document


@HAPPENINGS
@pytest.mark.parametrize(("policy", "workers"), [("Restore", "2"), ("Keep", "2")])
async def test_a_deletion_in_mid_trial_still_leaves_no_trial_behind(
    happens: Any, reason: str, policy: str, workers: str
) -> None:
    world = await tried(1, deletionPolicy=policy)
    await happens(world)
    await world.delete()
    await world.turns(10)
    assert not await world.exists()
    assert await world.values() == {"workers": workers}


@pytest.mark.parametrize(("policy", "workers"), [("Restore", "2"), ("Keep", "3")])
async def test_keep_keeps_what_was_accepted_and_no_unfinished_trial(policy: str, workers: str) -> None:
    world = await make()
    await world.add(documents.profile(deletionPolicy=policy), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    await world.turns(5)
    await world.annotate("try", "workers=5")
    await world.turn()
    assert await world.intent() is not None
    await world.delete()
    await world.turns(10)
    assert not await world.exists()
    assert await world.values() == {"workers": workers}


async def test_another_profile_of_the_same_name_is_not_finished_with_the_knowledge_of_the_first() -> None:
    world = await tried(1)
    await class_gone(world)
    body = await world.profile()
    ref = Ref(PROFILE, world.namespace, "checkout")
    await world.outside.json_patch(ref, [{"op": "replace", "path": "/metadata/finalizers", "value": []}])
    await world.outside.delete(ref)
    document = await world.document()
    again = documents.placed(documents.profile(), world.namespace)
    again["metadata"]["finalizers"] = [FINALIZER]
    await world.outside.apply(again, force=True)
    assert (await world.profile())["metadata"]["uid"] != body["metadata"]["uid"]
    await world.turns(3)
    assert await world.document() == document
    assert (await world.condition("Accepted"))[1] == "ClassNotFound"
    await world.delete()
    await world.turns(3)
    assert not await world.exists()
    assert await world.document() == document


async def test_an_edit_that_also_names_another_target_finishes_at_the_first() -> None:
    world = await tried(1)
    await world.apply(documents.deployment("other"))
    await class_gone(world)
    await world.edit(targetRef={"kind": "Deployment", "name": "other"})
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Accepted"]
    assert await world.values() == {"workers": "3"}


async def test_a_target_that_is_gone_beside_its_class_is_no_failure() -> None:
    world = await tried(1)
    await class_gone(world)
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    after = await world.wake()
    assert after is not None and after > 0
    assert (await world.condition("Accepted"))[1] == "ClassNotFound"


# --- an older profile claims what a trial writes


async def beside_an_older_one(
    *, claims: dict[str, Any] | None = None, wish: str = "workers=3,cache=3,backlog=3"
) -> World:
    """An older profile of another target; then ours, in mid-trial, at a path and a key of a ConfigMap that both may use."""
    world = await make()
    await world.apply(documents.config_map())
    await world.add(documents.profile("older", documents.hot()), workers=2)
    world.clock.skip(5)
    take = {"conflictPolicy": "Take"}
    knobs = documents.hot(), documents.path(**take), documents.plain(**take)
    await world.add(documents.profile("checkout", *knobs), workers=2, cache=2, backlog=2)
    await world.steady()
    await world.annotate("try", wish)
    await world.turns(2)
    assert await world.intent() is not None and (await world.values())["workers"] == "3"
    if claims is not None:
        await world.edit("older", knobs=[documents.hot(), claims])
    return world


async def out_too(world: World, *knobs: str, target: str = "older") -> None:
    """As after a race: the older one has values out at our places, too, and began there before it saw ours."""
    ours = await world.ledger()
    assert ours is not None and ours.way_back is not None and ours.adopted is not None
    uid = (await world.profile("older"))["metadata"]["uid"]
    places = tuple(place for place in ours.way_back.places if place.knob in knobs)
    way = replace(ours.way_back, target=replace(ours.way_back.target, name=target), places=places)
    moved = ours.adopted.with_values(**dict.fromkeys(knobs, Fraction(3)))
    theirs = replace(ours, profile_uid=uid, intent=None, incumbent=moved, way_back=way)
    names = {"namespace": world.namespace, "name": "older", "profile": "older"}
    await world.apply(ledger_codec.encode(theirs, **names, written_at=world.clock.now()))
    await world.patch(Ref(PROFILE, world.namespace, "older"), "/metadata/finalizers", [FINALIZER])


async def test_a_trial_goes_on_where_an_older_profile_claims_its_place_only_now() -> None:
    """What stands there is not judged yet, and only our ledger knows the way back: the older one waits."""
    world = await beside_an_older_one(claims=documents.path())
    await world.wake("older")
    status, reason, message = await world.condition("Accepted", "older")
    assert (status, reason) == ("False", "TargetClaimedByOther") and "profile checkout tunes" in message
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    assert (await world.condition("Accepted"))[0] == "True"


async def test_a_place_that_an_older_profile_has_in_mid_trial_ends_it_and_the_rest_goes_back() -> None:
    world = await beside_an_older_one(claims=documents.path())
    await out_too(world, "cache")
    await world.wake()
    assert (await world.condition("Accepted"))[:2] == ("False", "TargetClaimedByOther")
    ledger = await world.rest()
    ended = ledger.trials[-1]
    assert (ended.state.value, ended.reason.value) == ("Inconclusive", "TargetClaimedByOther")
    assert (await world.values())["workers"] == "2" and (await world.theirs("BACKLOG")).strip() == "2"
    assert "size: 3" in await world.theirs()  # the older one's by now
    await world.turns(3)
    assert (await world.condition("Accepted"))[:2] == ("False", "TargetClaimedByOther")
    assert "TargetClaimedByOther" in world.events.reasons()


async def test_what_the_older_profile_writes_there_meanwhile_stays() -> None:
    world = await beside_an_older_one(claims=documents.path())
    await out_too(world, "cache")
    await world.wake()
    await world.patch(
        Ref(CONFIG_MAP, world.namespace, "app-config"), "/data/app.yaml", documents.APP.replace("2 ", "7 ")
    )
    await world.rest()
    assert "size: 7" in await world.theirs() and (await world.values())["workers"] == "2"


async def test_a_place_that_an_older_profile_claims_in_mid_rollback_is_left_to_it() -> None:
    world = await beside_an_older_one()
    await world.annotate("rollback")
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK
    await world.edit("older", knobs=[documents.hot(), documents.plain()])
    await out_too(world, "backlog")
    await world.rest()
    assert (await world.values())["workers"] == "2" and "size: 2" in await world.theirs()


async def test_another_place_of_the_same_config_map_is_no_claim() -> None:
    world = await beside_an_older_one(claims=documents.path(at="other.place"))
    await world.wake()
    assert (await world.condition("Accepted"))[0] == "True"


async def test_where_the_target_itself_is_claimed_nothing_is_written_any_more_and_the_trial_is_over() -> None:
    """Both write one settings document: going back would be a fight."""
    world = await beside_an_older_one()
    before = await world.document(), await world.theirs()
    await world.edit("older", targetRef={"kind": "Deployment", "name": "checkout"})
    await out_too(world, "workers", target="checkout")
    await world.turn()
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is None
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", "TargetClaimedByOther")
    await world.turns(2)
    assert (await world.document(), await world.theirs()) == before
