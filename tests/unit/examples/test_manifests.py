"""Claims of the manifests: hot settings can reach the pods, pods run restricted, names fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from issue_service.knobs import declare
from tests.shipped import documents

MANIFESTS = Path(__file__).parents[3] / "examples" / "issue-service" / "manifests"
DOCUMENTS = [document for path in sorted(MANIFESTS.rglob("*.yaml")) for document in documents(path)]
PODS = [
    (document["metadata"]["name"], document["spec"]["template"]["spec"])
    for document in DOCUMENTS
    if document["kind"] in ("Deployment", "Job")
]


def deployment(name: str) -> dict[str, Any]:
    return next(d for d in DOCUMENTS if d["kind"] == "Deployment" and d["metadata"]["name"] == name)


def test_the_settings_are_mounted_as_a_whole_folder_and_are_optional() -> None:
    spec = deployment("issue-workers")["spec"]["template"]["spec"]
    volume = next(each for each in spec["volumes"] if each["name"] == "pegbox")
    mount = next(each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "pegbox")
    assert volume["configMap"] == {"name": "issue-workers-pegbox", "optional": True}
    assert mount["mountPath"] == "/etc/pegbox"
    assert "subPath" not in mount


def test_a_pod_knows_its_name_so_that_a_cohort_can_name_it() -> None:
    env = deployment("issue-workers")["spec"]["template"]["spec"]["containers"][0]["env"]
    name = next(each for each in env if each["name"] == "POD_NAME")
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_the_workers_leave_the_replicas_to_the_autoscaler() -> None:
    assert "replicas" not in deployment("issue-workers")["spec"]


def test_every_start_value_in_the_manifest_is_one_of_a_declared_knob_and_badly_set() -> None:
    env = deployment("issue-workers")["spec"]["template"]["spec"]["containers"][0]["env"]
    given = {each["name"]: each["value"] for each in env if each["name"].startswith("START_")}
    knobs = declare(given)
    assert {f"START_{knob.name.upper()}" for knob in knobs.all()} == set(given)
    for knob in (knobs.worker_count, knobs.http_pool, knobs.pool_size, knobs.batch_size):
        assert knob.default == 1


@pytest.mark.parametrize(("name", "spec"), PODS, ids=[name for name, _ in PODS])
def test_pods_run_restricted(name: str, spec: dict[str, Any]) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for container in spec["containers"]:
        assert container["imagePullPolicy"] == "Never"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_every_service_selects_a_deployment_and_every_port_name_exists_there() -> None:
    for service in (document for document in DOCUMENTS if document["kind"] == "Service"):
        pod = deployment(service["metadata"]["name"])["spec"]["template"]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
