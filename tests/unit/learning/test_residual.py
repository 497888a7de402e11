"""The residual corrects where there is something to correct, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from pegbox.learning.residual import LARGEST, Residual, fit_residual

COLUMNS = np.log(np.array([[1.0], [2.0], [4.0], [8.0], [16.0], [32.0]]))
NOISE = np.full(6, 0.05)


def _at(residual: Residual, value: float) -> tuple[float, float]:
    mean, sd = residual.correct(np.log(np.array([[value]])))
    return float(mean[0]), float(sd[0])


def test_a_trend_that_physics_left_over_is_followed_between_the_points() -> None:
    """The residual rises from -0.25 to 0.25 over five doublings: at sqrt(4 x 8) = 5.66 it is 0."""
    residual = fit_residual(COLUMNS, np.linspace(-0.25, 0.25, 6), NOISE)
    assert _at(residual, 5.66)[0] == pytest.approx(0.0, abs=0.03)
    assert _at(residual, 16.0)[0] == pytest.approx(0.15, abs=0.05)


def test_far_from_the_points_it_returns_to_nothing_and_says_how_unsure_it_is() -> None:
    residual = fit_residual(COLUMNS, np.full(6, 0.3), NOISE)
    near, far = _at(residual, 8.0), _at(residual, 1e12)
    assert near[0] == pytest.approx(0.3, abs=0.05)
    assert abs(far[0]) < 0.05
    assert far[1] > 3 * near[1]


@pytest.mark.parametrize(
    ("logs", "points"),
    [
        pytest.param((0.01, -0.02, 0.03, -0.01, 0.02, -0.03), 6, id="within_noise"),
        pytest.param((0.3, 0.3, 0.3, 0.3), 4, id="too_few"),
        pytest.param((), 0, id="none"),
    ],
)
def test_without_evidence_nothing_is_corrected(logs: tuple[float, ...], points: int) -> None:
    residual = fit_residual(COLUMNS[:points], np.array(logs), NOISE[:points])
    assert residual.process is None
    assert _at(residual, 8.0) == (0.0, 0.0)


def test_no_correction_exceeds_its_bound() -> None:
    assert _at(fit_residual(COLUMNS, np.full(6, 5.0), NOISE), 8.0)[0] <= LARGEST


def test_equal_columns_do_not_matter() -> None:
    columns = np.column_stack([COLUMNS, np.ones(6), np.ones(6)])
    residual = fit_residual(columns, np.full(6, 0.3), NOISE)
    mean, _ = residual.correct(columns[3:4])
    assert float(mean[0]) == pytest.approx(0.3, abs=0.05)
