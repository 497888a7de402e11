"""How far one trial may move a knob."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core.steps import nearest, reach, too_far, within_step
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting
from tests.unit.core.build import HOT, LEVEL, POOL, setting

FLAG = Knob("flag", type=KnobType.BOOLEAN)
WAIT = Knob("wait", type=KnobType.DURATION, minimum=F(1, 1000), maximum=F(10))
SPACE = SearchSpace((HOT, POOL, LEVEL, FLAG, WAIT))


@pytest.mark.parametrize(
    ("knob", "current", "expected"),
    [
        pytest.param(HOT, 8, (4, 12), id="half_each_way"),
        pytest.param(HOT, 5, (3, 8), id="up_is_rounded_up_and_down_is_rounded_down"),  # 2.5: +3, -2
        pytest.param(HOT, 1, (1, 2), id="at_one_unit_up_one_and_never_below_one"),
        pytest.param(HOT, 30, (15, 32), id="the_limit_ends_the_step"),
        pytest.param(replace(HOT, minimum=F(0)), 1, (1, 2), id="a_step_never_ends_at_zero"),
        pytest.param(replace(HOT, minimum=F(0)), 0, (0, 1), id="from_zero_up_one_unit"),
        pytest.param(replace(HOT, minimum=None, maximum=None), 2, (1, 3), id="without_limits"),
        pytest.param(replace(HOT, maximum=F(10)), 40, (20, 40), id="above_a_narrowed_limit_only_down"),
        pytest.param(WAIT, F(1, 100), (F(5, 1000), F(15, 1000)), id="durations_move_in_milliseconds"),
    ],
)
def test_reach(knob: Knob, current: int | F, expected: tuple[F, F]) -> None:
    assert reach(knob, F(current)) == expected


def test_the_smallest_step_is_one_unit_each_way() -> None:
    assert reach(HOT, F(8), smallest=True) == (7, 9)
    assert too_far(SPACE, setting(workers=8), setting(workers=10), smallest=True) == ("workers",)
    assert nearest(SPACE, setting(workers=8), setting(workers=12), smallest=True) == setting(workers=9)


@pytest.mark.parametrize(
    ("before", "after", "far"),
    [
        pytest.param({"workers": 8}, {"workers": 12}, (), id="within"),
        pytest.param({"workers": 8}, {"workers": 13}, ("workers",), id="one_beyond"),
        pytest.param({"workers": 8, "pool": 8}, {"workers": 12, "pool": 3}, ("pool",), id="one_of_two_is_beyond"),
        pytest.param({"level": "low"}, {"level": "mid"}, (), id="a_level_moves_one_step"),
        pytest.param({"level": "low"}, {"level": "high"}, ("level",), id="a_level_never_skips_one"),
        pytest.param({"level": "low"}, {"level": "other"}, ("level",), id="an_unknown_level"),
        pytest.param({"flag": False}, {"flag": True}, (), id="a_flag_moves_alone"),
        pytest.param({"flag": False, "workers": 8}, {"flag": True, "workers": 9}, ("flag",), id="never_with_others"),
    ],
)
def test_too_far(before: dict[str, int | str], after: dict[str, int | str], far: tuple[str, ...]) -> None:
    assert too_far(SPACE, setting(**before), setting(**after)) == far


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({"workers": 8, "pool": 8}, {"workers": 20, "pool": 7}, {"workers": 12, "pool": 7}, id="capped"),
        pytest.param({"level": "low"}, {"level": "high"}, None, id="no_level_in_between_is_guessed"),
        pytest.param({"flag": False, "workers": 8}, {"flag": True, "workers": 9}, None, id="no_joint_move_with_a_flag"),
    ],
)
def test_nearest(before: dict[str, int | str], after: dict[str, int | str], expected: dict[str, int] | None) -> None:
    found: Setting | None = nearest(SPACE, setting(**before), setting(**after))
    assert found == (None if expected is None else setting(**expected))


def test_values_of_different_kinds_are_never_a_step() -> None:
    assert not within_step(HOT, F(4), "low")
    assert not within_step(FLAG, True, F(3))
