"""Requests and limits of containers, resized in running pods through the whole runtime: the template is never written."""

from __future__ import annotations

import copy
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from pegbox.model.errors import NotAvailable, PegboxError, Refused, WriteConflict
from pegbox.model.reasons import Reason
from pegbox.model.trials import IntentKind, TrialState
from pegbox.model.units import parse_quantity
from pegbox.ports import DEPLOYMENT, LEDGER, POD, PROFILE, Object, Ref
from pegbox.runtime.points import Point
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import Killed, WriteRecord
from tests.loop import documents
from tests.loop.killing import Countdown
from tests.loop.world import App, Wishing, World, make, written

TAKE = {"conflictPolicy": "Take"}
SMALL = {"cpu": "0.5", "memory": "256Mi"}  # 0.5 is 500m: what is put back has to read as it was written
LARGE = {"cpu": "2", "memory": "1Gi"}
RESIZE = ("json_patch", "Pod", "resize")
FORBIDDEN = Refused("node didn't have enough allocatable resources: cpu, requested: 4, allocatable: 2", status=403)


def size(name: str = "cpu_request", **fields: Any) -> Object:
    return {"name": name, **TAKE, **fields}


async def start(
    *knobs: Object, sides: dict[str, dict[str, str]] | None = None, world: World | None = None, **spec: Any
) -> tuple[World, App]:
    """At rest with evidence; the knobs, beside a hot one."""
    world = world or await make()
    target = documents.sized(documents.deployment(), **(sides or {"requests": SMALL, "limits": LARGE}))
    app = await world.add(documents.profile("checkout", documents.hot(), *knobs, **spec), target, workers=2)
    await world.steady()
    return world, app


async def pod_sizes(app: App, side: str = "requests", resource: str = "cpu") -> list[str]:
    """What each pod's spec asks for."""
    pods = await app.pods.pods()
    return [pod["spec"]["containers"][0]["resources"][side][resource] for pod in pods]


async def template(world: World) -> Object:
    body = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    found: Object = body["spec"]["template"]
    return found


async def trial(world: World, argument: str) -> TrialState:
    await world.annotate("try", argument)
    await world.turn()
    ledger = await world.rest()
    assert ledger.trials, world.events.emitted
    return ledger.trials[-1].state


def refused(world: World) -> str:
    """Why the newest request was refused."""
    told = [event for _, event in world.events.emitted if event.reason is Reason.REQUEST_REFUSED]
    return told[-1].message if told else ""


async def test_pods_are_resized_in_place_and_neither_restart_nor_roll_out() -> None:
    world, app = await start(size())
    before, pods = await template(world), await app.pods.pods()
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turn()
    assert await pod_sizes(app) == ["750m", "750m"]
    ledger = await world.rest()
    assert [(t.state, t.reason.value) for t in ledger.trials] == [(TrialState.ACCEPTED, "TrialAccepted")]
    after = await app.pods.pods()
    assert [p["metadata"]["uid"] for p in after] == [p["metadata"]["uid"] for p in pods]
    assert await template(world) == before
    assert written(world.pegbox).count(RESIZE) == 2
    assert not {"Deployment"} & {kind for _, kind, _ in written(world.pegbox)}


async def test_what_is_put_back_reads_as_it_was_written() -> None:
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=4") is TrialState.REVERTED
    assert await pod_sizes(app) == ["0.5", "0.5"]


async def test_requests_and_limits_of_one_container_move_in_one_patch() -> None:
    world, app = await start(size(), size("cpu_limit"), sides={"requests": SMALL, "limits": {"cpu": "600m"}})
    assert await trial(world, "cpu_request=900m,cpu_limit=1,workers=3") is TrialState.ACCEPTED
    assert await pod_sizes(app) == ["900m", "900m"] and await pod_sizes(app, "limits") == ["1", "1"]
    assert written(world.pegbox).count(RESIZE) == 2
    assert await trial(world, "cpu_request=500m,cpu_limit=600m,workers=5") is TrialState.REVERTED
    assert await pod_sizes(app) == ["900m", "900m"] and await pod_sizes(app, "limits") == ["1", "1"]


async def test_a_new_pod_starts_as_the_template_says_and_is_resized_to_what_was_accepted() -> None:
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    generation = (await world.document()).generation
    ref = Ref(DEPLOYMENT, world.namespace, "checkout")
    await world.patch(ref, "/spec/replicas", 3)
    await world.pods_step(app)
    assert sorted(await pod_sizes(app)) == ["0.5", "750m", "750m"]
    await world.turns(2)
    assert await pod_sizes(app) == ["750m"] * 3
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.incumbent["cpu_request"] * 4 == 3  # type: ignore[operator]
    assert len(ledger.trials) == 1, "no trial of its own"
    assert (await world.document()).generation == generation, "no new document either"
    assert "ForeignChange" not in world.events.reasons()


