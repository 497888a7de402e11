"""A deploy while a trial restarts pods: told from what we write ourselves, however we restart them."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from pegbox.adapters.kube.workload import RESTARTED
from pegbox.model.knobs import Setting
from pegbox.model.trials import Ledger
from pegbox.ports import LEDGER, POD, REPLICA_SET, Kind, Object, Ref
from pegbox.runtime.memory import Memory
from tests.loop import documents
from tests.loop.world import Wishing, World, make, written

GUARDS = documents.QUICK | {"trialWindow": "20s", "trialTimeout": "5m"}
CONTAINERS, NOTES = "/spec/template/spec/containers", "/spec/template/metadata/annotations"
EVICTED = ("evict", "Pod", "eviction")
WAYS = {
    "evictions": (documents.deployment(replicas=4), ()),
    "evictions of a StatefulSet": (documents.stateful_set(replicas=3), ()),
    "a rollout of the only pod": (documents.deployment(replicas=1), ()),
    "a rollout, since evictions are forbidden": (documents.deployment(replicas=2), (documents.pdb(),)),
}


async def shop(way: str, quiet: int = 0) -> World:
    """After that many looks at rest a trial of a knob that restarts pods is asked for."""
    target, more = WAYS[way]
    world = await make()
    await world.apply(*more)
    knobs = (documents.hot(), documents.env())
    profile = documents.profile("checkout", *knobs, kind=target["kind"], guards=GUARDS)
    await world.add(profile, target, workers=2, threads=2)
    await world.steady()
    await world.turns(quiet)
    await world.annotate("try", "threads=3")
    return world


def ref(world: World) -> Ref:
    return world.apps["checkout"].pods._target


def restarts(world: World) -> int:
    """Evictions and rollouts of ours."""
    return sum(w == EVICTED or (w[0], w[1]) in (("apply", "Deployment"),) for w in written(world.pegbox))


async def restarting(world: World) -> None:
    """The first of our restarts was asked for; no controller has done anything about it yet."""
    before = restarts(world)
    for _ in range(60):
        await world.pods_step(world.apps["checkout"])
        world.clock.skip(max(1.0, await world.wake() or 0.0))
        if restarts(world) > before:
            break
    intent = await world.intent()
    assert intent is not None and intent.in_force_at is None


async def in_force(world: World) -> None:
    async def holds() -> bool:
        intent = await world.intent()
        return intent is not None and intent.in_force_at is not None

    await world.until(holds)


async def image(world: World) -> None:
    body = await world.outside.get(ref(world))
    containers = body["spec"]["template"]["spec"]["containers"]
    await world.patch(ref(world), CONTAINERS, [containers[0] | {"image": "example.invalid/app:2"}])


async def restarted_by_others(world: World) -> None:
    body = await world.outside.get(ref(world))
    notes = body["spec"]["template"]["metadata"].get("annotations") or {}
    await world.outside.json_patch(
        ref(world), [{"op": "add", "path": NOTES, "value": notes | {"kubectl.kubernetes.io/restartedAt": "now"}}]
    )


def ended(ledger: Ledger) -> list[tuple[str, str]]:
    return [(t.state.value, t.reason.value) for t in ledger.trials]


DEPLOYED = [("Inconclusive", "Deployed")]


@pytest.mark.parametrize("seen", [True, False], ids=["its pods run", "its controller has not seen it"])
@pytest.mark.parametrize("deploy", [image, restarted_by_others])
@pytest.mark.parametrize("when", [restarting, in_force])
@pytest.mark.parametrize("way", WAYS)
async def test_a_deploy_ends_a_trial_that_restarts_pods(way: str, when: Any, deploy: Any, seen: bool) -> None:
    """Else the parent would have been measured with one template, and the trial with another."""
    world = await shop(way)
    await when(world)
    await deploy(world)
    if seen:
        await world.pods_step(world.apps["checkout"])
    await world.wake()
    ledger = await world.ledger()
    assert ledger is not None and ended(ledger) == DEPLOYED
    ledger = await world.rest(limit=120)
    assert (ended(ledger), ledger.breaker.failures) == (DEPLOYED, 0)
    assert (await world.own())["data"]["THREADS"] == "2"


@pytest.mark.parametrize("way", WAYS)
async def test_a_process_that_takes_over_in_mid_restart_sees_it_too(way: str) -> None:
    world = await shop(way)
    await restarting(world)
    await image(world)
    world.restart()
    await world.recall()
    assert ended(await world.rest(limit=120)) == DEPLOYED


def between_the_reads(world: World, act: Any) -> None:
    """Once, after the target was read, and before its ReplicaSets are."""
    cluster, waiting = world.reconciler.cluster, [act]
    listing = cluster.list

    async def listed(kind: Kind, *where: Any, **how: Any) -> list[Object]:
        if kind == REPLICA_SET and waiting:
            await waiting.pop()(world)
            await world.pods_step(world.apps["checkout"])
        return await listing(kind, *where, **how)

    cluster.list = listed  # type: ignore[method-assign]


@pytest.mark.parametrize("when", [restarting, in_force])
async def test_a_deploy_between_two_reads_of_one_look_ends_the_trial(when: Any) -> None:
    """The template was the old one, its name the new one: under that name the old one was never missed again."""
    world = await shop("evictions")
    await when(world)
    between_the_reads(world, image)
    ledger = await world.rest(limit=120)
    assert (ended(ledger), ledger.breaker.failures) == (DEPLOYED, 0)


async def test_at_rest_too_and_what_was_proven_of_the_code_before_is_forgotten() -> None:
    world = await make()
    await world.add(documents.profile("checkout", documents.hot()), documents.deployment(), workers=2)
    await world.steady()
    await world.turns(12)
    between_the_reads(world, image)
    await world.turns(3)
    ledger = await world.ledger()
    assert ledger is not None and ledger.deployed_at is not None


# What is no deploy.


async def scaled(world: World) -> None:
    await world.patch(ref(world), "/spec/replicas", 5)


async def test_somebody_who_scales_between_two_reads_deploys_nothing() -> None:
    world = await shop("evictions")
    await restarting(world)
    between_the_reads(world, scaled)
    assert ended(await world.rest(limit=120)) == [("Accepted", "TrialAccepted")]


@pytest.mark.parametrize("again", [False, True], ids=["the same process", "the next one"])
@pytest.mark.parametrize("way", WAYS)
async def test_our_own_restarts_end_no_trial(way: str, again: bool) -> None:
    world = await shop(way)
    await restarting(world)
    if again:
        world.restart()
        await world.recall()
    ledger = await world.rest(limit=120)
    assert ended(ledger) == [("Accepted", "TrialAccepted")]
    body = await world.outside.get(ref(world))
    assert (RESTARTED in (body["spec"]["template"]["metadata"].get("annotations") or {})) is ("rollout" in way)


@pytest.mark.parametrize("when", [restarting, in_force])
async def test_an_applier_that_drops_our_note_deploys_nothing(when: Any) -> None:
    """It costs a rollout more, and pods keep one template."""
    world = await shop("a rollout of the only pod")
    await when(world)
    await world.outside.json_patch(ref(world), [{"op": "remove", "path": NOTES}])
    ledger = await world.rest(limit=120)
    assert ended(ledger) == [("Accepted", "TrialAccepted")]


async def test_somebody_who_scales_deploys_nothing() -> None:
    world = await shop("evictions")
    await restarting(world)
    await world.patch(ref(world), "/spec/replicas", 5)
    assert ended(await world.rest(limit=120)) == [("Accepted", "TrialAccepted")]


@pytest.mark.parametrize("deployed", [True, False], ids=["a deploy", "none"])
async def test_a_deploy_on_the_way_back_forgets_what_was_proven_of_the_code_before(deployed: bool) -> None:
    """The restart of the way back was taken for it, so that the older code's record stood for newer code."""
    world = await shop("a rollout of the only pod", quiet=12)
    await restarting(world)
    proven = await world.ledger()
    assert proven is not None and proven.ladder
    await world.annotate("rollback")
    await restarting(world)
    if deployed:
        await image(world)
    back = await world.rest(limit=120)
    assert ended(back) == [("Reverted", "Requested")]
    await world.turn()
    ledger = await world.ledger()
    assert ledger is not None
    since = proven.ladder[-1].replicates
    assert [r.replicates >= since for r in ledger.ladder if r.setting == ledger.incumbent] != [deployed]


