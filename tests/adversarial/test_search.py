"""Spaces, replicates and answers that are hardly any: no crash, no warning (pytest makes each one an error)."""

from __future__ import annotations

import math
from fractions import Fraction as F

import pytest

from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting
from tests.unit.learning.searching import QUIET, START, bowl, flat, goal, same_price, search_of, steps

MORE = 10  # steps: past the first two fits of the amplitudes
N = Knob("n", minimum=F(1), maximum=F(100))
FIXED = Knob("fixed", minimum=F(7), maximum=F(7))


@pytest.mark.parametrize(
    ("knobs", "start"),
    [
        pytest.param((FIXED,), {"fixed": F(7)}, id="a_space_of_one_point"),
        pytest.param((), {}, id="no_knobs"),
        pytest.param((N, FIXED), {"n": F(50), "fixed": F(7)}, id="a_constant_column"),
        pytest.param((N,), {"n": F(1)}, id="at_the_lower_limit"),
        pytest.param((N,), {"n": F(100)}, id="at_the_upper_limit"),
        pytest.param((N,), {"n": F(500)}, id="beyond_the_limits"),
        pytest.param((N, Knob("c", KnobType.CHOICE, choices=("a",))), {"n": F(50), "c": "a"}, id="one_choice"),
        pytest.param((Knob("z", minimum=F(0), maximum=F(10**15)),), {"z": F(0)}, id="a_range_without_end"),
    ],
)
def test_a_space_that_is_hardly_one_is_searched_or_held(knobs: tuple[Knob, ...], start: dict[str, F]) -> None:
    setting = Setting(start)
    search = search_of(space=SearchSpace(knobs), start=setting, to=goal(price=same_price))
    asked = [step.asked for step in steps(search, flat, MORE)]
    assert all(s.get("fixed", F(7)) == 7 for s in asked)
    if "n" not in start and "z" not in start:
        assert set(asked) == {setting}


@pytest.mark.parametrize(
    "free", [(), (0.1,), (0.1, 0.1), (0.1,) * 30, (math.nan,) * 5, (math.inf, -math.inf), (-700.0, 700.0, 0.0)]
)
def test_any_replicates_are_enough_to_begin(free: tuple[float, ...]) -> None:
    search = search_of(free=free)
    assert search.incumbent == START
    assert all(set(step.asked) == set(START) for step in steps(search, bowl, 4))


@pytest.mark.parametrize("told", [0.0, -700.0, 700.0, None, math.nan, math.inf, -math.inf])
def test_the_same_answer_to_everything_is_survived(told: float | None) -> None:
    search = search_of(parameters=QUIET)
    ran = {START}
    for step in steps(search, lambda _: told, MORE):
        ran |= {step.asked} if told is not None and math.isfinite(told) else set()
        assert step.after in ran


def test_the_same_setting_told_over_and_over_is_survived() -> None:
    search = search_of()
    for _ in range(30):
        search.tell(START, 0.0)
    assert search.incumbent == START


def test_knobs_without_effect_are_not_paid_for() -> None:
    """The metric follows none of them and the price neither: whatever is kept is as good as the start."""
    search = search_of(to=goal(price=same_price))
    asked = [step.asked for step in steps(search, flat, MORE)]
    assert len(set(asked)) > 1


@pytest.mark.parametrize("price", [0.0, 1e-300, 1e300])
def test_a_price_that_is_nothing_or_enormous_has_a_logarithm(price: float) -> None:
    search = search_of(to=goal(price=lambda _: price))
    assert len(list(steps(search, bowl, 3))) == 3


def test_a_rule_that_refuses_everything_leaves_the_start() -> None:
    search = search_of(to=goal(admissible=lambda _: False))
    assert {step.asked for step in steps(search, bowl, 3)} == {START}


def test_answers_for_settings_that_nobody_asked_about_are_learned_from() -> None:
    search = search_of()
    far = START.with_values(threads=F(64), wait=F(0), tiered=True)
    search.tell(far, 0.5)
    assert search.incumbent == far
    assert search.ask()["tiered"] is True


def test_without_a_floor_and_without_terms_nothing_is_refused() -> None:
    search = search_of(to=goal(floor=5e-324, least=5e-324))
    assert len({step.asked for step in steps(search, bowl, 4)}) > 1
