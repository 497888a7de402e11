"""One tuner on one plant: what it is told, when the guard ends a step, and what the row says."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random

import pytest

from pegbox.bench.plant_runs import FREE, STEP, STEPS, VIOLATES, Course, Reference, problem, run, runs, schedule
from pegbox.bench.tuners.base import Measured, Problem, Tuner
from pegbox.core.steps import reach
from pegbox.model.knobs import Setting
from pegbox.testing.plants import SHIPPED
from pegbox.testing.plants.base import Flow, Workload
from pegbox.testing.plants.knobs import integer, setting, space
from pegbox.testing.plants.protocol import Minute, Slo


class Pods(Workload[None]):
    """Ten events/s per pod; what is beyond is bad. A start of 20 pods wastes half: 10 are just enough."""

    space = space(integer("pods", 1, 40), integer("nothing", 1, 100))
    start = setting(space, pods=20, nothing=5)
    slo = Slo(seconds=1.0, share=0.95)
    rules: tuple[str, ...] = ("pods <= 39",)
    mean_load = 100.0
    clumps = 0.0

    def begin(self, setting: Setting, load: float, at: int) -> None:
        return None

    def flow(self, setting: Setting, load: float, at: int, up: float, state: None) -> tuple[Flow, None]:
        pods = float(setting.number("pods"))
        good = min(1.0, 10.0 * pods / load)
        return Flow(load * good, 0.1, good, 1 - good, pods), None

    def price(self, setting: Setting) -> float:
        return float(setting.number("pods"))


class Growing(Pods):
    """From minute 100 on the code is half as fast."""

    changes: tuple[int, ...] = (100,)

    def flow(self, setting: Setting, load: float, at: int, up: float, state: None) -> tuple[Flow, None]:
        return super().flow(setting, load * (1 + self.code(at)), at, up, state)


class Fixed:
    """Asks for a list of settings in turn, then for the last; its incumbent is `left`, or what it asked last."""

    def __init__(self, asked: list[Setting], left: Setting | None = None) -> None:
        self.asked, self.left = asked, left
        self.told: list[tuple[Setting, Measured]] = []

    def ask(self) -> Setting:
        return self.asked[min(len(self.told), len(self.asked) - 1)]

    def tell(self, setting: Setting, measured: Measured) -> None:
        self.told.append((setting, measured))

    @property
    def incumbent(self) -> Setting:
        return self.left or self.asked[-1]


def nothing(problem: Problem) -> Tuner:
    return Fixed([problem.start])


class OneKnob:
    """Moves one knob by one step at random, and stays where that was cheaper and good enough."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.chance, self._here = problem, Random(problem.seed), problem.start
        known = [m.metric for m in problem.free if m.metric is not None]
        self.start = sum(known) / len(known)
        self.cost = problem.cost(problem.start, self.start)

    def ask(self) -> Setting:
        while True:
            knob = self.chance.choice(self.problem.space.knobs)
            value = self._here[knob.name]
            if isinstance(value, Fraction):
                wanted = self._here.with_values(**{knob.name: knob.clamp(self.chance.choice(reach(knob, value)))})
                if self.problem.admissible(wanted):
                    return wanted

    def tell(self, setting: Setting, measured: Measured) -> None:
        if measured.metric is None or measured.metric < self.problem.least * self.start:
            return
        cost = self.problem.cost(setting, measured.metric)
        if cost < self.cost:
            self._here, self.cost = setting, cost

    @property
    def incumbent(self) -> Setting:
        return self._here


def pods(count: int, other: int = 5) -> Setting:
    return setting(Pods.space, pods=count, nothing=other)


def course(make: Callable[[int], Pods] = Pods) -> Course:
    made = Course(make(1), 1, Reference(make))
    made.replicates()
    return made


def test_doing_nothing_costs_twice_the_oracle_and_violates_nothing() -> None:
    row = run(Reference(Pods), nothing, 1)

    assert row["cost_ratio30"] == pytest.approx(2.0)  # 20 pods where 10 are enough
    assert row["start_cost_ratio30"] == row["cost_ratio30"]
    assert row["violation_minutes"] == row["settings_tried"] == row["steps_ended"] == 0
    assert (row["steps"], row["minutes"], row["held30"]) == (STEPS, FREE + STEPS * STEP, True)
    assert row["cost_ratio_after"] is None and row["held_after"] is None


def test_one_knob_at_random_finds_its_way() -> None:
    row = run(Reference(Pods), OneKnob, 3)

    assert 1.0 <= row["cost_ratio30"] <= 1.2
    assert row["settings_tried"] >= 5
    assert row["knobs_moved"] == 2


def test_the_same_seed_gives_the_same_rows() -> None:
    tuners = {"nothing": nothing, "one": OneKnob}

    rows = list(runs("pods", Pods, tuners, [1, 2]))
    assert rows == list(runs("pods", Pods, tuners, [1, 2]))
    assert [(r["plant"], r["tuner"], r["seed"]) for r in rows] == [
        ("pods", "nothing", 1), ("pods", "one", 1), ("pods", "nothing", 2), ("pods", "one", 2),
    ]  # fmt: skip


