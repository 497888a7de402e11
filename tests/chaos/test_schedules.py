"""A thousand schedules of random faults, each ending in one piece: `make chaos` runs the long form."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.chaos.schedule import Runner, draw, minimise, table

PARTS, EACH = 10, 100
RUNNER = Runner()  # of all parts: a world at rest is built once


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Every failed write is logged on purpose, and there are thousands."""
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("part", range(PARTS))
def test_after_any_schedule_of_faults_nothing_is_lost(part: int) -> None:
    async def run() -> list[str]:
        failed = []
        for seed in range(part * EACH, (part + 1) * EACH):
            schedule = draw(seed)
            if (await RUNNER.run(schedule)).violations:
                failed.append(table(await RUNNER.run(await minimise(RUNNER, schedule))))
        return failed

    failed = asyncio.run(run())
    assert not failed, "\n\n".join(["", *failed])