async def test_a_new_pod_in_mid_trial_is_resized_too() -> None:
    world, app = await start(size())
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turns(2)
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
    await world.pods_step(app)
    await world.turns(2)
    assert await pod_sizes(app) == ["750m"] * 3
    assert "ForeignChange" not in world.events.reasons()


async def test_a_new_pod_beside_a_canary_has_the_accepted_size_too_and_the_canary_is_judged() -> None:
    world = await make()
    target = documents.sized(documents.deployment(replicas=5), requests=SMALL, limits=LARGE)
    guards = documents.QUICK | {"trialWindow": "20s"}
    profile = documents.profile("checkout", documents.hot(), size(), guards=guards)
    app = await world.add(profile, target, workers=2)
    app.service.load = 2000
    await world.steady()
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await world.steady()
    await world.turns(12)
    await world.annotate("try", "workers=2")
    await world.until(lambda: _compared(world))
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 6)
    await world.pods_step(app)
    await world.turns(2)
    assert await pod_sizes(app) == ["750m"] * 6
    ledger = await world.rest()
    assert ledger.trials[-1].reason is Reason.REGRESSION


async def _compared(world: World) -> bool:
    intent = await world.intent()
    return intent is not None and intent.compared and intent.in_force_at is not None


@pytest.mark.parametrize("frozen", [True, False])
async def test_in_a_freeze_a_pod_that_begins_in_mid_trial_ends_it_and_is_not_resized(frozen: bool) -> None:
    """Seed 710003917. What would still be written in a freeze goes back instead. Nobody asked for this trial."""
    wishing = Wishing()
    world = await make(predicting=wishing)
    _, app = await start(size(), world=world)
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None
    wishing.wish = ledger.incumbent.with_values(cpu_request=Fraction(3, 4))
    await world.turns(3)
    assert await pod_sizes(app) == ["750m"] * 2
    assert await _in_force(world)
    if frozen:
        await world.edit(freezes=[documents.ALWAYS])
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
    await world.pods_step(app)
    wishing.wish = None
    written = []
    for _ in range(4):
        await world.turn()
        written.append(await pod_sizes(app))
    ended = [
        (e.reason, "Frozen" in e.message) for _, e in world.events.emitted if e.reason is Reason.TRIAL_INCONCLUSIVE
    ]
    if frozen:
        assert (ended, written[-1]) == ([(Reason.TRIAL_INCONCLUSIVE, True)], ["0.5"] * 3)
    else:
        assert (ended, written[-1]) == ([], ["750m"] * 3)


@pytest.mark.parametrize("why", ["Infeasible", "Deferred"])
async def test_without_room_on_a_node_the_trial_is_inconclusive_and_put_back(why: str) -> None:
    world, app = await start(size())
    app.pods.no_room = why
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.INCONCLUSIVE
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials[-1].reason is Reason.RESIZE_NOT_POSSIBLE
    assert await pod_sizes(app) == ["0.5", "0.5"]
    assert ledger.breaker.failures == 0, "a full node is not the setting's fault"


async def test_a_kubelet_that_takes_its_time_is_waited_for_until_ack_timeout() -> None:
    """Nothing is pending, and nothing happens: after ackTimeout the trial ends, and the way back needs no kubelet."""
    world, app = await start(size())
    app.pods.frozen = True
    assert await trial(world, "cpu_request=750m") is TrialState.INCONCLUSIVE
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials[-1].reason is Reason.NOT_ACKNOWLEDGED
    assert await pod_sizes(app) == ["0.5", "0.5"]


def _policy(body: Object) -> Object:
    body["spec"]["template"]["spec"]["containers"][0]["resizePolicy"] = [
        {"resourceName": "cpu", "restartPolicy": "RestartContainer"}
    ]
    return body


def _hpa(kind: str, **source: Any) -> Object:
    body = documents.hpa()
    target = {"type": "Utilization", "averageUtilization": 60}
    body["spec"]["metrics"] = [{"type": kind[0].upper() + kind[1:], kind: {"name": "cpu", "target": target, **source}}]
    return body


REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "somebody owns the template's field": ({"knob": {"name": "cpu_request"}}, "OwnedByOther", "kubelet"),
    "the template states no such size": ({"sides": {"requests": {"memory": "1Gi"}}}, "ResizeUnsupported", "state it"),
    "the container wants a restart": ({"policy": True}, "ResizeUnsupported", "NotRequired"),
    "the kubelet cannot resize": ({"resizes": False}, "ResizeUnsupported", "1.33"),
    "an HPA keeps the pods' utilisation": ({"hpa": _hpa("resource")}, "UtilizationTarget", "HPA checkout"),
    "an HPA keeps this container's": (
        {"hpa": _hpa("containerResource", container="app")}, "UtilizationTarget", "AverageValue",
    ),
    "the profile creates such an HPA": (
        {"spec": {"autoscaler": {"create": {"minReplicas": 2, "maxReplicas": 2, "cpuUtilization": 60}}}},
        "UtilizationTarget", "60 %",
    ),
    "a VPA sizes the pods": ({"note": "vpaInPlaceUpdated"}, "OwnedByVPA", "VerticalPodAutoscaler"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
async def test_it_is_refused_with_a_reason_and_a_remedy_and_nothing_is_written(name: str) -> None:
    case, reason, remedy = REFUSALS[name]
    world = await make()
    if "hpa" in case:
        await world.apply(case["hpa"])
    target = documents.sized(documents.deployment(), **case.get("sides", {"requests": SMALL}))
    target = _policy(target) if "policy" in case else target
    knob = {"initial": "500m"} | case.get("knob", size())
    profile = documents.profile("checkout", documents.hot(), knob, **case.get("spec", {}))
    await world.apply(target)
    app = world.apps["checkout"] = world._app("checkout", "checkout")
    app.pods.resizes = case.get("resizes", True)
    await world.add(profile, target, workers=2)
    if "note" in case:
        for pod in await app.pods.pods():
            ref = Ref(POD, world.namespace, pod["metadata"]["name"])
            await world.patch(ref, "/metadata/annotations", {case["note"]: "true"})
    await world.steady()
    await world.annotate("try", "cpu_request=750m")
    await world.turn()
    assert remedy in refused(world), world.events.emitted
    status, found, message = await world.condition("Conflict")
    assert (status, found) == ("True", reason) and "cpu_request" in message
    assert RESIZE not in written(world.pegbox)


async def test_an_hpa_on_another_resource_or_on_values_is_no_hindrance() -> None:
    world = await make()
    hpa = _hpa("resource")
    hpa["spec"]["metrics"][0]["resource"]["target"] = {"type": "AverageValue", "averageValue": "300m"}
    await world.apply(hpa)
    target = documents.sized(documents.deployment(), requests=SMALL)
    await world.add(documents.profile("checkout", documents.hot(), size()), target, workers=2)
    await world.steady()
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED


async def test_a_size_that_is_only_recommended_is_shown_and_is_no_conflict() -> None:
    world, _ = await start({"name": "cpu_request", "mode": "Recommend"})
    assert (await world.condition("Conflict"))[:2] == ("False", "NoConflict")
    shown = {knob["name"]: knob for knob in (await world.status())["knobs"]}
    assert shown["cpu_request"]["value"] == "500m"
    assert shown["cpu_request"]["location"] == "ContainerResource(requests.cpu)"


@pytest.mark.parametrize(
    ("sides", "knobs", "wish", "reason"),
    [
        pytest.param(
            {"requests": SMALL, "limits": LARGE}, ["cpu_request"], "cpu_request=1", "", id="within the limit",
        ),
        pytest.param(
            {"requests": SMALL, "limits": {"cpu": "700m"}}, ["cpu_request"], "cpu_request=750m",
            "a request would be above its limit", id="above the limit",
        ),
        pytest.param(
            {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            ["cpu_limit"], "cpu_limit=2", "Guaranteed would become Burstable", id="another class of service",
        ),
        pytest.param(
            {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            ["cpu_limit", "cpu_request"], "cpu_limit=2,cpu_request=2", "", id="both together keep Guaranteed",
        ),
        pytest.param(
            {"requests": SMALL, "limits": LARGE}, ["memory_limit"], "memory_limit=768Mi",
            "what is in use is not known", id="less memory than nobody knows is in use",
        ),
        pytest.param({"requests": SMALL, "limits": LARGE}, ["memory_limit"], "memory_limit=2Gi", "", id="more memory"),
    ],
)  # fmt: skip
async def test_what_the_api_server_would_refuse_is_refused_before_the_write(
    sides: dict[str, dict[str, str]], knobs: list[str], wish: str, reason: str
) -> None:
    world, app = await start(*(size(each) for each in knobs), sides=sides)
    before = [p["spec"] for p in await app.pods.pods()]
    await world.annotate("try", wish)
    await world.turn()
    if reason:
        assert reason in refused(world), world.events.emitted
        assert [p["spec"] for p in await app.pods.pods()] == before
    else:
        assert refused(world) == ""
        assert RESIZE in written(world.pegbox)


async def resized_by_hand(world: World, app: App, to: str) -> str:
    """Somebody resizes the first pod by kubectl."""
    pod = (await app.pods.pods())[0]
    ref = Ref(POD, world.namespace, pod["metadata"]["name"])
    path = "/spec/containers/0/resources/requests/cpu"
    await world.outside.json_patch(ref, [{"op": "replace", "path": path, "value": to}], subresource="resize")
    return str(ref.name)


async def test_a_pod_resized_by_hand_in_mid_trial_ends_it_and_stays_while_ours_go_back() -> None:
    world, app = await start(size())
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turn()
    name = await resized_by_hand(world, app, "640m")
    ledger = await world.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "ForeignChange")]
    assert await pod_sizes(app) == ["640m", "0.5"]
    await world.turn()
    status, reason, message = await world.condition("Conflict")
    assert (status, reason) == ("True", "OwnedByOther") and name in message


async def test_at_rest_a_pod_resized_by_hand_is_left_alone_and_said_and_no_trial_starts() -> None:
    world, app = await start(size())
    await resized_by_hand(world, app, "640m")
    await world.annotate("try", "cpu_request=750m")
    await world.turns(4)
    assert await pod_sizes(app) == ["640m", "0.5"]
    assert "delete these pods" in refused(world)


def _clean_since(world: World, since: datetime) -> list[datetime]:
    """Begin of the clean windows that began from then on."""
    memory = world.reconciler.memories[f"{world.namespace}/checkout"]
    return [w.window.start for w in memory.windows if w.clean and w.window.start >= since]


@pytest.mark.parametrize("heals", [True, False])
async def test_beside_pods_of_other_sizes_no_window_counts_and_it_is_said(heals: bool) -> None:
    world, app = await start(size())
    name = await resized_by_hand(world, app, "100m")
    since, (_, before) = world.clock.now(), (None, (await world.rest()).ladder)
    await world.turns(20)
    assert _clean_since(world, since) == []
    assert (await world.rest()).ladder == before, "nothing is learned of it"
    assert (await world.condition("Conflict"))[:2] == ("True", "OwnedByOther")
    await world.annotate("try", "workers=3")
    await world.turns(4)
    assert name in refused(world) and "delete these pods" in refused(world)
    if heals:
        await world.outside.delete(Ref(POD, world.namespace, name))
        await world.pods_step(app)
        await world.turns(20)
        assert _clean_since(world, since) != []


@pytest.mark.parametrize("to", ["100m", "1500m"])
async def test_a_pod_resized_by_hand_ends_a_trial_of_another_knob_too_and_blames_nobody(to: str) -> None:
    world, app = await start(size())
    await world.annotate("try", "workers=3")
    await world.until(lambda: _in_force(world))
    await resized_by_hand(world, app, to)
    if to == "100m":
        app.service.slowed = 8.0
    ledger = await world.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "ForeignChange")]
    assert ledger.breaker.failures == 0


