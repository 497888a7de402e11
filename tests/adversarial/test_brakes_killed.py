"""The brakes over all profiles, with the process killed at every point between two effects."""

from __future__ import annotations

import pytest

from pegbox.adapters.kube import owners
from pegbox.ports import CONFIG_MAP, Ref
from pegbox.runtime.points import Point
from pegbox.testing.faults import Killed
from tests.loop import documents
from tests.loop.test_stop import tuned


@pytest.mark.parametrize("point", list(Point), ids=[p.value for p in Point])
@pytest.mark.parametrize("brake", ["stop", "restore"])
async def test_killed_at_any_point_the_next_start_brings_it_to_the_same_end(brake: str, point: Point) -> None:
    """In mid-trial of a value of ours and one taken by consent; the process dies where it first gets to."""
    world = await tuned(documents.hot(), documents.plain(conflictPolicy="Take"))
    await world.annotate("try", "workers=3,backlog=3")
    await world.turn()
    killed: list[Point] = []

    def die(reached: Point) -> None:
        if reached is point and not killed:
            killed.append(reached)
            raise Killed(reached)

    world.reached = die
    world.brake(brake)
    for _ in range(40):
        try:
            await world.turn()
        except Killed:
            world.restart()
            await world.recall()
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is None
    assert await world.values() == {"workers": "2"}
    assert await world.theirs("BACKLOG") == "2"
    assert (await world.condition("Progressing"))[1] == "Stopped"
    body = await world.outside.get(Ref(CONFIG_MAP, world.namespace, "app-config"))
    assert owners.ours(body, owners.data_key("BACKLOG")) == (brake == "stop")
    expected = {Point.BEFORE_DOCUMENT, Point.AFTER_DOCUMENT, Point.BEFORE_CONFIG_MAP, Point.AFTER_CONFIG_MAP}
    expected |= {Point.BEFORE_LEDGER, Point.AFTER_LEDGER, Point.BEFORE_READ_BACK, Point.AFTER_READ_BACK}
    given = {Point.BEFORE_GIVE_BACK, Point.AFTER_GIVE_BACK} if brake == "restore" else set()
    assert bool(killed) or point not in expected | given
