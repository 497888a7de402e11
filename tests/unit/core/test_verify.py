"""Verdicts on trials: damage at once, figures with evidence, and nothing from what the setting cannot help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import verify
from pegbox.core.baseline import baseline_of, recent
from pegbox.core.verify import Outcome, bad_sample, damage, judge, load_surged, p_more, regression
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import Guards, Objective, OnNoData, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import PodFacts
from pegbox.model.trials import Baseline, Intent
from tests.unit.core.build import FAST, T0, at, baseline, intent, pod, setting, spec, window, workload

GUARDS = Guards(settle=F(60), trial_window=F(120), trial_timeout=F(1800))
PROFILE = spec(guards=GUARDS, objective=Objective.MAXIMIZE_THROUGHPUT)
THRIFTY = spec(guards=GUARDS)
RAISED = intent(in_force_at=T0)  # settled at 60 s, late after 1800 s
CUT = replace(RAISED, stages=(setting(workers=3, pool=4),))
LOW = {"fast": Attainment(1080.0, 1200.0)}  # 90 % of 95 %
GONE = Missing(Reason.METRICS_UNREACHABLE)


def soon(windows: Sequence[Observation | Missing]) -> datetime:
    """When the last one is seen; not before the trial has settled."""
    return max([at(60), *(w.window.end for w in windows if isinstance(w, Observation))])


def clean(count: int, **changes: Any) -> tuple[Observation, ...]:
    """Disjoint windows from the end of settling on."""
    return tuple(window(180 + 120 * n, **changes) for n in range(count))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        pytest.param(pod(), None, id="a_healthy_pod"),
        pytest.param(pod(oom_killed_at=at(1)), Reason.OOM_KILLED, id="killed_for_memory_after_the_write"),
        pytest.param(pod(oom_killed_at=at(-1)), None, id="killed_before_it"),
        pytest.param(pod(waiting="CrashLoopBackOff"), Reason.CRASH_LOOP, id="crash_loop"),
        pytest.param(
            pod(container_started_at=at(1), restarts=1, ready=False), Reason.CRASH_LOOP, id="restarted_and_ill"
        ),
        pytest.param(pod(container_started_at=at(1), ready=False), None, id="a_new_pod_that_starts"),
        pytest.param(pod(finished=True, oom_killed_at=at(1)), None, id="finished_pods_are_past"),
    ],
)
def test_damage(item: PodFacts, reason: Reason | None) -> None:
    found = damage(intent().started_at, workload(item))
    assert (found.reason if found else None) is reason
    assert found is None or found.harmful


def test_what_the_first_stage_killed_counts_in_the_second() -> None:
    second = intent(stages=(setting(workers=3, pool=4), setting(workers=3, pool=6)), stage=1, stage_at=at(300))
    found = damage(second.started_at, workload(pod(oom_killed_at=at(200))))
    assert found is not None
    assert found.reason is Reason.OOM_KILLED


SATURATED = baseline(load=20.0, throughput=10.0, latency=3.0, slo_shares={})  # serves half


@pytest.mark.parametrize(
    ("seen", "base", "reason"),
    [
        pytest.param(window(), baseline(), None, id="as_before"),
        pytest.param(window(latency=0.2), baseline(), Reason.REGRESSION, id="twice_the_latency"),
        pytest.param(window(latency=0.199), baseline(), None, id="not_quite_twice"),
        pytest.param(window(errors=0.021), baseline(), Reason.ERROR_SURGE, id="two_percent_more_errors"),
        pytest.param(window(errors=0.02), baseline(), None, id="no_more_than_two_percent"),
        pytest.param(
            window(slos={"fast": Attainment(1079, 1200)}), baseline(), Reason.SLO_BREACHED, id="slo_lost"
        ),  # < 90 %
        pytest.param(window(slos={"fast": Attainment(8, 9)}), baseline(), None, id="nine_events_prove_nothing"),
        pytest.param(window(slos=LOW), baseline(slo_shares={"fast": 0.9}), None, id="missed_before_as_well"),
        pytest.param(window(latency=9.0), None, None, id="nothing_to_compare_with"),
        pytest.param(GONE, baseline(), None, id="silence_is_no_bad_sample"),
        pytest.param(
            window(offered_load=20.0, latency=9.0, errors=0.5), SATURATED, None, id="saturated_latency_is_backlog"
        ),
        pytest.param(
            window(offered_load=20.0, throughput=5.0), SATURATED, Reason.REGRESSION, id="saturated_and_halved"
        ),
        pytest.param(window(offered_load=4.0, throughput=4.0), SATURATED, None, id="less_arrives_than_was_served"),
        pytest.param(
            window(offered_load=GONE, throughput=5.0), SATURATED, Reason.REGRESSION, id="halved_at_an_unknown_load"
        ),
    ],
)
def test_a_bad_sample(seen: Observation | Missing, base: Baseline | None, reason: Reason | None) -> None:
    assert bad_sample(seen, base, PROFILE) is reason


@pytest.mark.parametrize(("load", "surged"), [(13.5, False), (13.6, True), (1.0, False)])
def test_a_surge_is_more_than_a_third_above_the_baseline(load: float, surged: bool) -> None:
    assert load_surged(window(offered_load=load), baseline()) is surged


@pytest.mark.parametrize(
    ("profile", "item", "windows", "outcome", "reason"),
    [
        pytest.param(PROFILE, RAISED, (window(100),), Outcome.WAIT, Reason.JUDGING, id="a_window_from_before_is_none"),
        pytest.param(PROFILE, RAISED, clean(1, clean=False), Outcome.WAIT, Reason.JUDGING, id="an_unclean_one_is_none"),
        pytest.param(PROFILE, RAISED, clean(5), Outcome.WAIT, Reason.JUDGING, id="as_good_is_waited_on"),
        pytest.param(PROFILE, RAISED, clean(6), Outcome.REVERT, Reason.NOT_BETTER, id="six_as_good_are_not_better"),
        # log(0.08 / 0.1) = -0.22; sd = 0.05 * sqrt(1/2 + 1/2): z = 4.5
        pytest.param(PROFILE, RAISED, clean(2, latency=0.08), Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="faster"),
        pytest.param(
            PROFILE, RAISED, clean(3, latency=0.15), Outcome.REVERT, Reason.REGRESSION, id="half_as_slow_again"
        ),
        pytest.param(PROFILE, RAISED, clean(3, latency=0.105), Outcome.WAIT, Reason.JUDGING, id="5_percent_is_noise"),
        pytest.param(PROFILE, RAISED, clean(1, slos=LOW), Outcome.REVERT, Reason.SLO_BREACHED, id="the_slo_is_lost"),
        pytest.param(
            PROFILE,
            RAISED,
            clean(2, offered_load=14.0),
            Outcome.INCONCLUSIVE,
            Reason.LOAD_CHANGED,
            id="40_percent_more_load",
        ),
        pytest.param(
            PROFILE,
            RAISED,
            clean(2, offered_load=7.0),
            Outcome.INCONCLUSIVE,
            Reason.LOAD_CHANGED,
            id="30_percent_less_load",
        ),
        pytest.param(THRIFTY, CUT, clean(2), Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="cheaper_and_as_good"),
        pytest.param(THRIFTY, CUT, clean(1), Outcome.WAIT, Reason.JUDGING, id="cheaper_needs_two_windows"),
        pytest.param(PROFILE, CUT, clean(2), Outcome.WAIT, Reason.JUDGING, id="cheaper_counts_for_minimize_cost_only"),
        pytest.param(THRIFTY, RAISED, clean(2), Outcome.WAIT, Reason.JUDGING, id="as_good_but_dearer"),
        pytest.param(
            THRIFTY,
            replace(CUT, baseline=baseline(slo_shares={})),
            clean(2),
            Outcome.WAIT,
            Reason.JUDGING,
            id="cheaper_than_what_is_not_known_to_have_met_its_slos",
        ),
        pytest.param(
            PROFILE,
            replace(RAISED, baseline=baseline(slo_shares={"fast": 0.9})),
            clean(1),
            Outcome.ACCEPT,
            Reason.TRIAL_ACCEPTED,
            id="slos_that_were_missed_are_met",
        ),
        pytest.param(
            PROFILE,
            replace(RAISED, baseline=baseline(slo_shares={})),
            clean(1),
            Outcome.WAIT,
            Reason.JUDGING,
            id="slos_that_were_unknown_are_no_gain_when_met",
        ),
        pytest.param(
            PROFILE,
            replace(RAISED, baseline=baseline(slo_shares={"fast": 0.9})),
            clean(1, slos={"fast": Attainment(99, 99)}),
            Outcome.WAIT,
            Reason.JUDGING,
            id="99_events_do_not_meet_an_slo_that_asks_for_100",
        ),
    ],
)
def test_a_served_load(
    profile: ProfileSpec, item: Intent, windows: tuple[Observation, ...], outcome: Outcome, reason: Reason
) -> None:
    found = judge(profile, item, windows, soon(windows))
    assert (found.outcome, found.reason) == (outcome, reason)
    assert found.harmful is (reason in (Reason.REGRESSION, Reason.SLO_BREACHED))


STUCK = replace(RAISED, baseline=SATURATED)


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        # 1200 events in 120 s against 2400 in 240: 15/10 is log 0.41 at sd sqrt(2/1800 + 2/1200) = 0.05
        pytest.param({"throughput": 15.0}, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="half_as_much_again"),
        pytest.param({"throughput": 10.2}, Outcome.WAIT, Reason.JUDGING, id="2_percent_are_not_worth_it"),
        pytest.param({"throughput": 8.0}, Outcome.REVERT, Reason.REGRESSION, id="a_fifth_less"),
        pytest.param({"throughput": 15.0, "latency": 9.0}, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="slow_but_more"),
        pytest.param({"throughput": 10.0, "latency": 9.0}, Outcome.WAIT, Reason.JUDGING, id="not_judged_on_latency"),
        pytest.param(
            {"offered_load": 6.0, "throughput": 6.0}, Outcome.INCONCLUSIVE, Reason.LOAD_CHANGED, id="the_load_fell_away"
        ),
    ],
)
def test_a_saturated_parent(changes: dict[str, float], outcome: Outcome, reason: Reason) -> None:
    found = judge(PROFILE, STUCK, clean(1, **{"offered_load": 20.0, **changes}), at(181))
    assert (found.outcome, found.reason) == (outcome, reason)


def test_more_throughput_never_pays_for_an_slo_that_the_parent_met() -> None:
    base = replace(SATURATED, slo_shares={"fast": 0.97})
    seen = clean(1, offered_load=20.0, throughput=15.0, slos=LOW)
    assert judge(PROFILE, replace(RAISED, baseline=base), seen, at(400)).reason is Reason.SLO_BREACHED


def with_policy(policy: OnNoData) -> ProfileSpec:
    return replace(PROFILE, slos=(replace(FAST, on_no_data=policy),))


@pytest.mark.parametrize(
    ("policy", "newest", "seconds", "outcome", "reason"),
    [
        pytest.param(OnNoData.HOLD, GONE, 400, Outcome.WAIT, Reason.METRICS_UNREACHABLE, id="hold_waits"),
        pytest.param(
            OnNoData.HOLD, GONE, 1801, Outcome.INCONCLUSIVE, Reason.METRICS_UNREACHABLE, id="hold_ends_in_time"
        ),
        # the last window with data ended at 180 s; a window is 120 s long
        pytest.param(OnNoData.REVERT, GONE, 300, Outcome.WAIT, Reason.METRICS_UNREACHABLE, id="revert_bears_a_gap"),
        pytest.param(OnNoData.REVERT, GONE, 301, Outcome.REVERT, Reason.METRICS_UNREACHABLE, id="revert_reverts"),
        pytest.param(OnNoData.IGNORE, GONE, 301, Outcome.WAIT, Reason.JUDGING, id="ignore_goes_on_with_what_it_has"),
        pytest.param(
            OnNoData.REVERT, window(301, slos={}), 301, Outcome.REVERT, Reason.NO_DATA, id="no_row_of_the_slo"
        ),
        pytest.param(OnNoData.REVERT, window(301), 301, Outcome.WAIT, Reason.JUDGING, id="data_goes_on"),
        # an interval of 30 s: what ended more than 60 s ago is no answer
        pytest.param(OnNoData.REVERT, window(260), 320, Outcome.WAIT, Reason.JUDGING, id="of_60_s_ago"),
        pytest.param(OnNoData.REVERT, window(260), 321, Outcome.REVERT, Reason.STALE_DATA, id="older_it_is_none"),
        pytest.param(OnNoData.HOLD, window(260), 321, Outcome.WAIT, Reason.STALE_DATA, id="older_hold_waits"),
        pytest.param(OnNoData.IGNORE, window(260), 321, Outcome.WAIT, Reason.JUDGING, id="older_ignore_goes_on"),
    ],
)
def test_on_no_data(
    policy: OnNoData, newest: Observation | Missing, seconds: int, outcome: Outcome, reason: Reason
) -> None:
    found = judge(with_policy(policy), RAISED, clean(1), at(seconds), newest)
    assert (found.outcome, found.reason) == (outcome, reason)
    assert not found.harmful


@pytest.mark.parametrize("item", [RAISED, replace(RAISED, baseline=None)], ids=["compared", "with_no_parents_window"])
def test_revert_acts_where_there_never_was_any_data(item: Intent) -> None:
    # settled at 60 s, one window's length later
    assert judge(with_policy(OnNoData.REVERT), item, (), at(180), GONE).outcome is Outcome.WAIT
    assert judge(with_policy(OnNoData.REVERT), item, (), at(181), GONE).outcome is Outcome.REVERT


@pytest.mark.parametrize(
    ("item", "seconds", "outcome", "reason"),
    [
        pytest.param(intent(), 10**6, Outcome.WAIT, Reason.JUDGING, id="what_is_not_in_force_is_not_judged"),
        pytest.param(RAISED, 59, Outcome.WAIT, Reason.SETTLING, id="settling"),
        pytest.param(replace(RAISED, baseline=None), 1800, Outcome.WAIT, Reason.JUDGING, id="without_a_baseline"),
        pytest.param(
            replace(RAISED, baseline=None), 1801, Outcome.INCONCLUSIVE, Reason.NO_DATA, id="without_a_baseline_it_ends"
        ),
    ],
)
def test_every_trial_ends(item: Intent, seconds: int, outcome: Outcome, reason: Reason) -> None:
    found = judge(PROFILE, item, clean(1), at(seconds), window(seconds))
    assert (found.outcome, found.reason) == (outcome, reason)


def test_missing_figures_end_inconclusive_and_not_as_a_failure() -> None:
    seen = clean(6, throughput=GONE)
    assert judge(PROFILE, RAISED, seen, at(1801)).outcome is Outcome.INCONCLUSIVE


def test_the_baseline_is_of_clean_windows_without_a_draining_backlog() -> None:
    found = baseline_of((window(latency=0.1), window(latency=0.4), window(latency=9.0, throughput=12.0)))
    assert found is not None
    assert found.windows == 2
    assert found.latency == pytest.approx(0.2)  # the geometric mean of 0.1 and 0.4
    assert found.slo_shares == {"fast": 0.99}
    assert baseline_of((window(clean=False), window(throughput=12.0))) is None


def test_p_more_by_a_worked_row() -> None:
    # 20 events in 20 s against 10 per second over 20 s: var = 2/20 + 2/200, z = ln 0.1 / 0.332 = -6.9
    assert p_more(20, 20, 10.0, 20) < 1e-9
    assert p_more(200, 20, 10.0, 20) == pytest.approx(0.5)
    assert (p_more(0, 20, 10.0, 20), p_more(5, 20, 0.0, 20)) == (0.0, 1.0)


def test_a_regression_needs_more_than_the_minimum_effect() -> None:
    assert not regression(baseline(), [0.11] * 50)  # 10 % exactly, however long
    assert regression(baseline(), [0.13] * 6)
    assert not regression(baseline(), [])


def test_a_doubling_is_told_by_two_windows_though_the_parent_scatters_by_a_fifth() -> None:
    # v = 0.2^2 (1/2 + 1/5) = 0.028, z = ln 2 - ln 1.1 = 0.598. By shift and share:
    # ln(0.2) + (0.310 * 0.598 - 0.310^2 / 2) / 0.028 = 3.3 and ln(0.2) + 0.598^2 / 2 / 0.028 = 4.8: together 5.0 > ln 100
    # A single normal mixture of sd ln 1.1 had -0.14 + 1.56 = 1.4 here.
    parent = replace(baseline(), latency_sd=0.2, windows=5)
    assert regression(parent, [2 * parent.latency] * 2)
    assert not regression(parent, [2 * parent.latency])
    assert not regression(parent, [1.2 * parent.latency] * 2)


def test_what_is_cheaper_only_gives_back() -> None:
    assert verify.cheaper(CUT)
    assert not verify.cheaper(RAISED)


@pytest.mark.parametrize(
    ("profile", "seconds", "kept"),
    [
        # windows of 120 s, interval 30 s; or intervals of ten minutes, of which twelve are two hours
        pytest.param(spec(), 3600, 2, id="an hour ago"),
        pytest.param(spec(), 3601, 1, id="more"),
        pytest.param(spec(), 8 * 3600, 0, id="before a night without figures"),
        pytest.param(spec(interval=F(600)), 7200, 2, id="two hours, looked at seldom"),
        pytest.param(spec(interval=F(600)), 7201, 1, id="more than twelve intervals"),
    ],
)
def test_windows_are_held_against_what_is_now_as_long_as_they_are_young(
    profile: ProfileSpec, seconds: float, kept: int
) -> None:
    windows = (window(0), window(120))
    assert recent(profile, windows, at(seconds)) == windows[2 - kept :]
