"""A release's life on a real API server: first install, upgrade, removal, install again; with Helm's own `--wait`.

A server of its own: the shared one has CRDs that no release may take over. Without a node the release has no
replicas, so that `--wait` waits for everything but the pod.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import chart
from dev.cluster.control import ControlPlane
from dev.cluster.errors import ClusterError
from dev.cluster.paths import REPOSITORY
from pegbox.api import ledger_codec
from tests.contract import older
from tests.levels import cannot_run
from tests.loop import documents
from tests.unit.api.ledgers import full_ledger

OWN = "pegbox-system"


class Release:
    """The chart's release on one server, and what can be asked about it."""

    def __init__(self, plane: ControlPlane, state: Path) -> None:
        self.plane = plane
        self.environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(plane.kubeconfig), "HOME": str(state)}

    def helm(self, *arguments: str) -> str:
        command = [str(chart.helm()), *arguments, "--namespace", OWN]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put(self, action: str, folder: Path, *settings: str) -> str:
        sets = [part for setting in ("replicas=0", *settings) for part in ("--set", setting)]
        created = ["--create-namespace"] if action == "install" else []
        return self.helm(action, "pegbox", str(folder), *created, "--wait", "--timeout", "60s", *sets)

    def read(self, *arguments: str) -> Any:
        done = self.plane.kubectl("get", *arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def names(self, kind: str) -> set[str]:
        return {item["metadata"]["name"] for item in self.read(kind)["items"]}

    def kept(self) -> dict[str, Any]:
        """uid, and what is in it that people or Pegbox wrote, of everything that must outlive a change of releases."""
        found = {}
        for kind in ("customresourcedefinitions", "performanceclasses", "perfp", "tuningledgers", "sharedbudgets"):
            for item in self.read(kind, "-A")["items"]:
                spec = {k: v for k, v in item.get("spec", {}).items() if k not in ("prices", "versions", "conversion")}
                text = "" if kind == "performanceclasses" else json.dumps([spec, item.get("data")], sort_keys=True)
                found[f"{kind}/{item['metadata']['name']}"] = item["metadata"]["uid"], text
        return found

    def knows(self, field: str) -> bool:
        """Does the definition of PerformanceProfile have this field of a spec?"""
        crd = self.read("customresourcedefinition", "performanceprofiles.pegbox.dev")
        properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        return field in properties["spec"]["properties"]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    state = tmp_path_factory.mktemp("chart")
    try:
        chart.helm()
        plane = ControlPlane.start(state_dir=state / "plane", controllers=True)
    except (chart.HelmMissing, ClusterError, OSError) as error:
        cannot_run(f"THE CHART WAS NOT INSTALLED ON A REAL API SERVER: {error}")
    with plane:
        yield Release(plane, state)


def _profile(**spec: Any) -> dict[str, Any]:
    """The smallest one, as its team applies it."""
    body: dict[str, Any] = yaml.safe_load((REPOSITORY / "manifests/samples/smallest.yaml").read_text())
    return body | {"metadata": {**body["metadata"], "namespace": "default"}, "spec": body["spec"] | spec}


LEDGER = ledger_codec.encode(
    full_ledger(), namespace="default", name="checkout", profile="default/checkout", written_at=datetime.now(UTC)
)
BUDGET = {**documents.budget(capacity=100), "metadata": {"name": "postgres", "namespace": "default"}}
RESOURCES = (_profile(), LEDGER, BUDGET)


def _with_another_description(folder: Path) -> Path:
    """A copy of the chart whose shipped class says something else, as the next version's might."""
    shutil.copytree(REPOSITORY / chart.CHART, folder)
    shipped = folder / "files/classes/python-worker.yaml"
    text = shipped.read_text()
    changed = text.replace("  description: A queue worker", "  description: Changed. A queue worker", 1)
    assert changed != text
    shipped.write_text(changed)
    return folder


def test_a_release_lives_and_dies_without_losing_a_profile_or_a_class(release: Release, tmp_path: Path) -> None:
    present = REPOSITORY / chart.CHART

    said = release.put("install", present)
    assert "It observes and recommends only" in said
    crds = release.names("customresourcedefinitions")
    assert len(crds) == len(list((REPOSITORY / "crds").glob("*.yaml"))), "all kinds are there after the first install"
    first = release.read("performanceclass", "python-worker")["metadata"]
    release.plane.apply((REPOSITORY / "manifests/samples/smallest.yaml").read_text().replace("shop", "default"))

    said = release.put("upgrade", _with_another_description(tmp_path / "next"), "mode.allowWrites=true")
    assert "It may change workloads" in said
    upgraded = release.read("performanceclass", "python-worker")
    assert upgraded["spec"]["description"].startswith("Changed"), "an upgrade brings the class's new text"
    assert upgraded["metadata"]["uid"] == first["uid"], "and never deletes the class in between"

    release.helm("uninstall", "pegbox", "--wait", "--timeout", "60s")
    assert release.names("customresourcedefinitions") == crds, "the CRDs stay"
    assert release.read("perfp", "checkout", "-n", "default")["metadata"]["name"] == "checkout", "and every profile"
    assert not [name for name in release.names("clusterroles") if name.startswith("pegbox")], "but no right stays"
    assert release.names("validatingadmissionpolicies") == set()

    release.put("install", present)
    again = release.read("performanceclass", "python-worker")["metadata"]
    assert again["uid"] == first["uid"], "a second install takes over what the first one left"


def test_an_older_release_is_upgraded_by_helm_and_rolled_back_and_no_object_is_lost(release: Release) -> None:
    """The chart of a real older release. What today's definition has beyond its own is not served after the way back."""
    before = older.or_said("NO OLDER CHART WAS UPGRADED") / chart.CHART
    release.helm("uninstall", "pegbox", "--wait", "--timeout", "60s", "--ignore-not-found")
    release.put("install", before, "mode.allowWrites=true")
    for body in RESOURCES:
        release.plane.apply(json.dumps(body))
    kept = release.kept()
    assert not release.knows("prices")

    release.put("upgrade", REPOSITORY / chart.CHART, "mode.allowWrites=true")
    assert release.kept() == kept, "definitions, classes, profiles, ledgers and budgets are the same objects"
    assert release.knows("prices")
    release.plane.apply(json.dumps(_profile(prices={"cpu": "2"})))
    assert release.read("perfp", "checkout", "-n", "default")["spec"]["prices"]["cpu"] == "2"

    release.helm("rollback", "pegbox", "--wait", "--timeout", "60s")
    assert release.kept() == kept
    assert not release.knows("prices")
    assert "prices" not in release.read("perfp", "checkout", "-n", "default")["spec"], "the older one never sees it"
    release.plane.apply(json.dumps(_profile()))  # and whoever applies the profile again may

    release.put("upgrade", REPOSITORY / chart.CHART)
    assert release.kept() == kept


def test_the_install_for_kubectl_is_taken_by_a_real_server_twice_alike(release: Release) -> None:
    for name in ("install.yaml", "allow-writes.yaml", "install.yaml"):
        release.plane.apply((REPOSITORY / "manifests" / name).read_text())
    config = release.read("configmap", "pegbox-config", "-n", OWN)["data"]["operator.yaml"]
    assert "allowWrites: false" in config
