"""A stream judged sample by sample: what is a regression is found, what is drift, load or chance is not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest

from pegbox.core import sequential
from pegbox.core.sequential import Finding, Sample, State, begin, mixture, step
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

GONE = Missing(Reason.NO_DATA)
WAVE = [math.exp(0.15 * math.sin(2.4 * n)) for n in range(200)]  # 15 % up and down, no two alike


def stream(count: int, level: float = 100.0, start: int = 0) -> list[Sample]:
    return [Sample(level * WAVE[start + n]) for n in range(count)]


def begun(baseline: Sequence[Sample] | None = None, tick: float = 30.0) -> State:
    state = begin(stream(40) if baseline is None else baseline, tick)
    assert isinstance(state, State)
    return state


def found_at(state: State, samples: Iterable[Sample]) -> tuple[Finding, int]:
    """What is found first, and after how many samples."""
    for count, sample in enumerate(samples, 1):
        state, verdict = step(state, sample)
        if verdict.found is not Finding.NONE:
            return verdict.found, count
    return Finding.NONE, 0


def test_the_mixture_by_a_worked_row() -> None:
    # z = 0.2, v = 0.01: S = 20, I = 100. d = 0.1278, 0.3102, 0.5978: exp(1.740), exp(1.393), exp(-5.914), by 0.6 0.2 0.2
    assert mixture(20.0, 100.0) == pytest.approx(math.log(0.6 * 5.695 + 0.2 * 4.028 + 0.2 * 0.0027), abs=1e-3)
    assert mixture(0.0, 0.0) == pytest.approx(0.0)


def test_no_change_is_none() -> None:
    assert found_at(begun(), stream(60, start=40)) == (Finding.NONE, 0)


@pytest.mark.parametrize(("rise", "ticks"), [(1.25, 16), (1.5, 6), (2.1, 2)])
def test_a_shift_is_found_in_time(rise: float, ticks: int) -> None:
    finding, count = found_at(begun(), stream(60, 100.0 * rise, start=40))
    assert finding is not Finding.NONE
    assert 2 <= count <= ticks


def test_what_is_less_than_the_minimum_effect_worse_is_not_found() -> None:
    assert found_at(begun(), stream(60, 109.0, start=40)) == (Finding.NONE, 0)


def test_an_improvement_is_not_found() -> None:
    assert found_at(begun(), stream(60, 30.0, start=40)) == (Finding.NONE, 0)


def test_one_outlier_is_chance_and_two_in_a_row_are_a_surge() -> None:
    calm = stream(10, start=40)
    assert found_at(begun(), [*calm, Sample(5000.0), *stream(49, start=50)]) == (Finding.NONE, 0)
    assert found_at(begun(), [Sample(5000.0), *stream(49, start=50)]) == (Finding.NONE, 0)
    finding, count = found_at(begun(), [*calm, Sample(5000.0), Sample(5000.0)])
    assert (finding, count) == (Finding.SURGE, 12)


def test_a_baseline_that_doubles_by_itself_asks_more_of_a_surge() -> None:
    wild = [Sample(100.0 * math.exp(0.7 * math.sin(2.4 * n))) for n in range(40)]
    assert begun(wild).reference.surge > math.log(2.0)
    assert begun().reference.surge == math.log(2.0)


@pytest.mark.parametrize("bad", [GONE, 0.0, -1.0, math.nan, math.inf])
def test_a_sample_that_is_missing_changes_nothing(bad: float | Missing) -> None:
    state, _ = step(begun(), Sample(130.0))
    after, verdict = step(state, Sample(bad))
    assert after == state
    assert verdict.found is Finding.NONE


def test_a_surge_is_two_samples_in_a_row_of_those_that_are_known() -> None:
    assert found_at(begun(), [Sample(500.0), Sample(GONE), Sample(500.0)]) == (Finding.SURGE, 3)


def test_a_finding_stays() -> None:
    state = begun()
    for sample in [*stream(10, 300.0), *stream(40)]:
        state, verdict = step(state, sample)
    assert verdict.found is Finding.SURGE


def test_harm_that_comes_twenty_minutes_late_is_found_within_five() -> None:
    late = [*stream(40, start=40), *stream(30, 150.0, start=80)]
    finding, count = found_at(begun(), late)
    assert finding is Finding.SLOWER
    assert 40 < count <= 50


def test_later_starts_are_tried_ever_more_seldom() -> None:
    state, at = begun(), {}
    for count in range(1, 130):
        state, _ = step(state, Sample(100.0))
        at.setdefault(len(state.tracks), count)
    assert at == {1: 1, 2: 16, 3: 31, 4: 61, 5: 121}
    assert sum(t.weight for t in state.tracks) < 1.0


@pytest.mark.parametrize(("tick", "count"), [(10.0, 120), (60.0, 20), (150.0, 8)])
def test_other_ticks_are_judged_too(tick: float, count: int) -> None:
    state = begun(stream(count), tick)
    assert found_at(state, stream(60, start=count)) == (Finding.NONE, 0)
    assert found_at(state, stream(60, 150.0, start=count))[0] is not Finding.NONE


def test_seven_samples_are_no_baseline() -> None:
    found = begin([*stream(7), Sample(GONE), Sample(0.0)], 30.0)
    assert isinstance(found, Missing)
    assert found.reason is Reason.LEARNING


def beside(own: float, control: float, count: int, start: int = 0) -> list[Sample]:
    return [Sample(own * WAVE[start + n], control * WAVE[start + n]) for n in range(count)]


def test_what_befalls_the_control_as_well_is_no_regression() -> None:
    state = begun(beside(100.0, 120.0, 40))
    assert found_at(state, beside(180.0, 216.0, 60, 40)) == (Finding.NONE, 0)
    assert found_at(state, beside(180.0, 120.0, 60, 40))[0] is Finding.SLOWER
    assert found_at(begun(), stream(60, 180.0, start=40))[0] is not Finding.NONE  # the same without its control


def test_without_the_control_of_that_moment_a_sample_tells_nothing() -> None:
    state = begun(beside(100.0, 120.0, 40))
    after, _ = step(state, Sample(500.0, GONE))
    assert after == state


def loaded(count: int, load: Iterable[float], factor: float = 1.0, start: int = 0) -> list[Sample]:
    """Latency grows as load does."""
    return [
        Sample(factor * each * WAVE[start + n], load=each)
        for n, each in zip(range(count), list(load) * 60, strict=False)
    ]


def test_latency_that_follows_offered_load_is_no_regression() -> None:
    state = begun(loaded(40, [90.0, 110.0, 100.0]))
    assert found_at(state, loaded(60, [125.0], start=40)) == (Finding.NONE, 0)
    assert found_at(state, loaded(60, [100.0], factor=1.25, start=40))[0] is Finding.SLOWER


def test_a_surge_of_load_excuses_everything_and_a_fall_nothing() -> None:
    state = begun(loaded(40, [90.0, 110.0, 100.0]))
    surged = [Sample(5000.0, load=140.0)] * 10
    assert found_at(state, surged) == (Finding.NONE, 0)
    assert found_at(state, [Sample(5000.0, load=10.0)] * 2) == (Finding.SURGE, 2)
    assert found_at(state, [Sample(5000.0, load=GONE)] * 10) == (Finding.NONE, 0)


def test_load_that_never_moved_makes_the_test_careful_when_it_does() -> None:
    state = begun(loaded(40, [100.0]))
    still, _ = step(state, loaded(1, [100.0], 1.3, 40)[0])
    moved, _ = step(state, loaded(1, [130.0], 1.3, 40)[0])
    assert moved.tracks[0].information < still.tracks[0].information


def failing(count: int, errors: float) -> list[Sample]:
    return [Sample(100.0, errors=errors, requests=1000.0) for _ in range(count)]


def test_errors_are_found_though_latency_is_as_before() -> None:
    state = begun(failing(40, 10))
    assert found_at(state, failing(60, 11)) == (Finding.NONE, 0)
    assert found_at(state, failing(60, 50))[0] is Finding.ERRORS
    missing = [Sample(100.0, errors=GONE, requests=1000.0)] * 60
    assert found_at(state, missing) == (Finding.NONE, 0)


def test_without_errors_before_none_are_judged() -> None:
    assert found_at(begun(), failing(60, 900))[0] is not Finding.ERRORS


def test_the_shifts_that_matter_are_weighed_to_one() -> None:
    assert sum(share for _, share in sequential.SHIFTS) == pytest.approx(1.0)
    assert sequential.SHIFTS[0][0] == pytest.approx(math.log(1.25 / 1.10))
