"""Who is in the company, and what each of its simple members does. The learners' share is in tests/sim."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction as F

import pytest

from pegbox.bench.bowl import bowl
from pegbox.bench.tuners import COMPANY
from pegbox.bench.tuners.base import Measured
from pegbox.bench.tuners.omniscient import Omniscient
from pegbox.model.knobs import Setting
from tests.unit.bench.tuners.keeping import LEARNERS_RULES, RULES, SMALL, problem_of, steps

SIMPLE = ("nothing", "coward", "one-knob")


def test_the_company_is_complete_and_in_the_order_of_the_tables() -> None:
    assert list(COMPANY) == ["nothing", "coward", "one-knob", "tpe", "tpe-box", "gp-ei", "gp-cei", "rf-ei"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", SIMPLE)
def test_simple_members_keep_the_rules(name: str, rule: Callable[[str], None]) -> None:
    rule(name)


@pytest.mark.parametrize("rule", LEARNERS_RULES, ids=lambda rule: rule.__name__)
def test_one_knob_at_a_time_learns_what_is_better(rule: Callable[[str], None]) -> None:
    rule("one-knob")


def test_the_coward_asks_eight_settings_and_holds() -> None:
    """Noise alone: none is clearly better twice, so the start is all that is asked from then on."""
    made = bowl(8, seed=5)
    tuner = COMPANY["coward"](made.problem)
    asked = []
    for step in range(30):
        asked.append(tuner.ask())
        tuner.tell(asked[-1], made.measured(made.problem.start, step))
    assert 4 <= len(set(asked) - {made.problem.start}) <= 8
    assert set(asked[24:]) == {tuner.incumbent} == {made.problem.start}
    assert all(len(made.problem.start.diff(setting)) <= 1 for setting in asked)


def test_the_coward_takes_over_only_what_was_better_twice() -> None:
    problem = problem_of(SMALL, Setting({"n": F(2), "b": False}))
    lucky, sure = COMPANY["coward"](problem), COMPANY["coward"](problem)
    probe = sure.ask()
    assert lucky.ask() == probe
    for tuner in (lucky, sure):
        tuner.tell(probe, Measured(130.0))
        assert tuner.ask() == probe
        assert tuner.incumbent == problem.start
    lucky.tell(probe, Measured(100.0))
    sure.tell(probe, Measured(128.0))
    assert (lucky.incumbent, sure.incumbent) == (problem.start, probe)


def test_one_knob_takes_back_what_measured_no_better() -> None:
    problem = problem_of(SMALL, Setting({"n": F(2), "b": False}))
    tuner = COMPANY["one-knob"](problem)
    worse = tuner.ask()
    tuner.tell(worse, Measured(99.0))
    assert tuner.incumbent == problem.start
    better = tuner.ask()
    tuner.tell(better, Measured(101.0))
    assert tuner.incumbent == better


def test_omniscient_climbs_without_an_unsafe_step_and_then_holds() -> None:
    made = bowl(8, seed=7)
    tuner = Omniscient(made.problem, made.truth)
    start = made.truth([made.problem.start])[0] or 0.0
    asked = [setting for setting, _ in steps(tuner, made, 40)]
    assert all((made.truth([s])[0] or 0.0) >= 0.97 * start - 1e-9 for s in asked)
    assert asked[-1] == asked[-2] == tuner.incumbent
    assert made.regret(tuner.incumbent) < -0.2


def test_omniscient_moves_two_knobs_of_a_tables_row_at_most() -> None:
    made = bowl(2, seed=7, rows=200)
    tuner = Omniscient(made.problem, made.truth)
    for _ in range(5):
        before, setting = tuner.incumbent, tuner.ask()
        assert len(before.diff(setting)) <= 2
        assert setting in (made.problem.rows or ())
        tuner.tell(setting, made.measured(setting, 0))
    assert made.regret(tuner.incumbent) < 0
