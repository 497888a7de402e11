"""What may be asked for next: small steps, sizes alone, and rows nearby."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest

from pegbox.learning.moves import NEAR, Found, Spot, near_rows, small_steps
from pegbox.learning.queueing import Array
from pegbox.model.knobs import Setting
from tests.unit.learning.searching import GIB, START, axes, place

AXES = axes()


def _spot(setting: Setting = START, box: float = 1.0) -> Spot:
    return Spot(AXES, setting, place(setting), AXES.least(START, 0.5), box)


def _nothing(settings: list[Setting], points: Array) -> tuple[Array, Array]:
    return np.zeros(len(settings)), np.zeros(len(settings))


def _up(settings: list[Setting], points: Array) -> tuple[Array, Array]:
    """The further up, the better."""
    return np.sum(points - place(START), axis=1), np.zeros(len(settings))


def _steps(spot: Spot, count: int = 64, ran: tuple[Setting, ...] = ()) -> Found:
    return small_steps(spot, _nothing, [(s, place(s)) for s in ran], np.random.default_rng(1), count)


@pytest.mark.parametrize("box", [1.0, 0.35])
def test_every_step_is_a_small_one(box: float) -> None:
    """On the grid: between the values that stand nearest to the two ends of the step."""
    spot = _spot(box=box)
    down, up = AXES.reach(spot.point)
    found = _steps(spot)
    assert len(found) > 30
    for i, axis in enumerate(AXES.axes):
        if i in AXES.moving:
            lowest, highest = axis.value(spot.point[i] - box * down[i]), axis.value(spot.point[i] + box * up[i])
            assert all(lowest <= setting.number(axis.knob.name) <= highest for setting in found)


def test_a_size_moves_alone_and_is_cut_by_a_tenth_at_most() -> None:
    """But for a byte, by rounding."""
    cut = set()
    for setting in _steps(_spot(), 200):
        moved = START.diff(setting)
        for name in {"cpu", "memory"} & set(moved):
            assert moved == (name,)
            assert setting.number(name) >= START.number(name) * F(9, 10) - (name == "memory")
            cut.add(name)
    assert cut == {"cpu", "memory"}


def test_where_one_knob_is_to_move_at_a_time_none_moves_with_another() -> None:
    found = small_steps(_spot(), _up, (), np.random.default_rng(1), 200, alone=True)
    assert {len(START.diff(setting)) for setting in found} == {1}
    assert {name for setting in found for name in START.diff(setting)} == {"cpu", "memory", "threads", "wait"}


def test_bytes_are_not_cut_below_half_of_the_starts() -> None:
    at_the_end = START.with_values(memory=F(int(1.02 * GIB)))
    assert min(s.number("memory") for s in _steps(_spot(at_the_end))) >= GIB
    assert min(s.number("cpu") for s in _steps(_spot(START.with_values(cpu=F(1))))) < 1  # twin: cores may go on


def test_what_takes_no_small_step_does_not_move() -> None:
    assert {s["tiered"] for s in _steps(_spot())} == {False}


def test_it_never_offers_to_stay() -> None:
    assert START not in _steps(_spot(), ran=(START,))


def test_several_knobs_move_the_way_that_promises_most_together() -> None:
    found = small_steps(_spot(), _up, (), np.random.default_rng(1), 0)
    both = [s for s in found if len(START.diff(s)) == 2]
    assert both
    assert all(s.number("threads") > 8 and s.number("wait") > 6 for s in both)


def test_what_ran_within_a_step_is_offered_again_and_what_ran_further_off_is_not() -> None:
    near, far = START.with_values(threads=F(9), wait=F(7)), START.with_values(threads=F(60))
    found = _steps(_spot(), 0, ran=(near, far))
    assert near in found and far not in found


def test_rows_that_differ_in_more_than_two_knobs_are_not_near() -> None:
    one, two = START.with_values(threads=F(64)), START.with_values(threads=F(64), tiered=True)
    three = START.with_values(threads=F(64), tiered=True, wait=F(0))
    rows = [START, one, two, three, one]
    table = AXES.place(rows)
    assert NEAR == 2
    assert list(near_rows(_spot(), rows, table, np.random.default_rng(1), 10)) == [one, two]


def test_of_many_rows_some_are_drawn() -> None:
    rows = [START.with_values(threads=F(n)) for n in range(1, 65)]
    assert len(near_rows(_spot(), rows, AXES.place(rows), np.random.default_rng(1), 10)) == 10
