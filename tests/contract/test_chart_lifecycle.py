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
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dev import chart
from dev.cluster.control import ControlPlane
from dev.cluster.errors import ClusterError
from dev.cluster.paths import REPOSITORY

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


def _missing(reason: str) -> NoReturn:
    text = f"THE CHART WAS NOT INSTALLED ON A REAL API SERVER: {reason}"
    if os.environ.get("PEGBOX_REQUIRE_ALL") == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    state = tmp_path_factory.mktemp("chart")
    try:
        chart.helm()
        plane = ControlPlane.start(state_dir=state / "plane", controllers=True)
    except (chart.HelmMissing, ClusterError, OSError) as error:
        _missing(str(error))
    with plane:
        yield Release(plane, state)


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


def test_the_install_for_kubectl_is_taken_by_a_real_server_twice_alike(release: Release) -> None:
    for name in ("install.yaml", "allow-writes.yaml", "install.yaml"):
        release.plane.apply((REPOSITORY / "manifests" / name).read_text())
    config = release.read("configmap", "pegbox-config", "-n", OWN)["data"]["operator.yaml"]
    assert "allowWrites: false" in config
