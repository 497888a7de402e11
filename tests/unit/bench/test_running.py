"""One run's figures, by hand, and a run that ends whatever the tuner asks."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pegbox.bench import foretelling
from pegbox.bench.asking import Asking
from pegbox.bench.oracles import Best
from pegbox.bench.running import REFUSALS, Truth, run, scores
from pegbox.bench.tasks import Task
from pegbox.bench.tuners.base import Measured, Problem, Tuner
from pegbox.model.knobs import Setting
from tests.unit.bench.made import at, space, task_of

SPACE = space(a=(1, 100), b=(1, 100))
S, BETTER, BEST, BAD, DEAD = at(a=1, b=1), at(a=2, b=1), at(a=3, b=2), at(a=4, b=1), at(a=5, b=1)
METRIC = {S: 100.0, BETTER: 120.0, BEST: 125.0, BAD: 70.0, DEAD: math.nan}
TRUTH = Truth(Best(BEST, 0.8), (Best(S, 1.0), Best(BETTER, 100 / 120)))
KEYS = {
    *("spec", "model_seed", "start", "tuner", "seed", "unsafe", "worst", "below_075", "regret", "regret_static"),
    *("gap20", "gap40", "gap60", "gap_reachable60", "steps_to_5", "settings_tried", "knobs_moved", "hold_step"),
    *("failed", "suggest_ms_p50", "suggest_ms_p99", *foretelling.KEYS),
}  # fmt: skip


def task(**more: Any) -> Task:
    return task_of(SPACE, S, METRIC.__getitem__, **{"steps": 4, **more})


def test_a_run_of_four_steps_by_hand() -> None:
    """Gaps to the best (125): start 1 - 0.8 = 0.2; BETTER 1 - 0.8 * 1.2 = 0.04; BEST 0; BAD 1 - 0.8 * 0.7 = 0.44."""
    row = scores(task(), TRUTH, asked=[BAD, BETTER, BEST, BETTER], held=[S, BETTER, BETTER, BETTER])

    assert row["regret"] == pytest.approx(0.44 + 0.04 + 0.0 + 0.04)
    assert row["regret_static"] == pytest.approx(4 * 0.2)
    assert (row["unsafe"], row["worst"], row["below_075"], row["failed"]) == (0.25, pytest.approx(0.7), 1, 0)
    assert row["steps_to_5"] == 2
    assert row["settings_tried"] == 3
    assert row["knobs_moved"] == 2
    assert row["hold_step"] == 4
    assert row["gap_reachable60"] == 0.0
    assert (row["gap20"], row["gap40"], row["gap60"]) == (None, None, None)


def test_gaps_are_the_incumbents_after_so_many_steps() -> None:
    held = [S] * 19 + [BETTER] * 20 + [BEST] * 21
    row = scores(task(steps=60), TRUTH, asked=[S] * 60, held=held)
    assert row["gap20"] == pytest.approx(0.04)
    assert (row["gap40"], row["gap60"]) == (0.0, 0.0)
    assert row["steps_to_5"] == 20


def test_the_best_value_visited_does_not_count() -> None:
    row = scores(task(), TRUTH, asked=[BEST, S, S, S], held=[S] * 4)
    assert row["steps_to_5"] is None
    assert row["hold_step"] == 2


def test_a_failed_step_costs_all_and_is_unsafe() -> None:
    row = scores(task(), TRUTH, asked=[DEAD, S, S, S], held=[S] * 4)
    assert row["regret"] == pytest.approx(1.0 + 3 * 0.2)
    assert (row["failed"], row["worst"], row["unsafe"], row["below_075"]) == (1, 0.0, 0.25, 1)


def test_what_lacks_of_the_wanted_metric_counts_as_a_gap() -> None:
    """BAD at a fifth of the price: no gap by cost, 0.97 - 0.7 short of 0.97."""
    made = task(least="0.97", price=lambda setting: 0.2 if setting == BAD else 1.0)
    row = scores(made, Truth(Best(BETTER, 1 / 1.2), ()), asked=[BAD] * 4, held=[BAD] * 4)
    assert row["regret"] == pytest.approx(4 * (0.97 - 0.7) / 0.97)
    assert row["gap_reachable60"] is None


def test_where_less_is_better_more_is_unsafe() -> None:
    """BETTER needs 120 instead of 100: a ratio of 0.833, and BAD with 70 is the best."""
    row = scores(
        task(better="Lower"), Truth(Best(BAD, 0.7), ()), asked=[BETTER, BAD, BAD, BAD], held=[S, BAD, BAD, BAD]
    )
    assert (row["worst"], row["unsafe"], row["below_075"]) == (pytest.approx(100 / 120), 0.25, 0)
    assert row["steps_to_5"] == 2
    assert row["regret"] == pytest.approx(1 - 0.7 / 1.2)


@pytest.mark.parametrize(
    ("asked", "held", "step"),
    [
        ([S, S, S, S], [S, S, S, S], 1),
        ([BAD, S, S, S], [S, S, S, S], 2),
        ([S, S, S, BAD], [S, S, S, S], None),
        ([BETTER, BETTER, BETTER, BETTER], [S, BETTER, BETTER, BETTER], 2),
    ],
)
def test_it_holds_from_the_step_on_in_which_only_the_incumbent_ran(
    asked: list[Setting], held: list[Setting], step: int | None
) -> None:
    assert scores(task(), TRUTH, asked, held)["hold_step"] == step


class Asks:
    """The same setting, step after step."""

    def __init__(self, setting: Setting, incumbent: Setting) -> None:
        self.setting, self._incumbent = setting, incumbent
        self.told: list[tuple[Setting, Measured]] = []

    def ask(self) -> Setting:
        return self.setting

    def tell(self, setting: Setting, measured: Measured) -> None:
        self.told.append((setting, measured))

    @property
    def incumbent(self) -> Setting:
        return self._incumbent


def test_a_run_has_the_keys_that_are_promised() -> None:
    row = run(task(), TRUTH, "asks", lambda problem: Asks(BETTER, S), 3)
    assert set(row) >= KEYS
    assert {key: row[key] for key in ("spec", "model_seed", "start", "tuner", "seed", "steps")} == {
        "spec": "made", "model_seed": 0, "start": "good", "tuner": "asks", "seed": 3, "steps": 4,
    }  # fmt: skip
    assert 0 <= row["suggest_ms_p50"] <= row["suggest_ms_p99"]


def test_a_run_ends_when_the_table_has_nothing_left() -> None:
    """Three rows, asked for what is no row: after three steps nothing is left, so it is taken to hold."""
    made, tuners = task(rows=(S, BETTER, BAD), steps=8), []

    def make(problem: Problem) -> Tuner:
        tuners.append(Asks(at(a=50, b=50), S))
        return tuners[0]

    row = run(made, TRUTH, "asks", make, 0)
    told = [setting for setting, _ in tuners[0].told]
    assert len(told) == row["steps"] == 8
    assert set(told[:3]) == {S, BETTER, BAD}
    assert told[3:] == [S] * 5
    assert row["hold_step"] is not None


def test_a_refusal_costs_no_step() -> None:
    """The tuner asks for what the table lacks, is refused a few times, and then asks for a row."""

    class Late(Asks):
        refused = 0

        def ask(self) -> Setting:
            if len(self.told) < 2 or self.refused > REFUSALS // 2:
                return at(a=50, b=50) if len(self.told) < 2 else BETTER
            self.refused += 1
            return at(a=50, b=50)

    made, tuner = task(rows=(S, BETTER), steps=4), Late(S, S)
    run(made, TRUTH, "late", lambda problem: tuner, 0)
    assert len(tuner.told) == 4
    assert [setting for setting, _ in tuner.told][2:] == [BETTER, BETTER]
    assert Asking(made, 0).answer(BETTER, S) == BETTER


def test_everybody_runs_the_shared_rows_first() -> None:
    tuner = Asks(S, S)
    run(task(rows=(S, BETTER, BAD), first=(BAD, BETTER)), TRUTH, "asks", lambda problem: tuner, 0)
    assert [setting for setting, _ in tuner.told] == [BAD, BETTER, S, S]
