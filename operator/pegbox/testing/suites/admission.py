"""Claims: what the shipped admission policy makes of new pods, and of which. The policy has to be installed."""

from __future__ import annotations

from collections.abc import Callable

from pegbox.ports import Object
from pegbox.testing.suites.world import Claim, ClusterWorld, locked

CLAIMS: list[Claim] = []
ATTEMPTS = 2000  # pods created one after the other until a server has taken note: parameters come from an informer

THREADS: Object = {"name": "THREADS", "value": "8"}
WORKERS: Object = {"name": "WORKERS", "value": "16", "over": "4"}


def claim(function: Claim) -> Claim:
    CLAIMS.append(function)
    return function


def environment(world: ClusterWorld, *env: Object, kind: str = "Deployment") -> Object:
    """A PodEnvironment for the container `app` of `web`."""
    body = world.pod_environment("web")
    spec = {"profileUID": "u", "target": {"kind": kind, "name": "web"}, "container": "app", "env": list(env)}
    return body | {"spec": spec}


def pod_of(world: ClusterWorld, name: str, controller: str, *env: Object, kind: str = "ReplicaSet") -> Object:
    """A pod as a controller makes it, with what its template states."""
    body = world.pod(name, **({"pod-template-hash": "7d4f"} if kind == "ReplicaSet" else {}))
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "apps/v1", "kind": kind, "name": controller, "uid": "u-1", "controller": True}
    ]
    if env:
        body["spec"]["containers"][0]["env"] = list(env)
    return body


def texts(pod: Object) -> dict[str, str]:
    """The variables of its first container."""
    return {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0].get("env") or ()}


async def until(
    world: ClusterWorld, holds: Callable[[dict[str, str]], bool], controller: str = "web-7d4f", kind: str = "ReplicaSet"
) -> Object:
    """The first new pod of the workload for whose variables it holds."""
    kubelet = world.as_manager("kubelet")
    for attempt in range(ATTEMPTS):
        made = await kubelet.create(pod_of(world, f"until-{attempt}", controller, kind=kind))
        await kubelet.delete(world.ref(made), uid=made["metadata"]["uid"])
        if holds(texts(made)):
            return made
    raise AssertionError(f"no pod of {ATTEMPTS} had what was waited for: {texts(made)}")


@claim
async def a_new_pod_of_the_target_has_the_variables_and_no_other_pod_has(world: ClusterWorld) -> None:
    await world.cluster.create(environment(world, THREADS, WORKERS))
    await until(world, lambda found: found == {"THREADS": "8"})  # WORKERS is for pods that state 4
    kubelet, stated = world.as_manager("kubelet"), {"name": "WORKERS", "value": "4"}
    made = await kubelet.create(pod_of(world, "mine", "web-7d4f", stated))
    assert texts(made) == {"THREADS": "8", "WORKERS": "16"}
    others = {
        "another": pod_of(world, "another", "web2-7d4f", stated),
        "a-longer-name": pod_of(world, "a-longer-name", "web-7d4f-7d4f", stated),
        "another-revision": pod_of(world, "another-revision", "web-5b9c", stated),
        "another-kind": pod_of(world, "another-kind", "web", stated, kind="StatefulSet"),
    }
    others["without-controller"] = pod_of(world, "without-controller", "web-7d4f", stated)
    others["without-controller"]["metadata"]["ownerReferences"][0]["controller"] = False
    others["of-nobody"] = pod_of(world, "of-nobody", "web-7d4f", stated)
    del others["of-nobody"]["metadata"]["ownerReferences"]
    others["another-container"] = pod_of(world, "another-container", "web-7d4f", stated)
    others["another-container"]["spec"]["containers"][0]["name"] = "sidecar"
    found = {name: texts(await kubelet.create(body)) for name, body in others.items()}
    assert found == {name: {"WORKERS": "4"} for name in others}


@claim
async def only_the_named_container_is_changed_and_nothing_else_of_the_pod(world: ClusterWorld) -> None:
    await world.cluster.create(environment(world, THREADS))
    await until(world, lambda found: "THREADS" in found)
    plain, body = pod_of(world, "plain", "web-0000"), pod_of(world, "two", "web-7d4f")
    for each in (plain, body):
        each["spec"]["containers"].append({"name": "sidecar", "image": "example.invalid/sidecar:1"})
    kubelet = world.as_manager("kubelet")
    without, made = await kubelet.create(plain), await kubelet.create(body)
    assert made["spec"]["containers"][0].pop("env") == [THREADS]
    for each in (*made["spec"]["containers"], *without["spec"]["containers"]):
        each.pop("volumeMounts", None)  # the server mounts its token under a name made up for each pod
    assert made["spec"]["containers"] == without["spec"]["containers"]
    assert made["metadata"].get("labels") == body["metadata"]["labels"]
    assert made["metadata"].get("annotations") == without["metadata"].get("annotations")


@claim
async def what_the_owner_states_otherwise_stands_at_once(world: ClusterWorld) -> None:
    """His next template wins with its first pod, before anybody of ours has looked."""
    await world.cluster.create(environment(world, THREADS, WORKERS))
    await until(world, lambda found: "THREADS" in found)
    source = {"name": "WORKERS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    kubelet = world.as_manager("kubelet")
    cases: list[tuple[Object, str]] = [({"name": "WORKERS", "value": "5"}, "5"), (source, "")]
    for number, (env, after) in enumerate(cases):
        made = await kubelet.create(pod_of(world, f"theirs-{number}", "web-7d4f", env))
        assert texts(made) == {"THREADS": "8", "WORKERS": after}
    made = await kubelet.create(pod_of(world, "stated", "web-7d4f", {"name": "THREADS", "value": "1"}))
    assert texts(made) == {"THREADS": "1"}


@claim
async def pods_of_a_stateful_set_are_told_by_its_name(world: ClusterWorld) -> None:
    await world.cluster.create(environment(world, THREADS, kind="StatefulSet"))
    await until(world, lambda found: found == {"THREADS": "8"}, "web", "StatefulSet")
    other = await world.as_manager("kubelet").create(pod_of(world, "web2-0", "web2", kind="StatefulSet"))
    assert texts(other) == {}
    named_alike = await world.as_manager("kubelet").create(pod_of(world, "web-1", "web-7d4f"))
    assert texts(named_alike) == {}


@claim
async def a_changed_an_emptied_and_a_deleted_environment_count_for_the_pods_after_it(world: ClusterWorld) -> None:
    made = await world.cluster.apply(environment(world, THREADS))
    await until(world, lambda found: found == {"THREADS": "8"})
    await world.cluster.apply(environment(world, THREADS | {"value": "9"}))
    await until(world, lambda found: found == {"THREADS": "9"})
    await world.cluster.apply(locked(environment(world), uid=made["metadata"]["uid"]))
    await until(world, lambda found: found == {})
    await world.cluster.apply(environment(world, THREADS))
    await until(world, lambda found: found == {"THREADS": "8"})
    await world.cluster.delete(world.ref(made), uid=made["metadata"]["uid"])
    await until(world, lambda found: found == {})
