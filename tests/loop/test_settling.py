"""Figures from settle time are our own disturbance: they are never learned from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pegbox.model.knobs import Setting
from pegbox.model.trials import Ledger
from tests.loop import documents
from tests.loop.test_budgets import set_by_hand
from tests.loop.world import World, make

SETTLE = timedelta(seconds=60)


async def tried(value: int) -> tuple[World, Ledger]:
    """A `try` of so many workers, with a settle time of a minute and windows of five seconds, followed to its end."""
    world = await make()
    guards = documents.QUICK | {"settle": "60s"}
    await world.add(documents.profile(guards=guards, interval="5s"), workers=2)
    await world.steady()
    for _ in range(20):
        await world.turn()
    await world.annotate("try", f"workers={value}")
    await world.turn()
    return world, await world.rest()


def windows_of(ledger: Ledger, workers: int) -> int:
    """How many windows of settings with so many workers were learned from."""

    def matches(setting: Setting) -> bool:
        return setting.get("workers") == workers

    return sum(row.count for row in ledger.rows if matches(row.setting))


async def test_no_window_of_a_trial_counts_before_it_has_settled() -> None:
    world, ledger = await tried(3)
    (trial,) = ledger.trials
    assert trial.state.value == "Accepted"
    judged = trial.ended_at - trial.started_at
    assert judged > SETTLE
    windows = world.reconciler.memories[f"{world.namespace}/checkout"].windows
    assert windows and all(w.window.start >= trial.started_at + SETTLE for w in windows)


@pytest.mark.parametrize("seconds", [10, 50])
async def test_after_a_rollback_the_parent_settles_too(seconds: int) -> None:
    world, ledger = await tried(4)  # harmful
    assert [t.state.value for t in ledger.trials] == ["Reverted"]
    back = world.clock.now()
    before = windows_of(ledger, 2)
    while world.clock.now() < back + timedelta(seconds=seconds):
        await world.turn()
    memory = world.reconciler.memories[f"{world.namespace}/checkout"]
    assert memory.ledger is not None
    assert not memory.windows
    assert windows_of(memory.ledger, 2) == before
    while world.clock.now() < back + SETTLE + timedelta(seconds=20):
        await world.turn()
    assert windows_of(memory.ledger, 2) > before


async def test_what_somebody_edits_is_learned_from_once_every_pod_has_read_it() -> None:
    """Seed 1900001505 of the schedules: nothing is under way that would wait for them."""
    world, _ = await tried(3)
    await world.turns(20)
    app, memory = world.apps["checkout"], world.reconciler.memories[f"{world.namespace}/checkout"]
    assert memory.windows
    app.silent = True  # what the pods said last stands
    await set_by_hand(world, 2, hashed=True, number=1)
    await world.turns(20)
    assert not memory.windows
    read, app.silent = world.clock.now(), False
    await world.turns(20)
    assert memory.windows and all(w.window.start > read for w in memory.windows)
