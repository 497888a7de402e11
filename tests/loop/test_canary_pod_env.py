"""Canaries of variables by admission: a share of the pods is replaced under the new value, and judged beside the rest."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.adapters.kube import environment
from pegbox.model.errors import Refused
from pegbox.model.trials import TrialState, TrialSummary
from pegbox.ports import DEPLOYMENT, LEDGER, POD, POD_ENVIRONMENT, Object, Ref
from pegbox.runtime.points import Point
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.killing import Countdown, killed_once
from tests.loop.world import World, make, written

GUARDS = documents.QUICK | {"trialWindow": "20s", "trialTimeout": "5m"}
"""Windows of 20 s: at 3 events/s one pod of five serves 60 events in each."""
EVICT = ("evict", "Pod", "eviction")
WRITE = ("apply", "PodEnvironment", "")
ROLLOUT = ("apply", "Deployment", "")


async def shop(pods: int = 5, load: float = 200.0, target: Object | None = None, **spec: Any) -> World:
    """Pods with two workers and two lanes each: 10 events/s per pod, of the 200 that arrive."""
    world = await make()
    for body in documents.policy():
        await world.outside.apply(body)
    kind = (target or {}).get("kind", "Deployment")
    knobs = spec.pop("knobs", (documents.hot(), documents.variable()))
    profile = documents.profile("checkout", *knobs, kind=kind, **({"guards": GUARDS} | spec))
    app = await world.add(profile, target or documents.deployment(replicas=pods), workers=2.0, lanes=2.0)
    app.service.load = load
    await world.steady()
    await world.turns(12)
    return world


def server(world: World) -> FakeCluster:
    assert isinstance(world.pegbox, FakeCluster)
    return world.pegbox


async def lanes(world: World) -> dict[str, str | None]:
    """LANES of each pod; None where it states none, which is 2."""
    pods = await world.apps["checkout"].pods.pods()
    return {str(p["metadata"]["name"]): environment.stated(p, "app").get("LANES") for p in pods}


async def counted(world: World, text: str | None) -> int:
    return list((await lanes(world)).values()).count(text)


async def parameter(world: World) -> dict[str, str] | None:
    """What new pods take; None where there is no object."""
    body = await world.find(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
    return None if body is None else {n: e["value"] for n, e in environment.entries(body).items()}


async def opened(world: World, wish: str = "lanes=3") -> None:
    """New pods take the value; none was replaced yet."""
    await world.annotate("try", wish)
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.opening, await world.why()
    assert (await parameter(world)) == {"LANES": wish.partition("=")[2]} and EVICT not in written(world.pegbox)


async def closed(world: World, wish: str = "lanes=3") -> tuple[str, ...]:
    """New pods are as the rest again; the cohort is known."""
    await world.annotate("try", wish)

    async def known() -> bool:
        intent = await world.intent()
        return intent is not None and intent.compared and intent.applied_at is not None

    await world.until(known)
    intent = await world.intent()
    assert intent is not None and intent.cohort is not None
    return intent.cohort.pods


async def compared(world: World, wish: str = "lanes=3") -> tuple[str, ...]:
    pods = await closed(world, wish)

    async def holds() -> bool:
        intent = await world.intent()
        return intent is not None and intent.compared and intent.in_force_at is not None

    await world.until(holds)
    return pods


async def ended(world: World) -> TrialSummary:
    async def known() -> bool:
        ledger = await world.ledger()
        return ledger is not None and (ledger.intent is not None or bool(ledger.trials))

    await world.until(known)
    ledger = await world.rest(limit=200)
    return ledger.trials[-1]


async def scaled(world: World, replicas: int) -> None:
    operation = {"op": "replace", "path": "/spec/replicas", "value": replicas}
    await world.outside.json_patch(Ref(DEPLOYMENT, world.namespace, "checkout"), [operation], subresource="scale")


# What happens, in order.


async def test_one_pod_of_five_is_replaced_and_then_new_pods_are_as_the_rest_again() -> None:
    world = await shop()
    before = set(await lanes(world))
    cohort = await closed(world)
    after = await lanes(world)
    assert written(world.pegbox).count(EVICT) == 1 and len(before & set(after)) == 4
    assert after == dict.fromkeys(after, None) | {cohort[0]: "3"} and len(cohort) == 1
    assert await parameter(world) == {}
    notes = (await world.outside.get(Ref(POD_ENVIRONMENT, world.namespace, "checkout")))["metadata"]["annotations"]
    assert "pegbox.dev/parents" not in notes


async def test_while_it_stands_the_object_says_what_is_to_stand_after_it() -> None:
    world = await shop()
    await opened(world)
    body = await world.outside.get(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
    assert body["metadata"]["annotations"]["pegbox.dev/parents"] == '{"lanes": "2"}'


async def test_a_canary_without_harm_is_widened_judged_again_and_accepted() -> None:
    world = await shop()
    cohort = await compared(world)
    assert (await ended(world)).state is TrialState.ACCEPTED
    assert "TrialWidened" in world.events.reasons()
    assert await counted(world, "3") == 5 and await parameter(world) == {"LANES": "3"}
    assert cohort[0] in await lanes(world)  # it has the value already: nobody replaces it again
    assert written(world.pegbox).count(EVICT) == 5


@pytest.mark.parametrize("load", [30.0, 200.0], ids=["all load is served", "load is left over"])
async def test_a_canary_that_hurts_is_put_back_in_its_own_pods(load: float) -> None:
    """Four lanes thrash. No other pod ever has them, and the Deployment is not touched."""
    world = await shop(load=load)
    await world.annotate("try", "lanes=4")
    for _ in range(200):
        await world.turn()
        assert await counted(world, "4") <= 1
        if await world.intent() is None:
            break
    trial = await ended(world)
    assert (trial.state, "TrialWidened" in world.events.reasons()) == (TrialState.REVERTED, False)
    ledger = await world.ledger()
    assert ledger is not None and ledger.breaker.failures == 1
    assert await counted(world, None) == 5 and await parameter(world) == {}
    assert written(world.pegbox).count(EVICT) == 2 and ROLLOUT not in written(world.pegbox)


async def test_what_slows_all_pods_is_not_blamed_on_the_canary() -> None:
    """The twin: three times the parent's latency, on both sides."""
    world = await shop(load=30.0)
    await compared(world)
    service = world.apps["checkout"].service
    service.slowed, service.load = 3.0, 45.0
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "LoadChanged")
    assert "TrialWidened" in world.events.reasons()


