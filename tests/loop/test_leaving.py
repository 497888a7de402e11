"""After a restore, fields that were taken by consent belong to their owners again."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.adapters.kube import owners
from pegbox.ports import CONFIG_MAP, Ref
from tests.loop import documents
from tests.loop.world import World, make

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
