"""What is said about the load to come, and when nothing is said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pegbox.learning.forecast import LoadAhead, LoadForecaster
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

GAP = Missing(Reason.NO_DATA, "scrape failed")


def _told(loads: list[float | Missing], *, horizon: int = 3, step: float = 60.0) -> LoadForecaster:
    forecaster = LoadForecaster((horizon,), step=step)
    for load in loads:
        forecaster.update(load)
    return forecaster


def _ahead(forecaster: LoadForecaster, quantile: float = 0.9, horizon: int = 3) -> LoadAhead:
    said = forecaster.forecast(horizon, quantile)
    assert isinstance(said, LoadAhead), said
    return said


def test_a_load_that_stands_still_is_forecast_to_stand_still() -> None:
    said = _ahead(_told([500.0] * 60))
    assert said.point == pytest.approx(500.0, rel=1e-3)
    assert said.upper == pytest.approx(500.0, rel=0.02)


def test_steady_growth_is_forecast_to_go_on() -> None:
    """2 % a minute for three hours: three minutes on it is 1.02^3 of the last value."""
    loads = [1000.0 * 1.02**i for i in range(180)]
    assert _ahead(_told(list(loads))).point == pytest.approx(loads[-1] * 1.02**3, rel=0.01)


@pytest.mark.parametrize(
    ("loads", "quantile", "lacking"),
    [
        pytest.param(0, 0.9, 30, id="nothing seen"),
        pytest.param(13, 0.9, 20, id="ten outcomes of thirty"),  # 13 loads: the first ten forecasts met theirs
        pytest.param(33, 0.98, 19, id="a high quantile needs more"),  # 0.98 / 0.02 = 49 outcomes
    ],
)
def test_with_too_little_history_it_says_how_much_is_lacking(loads: int, quantile: float, lacking: int) -> None:
    said = _told([100.0] * loads).forecast(3, quantile)
    assert said == Missing(Reason.LEARNING, f"{lacking} more steps with load, for the {quantile:g} quantile")


def test_with_just_enough_history_it_speaks() -> None:
    assert isinstance(_told([100.0] * 33).forecast(3, 0.9), LoadAhead)


@pytest.mark.parametrize("gap", [GAP, math.nan, math.inf], ids=["missing", "nan", "infinite"])
def test_a_gap_is_never_zero(gap: float | Missing) -> None:
    """After four minutes without a sample the forecast is what it was, and no expert saw a fall."""
    before = _told([800.0] * 60)
    after = _told([800.0] * 60 + [gap] * 4)
    assert _ahead(after).point == pytest.approx(_ahead(before).point)


def test_zero_is_a_load_and_is_followed() -> None:
    assert _ahead(_told([800.0] * 60 + [0.0] * 20)).point < 10.0


def test_nothing_is_said_after_five_minutes_of_gaps() -> None:
    said = _told([800.0] * 60 + [GAP] * 5).forecast(3, 0.9)
    assert said == Missing(Reason.STALE_DATA, "no load for 5 steps")


def test_one_load_after_a_long_gap_is_enough_to_speak_again() -> None:
    assert _ahead(_told([800.0] * 60 + [GAP] * 500 + [400.0])).point == pytest.approx(400.0, rel=0.6)


@pytest.mark.parametrize("load", [-1.0, 1e16])
def test_what_cannot_be_a_load_is_refused(load: float) -> None:
    with pytest.raises(InvalidInput, match="load"):
        _told([load])


@pytest.mark.parametrize(("horizon", "quantile"), [(4, 0.9), (3, 0.0), (3, 1.0)])
def test_a_question_for_which_it_was_not_made_is_refused(horizon: int, quantile: float) -> None:
    with pytest.raises(InvalidInput):
        _told([100.0] * 60).forecast(horizon, quantile)


@pytest.mark.parametrize("made", [{"horizons": ()}, {"horizons": (0,)}, {"step": 0.0}, {"unit": math.inf}])
def test_a_forecaster_that_makes_no_sense_is_refused(made: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        LoadForecaster(**made)  # type: ignore[arg-type]


def test_higher_quantiles_lie_higher() -> None:
    noise = np.random.default_rng(1).normal(size=400)
    forecaster = _told([float(x) for x in np.round(300 * np.exp(0.2 * noise))])
    uppers = [_ahead(forecaster, q).upper for q in (0.5, 0.8, 0.9, 0.95, 0.99)]
    assert uppers == sorted(uppers)
    assert uppers[0] < uppers[-1]


def test_nine_of_ten_loads_stay_below_the_90_percent_quantile() -> None:
    """Independent noise of 20 %, 600 forecasts: the standard error of a share of 0.9 is 1.2 points."""
    loads = np.round(300 * np.exp(0.2 * np.random.default_rng(7).normal(size=900))).tolist()
    forecaster, uppers = LoadForecaster((3,)), []
    for load in loads:
        forecaster.update(load)
        said = forecaster.forecast(3, 0.9)
        uppers.append(said.upper if isinstance(said, LoadAhead) else math.nan)
    covered = [load <= upper for load, upper in zip(loads[303:], uppers[300:], strict=False)]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.035)


def test_a_season_of_yesterday_is_known_before_it_comes() -> None:
    """A load that doubles at noon each day, in steps of 15 minutes: at noon of day 5 the day before is believed."""
    day = [100.0] * 48 + [200.0] * 48
    forecaster = _told([*day * 4, *day[:47]], horizon=2, step=900.0)
    assert forecaster.singles(2)["yesterday"] == pytest.approx(200.0, rel=0.02)
    assert forecaster.singles(2)["last"] == pytest.approx(100.0)


def test_an_expert_without_history_says_nothing() -> None:
    said = _told([100.0] * 60).singles(3)
    assert math.isnan(said["yesterday"]) and math.isnan(said["last-week"])
    assert said["mean15"] == pytest.approx(100.0)


def test_several_horizons_live_beside_each_other() -> None:
    loads = [1000.0 * 1.01**i for i in range(200)]
    both = LoadForecaster((1, 10))
    for load in loads:
        both.update(load)
    assert _ahead(both, horizon=1).point < _ahead(both, horizon=10).point
    assert _ahead(both, horizon=10) == _ahead(_told(list(loads), horizon=10), horizon=10)
