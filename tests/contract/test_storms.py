"""Storms of faults from `tests/loop/storm.py`, replayed on a real API server: by the same seed the same calls fail."""

from __future__ import annotations

import random

import pytest

from pegbox.core import looks
from pegbox.ports import Cluster
from pegbox.testing.clock import FakeClock
from tests.contract.conftest import Connect
from tests.loop.storm import Rough, furnish, storm
from tests.loop.test_storm import on_the_fake
from tests.loop.world import World


@pytest.mark.parametrize("seed", range(3))
async def test_the_real_server_ends_where_the_fake_does(
    cluster: Cluster, client: Connect, namespace: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every invariant of the storm, and the same trials with the same ends: else one of the two is no such server.

    A real server draws the profile's uid, and by the uid its turn in a round: without a turn that both share, some
    runs looked at other times than the fake does.
    """
    monkeypatch.setattr(looks, "share", lambda uid: 0.25)
    rough = Rough(cluster, random.Random(seed))
    world = World(rough, await client("kubelet"), FakeClock(auto=False), namespace=namespace)
    await furnish(world)
    trials = await storm(world, rough, seed)
    assert (trials, rough.struck) == await on_the_fake(seed)