@pytest.mark.parametrize("why", ["Deferred", "frozen", ""])
async def test_until_a_new_pods_kubelet_has_the_accepted_size_no_window_counts(why: str) -> None:
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await world.turns(6)
    app.pods.no_room = "Deferred" if why == "Deferred" else ""
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
    await world.pods_step(app)
    app.pods.frozen = why == "frozen"
    since = world.clock.now()
    await world.turns(16)
    assert await pod_sizes(app) == ["750m"] * 3
    assert bool(_clean_since(world, since)) == (why == "")


@pytest.mark.parametrize("sized", ["by nobody's leave", "by a VPA"])
async def test_where_sizes_are_not_ours_to_write_others_size_pods_as_they_like(sized: str) -> None:
    """The knob is said to be theirs; all others are tuned."""
    world, app = await start(size() if sized == "by a VPA" else {"name": "cpu_request"})
    name = await resized_by_hand(world, app, "640m")
    if sized == "by a VPA":
        await world.patch(Ref(POD, world.namespace, name), "/metadata/annotations", {"vpaInPlaceUpdated": "true"})
    await world.turns(8)
    assert await trial(world, "workers=3") is TrialState.ACCEPTED


async def redeployed(world: World, app: App, cpu: str) -> None:
    """The owner applies his manifest with another request, and it rolls out."""
    body = documents.sized(documents.deployment(), requests=SMALL | {"cpu": cpu}, limits=LARGE)
    await world.apply(body)
    await world.pods_step(app)


async def test_another_value_in_the_template_is_the_owners_decision_and_is_not_tuned_away() -> None:
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await redeployed(world, app, "600m")
    await world.turns(6)
    assert await pod_sizes(app) == ["600m", "600m"]
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.incumbent["cpu_request"] * 5 == 3  # type: ignore[operator]
    assert ledger.adopted is not None and ledger.adopted["cpu_request"] == ledger.incumbent["cpu_request"]
    assert "ForeignChange" in world.events.reasons()
    await world.steady()
    assert await trial(world, "cpu_request=700m,workers=4") is TrialState.REVERTED
    assert await pod_sizes(app) == ["600m", "600m"]


