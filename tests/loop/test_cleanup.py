"""Ledgers of deleted profiles: kept for a month, then removed; those of living profiles never."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from pegbox.ports import LEDGER, Cluster, Ref
from pegbox.runtime.cleanup import remove_old_ledgers
from tests.loop import documents
from tests.loop.world import World, make


async def world_after(*, deleted: bool, days: float) -> World:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.rest()
    if deleted:
        await world.delete()
        await world.turns(8)
        assert not await world.exists()
    await world.clock.advance(timedelta(days=days).total_seconds())
    return world


@pytest.mark.parametrize(
    ("deleted", "days", "removed"),
    [
        pytest.param(True, 31, 1, id="a_month_after_its_profile"),
        pytest.param(True, 29, 0, id="not_within_the_month"),
        pytest.param(False, 400, 0, id="never_while_the_profile_lives"),
    ],
)
async def test_old_ledgers(deleted: bool, days: float, removed: int) -> None:
    world = await world_after(deleted=deleted, days=days)
    assert await remove_old_ledgers(world.pegbox, ["", "elsewhere"], world.clock.now()) == removed
    left = await world.find(Ref(LEDGER, world.namespace, "checkout"))
    assert (left is None) == bool(removed)


async def test_a_ledger_that_a_new_profile_of_that_name_writes_meanwhile_is_left() -> None:
    world = await world_after(deleted=True, days=31)
    ref = Ref(LEDGER, world.namespace, "checkout")

    class Between:
        """Somebody writes it between the look and the deletion."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.pegbox, name)

        async def delete(self, ref: Ref, **named: Any) -> None:
            await world.patch(ref, "/metadata/annotations", {"example.com/touched": "1"})
            await world.pegbox.delete(ref, **named)

    assert await remove_old_ledgers(cast("Cluster", Between()), [world.namespace], world.clock.now()) == 0
    assert await world.find(ref) is not None


async def test_a_ledger_that_cannot_be_read_counts_from_its_creation() -> None:
    world = await world_after(deleted=True, days=1)
    ref = Ref(LEDGER, world.namespace, "checkout")
    await world.outside.json_patch(ref, [{"op": "replace", "path": "/data/summary", "value": {"writtenAt": "soon"}}])
    assert await remove_old_ledgers(world.pegbox, [world.namespace], world.clock.now()) == 0
    await world.clock.advance(timedelta(days=31).total_seconds())
    assert await remove_old_ledgers(world.pegbox, [world.namespace], world.clock.now()) == 1
