"""Schedules of random faults (tests/chaos) on the real API server, every fault at least once: what the fakes promise holds
there as well.

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
from tests.chaos.faults import TABLE
from tests.chaos.schedule import Runner, Schedule, draw, table
from tests.chaos.shops import SHOPS
from tests.chaos.world import NAMESPACE, World
from tests.contract.conftest import Connect
from tests.contract.mirrored import Mirrored, mirrored

# Not where admission puts values into pods: what it writes goes with its owner, and for that a server needs controllers.
SHOP_NAMES = [name for name in SHOPS if not name.startswith("admitted")]
ELSEWHERE = {"namespace terminating"}  # that takes a controller, too
EACH = int(os.environ.get("PEGBOX_SCHEDULES", "1"))
"""Schedules per shop, and then some; PEGBOX_SCHEDULES=10 is the long form."""


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
    """Those of a shop that this level can run."""
    schedules = (draw(seed, shop) for seed in itertools.count(100 * SHOP_NAMES.index(shop)))
    return filter(can_run, schedules)


def can_run(schedule: Schedule) -> bool:
    return schedule.shop in SHOP_NAMES and not ELSEWHERE & names(schedule)


def names(schedule: Schedule) -> set[str]:
    return {step.name for step in schedule.steps}


def covering() -> list[Schedule]:
    """One schedule of each shop, and of the first 3,000 seeds the fewest more that draw every fault at least once:
    always the one that adds the most."""
    chosen = [next(drawn(shop)) for shop in SHOP_NAMES]
    others = [each for each in map(draw, range(3000)) if can_run(each)]
    left = set(TABLE) - ELSEWHERE - set().union(*map(names, chosen))
    while left:
        best = max(others, key=lambda each: len(left & names(each)))
        assert left & names(best), f"no schedule draws {sorted(left)}"
        chosen.append(best)
        left -= names(best)
    return chosen


LONGER = [each for shop in SHOP_NAMES for each in itertools.islice(drawn(shop), 1, EACH)]
SCHEDULES = covering() + LONGER


@pytest.mark.parametrize("schedule", SCHEDULES, ids=[f"{each.shop}-{each.seed}" for each in SCHEDULES])
async def test_after_a_schedule_of_faults_nothing_is_lost(client: Connect, schedule: Schedule) -> None:
    server = await mirrored(client)
    await server.namespace(NAMESPACE)
    outcome = await OnTheServer(server).run(schedule)
    assert not outcome.violations, table(outcome)