async def test_an_owner_who_changes_his_mind_twice_in_mid_rollback_does_not_keep_it_from_its_end() -> None:
    world, app = await start(size())
    await world.annotate("try", "cpu_request=750m,workers=4")
    await world.until(lambda: _under_way(world, IntentKind.ROLLBACK))
    await redeployed(world, app, "600m")  # his, from here on: whatever it becomes
    await world.turn()
    await redeployed(world, app, "0.5")
    ledger = await world.rest()
    assert ledger.trials[-1].state is TrialState.REVERTED
    assert await pod_sizes(app) == ["0.5", "0.5"]
    assert ledger.incumbent is not None and ledger.incumbent["cpu_request"] * 2 == 1  # type: ignore[operator]
    assert ledger.adopted is not None and ledger.adopted["cpu_request"] == ledger.incumbent["cpu_request"]
    await world.steady()
    assert await trial(world, "cpu_request=700m,workers=3") is TrialState.ACCEPTED


async def _under_way(world: World, kind: IntentKind) -> bool:
    intent = await world.intent()
    return intent is not None and intent.kind is kind


async def test_another_image_rolls_out_and_the_accepted_size_outlives_it() -> None:
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    body = documents.sized(documents.deployment(), requests=SMALL, limits=LARGE)
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.invalid/app:2"
    await world.apply(body)
    await world.pods_step(app)
    assert await pod_sizes(app) == ["0.5", "0.5"]
    await world.turns(4)
    assert await pod_sizes(app) == ["750m", "750m"]


async def _gone(world: World) -> bool:
    return await world.find(Ref(PROFILE, world.namespace, "checkout")) is None


async def test_deleting_the_profile_puts_every_pod_back_and_leaves_the_template_to_its_owner() -> None:
    world, app = await start(size())
    before = copy.deepcopy(await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout")))
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await pod_sizes(app) == ["0.5", "0.5"]
    after = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    assert (after["spec"], after["metadata"].get("managedFields")) == (
        before["spec"],
        before["metadata"].get("managedFields"),
    )


async def test_in_recommend_nothing_is_resized_and_turning_away_in_mid_trial_is_put_right_when_auto_comes_back() -> (
    None
):
    """One pod was written, the other not: back in Auto, the trial's value is not spread, it is taken back."""
    world, app = await start(size())
    await world.annotate("try", "cpu_request=750m")
    await world.turn()
    pods = await app.pods.pods()
    ref = Ref(POD, world.namespace, pods[1]["metadata"]["name"])
    path = "/spec/containers/0/resources/requests/cpu"
    await world.outside.json_patch(ref, [{"op": "replace", "path": path, "value": "0.5"}], subresource="resize")
    await world.edit(mode="Recommend")
    count = written(world.pegbox).count(RESIZE)
    await world.turns(3)
    assert written(world.pegbox).count(RESIZE) == count
    await world.edit(mode="Auto")
    await world.turns(3)
    assert await pod_sizes(app) == ["0.5", "0.5"]


async def test_after_a_lost_ledger_a_restore_leaves_what_the_owner_wrote_into_the_template_since() -> None:
    """Seed 330: our ConfigMap had the originals of before, pods were resized to those, and left so."""
    world, app = await start(size())
    await world.apply(documents.sized(documents.deployment(), requests={"cpu": "800m"}, limits=LARGE))
    await world.turns(12)
    assert await pod_sizes(app) == ["800m", "800m"]
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    await world.turns(4)
    world.brake("restore")
    await world.turns(6)
    assert await pod_sizes(app) == ["800m", "800m"]


async def test_a_lost_ledger_loses_no_original() -> None:
    """The template holds it: what all pods run is adopted, and the deletion puts the template's value back."""
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    await world.turns(3)
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.incumbent["cpu_request"] * 4 == 3  # type: ignore[operator]
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await pod_sizes(app) == ["0.5", "0.5"]


async def test_a_budget_of_memory_counts_what_a_new_pod_starts_with() -> None:
    """2 pods: 1Gi each by the template. A limit lowered to 512Mi leaves no room for anybody else: a third pod starts
    with 1Gi. So the budget stays used up at 2 x 1Gi, not at 2 x 512Mi."""
    budgets = [{"name": "node", "uses": "pods * memory_request", "limit": "600Mi"}]
    world, _ = await start(size("memory_request", max="1Gi"), budgets=budgets)
    await world.annotate("try", "memory_request=320Mi")  # 2 x 320Mi = 640Mi
    await world.turn()
    assert "node" in refused(world)
    await world.annotate("try", "memory_request=200Mi")
    await world.turn()
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is not None


async def test_a_vpa_that_appears_in_mid_trial_ends_it_and_keeps_the_sizes() -> None:
    world, app = await start(size())
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turn()
    for pod in await app.pods.pods():
        ref = Ref(POD, world.namespace, pod["metadata"]["name"])
        await world.patch(ref, "/metadata/annotations", {"vpaInPlaceUpdated": "true"})
    count = written(world.pegbox).count(RESIZE)
    ledger = await world.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "OwnedByVPA")]
    assert written(world.pegbox).count(RESIZE) == count and await world.values() == {"workers": "2"}


