"""An install that may not write to workloads: in mode Auto, too, nothing begins that it would have to write."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.ports import CONFIG_MAP, HPA, Ref
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.test_pending import pending
from tests.loop.world import World, make, written

BUDGET = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
PATIENT = documents.QUICK | {"trialWindow": "20s", "trialTimeout": "5m"}
OURS = {"PerformanceProfile", "TuningLedger", "SharedBudget", "Lease", "Event"}


async def shop(pods: int = 2, workers: int = 2, **spec: Any) -> World:
    """At rest, adopted and measured, with a shared budget. Then the chart takes the right to write away."""
    world = await make(predicting=Predicting())
    await world.apply(documents.budget())
    await world.add(documents.profile(budgets=[BUDGET], **spec), documents.deployment(replicas=pods), workers=workers)
    await world.rest()
    return world


async def switched(world: World, *, writes: bool) -> None:
    world.allow_writes = writes
    world.restart()


async def nothing_asked(world: World) -> None:
    """The proposer sees that more workers serve more."""


async def asked(world: World) -> None:
    await world.turns(12)
    await world.annotate("try", "workers=3")


async def narrowed(world: World) -> None:
    await world.edit(knobs=[documents.hot(initial=1, max=1)])


WISHES = pytest.mark.parametrize(
    ("pods", "wish"),
    [
        pytest.param(2, nothing_asked, id="a_proposal"),
        pytest.param(2, asked, id="a_try"),
        pytest.param(5, asked, id="a_try_that_would_be_a_canary"),
        pytest.param(2, narrowed, id="narrowed_limits"),
    ],
)


@WISHES
async def test_no_trial_begins_no_slot_and_no_claim_is_taken_and_the_reason_is_said(pods: int, wish: Any) -> None:
    world = await shop(pods)
    before, claims = await world.values(), await world.claims()
    await switched(world, writes=False)
    since = len(written(world.pegbox))
    await wish(world)
    seen = set()
    for _ in range(60):
        await world.turn()
        ledger = await world.ledger()
        assert ledger is not None and ledger.intent is None and ledger.trials == ()
        assert world.brakes._others("") == {}, "no slot"
        seen.add((await world.condition("Progressing"))[:2])
    assert ("False", "WritesNotAllowed") in seen and seen <= {
        ("False", "WritesNotAllowed"),
        ("False", "RequestRefused"),
    }
    assert await world.values() == before and await world.claims() == claims
    assert {kind for _, kind, _ in written(world.pegbox)[since:]} <= OURS
    assert "mode.allowWrites" in (await world.condition("Progressing"))[2]
    assert "mode.allowWrites" in (await world.status())["next"]
    assert (await world.condition("Degraded"))[0] == "False" and pending(world) == [0.0]
    assert ("RequestRefused" in world.events.reasons()) == (wish is asked)


@WISHES
async def test_with_the_right_to_write_the_same_wish_begins(pods: int, wish: Any) -> None:
    """The twin."""
    world = await shop(pods)
    await switched(world, writes=False)
    await switched(world, writes=True)
    await wish(world)

    held = False
    for _ in range(60):
        await world.turn()
        held |= world.brakes._others("") != {}
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials != () and held, "and takes a slot"


async def test_a_profile_is_adopted_without_a_write_and_with_one_once_that_is_allowed() -> None:
    world = await make(allow_writes=False)
    await world.add(documents.profile(), workers=2)
    for _ in range(20):
        await world.turn()
        assert await world.intent() is None
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None and ledger.generation == 0
    assert await world.find(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox")) is None
    assert (await world.condition("Progressing"))[:2] == ("False", "WritesNotAllowed")
    await switched(world, writes=True)
    await world.rest()
    assert await world.values() == {"workers": "2"}


async def test_a_profile_that_wrote_nothing_goes_without_waiting_for_the_right_to_write() -> None:
    world = await make(allow_writes=False)
    await world.add(documents.profile(), workers=2)
    await world.turns(20)
    await world.delete()
    await world.turns(2)
    assert not await world.exists()


async def test_a_budget_that_others_exceed_is_said_and_lowered_once_that_is_allowed() -> None:
    world = await make()
    await world.apply(documents.hpa())
    budget = {"name": "pods", "uses": "pods * workers", "limit": "12"}
    body = documents.profile("checkout", documents.hot(), budgets=[budget], autoscaler={"ref": {"name": "checkout"}})
    await world.add(body, workers=2)
    await world.steady()
    await switched(world, writes=False)
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 8)
    await world.turns(5)
    assert await world.intent() is None
    assert (await world.condition("Degraded"))[:2] == ("True", "BudgetExceeded")
    await switched(world, writes=True)
    await world.turns(10)
    assert await world.values() == {"workers": "1"}


async def test_a_trial_under_way_when_the_right_is_taken_is_pending_and_ends_once_it_is_back() -> None:
    """As before: what waits for a write is not forgotten, and nothing else begins meanwhile."""
    world = await make()
    await world.add(documents.profile(guards=PATIENT), workers=2)
    await world.steady()
    await world.turns(6)
    await world.annotate("try", "workers=3")
    await world.turn()
    await switched(world, writes=False)
    await world.annotate("rollback")
    await world.turns(10)
    assert await world.values() == {"workers": "3"}
    assert (await world.condition("Degraded"))[:2] == ("True", "RestorePending") and pending(world) == [1.0]
    await switched(world, writes=True)
    await world.rest()
    assert await world.values() == {"workers": "2"}
