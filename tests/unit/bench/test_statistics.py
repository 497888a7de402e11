"""Intervals hold what is left of a difference when other tasks and other seeds are drawn; tiny cases by hand."""

from __future__ import annotations

import math

import pytest

from pegbox.bench.statistics import Interval, Pair, difference_of_means, highest_share, mean_of, ratio_of_sums
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing


def test_one_pair_leaves_nothing_to_draw() -> None:
    assert ratio_of_sums([Pair("a", 1.0, 2.0)]) == Interval(0.5, 0.5, 0.5)
    assert difference_of_means([Pair("a", 1.0, 2.0)]) == Interval(-1.0, -1.0, -1.0)


def test_two_seeds_of_one_task_give_the_three_means_that_can_be_drawn() -> None:
    """Ours is 0 or 1 beside 1: the mean difference is -1, -1/2 or 0 in 1/4, 1/2 and 1/4 of the draws."""
    pairs = [Pair("a", 0.0, 1.0), Pair("a", 1.0, 1.0)]
    assert difference_of_means(pairs) == Interval(-0.5, -1.0, 0.0)
    assert ratio_of_sums(pairs) == Interval(0.5, 0.0, 1.0)


def test_a_ratio_is_of_sums_and_not_the_mean_of_ratios() -> None:
    """1/1 and 0/9: the mean of ratios would be 0.5, the sums say 1/10."""
    found = ratio_of_sums([Pair("a", 1.0, 1.0), Pair("b", 0.0, 9.0)])
    assert isinstance(found, Interval)
    assert found.mean == pytest.approx(0.1)


def test_many_seeds_of_two_tasks_are_still_only_two_tasks() -> None:
    """The first task says 0 in all of 20 seeds, the second 1: half of the draws hold the same task twice."""
    pairs = [Pair("a", 0.0, 0.0)] * 20 + [Pair("b", 1.0, 0.0)] * 20
    assert difference_of_means(pairs) == Interval(0.5, 0.0, 1.0)


def test_the_same_figures_as_one_task_have_a_narrow_interval() -> None:
    """The twin: 40 seeds of one task, half of them 1: the sd of a mean is sqrt(0.25 / 40) = 0.079."""
    found = difference_of_means([Pair("a", float(i < 20), 0.0) for i in range(40)])
    assert isinstance(found, Interval)
    assert found.low == pytest.approx(0.5 - 1.645 * 0.079, abs=0.03)
    assert found.high == pytest.approx(0.5 + 1.645 * 0.079, abs=0.03)


def test_pairing_takes_out_what_a_seed_does_to_both() -> None:
    """Seeds differ by up to 100, ours is always 1 less: nothing is uncertain about that."""
    found = difference_of_means([Pair("a", 10.0 * i, 10.0 * i + 1) for i in range(10)])
    assert isinstance(found, Interval)
    assert [found.low, found.high] == pytest.approx([-1.0, -1.0])


def test_a_large_task_counts_by_its_pairs() -> None:
    """Three pairs of 0 and one of 4: the mean is 1. A draw of the small task alone is 4, of the large one 0."""
    found = difference_of_means([*[Pair("large", 0.0, 0.0)] * 3, Pair("small", 4.0, 0.0)])
    assert found == Interval(1.0, 0.0, 4.0)


def test_the_order_in_which_shards_came_back_changes_nothing() -> None:
    pairs = [Pair(f"task {i % 3}", math.sin(i) + 1, math.cos(i) + 2) for i in range(12)]
    assert ratio_of_sums(pairs) == ratio_of_sums(pairs[::-1])


def test_another_seed_draws_anew_and_says_nearly_the_same() -> None:
    pairs = [Pair(f"task {i % 5}", math.sin(i) + 1, math.cos(i) + 2) for i in range(50)]
    one, other = difference_of_means(pairs, seed=1), difference_of_means(pairs, seed=2)
    assert isinstance(one, Interval) and isinstance(other, Interval)
    assert one != other
    assert one.low == pytest.approx(other.low, abs=0.1)


def test_a_draw_without_the_others_share_is_no_zero_division() -> None:
    """The other's second task is 0: drawn twice, ours beside it is infinitely more."""
    found = ratio_of_sums([Pair("a", 1.0, 1.0), Pair("b", 1.0, 0.0)])
    assert found == Interval(2.0, 1.0, math.inf)


def test_a_draw_in_which_both_are_zero_is_a_tie() -> None:
    assert ratio_of_sums([Pair("a", 1.0, 1.0), Pair("b", 0.0, 0.0)]) == Interval(1.0, 1.0, 1.0)


def test_no_pairs_are_no_zero() -> None:
    assert isinstance(ratio_of_sums([]), Missing)
    assert isinstance(difference_of_means([]), Missing)
    assert isinstance(mean_of([]), Missing)
    assert isinstance(ratio_of_sums([Pair("a", 1.0, 0.0)]), Missing)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(InvalidInput, match="not finite"):
        difference_of_means([Pair("a", bad, 1.0)])


def test_a_ratio_of_negative_sums_is_refused() -> None:
    with pytest.raises(InvalidInput, match="negative"):
        ratio_of_sums([Pair("a", -1.0, 1.0)])


def test_a_mean_of_figures_is_clustered_too() -> None:
    assert mean_of([("a", 0.0)] * 9 + [("b", 1.0)] * 9) == Interval(0.5, 0.0, 1.0)


def test_what_never_happened_may_still_happen_three_times_in_n() -> None:
    """0.95 = 1 - (1 - p)^n: p = 1 - 0.05^(1/300) = 0.00994."""
    assert highest_share(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert highest_share(1, 1) == 1.0
    assert highest_share(3, 300) > highest_share(2, 300)


@pytest.mark.parametrize(("count", "total"), [(-1, 3), (4, 3), (0, 0)])
def test_a_share_of_what_cannot_be_counted_is_refused(count: int, total: int) -> None:
    with pytest.raises(InvalidInput):
        highest_share(count, total)