async def test_an_hpa_on_utilisation_that_appears_in_mid_trial_ends_it_and_the_size_goes_back() -> None:
    world, app = await start(size())
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turn()
    hpa = _hpa("resource")
    hpa["spec"] |= {"minReplicas": 2, "maxReplicas": 2}
    await world.apply(hpa)
    ledger = await world.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "UtilizationTarget")]
    assert await pod_sizes(app) == ["0.5", "0.5"]


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("why", ["OwnedByOther", "ResizeUnsupported"])
async def test_what_may_not_be_written_any_more_is_taken_back_all_the_same(why: str, deleted: bool) -> None:
    """Consent was taken away, or a new pod's kubelet is too old: that pod was never resized, the others are ours."""
    world, app = await start(size())
    await world.annotate("try", "cpu_request=300m")
    await world.until(lambda: _in_force(world))
    if why == "OwnedByOther":
        await world.edit(knobs=[documents.hot(), {"name": "cpu_request"}])
    else:
        app.pods.resizes = False
        await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
        await world.pods_step(app)
    if deleted:
        await world.delete()
        await world.until(lambda: _gone(world))
    else:
        ended = (await world.rest()).trials[-1]
        assert (ended.state.value, ended.reason.value) == ("Inconclusive", why)
    assert set(await pod_sizes(app)) == {"0.5"}


