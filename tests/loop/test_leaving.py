"""After a restore, fields that were taken by consent belong to their owners again."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.adapters.kube import owners
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP, HPA, POD_ENVIRONMENT, PROFILE, Ref
from pegbox.runtime.places import FINALIZER
from tests.loop import documents
from tests.loop.world import World, make, trying, written

KEY = owners.data_key("BACKLOG")


async def taken(**spec: Any) -> World:
    """A key of the owner's ConfigMap, taken by consent, changed, accepted; then the profile is deleted."""
    world = await make()
    await world.apply(documents.config_map(BACKLOG="2", other="1"))
    knobs = documents.hot(), documents.plain(conflictPolicy="Take")
    await world.add(documents.profile("checkout", *knobs, **spec), workers=2, backlog=2)
    await world.steady()
    await world.annotate("try", "backlog=3")
    await world.turn()
    await world.rest()
    body = await world.outside.get(ref(world))
    assert owners.ours(body, KEY) and owners.owners(body, KEY) == ()
    await world.delete()
    await world.turns(30)  # a ConfigMap value of theirs counts as in force after ackTimeout
    assert not await world.exists()
    return world


def ref(world: World) -> Ref:
    return Ref(CONFIG_MAP, world.namespace, "app-config")


async def test_the_field_goes_back_and_the_owners_next_apply_of_another_value_is_no_conflict() -> None:
    world = await taken()
    body = await world.outside.get(ref(world))
    assert body["data"] == {"BACKLOG": "2", "other": "1"}
    assert not owners.ours(body, KEY)
    assert [o.operation for o in owners.entries_owning(body, KEY)] == ["Apply"]
    changed = documents.placed(documents.config_map(BACKLOG="5", other="1"), world.namespace)
    after = await world.outside.apply(changed)  # without force
    assert after["data"]["BACKLOG"] == "5"


async def test_with_keep_the_value_and_its_ownership_stay() -> None:
    world = await taken(deletionPolicy="Keep")
    body = await world.outside.get(ref(world))
    assert body["data"]["BACKLOG"] == "3"
    assert owners.ours(body, KEY)


async def test_what_was_made_under_restore_is_kept_where_the_policy_became_keep() -> None:
    """The HPA and the variables have the profile for their owner, and would go with it."""
    world = await make()
    for body in documents.policy():
        await world.outside.apply(body)
    knobs = documents.hot(), documents.variable(), {"name": "max_replicas", "min": 1, "max": 8}
    scaler = {"create": {"minReplicas": 2, "maxReplicas": 4}}
    await world.add(documents.profile("checkout", *knobs, autoscaler=scaler), workers=2, lanes=2)
    await world.steady()
    await world.annotate("try", "lanes=3")
    await world.turn()
    await world.rest(limit=120)
    made = Ref(HPA, world.namespace, "checkout-pegbox"), Ref(POD_ENVIRONMENT, world.namespace, "checkout")
    assert all([len((await world.outside.get(ref))["metadata"]["ownerReferences"]) == 1 for ref in made])
    await world.edit(deletionPolicy="Keep")
    await world.delete()
    for _ in range(20):
        if await world.exists():
            await world.turn()
    assert not await world.exists()
    assert not any([(await world.outside.get(ref))["metadata"].get("ownerReferences") for ref in made])


HOLD = "example.com/hold"
"""Somebody else's finalizer: the profile is still there, and shows that it is being deleted."""
OURS = ("TuningLedger", "PerformanceProfile")


async def finalizers(world: World, *names: str) -> None:
    ref = Ref(PROFILE, world.namespace, "checkout")
    await world.outside.json_patch(ref, [{"op": "replace", "path": "/metadata/finalizers", "value": list(names)}])


async def accepted() -> World:
    world = await trying("workers=3")
    await world.rest()
    assert await world.values() == {"workers": "3"}
    return world


@pytest.mark.parametrize("mode", ["Auto", "Recommend"])
async def test_what_waits_for_nothing_of_ours_is_not_restored(mode: str) -> None:
    """Who may edit profiles may take our finalizer away, and keep the profile by one of his own: nobody asks him for
    rights on the workload then, so nothing is written to it."""
    world = await accepted()
    await world.edit(mode=mode)
    await finalizers(world, HOLD)
    await world.delete()
    before = written(world.outside)
    await world.turns(20)
    assert await world.values() == {"workers": "3"}
    assert [w for w in written(world.outside)[len(before) :] if w[1] not in OURS] == []
    await finalizers(world)
    assert not await world.exists()


async def test_a_restore_whose_finalizer_is_taken_away_stops_where_it_is() -> None:
    world = await accepted()
    await finalizers(world, FINALIZER, HOLD)
    await world.delete()
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.RESTORE
    await finalizers(world, HOLD)
    await world.turns(3)
    assert await world.intent() is None
    values = await world.values()
    world.restart()
    await world.turns(20)
    assert await world.values() == values


async def test_beside_somebody_elses_finalizer_it_is_restored_once() -> None:
    world = await accepted()
    await finalizers(world, FINALIZER, HOLD)
    await world.delete()
    await world.turns(10)
    assert (await world.profile())["metadata"]["finalizers"] == [HOLD]
    assert await world.values() == {"workers": "2"}
    before = len(written(world.outside))
    await world.turns(5)
    assert [w for w in written(world.outside)[before:] if w[1] not in OURS] == [], "not again and again"


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("Apply helm", owners.Owner("helm", "Apply")),
        ("Update/scale kubectl edit", owners.Owner("kubectl edit", "Update", "scale")),
        ("helm", owners.Owner("helm", "Apply")),
    ],
)
def test_recorded_owners_are_read_back(text: str, owner: owners.Owner) -> None:
    assert owners.Owner.parse(text) == owner
    assert owners.Owner.parse(str(owner)) == owner
