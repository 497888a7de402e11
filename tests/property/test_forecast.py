"""What holds of forecasts and floors for every load."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.core.scale_out import ScaleRule, ahead_of_load, floor, reactive
from pegbox.learning.forecast import LoadAhead, LoadForecaster
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

GAP = Missing(Reason.NO_DATA)
LOADS = st.one_of(st.floats(0.0, 1e15), st.integers(0, 50).map(float), st.just(math.nan), st.just(GAP))
FINITE = st.floats(0.0, 1e15)
RULES = st.builds(
    ScaleRule,
    capacity=st.floats(1e-3, 1e6),
    target=st.floats(0.1, 1.0),
    least=st.integers(1, 3),
    most=st.integers(3, 99),
)


def _said(loads: list[float | Missing], scale: float = 1.0) -> list[LoadAhead | Missing]:
    forecaster, out = LoadForecaster((2,), step=7200.0, unit=scale), []
    for load in loads:
        forecaster.update(load if isinstance(load, Missing) else load * scale)
        out.append(forecaster.forecast(2, 0.9))
    return out


@settings(max_examples=25, deadline=None)
@given(st.lists(LOADS, max_size=60))
def test_a_forecast_is_a_finite_load_or_missing(loads: list[float | Missing]) -> None:
    for said in _said(loads):
        if isinstance(said, LoadAhead):
            assert math.isfinite(said.point) and said.point >= 0.0
            assert math.isfinite(said.upper) and said.upper >= 0.0


@settings(max_examples=10, deadline=None)
@given(st.lists(LOADS, min_size=40, max_size=60))
def test_the_same_loads_give_the_same_forecasts(loads: list[float | Missing]) -> None:
    assert _said(loads) == _said(loads)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 5000).map(float), min_size=40, max_size=60))
def test_the_unit_of_load_does_not_matter(loads: list[float]) -> None:
    """Per minute or per second: 1/64 of the load and of its unit is 1/64 of the forecast, exactly."""
    for one, other in zip(_said(list(loads)), _said(list(loads), 1 / 64), strict=True):
        if isinstance(one, LoadAhead) and isinstance(other, LoadAhead):
            assert math.isclose(one.point, other.point * 64, rel_tol=1e-6, abs_tol=1e-6)
            assert math.isclose(one.upper, other.upper * 64, rel_tol=1e-6, abs_tol=1e-6)
        else:
            assert one == other


@given(FINITE, FINITE, st.integers(0, 99), RULES)
def test_replicas_set_ahead_are_never_below_what_the_present_load_needs(
    load: float, upper: float, current: int, rule: ScaleRule
) -> None:
    count = ahead_of_load(load, upper, current, rule)
    assert count >= reactive(load, current, rule)
    assert count == rule.most or count * rule.capacity * rule.target >= load * (1.0 - 1e-6)
    assert rule.least <= count <= rule.most


@given(FINITE, FINITE, FINITE, RULES)
def test_more_to_come_never_means_fewer_replicas(load: float, one: float, other: float, rule: ScaleRule) -> None:
    low, high = floor(load, min(one, other), rule), floor(load, max(one, other), rule)
    assert isinstance(low, int) and isinstance(high, int) and low <= high
