"""An existing cluster may be production: nothing happens without its marker."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.cluster.errors import ClusterError
from dev.cluster.existing import Answer, Existing, run
from tests.unit.dev.cluster.recording import Recorder


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text("{}")
    return file


def cluster(kubeconfig: Path, answer: Answer) -> tuple[Existing, Recorder, list[str]]:
    said: list[str] = []
    recorder = Recorder({f"kubectl --kubeconfig={kubeconfig} get namespace pegbox-dev": answer})
    return Existing(kubeconfig, said.append, recorder), recorder, said


MARKED = Answer(0, "allowed")


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        pytest.param(Answer(1, errors="(NotFound)"), "create namespace pegbox-dev", id="without the namespace"),
        pytest.param(Answer(0, ""), "label namespace pegbox-dev", id="with the namespace but not the label"),
        pytest.param(Answer(0, "no"), "pegbox.dev/development=allowed", id="with another value of the label"),
        pytest.param(Answer(1, errors="connection refused"), "does not answer", id="when it does not answer"),
        pytest.param(Answer(127, errors="kubectl: not found"), "kubectl: not found", id="without kubectl"),
    ],
)
def test_it_is_refused(kubeconfig: Path, answer: Answer, named: str) -> None:
    existing, recorder, _ = cluster(kubeconfig, answer)

    for use in (
        lambda: existing.up("node"),
        existing.status,
        lambda: existing.kubectl_command(["get", "pods"]),
        lambda: existing.exec_command(["true"]),
    ):
        with pytest.raises(ClusterError, match=named):
            use()

    assert all("get namespace pegbox-dev" in command for command in recorder.commands)


def test_a_marked_one_is_used_and_nothing_is_made_in_it(kubeconfig: Path) -> None:
    existing, recorder, said = cluster(kubeconfig, MARKED)

    existing.up("node")
    assert existing.down()

    assert [command.split()[2] for command in recorder.commands] == ["get"]
    assert "nothing was started" in said[0]
    assert existing.kubectl_command(["get", "pods"]) == ["kubectl", f"--kubeconfig={kubeconfig}", "get", "pods"]
    assert existing.exec_command(["make", "x"]) == ["make", "x"]


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"PEGBOX_KUBECONFIG=.*nowhere is not a file"):
        Existing(tmp_path / "nowhere", print, Recorder()).check()


def test_an_image_cannot_be_loaded_and_the_remedy_is_its_registry(kubeconfig: Path, tmp_path: Path) -> None:
    existing, _, _ = cluster(kubeconfig, MARKED)

    with pytest.raises(ClusterError, match="push the image to its registry"):
        existing.load(tmp_path / "image.tar")


def test_a_program_that_is_not_there_is_an_answer() -> None:
    assert run(["no-such-program-anywhere"]).status == 127
