"""The whole company keeps the rules, and its learners are worth being compared with."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest

from pegbox.bench import decide
from pegbox.bench.bowl import bowl
from pegbox.bench.tuners import COMPANY
from pegbox.bench.tuners.pegbox import make as pegbox
from tests.unit.bench.tuners.keeping import LEARNERS, LEARNERS_RULES, RULES, steps


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", COMPANY)
def test_everybody_keeps_the_rules(name: str, rule: Callable[[str], None]) -> None:
    rule(name)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_pegbox_keeps_them_too(rule: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMPANY, "pegbox", pegbox)
    rule("pegbox")


@pytest.mark.parametrize("rule", LEARNERS_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", LEARNERS)
def test_learners_learn_what_is_better(name: str, rule: Callable[[str], None]) -> None:
    rule(name)


def _regret(name: str, knobs: int, seed: int) -> float:
    made = bowl(knobs, seed=seed)
    tuner = COMPANY[name](made.problem)
    for _ in steps(tuner, made, made.problem.steps):
        pass
    return made.regret(tuner.incumbent)


@pytest.mark.parametrize("name", ["gp-ei", "gp-cei", "rf-ei"])
def test_a_model_finds_more_than_random_moves_of_one_knob(name: str) -> None:
    """Median of three seeds on the bowl of 19 knobs after 30 steps: lower is better, 0 is the start."""
    seeds = range(3)
    model = statistics.median(_regret(name, 19, seed) for seed in seeds)
    assert model < statistics.median(_regret("one-knob", 19, seed) for seed in seeds)


def test_random_moves_find_more_than_nothing() -> None:
    assert statistics.median(_regret("one-knob", 6, seed) for seed in range(5)) < -0.05


@pytest.mark.parametrize("name", COMPANY)
def test_everybody_can_be_timed_on_copies(name: str) -> None:
    assert len(decide.suggestions(COMPANY[name], 8, 6, 3)) == 3


@pytest.mark.parametrize("name", ["gp-ei", "gp-cei", "rf-ei"])
def test_in_a_table_the_best_row_that_was_seen_is_the_incumbent(name: str) -> None:
    """Its figures are exact, so no model may prefer a neighbour of it."""
    made = bowl(6, seed=3, rows=60, noise=0.0)
    tuner, seen = COMPANY[name](made.problem), {made.problem.start: made.problem.free[0]}
    for _ in range(12):
        setting = tuner.ask()
        seen[setting] = made.measured(setting, 0)
        tuner.tell(setting, seen[setting])
    terms = 0.97 * (seen[made.problem.start].metric or 0.0)
    kept = {s: made.problem.cost(s, m.metric) for s, m in seen.items() if m.metric is not None and m.metric >= terms}
    assert tuner.incumbent == min(kept, key=lambda setting: kept[setting])


def test_the_box_moves_three_knobs_at_most_and_numbers_by_15_percent_of_their_range() -> None:
    made = bowl(8, seed=6)
    tuner = COMPANY["tpe-box"](made.problem)
    for step in range(20):
        before, setting = tuner.incumbent, tuner.ask()
        moved = made.encoding.codes([setting])[0] - made.encoding.codes([before])[0]
        assert len(before.diff(setting)) <= 3
        assert all(
            abs(moved[i]) <= 0.15 + 0.03 for i in range(8) if made.encoding.columns[i].numeric
        )  # and half a unit
        tuner.tell(setting, made.measured(setting, step))


def test_the_whole_spaces_estimator_goes_further() -> None:
    """The twin: without the box more than three knobs move at once."""
    made = bowl(8, seed=6)
    tuner = COMPANY["tpe"](made.problem)
    assert max(len(made.problem.start.diff(setting)) for setting, _ in steps(tuner, made)) > 3
