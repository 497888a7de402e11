"""A spec is read, or refused by field, value and remedy."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pegbox.bench import spec as specs
from pegbox.bench.spec import Better, Mode, Scale
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobType
from tests.unit.bench.made import body, write_spec

KNOB = {"name": "cpu", "type": "Cpu"}


def test_a_spec_says_what_its_text_says(tmp_path: Path) -> None:
    knobs = [KNOB, {"name": "workers", "scale": "Log", "min": 2, "max": "64"}]
    found = specs.read(write_spec(tmp_path, knobs=knobs, starts={"good": 7}))

    assert (found.name, found.mode, found.order, found.steps) == ("made", Mode.SURROGATE, "TRIALS", 8)
    assert (found.metric.better, found.metric.failed, found.metric.noise) == (Better.HIGHER, ("99999",), "rate_ci")
    assert (found.least, found.floor, found.price) == (Decimal("0.97"), Decimal("0.9"), {"cpu": Decimal("0.04")})
    assert found.starts == {"good": "7"}
    assert found.knobs[0].type is KnobType.CPU
    assert (found.knobs[1].type, found.knobs[1].scale) == (KnobType.INTEGER, Scale.LOG)
    assert (found.knobs[1].min, found.knobs[1].max) == ("2", "64")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "red"}, "made.yaml: colour: 'red' .*[Ee]xtra inputs are not permitted"),
        ({"knobs": [{**KNOB, "step": 3}]}, "made.yaml: knobs.0.step: 3 "),
        ({"knobs": []}, r"made.yaml: knobs: \[\] .*at least 1"),
        ({"knobs": [KNOB, dict(KNOB)]}, "made.yaml: knobs: 'cpu' .*twice: name each knob once"),
        ({"price": {"disk": "1"}}, "made.yaml: price: 'disk' .* is no knob with a number: name one of the knobs"),
        ({"price": {"fast": "1"}}, "made.yaml: price: 'fast' .* is no knob with a number"),
        ({"price": {"cpu": "-1"}}, "write prices of 0 or more"),
        ({"price": {"cpu": "0"}}, "one of them above 0"),
        ({"price": {"cpu": "dear"}}, "made.yaml: price.cpu: 'dear' .*decimal"),
        ({"price": {"cpu": ".nan"}}, "made.yaml: price.cpu: "),
        ({"least": float("nan")}, "made.yaml: least: nan"),
        ({"least": "1.5"}, "made.yaml: least: '1.5' .*less than or equal to 1"),
        ({"floor": "0"}, "made.yaml: floor: '0' .*greater than 0"),
        ({"steps": 0}, "made.yaml: steps: 0 "),
        ({"mode": "Guess"}, "made.yaml: mode: 'Guess' .*TableGlobal"),
        ({"name": "a b"}, "made.yaml: name: 'a b' "),
        ({"metric": None}, "made.yaml: metric: .*required"),
        ({"starts": None}, r"made.yaml: starts: \{\} .*a Surrogate names its start rows"),
        ({"order": None}, "as `order` the column that numbers them"),
        ({"knobs": [KNOB, {"name": "rate"}]}, "neither the metric nor the order column is a knob"),
        ({"knobs": [KNOB, {"name": "TRIALS"}]}, "neither the metric nor the order column is a knob"),
        ({"groupBy": 0}, "made.yaml: groupBy"),
        ({"group": "2"}, "made.yaml: group: '2' .*name groupBy as well"),
        ({"groupBy": 5, "group": "first"}, "made.yaml: group: 'first' .*write the number of a block"),
        ({"groupBy": 5, "group": "-1"}, "made.yaml: group: '-1' .*write the number of a block"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_remedy(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        specs.read(write_spec(tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "--spec: .*made.yaml' cannot be used: write YAML"),
        ("name: a\nname: b\n", "the key 'name' stands twice: keep one"),
        ("", "it has 0 documents: write one spec to a file"),
        ("name: a\n---\nname: b\n", "it has 2 documents"),
        ("- a\n", "made.yaml: spec: .*cannot be used"),
        ("just words\n", "made.yaml: spec: 'just words' cannot be used"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=said):
        specs.read(tmp_path / "made.yaml")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"--spec: .*nowhere.yaml' cannot be used: name a file that can be read: No such"
    ):
        specs.read(tmp_path / "nowhere.yaml")


def test_the_table_is_sought_in_the_data_folder_then_beside_the_spec(tmp_path: Path) -> None:
    data, own = tmp_path / "data", tmp_path / "own"
    data.mkdir(), own.mkdir()
    found = specs.Spec.model_validate(body())
    spec = own / "made.yaml"

    assert specs.located(found, spec, data) is None
    (own / "made.csv").write_text("a")
    assert specs.located(found, spec, data) == own / "made.csv"
    assert specs.located(found, spec, None) == own / "made.csv"
    (data / "made.csv").write_text("a")
    assert specs.located(found, spec, data) == data / "made.csv"


def test_every_shipped_spec_can_be_read_and_names_no_number_of_one_machine() -> None:
    from pegbox.bench.tune import SHIPPED

    found = {path.stem: specs.read(path) for path in sorted(SHIPPED.glob("*.yaml"))}
    assert len(found) >= 12
    assert all(name == spec.name and not Path(spec.csv).is_absolute() for name, spec in found.items())
