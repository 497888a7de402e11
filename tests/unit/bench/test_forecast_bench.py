"""The forecast benchmark: what it scores, and that nothing it scores has looked ahead."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from pegbox.bench import forecast
from pegbox.bench.forecast import BEST, Score, score, wape
from pegbox.bench.replay import OURS, Replay, Said, play, steps_of
from pegbox.bench.traces import Trace
from pegbox.model.errors import InvalidInput

NAN = math.nan


def arguments(folder: Path, **more: object) -> Namespace:
    return Namespace(**{"trace": [], "horizon": 3, "seeds": 6, "data": folder, "json": None, **more})


def noisy(steps: int, seed: int = 1) -> list[float]:
    return np.round(300 * np.exp(0.2 * np.random.default_rng(seed).normal(size=steps))).tolist()


def _made(**models: list[float]) -> Replay:
    """Ten steps of load 10, of which the last four are held out; the upper quantile is always 10."""
    loads = np.full(10, 10.0)
    loads[8] = NAN
    said = {name: Said(np.array([NAN] * 6 + points), np.full((10, 1), 10.0)) for name, points in models.items()}
    return Replay(Trace("made", 60.0, loads), 3, (0.9,), said, np.zeros(10), 6)


def test_wape_is_errors_over_loads() -> None:
    assert wape(np.array([10.0, 30.0]), np.array([12.0, 24.0])) == pytest.approx(8 / 40)
    assert math.isnan(wape(np.zeros(2), np.ones(2)))


def test_gaps_are_not_scored() -> None:
    """Steps 6, 7 and 9 count; 8 is a gap, whatever was said of it: (1 + 2 + 0) / 30."""
    assert score(_made(pegbox=[11.0, 8.0, 999.0, 10.0]))[OURS] == Score(pytest.approx(0.1), (1.0,))


def test_the_best_in_hindsight_is_an_expert_and_never_pegbox() -> None:
    scores = score(_made(pegbox=[10.0] * 4, last=[11.0] * 4, mean15=[13.0] * 4))
    assert scores[BEST] == scores["last"]


def test_an_expert_that_never_spoke_has_no_score_and_cannot_be_the_best() -> None:
    scores = score(_made(pegbox=[10.0] * 4, yesterday=[NAN] * 4, mean15=[13.0] * 4))
    assert math.isnan(scores["yesterday"].wape)
    assert scores[BEST] == scores["mean15"]


def test_an_expert_that_slept_in_between_is_counted_as_the_recent_mean() -> None:
    scores = score(_made(pegbox=[10.0] * 4, yesterday=[10.0, NAN, 10.0, 10.0], mean15=[13.0] * 4))
    assert scores["yesterday"].wape == pytest.approx(3 / 30)


def test_what_was_said_does_not_change_with_what_comes_after() -> None:
    loads = noisy(150)
    other = [*loads[:120], *(9 * x for x in loads[120:])]
    one, two = (play(Trace("made", 60.0, np.array(each)), 3, (0.9,)) for each in (loads, other))
    for name, said in one.models.items():
        np.testing.assert_array_equal(said.points[:123], two.models[name].points[:123], err_msg=name)
        np.testing.assert_array_equal(said.uppers[:123], two.models[name].uppers[:123], err_msg=name)
    assert not np.array_equal(one.models[OURS].points[123:], two.models[OURS].points[123:])


def test_what_is_said_stands_at_the_step_that_it_is_about() -> None:
    """The last value, three steps later."""
    loads = noisy(80)
    assert play(Trace("made", 60.0, np.array(loads)), 3, (0.9,)).models["last"].points[3:] == pytest.approx(loads[:-3])


def test_a_horizon_is_in_whole_steps() -> None:
    assert [steps_of(Trace("made", step, np.zeros(1)), 3) for step in (60.0, 5.0, 300.0)] == [3, 36, 1]


def test_without_data_it_says_where_data_can_be_had(tmp_path: Path) -> None:
    outcome = forecast.run(arguments(tmp_path))
    assert not outcome.runs
    assert "it can be had from" in outcome.text


def test_a_trace_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="none"):
        forecast.run(arguments(tmp_path, trace=[tmp_path / "none.csv"]))


def test_two_traces_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv"]
    assert set(forecast.found(arguments(tmp_path, trace=paths))) == {str(path) for path in paths}
