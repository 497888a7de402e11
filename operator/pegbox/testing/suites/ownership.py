"""Claims: who owns a field, what a conflict says, and what releasing, taking and giving back do."""

from __future__ import annotations

from pegbox.model.errors import WriteConflict
from pegbox.ports import Object
from pegbox.testing.suites.world import Claim, ClusterWorld, locked, raised, version

CLAIMS: list[Claim] = []


def claim(function: Claim) -> Claim:
    CLAIMS.append(function)
    return function


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


def _utilization(percent: int) -> Object:
    return {"type": "Utilization", "averageUtilization": percent}


def _with_env(world: ClusterWorld, value: str) -> Object:
    container = {"name": "app", "env": [{"name": "WORKERS", "value": value}]}
    return world.partial_deployment(template={"spec": {"containers": [container]}})
