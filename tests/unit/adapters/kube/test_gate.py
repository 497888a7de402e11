"""The gate lets through what it may, and counts it."""

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from pegbox.adapters.kube.gate import GuardedCluster
from pegbox.model.errors import NotAvailable, Refused, WriteConflict
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, POD, PROFILE, Cluster, Object, Ref
from pegbox.testing.cluster import FakeCluster


def body(api_version: str, kind: str) -> Object:
    metadata = {"name": "web", "namespace": "shop"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


PATCH: list[Object] = [{"op": "add", "path": "/metadata/labels", "value": {}}]
Write = Callable[[Cluster], Awaitable[object]]
WORKLOAD_WRITES: dict[str, Write] = {
    "our own ConfigMap": lambda c: c.apply(body("v1", "ConfigMap") | {"data": {"a": "1"}}),
    "a forced apply": lambda c: c.apply(body("apps/v1", "Deployment") | {"spec": {}}, force=True),
    "a status": lambda c: c.apply(body("apps/v1", "Deployment") | {"status": {}}, subresource="status"),
    "an HPA": lambda c: c.create(body("autoscaling/v2", "HorizontalPodAutoscaler") | {"spec": {}}),
    "a scale": lambda c: c.json_patch(Ref(DEPLOYMENT, "shop", "web"), PATCH, subresource="scale"),
    "a patch of an HPA": lambda c: c.json_patch(Ref(HPA, "shop", "web"), PATCH),
    "a deletion": lambda c: c.delete(Ref(CONFIG_MAP, "shop", "web")),
    "variables for new pods": lambda c: c.apply(body("pegbox.dev/v1alpha1", "PodEnvironment")),
    "an eviction": lambda c: c.evict(Ref(POD, "shop", "web"), uid="x"),
    "a kind of another group that sounds like ours": lambda c: c.apply(
        body("pegbox.dev.evil/v1", "PerformanceProfile")
    ),
}
OWN_WRITES: dict[str, Write] = {
    "the ledger": lambda c: c.apply(body("pegbox.dev/v1alpha1", "TuningLedger")),
    "a profile's status": lambda c: c.json_patch(Ref(PROFILE, "shop", "web"), PATCH),
    "a claim on a budget": lambda c: c.apply(body("pegbox.dev/v1alpha1", "SharedBudget")),
    "an event": lambda c: c.create(body("events.k8s.io/v1", "Event")),
    "the lease": lambda c: c.create(body("coordination.k8s.io/v1", "Lease")),
}


@pytest.fixture
async def cluster() -> FakeCluster:
    fake = FakeCluster()
    await fake.as_manager("kubectl").create(body("pegbox.dev/v1alpha1", "PerformanceProfile"))
    fake.writes.clear()
    return fake


@pytest.mark.parametrize("write", WORKLOAD_WRITES.values(), ids=WORKLOAD_WRITES)
async def test_without_leave_no_write_reaches_a_workload(write: Write, cluster: FakeCluster) -> None:
    gate = GuardedCluster(cluster, allow_workload_writes=False)
    with pytest.raises(Refused, match="mode is Auto") as caught:
        await write(gate)
    assert caught.value.status == 403
    assert cluster.writes == [] and gate.writes == Counter() and gate.refused.total() == 1


@pytest.mark.parametrize("write", OWN_WRITES.values(), ids=OWN_WRITES)
async def test_our_own_objects_are_always_written_and_counted(write: Write, cluster: FakeCluster) -> None:
    gate = GuardedCluster(cluster, allow_workload_writes=False)
    await write(gate)
    assert [record.kind for record in cluster.writes] == list(gate.writes)
    assert gate.writes.total() == 1 and gate.refused == Counter()


async def test_with_leave_everything_passes_and_is_counted_by_kind(cluster: FakeCluster) -> None:
    gate = GuardedCluster(cluster, allow_workload_writes=True)
    for value in "12":
        await gate.apply(body("v1", "ConfigMap") | {"data": {"a": value}})
    await gate.delete(Ref(CONFIG_MAP, "shop", "web"))
    assert gate.writes == Counter({"ConfigMap": 3})


async def test_reading_is_never_gated(cluster: FakeCluster) -> None:
    gate = GuardedCluster(cluster, allow_workload_writes=False)
    await cluster.apply(body("v1", "ConfigMap") | {"data": {"a": "1"}})
    assert (await gate.get(Ref(CONFIG_MAP, "shop", "web")))["data"] == {"a": "1"}
    assert len(await gate.list(CONFIG_MAP, "shop")) == 1
    assert await gate.allowed("patch", "apps", "deployments")
    assert gate.writes == Counter()


async def test_it_is_told_which_writes_the_server_answered_and_events_do_not_count(cluster: FakeCluster) -> None:
    """A refusal and a conflict are answers; an object is named as a Ref names it, whatever the verb."""
    ends: list[tuple[str, bool]] = []
    gate = GuardedCluster(cluster, allow_workload_writes=True, ended=lambda what, went: ends.append((what, went)))
    config = body("v1", "ConfigMap")
    await gate.apply(config)
    for error in (NotAvailable("503"), WriteConflict("moved"), Refused("quota")):
        cluster.faults.fail_next("apply", CONFIG_MAP, error)
        with pytest.raises(type(error)):
            await gate.apply(config)
    await gate.delete(Ref(CONFIG_MAP, "shop", "web"))
    await gate.create(body("events.k8s.io/v1", "Event"))
    name = str(Ref(CONFIG_MAP, "shop", "web"))
    assert ends == [(name, went) for went in (True, False, True, True, True)]
