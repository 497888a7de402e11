"""Claims on ports.Cluster. Every one is a plain async function of a ClusterWorld; CLAIMS lists them all.

They hold for the fake and for a real API server alike; what only a real server can show (schemas, RBAC,
admission) is in the contract tests.
"""

from __future__ import annotations

from pegbox.testing.suites import admission, endpoints, identity, ownership, sizes
from pegbox.testing.suites.world import Claim, ClusterWorld, locked, raised, version

__all__ = ["CLAIMS", "Claim", "ClusterWorld", "locked", "raised", "version"]

CLAIMS: tuple[Claim, ...] = (
    *identity.CLAIMS,
    *ownership.CLAIMS,
    *endpoints.CLAIMS,
    *sizes.CLAIMS,
    *admission.CLAIMS,
)
