"""A StatefulSet as target: read, restarted, scaled, resized and put back like a Deployment."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.model.reasons import Reason
from pegbox.model.trials import TrialState
from pegbox.ports import HPA, PROFILE, STATEFUL_SET, Object, Ref
from tests.loop import documents
from tests.loop.world import App, World, make, written

ROLLING: dict[str, Any] = {"type": "RollingUpdate"}
ON_DELETE: dict[str, Any] = {"type": "OnDelete"}
PARTITION: dict[str, Any] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
EVICT = ("evict", "Pod", "eviction")


async def start(*knobs: Object, target: Object | None = None, **values: float) -> tuple[World, App]:
    world = await make()
    profile = documents.profile("checkout", documents.hot(), *knobs, kind="StatefulSet")
    app = await world.add(profile, target or documents.stateful_set(), workers=2, **values)
    await world.steady()
    return world, app


async def trial(world: World, argument: str) -> TrialState:
    await world.annotate("try", argument)
    await world.turn()
    return (await world.rest()).trials[-1].state


async def uids(app: App) -> list[str]:
    return [pod["metadata"]["uid"] for pod in await app.pods.pods()]


async def target(world: World) -> Object:
    return await world.outside.get(Ref(STATEFUL_SET, world.namespace, "checkout"))


async def test_its_pods_are_read_by_number_and_acknowledge_a_hot_knob() -> None:
    world, app = await start()
    assert [p["metadata"]["name"] for p in await app.pods.pods()] == ["checkout-0", "checkout-1"]
    assert await trial(world, "workers=3") is TrialState.ACCEPTED
    assert await trial(world, "workers=5") is TrialState.REVERTED
    assert await world.values() == {"workers": "3"}


@pytest.mark.parametrize("strategy", [ROLLING, ON_DELETE, PARTITION], ids=["RollingUpdate", "OnDelete", "a partition"])
@pytest.mark.parametrize("replicas", [1, 2], ids=["one pod", "two pods"])
async def test_env_comes_into_force_by_evicting_pod_after_pod_whatever_the_strategy(
    strategy: dict[str, Any], replicas: int
) -> None:
    """A partition or OnDelete would keep old pods through a rollout for ever; an evicted pod always starts anew."""
    body = documents.stateful_set(replicas=replicas, **strategy)
    world, app = await start(documents.env(), target=body, threads=2)
    before = await uids(app)
    assert await trial(world, "threads=3") is TrialState.ACCEPTED
    assert not set(before) & set(await uids(app))
    assert written(world.pegbox).count(EVICT) == replicas
    assert ("apply", "StatefulSet", "") not in written(world.pegbox)


async def test_where_nothing_may_be_evicted_a_rollout_restarts_every_pod_once() -> None:
    world, app = await start(documents.env(), threads=2)
    await world.apply(documents.pdb())
    before = await uids(app)
    assert await trial(world, "threads=3") is TrialState.ACCEPTED
    assert not set(before) & set(await uids(app))
    notes = (await target(world))["spec"]["template"]["metadata"]["annotations"]
    assert "pegbox.dev/restarted-for" in notes
    assert written(world.pegbox).count(("apply", "StatefulSet", "")) == 1


@pytest.mark.parametrize("strategy", [ON_DELETE, PARTITION], ids=["OnDelete", "a partition"])
async def test_where_neither_eviction_nor_a_rollout_restarts_all_the_trial_is_put_back(
    strategy: dict[str, Any],
) -> None:
    """No new revision is made for nothing: it would restart nobody, or only some."""
    world, app = await start(documents.env(), target=documents.stateful_set(**strategy), threads=2)
    await world.apply(documents.pdb())
    before, template = await uids(app), (await target(world))["spec"]
    await world.annotate("try", "threads=3")
    await world.turn()

    async def ended() -> bool:
        ledger = await world.ledger()
        return ledger is not None and bool(ledger.trials)

    await world.until(ended)
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials[-1].reason is Reason.NOT_ACKNOWLEDGED
    assert (await uids(app), (await target(world))["spec"]) == (before, template)
    assert (await world.own())["data"]["THREADS"] == "2"


async def test_a_new_revision_in_mid_trial_is_a_deploy_and_ends_it() -> None:
    world, _ = await start()
    await world.annotate("try", "workers=3")
    await world.turns(2)
    body = documents.stateful_set()
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.invalid/app:2"
    await world.apply(body)
    ledger = await world.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "Deployed")]
    assert await world.values() == {"workers": "2"}


async def test_replicas_move_by_scale_and_come_back() -> None:
    body = documents.without_replicas(documents.stateful_set())
    world, app = await start({"name": "replicas", "min": 1, "max": 8}, target=body)
    assert await trial(world, "replicas=2") is TrialState.ACCEPTED
    assert ("json_patch", "StatefulSet", "scale") in written(world.pegbox)
    assert await trial(world, "workers=4,replicas=3") is TrialState.REVERTED
    assert (await target(world))["spec"]["replicas"] == 2
    assert [p["metadata"]["name"] for p in await app.pods.pods()] == ["checkout-0", "checkout-1"]


async def test_an_hpa_made_for_it_names_it() -> None:
    world = await make()
    create = {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}
    profile = documents.profile("checkout", documents.hot(), kind="StatefulSet", autoscaler={"create": create})
    await world.add(profile, documents.stateful_set(), workers=2)
    await world.steady()
    made = await world.outside.get(Ref(HPA, world.namespace, "checkout-pegbox"))
    assert made["spec"]["scaleTargetRef"]["kind"] == "StatefulSet"


async def _gone(world: World) -> bool:
    return await world.find(Ref(PROFILE, world.namespace, "checkout")) is None


@pytest.mark.parametrize("strategy", [ROLLING, ON_DELETE, PARTITION], ids=["RollingUpdate", "OnDelete", "a partition"])
async def test_everything_is_put_back_when_the_profile_goes(strategy: dict[str, Any]) -> None:
    sizes = {"requests": {"cpu": "0.5", "memory": "256Mi"}}
    body = documents.sized(documents.stateful_set(**strategy), **sizes)
    knob = {"name": "cpu_request", "conflictPolicy": "Take"}
    world, app = await start(documents.env(), knob, target=body, threads=2)
    before = (await target(world))["spec"]
    assert await trial(world, "threads=3,cpu_request=750m") is TrialState.ACCEPTED
    assert {p["spec"]["containers"][0]["resources"]["requests"]["cpu"] for p in await app.pods.pods()} == {"750m"}
    await world.delete()
    await world.until(lambda: _gone(world))
    assert (await world.own())["data"]["THREADS"] == "2"
    assert {p["spec"]["containers"][0]["resources"]["requests"]["cpu"] for p in await app.pods.pods()} == {"0.5"}
    assert (await target(world))["spec"] == before


async def test_old_pods_of_an_on_delete_set_take_a_size_that_the_owner_changed() -> None:
    """Nobody replaces them, and what they run is ours: the owner's new value is brought to them."""
    sizes = {"requests": {"cpu": "500m"}}
    body = documents.sized(documents.stateful_set(**ON_DELETE), **sizes)
    world, app = await start({"name": "cpu_request", "conflictPolicy": "Take"}, target=body)
    assert await trial(world, "workers=3,cpu_request=750m") is TrialState.ACCEPTED
    await world.apply(documents.sized(body, requests={"cpu": "600m"}))
    await world.pods_step(app)
    await world.turns(4)
    assert {p["spec"]["containers"][0]["resources"]["requests"]["cpu"] for p in await app.pods.pods()} == {"600m"}


async def test_while_the_new_pod_of_a_name_does_not_exist_yet_no_other_one_is_evicted() -> None:
    """Nobody is unready then: the old pod has gone, and the controller has made none. (Seen on a real kubelet.)"""
    world, app = await start(documents.env(), threads=2)
    await world.annotate("try", "threads=3")
    while EVICT not in written(world.pegbox):
        await world.wake()
    for _ in range(3):
        assert len(await app.pods.pods()) == 1
        world.clock.skip(2.0)
        await world.wake()
        assert written(world.pegbox).count(EVICT) == 1
    assert (await world.rest()).trials[-1].state is TrialState.ACCEPTED
    assert written(world.pegbox).count(EVICT) == 2
