"""Adoption and trials with the whole runtime: fake API server, pods that acknowledge, a simulated service."""

from __future__ import annotations

from pegbox.model.trials import TrialState
from tests.loop import documents
from tests.loop.world import make


async def test_adoption_writes_exactly_the_values_in_force() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"}
    assert (await world.document()).generation == ledger.generation == 1
    assert ledger.adopted is not None and ledger.adopted.number("workers") == 2


async def test_a_trial_is_written_acknowledged_judged_and_accepted() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    assert await world.values() == {"workers": "3"}
    ledger = await world.rest()
    assert [t.state for t in ledger.trials] == [TrialState.ACCEPTED]
    assert ledger.incumbent is not None and ledger.incumbent.number("workers") == 3


async def test_a_bad_trial_is_put_back_and_values_are_the_same_bytes() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    before = await world.document()
    await world.annotate("try", "workers=4")
    await world.turn()
    assert await world.values() == {"workers": "4"}
    ledger = await world.rest()
    after = await world.document()
    assert [t.state for t in ledger.trials] == [TrialState.REVERTED]
    assert (after.values, after.hash) == (before.values, before.hash)
    assert after.generation == before.generation + 2