async def test_the_share_is_of_the_ready_pods_and_one_is_replaced_after_the_other() -> None:
    world = await shop(pods=10, trial={"canary": {"share": "35%"}})
    await world.annotate("try", "lanes=3")
    seen = []
    for _ in range(20):
        await world.turn()
        seen.append(await counted(world, "3"))
        intent = await world.intent()
        if intent is not None and intent.compared:
            break
    assert seen == sorted(seen) and max(seen) == 3 and {1, 2, 3} <= set(seen)


async def test_a_hot_knob_moves_in_the_cohort_once_its_pods_are_known() -> None:
    world = await shop()
    cohort = await compared(world, "lanes=3,workers=3")
    document = await world.document()
    assert document.values == {"workers": "2"}
    (listed,) = document.cohorts.values()
    assert (listed.pods, listed.values) == (cohort, {"workers": "3"})
    assert (await ended(world)).state is TrialState.ACCEPTED
    document = await world.document()
    assert (document.values, document.cohorts) == ({"workers": "3"}, {})
    assert await counted(world, "3") == 5


async def test_a_workload_that_says_nothing_has_one_too() -> None:
    """Its pods acknowledge nothing: what admission put into a pod stands in the pod."""
    world = await make()
    for body in documents.policy():
        await world.outside.apply(body)
    profile = documents.profile("checkout", documents.variable(), guards=GUARDS)
    app = await world.add(profile, documents.deployment(replicas=5), lanes=2.0)
    app.silent = True
    await world.steady()
    await world.turns(12)
    assert len(await compared(world)) == 1
    assert (await ended(world)).state is TrialState.ACCEPTED
    assert await counted(world, "3") == 5


