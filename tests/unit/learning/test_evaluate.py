"""One-step-ahead errors, the baseline to beat, and when a model is trusted."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from pegbox.learning.evaluate import (
    Accuracy,
    Forecast,
    accuracy,
    baseline_throughput,
    distance,
    spread,
    trust,
)
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason

FEW = Missing(Reason.LEARNING, "2 of 3 forecasts whose outcome is known")


def at(workers: int, http: int = 4) -> Setting:
    return Setting({"workers": Fraction(workers), "http": Fraction(http)})


def row(setting: Setting, load: float, throughput: float, seen: float = 0.0) -> Row:
    return Row(setting, 1.0, load, throughput, 0.3, 3, last_seen=seen)


def test_errors_are_mean_absolute_log_errors() -> None:
    """Model: log(2), 0, log(2); baseline: log(4) each. Means: 2/3 log 2 = 0.462 and 1.386."""
    found = accuracy([(20.0, 40.0, 10.0), (10.0, 2.5, 10.0), (5.0, 40.0, 10.0)])
    assert found.samples == 3
    assert found.error == pytest.approx(2 / 3 * math.log(2))
    assert found.baseline_error == pytest.approx(math.log(4))


def test_two_forecasts_are_too_few() -> None:
    assert accuracy([(10.0, 10.0, 10.0)] * 2) == Accuracy(FEW, FEW, 2)


@pytest.mark.parametrize("bad", [(0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (math.nan, 1.0, 1.0), (math.inf, 1.0, 1.0)])
def test_forecasts_that_cannot_be_compared_do_not_count(bad: Forecast) -> None:
    assert accuracy([(10.0, 10.0, 10.0)] * 2 + [bad]).samples == 2


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(Accuracy(0.1, 0.3, 9), Reason.MODEL_TRUSTED, id="better"),
        pytest.param(Accuracy(0.1, 0.1, 9), Reason.MODEL_TRUSTED, id="equal"),
        pytest.param(Accuracy(0.3, 0.1, 9), Reason.MODEL_INACCURATE, id="worse"),
        pytest.param(Accuracy(FEW, FEW, 2), Reason.LEARNING, id="not_known_yet"),
    ],
)
def test_a_model_worse_than_its_baseline_is_not_trusted(found: Accuracy, reason: Reason) -> None:
    assert trust(found) is reason


def test_the_spread_is_the_conformal_quantile() -> None:
    """19 errors log(1.01) .. log(1.19): rank ceil(20 x 0.9) = 18, the 18th smallest is log(1.18)."""
    forecasts = [(10.0 * (1 + i / 100), 10.0, 10.0) for i in range(1, 20)]
    assert spread(forecasts) == pytest.approx(math.log(1.18))


@pytest.mark.parametrize(("count", "known"), [(8, False), (9, True)])
def test_below_nine_forecasts_no_90_percent_interval_exists(count: int, known: bool) -> None:
    assert isinstance(spread([(10.0, 10.0, 10.0)] * count), float) is known


def test_distance_is_in_factors() -> None:
    assert distance(at(4), at(8)) == pytest.approx(math.log(2))
    assert distance(at(4, 4), at(8, 8)) == pytest.approx(math.sqrt(2) * math.log(2))
    assert distance(at(4), at(4)) == 0.0
    assert distance(Setting({"on": True}), Setting({"on": False})) == 1.0


def test_the_baseline_repeats_the_nearest_setting() -> None:
    rows = [row(at(1), 60.0, 3.3), row(at(4), 60.0, 13.3)]
    assert baseline_throughput(rows, at(5), 60.0) == 13.3
    assert baseline_throughput(rows, at(1), 60.0) == 3.3


def test_the_baseline_never_serves_more_than_is_offered() -> None:
    assert baseline_throughput([row(at(4), 60.0, 13.3)], at(4), 5.0) == 5.0


def test_a_setting_that_served_all_is_expected_to_serve_all() -> None:
    assert baseline_throughput([row(at(4), 10.0, 10.0)], at(4), 12.0) == 12.0


def test_of_equally_near_rows_the_newest_counts() -> None:
    rows = [row(at(4), 60.0, 20.0, seen=1.0), row(at(4), 70.0, 13.0, seen=2.0)]
    assert baseline_throughput(rows, at(4), 60.0) == 13.0


def test_without_rows_there_is_no_baseline() -> None:
    assert isinstance(baseline_throughput([], at(4), 60.0), Missing)
