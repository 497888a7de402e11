"""Tables of the real shape are read, with what is odd about them; what cannot be used is named by its line."""

from __future__ import annotations

from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest

from pegbox.bench import tables
from pegbox.bench.tables import Table
from pegbox.bench.tasks import pricing
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from tests.unit.bench.made import spec_of

CPU, WORKERS = {"name": "cpu", "type": "Cpu"}, {"name": "workers", "type": "Integer"}
METRIC = {"column": "rate", "failed": ["99999", "0"], "noise": "ci"}


def read(folder: Path, text: str | bytes, *knobs: dict[str, str], **changes: Any) -> Table:
    path = folder / "made.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    kept = {"price": None, "order": "n", "metric": {"column": "rate", "failed": ["99999"]}, **changes}
    return tables.read(spec_of(knobs=list(knobs or (CPU, WORKERS)), **kept), path)


def test_rows_are_read_by_type(tmp_path: Path) -> None:
    knobs = (CPU, {"name": "mem", "type": "Bytes"}, {"name": "on", "type": "Boolean"}, {"name": "gc", "type": "Choice"})
    text = "n,cpu,mem,on,gc,rate,ci\n1,1.5,3474M,TRUE,b,100,2\n2,2,4096,0,a,99999,3\n3,2,1Gi,no,b,,\n"
    table = read(tmp_path, text, *knobs, metric=METRIC)

    assert table.rows[0].setting == Setting({"cpu": F(3, 2), "mem": F(3_474_000_000), "on": True, "gc": "b"})
    assert table.rows[1].setting == Setting({"cpu": F(2), "mem": F(4096), "on": False, "gc": "a"})
    assert table.rows[2].setting["mem"] == F(2**30)
    assert [(row.order, row.metric, row.noise) for row in table.rows] == [
        ("1", 100.0, 2.0),
        ("2", None, 3.0),
        ("3", None, None),
    ]
    assert table.usable == table.rows[:1]
    assert table.space["gc"].choices == ("a", "b")
    assert (table.space["mem"].minimum, table.space["mem"].maximum) == (F(4096), F(3_474_000_000))


def test_choices_that_are_numbers_keep_their_order(tmp_path: Path) -> None:
    text = "n,gc,rate\n1,10,5\n2,9,5\n3,auto,5\n"
    assert read(tmp_path, text, {"name": "gc", "type": "Choice"}).space["gc"].choices == ("9", "10", "auto")


@pytest.mark.parametrize(
    "text",
    [
        "n, cpu ,workers\t, rate\n 1, 1 ,2 , 10\n2,2,3,20\n",
        "\ufeffn,cpu,workers,rate\n1,1,2,10\n2,2,3,20\n",
        "n,cpu,workers,rate,,\n1,1,2,10,,\n2,2,3,20,,\n",
        "n,cpu,workers,rate\r\n1,1,2,10\r\n\r\n2,2,3,20\r\n,,,\r\n",
        "n,cpu,workers,rate\n1,1.0000000000000002,2.0,10,9,9\n2,2,3,20\n",
    ],
    ids=["blanks", "byte order mark", "empty trailing columns", "empty lines", "float noise and cells beyond the head"],
)
def test_what_is_odd_about_real_files_changes_nothing(text: str, tmp_path: Path) -> None:
    table = read(tmp_path, text)
    assert [(row.order, row.setting, row.metric) for row in table.rows] == [
        ("1", Setting({"cpu": F(1), "workers": F(2)}), 10.0),
        ("2", Setting({"cpu": F(2), "workers": F(3)}), 20.0),
    ]


def test_float_noise_is_rounded_away(tmp_path: Path) -> None:
    text = "n,x,rate\n1,29.330000000000002,5\n2,1e2,5\n"
    values = [row.setting["x"] for row in read(tmp_path, text, {"name": "x", "type": "Decimal"}).rows]
    assert values == [F(2933, 100), F(100)]


def test_a_column_with_one_value_is_no_knob_but_has_its_price(tmp_path: Path) -> None:
    changes = {
        "knobs": [CPU, WORKERS],
        "price": {"cpu": "0.5", "workers": "0.25"},
        "order": "n",
        "metric": {"column": "rate"},
    }
    (tmp_path / "made.csv").write_text("n,cpu,workers,rate\n1,4,1,10\n2,4,3,20\n")
    spec = spec_of(**changes)
    table = tables.read(spec, tmp_path / "made.csv")

    assert table.space.names == ("workers",)
    assert dict(table.fixed) == {"cpu": F(4)}
    assert table.rows[0].setting == Setting({"workers": F(1)})
    assert pricing(spec, table)(table.rows[1].setting) == pytest.approx(4 * 0.5 + 3 * 0.25)


