"""Restarts while nothing may be evicted: whose refusal it is, how long it is waited for, and what is said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pegbox.model.errors import NotAvailable
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger, TrialState, TrialSummary
from pegbox.ports import PDB, POD, POD_ENVIRONMENT, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.test_canary_pod_env import shop
from tests.loop.test_pod_env import start, trial, variables
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


async def threads(pods: int = 2, strategy: dict[str, Any] | None = None) -> World:
    """Pods that take their threads by envFrom."""
    world = await make()
    profile = documents.profile("checkout", documents.hot(), documents.env(), guards=GUARDS)
    target = documents.deployment(replicas=pods)
    target["spec"] |= {"strategy": strategy} if strategy else {}
    await world.add(profile, target, workers=2, threads=2)
    await world.steady()
    return world


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


async def tried(world: World) -> TrialSummary:
    """Turns until a trial was judged, or ended otherwise; its way back may last."""

    async def over() -> bool:
        ledger = await world.ledger()
        return ledger is not None and bool(ledger.trials)

    await world.until(over, limit=200)
    ledger = await world.ledger()
    assert ledger is not None
    return ledger.trials[-1]


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


async def test_at_rest_each_pod_that_comes_without_the_variable_gets_its_rollout_once() -> None:
    """The object is deleted and a node drained, twice, between the same two trials. It is said once per rollout."""
    world, app = await start(target=documents.deployment(replicas=3))
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.steady()
    await allow(world, 0)
    for rollouts in (1, 2):
        await world.outside.delete(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
        await app.pods._end((await app.pods.pods())[0])
        await world.pods_step(app)
        assert None in await variables(app)
        await world.turns(20)
        assert await variables(app) == ["3"] * 3 and written(world.pegbox).count(ROLLOUT) == rollouts
        assert len([text for text in said(world) if "a rollout" in text]) == rollouts
    await world.annotate("try", "workers=3")
    await world.turn()
    assert len((await world.rest()).trials) == 2


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


ALL_AT_ONCE = [
    pytest.param(2, {"type": "Recreate"}, True, id="Recreate"),
    pytest.param(1, {"type": "Recreate"}, True, id="Recreate of one pod"),
    pytest.param(2, rolling(0, "100%"), True, id="all may be unavailable"),
    pytest.param(2, rolling(1, 2), True, id="what is added above the replicas keeps no old pod"),
    pytest.param(1, rolling(0, "25%"), True, id="one of one, where nothing else could move"),
    pytest.param(2, {}, False, id="the twin: what the server makes of no strategy"),
    pytest.param(2, rolling(0, 1), False, id="the twin: one of two"),
    pytest.param(2, rolling("50%", "99%"), False, id="the twin: 1.98 of two is one"),
    pytest.param(1, rolling("25%", "25%"), False, id="the twin: the only pod ends once another is ready"),
]


@pytest.mark.parametrize(("pods", "strategy", "at_once"), ALL_AT_ONCE)
async def test_a_trial_never_rolls_out_where_that_may_end_all_pods_at_once(
    pods: int, strategy: dict[str, Any], at_once: bool
) -> None:
    """The budget forbids it for good: the trial ends for want of restarts, and its way back does not do it either."""
    world = await threads(pods, strategy)
    await allow(world, 0)
    await world.annotate("try", "threads=3")
    trial = await tried(world)
    if not at_once:
        assert trial.state is TrialState.ACCEPTED and ROLLOUT in written(world.pegbox)
        return
    assert (trial.state, trial.reason) == (TrialState.INCONCLUSIVE, Reason.NOT_ACKNOWLEDGED)
    await world.turns(30)
    assert not {EVICT, ROLLOUT} & set(written(world.pegbox))
    assert (await world.own())["data"]["THREADS"] == "2" and await world.intent() is not None
    assert "The disruption budget checkout does not allow" in await world.why()
    await allow(world, 9)
    assert (await ended(world)).breaker.failures == 0
    assert written(world.pegbox).count(EVICT) == pods and ROLLOUT not in written(world.pegbox)


@pytest.mark.parametrize("pods", [1, 2])
async def test_it_restarts_them_by_evictions_where_the_budget_allows(pods: int) -> None:
    world = await threads(pods, {"type": "Recreate"})
    await allow(world, 9)
    await world.annotate("try", "threads=3")
    assert (await tried(world)).state is TrialState.ACCEPTED
    assert written(world.pegbox).count(EVICT) == pods and ROLLOUT not in written(world.pegbox)


@pytest.mark.parametrize("why", ["harm", "a person"])
async def test_the_way_back_from_harm_or_by_request_rolls_out_all_the_same(why: str) -> None:
    world = await threads(2, {"type": "Recreate"})
    await allow(world, 9)
    await world.annotate("try", "threads=4" if why == "harm" else "threads=3")  # 4 thrashes
    await world.until(lambda: _counted(world, 2))
    await allow(world, 0)
    if why == "a person":
        await world.annotate("rollback")
    assert (await ended(world)).trials[-1].state is TrialState.REVERTED
    assert written(world.pegbox).count(ROLLOUT) == 1