@pytest.mark.parametrize("deleted", [False, True])
async def test_another_container_named_in_mid_trial_leaves_no_size_in_the_first(deleted: bool) -> None:
    world = await make()
    target = documents.sized(documents.deployment(), requests=SMALL, limits=LARGE)
    containers = target["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "side", "image": "x", "resources": {"requests": {"cpu": "100m"}}})
    app = await world.add(documents.profile("checkout", documents.hot(), size()), target, workers=2)
    await world.steady()
    await world.annotate("try", "cpu_request=300m")
    await world.until(lambda: _in_force(world))
    await world.edit(targetRef={"kind": "Deployment", "name": "checkout", "container": "side"})
    if deleted:
        await world.delete()
        await world.until(lambda: _gone(world))
    else:
        ended = (await world.rest()).trials[-1]
        assert (ended.state.value, ended.reason.value) == ("Inconclusive", "ProfileChanged")
        assert (await world.ledger()).incumbent["cpu_request"] == Fraction(1, 2)  # type: ignore[union-attr,index]
    assert await pod_sizes(app) == ["0.5", "0.5"]
    sides = [pod["spec"]["containers"][1]["resources"]["requests"]["cpu"] for pod in await app.pods.pods()]
    assert sides == ["100m", "100m"]


@pytest.mark.parametrize("way", ["the trial's own end", "a stop that restores", "a deletion"])
async def test_between_two_crashes_a_size_goes_back_as_well(way: str) -> None:
    """A container that does not run just now starts again with what its pod's spec asks for."""
    world, app = await start(size())
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turn()
    assert await pod_sizes(app) == ["750m", "750m"]
    app.pods.frozen = True
    for pod in await app.pods.pods():
        ref = Ref(POD, world.namespace, pod["metadata"]["name"])
        state = {"waiting": {"reason": "CrashLoopBackOff"}}
        patch = [{"op": "replace", "path": "/status/containerStatuses/0/state", "value": state}]
        await world.outside.json_patch(ref, patch, subresource="status")
    if way == "a stop that restores":
        world.brake("restore")
    if way == "a deletion":
        await world.delete()
    await world.wake()
    await world.wake()
    assert await pod_sizes(app) == ["0.5", "0.5"]


async def accepted_beside(*, target: dict[str, Any], **spec: Any) -> tuple[World, App]:
    """Both knobs accepted; then somebody adds an HPA, which wants four pods."""
    world, app = await start(size(), **spec)
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    hpa = _hpa("resource")
    hpa["spec"]["metrics"][0]["resource"]["target"] = target
    hpa["spec"] |= {"minReplicas": 2, "maxReplicas": 4}
    await world.apply(hpa)
    app.wants = lambda _: 4
    return world, app


async def test_an_hpa_on_utilisation_that_appears_at_rest_has_its_request_put_back_in_all_pods() -> None:
    """Its share was written for the template's request, which new pods have."""
    world, app = await accepted_beside(target={"type": "Utilization", "averageUtilization": 60})
    await world.turns(2)
    ledger = await world.rest()
    await world.turns(4)
    assert {parse_quantity(each) for each in await pod_sizes(app)} == {Fraction(1, 2)}
    assert ledger.incumbent is not None
    assert (ledger.incumbent["cpu_request"], ledger.incumbent["workers"]) == (Fraction(1, 2), 3)
    assert ledger.breaker.failures == 0  # nobody is to blame
    assert "UtilizationTarget" in (await world.condition("Conflict"))[1]


async def test_one_on_an_average_value_leaves_it_and_new_pods_get_it() -> None:
    world, app = await accepted_beside(target={"type": "AverageValue", "averageValue": "300m"})
    await world.turns(8)
    assert await pod_sizes(app) == ["750m"] * 4


async def test_where_the_install_may_not_write_no_way_back_begins_on_paper_for_an_hpa() -> None:
    world, _ = await accepted_beside(target={"type": "Utilization", "averageUtilization": 60})
    world.allow_writes = False
    world.restart()
    await world.turns(4)
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is None


async def test_while_all_is_stopped_nothing_is_put_back_for_an_hpa() -> None:
    world, app = await accepted_beside(target={"type": "Utilization", "averageUtilization": 60})
    world.brake("stop")
    await world.turns(4)
    assert set(await pod_sizes(app)) == {"750m", "0.5"}


async def test_a_late_patch_of_a_stale_leader_is_recognised_by_its_value_and_taken_back() -> None:
    """Pods are not fenced: a leader that was paused in mid-patch may finish it after the trial was put back."""
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=4") is TrialState.REVERTED
    pod = (await app.pods.pods())[1]
    patch = [{"op": "replace", "path": "/spec/containers/0/resources/requests/cpu", "value": "750m"}]
    await world.pegbox.json_patch(Ref(POD, world.namespace, pod["metadata"]["name"]), patch, subresource="resize")
    await world.turns(2)
    assert await pod_sizes(app) == ["0.5", "0.5"]
    assert "ForeignChange" not in world.events.reasons()


async def test_a_new_pod_without_room_is_said_and_no_trial_starts_until_there_is() -> None:
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    app.pods.no_room = "Deferred"
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
    await world.pods_step(app)
    await world.turns(3)
    assert "no room" in await world.why()
    await world.annotate("try", "workers=2")
    await world.turns(12)
    assert len((await world.rest()).trials) == 1
    app.pods.no_room = ""
    await world.turns(8)
    await world.annotate("try", "workers=2")
    await world.turn()
    assert await world.intent() is not None


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        pytest.param(Refused("a LimitRange: 600m", status=403), Reason.RESIZE_NOT_POSSIBLE, id="a LimitRange"),
        pytest.param(FORBIDDEN, Reason.RESIZE_NOT_POSSIBLE, id="more than the node can ever hold"),
        pytest.param(NotAvailable("this server does not serve pods/resize"), Reason.WRITE_FAILED, id="not served"),
    ],
)
async def test_a_resize_that_the_server_keeps_refusing_ends_the_trial_and_nothing_is_half_done(
    error: PegboxError, wanted: Reason
) -> None:
    """The first pod takes it, the second never: the first goes back, at once or after ackTimeout."""
    world, app = await start(size())
    refuse_resizes(world, error, (await app.pods.pods())[1]["metadata"]["name"])
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turn()
    assert await pod_sizes(app) == ["750m", "0.5"]
    ledger = await world.rest()
    assert [(t.state.value, t.reason) for t in ledger.trials] == [("Inconclusive", wanted)]
    assert await pod_sizes(app) == ["0.5", "0.5"]
    assert ledger.breaker.failures == 0


async def test_whoever_the_server_resizes_is_resized_the_trial_ends_at_the_next_look_and_its_words_are_told() -> None:
    """The first pod in name order is refused: the second is tried all the same, and the look goes through."""
    world, app = await start(size())
    refuse_resizes(world, FORBIDDEN, (await app.pods.pods())[0]["metadata"]["name"])
    await world.annotate("try", "cpu_request=750m,workers=3")
    assert await world.turn() >= 0.0, "not a failed look, which would be tried again more and more seldom"
    assert await pod_sizes(app) == ["0.5", "750m"]
    await world.turn()
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials[-1].reason is Reason.RESIZE_NOT_POSSIBLE
    told = [event.message for _, event in world.events.emitted if event.reason is Reason.TRIAL_INCONCLUSIVE]
    assert any("allocatable: 2" in message for message in told), told
    await world.rest()
    assert await pod_sizes(app) == ["0.5", "0.5"]


