"""Whatever stands in a spec or a table, the benchmark reads it or refuses it in one line, at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegbox.bench import spec as specs
from pegbox.bench import tables, tune
from pegbox.model.errors import InvalidInput
from tests.unit.bench.made import COLUMNS, lines, spec_of, write_csv, write_spec

CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "nan", "-inf", "1e99", "-0", "1/0", "1_0", "0x10", "٣", "=1+1", "99999", '"', "\x00", "3474M", "1e-9"]
    ),
    st.floats().map(str),
    st.integers().map(str),
)


def read(raw: bytes) -> tables.Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.csv"
        path.write_bytes(raw)
        return tables.read(spec_of(), path)


def one_cell(column: str, text: str) -> bytes:
    rows = lines(6)
    rows[2][COLUMNS.index(column)] = text
    return "\n".join(",".join(cells) for cells in [COLUMNS, *rows]).encode()


@given(st.binary(max_size=400))
def test_any_bytes_are_no_table_or_one(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(raw)


@given(st.sampled_from(COLUMNS), CELLS)
def test_any_text_in_any_cell_is_read_or_refused(column: str, text: str) -> None:
    try:
        table = read(one_cell(column, text))
    except InvalidInput as error:
        assert len(str(error)) < 3000
        return
    assert all(knob.admits(row.setting[knob.name]) for row in table.rows for knob in table.space.knobs)
    assert all(row.metric is None or 0 < row.metric < float("inf") for row in table.rows)


@pytest.mark.parametrize(
    "text",
    ["1e999999999", "1e-999999999", "9" * 5000, "1/3", "1e", ".", "+", "--1", "1.5.5", "0" * 100_000, "1E+999999999"],
    ids=lambda text: text[:12],
)
def test_numbers_that_would_fill_the_memory_are_refused_with_their_line(text: str) -> None:
    with pytest.raises(InvalidInput, match="line 4: cpu"):
        read(one_cell("cpu", text))


def test_a_cell_larger_than_a_reader_takes_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"csv: .*write comma-separated text: field larger than field limit"):
        read(one_cell("collector", "x" * 200_000))


def test_a_quote_that_never_ends_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read(one_cell("cpu", '"1.5'))


def test_utf_16_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"csv: .*name a text file that can be read"):
        read(one_cell("cpu", "1").decode().encode("utf-16"))


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_are_no_spec(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.yaml"
        path.write_bytes(raw)
        with pytest.raises(InvalidInput):
            specs.read(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: &a [x, x]\nb: &b [*a, *a]\nname: [*b, *b]\n",
        "name: !!python/object/apply:os.system [exit]\n",
        "name: 2020-13-45\n",
        "steps: " + "9" * 5000 + "\n",
        "name: !!bool perhaps\n",
        "? [a]\n: b\n",
        "name: \x07\n",
    ],
    ids=["deep", "aliases", "object", "date", "digits", "bool", "key", "control"],
)
def test_yaml_that_is_meant_badly_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "made.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput):
        specs.read(tmp_path / "made.yaml")


def test_a_folder_is_neither_spec_nor_table(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name a file that can be read"):
        specs.read(tmp_path)
    assert specs.located(spec_of(csv="."), tmp_path / "made.yaml", tmp_path) is None


def test_a_group_far_beyond_the_table_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "made.csv")
    with pytest.raises(InvalidInput, match="made: group: '99999999999999999999'"):
        tables.read(spec_of(groupBy=10**18, group="9" * 20), path)


@given(st.binary(max_size=200))
def test_any_bytes_in_a_shard_are_a_run_or_run_again(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "key.json").write_bytes(raw)
        assert tune._shard(Path(folder), "key") is None


def test_a_shard_nested_without_end_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("[" * 100_000)
    assert tune._shard(tmp_path, "key") is None


def test_a_spec_of_a_table_elsewhere_reads_no_row_of_it_as_code(tmp_path: Path) -> None:
    """A cell that a spreadsheet would run is text here."""
    spec = specs.read(write_spec(tmp_path))
    rows = lines(6)
    rows[0][COLUMNS.index("collector")] = '=cmd|"/c calc"!A1'.replace('"', "")
    table = tables.read(spec, write_csv(tmp_path / "odd.csv", rows))
    assert "=cmd|/c calc!A1" in table.space["collector"].choices
