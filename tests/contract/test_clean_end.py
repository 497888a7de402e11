"""`pegbox run` told to end, or killed, as a process on a real API server: the next one need not wait."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import servers
from dev.cluster.control import ControlPlane
from pegbox.ports import LEASE, PROFILE, Cluster, Ref
from tests.loop import documents

POD = {"POD_UID": "6c1e"}
PATIENCE = 120  # seconds until a test gives up; no claim


@pytest.fixture
def config(namespace: str) -> dict[str, Any]:
    """It watches the test's own namespace and holds a Lease there."""
    election = {"namespace": namespace, "name": "pegbox"}
    return {"http": {"port": servers.free_port()}, "watchNamespaces": [namespace], "leaderElection": election}


@pytest.fixture
def operator(control_plane: ControlPlane, config: dict[str, Any], tmp_path: Path) -> Iterator[servers.Process]:
    with servers.operator_with(tmp_path, config, control_plane.kubeconfig, environment=POD) as running:
        yield running


async def _working(cluster: Cluster, namespace: str) -> None:
    """The watch is up before anything is worked on: a profile has its first status."""
    body = documents.profile(mode="Observe")
    body["metadata"]["namespace"] = namespace
    await cluster.create(body)
    for _ in range(10 * PATIENCE):
        if "status" in await cluster.get(Ref(PROFILE, namespace, body["metadata"]["name"])):
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"no status within {PATIENCE} s")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=lambda sign: sign.name)
async def test_an_operator_told_to_end_says_0_and_leaves_its_lease_to_whoever_comes(
    operator: servers.Process, cluster: Cluster, namespace: str, sign: signal.Signals
) -> None:
    """Kopf, which hears signals too, would end it with 1, as a process that lost its watch."""
    await _working(cluster, namespace)
    lease = Ref(LEASE, namespace, "pegbox")
    assert (await cluster.get(lease))["spec"]["holderIdentity"].startswith("pegbox-0_")
    operator.running.send_signal(sign)
    assert await asyncio.to_thread(operator.running.wait, PATIENCE) == 0, operator.log.read_text()
    assert (await cluster.get(lease))["spec"]["holderIdentity"] == ""


async def test_a_leader_that_was_killed_leaves_a_lease_that_names_it(
    operator: servers.Process, cluster: Cluster, namespace: str
) -> None:
    """What the test above sees is no accident of a Lease that nobody ever held."""
    await _working(cluster, namespace)
    operator.running.send_signal(signal.SIGKILL)
    assert await asyncio.to_thread(operator.running.wait, PATIENCE) == -signal.SIGKILL
    lease = await cluster.get(Ref(LEASE, namespace, "pegbox"))
    assert lease["spec"]["holderIdentity"].startswith("pegbox-0_")


async def test_a_killed_leader_is_followed_by_the_next_process_of_its_pod_before_the_lease_ran_out(
    operator: servers.Process,
    cluster: Cluster,
    control_plane: ControlPlane,
    config: dict[str, Any],
    namespace: str,
    tmp_path: Path,
) -> None:
    """The Lease lasts for an hour here, so that who waited for it would wait in vain."""
    await _working(cluster, namespace)
    operator.running.kill()
    await asyncio.to_thread(operator.running.wait, PATIENCE)
    ref = Ref(LEASE, namespace, "pegbox")
    long = [{"op": "replace", "path": "/spec/leaseDurationSeconds", "value": 3600}]
    dead = (await cluster.json_patch(ref, long))["spec"]["holderIdentity"]
    with servers.operator_with(tmp_path, config, control_plane.kubeconfig, environment=POD):
        for _ in range(10 * PATIENCE):
            holder = (await cluster.get(ref))["spec"]["holderIdentity"]
            if holder != dead:
                break
            await asyncio.sleep(0.1)
    assert holder != dead and holder.startswith(f"pegbox-0_6c1e_{config['http']['port']}_")