def test_bytes_are_priced_by_the_gib(tmp_path: Path) -> None:
    (tmp_path / "made.csv").write_text("n,mem,rate\n1,1Gi,10\n2,3Gi,20\n")
    spec = spec_of(knobs=[{"name": "mem", "type": "Bytes"}], price={"mem": "0.5"}, order="n", metric={"column": "rate"})
    table = tables.read(spec, tmp_path / "made.csv")
    assert [pricing(spec, table)(row.setting) for row in table.rows] == [0.5, 1.5]


def test_limits_of_the_spec_go_before_those_of_the_column(tmp_path: Path) -> None:
    knob = read(tmp_path, "n,cpu,workers,rate\n1,1,2,10\n2,2,3,20\n", {**CPU, "min": "500m", "max": "8"}).space["cpu"]
    assert (knob.minimum, knob.maximum) == (F(1, 2), F(8))


def test_a_group_is_a_value_or_a_block(tmp_path: Path) -> None:
    text = "n,cpu,workers,rate,day\n" + "".join(f"{i},{i},{i + 1},10,{'ab'[i > 3]}\n" for i in range(1, 7))

    def orders(**changes: Any) -> list[str]:
        return [row.order for row in read(tmp_path, text, **changes).rows]

    assert orders(groupBy="day", group="b") == ["4", "5", "6"]
    assert orders(groupBy="day") == ["1", "2", "3"]
    assert orders(groupBy=2, group="1") == ["3", "4"]
    assert orders(groupBy=4) == ["1", "2", "3", "4"]
    for changes in ({"groupBy": "day", "group": "c"}, {"groupBy": 2, "group": "9"}):
        with pytest.raises(InvalidInput, match=r"made: group: .* no rows: name a group that the table has"):
            orders(**changes)
    with pytest.raises(InvalidInput, match=r"made: column: 'week' .* no such column"):
        orders(groupBy="week")


OK = "n,cpu,workers,rate\n1,1,2,10\n2,2,3,20\n"


@pytest.mark.parametrize(
    ("text", "knobs", "said"),
    [
        (OK, (CPU, {"name": "disk"}), "made: column: 'disk' .*made.csv has no such column; it has n, cpu, workers, rate"),
        ("n,cpu,cpu,rate\n1,1,2,10\n2,2,3,20\n", (CPU,), "column: 'cpu' .*has it 2 times: keep one"),
        (OK.replace("1,1,2", "1,one,2"), (), "line 2: cpu: 'one' "),
        (OK.replace("2,2,3", "2,nan,3"), (), "line 3: cpu: 'nan' "),
        (OK.replace("2,2,3", "2,inf,3"), (), "line 3: cpu: 'inf' "),
        (OK.replace("2,2,3", "2,1/2,3"), (), "line 3: cpu: '1/2' "),
        (OK.replace("2,2,3", "2,,3"), (), "line 3: cpu: '' .*write a value in every row"),
        (OK.replace("2,2,3", "2,2,3.5"), (), "line 3: workers: '3.5' .*write a whole number, or give the knob the type Decimal"),
        (OK, ({"name": "cpu", "type": "Boolean"},), "line 3: cpu: '2' .*write true or false"),
        (OK.replace(",10", ",ten"), (), "line 2: rate: 'ten' .*write a number, or list the text under `failed`"),
        (OK.replace(",10", ",nan"), (), "line 2: rate: 'nan' .*write a finite number"),
        (OK.replace(",10", ",1e999"), (), "line 2: rate: '1e999' .*write a finite number"),
        ("n,cpu,workers,rate\n", (), "csv: .*no rows below its head"),
        ("", (), "csv: .*no rows below its head"),
        (OK.replace(",10", ",99999").replace(",20", ",0"), (), "made: rate: 'made.csv' .*no row has a measurement"),
        (OK.replace("2,2,3", "2,1,2"), (), "made: knobs: 'made.csv' .*every column has one value only"),
        (OK, ({**CPU, "min": "9"},), "cpu: min: '9' .*min 9 is not below max 2"),
        (OK, ({**CPU, "max": "1"},), "cpu: max: '1' .*min 1 is not below max 1"),
        (OK, ({**CPU, "max": "many"},), "cpu: max: 'many' "),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(text: str, knobs: tuple[dict[str, str], ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path, text, *knobs)


def test_a_noise_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 2: ci: 'wide' "):
        read(tmp_path, "n,cpu,rate,ci\n1,1,10,wide\n2,2,20,1\n", CPU, metric=METRIC)


def test_a_start_is_one_row_with_a_measurement(tmp_path: Path) -> None:
    table = read(tmp_path, OK + "3,3,3,99999\n4,4,4,7\n4,5,5,7\n")
    assert table.row("2").metric == 20.0
    for order, said in (("9", "no row"), ("3", "a failed trial"), ("4", "2 rows")):
        with pytest.raises(InvalidInput, match=f"starts: '{order}' .*{said}: name one row with a measurement"):
            table.row(order)
