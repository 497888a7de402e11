"""Namespaces that enforce the restricted pod security standard: the operator's and the example's pods really start."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator

import pytest

from dev.demo import cluster as demo
from dev.demo.cluster import EXAMPLE, DemoError
from tests.e2e import installed
from tests.e2e.api import Api
from tests.e2e.operators import SYSTEM, Operator

NAMESPACE = "e2e-example"
PARTS = ("issue-postgres", "issue-redis", "issue-upstream", "issue-workers")
FREE = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "free"}, "spec": {
    "containers": [{"name": "free", "image": "docker.io/local/pegbox:dev"}]}}  # fmt: skip


@pytest.fixture(scope="module")
def example(api: Api) -> Iterator[str]:
    """The example workload as it is shipped."""
    text = (EXAMPLE / "workload.toml").read_text()
    try:
        installed.remove(api, [NAMESPACE])
        demo.load_images(("postgres", "redis"))
        demo.apply(json.dumps(installed.spaces([NAMESPACE])[0]))
        demo.install_workload(NAMESPACE, tomllib.loads(text), text)
        yield NAMESPACE
    finally:
        installed.remove(api, [NAMESPACE])


@pytest.mark.parametrize("namespace", [SYSTEM, NAMESPACE])
def test_the_namespace_keeps_out_a_pod_that_promises_nothing(api: Api, example: str, namespace: str) -> None:
    """Or all that follows would show nothing."""
    labels = api.get("namespace", "", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with pytest.raises(DemoError, match="violates PodSecurity"):
        demo.kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", stdin=json.dumps(FREE))


def test_the_operators_pod_runs_in_it(api: Api, operator: Operator) -> None:
    """It was started after the label: the namespace is made before the chart is installed."""
    (status,) = operator.pod()["status"]["containerStatuses"]
    assert status["ready"] is True
    assert operator.leads()


def test_so_do_the_examples(api: Api, example: str) -> None:
    for name in PARTS:
        status = api.get("deployment", example, name)["status"]
        assert status["readyReplicas"] == status["replicas"] >= 1, name
