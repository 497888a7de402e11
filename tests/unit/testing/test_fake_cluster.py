"""The fake API server meets every claim that a real one meets, and its faults do what they say."""

import pytest
from pegbox.ports import CONFIG_MAP, Object, Ref
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.suites.cluster import CLAIMS, Claim, ClusterWorld

MAP: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}
REF = Ref(CONFIG_MAP, "shop", "a")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
async def test_the_fake_holds(claim: Claim) -> None:
    cluster = FakeCluster()
    await claim(ClusterWorld(cluster, cluster.as_manager, "shop"))
