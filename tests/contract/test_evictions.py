"""What the eviction API of a real server answers: a disruption budget, a server that has no room, and who says which."""

from __future__ import annotations

import asyncio
from typing import Any

from dev.cluster.control import ControlPlane
from pegbox.adapters.kube.client import KubeCluster
from pegbox.model.errors import NotAvailable, NotEvicted, Refused
from pegbox.ports import PDB, Object, Ref
from pegbox.testing.suites.cluster import ClusterWorld, raised

ONE_SEAT = """
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: contract-one-seat}
spec:
  type: Limited
  limited:
    nominalConcurrencyShares: 0
    lendablePercent: 0
    borrowingLimitPercent: 0
    limitResponse: {type: Reject}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: contract-one-seat}
spec:
  priorityLevelConfiguration: {name: contract-one-seat}
  matchingPrecedence: 2
  rules:
  - subjects: [{kind: User, user: {name: crowded}}]
    resourceRules:
    - {verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: contract-crowded}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: crowded}]
"""
"""A level of no share at all still runs one request where it is idle, and rejects what comes beside that."""
ALLOWS_NONE: Object = {
    "observedGeneration": 1,
    "disruptionsAllowed": 0,
    "currentHealthy": 1,
    "desiredHealthy": 1,
    "expectedPods": 1,
}


async def running(world: ClusterWorld) -> Object:
    """A pod that serves, and a budget that allows no disruption."""
    made = await world.cluster.create(world.pod("web-1", app="web"))
    body = world._object("v1", "Pod", "web-1")
    body["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await world.as_manager("kubelet").apply(body, force=True, subresource="status")
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await world.cluster.apply(world._object("policy/v1", "PodDisruptionBudget", "web") | {"spec": spec})
    await stated(world, **ALLOWS_NONE)
    return made


async def stated(world: ClusterWorld, **status: Any) -> None:
    """As the disruption controller would."""
    body = world._object("policy/v1", "PodDisruptionBudget", "web") | {"status": status}
    await world.as_manager("kube-controller-manager").apply(body, force=True, subresource="status")


async def crowded(control_plane: ControlPlane, client: Any, world: ClusterWorld) -> KubeCluster:
    """A client whose only seat is taken for some seconds, by a request of its own: before the server answers that a pod has
    another uid, it tries for 10 s. It knows of the level some moment after that was written, so this is asked again."""
    control_plane.apply(ONE_SEAT)
    kubeconfig = control_plane.kubeconfig_for("crowded")
    made: KubeCluster = await client(kubeconfig=kubeconfig)
    pod = world.ref(await world.cluster.create(world.pod("other-1", app="other")))
    sitting = []
    async with asyncio.timeout(30):
        while True:
            sitting.append(asyncio.create_task(made.evict(pod, uid="another")))
            sitting[-1].add_done_callback(lambda task: task.cancelled() or task.exception())
            for _ in range(10):
                await asyncio.sleep(0.1)
                try:
                    await made.get(pod)
                except NotAvailable:
                    return made


async def test_a_budget_and_a_server_without_room_both_say_429_and_are_told_apart(
    control_plane: ControlPlane, client: Any, world: ClusterWorld
) -> None:
    """The twin asks for the same pod at the same time: who has a seat is told of the budget."""
    pod = await running(world)
    ref, uid = world.ref(pod), pod["metadata"]["uid"]
    other = await crowded(control_plane, client, world)
    busy = await raised(NotAvailable, other.evict(ref, uid=uid))
    forbidden = await raised(NotEvicted, world.cluster.evict(ref, uid=uid))
    assert "429" in str(busy) and "Too many requests" in str(busy)
    assert (forbidden.status, forbidden.budget, forbidden.lasting) == (429, "web", False)
    assert (await world.cluster.get(ref))["metadata"]["uid"] == uid


async def test_a_budget_whose_controller_failed_says_why(world: ClusterWorld) -> None:
    pod = await running(world)
    why = {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale of Widget x"}
    await stated(world, **ALLOWS_NONE, conditions=[why | {"lastTransitionTime": "2026-01-01T00:00:00Z"}])
    error = await raised(NotEvicted, world.cluster.evict(world.ref(pod), uid=pod["metadata"]["uid"]))
    assert error.budget == "web" and "no scale of Widget x" in str(error)


async def test_a_budget_whose_evictions_nobody_confirms_is_the_budgets_and_a_missing_right_is_not(
    control_plane: ControlPlane, client: Any, world: ClusterWorld
) -> None:
    """Both are 403. 2000 evictions may be unconfirmed."""
    pod = await running(world)
    gone = {f"web-{number}": "2026-01-01T00:00:00Z" for number in range(2001)}
    await stated(world, **ALLOWS_NONE | {"disruptionsAllowed": 5, "disruptedPods": gone})
    error = await raised(NotEvicted, world.cluster.evict(world.ref(pod), uid=pod["metadata"]["uid"]))
    assert (error.status, error.budget) == (403, "web")
    stranger = await client(kubeconfig=control_plane.kubeconfig_for("stranger"))
    refused = await raised(Refused, stranger.evict(world.ref(pod), uid=pod["metadata"]["uid"]))
    assert refused.status == 403 and not isinstance(refused, NotEvicted)


async def test_the_budget_that_is_named_can_be_read(world: ClusterWorld) -> None:
    pod = await running(world)
    error = await raised(NotEvicted, world.cluster.evict(world.ref(pod), uid=pod["metadata"]["uid"]))
    budget = await world.cluster.get(Ref(PDB, world.namespace, error.budget))
    assert budget["status"]["disruptionsAllowed"] == 0
