"""Ownership on a real API server with our own reading of managedFields: state all, take, give back."""

import pytest

from pegbox.adapters.kube import owners
from pegbox.model.errors import WriteConflict
from pegbox.ports import Object
from pegbox.testing.suites.cluster import ClusterWorld, raised


def head(body: Object) -> Object:
    kept = {key: body["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": kept}


async def test_stating_all_that_we_applied_releases_nothing(world: ClusterWorld) -> None:
    """The twin: an apply of the new key alone, and the old one is gone."""
    await world.as_manager("helm").apply(world.config_map(theirs="0"))
    first = await world.cluster.apply(world.config_map(a="1"))
    body = head(first) | owners.applied(first) | {"data": owners.applied(first)["data"] | {"b": "2"}}
    both = await world.cluster.apply(body)
    assert both["data"] == {"theirs": "0", "a": "1", "b": "2"}
    only = await world.cluster.apply(world.config_map(b="2"))
    assert only["data"] == {"theirs": "0", "b": "2"}


async def test_stating_again_what_we_applied_to_a_template_is_a_no_op(world: ClusterWorld) -> None:
    await world.as_manager("helm").apply(world.deployment(replicas=3, env={"WORKERS": "4", "OTHER": "x"}))
    container = {"name": "app", "env": [{"name": "WORKERS", "value": "9"}]}
    template = {"metadata": {"annotations": {"note": "x"}}, "spec": {"containers": [container]}}
    taken = await world.cluster.apply(world.partial_deployment(replicas=5, template=template), force=True)
    again = await world.cluster.apply(head(taken) | owners.applied(taken))
    assert again["metadata"]["resourceVersion"] == taken["metadata"]["resourceVersion"]


@pytest.mark.parametrize("kind", ["deployment", "hpa", "config map", "env"])
async def test_after_take_the_field_goes_back_to_its_owner_whose_next_apply_passes(
    world: ClusterWorld, kind: str
) -> None:
    helm = world.as_manager("helm")
    env = owners.container_field("app", "env", "x")[:-1]
    item = 'k:{"name":"WORKERS"}'
    container = {"name": "app", "env": [{"name": "WORKERS", "value": "9"}]}
    theirs, taken, paths = {
        "deployment": (world.deployment(replicas=3), world.partial_deployment(replicas=5), [owners.REPLICAS]),
        "hpa": (world.hpa(minReplicas=2, maxReplicas=4), world.hpa(maxReplicas=8), [owners.MAX_REPLICAS]),
        "config map": (world.config_map(a="1", b="2"), world.config_map(a="9"), [owners.data_key("a")]),
        "env": (
            world.deployment(env={"WORKERS": "4"}),
            world.partial_deployment(template={"spec": {"containers": [container]}}),
            [(*env, item, "f:value")],
        ),
    }[kind]
    before = await helm.apply(theirs)
    recorded = owners.entries_owning(before, paths[0])
    assert [owner.manager for owner in recorded] == ["helm"]
    now = await world.cluster.apply(taken, force=True)
    assert owners.owners(now, paths[0]) == () and owners.ours(now, paths[0])
    await raised(WriteConflict, helm.apply(theirs))

    restored = await world.cluster.apply(_with_their_values(taken, theirs))
    for path in paths:
        restored = await world.cluster.json_patch(world.ref(restored), owners.give_back(restored, path, recorded[0]))
    assert owners.owners(restored, paths[0]) == ("helm",) and not owners.ours(restored, paths[0])
    after = await helm.apply(theirs)
    for part in ("spec", "data"):
        assert after.get(part) == before.get(part)


def _with_their_values(taken: Object, theirs: Object) -> Object:
    """What we took, with the owner's values: the restore."""
    if "data" in taken:
        return taken | {"data": {key: theirs["data"][key] for key in taken["data"]}}
    if "template" in taken["spec"]:
        container = theirs["spec"]["template"]["spec"]["containers"][0]
        env = {"name": "app", "env": container["env"]}
        return taken | {"spec": {"template": {"spec": {"containers": [env]}}}}
    return taken | {"spec": {key: theirs["spec"][key] for key in taken["spec"]}}