async def test_pods_of_a_stateful_set_keep_their_names() -> None:
    world = await shop(target=documents.stateful_set(replicas=5))
    assert await compared(world) == ("checkout-0",)
    assert await lanes(world) == {f"checkout-{n}": None if n else "3" for n in range(5)}
    assert (await ended(world)).state is TrialState.ACCEPTED


# Plain steps, as before.


@pytest.mark.parametrize(
    ("pods", "wish", "spec"),
    [
        (3, "lanes=3", {}),
        (5, "lanes=3", {"trial": {"canary": {"minPods": 6}}}),
        (5, "lanes=3", {"trial": {"canary": {"share": "0%"}}}),
        (
            5,
            "lanes=3,workers=1",
            {"budgets": [{"name": "db", "uses": "pods * workers * lanes", "limit": 60}]},
        ),
    ],
    ids=["three pods", "fewer than minPods", "switched off", "a hot knob opposes it in a budget"],
)
async def test_a_plain_step_stands_for_every_new_pod(pods: int, wish: str, spec: dict[str, Any]) -> None:
    world = await shop(pods=pods, **spec)
    await world.annotate("try", wish)
    await world.turn()
    intent = await world.intent()
    assert intent is not None and intent.cohort is None
    trial = await ended(world)
    assert trial.state is TrialState.ACCEPTED or "workers" in wish
    assert await counted(world, "3" if trial.state is TrialState.ACCEPTED else None) == pods


async def test_a_variable_through_envfrom_beside_it_makes_it_a_plain_step() -> None:
    knobs = (documents.hot(), documents.variable(), documents.env())
    world = await shop(knobs=knobs)
    await world.annotate("try", "lanes=3,threads=3")
    await world.turn()
    intent = await world.intent()
    assert intent is not None and intent.cohort is None


async def test_where_a_disruption_budget_lets_no_pod_go_it_becomes_a_plain_step() -> None:
    """Nothing is rolled out for a canary: that would bring its value to every pod."""
    world = await shop()
    await world.apply(documents.pdb())
    await world.annotate("try", "lanes=3")
    for _ in range(60):
        await world.turn()
        intent = await world.intent()
        if intent is not None and intent.cohort is None:
            break
        assert ROLLOUT not in written(world.pegbox) and await counted(world, "3") == 0
    assert (await ended(world)).state is TrialState.ACCEPTED
    assert await counted(world, "3") == 5 and written(world.pegbox).count(ROLLOUT) == 1


# Pods that others make, and pods that go.


async def test_pods_that_are_made_beside_the_cohort_are_as_the_rest() -> None:
    world = await shop()
    cohort = await compared(world)
    await scaled(world, 8)
    await world.turns(2)
    found = await lanes(world)
    assert len(found) == 8 and [n for n, text in found.items() if text == "3"] == [*cohort]
    assert "canary 1 of 8 pods" in (await world.status())["trial"]["state"]
    assert (await ended(world)).state is TrialState.ACCEPTED
    assert await counted(world, "3") == 8


async def test_pods_that_an_autoscaler_adds_while_it_stands_are_the_canary_or_are_replaced() -> None:
    """Three come at once and have the value: one of them is the canary, no other pod is touched for it."""
    world = await shop()
    await opened(world)
    before = set(await lanes(world))
    await scaled(world, 8)
    await world.pods_step(world.apps["checkout"])
    assert await counted(world, "3") == 3
    cohort = await closed(world, "lanes=3")
    await compared(world)
    found = await lanes(world)
    assert before < set(found) and [n for n, text in found.items() if text == "3"] == [*cohort]
    assert written(world.pegbox).count(EVICT) == 2
    assert (await ended(world)).state is TrialState.ACCEPTED


