"""Schedules of random faults where admission puts a value into pods: what stands in each pod at the end is the incumbent's."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.chaos.schedule import Runner, draw, minimise, table
from tests.chaos.shops import CANARIES

SEEDS = range(20_000, 20_100)


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Every failed write is logged on purpose."""
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("shop", ["admitted", f"admitted{CANARIES}"])
def test_after_any_schedule_of_faults_every_pod_has_the_incumbents_variable(shop: str) -> None:
    runner = Runner()

    async def run() -> list[str]:
        failed = []
        for seed in SEEDS:
            schedule = draw(seed, shop)
            if (await runner.run(schedule)).violations:
                failed.append(table(await runner.run(await minimise(runner, schedule))))
        return failed

    failed = asyncio.run(run())
    assert not failed, "\n\n".join(["", *failed])
