"""The sequential rule: no scale, no gap and no calm stream makes it speak."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.core.sequential import Finding, Sample, State, begin, step
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

latencies = st.floats(1e-3, 1e4, allow_nan=False)
logs = st.floats(-1.0, 1.0, allow_nan=False)
baselines = st.lists(logs, min_size=8, max_size=30)
watches = st.lists(logs | st.none(), max_size=30)


def run(baseline: list[float], watch: list[float | None], scale: float = 1.0) -> tuple[State, list[Finding]]:
    state = begin([Sample(scale * math.exp(x)) for x in baseline], 30.0)
    assert isinstance(state, State)
    found = []
    for x in watch:
        sample = Missing(Reason.NO_DATA) if x is None else scale * math.exp(x)
        state, verdict = step(state, Sample(sample))
        found.append(verdict.found)
    return state, found


@given(latencies, st.integers(8, 60), st.floats(0.2, 140.0))
@settings(deadline=None, max_examples=30)
def test_identical_samples_are_no_regression_at_any_scale(latency: float, count: int, tick: float) -> None:
    state = begin([Sample(latency)] * count, tick)
    assert isinstance(state, State)
    for _ in range(60):
        state, verdict = step(state, Sample(latency))
    assert verdict.found is Finding.NONE
    assert verdict.evidence <= 0.0


@given(baselines, watches, st.integers(-8, 8))
@settings(deadline=None, max_examples=50)
def test_the_unit_of_latency_does_not_matter(baseline: list[float], watch: list[float | None], power: int) -> None:
    here, _ = run(baseline, watch)
    there, _ = run(baseline, watch, 2.0**power)
    for one, other in zip(here.tracks, there.tracks, strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-4, abs=1e-4)
        assert one.information == pytest.approx(other.information, rel=1e-4)


@given(baselines, watches)
@settings(deadline=None, max_examples=50)
def test_missing_samples_change_nothing(baseline: list[float], watch: list[float | None]) -> None:
    assert run(baseline, watch)[0] == run(baseline, [x for x in watch if x is not None])[0]


@given(baselines, watches)
@settings(deadline=None, max_examples=50)
def test_a_finding_is_never_taken_back(baseline: list[float], watch: list[float | None]) -> None:
    found = run(baseline, watch)[1]
    first = next((n for n, each in enumerate(found) if each is not Finding.NONE), len(found))
    assert len(set(found[first:])) <= 1


@given(baselines, st.lists(logs, max_size=30), st.floats(0.0, 1.0))
@settings(deadline=None, max_examples=50)
def test_a_first_sample_that_is_higher_never_speaks_less_for_a_regression(
    baseline: list[float], watch: list[float], more: float
) -> None:
    if watch:
        one = run(baseline, [watch[0]])[0].tracks[0]
        other = run(baseline, [watch[0] + more])[0].tracks[0]
        assert other.score >= one.score - 1e-9
