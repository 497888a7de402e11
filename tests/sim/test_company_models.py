"""The models that propose: known functions are found again, and what cannot be learned from is no trouble."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pegbox.bench.bowl import KINDS, bowl
from pegbox.bench.tuners.encoding import Encoding
from pegbox.bench.tuners.forest import Forest
from pegbox.bench.tuners.gp import Process
from pegbox.model.knobs import Knob, SearchSpace, Setting

LINE = np.linspace(0.0, 1.0, 9)[:, None]
WAVE = np.sin(3.0 * LINE[:, 0])


def test_the_process_goes_through_exact_points_and_doubts_what_is_far() -> None:
    process = Process()
    process.fit(LINE, WAVE, sd=1e-3)
    mean, sd = process.predict(np.array([[0.5], [0.55], [3.0]]))
    assert mean[:2] == pytest.approx(np.sin([1.5, 1.65]), abs=0.02)
    assert sd[2] > 10 * sd[0]


def test_noise_is_smoothed_and_not_followed() -> None:
    """Nine figures around 0 with an sd of 0.1, told as such: the mean stays well inside of them."""
    noise = np.array([1, -1, 1, -1, 1, -1, 1, -1, 1]) * 0.1
    process = Process()
    process.fit(LINE, noise, sd=0.1)
    assert np.max(np.abs(process.predict(LINE)[0])) < 0.06


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_figures_that_are_all_the_same_are_no_trouble(rows: int) -> None:
    process, forest = Process(), Forest(np.random.default_rng(1))
    for model in (process, forest):
        model.fit(LINE[:rows], np.zeros(rows), sd=0.01)
        mean, sd = model.predict(LINE)
        assert np.allclose(mean, 0.0, atol=1e-9)
        assert np.all(sd > 0)


def test_replicates_alone_do_not_make_the_space_look_flat() -> None:
    """Five figures of one point within 1 %: elsewhere the metric may well be 10 % lower."""
    process = Process()
    process.fit(np.zeros((5, 3)), np.array([-0.01, 0.0, 0.01, 0.0, 0.0]), sd=0.01)
    _, sd = process.predict(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    assert sd[1] > 0.05
    assert sd[0] < 0.02


def test_a_duplicated_point_and_a_constant_column_are_no_trouble() -> None:
    columns = np.column_stack([np.repeat(LINE[:5], 4, axis=0), np.ones(20)])
    process = Process()
    process.fit(columns, np.repeat(WAVE[:5], 4), sd=1e-3)
    assert np.isfinite(process.predict(columns)[0]).all()


def test_a_forest_follows_a_step() -> None:
    forest = Forest(np.random.default_rng(1))
    forest.fit(LINE, (LINE[:, 0] > 0.5).astype(float), sd=0.01)
    mean, sd = forest.predict(np.array([[0.1], [0.9], [0.55]]))
    assert mean[0] == pytest.approx(0.0, abs=0.15) and mean[1] == pytest.approx(1.0, abs=0.15)
    assert sd[2] > 0


def test_sobol_points_are_settings_that_fill_the_space() -> None:
    """Of 64 points half lie in each half of a number's range, and every level of a choice gets its share."""
    encoding = Encoding(SearchSpace(KINDS), bowl(len(KINDS), seed=0).problem.start)
    rows = encoding.sobol(64, seed=1)
    settings = [encoding.setting(row) for row in rows]
    assert all(SearchSpace(KINDS)[name].admits(value) for setting in settings for name, value in setting.items())
    assert [encoding.setting(row) for row in encoding.codes(settings)] == settings
    assert np.sum(rows[:, 0] < 0.5) == 32
    assert [sum(s["collector"] == c for s in settings) for c in KINDS[3].choices] == [16, 16, 16, 16]


def test_sobol_points_of_nothing_are_none() -> None:
    one = Setting({"n": Fraction(64)})
    nothing = Encoding(SearchSpace((Knob("n", minimum=KINDS[1].maximum, maximum=KINDS[1].maximum),)), one)
    assert nothing.sobol(4, 1).shape == (4, 0)
    assert Encoding(SearchSpace(KINDS), bowl(len(KINDS), seed=0).problem.start).sobol(0, 1).shape == (0, len(KINDS))
