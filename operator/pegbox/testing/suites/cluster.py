"""Claims on ports.Cluster. Every one is a plain async function of a ClusterWorld; CLAIMS lists them all.

They hold for the fake and for a real API server alike; what only a real server can show (schemas, RBAC,
admission) is in the contract tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pegbox.model.errors import InvalidInput, NotFound, PegboxError, Refused, WriteConflict
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, PDB, POD, Cluster, Object, Ref

_E = TypeVar("_E", bound=PegboxError)


@dataclass(frozen=True)
class ClusterWorld:
    """A cluster as `pegbox` sees it, other clients of the same server, and an empty namespace."""

    cluster: Cluster
    as_manager: Callable[[str], Cluster]
    namespace: str

    def config_map(self, name: str = "settings", **data: str) -> Object:
        return self._object("v1", "ConfigMap", name) | {"data": data}

    def hpa(self, name: str = "web", **spec: Any) -> Object:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        whole = {"scaleTargetRef": target} | spec if "maxReplicas" in spec else spec
        return self._object("autoscaling/v2", "HorizontalPodAutoscaler", name) | {"spec": whole}

    def deployment(self, name: str = "web", *, env: dict[str, str] | None = None, **spec: Any) -> Object:
        container: Object = {"name": "app", "image": "example.invalid/app:1"}
        if env:
            container["env"] = [{"name": key, "value": value} for key, value in env.items()]
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        whole = {"selector": {"matchLabels": labels}, "template": template} | spec
        return self._object("apps/v1", "Deployment", name) | {"spec": whole}

    def partial_deployment(self, name: str = "web", **spec: Any) -> Object:
        """Only what we want to say of somebody else's Deployment."""
        return self._object("apps/v1", "Deployment", name) | {"spec": spec}

    def pod(self, name: str, **labels: str) -> Object:
        body = self._object("v1", "Pod", name)
        body["metadata"]["labels"] = labels
        return body | {"spec": {"containers": [{"name": "app", "image": "example.invalid/app:1"}]}}

    def ref(self, body: Object) -> Ref:
        kinds = {each.kind: each for each in (CONFIG_MAP, DEPLOYMENT, HPA, POD, PDB)}
        return Ref(kinds[body["kind"]], self.namespace, body["metadata"]["name"])

    def _object(self, api_version: str, kind: str, name: str) -> Object:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


Claim = Callable[[ClusterWorld], Awaitable[None]]
CLAIMS: list[Claim] = []


def claim(function: Claim) -> Claim:
    CLAIMS.append(function)
    return function


async def raised(kind: type[_E], awaitable: Awaitable[Any]) -> _E:
    """The error of this kind that a call ends with; anything else fails the claim."""
    try:
        answer = await awaitable
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, but it answered {answer!r}")


def locked(body: Object, *, uid: str = "", version: str = "") -> Object:
    """The body with preconditions."""
    extra = ({"uid": uid} if uid else {}) | ({"resourceVersion": version} if version else {})
    return body | {"metadata": body["metadata"] | extra}


def version(body: Object) -> str:
    return str(body["metadata"]["resourceVersion"])


# --- reading and identity


@claim
async def a_missing_object_is_not_found(world: ClusterWorld) -> None:
    await raised(NotFound, world.cluster.get(Ref(CONFIG_MAP, world.namespace, "nothing")))
    await raised(NotFound, world.cluster.delete(Ref(CONFIG_MAP, world.namespace, "nothing")))
    operations = [{"op": "add", "path": "/data", "value": {}}]
    await raised(NotFound, world.cluster.json_patch(Ref(CONFIG_MAP, world.namespace, "nothing"), operations))


