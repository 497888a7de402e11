"""The filter and the likelihood ratio by hand-worked numbers."""

from __future__ import annotations

import pytest

from pegbox.core.level import MOST, Filter, Track
from pegbox.core.robust import Spread


def known(sd: float = 0.2, correlation: float = 0.0, uncertain: float = 0.0, wander: float = 0.0) -> Filter:
    """A level of 0 with the given variance, its chain begun with a sample of 0."""
    return Filter((0.0, 0.0), (uncertain, 0.0, 0.0), wander, sd, correlation, begun=True)


def test_the_first_sample_sets_a_vague_level() -> None:
    run, seen = Filter.start(Spread(0.0, 0.2, 0.2, 0.0), 0.0, (0.0, 0.0)).step(0.1, 0.0)
    assert seen.variance == pytest.approx(4.04)  # (10 * 0.2)^2 + 0.2^2
    assert run.level[0] == pytest.approx(0.1 * 4 / 4.04)
    assert run.covariance[0] == pytest.approx(4 * 0.04 / 4.04)


def test_forty_samples_leave_the_variance_of_their_mean() -> None:
    run = Filter.start(Spread(0.0, 0.2, 0.2, 0.0), 0.0, (0.0, 0.0))
    for _ in range(40):
        run, _seen = run.step(0.0, 0.0)
    assert run.covariance[0] == pytest.approx(1 / (1 / 4 + 40 / 0.04))


def test_a_wandering_level_stays_uncertain() -> None:
    run = known(wander=0.01)
    for _ in range(1000):
        run, _seen = run.step(0.0, 0.0)
    # the fixed point of p = (p + q) r / (p + q + r): p^2 + q p - q r = 0 with q = 0.0001, r = 0.04
    assert run.covariance[0] == pytest.approx((-0.0001 + (0.0001**2 + 4 * 0.0001 * 0.04) ** 0.5) / 2)


def test_slope_is_learnt_where_load_moves() -> None:
    run = Filter((0.0, 0.0), (0.0, 0.0, 1.0), 0.0, 0.1, 0.0, begun=True)
    run, _seen = run.step(0.05, 0.1)  # gain 1 * 0.1 / (0.1^2 * 1 + 0.1^2) = 5
    assert run.level[1] == pytest.approx(0.25)
    assert run.covariance[2] == pytest.approx(0.5)


def test_independent_samples_give_score_and_information_of_their_mean() -> None:
    run, track = known(uncertain=0.001), Track(1.0)
    for _ in range(4):
        run, seen = run.step(0.1, 0.0)
        track = track.step(seen)
    v = 0.2**2 / 4 + 0.001  # of the mean of four, and of the level before
    assert track.information == pytest.approx(1 / v)
    assert track.score == pytest.approx(0.1 / v)


def test_autocorrelated_samples_tell_less_after_the_first() -> None:
    run, track = known(correlation=0.5), Track(1.0)
    run, seen = run.step(0.1, 0.0)
    track = track.step(seen)
    assert track.information == pytest.approx(1 / 0.03)  # beside the sample before: 0.2^2 (1 - 0.5^2)
    run, seen = run.step(0.1, 0.0)
    assert seen.surprise == pytest.approx(0.05)
    assert track.step(seen).information == pytest.approx(1 / 0.03 + 0.5**2 / 0.03)


def test_an_outlier_counts_for_no_more_than_so_many_deviations_and_leaves_no_echo() -> None:
    run, seen = known(correlation=0.5).step(9.0, 0.0)
    most = MOST * 0.03**0.5
    assert seen.surprise == pytest.approx(most)
    assert run.last == pytest.approx(most)
