"""The rules that everybody in the company keeps to, whatever it is told. Each is given the name of a tuner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction as F

from pegbox.bench.bowl import Bowl, bowl
from pegbox.bench.tuners import COMPANY
from pegbox.bench.tuners.base import Measured, Problem, Tuner
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting

STEPS = 12  # of the 30: these are rules of each single step
SMALL = SearchSpace((Knob("n", minimum=F(1), maximum=F(4)), Knob("b", type=KnobType.BOOLEAN)))
GOOD = (Measured(100.0),) * 5


def problem_of(space: SearchSpace, start: Setting, **changes: object) -> Problem:
    plain = Problem(space, start, GOOD, 10, 1, True, lambda _: 1.0, 0.9, 0.97, lambda _: True)
    return replace(plain, **changes)  # type: ignore[arg-type]


def steps(tuner: Tuner, made: Bowl, count: int = STEPS) -> Iterator[tuple[Setting, Measured]]:
    for step in range(count):
        setting = tuner.ask()
        measured = made.measured(setting, step)
        tuner.tell(setting, measured)
        yield setting, measured


def the_same_seed_asks_the_same(name: str) -> None:
    made = bowl(8, seed=3)
    runs = [[s for s, _ in steps(COMPANY[name](made.problem), made, 8)] for _ in range(2)]
    assert runs[0] == runs[1]


def what_is_asked_is_typed_admissible_and_inside_the_limits(name: str) -> None:
    """The hard rule refuses the half of the space with many workers, which asking about costs nothing."""
    made = bowl(8, seed=1)
    problem = replace(made.problem, admissible=lambda s: s.number("workers") <= 24)
    tuner, seen = COMPANY[name](problem), {problem.start}
    for setting, _ in steps(tuner, made):
        assert all(problem.space[n].admits(v) for n, v in setting.items())
        assert set(setting) == set(problem.start)
        assert problem.admissible(setting)
        seen.add(setting)
        assert tuner.incumbent in seen


def a_table_is_asked_for_unseen_rows_or_for_the_incumbent(name: str) -> None:
    made = bowl(6, seed=2, rows=40)
    assert made.problem.rows is not None
    tuner, seen = COMPANY[name](made.problem), {made.problem.start}
    for _ in range(STEPS):
        setting = tuner.ask()
        assert setting in made.problem.rows
        assert setting not in seen or setting == tuner.incumbent
        seen.add(setting)
        tuner.tell(setting, made.measured(setting, 0))


def a_table_that_was_asked_to_its_end_is_held(name: str) -> None:
    made = bowl(6, seed=2, rows=3)
    tuner = COMPANY[name](made.problem)
    for _ in range(6):
        setting = tuner.ask()
        tuner.tell(setting, made.measured(setting, 0))
    if name not in ("nothing", "coward"):
        assert tuner.ask() == tuner.incumbent


def a_table_of_one_row_is_held(name: str) -> None:
    made = bowl(6, seed=2)
    tuner = COMPANY[name](replace(made.problem, rows=[made.problem.start]))
    assert {setting for setting, _ in steps(tuner, made, 3)} == {made.problem.start}


def another_row_than_was_asked_may_have_answered(name: str) -> None:
    """The task answers for the rows in order. The incumbent is one that did answer."""
    made = bowl(6, seed=2, rows=40)
    rows = made.problem.rows or ()
    tuner = COMPANY[name](made.problem)
    for row in rows[1:STEPS]:
        tuner.ask()
        tuner.tell(row, made.measured(row, 0))
        assert tuner.incumbent in rows[:STEPS]


def shared_random_starts_are_told_before_anything_is_asked(name: str) -> None:
    made = bowl(6, seed=2, rows=40)
    rows = list(made.problem.rows or ())[1:8]
    tuner = COMPANY[name](replace(made.problem, free=made.problem.free[:1]))
    for row in rows:
        tuner.tell(row, made.measured(row, 0))
    asked = tuner.ask()
    assert asked not in rows or asked == tuner.incumbent


def a_workload_that_always_fails_leaves_the_start(name: str) -> None:
    made = bowl(6, seed=4)
    tuner = COMPANY[name](made.problem)
    for _ in range(8):
        setting = tuner.ask()
        tuner.tell(setting, Measured(None) if setting != made.problem.start else made.problem.free[0])
        assert tuner.incumbent == made.problem.start


def a_space_of_one_point_is_held(name: str) -> None:
    space = SearchSpace((Knob("n", minimum=F(2), maximum=F(2)),))
    problem = problem_of(space, Setting({"n": F(2)}))
    tuner = COMPANY[name](problem)
    for _ in range(3):
        assert tuner.ask() == problem.start
        tuner.tell(problem.start, Measured(100.0))
    assert tuner.incumbent == problem.start


def a_small_space_is_asked_over_and_over_without_complaint(name: str) -> None:
    """Eight settings and no noise: duplicates, and a metric that never changes."""
    problem = problem_of(SMALL, Setting({"n": F(2), "b": False}))
    tuner = COMPANY[name](problem)
    for _ in range(STEPS):
        setting = tuner.ask()
        tuner.tell(setting, Measured(100.0))
    assert SMALL["n"].admits(tuner.incumbent["n"])


def a_metric_that_is_no_positive_number_is_a_failure(name: str) -> None:
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        made = bowl(6, seed=4)
        tuner = COMPANY[name](made.problem)
        for _ in range(3):
            setting = tuner.ask()
            tuner.tell(setting, Measured(bad) if setting != made.problem.start else made.problem.free[0])
        assert tuner.incumbent == made.problem.start


def few_or_no_free_replicates_are_enough_to_begin(name: str) -> None:
    for free in ((), (Measured(100.0),), (Measured(None),)):
        problem = problem_of(SMALL, Setting({"n": F(2), "b": False}), free=free)
        tuner = COMPANY[name](problem)
        assert tuner.incumbent == problem.start
        for _ in range(3):
            tuner.tell(tuner.ask(), Measured(100.0))


def less_is_better_where_the_metric_is_a_time(name: str) -> None:
    """Each of the eight settings but one takes 100; n = 3 takes 50."""
    problem = problem_of(SMALL, Setting({"n": F(2), "b": False}), maximise=False)
    tuner = COMPANY[name](problem)
    for _ in range(STEPS):
        setting = tuner.ask()
        tuner.tell(setting, Measured(50.0 if setting["n"] == 3 else 100.0))
    assert tuner.incumbent["n"] == 3


def a_saving_that_breaks_the_terms_is_no_incumbent(name: str) -> None:
    """A quarter of the price for half of the metric costs half per event, but 0.97 of the start's was asked for."""
    problem = problem_of(SMALL, Setting({"n": F(4), "b": False}), price=lambda s: float(s.number("n")) ** 2)
    tuner = COMPANY[name](problem)
    for _ in range(STEPS):
        setting = tuner.ask()
        tuner.tell(setting, Measured(25.0 * float(setting.number("n"))))
    assert tuner.incumbent["n"] == 4