@claim
async def apply_creates_and_get_gives_it_back(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    read = await world.cluster.get(world.ref(made))
    assert read["data"] == {"a": "1"} and read == made
    assert read["metadata"]["uid"] and version(read)
    assert [entry["manager"] for entry in read["metadata"]["managedFields"]] == ["pegbox"]


@claim
async def create_refuses_what_exists(world: ClusterWorld) -> None:
    made = await world.cluster.create(world.config_map(a="1"))
    await raised(WriteConflict, world.cluster.create(world.config_map(a="2")))
    assert (await world.cluster.get(world.ref(made)))["data"] == {"a": "1"}


@claim
async def list_gives_all_pages_and_honours_labels(world: ClusterWorld) -> None:
    for index in range(5):
        body = world.config_map(f"map-{index}", a="1")
        body["metadata"]["labels"] = {"parity": "even" if index % 2 == 0 else "odd"}
        await world.cluster.apply(body)
    paged = await world.cluster.list(CONFIG_MAP, world.namespace, limit=2)
    assert {f"map-{index}" for index in range(5)} <= {each["metadata"]["name"] for each in paged}
    assert all(each["kind"] == "ConfigMap" and each["apiVersion"] == "v1" for each in paged)
    for selector in ("parity=even", "parity in (even)", "parity,parity!=odd"):
        found = await world.cluster.list(CONFIG_MAP, world.namespace, labels=selector)
        assert [each["metadata"]["name"] for each in found] == ["map-0", "map-2", "map-4"], selector


@claim
async def a_no_op_apply_does_not_move_the_version(world: ClusterWorld) -> None:
    first = await world.cluster.apply(world.config_map(a="1"))
    again = await world.cluster.apply(world.config_map(a="1"))
    assert version(again) == version(first)
    changed = await world.cluster.apply(world.config_map(a="2"))
    assert version(changed) != version(first)


@claim
async def another_uid_is_a_conflict_and_never_creates(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    await raised(WriteConflict, world.cluster.apply(locked(world.config_map(a="2"), uid="other")))
    await world.cluster.delete(world.ref(made), uid=made["metadata"]["uid"])
    await raised(WriteConflict, world.cluster.apply(locked(world.config_map(), uid=made["metadata"]["uid"])))
    await raised(NotFound, world.cluster.get(world.ref(made)))


@claim
async def what_was_read_cannot_be_applied_as_it_is(world: ClusterWorld) -> None:
    """An apply states intent: a body with managedFields was read, and is refused."""
    made = await world.cluster.apply(world.config_map(a="1"))
    error = await raised(Refused, world.cluster.apply(made))
    assert error.status == 400


@claim
async def a_resource_version_alone_does_not_keep_an_apply_from_creating(world: ClusterWorld) -> None:
    made = await world.cluster.apply(locked(world.config_map(a="1"), version="12345"))
    assert (await world.cluster.get(world.ref(made)))["data"] == {"a": "1"}


@claim
async def a_stale_resource_version_is_a_conflict(world: ClusterWorld) -> None:
    first = await world.cluster.apply(world.config_map(a="1"))
    second = await world.cluster.apply(locked(world.config_map(a="2"), version=version(first)))
    await raised(WriteConflict, world.cluster.apply(locked(world.config_map(a="3"), version=version(first))))
    assert await world.cluster.get(world.ref(first)) == second


@claim
async def of_two_writers_who_compare_and_swap_exactly_one_wins(world: ClusterWorld) -> None:
    first = await world.cluster.apply(world.config_map(holder="nobody"))
    for _ in range(5):
        seen = version(await world.cluster.get(world.ref(first)))
        bids = [
            world.cluster.apply(locked(world.config_map(holder=f"{name}-{seen}"), version=seen))
            for name in ("one", "two")
        ]
        ends = await asyncio.gather(*bids, return_exceptions=True)
        won = [each for each in ends if isinstance(each, dict)]
        assert len(won) == 1 and sum(isinstance(each, WriteConflict) for each in ends) == 1, ends
        assert (await world.cluster.get(world.ref(first)))["data"] == won[0]["data"]


@claim
async def delete_with_another_uid_is_a_conflict(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    await raised(WriteConflict, world.cluster.delete(world.ref(made), uid="other"))
    await world.cluster.get(world.ref(made))
    await world.cluster.delete(world.ref(made), uid=made["metadata"]["uid"])
    await raised(NotFound, world.cluster.get(world.ref(made)))


@claim
async def a_finalizer_keeps_a_deleted_object_until_it_is_removed(world: ClusterWorld) -> None:
    body = world.config_map(a="1")
    body["metadata"]["finalizers"] = ["pegbox.dev/restore"]
    made = await world.cluster.apply(body)
    await world.cluster.delete(world.ref(made))
    assert (await world.cluster.get(world.ref(made)))["metadata"]["deletionTimestamp"]
    await world.cluster.apply(world.config_map(a="1"))
    await raised(NotFound, world.cluster.get(world.ref(made)))


# --- ownership


@claim
async def a_value_that_another_owns_is_a_conflict_naming_manager_and_field(world: ClusterWorld) -> None:
    await world.as_manager("helm").apply(world.deployment(replicas=3))
    error = await raised(WriteConflict, world.cluster.apply(world.partial_deployment(replicas=5)))
    assert [tuple(owner) for owner in error.owners] == [("helm", ".spec.replicas")]
    await world.as_manager("helm").apply(world.hpa(minReplicas=1, maxReplicas=4))
    error = await raised(WriteConflict, world.cluster.apply(world.hpa(maxReplicas=8)))
    assert ("helm", ".spec.maxReplicas") in [tuple(owner) for owner in error.owners]


@claim
async def a_conflict_inside_a_list_names_the_item(world: ClusterWorld) -> None:
    await world.as_manager("helm").apply(world.deployment(env={"WORKERS": "4"}))
    error = await raised(WriteConflict, world.cluster.apply(_with_env(world, "9")))
    field = '.spec.template.spec.containers[name="app"].env[name="WORKERS"].value'
    assert [tuple(owner) for owner in error.owners] == [("helm", field)]


@claim
async def an_equal_value_makes_a_co_owner_whom_the_owners_next_change_meets(world: ClusterWorld) -> None:
    helm = world.as_manager("helm")
    await helm.apply(world.deployment(replicas=3))
    await world.cluster.apply(world.partial_deployment(replicas=3))
    error = await raised(WriteConflict, helm.apply(world.deployment(replicas=4)))
    assert [tuple(owner) for owner in error.owners] == [("pegbox", ".spec.replicas")]


@claim
async def force_takes_the_field_and_the_owners_next_apply_fails(world: ClusterWorld) -> None:
    helm = world.as_manager("helm")
    await helm.apply(world.deployment(replicas=3))
    taken = await world.cluster.apply(world.partial_deployment(replicas=5), force=True)
    assert taken["spec"]["replicas"] == 5
    error = await raised(WriteConflict, helm.apply(world.deployment(replicas=3)))
    assert [tuple(owner) for owner in error.owners] == [("pegbox", ".spec.replicas")]


@claim
async def an_owner_who_omits_the_field_consents(world: ClusterWorld) -> None:
    helm = world.as_manager("helm")
    await helm.apply(world.deployment())
    tuned = await world.cluster.apply(world.partial_deployment(replicas=5))
    assert tuned["spec"]["replicas"] == 5
    again = await helm.apply(world.deployment())
    assert again["spec"]["replicas"] == 5


@claim
async def releasing_a_field_removes_it_and_restores_nothing(world: ClusterWorld) -> None:
    helm = world.as_manager("helm")
    await helm.apply(world.deployment(replicas=3, env={"WORKERS": "4"}))
    await world.cluster.apply(_with_env(world, "9") | {}, force=True)
    await world.cluster.apply(world.partial_deployment(name="web", replicas=5), force=True)
    released = await world.cluster.apply(world.partial_deployment(minReadySeconds=1))
    assert released["spec"]["replicas"] == 1  # the default, not helm's 3
    [variable] = released["spec"]["template"]["spec"]["containers"][0]["env"]
    assert variable == {"name": "WORKERS"}  # an empty value, not helm's 4


@claim
async def re_applying_the_recorded_value_restores_it(world: ClusterWorld) -> None:
    before = await world.as_manager("helm").apply(world.deployment(replicas=3))
    await world.cluster.apply(world.partial_deployment(replicas=5), force=True)
    after = await world.cluster.apply(world.partial_deployment(replicas=3))
    assert after["spec"] == before["spec"]


@claim
async def keys_of_a_config_map_are_owned_one_by_one(world: ClusterWorld) -> None:
    await world.as_manager("helm").apply(world.config_map(theirs="1"))
    both = await world.cluster.apply(world.config_map(ours="2"))
    assert both["data"] == {"theirs": "1", "ours": "2"}
    error = await raised(WriteConflict, world.cluster.apply(world.config_map(ours="2", theirs="9")))
    assert [tuple(owner) for owner in error.owners] == [("helm", ".data.theirs")]
    left = await world.cluster.apply(world.config_map())
    assert left["data"] == {"theirs": "1"}


@claim
async def after_take_a_patch_of_managed_fields_gives_the_field_back(world: ClusterWorld) -> None:
    """What holds: the recorded entries can be written back, under a resourceVersion lock, and the owner's
    next apply of an unchanged chart passes. Values must be restored first; the patch moves ownership only.
    """
    helm = world.as_manager("helm")
    before = await helm.apply(world.deployment(replicas=3))
    await world.cluster.apply(world.partial_deployment(replicas=5), force=True)
    restored = await world.cluster.apply(world.partial_deployment(replicas=3))
    recorded = before["metadata"]["managedFields"]
    give_back = [
        {"op": "test", "path": "/metadata/uid", "value": before["metadata"]["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": version(restored)},
        {"op": "replace", "path": "/metadata/managedFields", "value": recorded},
    ]
    after = await world.cluster.json_patch(world.ref(before), give_back)
    assert [entry["manager"] for entry in after["metadata"]["managedFields"]] == ["helm"]
    assert after["spec"] == before["spec"]
    upgraded = await helm.apply(world.deployment(replicas=4))
    assert upgraded["spec"]["replicas"] == 4
    stale = await raised(WriteConflict, world.cluster.json_patch(world.ref(before), give_back))
    assert stale.owners == ()


@claim
async def what_we_patched_conflicts_with_our_own_apply(world: ClusterWorld) -> None:
    """An Update and an Apply of one field manager are two owners: keep to one way of writing per field."""
    await world.as_manager("helm").apply(world.deployment())
    made = world.partial_deployment()
    await world.cluster.json_patch(world.ref(made), [{"op": "replace", "path": "/spec/replicas", "value": 7}])
    error = await raised(WriteConflict, world.cluster.apply(world.partial_deployment(replicas=8)))
    assert [owner.manager for owner in error.owners] == ["pegbox"]


@claim
async def a_fence_makes_a_stale_leaders_late_write_fail(world: ClusterWorld) -> None:
    """The new leader bumps an annotation by patch: an apply that stated it alone would release all our fields."""
    made = await world.cluster.apply(world.config_map(a="1"))
    fence = [
        {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
        {"op": "add", "path": "/metadata/annotations", "value": {"pegbox.dev/fence": "2"}},
    ]
    fenced = await world.cluster.json_patch(world.ref(made), fence)
    assert fenced["data"] == {"a": "1"} and version(fenced) != version(made)
    late = locked(world.config_map(a="stale"), uid=made["metadata"]["uid"], version=version(made))
    await raised(WriteConflict, world.cluster.apply(late))
    current = locked(world.config_map(a="2"), version=version(fenced))
    after = await world.cluster.apply(current)
    assert after["metadata"]["annotations"] == {"pegbox.dev/fence": "2"} and after["data"] == {"a": "2"}


@claim
async def a_fence_that_repeats_its_value_fences_nothing(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    same = [{"op": "add", "path": "/metadata/annotations", "value": {"pegbox.dev/fence": "2"}}]
    first = await world.cluster.json_patch(world.ref(made), same)
    again = await world.cluster.json_patch(world.ref(made), same)
    assert version(again) == version(first)


@claim
async def an_apply_that_states_less_releases_the_rest(world: ClusterWorld) -> None:
    await world.cluster.apply(world.config_map(a="1", b="2"))
    noted = world.config_map()
    del noted["data"]
    noted["metadata"]["annotations"] = {"note": "x"}
    assert "data" not in await world.cluster.apply(noted)


@claim
async def an_apply_without_uid_brings_a_deleted_object_back(world: ClusterWorld) -> None:
    """So every write to an object that we did not just make carries its uid."""
    made = await world.as_manager("helm").apply(world.hpa(minReplicas=1, maxReplicas=4))
    await world.cluster.delete(world.ref(made))
    body = world.hpa(maxReplicas=8)
    await raised(WriteConflict, world.cluster.apply(locked(body, uid=made["metadata"]["uid"])))
    back = await world.cluster.apply(body)
    assert back["spec"]["maxReplicas"] == 8 and back["metadata"]["uid"] != made["metadata"]["uid"]


@claim
async def metrics_of_an_hpa_are_one_value(world: ClusterWorld) -> None:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": _utilization(60)}}
    await world.as_manager("helm").apply(world.hpa(maxReplicas=4, metrics=[metric]))
    more = metric | {"resource": {"name": "memory", "target": _utilization(80)}}
    error = await raised(WriteConflict, world.cluster.apply(world.hpa(maxReplicas=4, metrics=[metric, more])))
    assert [tuple(owner) for owner in error.owners] == [("helm", ".spec.metrics")]


# --- subresources and patches


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


# --- pods


@claim
async def eviction_needs_the_pods_uid(world: ClusterWorld) -> None:
    made = await world.cluster.create(world.pod("web-1", app="web"))
    await raised(WriteConflict, world.cluster.evict(world.ref(made), uid="other"))
    await world.cluster.get(world.ref(made))
    await world.cluster.evict(world.ref(made), uid=made["metadata"]["uid"])
    await raised(NotFound, world.cluster.evict(world.ref(made), uid=made["metadata"]["uid"]))


@claim
async def eviction_is_refused_while_a_budget_forbids_it(world: ClusterWorld) -> None:
    await world.cluster.apply(
        world._object("policy/v1", "PodDisruptionBudget", "web")
        | {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    )
    pods = [await _ready_pod(world, name) for name in ("web-1", "web-2")]
    await _allow_disruptions(world, 1)
    await world.cluster.evict(world.ref(pods[0]), uid=pods[0]["metadata"]["uid"])
    error = await raised(Refused, world.cluster.evict(world.ref(pods[1]), uid=pods[1]["metadata"]["uid"]))
    assert error.status == 429
    await world.cluster.get(world.ref(pods[1]))


async def _ready_pod(world: ClusterWorld, name: str) -> Object:
    made = await world.cluster.create(world.pod(name, app="web"))
    body = world._object("v1", "Pod", name)
    ready = {"type": "Ready", "status": "True"}
    body["status"] = {"phase": "Running", "conditions": [ready]}
    await world.as_manager("kubelet").apply(body, force=True, subresource="status")
    return made


async def _allow_disruptions(world: ClusterWorld, count: int) -> None:
    body = world._object("policy/v1", "PodDisruptionBudget", "web")
    body["status"] = {
        "observedGeneration": 1,
        "disruptionsAllowed": count,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    await world.as_manager("kube-controller-manager").apply(body, force=True, subresource="status")


def _utilization(percent: int) -> Object:
    return {"type": "Utilization", "averageUtilization": percent}


def _replicas(count: int) -> list[Object]:
    return [{"op": "replace", "path": "/spec/replicas", "value": count}]


def _with_env(world: ClusterWorld, value: str) -> Object:
    container = {"name": "app", "env": [{"name": "WORKERS", "value": value}]}
    return world.partial_deployment(template={"spec": {"containers": [container]}})
