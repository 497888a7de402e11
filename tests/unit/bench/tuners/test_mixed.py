"""Of two models the one that foretold better counts more, and the mixture knows how far they are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from pegbox.bench.tuners.encoding import Array
from pegbox.bench.tuners.mixed import FORGET, LEAST, Mixed


@dataclass
class Says:
    """The same mean and sd for everything."""

    mean: float
    sd: float
    fitted: list[int] = field(default_factory=list)

    def fit(self, columns: Array, logs: Array, sd: float) -> None:
        self.fitted.append(len(logs))

    def predict(self, columns: Array) -> tuple[Array, Array]:
        return np.full(len(columns), self.mean), np.full(len(columns), self.sd)


def _told(*models: Says, values: tuple[float, ...], sd: float = 0.0) -> Mixed:
    mixed = Mixed(*models)
    for count in range(1, len(values) + 1):
        mixed.fit(np.zeros((count, 1)), np.array(values[:count]), sd)
    return mixed


def test_before_anything_was_foretold_both_count_the_same() -> None:
    assert _told(Says(0, 1), Says(5, 1), values=(0.0,)).weights == pytest.approx([0.5, 0.5])


def test_one_observation_weighs_the_models_by_their_densities() -> None:
    """At 0: a standard normal's is 0.39894, one around 1 has 0.24197; together 0.64091."""
    found = _told(Says(0, 1), Says(1, 1), values=(9.0, 0.0)).weights
    assert found == pytest.approx([0.39894 / 0.64091, 0.24197 / 0.64091], abs=1e-4)


def test_the_measurements_own_noise_widens_what_was_foretold() -> None:
    """sd 3 and noise 4 make 5: z = 1 for 5, z = 0 for 0. The ratio of the densities is exp(0.5)."""
    first, second = _told(Says(0, 3), Says(5, 3), values=(9.0, 0.0), sd=4.0).weights
    assert first / second == pytest.approx(math.exp(0.5))


def test_an_older_score_fades() -> None:
    """Twice half a unit of log density apart, the first time faded by 0.95."""
    first, second = _told(Says(0, 1), Says(1, 1), values=(9.0, 0.0, 0.0)).weights
    assert first / second == pytest.approx(math.exp(0.5 * FORGET + 0.5))


def test_a_model_that_is_always_wrong_keeps_a_small_say() -> None:
    """0.05 beside 1, made to sum to 1."""
    assert _told(Says(0, 0.1), Says(9, 0.1), values=(0.0,) * 5).weights == pytest.approx([1 / 1.05, LEAST / 1.05])


def test_an_observation_is_scored_before_it_is_learned() -> None:
    one = Says(0, 1)
    _told(one, Says(1, 1), values=(0.0, 0.0, 0.0))
    assert one.fitted == [1, 2, 3]


def test_a_fit_on_the_same_observations_scores_nothing_twice() -> None:
    mixed = _told(Says(0, 1), Says(1, 1), values=(9.0, 0.0))
    before = mixed.weights
    mixed.fit(np.zeros((2, 1)), np.array([9.0, 0.0]), 0.0)
    assert mixed.weights == pytest.approx(before)


def test_the_mixtures_variance_counts_how_far_the_models_are_apart() -> None:
    """Means 0 and 2, sds 1 and 1, half each: mean 1, variance 1 + 1."""
    mean, sd = Mixed(Says(0, 1), Says(2, 1)).predict(np.zeros((3, 1)))
    assert mean == pytest.approx([1.0] * 3)
    assert sd == pytest.approx([math.sqrt(2)] * 3)


def test_models_that_are_sure_and_agree_still_leave_an_sd_above_zero() -> None:
    mean, sd = Mixed(Says(3, 0), Says(3, 0)).predict(np.zeros((2, 1)))
    assert mean == pytest.approx([3.0, 3.0])
    assert np.all(sd > 0)


def test_one_model_is_a_mixture() -> None:
    assert _told(Says(2, 1), values=(1.0, 2.0)).weights == pytest.approx([1.0])
