"""The right to write is really taken away in mid-trial: the operator's own account loses its RoleBinding on a real API server.

The roles are those that are shipped, bound in one namespace. Everybody else is an administrator.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from dev.cluster.control import ControlPlane
from pegbox.ports import Cluster, Object
from pegbox.testing.clock import FakeClock
from tests.contract.conftest import Connect
from tests.contract.test_refusals import outlasts
from tests.loop import documents
from tests.loop.test_pending import PLACES
from tests.loop.world import World

ACCOUNT = "system:serviceaccount:pegbox-system:revoked"
GROUPS = ("system:serviceaccounts", "system:serviceaccounts:pegbox-system", "system:authenticated")
ROLES = READ, WRITE, CLASSES = "pegbox-read", "pegbox-write", "pegbox-classes"
MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
SHIPPED = ("install.yaml", "allow-writes.yaml")


def _binding(role: str, namespace: str = "") -> Object:
    """In that namespace, or in the whole cluster."""
    api, kind = "rbac.authorization.k8s.io", "RoleBinding" if namespace else "ClusterRoleBinding"
    meta = {"name": role, "namespace": namespace} if namespace else {"name": f"revoked-{role}"}
    return {
        "apiVersion": f"{api}/v1",
        "kind": kind,
        "metadata": meta,
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": ACCOUNT}],
    }


@dataclass(frozen=True)
class Roles:
    """The account's RoleBindings in one namespace."""

    plane: ControlPlane
    account: Cluster
    namespace: str

    async def bind(self, role: str) -> None:
        self.plane.apply(json.dumps(_binding(role, self.namespace)))
        await self._known(role, True)

    async def unbind(self, role: str) -> None:
        done = self.plane.kubectl("delete", "rolebinding", role, "-n", self.namespace)
        assert done.returncode == 0, done.stderr
        await self._known(role, False)

    async def _known(self, role: str, bound: bool) -> None:
        """Until the authoriser knows: it learns of bindings by a watch."""
        verb = {READ: "get", WRITE: "patch"}[role]
        async with asyncio.timeout(30):
            while await self.account.allowed(verb, "", "configmaps", namespace=self.namespace) is not bound:
                pass  # each question takes its time


@pytest_asyncio.fixture
async def account(control_plane: ControlPlane, client: Connect) -> Cluster:
    """What the operator's process has: a client of its own account, which may read classes, and nothing in any namespace yet."""
    bodies = [body for file in SHIPPED for body in yaml.safe_load_all((MANIFESTS / file).read_text())]
    roles = [body for body in bodies if body["kind"] == "ClusterRole" and body["metadata"]["name"] in ROLES]
    assert len(roles) == len(ROLES)
    control_plane.apply("\n---\n".join(map(json.dumps, (*roles, _binding(CLASSES)))))
    made: Cluster = await client("pegbox", control_plane.kubeconfig_for(ACCOUNT, GROUPS))
    return made


@pytest_asyncio.fixture
async def roles(control_plane: ControlPlane, account: Cluster, namespace: str) -> Roles:
    found = Roles(control_plane, account, namespace)
    await found.bind(READ)
    await found.bind(WRITE)
    return found


@pytest_asyncio.fixture
async def shop(account: Cluster, client: Connect, namespace: str) -> World:
    outside = await client("kubelet")
    await outside.apply(documents.CLASS, force=True)
    return World(account, outside, FakeClock(auto=False), namespace=namespace)


@pytest.mark.parametrize("name", ["a_config_map_of_theirs", "a_resize"])
async def test_a_rollback_outlasts_the_loss_of_the_role_and_ends_exactly_once_it_is_back(
    shop: World, roles: Roles, name: str
) -> None:
    unbound, bound = partial(roles.unbind, WRITE), partial(roles.bind, WRITE)
    await outlasts(shop, PLACES[name], unbound, bound, f'User "{ACCOUNT}" cannot', "RestorePending")
