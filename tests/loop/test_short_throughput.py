"""A trial that serves less of what arrives, from `try` to its end, at unchanged latency or with none at all; and one that
does badly only while others change its pods.

Two pods with two workers each bear 10 events/s, which is what arrives: the parent serves its load.
"""

from __future__ import annotations

import math

import pytest

from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger, TrialState
from tests.loop import documents
from tests.loop.service import Service
from tests.loop.world import World, make

GUARDS = documents.QUICK | {"trialWindow": "20s", "trialTimeout": "30m"}


async def serving(objective: str = "MaximizeThroughput", load: float = 10.0, **more: object) -> World:
    world = await make()
    await world.add(documents.profile(objective=objective, guards=GUARDS, **more), workers=2)
    world.apps["checkout"].service.load = load
    await world.steady()
    await world.turns(12)
    return world


async def tried(world: World, wish: str) -> Ledger:
    await world.annotate("try", wish)
    await world.turn()
    return await world.rest()


async def test_half_of_the_workers_serve_half_of_the_load_and_are_not_as_good() -> None:
    """The audit's: 5 of 10 events/s, at 0.3 s as before and 99 % of them fast, was accepted as good as its parent."""
    world = await serving("MinimizeCost")
    ledger = await tried(world, "workers=1")
    assert [(t.state, t.reason) for t in ledger.trials] == [(TrialState.REVERTED, Reason.REGRESSION)]
    assert (await world.values(), ledger.breaker.failures) == ({"workers": "2"}, 1)


async def test_fewer_workers_that_serve_all_of_it_are_accepted() -> None:
    world = await serving("MinimizeCost", load=5.0)
    ledger = await tried(world, "workers=1")
    assert [(t.state, t.reason) for t in ledger.trials] == [(TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED)]
    assert await world.values() == {"workers": "1"}


@pytest.mark.parametrize("part", [0.0, 0.5], ids=["nothing", "half"])
async def test_a_stall_ends_within_the_looks_of_two_bad_samples(part: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event, no latency, no SLO: it lasted until trialTimeout, 30 minutes of outage, and was not even counted."""
    world = await serving()
    plain = Service.throughput

    def stalled(self: Service) -> float:
        return plain(self) * (part if self.values.get("workers", 0) >= 3 else 1.0)

    monkeypatch.setattr(Service, "throughput", stalled)
    began = world.clock.now()
    ledger = await tried(world, "workers=3")
    assert [(t.state, t.reason) for t in ledger.trials] == [(TrialState.REVERTED, Reason.REGRESSION)]
    assert (ledger.trials[0].ended_at - began).total_seconds() < 60
    assert (await world.values(), ledger.breaker.failures) == ({"workers": "2"}, 1)


async def test_what_does_not_arrive_is_not_held_against_a_trial() -> None:
    world = await serving()
    await world.annotate("try", "workers=3")
    await world.turn()
    world.apps["checkout"].service.load = 0.0
    ledger = await world.rest(limit=600)
    assert [t.state for t in ledger.trials] == [TrialState.INCONCLUSIVE]
    assert ledger.breaker.failures == 0


async def settled_in_trial() -> World:
    """Long enough that no window reaches back into what the trial's own write did, and not judged yet."""
    world = await serving()
    await world.annotate("try", "workers=3")
    await world.turn()

    async def settled() -> bool:
        intent, now = await world.intent(), world.clock.now()
        return intent is not None and intent.in_force_at is not None and (now - intent.in_force_at).total_seconds() > 22

    await world.until(settled)
    return world


@pytest.mark.parametrize("scaled", [True, False], ids=["somebody_scales", "nobody_does"])
@pytest.mark.parametrize("slowed", [2.0, 5.0], ids=["late_within_the_slo", "an_slo_lost_and_its_budget"])
async def test_what_is_bad_while_somebody_scales_is_put_back_and_blamed_on_nobody(scaled: bool, slowed: float) -> None:
    world = await settled_in_trial()
    app = world.apps["checkout"]
    app.service.slowed = slowed
    if scaled:
        await world.patch(app.pods._target, "/spec/replicas", 3)
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"}
    told = [(t.state, t.reason) for t in ledger.trials]
    if scaled:
        assert (told[0][0], ledger.breaker.failures) == (TrialState.INCONCLUSIVE, 0)
        assert told[0][1] in (Reason.SCALED, Reason.ROLLOUT_IN_PROGRESS), "as the newest look tells it"
    else:
        why = Reason.REGRESSION if slowed == 2.0 else Reason.ERROR_BUDGET_SPENT
        assert (told, ledger.breaker.failures) == ([(TrialState.REVERTED, why)], 1)


def needed(service: Service) -> int:
    """An HPA's wish, 2 to 12 pods: eight tenths of what its pods can serve, and nothing within a tenth of that."""
    busy = min(1.0, service.load / (service.values["workers"] / 0.4 * service.pods)) / 0.8
    return service.pods if abs(busy - 1) <= 0.1 else math.ceil(service.pods * busy)


@pytest.mark.parametrize("answers", [True, False], ids=["an_autoscaler_answers", "nobody_does"])
async def test_half_of_each_pods_capacity_is_no_saving_where_more_pods_make_up_for_it(answers: bool) -> None:
    """It was accepted as good as its parent, with 5 pods of one worker instead of 3 of two: two thirds more pods."""
    world = await make()
    await world.apply(documents.hpa(low=2, high=12))
    profile = documents.profile("checkout", documents.hot(), guards=GUARDS, objective="MinimizeCost")
    app = await world.add(profile, documents.deployment("checkout", replicas=2), workers=2)
    app.service.load = 9.5
    app.wants = lambda _: 3
    await world.steady()
    await world.turns(12)
    app.wants = needed if answers else lambda _: 3
    ledger = await tried(world, "workers=1")
    told = [(t.state, t.reason) for t in ledger.trials]
    assert await world.values() == {"workers": "2"}
    if answers:
        assert (told, ledger.breaker.failures) == ([(TrialState.INCONCLUSIVE, Reason.SCALED)], 0)
    else:
        assert (told, ledger.breaker.failures) == ([(TrialState.REVERTED, Reason.REGRESSION)], 1)
