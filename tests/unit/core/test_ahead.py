"""Ahead of load: what a proposal is sized for, and the minimum of replicas that a coming load needs."""

from __future__ import annotations

import math

import pytest

from pegbox.core.ahead import sized_for
from pegbox.core.decide import decide
from pegbox.model.observations import Measured, Missing
from pegbox.model.prediction import Interval, LoadForecast, Prediction
from pegbox.model.proposals import Proposal, ProposalKind
from pegbox.model.reasons import Reason
from pegbox.runtime.predicting import request
from tests.unit.core.build import T0, setting, snapshot, window

NONE = Missing(Reason.LEARNING, "42 more steps")
GAP = Missing(Reason.NO_DATA)


def coming(upper: float, now: float = 10.0) -> LoadForecast:
    return LoadForecast(now, upper, 180.0, 0.98)


@pytest.mark.parametrize(
    ("load", "forecast", "sized"),
    [
        pytest.param(10.0, coming(14.0), 14.0, id="the_peak_to_come"),
        pytest.param(10.0, coming(6.0), 10.0, id="never_less_than_the_present"),
        pytest.param(10.0, NONE, 10.0, id="without_a_forecast_the_present"),
        pytest.param(10.0, coming(math.nan), 10.0, id="nan_is_no_forecast"),
        pytest.param(10.0, coming(math.inf), 10.0, id="nor_is_infinity"),
        pytest.param(GAP, coming(14.0), GAP, id="what_nobody_measures_is_not_made_up"),
        pytest.param(0.0, coming(5.0), 5.0, id="an_idle_hour_before_work"),
    ],
)
def test_what_a_proposal_is_sized_for(load: Measured, forecast: LoadForecast | Missing, sized: Measured) -> None:
    assert sized_for(load, forecast) == sized
    assert request(snapshot(observation=window(offered_load=load), forecast=forecast)).load == sized


def test_the_model_is_held_to_what_it_said_of_the_present_load() -> None:
    """10/s arrive, 30/s may come, and 20/s are borne: 10/s will be seen. Told 20 it would seem wrong by a factor of 2."""
    some = Interval(20.0, 18.0, 22.0)
    wanted = setting(workers=6, pool=4)
    said = Prediction(wanted, 30.0, some, Interval(0.1, 0.1, 0.1), True)
    asked = Proposal(wanted, ProposalKind.ONE_KNOB, "why", said, wanted)
    intent = decide(snapshot(forecast=coming(30.0)), asked, T0).ledger.intent
    assert intent is not None and intent.predicted == 10.0