async def test_a_canary_whose_pod_is_replaced_ends_without_a_verdict() -> None:
    """Its successor is as the rest: nothing has to be put back."""
    world = await shop()
    cohort = await compared(world)
    await world.outside.delete(Ref(POD, world.namespace, cohort[0]))
    await world.pods_step(world.apps["checkout"])
    assert await counted(world, "3") == 0
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "CohortGone")
    assert written(world.pegbox).count(EVICT) == 1


async def test_a_stateful_sets_pod_that_comes_back_without_the_variables_has_left_the_cohort() -> None:
    world = await shop(target=documents.stateful_set(replicas=10), trial={"canary": {"share": "30%"}})
    assert await compared(world) == ("checkout-0", "checkout-1", "checkout-2")
    await world.outside.delete(Ref(POD, world.namespace, "checkout-1"))
    await world.pods_step(world.apps["checkout"])
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "CohortGone")
    assert await counted(world, None) == 10


async def test_too_few_pods_after_an_autoscaler_took_some_end_it_without_a_verdict() -> None:
    world = await shop()
    await compared(world)
    await scaled(world, 3)
    await world.turn()
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "CohortGone")
    assert await counted(world, None) == 3


async def test_a_kill_for_memory_reverts_in_the_canary_and_proves_nothing_elsewhere() -> None:
    for own, state, failures in ((True, "Reverted", 1), (False, "Inconclusive", 0)):
        world = await shop()
        cohort = await compared(world)
        names = sorted(await lanes(world))
        world.clock.skip(2)
        await world.apps["checkout"].pods.kill(cohort[0] if own else next(n for n in names if n not in cohort))
        trial = await ended(world)
        assert (trial.state.value, trial.reason.value) == (state, "OOMKilled")
        ledger = await world.ledger()
        assert ledger is not None and ledger.breaker.failures == failures
        assert await counted(world, None) == 5


async def test_pods_made_of_old_variables_are_no_part_of_it_and_another_one_is_replaced() -> None:
    world = await shop()
    await opened(world)
    server(world).admission.behind, server(world).admission._before = 2, ()
    cohort = await closed(world)
    assert await counted(world, "3") == 1 and len(cohort) == 1
    assert written(world.pegbox).count(EVICT) == 3
    assert (await ended(world)).state is TrialState.ACCEPTED


async def test_a_pod_that_took_the_value_late_is_replaced() -> None:
    """An informer lags behind the closing, too."""
    world = await shop()
    await world.annotate("try", "lanes=3")

    async def closing() -> bool:
        intent = await world.intent()
        return intent is not None and intent.compared

    await world.until(closing)
    cohort = [n for n, text in (await lanes(world)).items() if text == "3"]
    late = Ref(POD, world.namespace, next(n for n in await lanes(world) if n not in cohort))
    env = {"op": "add", "path": "/spec/containers/0/env", "value": [{"name": "LANES", "value": "3"}]}
    await world.outside.json_patch(late, [env])
    assert await counted(world, "3") == 2

    async def in_force() -> bool:
        intent = await world.intent()
        return intent is not None and intent.in_force_at is not None

    await world.until(in_force)
    assert written(world.pegbox).count(EVICT) == 2
    assert [n for n, text in (await lanes(world)).items() if text == "3"] == [*cohort]


async def test_where_admission_misses_the_pods_of_a_canary_it_ends_and_evictions_do() -> None:
    world = await shop()
    await opened(world)
    server(world).admission.failing = True
    ledger = await world.rest(limit=200)
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", "AdmissionMissed")
    evicted = written(world.pegbox).count(EVICT)
    assert await counted(world, None) == 5 and await parameter(world) == {} and evicted <= 16
    await world.turns(20)
    assert written(world.pegbox).count(EVICT) == evicted


# What others do in mid-canary.


