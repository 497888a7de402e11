"""What every look says of the load becomes regular steps; what is not known is a gap, and never zero."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.model.observations import Missing, Observation
from pegbox.model.prediction import LoadForecast
from pegbox.model.profile import Guards, ProfileSpec, Purpose, Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.runtime.loads import Loads, reach
from tests.unit.core.build import at, pod, snapshot, spec, window, workload

ARRIVALS = Signal("arrivals", SignalKind.RATE, Purpose.LOAD, "rate(a{$matchers}[$window])")
PROFILE = spec(signals=(ARRIVALS,))  # looked at every 30 s, windows of 120 s: steps of 60 s
NEEDED = 49 + 3  # scores of the .98 quantile, and the three steps until the first outcome


class Looks:
    """Looks at one profile, `every` so many seconds."""

    def __init__(self, profile: ProfileSpec = PROFILE, every: float = 30.0, target: str = "target-1") -> None:
        self.loads, self.profile, self.every, self.target = Loads(), profile, every, target
        self.now = -1.0  # so that sixty seconds are one step
        self.said: LoadForecast | Missing = Missing(Reason.NO_DATA)

    def look(self, load: float | Missing | Observation, *, late: float = 0.0) -> LoadForecast | Missing:
        """One look; the window that it sees ended `late` seconds ago."""
        self.now += self.every
        seen: Any = load if isinstance(load, Observation | Missing) else window(self.now - late, offered_load=load)
        facts = snapshot(self.profile, workload=workload(uid=self.target))
        self.said = self.loads.look(facts, seen, at(self.now))
        return self.said

    def minutes(self, count: int, load: float | Missing = 100.0, **how: float) -> LoadForecast | Missing:
        for _ in range(round(count * 60 / self.every)):
            self.look(load, **how)
        return self.said


def upper(said: LoadForecast | Missing) -> float:
    assert isinstance(said, LoadForecast), said
    return said.upper


def test_a_steady_load_is_told_three_minutes_ahead_once_there_is_enough() -> None:
    looks = Looks()
    assert isinstance(looks.minutes(NEEDED - 1), Missing)
    said = looks.minutes(3)
    assert isinstance(said, LoadForecast)
    assert (said.now, said.horizon, said.level) == (100.0, 180.0, 0.98)  # 30 s + 60 s + half of 120 s, in steps
    assert said.upper == pytest.approx(100.0, rel=0.02)


def test_with_too_little_history_it_says_how_much_is_lacking() -> None:
    """Ten loads at steps 1 to 10: seven forecasts of three steps met their outcome, of 49."""
    said = Looks().minutes(10)
    assert said == Missing(Reason.LEARNING, "42 more steps with load, for the 0.98 quantile (a step is 60 s)")


@pytest.mark.parametrize(("every", "late"), [(5.0, 0.0), (30.0, 0.0), (30.0, 29.0), (13.0, 12.0), (59.0, 0.0)])
def test_however_often_it_is_looked_at_a_minute_is_one_step(every: float, late: float) -> None:
    """Of many looks in a step the first counts; an answer that was read before belongs where its window ended."""
    looks = Looks(every=every)
    looks.minutes(40, late=late)
    forecaster = looks.loads._forecaster
    assert forecaster is not None
    assert abs(forecaster.history.steps - 40) <= 1 and forecaster.history.known == forecaster.history.steps


def test_looks_that_come_late_leave_no_gap() -> None:
    """An interval of 60 s makes steps of 120 s: each look 1 s late, and still a load in every step."""
    looks = Looks(replace(PROFILE, interval=F(60)), every=61.0)
    looks.minutes(300)
    forecaster = looks.loads._forecaster
    assert forecaster is not None and forecaster.step == 120.0
    assert forecaster.history.known == forecaster.history.steps > 140


@pytest.mark.parametrize(
    "nothing",
    [Missing(Reason.NO_DATA), math.nan, math.inf, -5.0, 1e300],
    ids=["missing", "nan", "infinite", "negative", "beyond_sense"],
)
def test_what_is_no_load_is_a_gap_and_no_fall(nothing: float | Missing) -> None:
    looks = Looks()
    before = upper(looks.minutes(90))
    after = looks.minutes(3, nothing)
    assert upper(after) == pytest.approx(before) and isinstance(after, LoadForecast) and after.now == 100.0


def test_a_window_without_its_load_is_a_gap_too() -> None:
    looks = Looks()
    before = upper(looks.minutes(90))
    silent = window(looks.now + 30, offered_load=Missing(Reason.PARTIAL_DATA))
    assert upper(looks.look(silent)) == pytest.approx(before)


def test_after_minutes_of_silence_nothing_is_said_and_one_load_is_enough_to_speak_again() -> None:
    looks = Looks()
    looks.minutes(90)
    assert isinstance(looks.minutes(4, Missing(Reason.NO_DATA)), LoadForecast)
    said = looks.minutes(4, Missing(Reason.NO_DATA))
    assert isinstance(said, Missing) and said.reason is Reason.STALE_DATA
    assert isinstance(looks.look(100.0), LoadForecast)


def test_no_more_is_told_than_the_largest_rise_that_was_seen() -> None:
    """An hour at 25/s, then hills. A score relative to an hour without any error made 200,000/s of them."""
    looks = Looks()
    looks.minutes(75, 25.0)
    tops = []
    for _ in range(3):
        for load in (25.0, 30.0, 35.0, 40.0, 45.0, 40.0, 35.0, 30.0, *[25.0] * 12):
            tops.append((load, upper(looks.minutes(1, load))))
    assert max(upper / load for load, upper in tops) <= 40.0 / 25.0 * 1.01  # three steps of 5/s
    assert tops[-1][1] > 30.0, "and the hill to come is not forgotten"


def test_a_load_of_zero_is_a_load() -> None:
    looks = Looks()
    looks.minutes(90)
    said = looks.minutes(30, 0.0)
    assert isinstance(said, LoadForecast) and said.now == 0.0 and said.upper < 50.0


def test_windows_that_are_not_clean_tell_the_load_all_the_same() -> None:
    """A rollout or a trial changes what is served, not what is asked for."""
    looks = Looks()
    looks.minutes(90)
    for _ in range(30):
        looks.look(window(looks.now + 30, offered_load=200.0, clean=False, unclean_reason=Reason.SCALED))
    assert isinstance(looks.said, LoadForecast) and looks.said.now == 200.0


@pytest.mark.parametrize(
    "other",
    [
        {"target": "target-2"},
        {"profile": replace(PROFILE, signals=(replace(ARRIVALS, expr="rate(b{$matchers}[$window])"),))},
        {"profile": replace(PROFILE, matchers=(("queue", "orders"),))},
        {"profile": replace(PROFILE, guards=Guards(trial_window=F(600)))},
    ],
    ids=["another_target", "another_signal", "other_matchers", "another_window"],
)
def test_another_load_is_learned_anew(other: dict[str, Any]) -> None:
    looks = Looks()
    assert isinstance(looks.minutes(90), LoadForecast)
    vars(looks).update(other)
    said = looks.look(100.0)
    assert isinstance(said, Missing) and said.reason is Reason.LEARNING


def test_an_edit_that_changes_no_load_forgets_nothing() -> None:
    """The twin."""
    looks = Looks()
    looks.minutes(90)
    looks.profile = replace(PROFILE, generation=2, guards=Guards(cooldown=F(5)))
    assert isinstance(looks.look(100.0), LoadForecast)


@pytest.mark.parametrize("jump", [-3600.0, 30 * 86400.0], ids=["back_by_an_hour", "nobody_looked_for_a_month"])
def test_a_clock_that_jumps_far_makes_it_begin_again(jump: float) -> None:
    looks = Looks()
    looks.minutes(90)
    looks.now += jump
    said = looks.look(100.0)
    assert isinstance(said, Missing) and said.reason is Reason.LEARNING
    assert isinstance(looks.minutes(NEEDED + 1), LoadForecast)


def test_a_clock_set_back_by_a_second_forgets_nothing() -> None:
    looks = Looks()
    looks.minutes(90)
    looks.now -= 31.0
    assert isinstance(looks.look(100.0), LoadForecast)


def test_without_a_target_or_a_signal_it_says_so_and_forgets_nothing() -> None:
    looks = Looks()
    looks.minutes(90)
    gone = Missing(Reason.TARGET_NOT_FOUND)
    assert looks.loads.look(snapshot(PROFILE, workload=gone), gone, at(looks.now)) == gone
    assert isinstance(looks.look(100.0), LoadForecast)
    unsaid = Loads().look(snapshot(spec()), window(), at(0))
    assert unsaid == Missing(Reason.NOT_REPORTED, "class python-worker has no signal for Load")


@pytest.mark.parametrize(
    ("start_ups", "steps"),
    [
        pytest.param([], 3, id="nobody_tells_60_s"),  # 30 + 60 + 60 = 150 s
        pytest.param([20.0, 25.0, 30.0], 2, id="fast_pods"),  # 30 + 25 + 60 = 115 s
        pytest.param([20.0, 25.0, 90_000.0], 2, id="one_was_ready_before"),
        pytest.param([250.0], 8, id="slow_pods"),  # 340 s: six steps, so eight
        pytest.param([600.0], 12, id="the_slowest"),  # 690 s
        pytest.param([601.0], 3, id="beyond_it_nobody_tells"),
    ],
)
def test_the_horizon_is_the_delay_until_new_pods_serve(start_ups: list[float], steps: int) -> None:
    pods = [pod(f"p{i}", start_up=seconds) for i, seconds in enumerate(start_ups)] or [pod()]
    assert reach(PROFILE, workload(*pods), 60.0) == steps


def test_pods_that_start_faster_change_nothing_and_slower_ones_begin_anew() -> None:
    """Or each new pod would cost an hour of learning."""
    loads = Loads()
    for start_up, said in ((60.0, True), (10.0, True), (300.0, False)):
        facts = snapshot(PROFILE, workload=workload(pod(start_up=start_up)))
        begun = loads._forecaster
        loads.look(facts, window(), at(0))
        assert (begun is None or loads._forecaster is begun) is said
