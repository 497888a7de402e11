"""Claims: subresources, patches, and evictions."""

from __future__ import annotations

from pegbox.model.errors import InvalidInput, NotEvicted, NotFound, Refused, WriteConflict
from pegbox.ports import PDB, Object, Ref
from pegbox.testing.suites.world import Claim, ClusterWorld, raised, version

CLAIMS: list[Claim] = []


def claim(function: Claim) -> Claim:
    CLAIMS.append(function)
    return function


@claim
async def scale_by_apply_is_refused(world: ClusterWorld) -> None:
    """Of a field that nobody owns, a server says that `before-first-apply` owns it: only a patch works."""
    await world.as_manager("helm").apply(world.deployment())
    await raised(InvalidInput, world.cluster.apply(world.partial_deployment(replicas=4), subresource="scale"))


@claim
async def scale_by_patch_of_a_field_that_nobody_owns_leaves_it_unowned(world: ClusterWorld) -> None:
    """So managedFields do not say that we scaled, and the owner may state replicas later without a conflict."""
    helm = world.as_manager("helm")
    made = await helm.apply(world.deployment())
    scaled = await world.cluster.json_patch(world.ref(made), _replicas(4), subresource="scale")
    assert scaled["kind"] == "Scale" and scaled["spec"]["replicas"] == 4
    read = await world.cluster.get(world.ref(made))
    assert read["spec"]["replicas"] == 4
    assert [entry["manager"] for entry in read["metadata"]["managedFields"]] == ["helm"]
    assert (await helm.apply(world.deployment()))["spec"]["replicas"] == 4
    assert (await helm.apply(world.deployment(replicas=2)))["spec"]["replicas"] == 2


@claim
async def scale_by_patch_takes_an_owned_field_without_asking(world: ClusterWorld) -> None:
    """A patch never conflicts with an owner: who may write is asked of managedFields before."""
    helm = world.as_manager("helm")
    made = await helm.apply(world.deployment(replicas=2))
    await world.cluster.json_patch(world.ref(made), _replicas(4), subresource="scale")
    read = await world.cluster.get(world.ref(made))
    entries = [each for each in read["metadata"]["managedFields"] if each["manager"] == "pegbox"]
    assert [(entry["operation"], entry["subresource"]) for entry in entries] == [("Update", "scale")]
    error = await raised(WriteConflict, helm.apply(world.deployment(replicas=2)))
    assert [tuple(owner) for owner in error.owners] == [("pegbox", ".spec.replicas")]


@claim
async def scale_by_patch_tests_the_value_it_replaces(world: ClusterWorld) -> None:
    made = await world.as_manager("helm").apply(world.deployment(replicas=3))

    def to(value: int, expected: int) -> list[Object]:
        return [
            {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
            {"op": "test", "path": "/spec/replicas", "value": expected},
            {"op": "replace", "path": "/spec/replicas", "value": value},
        ]

    scaled = await world.cluster.json_patch(world.ref(made), to(4, 3), subresource="scale")
    assert scaled["spec"]["replicas"] == 4
    await raised(WriteConflict, world.cluster.json_patch(world.ref(made), to(5, 3), subresource="scale"))
    assert (await world.cluster.get(world.ref(made)))["spec"]["replicas"] == 4


@claim
async def status_is_written_by_its_subresource_only(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.deployment() | {"status": {"replicas": 7}})
    assert made.get("status", {}).get("replicas", 0) == 0
    status = world.partial_deployment() | {"status": {"replicas": 7}}
    del status["spec"]
    written = await world.cluster.apply(status, subresource="status")
    assert written["status"]["replicas"] == 7
    assert written["spec"] == made["spec"]


@claim
async def generation_moves_with_the_spec_and_not_with_labels(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.deployment(replicas=1))
    body = world.deployment(replicas=1)
    body["metadata"]["labels"] = {"note": "x"}
    noted = await world.cluster.apply(body)
    assert noted["metadata"]["generation"] == made["metadata"]["generation"]
    assert version(noted) != version(made)
    body["spec"]["replicas"] = 2
    scaled = await world.cluster.apply(body)
    assert scaled["metadata"]["generation"] == made["metadata"]["generation"] + 1


@claim
async def an_annotation_moves_a_deployments_generation(world: ClusterWorld) -> None:
    """So a fence annotation makes a Deployment look unobserved until its controller has seen it."""
    made = await world.cluster.apply(world.deployment(replicas=1))
    body = world.deployment(replicas=1)
    body["metadata"]["annotations"] = {"pegbox.dev/fence": "2"}
    fenced = await world.cluster.apply(body)
    assert fenced["metadata"]["generation"] == made["metadata"]["generation"] + 1


@claim
async def a_failed_test_of_a_patch_is_a_conflict_and_changes_nothing(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    for path, value in (("/metadata/uid", "other"), ("/metadata/resourceVersion", "1"), ("/data/a", "2")):
        operations = [
            {"op": "test", "path": path, "value": value},
            {"op": "replace", "path": "/data/a", "value": "9"},
        ]
        await raised(WriteConflict, world.cluster.json_patch(world.ref(made), operations))
    gone = [{"op": "remove", "path": "/data/nothing"}]
    await raised(WriteConflict, world.cluster.json_patch(world.ref(made), gone))
    assert await world.cluster.get(world.ref(made)) == made


@claim
async def a_patch_replaces_and_takes_what_it_changes(world: ClusterWorld) -> None:
    made = await world.as_manager("helm").apply(world.config_map(a="1", b="2"))
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version(made)},
        {"op": "replace", "path": "/data/a", "value": "9"},
    ]
    patched = await world.cluster.json_patch(world.ref(made), operations)
    assert patched["data"] == {"a": "9", "b": "2"}
    error = await raised(WriteConflict, world.as_manager("helm").apply(world.config_map(a="1", b="2")))
    assert [owner.manager for owner in error.owners] == ["pegbox"]


