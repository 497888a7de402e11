"""The additive process is what the books say: closed forms, slopes and variances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pegbox.learning import additive
from pegbox.learning.additive import Hyper
from pegbox.learning.queueing import Array

AMPLITUDE, JOINT, LOCAL, NOISE = 0.2, 0.1, 0.04, 0.05
HYPER = Hyper(np.log(np.array([AMPLITUDE, JOINT, LOCAL, NOISE])))
CHANCE = np.random.default_rng(3)
POINTS = CHANCE.random((9, 3))
VALUES = CHANCE.normal(size=9) * 0.1
STEPS = np.arange(9.0) - 4
WIDE = Hyper(np.log(np.array([0.2, 0.05, 0.01, 0.03, 0.04, 0.02])))


def _matern(distance: float) -> float:
    r = math.sqrt(5) * distance
    return (1 + r + r * r / 3) * math.exp(-r)


def _prior(gap: float) -> float:
    """Of two points on one axis: the constant, the axis' own part, the joint part, the local one."""
    own = AMPLITUDE**2 * _matern(gap / 0.6)
    return 0.05**2 + own + JOINT**2 * _matern(gap / 1.0) + LOCAL**2 * _matern(gap / 0.15)


def _full(hyper: Hyper, points: Array, values: Array, steps: Array, at: Array) -> tuple[Array, Array]:
    """Mean and covariance at `at`, by plain inverses."""

    def prior(one: Array, other: Array) -> Array:
        gaps = one[:, None, :] - other[None, :, :]
        total = np.full(gaps.shape[:2], 0.05**2)
        for i, j in np.ndindex(*gaps.shape[:2]):
            away = math.sqrt(float(np.sum(gaps[i, j] ** 2)))
            total[i, j] += hyper.joint**2 * _matern(away) + hyper.local**2 * _matern(away / 0.15)
            total[i, j] += sum(
                float(a) ** 2 * _matern(abs(float(g)) / 0.6) for a, g in zip(hyper.amplitudes, gaps[i, j], strict=True)
            )
        return total

    gap = np.abs(steps[:, None] - steps[None, :])
    noise = hyper.noise**2 * np.where(gap == 0, 1.0, 0.6 * 0.6**gap)
    inverse = np.linalg.inv(prior(points, points) + noise + 1e-8 * np.eye(len(points)))
    cross = prior(at, points)
    return cross @ inverse @ values, prior(at, at) - cross @ inverse @ cross.T


def test_the_kernel_is_matern_five_halves() -> None:
    """At one length: (1 + 2.23607 + 1.66667) x 0.106878 = 0.52399."""
    assert additive.matern(np.array([0.0, 1.0, 50.0])) == pytest.approx([1.0, 0.52399, 0.0], abs=1e-5)


def test_the_posterior_of_two_points_is_the_one_worked_by_hand() -> None:
    """Measured at 0 and at 1 with a step between: the inverse of [[d, o], [o, d]] is [[d, -o], [-o, d]] / (d^2 - o^2).
    Asked is f(0.5) - f(0)."""
    d = _prior(0) + NOISE**2 + 1e-8
    o = _prior(1) + NOISE**2 * 0.6 * 0.6
    y0, y1 = 0.1, -0.2
    inverse = np.array([[d, -o], [-o, d]]) / (d * d - o * o)
    mid, base = np.array([_prior(0.5), _prior(0.5)]), np.array([_prior(0), _prior(1)])
    mean = (mid - base) @ inverse @ np.array([y0, y1])
    variance = 2 * _prior(0) - 2 * _prior(0.5) - (mid - base) @ inverse @ (mid - base)

    process = additive.condition(np.array([[0.0], [1.0]]), np.array([y0, y1]), np.array([0.0, 1.0]), HYPER)
    found_mean, found_sd = process.beside(np.array([[0.5]]), np.array([[0.0]]))
    assert found_mean == pytest.approx(np.array([[mean]]))
    assert found_sd == pytest.approx(np.array([[math.sqrt(variance)]]))


