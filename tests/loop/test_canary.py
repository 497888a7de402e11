"""Canaries: a trial runs in a few pods first, beside the rest; only their values change until it is widened."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.model.reasons import Reason
from pegbox.model.trials import TrialState, TrialSummary
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, LEDGER, POD, Object, Ref
from pegbox.runtime.points import Point
from tests.loop import documents
from tests.loop.killing import Countdown, killed_once
from tests.loop.world import World, make

GUARDS = documents.QUICK | {"trialWindow": "20s", "trialTimeout": "5m"}
"""Windows of 20 s: at 3 events/s one pod of five serves 60 events in each."""


async def shop(pods: int = 5, load: float = 15.0, knobs: tuple[Object, ...] = (), **spec: Any) -> World:
    """Pods with two workers each: 5 events/s per pod; five serve 25 events/s, which is more than arrives."""
    world = await make()
    names = knobs or (documents.hot(),)
    profile = documents.profile("checkout", *names, **({"guards": GUARDS} | spec))
    values = {k["name"]: 2.0 for k in names}
    app = await world.add(profile, documents.deployment(replicas=pods), **values)
    app.service.load = load
    await world.steady()
    await world.turns(12)
    return world


async def began(world: World, wish: str = "workers=3") -> None:
    """The canary is written."""
    await world.annotate("try", wish)
    await world.turn()
    document = await world.document()
    assert document.cohorts, await world.why()


async def compared(world: World) -> None:
    """The canary is in force, and compared."""

    async def holds() -> bool:
        intent = await world.intent()
        return intent is not None and intent.compared and intent.in_force_at is not None

    await world.until(holds)


async def ended(world: World) -> TrialSummary:
    async def known() -> bool:
        ledger = await world.ledger()
        return ledger is not None and (ledger.intent is not None or bool(ledger.trials))

    await world.until(known)  # where it was killed before the intent was stored, it begins anew
    ledger = await world.rest(limit=200)
    assert (await world.document()).cohorts == {}
    return ledger.trials[-1]


async def pod_values(world: World) -> list[float]:
    """`workers` that each pod says it runs, in name order."""
    found = world.metrics.values[world.namespace]
    return [found[pod]["workers"] for pod in sorted(found)]


async def scaled(world: World, replicas: int) -> None:
    target = Ref(DEPLOYMENT, world.namespace, "checkout")
    operation = {"op": "replace", "path": "/spec/replicas", "value": replicas}
    await world.outside.json_patch(target, [operation], subresource="scale")


async def test_the_first_pod_by_name_takes_the_setting_and_all_others_keep_theirs() -> None:
    world = await shop()
    before = (await world.document()).values
    await began(world)
    document = await world.document()
    assert document.values == before == {"workers": "2"}
    (cohort,) = document.cohorts.values()
    names = sorted(world.metrics.values[world.namespace])
    assert (cohort.pods, cohort.values) == ((names[0],), {"workers": "3"})
    await compared(world)
    assert await pod_values(world) == [3, 2, 2, 2, 2]


async def test_a_canary_without_harm_is_widened_judged_again_and_accepted() -> None:
    world = await shop(load=200.0)  # nothing serves all of it: more is better
    await began(world)
    assert (await ended(world)).state is TrialState.ACCEPTED
    assert "TrialWidened" in world.events.reasons()
    assert (await world.document()).values == {"workers": "3"}
    assert await pod_values(world) == [3, 3, 3, 3, 3]


@pytest.mark.parametrize("load", [15.0, 200.0], ids=["all load is served", "load is left over"])
async def test_a_canary_that_hurts_is_put_back_in_its_own_pod(load: float) -> None:
    """Four workers thrash. No other pod ever runs them, and `values` never change."""
    world = await shop(load=load)
    before = (await world.own())["data"]
    await began(world, "workers=4")
    for _ in range(200):
        if await world.intent() is None:
            break
        await world.turn()
        assert (await world.document()).values == {"workers": "2"}
        assert max((await pod_values(world))[1:]) == 2
    trial = await ended(world)
    assert (trial.state, "TrialWidened" in world.events.reasons()) == (TrialState.REVERTED, False)
    ledger = await world.ledger()
    assert ledger is not None and ledger.breaker.failures == 1
    after = (await world.own())["data"]
    assert after.keys() == before.keys()
    assert await pod_values(world) == [2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("slowed", "rest"), [(3.0, 1.0), (1.0, 3.0)], ids=["all pods slow down", "the rest slows down"]
)
async def test_what_slows_the_rest_as_well_is_not_blamed_on_the_canary(slowed: float, rest: float) -> None:
    """The twin of the one before: latency is three times the parent's, which reverts a plain step, and the load rose."""
    world = await shop()
    await began(world)
    await compared(world)
    service = world.apps["checkout"].service
    service.slowed, service.slowed_rest, service.load = slowed, rest, 24.0  # 1.6 times what it was
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "LoadChanged")
    assert "TrialWidened" in world.events.reasons()
    ledger = await world.ledger()
    assert ledger is not None and ledger.breaker.failures == 0
    assert (await world.document()).values == {"workers": "2"}


