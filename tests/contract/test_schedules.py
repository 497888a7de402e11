"""Some schedules of random faults (tests/chaos) on the real API server: what the fakes promise holds there as well.

Everything else is as on the fakes: virtual time, applications and a metrics server that are played, the same invariants
after every write. Pods are objects; nobody runs them.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from pegbox.testing.clock import FakeClock
from tests.chaos.schedule import Runner, Schedule, draw, table
from tests.chaos.shops import SHOPS
from tests.chaos.world import NAMESPACE, World
from tests.contract.conftest import Connect
from tests.contract.mirrored import Mirrored, mirrored

# Not where admission puts values into pods: what it writes goes with its owner, and for that a server needs controllers.
SHOP_NAMES = [name for name in SHOPS if not name.startswith("admitted")]
EACH = int(os.environ.get("PEGBOX_SCHEDULES", "1"))
"""Schedules per shop; PEGBOX_SCHEDULES=10 is the long form."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Every failed write is logged on purpose."""
    logger, level = logging.getLogger("pegbox"), logging.getLogger("pegbox").level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


class OnTheServer(Runner):
    """Worlds are built afresh: a real server cannot be copied."""

    def __init__(self, server: Mirrored) -> None:
        super().__init__()
        self.server = server

    async def world(self, shop: str) -> World:
        await self.server.clear(NAMESPACE)
        world = World(SHOPS[shop], clock=FakeClock(datetime.now(UTC), auto=False), serving=self.server)
        await world.build()
        world.remember_ledgers()
        return world


def drawn(shop: str) -> Iterator[Schedule]:
    """Those of a shop in which no namespace goes: that takes a controller, too."""
    schedules = (draw(seed, shop) for seed in itertools.count(100 * SHOP_NAMES.index(shop)))
    return (each for each in schedules if all(step.name != "namespace terminating" for step in each.steps))


@pytest.mark.parametrize("number", range(EACH))
@pytest.mark.parametrize("shop", SHOP_NAMES)
async def test_after_a_schedule_of_faults_nothing_is_lost(client: Connect, shop: str, number: int) -> None:
    server = await mirrored(client)
    await server.namespace(NAMESPACE)
    schedule = next(itertools.islice(drawn(shop), number, None))
    outcome = await OnTheServer(server).run(schedule)
    assert not outcome.violations, table(outcome)
