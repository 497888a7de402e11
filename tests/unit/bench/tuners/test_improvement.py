"""Expected improvement is what the books say, and never underflows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pegbox.bench.tuners.expected import log_improvement


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
