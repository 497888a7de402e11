"""The commands that kind is given. kind itself was not run by us: these are recorded, not executed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dev.cluster.errors import ClusterError, PrerequisiteError
from dev.cluster.existing import Answer
from dev.cluster.kind import NODE_IMAGE, Kind
from dev.cluster.paths import Paths
from tests.unit.dev.cluster.recording import Recorder


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths("t", tmp_path / "t")


def make(paths: Paths, answers: dict[str, Answer] | None = None) -> tuple[Kind, Recorder, list[str]]:
    said: list[str] = []
    recorder = Recorder(answers)
    return Kind(paths, said.append, recorder, write_something), recorder, said


def write_something(archive: Path) -> None:
    archive.write_bytes(b"tar")


def test_the_node_image_is_pinned_by_digest() -> None:
    assert re.fullmatch(r"kindest/node:v1\.36\.\d+@sha256:[0-9a-f]{64}", NODE_IMAGE)


def test_up_creates_the_cluster_then_brings_metrics(paths: Paths) -> None:
    kind, recorder, said = make(paths)

    kind.up("node")

    create = (
        f"kind create cluster --name pegbox-t --image {NODE_IMAGE} --wait 180s "
        f"--config {paths.state}/kind.json --kubeconfig {paths.kubeconfig}"
    )
    assert recorder.commands == [
        "kind version",
        "kubectl version --client",
        "kind get clusters",
        create,
        f"kind load image-archive {paths.state}/metrics-server.tar --name pegbox-t",
        f"kubectl --kubeconfig={paths.kubeconfig} apply --server-side -f {paths.state}/metrics-server.yaml",
    ]
    assert "not run by us" in said[0]


def test_a_kubelet_refreshes_volumes_as_often_as_asked(paths: Paths) -> None:
    kind, _, _ = make(paths)
    kind.up("node")

    (patch,) = json.loads((paths.state / "kind.json").read_text())["kubeadmConfigPatches"]

    assert json.loads(patch)["syncFrequency"] == "5s"


def test_the_metrics_manifest_names_the_image_that_was_loaded(paths: Paths) -> None:
    kind, _, _ = make(paths)
    kind.up("node")

    manifest = (paths.state / "metrics-server.yaml").read_text()

    assert "image: docker.io/local/pegbox-metrics-server:v0.9.0" in manifest
    assert "$" not in manifest


def test_a_second_up_creates_nothing(paths: Paths) -> None:
    kind, recorder, said = make(paths, {"kind get clusters": Answer(0, "other\npegbox-t\n")})

    kind.up("node")

    assert not any("create cluster" in command for command in recorder.commands)
    assert "kind cluster pegbox-t is up already" in said


def test_another_cluster_whose_name_begins_alike_is_not_taken_for_ours(paths: Paths) -> None:
    kind, recorder, _ = make(paths, {"kind get clusters": Answer(0, "pegbox-t2\n")})

    kind.up("node")

    assert any("create cluster --name pegbox-t " in command for command in recorder.commands)


def test_down_deletes_the_cluster_and_says_if_it_stayed(paths: Paths) -> None:
    kind, recorder, _ = make(paths)
    assert kind.down()
    assert recorder.commands[0] == f"kind delete cluster --name pegbox-t --kubeconfig {paths.kubeconfig}"

    stubborn, _, said = make(paths, {"kind get clusters": Answer(0, "pegbox-t")})
    assert not stubborn.down()
    assert "still there" in said[0]


def test_all_that_is_missing_is_named_at_once_before_anything_starts(paths: Paths) -> None:
    kind, recorder, _ = make(paths, {"kind": Answer(127), "kubectl": Answer(127)})

    with pytest.raises(PrerequisiteError) as caught:
        kind.up("node")

    assert "install kind" in str(caught.value)
    assert "install kubectl" in str(caught.value)
    assert caught.value.status == 2
    assert recorder.commands == ["kind version", "kubectl version --client"]


def test_a_command_that_fails_is_shown_with_what_it_said(paths: Paths) -> None:
    kind, _, _ = make(paths, {"kind create": Answer(1, errors="port in use")})

    with pytest.raises(ClusterError, match=r"kind create cluster.*\nport in use"):
        kind.up("node")


def test_status_of_a_cluster_that_is_not_up_says_how_to_bring_it_up(paths: Paths) -> None:
    kind, _, said = make(paths)

    assert not kind.status()
    assert "dev.cluster up" in said[0]
