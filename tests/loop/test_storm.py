"""Storms of faults on the fake API server; `tests/contract/test_storms.py` replays some of them on a real one."""

from __future__ import annotations

import random

import pytest

from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster
from tests.loop.storm import Rough, furnish, storm
from tests.loop.world import World


async def on_the_fake(seed: int) -> tuple[list[str], int]:
    clock = FakeClock(auto=False)
    server = FakeCluster(clock)
    rough = Rough(server, random.Random(seed))
    world = World(rough, server.as_manager("kubelet"), clock)
    await furnish(world)
    return await storm(world, rough, seed), rough.struck


@pytest.mark.parametrize("seed", range(5))
async def test_after_a_storm_all_is_in_one_piece(seed: int) -> None:
    trials, struck = await on_the_fake(seed)
    assert trials and struck >= 5