# Images that cannot be pulled.


async def unpulled(world: World) -> None:
    """The newest pod waits for its image."""
    pod = (await world.apps["checkout"].pods.settle())[-1]
    waits = {"ready": False, "state": {"waiting": {"reason": "ErrImagePull"}}}
    statuses = [each | waits for each in pod["status"]["containerStatuses"]]
    conditions = [
        each | ({"status": "False"} if each["type"] == "Ready" else {}) for each in pod["status"]["conditions"]
    ]
    status = pod["status"] | {"containerStatuses": statuses, "conditions": conditions}
    place = Ref(POD, world.namespace, pod["metadata"]["name"])
    operation = {"op": "replace", "path": "/status", "value": status}
    await world.outside.json_patch(place, [operation], subresource="status")


async def test_a_broken_deploy_in_mid_trial_is_not_held_against_the_trial() -> None:
    world = await shop("evictions")
    await in_force(world)
    await image(world)
    await unpulled(world)
    await world.wake()
    ledger = await world.ledger()
    assert ledger is not None and (ended(ledger), ledger.breaker.failures) == (DEPLOYED, 0)


async def test_a_restarted_pod_without_its_image_ends_the_trial_and_no_pod_that_serves_is_restarted() -> None:
    world = await shop("evictions")
    await restarting(world)
    await unpulled(world)
    await world.wake()
    ledger = await world.ledger()
    assert ledger is not None
    assert (ended(ledger), ledger.breaker.failures) == ([("Inconclusive", "WorkloadNotReady")], 0)
    assert "ErrImagePull" in world.events.emitted[-1][1].message
    app = world.apps["checkout"]
    serving = {pod["metadata"]["uid"] for pod in (await app.pods.pods())[:-1]}
    for _ in range(5):  # its registry is still down
        world.clock.skip(await world.wake() or 0.0)
    assert serving <= {pod["metadata"]["uid"] for pod in await app.pods.pods()}


