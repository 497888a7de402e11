"""Restarts while nothing may be evicted: whose refusal it is, how long it is waited for, and what is said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pegbox.model.errors import NotAvailable
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger, TrialState
from pegbox.ports import PDB, POD, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.test_canary_pod_env import shop
from tests.loop.test_pod_env import start, variables
from tests.loop.world import World, make, written

EVICT = ("evict", "Pod", "eviction")
ROLLOUT = ("apply", "Deployment", "")
GUARDS = documents.QUICK | {"ackTimeout": "60s"}
BUDGET = Ref(PDB, documents.NAMESPACE, "checkout")
CROWDED = "evict: Too many requests, please try again later. (status 429): try again later"


async def allow(world: World, count: int) -> None:
    """What the disruption controller writes of the budget; there always is one that counts at first."""
    assert isinstance(world.pegbox, FakeCluster)
    await world.apply(documents.pdb())
    status: dict[str, Any] = {"observedGeneration": 1, "disruptionsAllowed": count, "currentHealthy": 2}
    body = documents.pdb() | {"status": status | {"desiredHealthy": 2, "expectedPods": 2}}
    await world.pegbox.as_manager("kube-controller-manager").apply(body, force=True, subresource="status")


async def threads() -> World:
    """Two pods that take their threads by envFrom."""
    world = await make()
    profile = documents.profile("checkout", documents.hot(), documents.env(), guards=GUARDS)
    await world.add(profile, workers=2, threads=2)
    await world.steady()
    return world


async def refused(world: World) -> None:
    """Turns until an eviction was refused."""

    async def said() -> bool:
        return (await world.condition("Progressing"))[1] == "EvictionForbidden"

    await world.until(said)


def said(world: World) -> list[str]:
    return [event.message for _, event in world.events.emitted if event.reason is Reason.EVICTION_FORBIDDEN]


async def ended(world: World) -> Ledger:
    async def over() -> bool:
        ledger = await world.ledger()
        return ledger is not None and ledger.intent is None and bool(ledger.trials)

    await world.until(over, limit=200)
    ledger = await world.ledger()
    assert ledger is not None
    return ledger


async def test_a_trial_waits_for_a_budget_and_says_which_and_goes_on_once_it_allows() -> None:
    world = await threads()
    await allow(world, 0)
    await world.annotate("try", "threads=3")
    await refused(world)
    since = world.clock.now()
    while world.clock.now() - since < timedelta(seconds=15):
        await world.turn()
    assert not {EVICT, ROLLOUT} & set(written(world.pegbox))
    status, _, message = await world.condition("Progressing")
    assert status == "True" and "The disruption budget checkout does not allow" in message
    assert len(said(world)) == 1 and (await world.condition("Degraded"))[0] == "False"
    await allow(world, 9)
    assert (await ended(world)).trials[-1].state is TrialState.ACCEPTED
    assert written(world.pegbox).count(EVICT) == 2 and ROLLOUT not in written(world.pegbox)


async def test_a_budget_that_goes_on_forbidding_gets_a_rollout_after_half_an_ack_timeout() -> None:
    world = await threads()
    await allow(world, 0)
    await world.annotate("try", "threads=3")
    await refused(world)
    intent = await world.intent()
    assert intent is not None and intent.applied_at is not None
    while ROLLOUT not in written(world.pegbox):
        waited = world.clock.now() - intent.applied_at
        await world.turn()
    assert timedelta(seconds=30) <= waited < timedelta(seconds=40)
    assert said(world)[-1].endswith("a rollout restarts the pods instead")
    assert (await ended(world)).trials[-1].state is TrialState.ACCEPTED


async def test_the_pods_that_were_evicted_have_had_their_time_and_the_next_one_has_its_own() -> None:
    """One of two is restarted: the rollout of the other begins one and a half ackTimeouts after the read-back."""
    world = await threads()
    await allow(world, 1)
    await world.annotate("try", "threads=3")
    await refused(world)
    intent = await world.intent()
    assert intent is not None and intent.applied_at is not None and written(world.pegbox).count(EVICT) == 1
    while ROLLOUT not in written(world.pegbox):
        waited = world.clock.now() - intent.applied_at
        await world.turn()
    assert timedelta(seconds=90) <= waited < timedelta(seconds=100)


async def test_where_several_budgets_select_a_pod_a_rollout_begins_at_once_and_the_remedy_is_said() -> None:
    """No time changes it. On the fake as on the server both would allow the eviction."""
    world = await threads()
    await allow(world, 9)
    other = documents.pdb()
    other["metadata"]["name"] = "everything"
    await world.apply(other)
    await world.annotate("try", "threads=3")
    for _ in range(4):
        await world.turn()
    assert written(world.pegbox).count(ROLLOUT) == 1 and EVICT not in written(world.pegbox)
    assert any("more than one PodDisruptionBudget" in text for text in said(world))
    assert (await ended(world)).trials[-1].state is TrialState.ACCEPTED


async def test_a_way_back_waits_for_no_budget() -> None:
    world = await threads()
    await allow(world, 9)
    await world.annotate("try", "threads=3")
    await world.until(lambda: _counted(world, 2))
    await allow(world, 0)
    await world.annotate("rollback")
    since = world.clock.now()
    await ended(world)
    assert written(world.pegbox).count(ROLLOUT) == 1 and written(world.pegbox).count(EVICT) == 2
    assert world.clock.now() - since < timedelta(seconds=30) and len(said(world)) == 1
    assert (await world.own())["data"]["THREADS"] == "2"


async def _counted(world: World, evictions: int) -> bool:
    return written(world.pegbox).count(EVICT) == evictions


async def test_a_canary_waits_for_a_budget_and_says_so() -> None:
    world = await shop()
    await allow(world, 0)
    await world.annotate("try", "lanes=3")
    await refused(world)
    intent = await world.intent()
    assert intent is not None and intent.opening and ROLLOUT not in written(world.pegbox)
    await allow(world, 9)
    await world.turns(3)
    assert written(world.pegbox).count(EVICT) == 1 and len(said(world)) == 1


@pytest.mark.parametrize("allowed", [True, False], ids=["it allows in time", "it never does"])
async def test_at_rest_pods_wait_for_a_budget_for_an_ack_timeout_and_it_is_said(allowed: bool) -> None:
    """They were left by a trial of an older release, whose mode was turned off. After ackTimeout, 30 s, a rollout replaces
    them."""
    world, app = await start()
    await allow(world, 0)
    await world.annotate("try", "lanes=3")
    await world.wake()
    await world.let_go()
    await world.edit(mode="Auto")
    await refused(world)
    since = world.clock.now()
    while world.clock.now() - since < timedelta(seconds=20):
        await world.turn()
        status, reason, message = await world.condition("Progressing")
        assert (status, reason) == ("False", "EvictionForbidden") and "budget checkout" in message
    assert not {EVICT, ROLLOUT} & set(written(world.pegbox)) and await variables(app) == [None, None]
    await allow(world, 9 if allowed else 0)
    await world.turns(8)
    assert await variables(app) == ["3", "3"]
    assert written(world.pegbox).count(ROLLOUT) == (0 if allowed else 1)
    assert (await world.condition("Progressing"))[1] != "EvictionForbidden"


@pytest.mark.parametrize("times", [3, 140], ids=["for a moment", "longer than the trial waits for its pods"])
async def test_an_overloaded_server_is_asked_again_and_is_nobodys_refusal(times: int) -> None:
    """No rollout instead, no word of a budget; in the end no failure of the setting, which may be tried again."""
    world = await threads()
    assert isinstance(world.pegbox, FakeCluster)
    world.pegbox.faults.fail_next("evict", POD, NotAvailable(CROWDED), times)
    await world.annotate("try", "threads=3")
    ledger = await ended(world)
    assert ROLLOUT not in written(world.pegbox) and not said(world)
    trial = ledger.trials[-1]
    if times == 3:
        assert trial.state is TrialState.ACCEPTED
    else:
        assert (trial.state, trial.reason) == (TrialState.INCONCLUSIVE, Reason.NOT_ACKNOWLEDGED)
    assert ledger.breaker.failures == 0
