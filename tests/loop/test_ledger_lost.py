"""A ledger that is lost at rest, with the process that knew it: brakes hold on, and nothing is tried at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from pegbox.model.trials import Breaker, BreakerState, Ledger
from pegbox.ports import CLASS, LEDGER, Ref
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.world import World, make

PATIENT = documents.QUICK | {"trialWindow": "20s", "trialTimeout": "5m"}


async def eager(**guards: Any) -> World:
    """At rest, with a proposer that wants more workers."""
    world = await make(predicting=Predicting())
    await world.add(documents.profile(guards=PATIENT | guards), workers=2)
    await world.turn()
    return world


async def deleted(world: World) -> None:
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))


async def torn(world: World) -> None:
    await world.patch(Ref(LEDGER, world.namespace, "checkout"), "/data/state", "{")


async def lose(world: World, how: Callable[[World], Awaitable[None]] = deleted) -> None:
    await how(world)
    world.restart()


async def known(world: World) -> Ledger:
    ledger = await world.ledger()
    assert ledger is not None
    return ledger


LOSSES = pytest.mark.parametrize("how", [deleted, torn])


@LOSSES
@pytest.mark.parametrize("argument", ["24h", ""], ids=["for_a_day", "until_resumed"])
async def test_a_pause_lasts_as_long_as_the_person_said(argument: str, how: Any) -> None:
    world = await eager()
    await world.annotate("pause", argument)
    await world.turn()
    until = (await known(world)).paused_until
    await lose(world, how)
    await world.turns(240)  # 20 minutes, which is longer than breakerBase
    ledger = await known(world)
    assert ledger.trials == () and await world.values() == {"workers": "2"}
    assert ledger.paused_until is not None and until is not None
    assert abs(ledger.paused_until - until) < timedelta(seconds=1)
    assert (await world.condition("Progressing"))[:2] == ("False", "Paused")
    await world.annotate("resume")
    await world.turns(10)
    assert (await known(world)).paused_until is None
    assert await world.values() == {"workers": "3"}, "and a person ends it"


async def test_a_pause_of_a_profile_that_cannot_be_worked_on_meanwhile_lasts_too() -> None:
    world = await eager()
    await world.annotate("pause", "24h")
    await world.turn()
    await world.outside.delete(Ref(CLASS, "", "service"))
    await world.turn()
    assert (await world.condition("Accepted"))[:2] == ("False", "ClassNotFound")
    await lose(world)
    await world.turn()
    await world.outside.apply(documents.CLASS)
    await world.turns(240)
    assert await world.values() == {"workers": "2"}
    assert (await world.condition("Progressing"))[:2] == ("False", "Paused")


@LOSSES
async def test_without_a_pause_nothing_of_our_own_accord_is_tried_for_one_backoff_and_then_it_is(how: Any) -> None:
    """The twin of the pause: what failed lately, and what of an error budget is spent, nobody knows."""
    world = await eager(breakerBase="10m")
    await world.turns(3)
    await lose(world, how)
    lost_at = world.clock.now()
    await world.turns(3)
    assert (await world.condition("Progressing"))[:2] == ("False", "CoolingDown")
    assert "LedgerLost" in world.events.reasons()
    while await world.values() == {"workers": "2"}:
        await world.turn()
        assert world.clock.now() - lost_at < timedelta(minutes=12), await world.why()
    assert world.clock.now() - lost_at > timedelta(minutes=9.5)


async def test_a_person_need_not_wait() -> None:
    world = await eager()
    await world.turns(3)
    await lose(world)
    await world.turns(12)
    await world.annotate("try", "workers=3")
    await world.turns(3)
    assert await world.values() == {"workers": "3"}


async def test_a_new_profile_has_lost_nothing_and_waits_for_nothing() -> None:
    world = await eager()
    await world.turns(30)  # 150 s, of which windows take a minute
    assert await world.values() == {"workers": "3"}


@LOSSES
async def test_an_open_breaker_stays_open_until_its_time_and_doubles_as_before(how: Any) -> None:
    """One harmful trial opens it for 10 minutes; then it half-opens, and the next harm costs 20."""
    world = await make()
    await world.add(documents.profile(guards=PATIENT | {"breakerBase": "10m", "failuresToOpen": 1}), workers=2)
    await world.steady()
    await world.turns(12)
    await world.annotate("try", "workers=4")  # thrashes
    await world.turn()
    await world.rest()
    await world.turn()
    before = (await known(world)).breaker
    assert before.state is BreakerState.OPEN and before.until is not None
    await lose(world, how)
    await world.turn()
    after = (await known(world)).breaker
    assert after == Breaker(BreakerState.OPEN, 1, 1, before.until.replace(microsecond=0))
    await world.annotate("try", "workers=3")
    await world.turns(5)
    assert "RequestRefused" in world.events.reasons() and await world.values() == {"workers": "2"}
    world.clock.skip(700)
    await world.turn()
    half = (await known(world)).breaker
    assert (half.state, half.opened) == (BreakerState.HALF_OPEN, 1)
    await lose(world, how)
    await world.turn()
    assert (await known(world)).breaker == half