# Ledgers of a release before, which name a template as its controller does.


async def of_before(world: World) -> None:
    stored: Object = await world.outside.get(Ref(LEDGER, world.namespace, "checkout"))
    state = json.loads(stored["data"]["state"])
    for part in (state, state["intent"]):
        if part is not None:
            assert part.pop("template")
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    data = stored["data"] | {"state": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    await world.patch(Ref(LEDGER, world.namespace, "checkout"), "/data", data)
    world.restart()
    await world.recall()


@pytest.mark.parametrize("when", [restarting, in_force])
@pytest.mark.parametrize("way", WAYS)
async def test_upgraded_in_mid_restart_the_next_release_goes_on_with_the_trial(way: str, when: Any) -> None:
    world = await shop(way)
    await when(world)
    before = await world.ledger()
    await of_before(world)
    ledger = await world.rest(limit=120)
    assert ended(ledger) == [("Accepted", "TrialAccepted")]
    assert before is not None and {r.setting for r in before.ladder} <= {r.setting for r in ledger.ladder}


@pytest.mark.parametrize("way", WAYS)
async def test_and_sees_a_deploy_from_then_on(way: str) -> None:
    world = await shop(way)
    await in_force(world)
    await of_before(world)
    await world.wake()
    await image(world)
    assert ended(await world.rest(limit=120)) == DEPLOYED


# At rest: what was measured of the code before is nothing to hold a trial against.


async def slower(world: World, *, deploy: bool) -> None:
    """New code that takes 1.9 times as long, or none. Its pods run; no look was made yet."""
    world.apps["checkout"].service.slowed = 1.9 if deploy else 1.0
    await (image(world) if deploy else world.wake())
    await world.pods_step(world.apps["checkout"])


async def wishing(guards: Object) -> tuple[World, Wishing]:
    """One profile that keeps up with its load, of 12 windows, and that nothing is wished for yet."""
    wishes = Wishing()
    world = await make(predicting=wishes)
    app = await world.add(documents.profile("checkout", documents.hot(), guards=guards), workers=2)
    app.service.load = 8.0
    await world.steady()
    await world.turns(60)
    assert len(memory(world).windows) == 12
    return world, wishes


def memory(world: World) -> Memory:
    return world.reconciler.memories[f"{world.namespace}/checkout"]


@pytest.mark.parametrize("wished", ["at the deploy", "later"])
async def test_a_trial_after_a_deploy_is_held_against_the_new_code_alone(wished: str) -> None:
    """It was Reverted(Regression), by the latency of the image before, and counted for the breaker."""
    world, wishes = await wishing(GUARDS)
    await slower(world, deploy=True)
    since = world.clock.now()
    if wished == "later":
        await world.turns(12)
        assert memory(world).windows and all(w.window.start >= since for w in memory(world).windows)
    wishes.wish = Setting({"workers": Fraction(3)})
    await world.until(lambda: begun(world))
    intent = await world.intent()
    assert intent is not None and intent.baseline is not None and intent.baseline.latency == pytest.approx(0.57)
    assert intent.started_at >= since + timedelta(seconds=20), "a window of the new code comes first"
    wishes.wish = None
    ledger = await world.rest(limit=120)
    assert (ended(ledger), ledger.breaker.failures) == ([("Reverted", "NotBetter")], 0)


async def test_without_a_deploy_a_trial_waits_for_no_window_more() -> None:
    """The twin."""
    world, wishes = await wishing(GUARDS)
    await slower(world, deploy=False)
    wishes.wish = Setting({"workers": Fraction(3)})
    await world.turn()
    intent = await world.intent()
    assert intent is not None and intent.baseline is not None and intent.baseline.windows == 12


async def begun(world: World) -> bool:
    return await world.intent() is not None
