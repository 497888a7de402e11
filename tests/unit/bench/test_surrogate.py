"""The model of a table: the same as scikit-learn says, the same again for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from pegbox.bench import surrogate, tables
from pegbox.bench.surrogate import Surrogate, columns_of, fit, fixed_points, flattened
from pegbox.bench.tables import Table
from pegbox.model.knobs import KnobType
from tests.unit.bench.made import lines, spec_of, write_csv

ROWS = np.random.default_rng(1).uniform(0, 9, (60, 3))
POINTS = np.random.default_rng(2).uniform(-1, 10, (300, 3))


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "TREES", 25)


def table_of(folder: Path, rows: list[list[str]] | None = None) -> Table:
    return tables.read(spec_of(), write_csv(folder / "made.csv", rows))


def test_flattened_regressors_predict_what_scikit_learn_predicts() -> None:
    model = ExtraTreesRegressor(10, min_samples_leaf=2, random_state=0).fit(ROWS, ROWS.prod(axis=1))
    np.testing.assert_allclose(flattened(model.estimators_).predict(POINTS), model.predict(POINTS), rtol=1e-9)


def test_flattened_classifiers_predict_what_scikit_learn_predicts() -> None:
    model = ExtraTreesClassifier(10, min_samples_leaf=2, random_state=0).fit(ROWS, ROWS[:, 0] + ROWS[:, 1] > 7)
    shares = model.predict_proba(POINTS)[:, 1]
    assert 0.1 < shares.mean() < 0.9
    np.testing.assert_allclose(flattened(model.estimators_, kind=1).predict(POINTS), shares, rtol=0, atol=1e-9)


def test_rows_on_a_threshold_fall_as_in_scikit_learn() -> None:
    """It compares in single precision: 0.1 and its float32 are on different sides of a threshold between them."""
    rows = np.array([[0.1], [0.1 + 1e-9], [0.3], [0.7]])
    model = ExtraTreesRegressor(10, random_state=3).fit(rows, [1.0, 1.0, 2.0, 3.0])
    points = np.concatenate([[tree.tree_.threshold[0]] for tree in model.estimators_])[:, None]
    np.testing.assert_allclose(flattened(model.estimators_).predict(points), model.predict(points), rtol=1e-12)


def test_a_tree_that_is_one_leaf_can_be_flattened() -> None:
    model = ExtraTreesRegressor(10, random_state=0).fit(ROWS, np.full(len(ROWS), 7.0))
    assert set(flattened(model.estimators_).predict(POINTS)) == {7.0}


def test_the_hash_is_the_seeds(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    first, again, other = fit(table, 0).sha256(), fit(table, 0).sha256(), fit(table, 1).sha256()
    assert first == again != other
    assert len(first) == 64


def test_the_hash_is_the_tables(tmp_path: Path) -> None:
    changed = [[*row[:7], "250" if row[0] == "9" else row[7], row[8]] for row in lines()]
    assert fit(table_of(tmp_path), 0).sha256() != fit(table_of(tmp_path, changed), 0).sha256()


def test_what_failed_in_the_table_fails_in_the_model(tmp_path: Path) -> None:
    """Every trial with the serial collector failed; the model has learned that, and the others' figures stand."""
    rows = [[*row[:7], "99999" if row[5] == "serial" else row[7], row[8]] for row in lines()]
    table = table_of(tmp_path, rows)
    model = fit(table, 0)
    settings = [row.setting for row in table.rows]
    failed = np.isnan(model.true(settings))

    assert model.fails is not None
    assert [bool(f) for f in failed] == [s["collector"] == "serial" for s in settings]
    assert model.true([]).shape == (0,)


def test_without_a_failure_nothing_fails(tmp_path: Path) -> None:
    model = fit(table_of(tmp_path, [row for row in lines() if row[7] != "99999"]), 0)
    assert model.fails is None
    assert np.isfinite(model.true(fixed_points(model.space, 200))).all()


def test_a_table_of_few_rows_has_no_residual(tmp_path: Path) -> None:
    assert np.isnan(fit(table_of(tmp_path, lines(9)), 0).residual_sd)
    assert 0 < fit(table_of(tmp_path), 0).residual_sd < 1


def test_the_noise_is_the_nearest_rows_within_bounds(tmp_path: Path) -> None:
    said = {"0": "", "1": "4", "2": "50", "4": "0"}
    table = table_of(tmp_path, [[*row[:8], said.get(row[0], "2.5")] for row in lines()])
    model: Surrogate = fit(table, 0)

    widths = {row.order: model.noise_sd(row.setting) for row in table.usable}
    assert (widths["0"], widths["1"], widths["2"], widths["4"]) == (0.02, 0.04, 0.10, 0.001)
    assert widths["6"] == 0.025
    far = table.row("1").setting
    near = far.with_values(cpu=far.number("cpu") + table.space["cpu"].unit)
    assert model.noise_sd(near) == 0.04


def test_fixed_points_are_typed_inside_the_limits_and_the_same_again(tmp_path: Path) -> None:
    space = table_of(tmp_path).space
    points = fixed_points(space, 100)

    assert points == fixed_points(space, 100)
    assert len(points) == 100
    assert all(knob.admits(point[knob.name]) for point in points for knob in space.knobs)
    for knob in space.knobs:
        seen = {point[knob.name] for point in points}
        assert len(seen) > (1 if knob.type in (KnobType.BOOLEAN, KnobType.CHOICE) else 4), knob.name
    assert all(point.number("workers").denominator == 1 for point in points)
    assert columns_of(space, points).shape == (100, 4)
