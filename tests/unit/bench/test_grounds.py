"""Starts and shared rows are the same for everybody; a start that cannot be used is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pegbox.bench import oracles, surrogate, tables
from pegbox.bench.grounds import STARTS, Ground, prepare
from pegbox.bench.spec import Spec
from pegbox.bench.tables import Table
from pegbox.model.errors import InvalidInput
from tests.unit.bench.made import lines, spec_of, write_csv


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "TREES", 25)
    monkeypatch.setattr(oracles, "SOBOL", 128)


def read(folder: Path, spec: Spec) -> Table:
    return tables.read(spec, write_csv(folder / "made.csv"))


def table_ground(folder: Path, mode: str) -> Ground:
    spec = spec_of(mode=mode, starts=None)
    return prepare(spec, read(folder, spec), 0)


def test_a_model_starts_at_the_specs_row(tmp_path: Path) -> None:
    spec = spec_of(steps=3)
    table = read(tmp_path, spec)
    ground = prepare(spec, table, 0)
    task, truth = ground.of("good", 5)

    assert task.start == table.row("7").setting
    assert ground.of("good", 6)[0] is task
    assert truth.best.cost <= truth.reachable[-1].cost <= truth.reachable[0].cost == 1.0
    assert len(truth.reachable) == 4
    assert task.rows is None and task.first == ()


@pytest.mark.parametrize(("order", "said"), [("77", "no row"), ("3", "a failed trial")])
def test_a_start_that_is_no_measurement_is_refused(order: str, said: str, tmp_path: Path) -> None:
    spec = spec_of(starts={"good": order})
    with pytest.raises(InvalidInput, match=f"starts: '{order}' .*{said}"):
        prepare(spec, read(tmp_path, spec), 0)


def test_a_start_outside_the_limits_is_refused(tmp_path: Path) -> None:
    spec = spec_of(knobs=[{"name": "cpu", "type": "Cpu"}, {"name": "workers", "min": "30", "max": "90"}])
    with pytest.raises(InvalidInput, match=r"made: starts: '7' .*workers is outside min and max: widen them"):
        prepare(spec, read(tmp_path, spec), 0)


def test_a_safe_table_has_twenty_fixed_starts_from_its_middle(tmp_path: Path) -> None:
    ground = table_ground(tmp_path, "TableSafe")
    values = sorted(float(row.metric) for row in ground.table.usable if row.metric is not None)
    low, high = values[int(len(values) * 0.35)], values[int(len(values) * 0.65)]
    starts = [ground.of("drawn", seed)[0] for seed in range(STARTS + 1)]

    assert all(task.nearby and task.first == () and low <= task.start_metric <= high for task in starts)
    assert len({task.start for task in starts}) > 3
    assert starts[STARTS].start == starts[0].start
    assert [t.start for t in starts] == [
        table_ground(tmp_path, "TableSafe").of("drawn", s)[0].start for s in range(STARTS + 1)
    ]


def test_a_global_table_has_eight_shared_rows_by_seed(tmp_path: Path) -> None:
    ground = table_ground(tmp_path, "TableGlobal")
    first, second = ground.of("drawn", 0)[0], ground.of("drawn", 1)[0]
    rows = first.rows or ()

    assert not first.nearby
    assert len(set(first.first)) == 8 and set(first.first) <= set(rows)
    assert first.first != second.first
    assert first.first == table_ground(tmp_path, "TableGlobal").of("drawn", 0)[0].first


def test_a_table_of_fewer_rows_shares_them_all(tmp_path: Path) -> None:
    spec = spec_of(mode="TableGlobal", starts=None)
    table = tables.read(spec, write_csv(tmp_path / "made.csv", [row for row in lines(6) if row[0] != "3"]))
    task, _ = prepare(spec, table, 0).of("drawn", 0)
    assert len(task.first) == 5


def test_a_setting_that_was_measured_twice_has_the_mean_and_one_that_always_failed_is_no_row(tmp_path: Path) -> None:
    rows = [["1", "1", "2", "10"], ["2", "1", "2", "30"], ["3", "2", "2", ""], ["4", "2", "4", "7"]]
    write_csv(tmp_path / "made.csv", rows, ("n", "cpu", "workers", "rate"))
    knobs = [{"name": "cpu", "type": "Cpu"}, {"name": "workers"}]
    spec = spec_of(mode="TableGlobal", starts=None, order="n", metric={"column": "rate"}, price=None, knobs=knobs)
    ground = prepare(spec, tables.read(spec, tmp_path / "made.csv"), 0)
    task, truth = ground.of("drawn", 0)

    assert {tuple(float(v) for v in (row.number("cpu"), row.number("workers"))) for row in task.rows or ()} == {
        (1, 2),
        (2, 4),
    }
    assert sorted(task.true(list(task.rows or ()))) == [7.0, 20.0]
    assert truth.best.setting["cpu"] == 1
    assert truth.reachable == ()