@pytest.mark.parametrize(
    ("pods", "spec"),
    [
        (3, {}),
        (5, {"trial": {"canary": {"minPods": 6}}}),
        (5, {"trial": {"canary": {"share": "0%"}}}),
    ],
    ids=["three pods", "fewer than minPods", "switched off"],
)
async def test_with_too_few_pods_a_trial_is_a_plain_step(pods: int, spec: dict[str, Any]) -> None:
    world = await shop(pods=pods, load=200.0, **spec)
    await world.annotate("try", "workers=3")
    await world.turn()
    document = await world.document()
    assert (document.values, document.cohorts) == ({"workers": "3"}, {})
    assert (await ended(world)).state is TrialState.ACCEPTED


async def test_a_trial_that_moves_anything_but_hot_settings_is_a_plain_step() -> None:
    world = await shop(load=200.0, knobs=(documents.hot(), documents.env()))
    await world.annotate("try", "workers=3,threads=3")
    await world.turn()
    assert (await world.document()).cohorts == {}


async def test_the_share_is_of_the_ready_pods() -> None:
    world = await shop(pods=10, load=30.0, trial={"canary": {"share": "35%"}})
    await began(world)
    (cohort,) = (await world.document()).cohorts.values()
    assert len(cohort.pods) == 3  # 3.5, rounded down


async def test_an_application_that_ignores_cohorts_is_never_written_further() -> None:
    world = await shop()
    world.apps["checkout"].pods.cohorts = False
    await began(world)
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "NotAcknowledged")
    assert await pod_values(world) == [2, 2, 2, 2, 2]


async def test_a_canary_whose_pod_is_replaced_ends_without_a_verdict() -> None:
    world = await shop()
    await began(world)
    await compared(world)
    (cohort,) = (await world.document()).cohorts.values()
    await world.outside.delete(Ref(POD, world.namespace, cohort.pods[0]))
    await world.pods_step(world.apps["checkout"])
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "CohortGone")
    ledger = await world.ledger()
    assert ledger is not None and ledger.breaker.failures == 0


async def test_another_pod_that_is_replaced_runs_the_incumbent_and_the_canary_goes_on() -> None:
    world = await shop(load=200.0)
    await began(world)
    await compared(world)
    (cohort,) = (await world.document()).cohorts.values()
    other = sorted(world.metrics.values[world.namespace])[2]
    await world.outside.delete(Ref(POD, world.namespace, other))
    await world.pods_step(world.apps["checkout"])
    running = world.metrics.values[world.namespace]
    assert {n: v["workers"] for n, v in running.items() if n not in cohort.pods} == dict.fromkeys(
        set(running) - set(cohort.pods), 2.0
    )
    assert (await ended(world)).state is TrialState.ACCEPTED


async def test_a_stateful_sets_pod_that_comes_back_under_its_name_is_the_canary_again() -> None:
    world = await make()
    profile = documents.profile("checkout", documents.hot(), kind="StatefulSet", guards=GUARDS)
    app = await world.add(profile, documents.stateful_set(replicas=5), workers=2.0)
    app.service.load = 200.0
    await world.steady()
    await world.turns(12)
    await began(world)
    await compared(world)
    (cohort,) = (await world.document()).cohorts.values()
    assert cohort.pods == ("checkout-0",)
    await world.outside.delete(Ref(POD, world.namespace, "checkout-0"))
    await world.pods_step(app)
    assert await pod_values(world) == [3, 2, 2, 2, 2]
    assert (await ended(world)).state is TrialState.ACCEPTED


