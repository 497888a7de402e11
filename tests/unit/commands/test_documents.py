"""Documents for recommend: one profile, its class from file or package, and nothing that is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pegbox.api.translate import check_class
from pegbox.commands import documents
from pegbox.model.errors import InvalidInput
from tests.unit.commands.worlds import SMALLEST

PROFILE = yaml.safe_load(SMALLEST.read_text())
CLASSES = Path(__file__).resolve().parents[3] / "manifests" / "classes"


def test_every_shipped_class_is_found_and_sound() -> None:
    shipped = documents.shipped_classes()
    assert sorted(f"{name}.yaml" for name in shipped) == sorted(f.name for f in CLASSES.glob("*.yaml"))
    for name, file in shipped.items():
        [body] = list(yaml.safe_load_all(file.read_bytes()))
        assert body["metadata"]["name"] == name
        check_class(body)


def test_the_class_of_its_own_file_wins_over_the_shipped_one(tmp_path: Path) -> None:
    body = yaml.safe_load((CLASSES / "python-worker.yaml").read_text())
    body["spec"]["description"] = "ours"
    file = tmp_path / "class.yaml"
    file.write_text(yaml.safe_dump(body))
    assert documents.read(str(SMALLEST), str(file)).class_["spec"]["description"] == "ours"
    assert documents.read(str(SMALLEST), None).class_["spec"]["description"] != "ours"


def test_a_profile_without_a_namespace_is_of_the_default_one(tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text(yaml.safe_dump({**PROFILE, "metadata": {"name": "x"}}))
    assert documents.read(str(file), None).profile["metadata"] == {"name": "x", "namespace": "default"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "holds no PerformanceProfile", id="an_empty_file"),
        pytest.param("{", "write YAML", id="no_yaml"),
        pytest.param("\x00", "write YAML", id="a_control_character"),
        pytest.param("a: !!python/object:os.system {}", "write YAML", id="a_tag_that_would_run_code"),
        pytest.param("- 1", "write Kubernetes documents", id="a_list"),
        pytest.param("kind: PerformanceProfile", "write Kubernetes documents", id="no_metadata"),
        pytest.param(yaml.safe_dump({**PROFILE, "apiVersion": "pegbox.dev/v9"}), "v1alpha1", id="another_version"),
        pytest.param(yaml.safe_dump_all([PROFILE, PROFILE]), "2 documents", id="two_profiles"),
        pytest.param(
            yaml.safe_dump({**PROFILE, "spec": {**PROFILE["spec"], "classRef": {"name": "python-worke"}}}),
            "did you mean 'python-worker'",
            id="a_misspelt_class",
        ),
        pytest.param(yaml.safe_dump({**PROFILE, "spec": 3}), "classRef", id="a_spec_that_is_a_number"),
        pytest.param("a" * documents.LIMIT, "at most", id="too_large"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        documents.read(str(file), None)
    assert said in str(refused.value)
