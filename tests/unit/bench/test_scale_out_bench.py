"""The scale-out benchmark: when a minute is bad, what is paid, and how frontiers are compared."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from pegbox.bench import policies, scale_out
from pegbox.bench.frontiers import Sums, compare, losses, sums
from pegbox.bench.scaling import Held, follow, held_out, start_up_steps
from pegbox.core.scale_out import reactive

NAN = math.nan
JUMP = Held(np.array([100.0] * 3 + [400.0] * 9), 60.0, 100.0)


def _counts(held: Held, *wanted: int) -> tuple[list[float], list[float]]:
    """(bad, paid) where the policy wants these replicas, one step after the other."""
    course = follow(held, lambda step, current: wanted[step])
    return course.bad.tolist(), course.paid.tolist()


def test_replicas_serve_two_minutes_after_they_were_ordered_and_are_paid_for_at_once() -> None:
    """Step 3 jumps from one replica's load to four's. Ordered at its end, they start in 4 and 5 and serve from 6 on."""
    bad, paid = _counts(JUMP, 1, 1, 1, *[4] * 9)
    assert bad == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert paid == [1, 1, 1, 1, 4, 4, 4, 4, 4, 4, 4, 4]


def test_ordered_three_minutes_ahead_no_minute_is_bad() -> None:
    bad, _ = _counts(JUMP, *[4] * 12)
    assert bad == [0] * 12


def test_replicas_are_given_up_five_minutes_after_the_last_wish_for_them() -> None:
    held = Held(np.full(10, 100.0), 60.0, 100.0)
    assert _counts(held, 3, *[1] * 9)[1] == [1, 3, 3, 3, 3, 3, 1, 1, 1, 1]


def test_a_gap_is_neither_bad_nor_paid_and_nobody_acts_on_it() -> None:
    held = Held(np.array([100.0, NAN, 100.0]), 60.0, 100.0)
    course = follow(held, policies.hpa(held, 80))
    assert course.paid[1] == course.bad[1] == held.oracle[1] == 0.0
    assert course.paid[2] == 2


def test_the_peak_of_the_scored_part_keeps_20_replicas_busy() -> None:
    held = held_out(np.array([9999.0, 100.0, 2000.0, NAN]), 1, 60.0)
    assert held.capacity == 100.0
    assert held.oracle.tolist() == [1.0, 20.0, 0.0]


def test_the_start_up_is_two_minutes_whatever_the_step() -> None:
    assert [start_up_steps(step) for step in (60.0, 5.0, 90.0, 300.0)] == [2, 24, 2, 1]


def test_without_a_forecast_pegbox_is_its_hpa() -> None:
    loads = np.round(500 * np.exp(0.3 * np.random.default_rng(2).normal(size=60)))
    held = Held(loads, 60.0, 100.0)
    ours, theirs = policies.ahead(held, np.full(60, NAN), 80), policies.hpa(held, 80)
    np.testing.assert_array_equal(follow(held, ours).paid, follow(held, theirs).paid)


def test_the_quantile_alone_orders_what_it_needs_and_what_the_present_load_needs() -> None:
    held = Held(np.array([950.0, 300.0]), 60.0, 100.0)
    ordered = policies.alone(held, np.array([720.0, 720.0]))
    assert [ordered(0, 20), ordered(1, 20)] == [10, 8]


def test_who_knows_the_load_has_no_bad_minutes_at_all() -> None:
    loads = np.round(500 * np.exp(0.3 * np.random.default_rng(2).normal(size=200)))
    held = Held(loads, 60.0, 100.0)
    assert follow(held, policies.clairvoyant(held, 3)).bad[3:].sum() == 0


def test_a_margin_on_the_last_value_is_an_hpa_without_tolerance() -> None:
    held = Held(np.array([950.0, 1000.0]), 60.0, 100.0)
    assert policies.last_with_margin(held, 1.1)(0, 10) == 11
    assert reactive(950.0, 10, policies.ScaleRule(100.0, 1 / 1.1)) == 10


def _line(points: list[tuple[float, float]], blocks: int = 20) -> Sums:
    """A frontier through (ratio, bad minutes), spread evenly over the blocks."""
    each = np.ones((len(points), blocks)) / blocks
    return Sums(
        np.array([bad for _, bad in points])[:, None] * each,
        np.array([ratio for ratio, _ in points])[:, None] * each,
        np.ones(blocks) / blocks,
    )


THEIRS = _line([(1.0, 200.0), (1.2, 100.0), (1.4, 10.0)])


def test_frontiers_are_compared_at_the_same_price() -> None:
    """At 1.08 to 1.15 theirs is 160 to 125, mine 40 % of it; with even blocks the interval has no width."""
    found = compare(_line([(1.0, 80.0), (1.2, 40.0)]), THEIRS)
    assert found is not None
    assert found.ratios == (1.08, 1.09, 1.1, 1.11, 1.12, 1.13, 1.14, 1.15)
    assert (found.theirs[0], found.theirs[-1]) == (pytest.approx(160.0), pytest.approx(125.0))
    assert (found.fewer, found.low, found.high) == (pytest.approx(0.6),) * 3


def test_equal_frontiers_differ_by_nothing() -> None:
    found = compare(THEIRS, THEIRS)
    assert found is not None and found.fewer == 0.0


def test_a_gain_that_one_block_alone_brought_has_an_interval_that_includes_nothing_gained() -> None:
    mine = Sums(THEIRS.bad.copy(), THEIRS.paid, THEIRS.oracle)
    mine.bad[:, 0] = 0.0
    mine.bad[:, 1:] += 0.3 / 20
    theirs = Sums(THEIRS.bad * (np.arange(20) == 0) * 4 + THEIRS.bad, THEIRS.paid, THEIRS.oracle)
    found = compare(mine, theirs)
    assert found is not None
    assert found.fewer > 0.1
    assert found.low <= 0.0


def test_ratios_that_a_frontier_does_not_reach_are_not_compared() -> None:
    assert compare(_line([(1.5, 1.0), (2.0, 0.0)]), THEIRS) is None
    found = compare(_line([(1.0, 80.0), (1.1, 40.0)]), THEIRS)
    assert found is not None and found.ratios[-1] == 1.1


def test_where_nothing_is_bad_nothing_can_be_spared() -> None:
    assert compare(THEIRS, _line([(1.0, 0.0), (1.4, 0.0)])) is None


@pytest.mark.parametrize(
    ("ratio", "bad", "lost"),
    [
        pytest.param(1.3, 60.5, False, id="55 and a tenth"),
        pytest.param(1.3, 61.0, True, id="more than a tenth beyond 55"),
        pytest.param(1.4, 13.0, False, id="three beyond ten"),
        pytest.param(1.4, 13.1, True, id="more than three beyond ten"),
        pytest.param(1.1, 900.0, False, id="within the range of the main claim"),
    ],
)
def test_worse_elsewhere_is_more_than_three_minutes_and_a_tenth(ratio: float, bad: float, lost: bool) -> None:
    assert bool(losses(_line([(ratio, bad)]), THEIRS)) is lost


def test_blocks_are_days_and_twentieths_of_what_is_shorter() -> None:
    row = np.ones((1, 10 * 1440))
    assert sums(row, row, row[0], 60.0).bad.tolist() == [[1440.0] * 10]
    short = sums(row[:, :1000], row[:, :1000], row[0, :1000], 30.0)
    assert short.bad.tolist() == [[25.0] * 20]


def test_policies_are_told_apart_by_their_names() -> None:
    names = (
        "hpa 80",
        "hpa 80 on the 15-minute mean",
        "pegbox q0.98 over hpa 90",
        "last value x 1.10",
        "quantile 0.98 alone",
    )
    assert [scale_out.kind(name) for name in names] == ["hpa", "hpa on mean", "pegbox", "last value", "quantile"]


def test_without_data_it_says_where_data_can_be_had(tmp_path: Path) -> None:
    outcome = scale_out.run(Namespace(trace=[], seeds=6, data=tmp_path, json=None))
    assert "it can be had from" in outcome.text
