"""A real API server for the contract tests: etcd and kube-apiserver on loopback, one for the whole session."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dev.cluster import tools
from dev.cluster.control import ControlPlane
from dev.cluster.errors import ClusterError
from pegbox.adapters.kube.client import KubeCluster
from pegbox.adapters.kube.connect import connect
from pegbox.adapters.kube.limits import TokenBucket
from pegbox.ports import FIELD_MANAGER, NAMESPACE, Kind, Object, Ref
from pegbox.testing.clock import FakeClock
from pegbox.testing.suites.cluster import ClusterWorld
from tests.contract import lacking
from tests.levels import cannot_run
from tests.loop import documents
from tests.loop.world import World

CRDS = Path(__file__).resolve().parents[2] / "crds"
ADMISSION = CRDS.parent / "manifests" / "admission" / "podenvironments.yaml"
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
LIMIT_RANGE = Kind("v1", "LimitRange", "limitranges")
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
KUBERNETES = os.environ.get("PEGBOX_KUBERNETES", tools.NEWEST)
"""The API server's version; `make test-oldest` takes the oldest that is supported."""
_names = itertools.count(1)


class SystemClock:
    """Real time, for real servers."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What this version of Kubernetes lacks is left out by name, with its reason."""
    here = Path(__file__).parent
    for item in (each for each in items if each.path.is_relative_to(here)):
        reason = lacking.reason(KUBERNETES, item.name)
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"Kubernetes {KUBERNETES}: {reason}"))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without a node or controllers, with our CRDs installed."""
    state = tmp_path_factory.mktemp("control-plane")
    try:
        plane = ControlPlane.start(state_dir=state, kubernetes=KUBERNETES)
    except (ClusterError, OSError) as error:
        cannot_run(f"CONTRACT TESTS NOT RUN, nothing below was held to a real API server: {error}")
    with plane:
        plane.apply("\n---\n".join(manifest.read_text() for manifest in sorted(CRDS.glob("*.yaml"))))
        # Right after the apply a CRD has no conditions at all, which `kubectl wait` takes for an error.
        for _ in range(5):
            established = plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
            if established.returncode == 0:
                break
        assert established.returncode == 0, established.stderr
        if KUBERNETES == tools.NEWEST:  # MutatingAdmissionPolicy is of Kubernetes 1.36
            plane.apply(ADMISSION.read_text())
        yield plane


Connect = Callable[..., Any]


@pytest_asyncio.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Connect]:
    """Makes clients of the server: `await client("helm")`, or as another user by a kubeconfig."""
    opened: list[KubeCluster] = []

    async def make(manager: str = FIELD_MANAGER, kubeconfig: Path | None = None) -> KubeCluster:
        clock = SystemClock()
        api = await connect(clock, kubeconfig=kubeconfig or control_plane.kubeconfig)
        limit = TokenBucket(clock, rate=500.0, burst=500)
        cluster = KubeCluster(api, clock, manager=manager, limit=limit, kinds=[SERVICE_ACCOUNT, LIMIT_RANGE, QUOTA])
        opened.append(cluster)
        return cluster

    yield make
    for cluster in opened:
        await cluster.close()


@pytest_asyncio.fixture
async def cluster(client: Connect) -> KubeCluster:
    """The server as `pegbox` sees it, with an administrator's rights."""
    made: KubeCluster = await client()
    return made


@pytest_asyncio.fixture
async def namespace(cluster: KubeCluster) -> str:
    """An empty namespace of the test's own. Without controllers nobody makes its service account, or empties it."""
    name = f"contract-{os.getpid()}-{next(_names)}"
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account: Object = {"apiVersion": "v1", "kind": "ServiceAccount"}
    await cluster.apply(account | {"metadata": {"name": "default", "namespace": name}})
    await cluster.get(Ref(NAMESPACE, "", name))
    return name


@pytest_asyncio.fixture
async def world(cluster: KubeCluster, client: Connect, namespace: str) -> ClusterWorld:
    others = {name: await client(name) for name in ("helm", "kubelet", "kube-controller-manager")}
    return ClusterWorld(cluster, others.__getitem__, namespace)


@pytest_asyncio.fixture
async def shop(cluster: KubeCluster, client: Connect, namespace: str) -> World:
    """The whole runtime on the server, with virtual time; `kubelet` plays controllers and kubelet."""
    outside = await client("kubelet")
    await outside.apply(documents.CLASS, force=True)
    return World(cluster, outside, FakeClock(auto=False), namespace=namespace)
