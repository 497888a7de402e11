"""The share of an error budget over trials: what one spent is in the ledger, and holds the next.

Windows of 5 seconds. With 4 workers the service is harmed: four fifths of the events are bad, of an SLO of 90 %. The 30
events per second of its window of a minute make a share of 9 events at 5 %.
"""

from __future__ import annotations

from datetime import timedelta

from pegbox.model.trials import TrialState
from tests.loop import documents
from tests.loop.world import World, make

MINUTE = {
    "name": "fast",
    "signal": "duration",
    "threshold": "500ms",
    "goal": "90%",
    "window": "1m",
    "minimumEvents": 10,
}


async def harmed() -> World:
    """At rest after a trial that did harm, and was put back."""
    world = await make()
    await world.add(documents.profile(slos=[MINUTE]), workers=2)
    await world.steady()
    await tried(world, "workers=4")
    ledger = await world.rest()
    assert [t.state for t in ledger.trials] == [TrialState.REVERTED]
    return world


async def tried(world: World, argument: str) -> None:
    await world.annotate("try", argument)
    await world.turn()


async def test_what_a_trial_spent_holds_the_next_until_it_is_a_window_ago_across_a_restart() -> None:
    world = await harmed()
    stored = await world.ledger()
    assert stored is not None
    (item,) = stored.spent["fast"]
    assert item.events > 9
    world.restart()
    await world.steady()
    until = item.until + timedelta(seconds=60)
    assert world.clock.now() < until
    await tried(world, "workers=3")
    assert await world.intent() is None
    assert f"until {until.isoformat(timespec='seconds')}" in " ".join(e.message for _, e in world.events.emitted)
    assert (await world.status())["next"] == f"the next trial not before {until:%Y-%m-%dT%H:%M:%SZ}"
    while world.clock.now() < until:
        await world.turn()
    await tried(world, "workers=3")
    assert await world.intent() is not None, await world.why()


async def test_a_reset_gives_nothing_back() -> None:
    world = await harmed()
    await world.annotate("reset")
    await world.turns(2)
    await tried(world, "workers=3")
    assert await world.intent() is None and "share of an SLO's error budget" in await world.why()


async def test_the_twin_a_harmless_trial_holds_nobody() -> None:
    world = await make()
    await world.add(documents.profile(slos=[MINUTE]), workers=2)
    await world.steady()
    await tried(world, "workers=3")
    await world.rest()
    await world.steady()
    await tried(world, "workers=2")
    assert await world.intent() is not None, await world.why()