@pytest.mark.parametrize("when", [opened, compared], ids=["while it stands", "while it is compared"])
async def test_a_rollout_in_mid_canary_ends_it_and_every_pod_is_as_the_new_template_says(when: Any) -> None:
    world = await shop()
    await when(world)
    body = documents.deployment(replicas=5)
    body["spec"]["template"]["metadata"]["annotations"] = {"deployed": "again"}
    await world.apply(body)
    await world.pods_step(world.apps["checkout"])
    trial = await ended(world)
    assert (trial.state.value, trial.reason.value) == ("Inconclusive", "Deployed")
    assert await counted(world, None) == 5 and await parameter(world) == {}


@pytest.mark.parametrize("when", [opened, compared], ids=["while it stands", "while it is compared"])
async def test_an_owner_who_states_the_variable_by_now_has_his_own_everywhere(when: Any) -> None:
    world = await shop(knobs=(documents.hot(), documents.variable(conflictPolicy="Take")))
    await when(world)
    await world.apply(documents.with_variables(documents.deployment(replicas=5), {"name": "LANES", "value": "1"}))
    await world.pods_step(world.apps["checkout"])
    assert await counted(world, "1") == 5
    ledger = await world.rest(limit=120)
    assert ledger.incumbent is not None and ledger.incumbent.number("lanes") == 1
    assert await counted(world, "1") == 5


@pytest.mark.parametrize("when", [opened, compared], ids=["while it stands", "while it is compared"])
async def test_an_edited_value_of_our_object_ends_it_and_stays(when: Any) -> None:
    world = await shop()
    assert await world.rest() and await parameter(world) is None
    await when(world)
    env = [{"name": "LANES", "value": "1"}]
    await world.patch(Ref(POD_ENVIRONMENT, world.namespace, "checkout"), "/spec/env", env)
    evicted = written(world.pegbox).count(EVICT)
    trial = await ended(world)
    assert trial.state is TrialState.INCONCLUSIVE and await parameter(world) == {"LANES": "1"}
    assert written(world.pegbox).count(EVICT) <= evicted + 1


@pytest.mark.parametrize("when", [opened, closed, compared])
@pytest.mark.parametrize("policy", ["Restore", "Keep"])
async def test_deleting_the_profile_puts_the_canarys_pods_back(policy: str, when: Any) -> None:
    world = await shop(deletionPolicy=policy)
    await when(world)
    if when is opened:
        await world.pods_step(world.apps["checkout"])
    await world.delete()
    for _ in range(40):
        if not await world.exists():
            break
        await world.turn()
    assert not await world.exists()
    assert await counted(world, None) == 5 and not await parameter(world)


@pytest.mark.parametrize("then", ["goes on", "is deleted"])
@pytest.mark.parametrize("when", [opened, closed, compared])
async def test_a_ledger_lost_in_mid_canary_leaves_the_parent_everywhere(when: Any, then: str) -> None:
    """While it stands, too: the object says what the rest has."""
    world = await shop()
    await when(world)
    await world.pods_step(world.apps["checkout"])
    await world.wake()
    await world.pods_step(world.apps["checkout"])
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    if then == "is deleted":
        await world.turn()
        await world.delete()
        for _ in range(40):
            if not await world.exists():
                break
            await world.turn()
        assert not await world.exists()
    else:
        ledger = await world.steady()
        assert ledger.incumbent is not None and ledger.incumbent.number("lanes") == 2
    assert await counted(world, None) == 5 and not await parameter(world)


@pytest.mark.parametrize("when", [opened, compared], ids=["while it stands", "while it is compared"])
async def test_leaving_auto_keeps_the_canary_until_auto_is_back_and_never_widens_it(when: Any) -> None:
    world = await shop()
    await when(world)
    await world.edit(mode="Recommend")
    await world.turns(3)
    writes = written(world.pegbox).count(WRITE), written(world.pegbox).count(EVICT)
    await world.turns(3)
    assert (written(world.pegbox).count(WRITE), written(world.pegbox).count(EVICT)) == writes
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None and ledger.incumbent.number("lanes") == 2
    await world.edit(mode="Auto")
    await world.turns(12)
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None and ledger.incumbent.number("lanes") == 2
    assert await counted(world, None) == 5 and not await parameter(world)


