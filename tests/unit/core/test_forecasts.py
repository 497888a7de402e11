"""The model is judged by what it said over the last day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pegbox.core import forecasts
from pegbox.learning.evaluate import accuracy, trust
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger, TrialState, TrialSummary
from tests.unit.core import build

HOUR = timedelta(hours=1)
GOOD, BAD = (10.0, 8.0, 10.0), (20.0, 10.0, 10.0)  # (model, baseline, outcome)


def trial(hours_ago: float, *, predicted: float | None = 10.0) -> TrialSummary:
    setting = build.setting(workers=4)
    ended = build.T0 - hours_ago * HOUR
    return TrialSummary(
        "t", setting, setting, TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, ended, ended, predicted, 10.0
    )


def ledger(*told: tuple[float, tuple[float, float, float]]) -> Ledger:
    """Trials that ended so many hours ago, each with its forecast; the newest last."""
    return build.ledger(trials=tuple(trial(h) for h, _ in told), forecasts=tuple(f for _, f in told))


CASES = {
    "all of one day": (ledger((5, GOOD), (4, GOOD), (3, BAD), (2, BAD)), 4),
    "what is older is left out": (ledger(*[(40, GOOD)] * 6, (5, BAD), (4, BAD), (3, BAD), (2, BAD)), 4),
    "the newest three where the day had fewer": (ledger(*[(40, GOOD)] * 6, (2, BAD)), 3),
    "fewer than three": (ledger((2, GOOD)), 1),
    "none": (build.ledger(), 0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_forecasts_of_the_last_day_are_what_counts(case: tuple[Ledger, int]) -> None:
    told, count = case
    assert forecasts.of_the_last_day(told, build.T0) == told.forecasts[len(told.forecasts) - count :]


def test_a_model_that_was_right_for_weeks_and_is_wrong_today_is_not_trusted() -> None:
    told = ledger(*[(100 + i, GOOD) for i in range(20)], (6, BAD), (4, BAD), (2, BAD))
    assert trust(accuracy(told.forecasts)) is Reason.MODEL_TRUSTED, "by all of them it would be"
    assert trust(accuracy(forecasts.of_the_last_day(told, build.T0))) is Reason.MODEL_INACCURATE


def test_a_model_that_was_wrong_and_is_right_today_is_trusted_again() -> None:
    told = ledger(*[(100 + i, BAD) for i in range(20)], (6, GOOD), (4, GOOD), (2, GOOD))
    assert trust(accuracy(forecasts.of_the_last_day(told, build.T0))) is Reason.MODEL_TRUSTED


def test_trials_without_a_forecast_count_for_nothing() -> None:
    """As those of the search, which foretells no throughput."""
    told = ledger((40, GOOD), (39, GOOD), (38, GOOD), (37, GOOD))
    blind = build.ledger(trials=(*told.trials, *(trial(1, predicted=None) for _ in range(9))), forecasts=told.forecasts)
    assert len(forecasts.of_the_last_day(blind, build.T0)) == 3