@claim
async def eviction_needs_the_pods_uid(world: ClusterWorld) -> None:
    made = await world.cluster.create(world.pod("web-1", app="web"))
    await raised(WriteConflict, world.cluster.evict(world.ref(made), uid="other"))
    await world.cluster.get(world.ref(made))
    await world.cluster.evict(world.ref(made), uid=made["metadata"]["uid"])
    await raised(NotFound, world.cluster.evict(world.ref(made), uid=made["metadata"]["uid"]))


@claim
async def eviction_is_refused_while_a_budget_forbids_it(world: ClusterWorld) -> None:
    await world.cluster.apply(_disruption_budget(world, "web"))
    pods = [await _ready_pod(world, name) for name in ("web-1", "web-2")]
    await _allow_disruptions(world, 1)
    await world.cluster.evict(world.ref(pods[0]), uid=pods[0]["metadata"]["uid"])
    error = await raised(NotEvicted, world.cluster.evict(world.ref(pods[1]), uid=pods[1]["metadata"]["uid"]))
    assert (error.status, error.budget, error.lasting) == (429, "web", False)
    await world.cluster.get(world.ref(pods[1]))


@claim
async def eviction_is_refused_until_the_controller_has_seen_the_budget(world: ClusterWorld) -> None:
    """It has no status yet, or one of an older generation."""
    await world.cluster.apply(_disruption_budget(world, "web"))
    pod = await _ready_pod(world, "web-1")
    error = await raised(NotEvicted, world.cluster.evict(world.ref(pod), uid=pod["metadata"]["uid"]))
    assert (error.status, error.budget, error.lasting) == (429, "web", False)
    await _allow_disruptions(world, 1)
    await world.cluster.evict(world.ref(pod), uid=pod["metadata"]["uid"])


@claim
async def eviction_of_a_pod_that_is_not_ready_takes_nothing_from_a_budget_that_holds_without_it(
    world: ClusterWorld,
) -> None:
    await world.cluster.apply(_disruption_budget(world, "web"))
    pods = [await _ready_pod(world, "web-1"), await _ready_pod(world, "web-2", ready="False")]
    await _allow_disruptions(world, 0)
    await raised(NotEvicted, world.cluster.evict(world.ref(pods[0]), uid=pods[0]["metadata"]["uid"]))
    await world.cluster.evict(world.ref(pods[1]), uid=pods[1]["metadata"]["uid"])


@claim
async def eviction_of_a_pod_of_several_budgets_is_refused_for_good(world: ClusterWorld) -> None:
    """No budget is named, and none is asked: both would allow it."""
    for name in ("web", "all"):
        await world.cluster.apply(_disruption_budget(world, name))
        await _allow_disruptions(world, 5, name)
    pod = await _ready_pod(world, "web-1")
    error = await raised(NotEvicted, world.cluster.evict(world.ref(pod), uid=pod["metadata"]["uid"]))
    assert (error.status, error.budget, error.lasting) == (500, "", True)
    await world.cluster.delete(Ref(PDB, world.namespace, "all"))
    await world.cluster.evict(world.ref(pod), uid=pod["metadata"]["uid"])


def _disruption_budget(world: ClusterWorld, name: str) -> Object:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    return world._object("policy/v1", "PodDisruptionBudget", name) | {"spec": spec}


async def _ready_pod(world: ClusterWorld, name: str, ready: str = "True") -> Object:
    made = await world.cluster.create(world.pod(name, app="web"))
    body = world._object("v1", "Pod", name)
    body["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    await world.as_manager("kubelet").apply(body, force=True, subresource="status")
    return made


async def _allow_disruptions(world: ClusterWorld, count: int, name: str = "web") -> None:
    body = world._object("policy/v1", "PodDisruptionBudget", name)
    body["status"] = {
        "observedGeneration": 1,
        "disruptionsAllowed": count,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    await world.as_manager("kube-controller-manager").apply(body, force=True, subresource="status")


def _replicas(count: int) -> list[Object]:
    return [{"op": "replace", "path": "/spec/replicas", "value": count}]


@claim
async def an_hpa_whose_minimum_is_above_its_maximum_is_refused(world: ClusterWorld) -> None:
    made = await world.as_manager("helm").apply(world.hpa(minReplicas=3, maxReplicas=6))
    error = await raised(Refused, world.cluster.apply(world.hpa(maxReplicas=2), force=True))
    assert error.status == 422 and "maxReplicas" in str(error)
    assert (await world.cluster.get(world.ref(made)))["spec"]["maxReplicas"] == 6