def test_differences_agree_with_the_full_covariance() -> None:
    at, bases = CHANCE.random((5, 3)), POINTS[:2]
    mean, covariance = _full(WIDE, POINTS, VALUES, STEPS, np.vstack([at, bases]))
    found_mean, found_sd = additive.condition(POINTS, VALUES, STEPS, WIDE).beside(at, bases)
    assert found_mean.shape == found_sd.shape == (2, 5)
    for b in range(2):
        assert found_mean[b] == pytest.approx(mean[:5] - mean[5 + b])
        variance = np.diag(covariance)[:5] + covariance[5 + b, 5 + b] - 2 * covariance[5 + b, :5]
        assert found_sd[b] == pytest.approx(np.sqrt(variance))


def test_a_point_beside_itself_differs_by_nothing_for_sure() -> None:
    mean, sd = additive.condition(POINTS, VALUES, STEPS, WIDE).beside(POINTS[:1], POINTS[:1])
    assert mean == pytest.approx(np.zeros((1, 1)))
    assert sd == pytest.approx(np.zeros((1, 1)), abs=1e-7)


def test_one_measurement_that_is_less_sure_weighs_less() -> None:
    points, values, steps = np.array([[0.0], [1.0]]), np.array([0.0, 0.2]), np.array([0.0, 1.0])
    plain = additive.condition(points, values, steps, HYPER).beside(points[1:], points[:1])
    unsure = additive.condition(points, values, steps, HYPER, np.array([0.0, 0.04])).beside(points[1:], points[:1])
    assert 0 < unsure[0][0, 0] < plain[0][0, 0]
    assert unsure[1][0, 0] > plain[1][0, 0]


def test_the_slope_agrees_with_finite_differences() -> None:
    belief = additive.believe(np.array([True, False, False]), 0.02)
    loss = additive.objective(POINTS, VALUES, STEPS, belief)
    logs = belief.centre + np.array([0.3, -0.5, 0.8, 0.1, 0.4, -0.2])
    slope = loss(logs)[1]
    for i in range(len(logs)):
        off = np.zeros(len(logs))
        off[i] = 1e-5
        assert slope[i] == pytest.approx((loss(logs + off)[0] - loss(logs - off)[0]) / 2e-5, rel=1e-5, abs=1e-5)


def test_the_loss_is_minus_the_log_posterior() -> None:
    """Differences of it are those of the normal's density and the priors', by plain determinants."""
    belief = additive.believe(np.array([True, False, False]), 0.02)

    def density(logs: Array) -> float:
        hyper = Hyper(logs)
        gap = np.abs(STEPS[:, None] - STEPS[None, :])
        covariance = hyper.noise**2 * np.where(gap == 0, 1.0, 0.6 ** (gap + 1)) + 1e-8 * np.eye(9) + 0.05**2
        for i, j in np.ndindex(9, 9):
            away = np.abs(POINTS[i] - POINTS[j])
            far = float(np.linalg.norm(away))
            covariance[i, j] += hyper.joint**2 * _matern(far) + hyper.local**2 * _matern(far / 0.15)
            covariance[i, j] += sum(
                float(a) ** 2 * _matern(float(g) / 0.6) for a, g in zip(hyper.amplitudes, away, strict=True)
            )
        pulled = (logs - belief.centre) / belief.spread
        fit = VALUES @ np.linalg.inv(covariance) @ VALUES + np.log(np.linalg.det(covariance))
        return 0.5 * float(fit) + 0.5 * float(pulled @ pulled)

    loss = additive.objective(POINTS, VALUES, STEPS, belief)
    here, there = belief.centre, belief.centre + np.array([0.2, 0.1, -0.3, 0.4, 0.5, -0.1])
    assert loss(here)[0] - loss(there)[0] == pytest.approx(density(here) - density(there))