async def test_pods_that_an_autoscaler_adds_are_incumbent_and_the_canary_goes_on() -> None:
    world = await shop(load=200.0)
    await began(world)
    await compared(world)
    await scaled(world, 8)
    await world.turns(2)
    assert sorted(await pod_values(world)) == [2, 2, 2, 2, 2, 2, 2, 3]
    assert "canary 1 of 8 pods" in (await world.status())["trial"]["state"]
    trial = await ended(world)
    assert trial.state is TrialState.ACCEPTED


async def test_too_few_pods_after_an_autoscaler_took_some_end_it_without_a_verdict() -> None:
    world = await shop()
    await began(world)
    await compared(world)
    await scaled(world, 3)
    await world.turn()
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "CohortGone")
    assert await pod_values(world) == [2, 2, 2]


async def test_a_kill_for_memory_reverts_in_the_canary_and_proves_nothing_elsewhere() -> None:
    for at, state, failures in ((0, "Reverted", 1), (2, "Inconclusive", 0)):
        world = await shop()
        await began(world)
        await compared(world)
        app = world.apps["checkout"]
        names = sorted(world.metrics.values[world.namespace])
        world.clock.skip(2)
        await app.pods.kill(names[at])
        trial = await ended(world)
        assert (trial.state.value, trial.reason.value) == (state, "OOMKilled")
        ledger = await world.ledger()
        assert ledger is not None and ledger.breaker.failures == failures


async def test_what_opposes_in_a_budget_is_lowered_first_in_the_canary_and_then_in_the_rest() -> None:
    """pods * workers * pool: 5 x 2 x 4 = 40 of 40. Workers 2 -> 4 and pool 4 -> 2: pool is lowered first on each side."""
    knobs = documents.hot(), documents.hot("pool", initial=4)
    budget = {"name": "db", "uses": "pods * workers * pool", "limit": 40}
    world = await make()
    profile = documents.profile("checkout", *knobs, guards=GUARDS, budgets=[budget])
    app = await world.add(profile, documents.deployment(replicas=5), workers=2.0, pool=4.0)
    app.service.load = 200.0
    await world.steady()
    await world.turns(12)
    await world.annotate("try", "workers=3,pool=2")
    seen: list[tuple[dict[str, str], dict[str, str]]] = []
    for _ in range(200):
        await world.turn()
        document = await world.document()
        told = {n: t for c in document.cohorts.values() for n, t in c.values.items()}
        stage = dict(document.values), told
        if not seen or seen[-1] != stage:
            seen.append(stage)
        if await world.intent() is None:
            break
    parent = {"workers": "2", "pool": "4"}
    assert seen[:2] == [(parent, {"pool": "2"}), (parent, {"pool": "2", "workers": "3"})]
    assert seen[2:4] in (
        [({"workers": "2", "pool": "2"}, {"workers": "3"}), ({"workers": "3", "pool": "2"}, {})],
        [(parent, {"pool": "2"}), (parent, {})],  # put back: first lowered, then raised
    )


async def test_status_and_explain_say_which_part_of_the_pods_it_is() -> None:
    world = await shop()
    await began(world)
    await compared(world)
    status = await world.status()
    assert status["trial"]["state"].endswith("in force, canary 1 of 5 pods")
    assert "canary 1 of 5 pods" in status["why"]
    assert status["next"] == "compare the canary with the rest, then widen or revert it"
    assert status["setting"] == [{"name": "workers", "value": "2"}]


async def test_a_canary_asks_the_metrics_server_no_more_than_a_plain_step() -> None:
    def asked(world: World) -> int:
        return len({(q.signal.name, q.window) for q in world.metrics.asked})

    async def questions(world: World) -> int:
        await world.annotate("try", "workers=3")
        await world.turn()
        world.metrics.asked.clear()
        await world.turn()
        return len(world.metrics.asked)

    canary, plain = await shop(), await shop(trial={"canary": {"share": "0%"}})
    assert await questions(canary) == await questions(plain)
    assert asked(canary) == asked(plain)


