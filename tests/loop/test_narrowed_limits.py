"""A profile narrowed far below the setting in force: the whole loop walks back into the limits."""

from __future__ import annotations

from tests.loop import documents
from tests.loop.world import make

THIRD = {"maxStep": "34%"}  # of three one: 3 -> 2 -> 1


async def test_a_narrowed_profile_is_reached_step_by_step_and_said() -> None:
    world = await make()
    await world.add(documents.profile("checkout", documents.hot(initial=3, **THIRD)), workers=3)
    await world.steady()
    await world.edit(knobs=[documents.hot(initial=1, max=1, **THIRD)])
    seen = []
    for _ in range(60):
        await world.turn()
        value = (await world.values())["workers"]
        seen += [value] if not seen or seen[-1] != value else []
    assert seen == ["2", "1"]
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Accepted", "Accepted"]
    assert "LimitsNarrowed" in world.events.reasons()


async def test_in_recommend_it_stays_where_it_is() -> None:
    """The twin."""
    world = await make()
    await world.add(documents.profile("checkout", documents.hot(initial=3, **THIRD)), workers=3)
    await world.steady()
    await world.edit(mode="Recommend", knobs=[documents.hot(initial=1, max=1, **THIRD)])
    await world.turns(20)
    assert await world.values() == {"workers": "3"}
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials == ()