async def test_a_new_pod_on_a_node_that_is_too_small_is_said_and_holds_no_look_up() -> None:
    """At rest: the server refuses the accepted size each time. Nothing is tried, and all else goes on."""
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
    await world.pods_step(app)
    small = next(p["metadata"]["name"] for p in await app.pods.pods() if "0.5" in str(p["spec"]["containers"]))
    refused = refuse_resizes(world, FORBIDDEN, small)
    assert min([await world.turn() for _ in range(4)]) >= 0.0
    assert "no room" in await world.why()
    await world.annotate("try", "workers=2")
    await world.turns(6)
    assert len((await world.rest()).trials) == 1
    refused.clear()
    await world.turns(8)
    assert await pod_sizes(app) == ["750m"] * 3
    assert "no room" not in await world.why()


@pytest.mark.parametrize("end", ["the trial's own", "a deletion"])
@pytest.mark.parametrize("wish", ["workers=2", "cpu_request=800m,workers=2"])
async def test_nor_does_it_hold_up_the_way_back_of_a_trial_that_never_resized_it(wish: str, end: str) -> None:
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await world.steady()
    await world.annotate("try", wish)
    await world.turns(2)
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
    await world.pods_step(app)
    small = next(p["metadata"]["name"] for p in await app.pods.pods() if "0.5" in str(p["spec"]["containers"]))
    refuse_resizes(world, FORBIDDEN, small)
    if end == "a deletion":
        await world.delete()
        await world.until(lambda: _gone(world))
        assert {parse_quantity(each) for each in await pod_sizes(app)} == {Fraction(1, 2)}
        return
    ledger = await world.rest()
    assert ledger.trials[-1].reason is Reason.RESIZE_NOT_POSSIBLE
    assert sorted(await pod_sizes(app)) == ["0.5", "750m", "750m"] and await world.values() == {"workers": "3"}
    assert min([await world.turn() for _ in range(4)]) >= 0.0
    assert "allocatable: 2" in await world.why()


@pytest.mark.parametrize("tried", ["cpu_request=800m", "cpu_request=500m"])
async def test_a_pod_that_keeps_what_was_tried_holds_the_way_back_up(tried: str) -> None:
    """Also where that is what the template says: the accepted size is not back."""
    world, app = await start(size())
    assert await trial(world, "cpu_request=750m,workers=3") is TrialState.ACCEPTED
    await world.steady()
    await world.annotate("try", f"{tried},workers=4")
    await world.until(lambda: _in_force(world))
    refused = refuse_resizes(world, FORBIDDEN, (await app.pods.pods())[1]["metadata"]["name"])
    await world.until(lambda: _under_way(world, IntentKind.ROLLBACK))
    await world.turns(12)
    assert await _under_way(world, IntentKind.ROLLBACK)
    assert (await world.condition("Degraded"))[:2] == ("True", "RestorePending")
    refused.clear()
    await world.rest()
    assert await pod_sizes(app) == ["750m", "750m"]


def refuse_resizes(world: World, error: PegboxError, name: str) -> set[str]:
    """From now on the server refuses to resize the pods of this set."""
    cluster, names = world.pegbox, {name}
    assert isinstance(cluster, FakeCluster)

    def refuse(when: str, write: WriteRecord) -> None:
        if (when, write.subresource) == ("before", "resize") and write.name in names:
            raise error

    cluster.faults.on_write(refuse)
    return names


async def test_a_pod_that_moves_under_the_write_is_read_again_and_written() -> None:
    world, app = await start(size())
    cluster = world.pegbox
    assert isinstance(cluster, FakeCluster)
    await world.annotate("try", "cpu_request=750m,workers=3")
    cluster.faults.fail_next("json_patch", POD, WriteConflict("the object has been modified"))
    await world.turns(2)
    assert await pod_sizes(app) == ["750m", "750m"]


@pytest.mark.parametrize("occurrence", [1, 2], ids=["the first pod", "the second pod"])
@pytest.mark.parametrize("point", [Point.BEFORE_RESIZE, Point.AFTER_RESIZE], ids=str)
@pytest.mark.parametrize(("wish", "ends"), [("workers=3", "750m"), ("workers=4", "0.5")], ids=["there", "and back"])
async def test_killed_between_two_pods_the_next_start_ends_with_all_of_them_alike(
    point: Point, occurrence: int, wish: str, ends: str
) -> None:
    world, app = await start(size())
    await world.annotate("try", f"cpu_request=750m,{wish}")
    if ends == "0.5":
        await world.until(lambda: _in_force(world))
    world.reached = Countdown(point, occurrence)
    with pytest.raises(Killed):
        for _ in range(20):
            await world.turn()
    world.restart()
    await world.rest()
    assert await pod_sizes(app) == [ends, ends]


async def _in_force(world: World) -> bool:
    intent = await world.intent()
    return intent is not None and intent.in_force_at is not None
