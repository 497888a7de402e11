"""The models that propose: known functions are found again, and improvement is what the books say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pegbox.bench.tuners.expected import log_improvement
from pegbox.bench.tuners.forest import Forest
from pegbox.bench.tuners.gp import Process

LINE = np.linspace(0.0, 1.0, 9)[:, None]
WAVE = np.sin(3.0 * LINE[:, 0])


def test_the_expected_improvement_at_the_best_is_sd_over_root_two_pi() -> None:
    """E[max(-Y, 0)] of a standard normal is 1 / sqrt(2 pi) = 0.3989."""
    assert np.exp(log_improvement(0.0, np.array([0.0]), np.array([2.0]))) == pytest.approx(2 * 0.39894, rel=1e-4)


def test_a_sure_improvement_is_worth_its_size() -> None:
    assert np.exp(log_improvement(0.0, np.array([-5.0]), np.array([0.1]))) == pytest.approx(5.0)


def test_hopeless_points_are_still_told_apart() -> None:
    """At z = -40 the improvement itself is below the smallest float; its log is about -z^2 / 2 - 2 log z - 0.92."""
    found = log_improvement(0.0, np.array([40.0, 41.0, 1e5, 2e5]), np.ones(4))
    assert found[0] == pytest.approx(-800 - 2 * math.log(40) - 0.919, abs=0.01)
    assert np.all(np.diff(found) < 0) and np.isfinite(found).all()


def test_the_two_branches_meet() -> None:
    found = log_improvement(0.0, np.array([1.0 - 1e-9, 1.0 + 1e-9, 1e3 * (1 - 1e-9), 1e3 * (1 + 1e-9)]), np.ones(4))
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[2] == pytest.approx(found[3], abs=1e-1)


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
