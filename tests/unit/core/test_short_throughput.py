"""What arrives and is no longer served: told at once, judged before all else, and never taken for a gain.

The parent served its load: 10 events/s of 10, over two windows of 120 s. What completes may look as good as before, since
latency and SLOs are of what completes.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.cut_short import must_end, note_sample
from pegbox.core.verify import Outcome, bad_for, bad_sample, falls_short, judge
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import Guards, Objective, OnNoData, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import Baseline, Intent, TrialState
from tests.unit.core.build import FAST, T0, at, baseline, intent, setting, snapshot, spec, under_way, window, workload

GUARDS = Guards(settle=F(60), trial_window=F(120), trial_timeout=F(1800))
THRIFTY = spec(guards=GUARDS)
RAISED = intent(in_force_at=T0, applied_at=T0)
CUT = replace(RAISED, stages=(setting(workers=3, pool=4),))
WALKED = replace(CUT, reason=Reason.LIMITS_NARROWED)
AHEAD = replace(RAISED, reason=Reason.AHEAD_OF_LOAD)
UNKNOWN = Missing(Reason.NO_DATA)
NO_EVENTS = Missing(Reason.TOO_FEW_EVENTS, "no events in the window")
SATURATED = baseline(load=20.0, throughput=10.0, latency=3.0, slo_shares={})


def stalled(end: float = 0, **changes: Any) -> Observation:
    """10 events/s arrive, none leaves: so none has a latency, failed, or was fast."""
    silent = {"latency": NO_EVENTS, "errors": NO_EVENTS, "slos": {"fast": NO_EVENTS}}
    return window(end, **{"throughput": 0.0, **silent, **changes})


def clean(count: int, **changes: Any) -> tuple[Observation, ...]:
    return tuple(window(180 + 120 * n, **changes) for n in range(count))


@pytest.mark.parametrize(
    ("seen", "base", "bad"),
    [
        pytest.param(window(throughput=5.0), baseline(), True, id="half_at_unchanged_latency"),
        pytest.param(window(throughput=5.1), baseline(), False, id="not_quite_half"),
        pytest.param(stalled(), baseline(), True, id="nothing_at_all_and_no_latency"),
        pytest.param(stalled(offered_load=0.0), baseline(), False, id="nothing_arrives"),
        pytest.param(stalled(offered_load=UNKNOWN), baseline(), False, id="nobody_knows_what_arrives"),
        pytest.param(window(throughput=UNKNOWN), baseline(), False, id="nobody_knows_what_leaves"),
        pytest.param(window(offered_load=4.0, throughput=4.0), baseline(), False, id="less_arrives_and_is_served"),
        pytest.param(window(offered_load=4.0, throughput=3.8), baseline(), False, id="less_arrives_and_most_is_served"),
        pytest.param(window(offered_load=4.0, throughput=2.0), baseline(), True, id="half_of_less"),
        # 7 in 120 s, none served: ln 7 / sqrt(2 + 2/14) = 1.33 sd, P = 0.092; of 6: 1.22 sd, P = 0.112
        pytest.param(stalled(offered_load=7 / 120), baseline(), True, id="none_of_seven"),
        pytest.param(stalled(offered_load=6 / 120), baseline(), False, id="none_of_six_may_be_chance"),
        pytest.param(stalled(whole=False), baseline(), False, id="samples_of_a_part_of_the_pods"),
        pytest.param(stalled(offered_load=20.0), SATURATED, True, id="a_parent_that_did_not_serve"),
        pytest.param(window(offered_load=5.0, throughput=4.8), SATURATED, False, id="less_arrives_there_as_well"),
    ],
)
def test_a_bad_sample(seen: Observation, base: Baseline, bad: bool) -> None:
    assert bad_sample(seen, base, THRIFTY) is (Reason.REGRESSION if bad else None)


@pytest.mark.parametrize(
    ("item", "seen", "reason"),
    [
        pytest.param(WALKED, window(throughput=5.0), None, id="a_limit_outranks_throughput"),
        pytest.param(WALKED, stalled(), Reason.REGRESSION, id="but_not_all_of_it"),
        pytest.param(AHEAD, window(throughput=5.0), Reason.REGRESSION, id="ahead_of_a_load_that_did_not_come"),
        pytest.param(AHEAD, window(offered_load=11.1, throughput=5.0), None, id="what_more_load_does"),
    ],
)
def test_a_bad_sample_of_one_trial(item: Intent, seen: Observation, reason: Reason | None) -> None:
    assert bad_for(item, seen, THRIFTY) is reason


@pytest.mark.parametrize("policy", list(OnNoData), ids=lambda policy: policy.value)
def test_two_stalled_windows_end_the_trial_whatever_is_said_of_silence(policy: OnNoData) -> None:
    profile = spec(guards=GUARDS, slos=(replace(FAST, on_no_data=policy),))
    seen = snapshot(profile, under_way(RAISED))
    for end in (30, 45):
        assert must_end(seen, workload(), at(end), 0.0) is None
        seen = note_sample(replace(seen, observation=stalled(end)))
    ended = must_end(seen, workload(), at(45), 0.0)
    assert ended is not None
    assert (ended.state, ended.reason, ended.counted) == (TrialState.REVERTED, Reason.REGRESSION, True)


def test_under_a_surge_of_load_nobody_is_blamed() -> None:
    surged = stalled(45, offered_load=13.6)
    ended = must_end(
        snapshot(THRIFTY, under_way(replace(RAISED, bad_samples=2)), observation=surged), workload(), at(45), 0.0
    )
    assert ended is not None
    assert (ended.state, ended.reason, ended.counted) == (TrialState.INCONCLUSIVE, Reason.LOAD_CHANGED, False)


FASTER = {"latency": 0.08}


@pytest.mark.parametrize(
    ("item", "changes", "outcome", "reason"),
    [
        pytest.param(CUT, {}, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="cheaper_and_all_is_served"),
        # 8.5 of 10: P(more) = phi(ln 0.85 / sqrt(2/2040 + 2/2400)) = phi(-3.8)
        pytest.param(CUT, {"throughput": 8.5}, Outcome.REVERT, Reason.REGRESSION, id="cheaper_and_serves_less"),
        pytest.param(CUT, {"throughput": 9.5}, Outcome.WAIT, Reason.JUDGING, id="95_percent_are_not_accepted"),
        pytest.param(RAISED, FASTER, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="faster_and_all_is_served"),
        pytest.param(
            RAISED, {"throughput": 8.5} | FASTER, Outcome.REVERT, Reason.REGRESSION, id="faster_and_serves_less"
        ),
        pytest.param(
            RAISED, {"throughput": 9.5} | FASTER, Outcome.WAIT, Reason.JUDGING, id="faster_with_95_percent_waits"
        ),
        pytest.param(
            CUT, {"offered_load": 8.0, "throughput": 8.0}, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="less_arrives"
        ),
        pytest.param(
            CUT, {"throughput": 8.5, "whole": False}, Outcome.WAIT, Reason.NO_DATA, id="of_a_part_of_the_pods"
        ),
        pytest.param(WALKED, {"throughput": 8.5}, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="a_limit_may_cost"),
        pytest.param(
            WALKED, {"throughput": 0.0, "latency": NO_EVENTS}, Outcome.REVERT, Reason.REGRESSION, id="not_everything"
        ),
        pytest.param(AHEAD, {}, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="ready_ahead_and_all_is_served"),
        pytest.param(AHEAD, {"throughput": 9.5}, Outcome.WAIT, Reason.JUDGING, id="ahead_and_not_all_is_served"),
        pytest.param(
            AHEAD,
            {"offered_load": 12.0, "throughput": 9.0},
            Outcome.ACCEPT,
            Reason.TRIAL_ACCEPTED,
            id="the_load_came_and_is_more_than_it_bears",
        ),
    ],
)
def test_two_clean_windows(item: Intent, changes: dict[str, Any], outcome: Outcome, reason: Reason) -> None:
    found = judge(THRIFTY, item, clean(2, **changes), at(310))
    assert (found.outcome, found.reason) == (outcome, reason)
    assert found.harmful is (reason is Reason.REGRESSION)


@pytest.mark.parametrize("served", [9.5, 10.0])
def test_slos_that_are_met_now_are_no_gain_for_what_is_not_served(served: float) -> None:
    profile = replace(THRIFTY, objective=Objective.MAXIMIZE_THROUGHPUT)
    missed = replace(RAISED, baseline=baseline(slo_shares={"fast": 0.9}))
    found = judge(profile, missed, clean(1, throughput=served), at(190))
    assert (found.outcome is Outcome.ACCEPT) is (served == 10.0)


@pytest.mark.parametrize("policy", list(OnNoData), ids=lambda policy: policy.value)
def test_a_stall_is_judged_where_latency_and_slos_are_silent(policy: OnNoData) -> None:
    profile = spec(guards=GUARDS, slos=(replace(FAST, on_no_data=policy),))
    windows = (stalled(180), stalled(300))
    assert judge(profile, RAISED, windows, at(301)).reason is Reason.REGRESSION
    idle = tuple(replace(w, offered_load=0.0) for w in windows)
    assert not judge(profile, RAISED, idle, at(301)).harmful, "the twin: nothing arrives"


def test_six_windows_of_nearly_all_are_not_better() -> None:
    found = judge(THRIFTY, CUT, clean(6, throughput=9.5), at(780))
    assert (found.outcome, found.reason, found.harmful) == (Outcome.REVERT, Reason.NOT_BETTER, False)


def test_windows_are_paired_with_what_arrived_in_them() -> None:
    """5/s served of an unknown load beside 10/s of 10: the one says nothing, and the other is all of it."""
    seen = (window(180, offered_load=UNKNOWN, throughput=5.0), window(300))
    assert not falls_short(baseline(), seen, 0.94)
    assert falls_short(baseline(), (replace(seen[0], offered_load=10.0), seen[1]), 0.94)


# --- trials that need no gain, at trialTimeout

WITHOUT = [pytest.param(WALKED, id="limits"), pytest.param(AHEAD, id="ahead")]


@pytest.mark.parametrize("item", WITHOUT)
@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(spec(guards=GUARDS, slos=()), id="no_slo"),
        pytest.param(spec(guards=GUARDS, slos=(replace(FAST, on_no_data=OnNoData.IGNORE),)), id="ignored"),
    ],
)
@pytest.mark.parametrize(
    ("windows", "newest", "seconds", "outcome"),
    [
        pytest.param(1, Missing(Reason.METRICS_UNREACHABLE), 1801, Outcome.INCONCLUSIVE, id="one_and_silence"),
        pytest.param(1, stalled(1801, offered_load=0.0), 1801, Outcome.INCONCLUSIVE, id="one_and_no_latency"),
        pytest.param(1, window(1801), 1801, Outcome.ACCEPT, id="one_and_data_to_the_end"),
        pytest.param(1, window(1801, clean=False), 1801, Outcome.ACCEPT, id="an_unclean_look_is_data"),
        pytest.param(2, Missing(Reason.METRICS_UNREACHABLE), 1801, Outcome.INCONCLUSIVE, id="two_and_silence"),
        pytest.param(2, window(1801), 1801, Outcome.ACCEPT, id="two_are_enough"),
        pytest.param(1, Missing(Reason.METRICS_UNREACHABLE), 1800, Outcome.WAIT, id="there_is_time"),
    ],
)
def test_without_gain_at_the_timeout(
    item: Intent, profile: ProfileSpec, windows: int, newest: Observation | Missing, seconds: int, outcome: Outcome
) -> None:
    found = judge(profile, item, clean(windows), at(seconds), newest)
    assert found.outcome is outcome
    if outcome is Outcome.INCONCLUSIVE:
        assert found.reason in (Reason.NO_DATA, Reason.METRICS_UNREACHABLE) and not found.harmful


@pytest.mark.parametrize(
    ("rates", "outcome"),
    [
        # 1020 of 1200 events: P(more) = Phi(ln 0.85 / sqrt(2 / 1020 + 2 / 2400)) = 0.001
        pytest.param([8.5], Outcome.WAIT, id="one_may_come_after_a_lull"),
        pytest.param([8.5, 10.5], Outcome.WAIT, id="and_is_made_up_for"),
        pytest.param([8.5, 8.5], Outcome.REVERT, id="two_do_not"),
    ],
)
def test_what_is_served_lags_what_arrives(rates: list[float], outcome: Outcome) -> None:
    seen = tuple(window(180 + 120 * n, throughput=rate) for n, rate in enumerate(rates))
    assert judge(spec(guards=GUARDS), RAISED, seen, seen[-1].window.end).outcome is outcome