def test_refining_never_ends_above_where_it_began_and_stays_near_what_was_believed() -> None:
    belief = additive.believe(np.array([True, False, False]), 0.02)
    loss = additive.objective(POINTS, VALUES, STEPS, belief)
    found = additive.refine(POINTS, VALUES, STEPS, belief.first, belief)
    assert loss(found.logs)[0] < loss(belief.first.logs)[0]
    assert np.all(np.abs(found.logs - belief.centre) <= 4 * belief.spread)


def test_a_start_far_beyond_what_is_believed_is_taken_back() -> None:
    belief = additive.believe(np.array([False, False, False]), 0.02)
    found = additive.refine(POINTS, VALUES, STEPS, Hyper(belief.centre + 100), belief, 1)
    assert np.all(found.logs <= belief.centre + 3 * belief.spread + 1e-12)


def test_an_axis_that_explains_the_figures_grows_and_one_that_does_not_shrinks() -> None:
    points = np.column_stack([np.linspace(0, 1, 12), np.random.default_rng(1).random(12)])
    belief = additive.believe(np.array([False, False]), 0.02)
    found = additive.refine(points, 0.5 * points[:, 0], np.arange(12.0), belief.first, belief)
    assert found.amplitudes[0] > 2 * found.amplitudes[1]


def test_remembered_noise_falls_off_over_steps() -> None:
    """Of the variance 0.6 is remembered, 0.6 of that after one step: 0.36, then 0.216."""
    assert additive.remembered(np.array([0.0, 1.0, 2.0]))[0] == pytest.approx([1.0, 0.36, 0.216])


@pytest.mark.parametrize("count", [1, 2, 40])
def test_remembered_noise_is_a_positive_definite_matrix(count: int) -> None:
    steps = np.sort(np.random.default_rng(count).choice(200, count, replace=False)).astype(np.float64) - 5
    found = additive.remembered(steps)
    assert np.array_equal(found, found.T)
    assert np.linalg.eigvalsh(found).min() >= 1 - additive.MEMORY - 1e-9  # the white part alone


def test_sizes_are_believed_to_matter_more() -> None:
    belief = additive.believe(np.array([True, False]), 0.02)
    assert np.exp(belief.centre) == pytest.approx([0.15, 0.03, 0.015, 0.005, 0.02])


def test_the_variance_at_a_point_is_the_sum_of_all_parts() -> None:
    """0.05^2 + 0.1^2 + 0.04^2 + 0.2^2 = 0.0541."""
    assert HYPER.variance == pytest.approx(0.0541)


def test_what_is_measured_again_and_again_at_one_setting_is_believed_there() -> None:
    """Ten figures of 0.1 in the midst of others of 0 a fifth of the axis away: with a local part most of the 0.1."""
    points = np.concatenate([np.full((10, 1), 0.5), np.full((10, 1), 0.3), np.full((10, 1), 0.7)])
    values = np.concatenate([np.full(10, 0.1), np.zeros(20)])
    found = []
    for local in (1e-4, 0.1):
        hyper = Hyper(np.log(np.array([0.03, 0.01, local, 0.02])))
        mean, _ = additive.condition(points, values, np.arange(30.0), hyper).beside(points[:1], points[-1:])
        found.append(float(mean[0, 0]))
    assert found[0] < 0.06 < 0.08 < found[1]


def test_a_space_without_axes_still_has_a_constant_and_noise() -> None:
    belief = additive.believe(np.zeros(0, dtype=np.bool_), 0.02)
    points, values, steps = np.zeros((9, 0)), VALUES, STEPS
    hyper = additive.refine(points, values, steps, belief.first, belief)
    mean, sd = additive.condition(points, values, steps, hyper).beside(points[:1], points[:1])
    assert mean[0, 0] == 0.0 and sd[0, 0] == pytest.approx(0.0, abs=1e-7)
