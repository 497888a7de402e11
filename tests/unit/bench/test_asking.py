"""What runs when a tuner asks: in tables a row, and in safe ones a row near the incumbent."""

from __future__ import annotations

from fractions import Fraction as F
from itertools import product

import pytest

from pegbox.bench.asking import NEAR, Asking
from pegbox.bench.tasks import Task
from pegbox.model.knobs import Setting
from tests.unit.bench.made import at, space, task_of

LEVELS = (1, 2, 10, 100)
SPACE = space(a=(1, 100), b=(1, 100), c=(1, 100))
ROWS = tuple(at(a=a, b=b, c=c) for a, b, c in product(LEVELS, repeat=3))
START = ROWS[0]


def task(rows: tuple[Setting, ...] = ROWS, *, nearby: bool = False) -> Task:
    return task_of(SPACE, START, lambda setting: 1.0, rows=rows, nearby=nearby)


def test_without_rows_everything_may_be_asked() -> None:
    asked = at(a=7, b=8, c=9)
    assert Asking(task_of(SPACE, START, lambda setting: 1.0), 0).answer(asked, START) is asked


def test_a_row_is_itself_seen_or_not() -> None:
    asking = Asking(task(), 0)
    for row in (*ROWS, *ROWS):
        assert asking.answer(row, START) == row


def test_a_seen_row_is_the_same_row_in_safe_mode_too() -> None:
    asking = Asking(task(nearby=True), 0)
    first = asking.answer(at(a=2, b=1, c=1), START)
    assert first == at(a=2, b=1, c=1)
    assert asking.answer(first, START) == first
    assert asking.answer(START, START) == START == asking.answer(START, START)


def test_distance_is_in_ranks_of_levels_not_in_values() -> None:
    """10 and 100 are neighbours: from a = 100 the row with 10 is one rank away, that with 2 is two."""
    rows = (START, at(a=2, b=1, c=1), at(a=10, b=1, c=1), at(a=100, b=100, c=100))
    assert Asking(task(rows), 0).answer(at(a=100, b=1, c=1), START) == at(a=10, b=1, c=1)


@pytest.mark.parametrize(("value", "row"), [(F(80), 100), (F(30), 10), (F(7), 10), (F(3), 2), (F(200), 100), (F(0), 1)])
def test_a_value_between_levels_is_nearest_to_its_neighbours(value: F, row: int) -> None:
    rows = tuple(at(a=a, b=1, c=1) for a in LEVELS)
    found = Asking(task(rows), 0).answer(Setting({"a": value, "b": F(1), "c": F(1)}), START)
    assert found == at(a=row, b=1, c=1)


def test_what_is_no_row_becomes_an_unseen_one() -> None:
    asking, asked = Asking(task(), 0), at(a=3, b=1, c=1)
    found = [asking.answer(asked, START) for _ in ROWS]
    assert len(set(found)) == len(ROWS)
    assert asking.answer(asked, START) is None


def test_ties_go_by_seed_and_the_same_way_again() -> None:
    rows = (START, at(a=2, b=10, c=1), at(a=10, b=2, c=1))
    asked = at(a=2, b=2, c=1)
    found = {seed: Asking(task(rows), seed).answer(asked, START) for seed in range(20)}
    assert set(found.values()) == set(rows[1:])
    assert all(Asking(task(rows), seed).answer(asked, START) == row for seed, row in found.items())


def test_in_safe_mode_at_most_two_knobs_differ_from_the_incumbent() -> None:
    asking = Asking(task(nearby=True), 0)
    asked = at(a=100, b=100, c=100)
    found = []
    while (row := asking.answer(asked, START)) is not None:
        found.append(row)
    assert all(len(START.diff(row)) <= NEAR == 2 for row in found)
    assert set(found) == {row for row in ROWS if len(START.diff(row)) <= NEAR}
    assert len(START.diff(found[0])) == 2


def test_in_safe_mode_the_incumbent_counts_and_not_the_start() -> None:
    incumbent = at(a=100, b=100, c=1)
    found = Asking(task(nearby=True), 0).answer(at(a=100, b=100, c=100), incumbent)
    assert found == at(a=100, b=100, c=100)


def test_choices_and_booleans_have_ranks_as_well() -> None:
    from pegbox.model.knobs import Knob, KnobType, SearchSpace

    kinds = SearchSpace((Knob("on", KnobType.BOOLEAN), Knob("gc", KnobType.CHOICE, choices=("a", "b", "c"))))
    rows = tuple(Setting({"on": on, "gc": gc}) for on, gc in [(False, "a"), (True, "a"), (False, "c")])
    asking = Asking(task_of(kinds, rows[0], lambda setting: 1.0, rows=rows), 0)
    assert asking.answer(Setting({"on": True, "gc": "b"}), rows[0]) == rows[1]
