"""Facts of a real API server that no fake has: schemas, rights, namespaces, and a server that is away."""

from pathlib import Path
from typing import Any

import pytest

from dev.cluster.control import ControlPlane
from pegbox.adapters.kube.client import KubeCluster
from pegbox.adapters.kube.gate import GuardedCluster
from pegbox.model.errors import NotAvailable, NotFound, NotServed, Refused
from pegbox.ports import DEPLOYMENT, NAMESPACE, PROFILE, Kind, Object, Ref
from pegbox.testing.suites.cluster import ClusterWorld, raised

READER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: contract-reader}
rules:
- {apiGroups: ["", apps], resources: [configmaps, deployments], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: contract-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: contract-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
"""


async def test_a_field_that_the_schema_does_not_know_is_refused(world: ClusterWorld) -> None:
    error = await raised(Refused, world.cluster.apply(world.deployment() | {"spec": {"replicsa": 3}}))
    assert "replicsa" in str(error)
    error = await raised(Refused, world.cluster.create(world.config_map(a="1") | {"dta": {}}))
    assert "dta" in str(error) and error.status == 400


async def test_a_value_that_validation_forbids_is_refused_by_name(world: ClusterWorld) -> None:
    error = await raised(Refused, world.cluster.apply(world.hpa(minReplicas=9, maxReplicas=3)))
    assert error.status == 422 and "maxReplicas" in str(error)
    made = await world.cluster.apply(world.deployment())
    below: list[Object] = [{"op": "replace", "path": "/spec/replicas", "value": -1}]
    error = await raised(Refused, world.cluster.json_patch(world.ref(made), below))
    assert error.status == 422 and "replicas" in str(error)


@pytest.mark.parametrize("group", ["keda.sh/v1alpha1", "apps/v1", "admissionregistration.k8s.io/v1"])
async def test_a_type_that_is_not_installed_is_not_served_whatever_is_asked(cluster: KubeCluster, group: str) -> None:
    """Whether its group is there or not: so an older server answers for a type that came later."""
    kind = Kind(group, "ScaledObject", "scaledobjects")
    for asked in (
        cluster.list(kind),
        cluster.get(Ref(kind, "default", "x")),
        cluster.delete(Ref(kind, "default", "x")),
    ):
        assert "CustomResourceDefinition" in str(await raised(NotServed, asked))


async def test_our_own_types_are_installed(cluster: KubeCluster, namespace: str) -> None:
    assert await cluster.list(PROFILE, namespace) == []
    await raised(NotFound, cluster.get(Ref(PROFILE, namespace, "x")))


async def test_a_missing_namespace_is_not_found_and_one_that_goes_refuses(
    cluster: KubeCluster, world: ClusterWorld, namespace: str
) -> None:
    body = world.config_map(a="1")
    gone = body | {"metadata": {"name": "settings", "namespace": "contract-nowhere"}}
    await raised(NotFound, cluster.apply(gone))
    made = await cluster.apply(body)
    await cluster.delete(Ref(NAMESPACE, "", namespace))
    error = await raised(Refused, cluster.apply(world.config_map("other", a="1")))
    assert error.status == 403 and "terminated" in str(error)
    updated = await cluster.apply(world.config_map(a="2"))  # what is there can still be written: a restore works
    assert updated["metadata"]["uid"] == made["metadata"]["uid"]


async def test_who_may_only_read_reads_and_writes_nothing(
    control_plane: ControlPlane, client: Any, world: ClusterWorld, namespace: str
) -> None:
    control_plane.apply(READER)
    reader = await client(kubeconfig=control_plane.kubeconfig_for("reader"))
    made = await world.cluster.apply(world.config_map(a="1"))
    assert (await reader.get(world.ref(made)))["data"] == {"a": "1"}
    for write in (reader.apply(world.config_map(a="2")), reader.delete(world.ref(made))):
        assert (await raised(Refused, write)).status == 403
    rights = [
        await reader.allowed("get", "apps", "deployments", namespace=namespace),
        await reader.allowed("patch", "apps", "deployments", namespace=namespace),
        await reader.allowed("patch", "apps", "deployments", namespace=namespace, subresource="scale"),
    ]
    assert rights == [True, False, False]
    assert await world.cluster.get(world.ref(made)) == made


async def test_the_gate_keeps_an_administrator_from_writing_to_workloads(world: ClusterWorld) -> None:
    """Rights are one lock and the gate another: counted here on the server, by resourceVersion."""
    made = await world.as_manager("helm").apply(world.deployment(replicas=3))
    gate = GuardedCluster(world.cluster, allow_workload_writes=False)
    patch: list[Object] = [{"op": "replace", "path": "/spec/replicas", "value": 9}]
    for write in (
        gate.apply(world.partial_deployment(replicas=9), force=True),
        gate.json_patch(world.ref(made), patch, subresource="scale"),
        gate.create(world.config_map(a="1")),
        gate.delete(world.ref(made)),
    ):
        await raised(Refused, write)
    assert await world.cluster.get(world.ref(made)) == made
    await raised(NotFound, world.cluster.get(world.ref(world.config_map())))
    assert gate.writes.total() == 0 and gate.refused.total() == 4


async def test_wrong_credentials_are_not_available_and_say_what_to_renew(
    control_plane: ControlPlane, client: Any, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.kubeconfig"
    stranger.write_text(control_plane.kubeconfig.read_text().replace(control_plane.token, "0" * 40))
    error = await raised(NotAvailable, (await client(kubeconfig=stranger)).list(DEPLOYMENT))
    assert "renew" in str(error)


async def test_a_server_that_is_away_is_not_available_and_what_was_written_is_there_after(
    control_plane: ControlPlane, world: ClusterWorld
) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    control_plane.stop_apiserver()
    try:
        for asked in (world.cluster.get(world.ref(made)), world.cluster.apply(world.config_map(a="2"))):
            await raised(NotAvailable, asked)
    finally:
        control_plane.start_apiserver()
    assert await world.cluster.get(world.ref(made)) == made


async def test_a_config_map_holds_a_mebibyte_of_whatever_text(world: ClusterWorld) -> None:
    """JSON is half quotes, each of which takes two bytes on its way: the server, and not our client, says what fits."""
    quotes = '"' * 2**20
    await world.cluster.apply(world.config_map(a=quotes))
    error = await raised(Refused, world.cluster.apply(world.config_map(a=quotes + "x")))
    assert error.status == 422 and "Too long" in str(error)