def test_what_is_told_is_the_score_and_the_price_makes_it_money() -> None:
    plant = Pods(1)
    told = problem(plant, (Measured(1.0),), 0.8, STEPS, 1)

    assert told.cost(pods(10), 0.5) == 20.0
    assert told.maximise
    assert told.least == pytest.approx(0.95 / 0.8)  # a start that violates is asked for more than it has
    assert told.admissible(pods(39)) and not told.admissible(pods(40))


def test_a_start_is_measured_five_times_before_the_first_step() -> None:
    made = Course(Pods(1), 1, Reference(Pods))
    free = made.replicates()

    assert [m.metric for m in free] == [1.0] * 5
    assert (made.minute, made.yardstick) == (35, 1.0)


def test_minutes_that_the_start_would_not_have_spoilt_are_counted() -> None:
    made = course()
    measured = made.step(pods(8), pods(20))  # serves 80 of some 100

    assert measured.metric == pytest.approx(80 / 100, abs=0.05)
    assert made.violations == STEP
    assert made.own == made.ended == 0


class Short(Pods):
    """A start of 7 pods, which violates all the time."""

    start = setting(Pods.space, pods=7, nothing=5)


def test_minutes_that_are_no_worse_than_the_starts_own_are_not_counted() -> None:
    made = course(Short)
    made.step(pods(7, 6), pods(7))
    made.step(pods(8), pods(7))

    assert made.violations == 0
    assert made.own == made.minute


def test_minutes_that_are_worse_than_a_start_that_violates_are_counted() -> None:
    made = course(Short)
    made.step(pods(5), pods(7))

    assert made.violations == STEP


def test_a_start_that_violates_fails_the_cost_row() -> None:
    row = run(Reference(Short), nothing, 1)

    assert row["cost_ratio30"] == VIOLATES
    assert not row["held30"]


def test_the_guard_ends_a_step_that_collapses_and_the_incumbent_runs_for_the_rest() -> None:
    made = course()
    measured = made.step(pods(1), pods(20))

    assert made.ended == 1
    assert made.violations == 1  # the first minute, and none after it
    assert made.minute == FREE + STEP
    assert measured.metric == pytest.approx(10 / 100, abs=0.02)


def test_where_the_incumbent_itself_collapses_the_start_runs() -> None:
    made = course()
    made.step(pods(1), pods(1))

    assert made.violations == 1


def test_a_setting_that_is_bad_but_has_not_collapsed_runs_to_the_end() -> None:
    made = course()
    made.step(pods(6), pods(20))

    assert (made.ended, made.violations) == (0, STEP)


def test_what_is_not_admissible_never_runs_and_costs_a_step() -> None:
    made = course()

    assert made.step(pods(40), pods(20)).failed
    assert (made.refused, made.violations, made.minute) == (1, 0, FREE + STEP)


def test_a_workload_that_serves_nothing_has_failed() -> None:
    dead = [Minute(0, 10.0, 0.0, None, 0.0, 1.0, 1.0, 1.0)]

    assert course()._told(dead).failed
    assert course()._told([*dead, Minute(1, 10.0, 10.0, 0.1, 1.0, 0.0, 1.0, 1.0)]).metric == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("left", "ratio"),
    [(10, 1.0), (15, 1.5), (9, VIOLATES), (40, VIOLATES)],  # too few, and more than the rule allows
)
def test_the_incumbent_is_what_counts(left: int, ratio: float) -> None:
    reference = Reference(Pods)

    assert reference.ratio(pods(left), 0) == pytest.approx(ratio)


def test_an_incumbent_that_cannot_run_is_never_run() -> None:
    row = run(Reference(Pods), lambda problem: Fixed([pods(1)], left=pods(40)), 1)

    assert row["cost_ratio30"] == VIOLATES
    assert row["violation_minutes"] == STEPS  # a minute in each step, then the start


@pytest.mark.parametrize(
    ("changes", "steps", "judged"),
    [((), 30, None), ((250,), 51, 51), ((100,), 30, 30), ((0,), 30, 20), ((36,), 30, 21), ((100, 400), 73, 73)],
)
def test_a_run_lasts_until_twenty_steps_after_the_last_change(
    changes: tuple[int, ...], steps: int, judged: int | None
) -> None:
    assert schedule(changes) == (steps, judged)


def test_after_a_change_the_oracle_is_that_of_the_new_code() -> None:
    row = run(Reference(Growing), lambda problem: Fixed([pods(10)]), 1)
    doubled = run(Reference(Growing), lambda problem: Fixed([pods(20)]), 1)

    assert (row["cost_ratio_after"], row["held_after"]) == (VIOLATES, False)
    assert (doubled["cost_ratio_after"], doubled["held_after"]) == (pytest.approx(1.0), True)


@pytest.mark.parametrize("name", [name for name in sorted(SHIPPED) if not SHIPPED[name](0).changes])
def test_on_shipped_plants_doing_nothing_fails_the_cost_row(name: str) -> None:
    reference = Reference(SHIPPED[name])

    assert reference.ratio(reference.truth.start, 0) > 1.3
