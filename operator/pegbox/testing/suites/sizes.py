"""Claims: requests and limits of a pod move by `pods/resize` alone, and what the server refuses."""

from __future__ import annotations

from pegbox.adapters.kube import resources
from pegbox.model.errors import NotFound, Refused, WriteConflict
from pegbox.model.knobs import ResourceName, Side, Size
from pegbox.ports import POD, Object, Ref
from pegbox.testing.suites.world import Claim, ClusterWorld, raised, version

CLAIMS: list[Claim] = []
CPU_REQUEST = Size(Side.REQUESTS, ResourceName.CPU)
CPU_LIMIT = Size(Side.LIMITS, ResourceName.CPU)
MEMORY_LIMIT = Size(Side.LIMITS, ResourceName.MEMORY)
BURSTABLE = {"requests": {"cpu": "500m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}
GUARANTEED = {"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}


def claim(function: Claim) -> Claim:
    CLAIMS.append(function)
    return function


async def _resize(world: ClusterWorld, pod: Object, texts: dict[Size, str]) -> Object:
    return await world.cluster.json_patch(world.ref(pod), resources.resize(pod, "app", texts), subresource="resize")


async def _restate(world: ClusterWorld, pod: Object, size: Size, text: str) -> Object:
    return await world.cluster.json_patch(
        world.ref(pod), resources.restated(pod, "app", size, text), subresource="resize"
    )


@claim
async def a_resize_moves_the_resources_and_nothing_else(world: ClusterWorld) -> None:
    made = await world.as_manager("kubelet").create(world.sized_pod(BURSTABLE))
    after = await _resize(world, made, {CPU_REQUEST: "750m", MEMORY_LIMIT: "192Mi"})
    stated = after["spec"]["containers"][0]["resources"]
    assert stated == {"requests": {"cpu": "750m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "192Mi"}}
    assert after["metadata"]["uid"] == made["metadata"]["uid"] and version(after) != version(made)
    read = await world.cluster.get(world.ref(made))
    assert read["spec"]["containers"][0]["resources"] == stated
    assert {k: v for k, v in read["spec"]["containers"][0].items() if k != "resources"} == {
        k: v for k, v in made["spec"]["containers"][0].items() if k != "resources"
    }


@claim
async def a_resize_back_reads_as_before(world: ClusterWorld) -> None:
    made = await world.as_manager("kubelet").create(world.sized_pod(BURSTABLE))
    larger = await _resize(world, made, {CPU_REQUEST: "750m", CPU_LIMIT: "2"})
    back = await _resize(world, larger, {CPU_REQUEST: "500m", CPU_LIMIT: "1"})
    assert back["spec"]["containers"][0]["resources"] == made["spec"]["containers"][0]["resources"]


@claim
async def requests_and_limits_pass_each_other_in_one_patch(world: ClusterWorld) -> None:
    """Up and down again: one by one, one of the two orders would be refused each way."""
    made = await world.as_manager("kubelet").create(world.sized_pod(BURSTABLE))
    up = await _resize(world, made, {CPU_REQUEST: "2", CPU_LIMIT: "3"})
    down = await _resize(world, up, {CPU_REQUEST: "500m", CPU_LIMIT: "1"})
    assert down["spec"]["containers"][0]["resources"] == made["spec"]["containers"][0]["resources"]


@claim
async def the_same_size_in_another_form_moves_the_pod_and_nothing_else(world: ClusterWorld) -> None:
    """So a pod is fenced without a right to patch pods, and its kubelet has nothing to do."""
    for number, (size, text) in enumerate({CPU_REQUEST: "500m", CPU_LIMIT: "1", MEMORY_LIMIT: "128Mi"}.items()):
        made = await world.as_manager("kubelet").create(world.sized_pod(BURSTABLE, f"web-{number}"))
        other, back = resources.forms(text, size)
        moved = await _restate(world, made, size, other)
        assert version(moved) != version(made) and moved["spec"] != made["spec"]
        assert moved["metadata"].get("generation") == made["metadata"].get("generation")
        again = await _restate(world, moved, size, back)
        assert again["spec"] == made["spec"] and version(again) not in (version(moved), version(made))
        await raised(WriteConflict, _resize(world, made, {CPU_REQUEST: "750m"}))  # the version read before the fence


@claim
async def a_size_that_somebody_moved_is_not_put_in_another_form(world: ClusterWorld) -> None:
    made = await world.as_manager("kubelet").create(world.sized_pod(BURSTABLE))
    await _resize(world, made, {CPU_REQUEST: "750m"})
    await raised(WriteConflict, _restate(world, made, CPU_REQUEST, "500e-3"))


@claim
async def an_absent_request_is_the_limit(world: ClusterWorld) -> None:
    made = await world.as_manager("kubelet").create(world.sized_pod({"limits": {"cpu": "1"}}))
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}


@claim
async def requests_above_limits_are_refused(world: ClusterWorld) -> None:
    made = await world.as_manager("kubelet").create(world.sized_pod(BURSTABLE))
    error = await raised(Refused, _resize(world, made, {CPU_REQUEST: "2"}))
    assert error.status == 422
    assert version(await world.cluster.get(world.ref(made))) == version(made)


@claim
async def another_quality_of_service_is_refused_both_ways(world: ClusterWorld) -> None:
    kubelet = world.as_manager("kubelet")
    made = await kubelet.create(world.sized_pod(GUARANTEED))
    error = await raised(Refused, _resize(world, made, {CPU_LIMIT: "2"}))
    assert error.status == 422
    both = await _resize(world, made, {CPU_LIMIT: "2", CPU_REQUEST: "2"})
    assert both["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "2"
    other = await kubelet.create(world.sized_pod(BURSTABLE, "web-1"))
    memory = Size(Side.REQUESTS, ResourceName.MEMORY)
    equal = {CPU_REQUEST: "1", memory: "128Mi"}
    assert (await raised(Refused, _resize(world, other, equal))).status == 422


@claim
async def resources_move_by_the_subresource_only(world: ClusterWorld) -> None:
    made = await world.as_manager("kubelet").create(world.sized_pod(BURSTABLE))
    patch = resources.resize(made, "app", {CPU_REQUEST: "750m"})
    assert (await raised(Refused, world.cluster.json_patch(world.ref(made), patch))).status == 422


@claim
async def a_resize_of_a_pod_that_moved_or_went_is_no_resize(world: ClusterWorld) -> None:
    kubelet = world.as_manager("kubelet")
    made = await kubelet.create(world.sized_pod(BURSTABLE))
    await _resize(world, made, {CPU_REQUEST: "600m"})
    await raised(WriteConflict, _resize(world, made, {CPU_REQUEST: "750m"}))  # the version read before
    absent = made | {"metadata": made["metadata"] | {"name": "gone"}}
    patch = resources.resize(absent, "app", {CPU_REQUEST: "750m"})
    await raised(NotFound, world.cluster.json_patch(Ref(POD, world.namespace, "gone"), patch, subresource="resize"))


@claim
async def a_running_container_without_reported_resources_cannot_be_resized(world: ClusterWorld) -> None:
    """So what the operator looks at before it writes is what the server looks at."""
    kubelet = world.as_manager("kubelet")
    made = await kubelet.create(world.sized_pod(BURSTABLE))
    status: Object = {"name": "app", "image": "example.invalid/app:1", "imageID": "", "ready": True, "restartCount": 0}
    status["state"] = {"running": {"startedAt": "2026-01-05T12:00:00Z"}}
    value: Object = made["status"] | {"phase": "Running", "containerStatuses": [status]}
    patch = [{"op": "replace", "path": "/status", "value": value}]
    running = await kubelet.json_patch(world.ref(made), patch, subresource="status")
    assert (await raised(Refused, _resize(world, running, {CPU_REQUEST: "750m"}))).status == 422
    value["containerStatuses"] = [status | {"resources": BURSTABLE}]
    reported = await kubelet.json_patch(world.ref(made), patch, subresource="status")
    assert (await _resize(world, reported, {CPU_REQUEST: "750m"}))["metadata"]["uid"] == made["metadata"]["uid"]