async def test_an_edit_of_the_cohort_ends_the_trial_and_empties_it() -> None:
    world = await shop()
    await began(world)
    await compared(world)
    text = (await world.own())["data"]["settings.json"].replace('"workers": "3"', '"workers": "9"')
    await world.patch(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"), "/data/settings.json", text)
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "ForeignChange")
    assert await pod_values(world) == [2, 2, 2, 2, 2]


async def test_a_cohort_that_somebody_adds_at_rest_is_taken_away() -> None:
    world = await shop()
    name = sorted(world.metrics.values[world.namespace])[0]
    entry = f'"cohorts": {{"mine": {{"pods": ["{name}"], "values": {{"workers": "9"}}}}}}'
    text = (await world.own())["data"]["settings.json"].replace('"cohorts": {}', entry)
    await world.patch(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"), "/data/settings.json", text)
    await world.turns(5)
    document = await world.document()
    assert (document.values, document.cohorts) == ({"workers": "2"}, {})


async def test_leaving_auto_keeps_the_canary_until_auto_is_back() -> None:
    world = await shop()
    await began(world)
    await compared(world)
    await world.edit(mode="Recommend")
    await world.turns(5)
    assert (await world.document()).cohorts
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None and ledger.incumbent.number("workers") == 2
    await world.edit(mode="Auto")
    await world.turns(10)
    assert (await world.document()).cohorts == {}
    assert await pod_values(world) == [2, 2, 2, 2, 2]


@pytest.mark.parametrize("policy", ["Restore", "Keep"])
async def test_deleting_the_profile_in_mid_canary_empties_the_cohort(policy: str) -> None:
    world = await shop(deletionPolicy=policy)
    await began(world)
    await compared(world)
    await world.delete()
    for _ in range(30):
        if not await world.exists():
            break
        await world.turn()
    assert not await world.exists()
    document = await world.document()
    assert (document.values, document.cohorts) == ({"workers": "2"}, {})


async def test_a_ledger_lost_in_mid_canary_leaves_the_parent_everywhere() -> None:
    world = await shop()
    await began(world)
    await compared(world)
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    await world.turns(10)
    document = await world.document()
    assert (document.values, document.cohorts) == ({"workers": "2"}, {})


POINTS = (
    Point.BEFORE_LEDGER,
    Point.AFTER_LEDGER,
    Point.BEFORE_DOCUMENT,
    Point.AFTER_DOCUMENT,
    Point.BEFORE_READ_BACK,
    Point.AFTER_READ_BACK,
    Point.BEFORE_STATUS,
)


@pytest.mark.parametrize("wish", ["workers=3", "workers=4"], ids=["widened", "put back"])
@pytest.mark.parametrize("time", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
async def test_killed_anywhere_in_a_canary_the_next_start_goes_on(point: Point, time: int, wish: str) -> None:
    """Each point of each stage: the canary's, the widening's or the way back's."""
    world = await shop(load=200.0)
    await world.annotate("try", wish)
    await killed_once(world, Countdown(point, time), turns=40)
    trial = await ended(world)
    good = "3" if trial.state is TrialState.ACCEPTED else "2"
    assert trial.state is (TrialState.ACCEPTED if wish == "workers=3" else TrialState.REVERTED)
    assert (await world.document()).values == {"workers": good}
    assert set(await pod_values(world)) == {float(good)}


async def test_the_harm_of_a_canary_is_no_incident_of_the_rest_that_would_hide_it() -> None:
    """Seed 2000005051 of the schedules: 12 events of the canary in a window prove nothing at once, and what both pods
    take together is twice what the incumbent takes. Several windows prove it."""
    half = {"canary": {"share": "50%", "minPods": 2}}
    world = await shop(pods=2, load=1.2, trial=half, guards=GUARDS | {"errorBudgetShare": "100%"})
    await began(world, "workers=4")
    trial = await ended(world)
    assert (trial.state, trial.reason) == (TrialState.REVERTED, Reason.SLO_BREACHED)
    assert (await world.ledger()).halted is None
