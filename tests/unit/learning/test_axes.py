"""Settings stand at places from 0 to 1, and a step from there is a small one."""

from __future__ import annotations

import math
from fractions import Fraction as F

import numpy as np
import pytest

from pegbox.learning.axes import CUT, FACTOR, STEP, axes_of
from pegbox.model.knobs import (
    Knob,
    KnobMode,
    KnobType,
    KnobValue,
    Location,
    LocationKind,
    ResourceName,
    SearchSpace,
    Setting,
    Side,
    Size,
)

GIB = 2**30
MEMORY = Location(LocationKind.CONTAINER_RESOURCE, size=Size(Side.REQUESTS, ResourceName.MEMORY))
PERCENT = Knob("percent", minimum=F(0), maximum=F(100))
THREADS = Knob("threads", minimum=F(1), maximum=F(256))
CPU = Knob("cpu", KnobType.CPU, minimum=F(1), maximum=F(5))
WIDE_CPU = Knob("cpu", KnobType.CPU, minimum=F(1, 10), maximum=F(16))
MEMORY_KNOB = Knob("memory", KnobType.BYTES, MEMORY, minimum=F(GIB // 4), maximum=F(16 * GIB))
BOOLEAN = Knob("on", KnobType.BOOLEAN)
CHOICE = Knob("kind", KnobType.CHOICE, choices=("a", "b", "c"))
LEVELS = Knob("level", minimum=F(0), maximum=F(4))


def _reach(knob: Knob, value: KnobValue) -> tuple[float, float]:
    found = axes_of(SearchSpace((knob,)))
    down, up = found.reach(found.place([Setting({knob.name: value})])[0])
    return float(down[0]), float(up[0])


@pytest.mark.parametrize(
    ("knob", "value", "place"),
    [
        pytest.param(PERCENT, F(25), 0.25, id="linear"),
        pytest.param(THREADS, F(16), 0.5, id="log: 16 is half of the way from 2^0 to 2^8"),
        pytest.param(THREADS, F(1), 0.0, id="lower_limit"),
        pytest.param(THREADS, F(256), 1.0, id="upper_limit"),
        pytest.param(CPU, F(2), 0.25, id="a_factor_of_5_is_linear"),
        pytest.param(BOOLEAN, True, 1.0, id="true"),
        pytest.param(BOOLEAN, False, 0.0, id="false"),
        pytest.param(PERCENT, F(120), 1.0, id="beyond_the_limit"),
        pytest.param(THREADS, F(0), 0.0, id="below_a_limit_on_a_log_scale"),
    ],
)
def test_a_value_stands_between_the_limits(knob: Knob, value: KnobValue, place: float) -> None:
    found = axes_of(SearchSpace((knob,)))
    assert found.place([Setting({knob.name: value})])[0] == pytest.approx([place])


def test_a_choice_is_one_axis_for_each_of_its_values() -> None:
    found = axes_of(SearchSpace((CHOICE, PERCENT)))
    placed = found.place([Setting({"kind": "b", "percent": F(50)}), Setting({"kind": "c", "percent": F(0)})])
    assert placed == pytest.approx(np.array([[0.0, 1.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0]]))
    assert found.groups == [[0, 1, 2], [3]]


@pytest.mark.parametrize("knob", [PERCENT, THREADS, CPU, WIDE_CPU, LEVELS, MEMORY_KNOB], ids=lambda k: k.name)
def test_the_value_at_a_values_place_is_the_value(knob: Knob) -> None:
    (axis,) = axes_of(SearchSpace((knob,))).axes
    assert knob.minimum is not None and knob.maximum is not None
    for share in range(41):
        value = knob.clamp(knob.minimum + (knob.maximum - knob.minimum) * F(share, 40))
        assert axis.value(axis.place(value)) == value


@pytest.mark.parametrize("place", [-3.0, 0.0, 1.0, 7.0])
def test_no_place_is_beyond_the_limits(place: float) -> None:
    (axis,) = axes_of(SearchSpace((THREADS,))).axes
    assert axis.value(place) == (F(1) if place <= 0 else F(256))


def test_a_step_is_15_percent_of_the_range() -> None:
    assert _reach(PERCENT, F(50)) == pytest.approx((STEP, STEP))


def test_a_step_on_a_log_scale_is_a_factor_of_one_and_a_half() -> None:
    """From 16, 0.073 of eight doublings: to 10.7 and to 24."""
    down, up = _reach(THREADS, F(16))
    assert 16 * math.exp(-down * math.log(256)) == pytest.approx(16 / 1.5)
    assert 16 * math.exp(up * math.log(256)) == pytest.approx(24)


def test_on_a_short_log_scale_15_percent_of_it_is_the_smaller_step() -> None:
    """log 8 x 0.15 is a factor 1.37, below 1.5."""
    assert FACTOR / math.log(8) > STEP
    assert _reach(Knob("n", KnobType.DECIMAL, minimum=F(1), maximum=F(8)), F(2)) == pytest.approx((STEP, STEP))


def test_no_step_leaves_the_limits() -> None:
    assert _reach(PERCENT, F(100)) == pytest.approx((STEP, 0.0))
    assert _reach(PERCENT, F(5)) == pytest.approx((0.05, STEP))


def test_a_value_beyond_the_limits_has_steps_inwards_only() -> None:
    assert _reach(PERCENT, F(120)) == pytest.approx((STEP, 0.0))


def test_where_a_unit_is_more_than_the_step_a_unit_is_the_step() -> None:
    """From 1 a factor 1.5 is no whole number; 2 is."""
    found = axes_of(SearchSpace((THREADS,)))
    base = Setting({"threads": F(1)})
    point = found.place([base])[0]
    up = float(found.reach(point)[1][0])
    assert found.moved(base, point, {0: up})[0] == Setting({"threads": F(2)})


@pytest.mark.parametrize(
    ("knob", "value", "share"), [(CPU, F(4), 0.4 / 4), (WIDE_CPU, F(8), -math.log(1 - CUT) / math.log(160))]
)
def test_a_size_is_cut_by_a_tenth_and_raised_by_a_full_step(knob: Knob, value: F, share: float) -> None:
    down, up = _reach(knob, value)
    assert down == pytest.approx(share)
    assert up > down


def test_what_is_no_size_is_cut_by_a_full_step() -> None:
    """The twin: the same range, and not cores."""
    assert _reach(Knob("n", KnobType.DECIMAL, minimum=F(1), maximum=F(5)), F(4)) == pytest.approx((STEP, STEP))


def test_bytes_go_no_lower_than_the_share_of_the_starts_and_others_as_low_as_their_limit() -> None:
    found = axes_of(SearchSpace((MEMORY_KNOB, CPU)))
    start = Setting({"memory": F(4 * GIB), "cpu": F(4)})
    lowest = found.least(start, 0.5)
    assert found.axes[0].value(float(lowest[0])) == 2 * GIB
    assert lowest[1] == 0.0


def test_the_share_is_cut_at_the_limit() -> None:
    found = axes_of(SearchSpace((MEMORY_KNOB,)))
    assert found.least(Setting({"memory": F(GIB // 4)}), 0.5) == pytest.approx([0.0])


@pytest.mark.parametrize("knob", [BOOLEAN, CHOICE, LEVELS], ids=lambda k: k.name)
def test_what_only_moves_by_much_at_once_takes_no_step(knob: Knob) -> None:
    """Five levels: a unit is a quarter of the range."""
    found = axes_of(SearchSpace((knob, PERCENT)))
    assert found.moving == [len(found.axes) - 1]
    values: dict[str, KnobValue] = {"on": True, "kind": "b", "level": F(2)}
    value = values[knob.name]
    down, up = found.reach(found.place([Setting({knob.name: value, "percent": F(50)})])[0])
    assert not down[:-1].any() and not up[:-1].any()


def test_a_number_with_eight_levels_moves() -> None:
    """The twin: a unit is a seventh of the range, 0.143."""
    assert axes_of(SearchSpace((Knob("level", minimum=F(0), maximum=F(7)),))).moving == [0]


@pytest.mark.parametrize(
    "knob",
    [
        pytest.param(Knob("n", minimum=F(3), maximum=F(3)), id="constant"),
        pytest.param(Knob("n", minimum=F(1), maximum=F(9), pinned=F(2)), id="pinned"),
        pytest.param(Knob("n", minimum=F(1), maximum=F(9), mode=KnobMode.RECOMMEND), id="only_recommended"),
        pytest.param(Knob("n", minimum=F(1)), id="without_an_upper_limit"),
    ],
)
def test_what_cannot_move_has_no_axis(knob: Knob) -> None:
    found = axes_of(SearchSpace((knob,)))
    assert found.axes == () and found.moving == []
    assert found.place([Setting({"n": F(3)})] * 2).shape == (2, 0)


def test_named_knobs_are_on_a_log_scale_and_no_others() -> None:
    space = SearchSpace((Knob("a", minimum=F(1), maximum=F(4)), Knob("b", minimum=F(1), maximum=F(400))))
    assert [axis.log for axis in axes_of(space).axes] == [False, True]
    assert [axis.log for axis in axes_of(space, frozenset({"a"})).axes] == [True, False]


def test_zero_has_no_logarithm_whatever_is_named() -> None:
    assert not axes_of(SearchSpace((PERCENT,)), frozenset({"percent"})).axes[0].log


def test_a_move_lands_on_the_grid_and_its_place_is_told_from_there() -> None:
    """0.26 of the range of 0 to 4 is level 1.04: it becomes 1, which stands at 0.25."""
    found = axes_of(SearchSpace((LEVELS, PERCENT)))
    base = Setting({"level": F(0), "percent": F(50)})
    setting, point = found.moved(base, found.place([base])[0], {0: 0.26})
    assert setting == Setting({"level": F(1), "percent": F(50)})
    assert point == pytest.approx([0.25, 0.5])


def test_in_a_small_box_a_knob_still_moves_by_one_unit() -> None:
    """Of 0 to 10 a step is 1.5, and a third of it 0.5: nothing that can run. It stays 1; of 0 to 100 it is 5."""
    few, many = (axes_of(SearchSpace((Knob("n", minimum=F(0), maximum=F(n)),))) for n in (10, 100))
    for axes, moved in ((few, 0.1), (many, 0.05)):
        down, up = axes.reach(np.array([0.5]), 1 / 3)
        assert down == pytest.approx([moved]) and up == pytest.approx([moved])


def test_a_knob_that_costs_is_cut_like_a_size_and_never_by_less_than_one() -> None:
    """A tenth of 50 is 5; of 8 it is not one, but one is the least there is."""
    space = SearchSpace((Knob("pods", minimum=F(0), maximum=F(100)),))
    plain, careful = axes_of(space), axes_of(space, None, frozenset({"pods"}))
    assert plain.reach(np.array([0.5]))[0] == pytest.approx([0.15])
    assert careful.reach(np.array([0.5]))[0] == pytest.approx([0.05])
    assert careful.reach(np.array([0.08]))[0] == pytest.approx([0.01])
    assert careful.reach(np.array([0.5]))[1] == pytest.approx([0.15])
