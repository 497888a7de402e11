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


CORES = Knob("cores", type=KnobType.CPU, minimum=F(1, 10), maximum=F(8))
CACHE = Knob("cache", type=KnobType.BYTES, minimum=F(2**20), maximum=F(2**34))
RATIO = Knob("ratio", type=KnobType.DECIMAL, minimum=F(0), maximum=F(1))


@pytest.mark.parametrize(
    ("knob", "current", "expected"),
    [
        pytest.param(HOT, 8, (7, 9), id="of_8_workers_one"),
        pytest.param(HOT, 1, (1, 2), id="of_one_worker_one_up"),
        pytest.param(HOT, 19, (18, 20), id="of_19_one_rounded_down_both_ways"),
        pytest.param(HOT, 20, (18, 22), id="of_20_two"),
        pytest.param(HOT, 32, (29, 32), id="the_limit_ends_it"),
        pytest.param(WAIT, F(250, 1000), (F(225, 1000), F(275, 1000)), id="of_250_ms_not_one_but_25"),
        pytest.param(WAIT, F(4, 1000), (F(3, 1000), F(5, 1000)), id="of_4_ms_one"),
        pytest.param(CORES, F(2), (F(18, 10), F(22, 10)), id="of_two_cores_200_thousandths"),
        pytest.param(CACHE, F(2**26), (F(60397978), F(73819750)), id="of_64_mebibytes_a_tenth_in_whole_bytes"),
        pytest.param(RATIO, F(1, 2), (F(45, 100), F(55, 100)), id="of_a_half_five_hundredths"),
        pytest.param(replace(WAIT, minimum=F(0)), 0, (0, F(1, 1000)), id="from_nothing_one_unit"),
        pytest.param(replace(HOT, max_step=F(1, 20)), 32, (31, 32), id="never_more_than_max_step"),
    ],
)
def test_the_smallest_step_that_proves_something(knob: Knob, current: int | F, expected: tuple[F, F]) -> None:
    low, high = reach(knob, F(current), smallest=True)
    assert (low, high) == expected
    wide, far = reach(knob, F(current))
    assert wide <= low <= high <= far, "within what any trial may do"


def test_the_smallest_step_bounds_what_is_capped() -> None:
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
