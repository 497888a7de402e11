"""The claims of the cluster port, on a real API server: the same suite as for the fake."""

import pytest

from pegbox.testing.suites.cluster import CLAIMS, Claim, ClusterWorld


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
async def test_the_real_server_holds(claim: Claim, world: ClusterWorld) -> None:
    await claim(world)
