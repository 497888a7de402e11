"""Namespaces that enforce the restricted pod security standard let all of our pods in: the API server's own judgement."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from dev.cluster.control import ControlPlane
from dev.cluster.paths import REPOSITORY
from pegbox.ports import NAMESPACE, Cluster, Object, Ref

SOURCES = (
    "tests/golden/helm/default.yaml",  # what the chart renders
    "manifests/install.yaml",
    "dev/demo/prometheus.yaml",
    *sorted(str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "examples").rglob("manifests/**/*.yaml")),
)


def templates() -> Iterator[tuple[str, Object]]:
    """Every pod template that we ship, by file and name."""
    for source in SOURCES:
        for body in yaml.safe_load_all((REPOSITORY / source).read_text()):
            if body and "template" in body.get("spec", {}):
                yield f"{Path(source).name}: {body['kind']} {body['metadata']['name']}", body["spec"]["template"]


TEMPLATES = dict(templates())


@pytest_asyncio.fixture
async def restricted(cluster: Cluster, namespace: str) -> str:
    label = {"pod-security.kubernetes.io~1enforce": "restricted"}
    operations = [{"op": "add", "path": f"/metadata/labels/{key}", "value": value} for key, value in label.items()]
    await cluster.json_patch(Ref(NAMESPACE, "", namespace), operations)
    return namespace


def created(control_plane: ControlPlane, namespace: str, template: Object) -> subprocess.CompletedProcess[str]:
    """A pod of the template, as its controller would make it; nothing is kept of it."""
    spec = {key: value for key, value in template["spec"].items() if key not in ("serviceAccountName",)}
    meta = {"name": "judged", "namespace": namespace, "labels": template["metadata"].get("labels", {})}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    return control_plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))


def test_there_is_something_to_judge() -> None:
    names = {name.split()[-1] for name in TEMPLATES}
    assert {"pegbox", "prometheus", "issue-workers", "issue-postgres", "issue-redis", "issue-upstream"} <= names


@pytest.mark.parametrize("name", TEMPLATES)
async def test_a_restricted_namespace_lets_it_in(control_plane: ControlPlane, restricted: str, name: str) -> None:
    done = created(control_plane, restricted, TEMPLATES[name])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", TEMPLATES)
async def test_and_keeps_it_out_where_a_container_may_gain_privileges(
    control_plane: ControlPlane, restricted: str, name: str
) -> None:
    """The twin: the standard is enforced, and not only for one part of the pod."""
    template = copy.deepcopy(TEMPLATES[name])
    template["spec"]["containers"][-1]["securityContext"]["allowPrivilegeEscalation"] = True
    done = created(control_plane, restricted, template)
    assert done.returncode != 0
    assert "violates PodSecurity" in done.stderr and "allowPrivilegeEscalation" in done.stderr
