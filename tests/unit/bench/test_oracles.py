"""The oracles find what is known to be best, by any way and by small steps."""

from __future__ import annotations

import itertools
import math

import pytest

from pegbox.bench import oracles
from pegbox.bench.oracles import everywhere, judged, reachable
from pegbox.bench.tasks import Task
from pegbox.learning.axes import axes_of
from pegbox.model.knobs import Setting
from tests.unit.bench.made import at, space, task_of

SPACE = space(a=(0, 100), b=(0, 100))
START = at(a=20, b=20)


def bowl(setting: Setting) -> float:
    """1,000 at a = 70, b = 40."""
    a, b = float(setting.number("a")), float(setting.number("b"))
    return 1000 * math.exp(-(((a - 70) / 100) ** 2) - ((b - 40) / 100) ** 2)


def ridge(setting: Setting) -> float:
    """Two hills: a low one near the start, and a high one behind a valley that no small step crosses."""
    a = float(setting.number("a"))
    return 100 + max(50 - abs(a - 30), 0.0, 500 - 10 * abs(a - 95))


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "SOBOL", 512)


def task(truth: object = bowl, **more: object) -> Task:
    return task_of(SPACE, START, truth, **more)  # type: ignore[arg-type]


def test_everywhere_finds_the_bottom_of_a_bowl() -> None:
    best = everywhere(task())
    assert best.cost == pytest.approx(bowl(START) / 1000, rel=2e-3)
    assert abs(best.setting.number("a") - 70) <= 4 and abs(best.setting.number("b") - 40) <= 4


def test_everywhere_takes_a_row_that_no_point_comes_near() -> None:
    spike = at(a=83, b=17)
    made = task(lambda setting: 5000.0 if setting == spike else bowl(setting))
    assert everywhere(made, [spike]).setting == spike


def test_everywhere_in_a_table_is_its_best_row() -> None:
    rows = tuple(at(a=a, b=b) for a in (20, 60, 90) for b in (20, 50))
    best = everywhere(task(rows=rows))
    assert best.setting == at(a=60, b=50)
    assert best.cost == pytest.approx(bowl(START) / bowl(best.setting))


def test_where_less_is_better_the_least_is_best() -> None:
    rows = tuple(at(a=a, b=20) for a in (20, 60, 90))
    best = everywhere(task(rows=rows, better="Lower"))
    assert best.setting == START and best.cost == 1.0


def test_what_lacks_the_wanted_metric_is_never_best() -> None:
    """Half the price for half the metric would win by cost alone with a price of a fifth."""
    rows = (START, at(a=0, b=20), at(a=30, b=20))
    truth = {rows[0]: 100.0, rows[1]: 50.0, rows[2]: 98.0}
    price = {rows[0]: 1.0, rows[1]: 0.2, rows[2]: 0.9}
    made = task(truth.__getitem__, rows=rows, price=price.__getitem__, least="0.97")

    assert list(judged(made, rows)) == pytest.approx([1.0, math.inf, 0.9 / 0.98])
    assert everywhere(made).setting == rows[2]
    assert everywhere(task(truth.__getitem__, rows=rows, price=price.__getitem__)).setting == rows[1]


def test_what_fails_is_never_best() -> None:
    rows = (START, at(a=70, b=40))
    made = task(lambda setting: math.nan if setting == rows[1] else bowl(setting), rows=rows)
    assert everywhere(made).setting == START


def test_small_steps_climb_a_bowl_and_stay_there() -> None:
    path = reachable(task(), 20)
    assert len(path) == 21
    assert (path[0].setting, path[0].cost) == (START, 1.0)
    assert path[-1].cost == pytest.approx(bowl(START) / 1000, rel=5e-3)
    assert path[-1] == path[-2]


@pytest.mark.parametrize("truth", [bowl, ridge])
def test_small_steps_are_small_move_two_knobs_at_most_and_never_make_it_worse(truth: object) -> None:
    made = task(truth)
    path = reachable(made, 12)
    axes = axes_of(SPACE, made.logs)
    for before, after in itertools.pairwise(path):
        assert after.cost <= before.cost
        assert len(before.setting.diff(after.setting)) <= 2
        point = axes.place([before.setting])[0]
        down, up = axes.reach(point)
        move = axes.place([after.setting])[0] - point
        assert (move >= -down - 0.006).all() and (move <= up + 0.006).all()  # half a unit of the grid


def test_a_hill_behind_a_valley_is_the_best_but_out_of_reach() -> None:
    made = task(ridge)
    assert everywhere(made).cost == pytest.approx(140 / 600, rel=0.01)
    assert reachable(made, 40)[-1].cost == pytest.approx(140 / 150, rel=0.02)


def test_the_reachable_best_is_never_below_the_best_of_all() -> None:
    for truth in (bowl, ridge):
        made = task(truth)
        assert reachable(made, 30)[-1].cost >= everywhere(made).cost - 1e-3