async def test_a_global_restore_in_mid_canary_puts_its_pods_back() -> None:
    world = await shop()
    await compared(world)
    world.brake("restore")

    async def removed() -> bool:
        return await parameter(world) is None

    await world.until(removed)
    assert await counted(world, None) == 5


async def test_status_says_what_it_waits_for_and_which_part_of_the_pods_it_is() -> None:
    world = await shop()
    await opened(world)
    assert (await world.status())["next"] == "replace pods until the canary has its variables"
    assert "canary 0 of 5 pods" in (await world.status())["trial"]["state"]
    await compared(world)
    assert (await world.status())["trial"]["state"].endswith("in force, canary 1 of 5 pods")
    assert {"name": "lanes", "value": "2"} in (await world.status())["setting"]


# Budgets, and kills.


async def test_no_budget_is_exceeded_by_the_cohort_and_its_successors() -> None:
    """A rollout might add 2 pods: (5 + 2) x 2 x 3 = 42 of 42."""
    budget = {"name": "db", "uses": "pods * workers * lanes", "limit": 42}
    world = await shop(budgets=[budget])
    await world.annotate("try", "lanes=3")
    for _ in range(200):
        await world.turn()
        assert sum(2 * int(text or 2) for text in (await lanes(world)).values()) <= 36
        if await world.intent() is None:
            break
    assert (await ended(world)).state is TrialState.ACCEPTED


POINTS = (
    Point.BEFORE_LEDGER,
    Point.AFTER_LEDGER,
    Point.BEFORE_POD_ENVIRONMENT,
    Point.AFTER_POD_ENVIRONMENT,
    Point.BEFORE_EVICTION,
    Point.AFTER_EVICTION,
    Point.BEFORE_READ_BACK,
    Point.AFTER_READ_BACK,
)


@pytest.mark.parametrize("wish", ["lanes=3", "lanes=4"], ids=["widened", "put back"])
@pytest.mark.parametrize("time", [1, 2, 3, 4])
@pytest.mark.parametrize("point", POINTS)
async def test_killed_anywhere_in_a_canary_the_next_start_goes_on(point: Point, time: int, wish: str) -> None:
    """Each point of opening, closing, widening or the way back. Harm is never in more than the share."""
    world = await shop()

    async def look() -> None:
        assert wish == "lanes=3" or await counted(world, "4") <= 1

    await world.annotate("try", wish)
    await killed_once(world, Countdown(point, time), 60, look)
    trial = await ended(world)
    good = TrialState.ACCEPTED if wish == "lanes=3" else TrialState.REVERTED
    assert trial.state is good
    assert await counted(world, "3" if wish == "lanes=3" else None) == 5


async def test_no_pod_is_evicted_for_variables_that_a_way_back_may_not_write() -> None:
    """Its successor would start without them, and be evicted in its turn."""
    world = await shop()
    await world.annotate("try", "lanes=3")
    await world.turn()
    assert (await world.rest(limit=300)).trials[-1].state is TrialState.ACCEPTED
    await world.turns(12)
    await world.annotate("try", "lanes=4")

    async def in_a_canary() -> bool:
        intent = await world.intent()
        return intent is not None and not intent.opening and await counted(world, "4") >= 1

    await world.until(in_a_canary)
    await world.annotate("rollback")

    async def read_back() -> bool:
        intent = await world.intent()
        return intent is not None and intent.kind.goes_back and intent.applied_at is not None

    for _ in range(5):
        await world.wake()
        if await read_back():
            break
    await world.outside.delete(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
    server(world).faults.fail_next("create", POD_ENVIRONMENT, Refused("a policy"), times=20)
    evicted = written(world.pegbox).count(EVICT)
    for _ in range(10):
        await world.turn()
    assert written(world.pegbox).count(EVICT) == evicted
    assert (await world.condition("Degraded"))[1] == "RestorePending"
    await world.turns(10)
    await world.rest(limit=120)
    assert await counted(world, "3") == 5