def without_terms_the_same_saving_is_taken(name: str) -> None:
    """The twin: nothing is asked but the cost."""
    start = Setting({"n": F(4), "b": False})
    problem = problem_of(SMALL, start, price=lambda s: float(s.number("n")) ** 2, floor=0.0, least=0.0)
    tuner = COMPANY[name](problem)
    for _ in range(STEPS):
        setting = tuner.ask()
        tuner.tell(setting, Measured(25.0 * float(setting.number("n"))))
    assert tuner.incumbent["n"] != 4


RULES = (
    the_same_seed_asks_the_same,
    what_is_asked_is_typed_admissible_and_inside_the_limits,
    a_table_is_asked_for_unseen_rows_or_for_the_incumbent,
    a_table_that_was_asked_to_its_end_is_held,
    a_table_of_one_row_is_held,
    another_row_than_was_asked_may_have_answered,
    shared_random_starts_are_told_before_anything_is_asked,
    a_workload_that_always_fails_leaves_the_start,
    a_space_of_one_point_is_held,
    a_small_space_is_asked_over_and_over_without_complaint,
    a_metric_that_is_no_positive_number_is_a_failure,
    few_or_no_free_replicates_are_enough_to_begin,
)
LEARNERS_RULES = (
    less_is_better_where_the_metric_is_a_time,
    a_saving_that_breaks_the_terms_is_no_incumbent,
    without_terms_the_same_saving_is_taken,
)
LEARNERS = ("one-knob", "tpe", "tpe-box", "gp-ei", "gp-cei", "rf-ei")
