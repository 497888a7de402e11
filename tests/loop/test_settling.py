"""Figures from settle time are our own disturbance: they are never learned from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pegbox.model.knobs import Setting
from pegbox.model.trials import Ledger
from pegbox.ports import CONFIG_MAP, Ref
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


# --- values that others set at rest: in force since nobody knows when, between two looks


async def edited(place: str, window: str = "60s") -> tuple[World, int]:
    """Well measured at two of it; somebody sets three. How many windows were learned before."""
    world = await make()
    guards = documents.QUICK | {"settle": "20s", "trialWindow": window}
    knobs = [documents.hot(), documents.plain()] if place == "backlog" else [documents.hot()]
    await world.apply(documents.config_map())
    await world.add(documents.profile("checkout", *knobs, guards=guards, interval="5s"), **dict.fromkeys(DEFAULTS, 2.0))
    await world.steady()
    await world.turns(60)
    before = learned(world, place, 2)
    assert before > 0
    if place == "backlog":
        await world.patch(Ref(CONFIG_MAP, world.namespace, "app-config"), "/data/BACKLOG", "3\n")
    else:
        await set_by_hand(world, 3, hashed=True, number=1)
    await world.pods_step(world.apps["checkout"])
    return world, before


DEFAULTS = ("workers", "backlog")
WAITS = {"workers": 20, "backlog": 50}  # to settle; what no pod tells comes into force within `ackTimeout`, 30 s


def learned(world: World, knob: str, value: int) -> int:
    ledger = world.reconciler.memories[f"{world.namespace}/checkout"].ledger
    assert ledger is not None
    return sum(row.count for row in ledger.rows if row.setting.get(knob) == value)


@pytest.mark.parametrize("place", WAITS)
@pytest.mark.parametrize("window", ["5s", "60s"])
async def test_what_was_measured_before_somebody_set_a_value_is_not_of_that_value(place: str, window: str) -> None:
    """Ten seconds after the edit a window that began 55 s before it was learned as of the new value."""
    world, before = await edited(place, window)
    since = world.clock.now()
    memory = world.reconciler.memories[f"{world.namespace}/checkout"]
    for _ in range(40):
        await world.turn()
        assert learned(world, place, 2) == before, "nor is what came after it of the old value"
        newer = [w.window for w in memory.windows if w.window.end > since]
        assert all(w.start >= since + timedelta(seconds=WAITS[place]) for w in newer)
    assert learned(world, place, 3) > 0 and memory.windows, "the twin: it is learned once it has settled"


# --- a restart of the operator


async def test_a_fresh_process_lets_what_stands_settle_since_it_knows_of_no_rollback() -> None:
    """A window of the parent's settle time was learned 14 s after the way back."""
    world, _ = await tried(4)  # harmful
    world.restart()
    started = world.clock.now()
    before = windows_of(await stored(world), 2)
    while world.clock.now() < started + SETTLE:
        await world.turn()
        memory = world.reconciler.memories[f"{world.namespace}/checkout"]
        assert not memory.windows and memory.ledger is not None and windows_of(memory.ledger, 2) == before
    await world.turns(5)
    assert memory.windows and all(w.window.start >= started + SETTLE for w in memory.windows)
    assert windows_of(memory.ledger, 2) > before


async def test_a_process_that_is_restarted_every_two_minutes_still_learns() -> None:
    """The twin: settle time is all that a restart costs."""
    world, _ = await tried(4)
    for _ in range(4):
        world.restart()
        before, until = windows_of(await stored(world), 2), world.clock.now() + timedelta(minutes=2)
        while world.clock.now() < until:
            await world.turn()
        ledger = world.reconciler.memories[f"{world.namespace}/checkout"].ledger
        assert ledger is not None and windows_of(ledger, 2) > before


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_trial_under_way_settles_from_its_own_moment_whoever_looks(restarted: bool) -> None:
    """The twin: when that came into force stands in the ledger."""
    world = await trying_three(restarted)
    ledger = await world.rest()
    assert ledger.trials[-1].state.value == "Accepted"
    assert ledger.trials[-1].ended_at - ledger.trials[-1].started_at < SETTLE + timedelta(seconds=45)


async def trying_three(restarted: bool) -> World:
    world = await make()
    await world.add(documents.profile(guards=documents.QUICK | {"settle": "60s"}, interval="5s"), workers=2)
    await world.steady()
    await world.turns(20)
    await world.annotate("try", "workers=3")
    await world.turns(12)
    if restarted:
        world.restart()
        await world.recall()
    return world


async def stored(world: World) -> Ledger:
    ledger = await world.ledger()
    assert ledger is not None
    return ledger


async def test_a_rollback_that_another_process_ended_settles_too() -> None:
    """Seed 3000000150 of the schedules: a stale leader closed it, and the next look of the new one took the window."""
    world = await make()
    await world.add(documents.profile(guards=documents.QUICK | {"settle": "60s"}, interval="5s"), workers=2)
    await world.steady()
    await world.turns(20)
    mine = world.reconciler
    await world.annotate("try", "workers=4")
    await world.turn()
    world.restart()
    await world.recall()
    await world.rest()  # by the other one
    world.operator = world.reconciler = mine
    since, memory = world.clock.now(), mine.memories[f"{world.namespace}/checkout"]
    while world.clock.now() < since + timedelta(seconds=80):
        await world.turn()
        newer = [w.window for w in memory.windows if w.window.end > since]
        assert all(w.start >= since + SETTLE for w in newer)
    assert newer
