"""The prior in the package: checked against its own hash, and never the reason why a fit fails."""

from __future__ import annotations

import json
import logging
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pegbox.learning.beliefs import BY_HAND, HELD, Belief
from pegbox.learning.shipped import FILE, content_hash, load, location, read, shipped
from pegbox.model.errors import InvalidInput

ROOT = Path(__file__).parents[3]
GOOD: dict[str, Any] = {
    "kind": "pegbox-capacity-prior",
    "format": 1,
    "version": "7",
    "active": True,
    "beliefs": {HELD: {"mean": -0.5, "sd": 0.25, "unit": "any"}},
    "misfit": {"capacity": 0.3, "latency": 0.1},
}


def signed(document: dict[str, Any]) -> bytes:
    return json.dumps({**document, "sha256": content_hash(document)}).encode()


def test_the_shipped_file_is_that_of_the_checkout_and_whole() -> None:
    assert Path(str(location())) == ROOT / "models" / FILE
    document = json.loads(location().read_text(encoding="utf-8"))
    assert content_hash(document) == document["sha256"]
    found = shipped()
    assert (found.name.startswith("capacity-prior")) is document["active"]
    if document["active"]:
        assert {key: (b.mean, b.sd) for key, b in found.beliefs.items()} == {
            key: (told["mean"], told["sd"]) for key, told in document["beliefs"].items()
        }


def test_the_wheel_and_the_image_bring_it_where_the_package_looks_for_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    recipe = tomllib.loads((ROOT / "images/pegbox/recipe.toml").read_text(encoding="utf-8"))
    image = {copy["from"]: copy["to"] for copy in recipe["copy"]}
    assert wheel[f"models/{FILE}"] == f"pegbox/models/{FILE}"
    assert image[f"models/{FILE}"] == f"{image['operator/pegbox']}/models/{FILE}"


def test_a_good_file_is_named_with_its_version_and_hash() -> None:
    found = read(signed(GOOD), FILE)
    assert found.name == f"capacity-prior 7 (sha256 {content_hash(GOOD)[:12]})"
    assert found.beliefs == {HELD: Belief(-0.5, 0.25)}
    assert (found.capacity_misfit, found.latency_misfit) == (0.3, 0.1)


def test_one_that_is_not_active_is_not_used_and_says_so() -> None:
    found = read(signed({**GOOD, "active": False}), FILE)
    assert found.beliefs == BY_HAND
    assert (found.capacity_misfit, found.latency_misfit) == (0.0, 0.0)
    assert found.name == "none: the shipped one is not active, see models/CARD.md"


def test_a_changed_number_breaks_the_hash() -> None:
    raw = signed(GOOD).replace(b"-0.5", b"-0.4")
    with pytest.raises(InvalidInput, match=r"sha256.*contents have another hash.*make models"):
        read(raw, FILE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"beliefs": {HELD: {"mean": float("nan"), "sd": 1.0}}}, r"nan is no finite number", id="nan"),
        pytest.param({"beliefs": {HELD: {"mean": 0.0, "sd": 0.0}}}, r"0.0 is no finite number", id="no_width"),
        pytest.param({"beliefs": {HELD: {"mean": True, "sd": 1.0}}}, r"True is no finite number", id="no_number"),
        pytest.param({"beliefs": {HELD: {"mean": 0.0}}}, r"sd", id="no_sd"),
        pytest.param({"beliefs": [1]}, r"beliefs", id="no_mapping"),
        pytest.param({"beliefs": {"demand:moon": {"mean": 0.0, "sd": 1.0}}}, r"demand:moon", id="unknown_belief"),
        pytest.param({"misfit": {"capacity": -1.0, "latency": 0.0}}, r"-1.0 is no finite", id="negative_misfit"),
        pytest.param({"format": 2}, r"this release reads pegbox-capacity-prior 1", id="another_format"),
    ],
)
def test_what_makes_no_sense_is_refused_although_its_hash_is_right(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(signed({**GOOD, **change}), FILE)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * 1_000_002])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"make models"):
        read(raw, FILE)


def test_a_damaged_file_leaves_physics_and_defaults_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / FILE
    file.write_bytes(signed(GOOD).replace(b"0.25", b"0.35"))
    with caplog.at_level(logging.WARNING):
        found = load(file)
    assert found.beliefs == BY_HAND
    assert found.name.startswith("none: ")
    assert str(file) in found.name
    assert [record.message for record in caplog.records] == ["no prior for cold starts"]


def test_so_does_a_missing_one(tmp_path: Path) -> None:
    assert load(tmp_path / FILE).beliefs == BY_HAND


def test_the_twin_a_whole_file_is_used(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_bytes(signed(GOOD))
    assert load(file).beliefs == {HELD: Belief(-0.5, 0.25)}
