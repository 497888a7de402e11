"""Others move the number of pods while a trial is in force: that is neither its merit nor its harm.

The parent served 10 events/s with 10 pods, 0.1 s each. Settled at 60 s, windows of 120 s.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.baseline import baseline_of
from pegbox.core.cut_short import must_end, note_sample
from pegbox.core.verify import Outcome, judge, usable
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import Guards, Objective
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, TrialState
from tests.unit.core.build import (
    HPA,
    T0,
    at,
    baseline,
    intent,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    workload,
)

GUARDS = Guards(settle=F(60), trial_window=F(120), trial_timeout=F(1800))
PROFILE = spec(guards=GUARDS, objective=Objective.MAXIMIZE_THROUGHPUT)
THRIFTY = spec(guards=GUARDS)
TRIAL = intent(in_force_at=T0, applied_at=T0, baseline=baseline(pods=10))
CUT = replace(TRIAL, stages=(setting(workers=3, pool=4),))
FULL = replace(TRIAL, baseline=baseline(load=200.0, throughput=10.0, latency=3.0, slo_shares={}, pods=10))
NARROWED = replace(TRIAL, reason=Reason.LIMITS_NARROWED)
BEFORE = replace(CUT, baseline=baseline())  # of a ledger that does not know how many pods the parent had
LOW = {"fast": Attainment(1080.0, 1200.0)}  # 90 % of 95 %
UNKNOWN = Missing(Reason.NO_DATA)

ACCEPTED = (Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, False)
WAITING = (Outcome.WAIT, Reason.JUDGING, False)
SCALED = (Outcome.INCONCLUSIVE, Reason.SCALED, False)
LOADED = (Outcome.INCONCLUSIVE, Reason.LOAD_CHANGED, False)
HARMFUL = (Outcome.REVERT, Reason.REGRESSION, True)
BREACHED = (Outcome.REVERT, Reason.SLO_BREACHED, True)
NOT_BETTER = (Outcome.REVERT, Reason.NOT_BETTER, False)


def seen(pods: int, count: int = 2, since: int = 0, **changes: Any) -> tuple[Observation, ...]:
    return tuple(window(180 + 120 * n, pods=pods, **changes) for n in range(since, since + count))


def full(pods: int, throughput: float) -> tuple[Observation, ...]:
    return seen(pods, offered_load=200.0, throughput=throughput, latency=3.0)


def per_second(rate: float) -> dict[str, Any]:
    return {"offered_load": rate, "throughput": rate}


@pytest.mark.parametrize(
    ("item", "windows", "found"),
    [
        pytest.param(CUT, seen(10), ACCEPTED, id="cheaper_with_as_many_pods"),
        pytest.param(CUT, seen(12), WAITING, id="cheaper_with_more_pods_is_no_saving"),
        pytest.param(CUT, seen(12, 5), WAITING, id="five_such_windows_prove_nothing"),
        pytest.param(CUT, seen(12, 6), SCALED, id="six_end_it"),
        pytest.param(CUT, seen(12, 4) + seen(10, since=4), ACCEPTED, id="an_autoscaler_that_comes_back"),
        pytest.param(BEFORE, seen(12), ACCEPTED, id="of_a_release_that_did_not_count"),
        # 1.0 for each pod, and 12 / 11 = 1.09; then 10 / 11 = 0.909, and 10 / 12 = 0.83
        pytest.param(CUT, seen(12, **per_second(12.0)), ACCEPTED, id="as_much_for_each_pod"),
        pytest.param(CUT, seen(11, **per_second(12.0)), ACCEPTED, id="a_little_more_for_each"),
        pytest.param(CUT, seen(12, **per_second(10.0)), WAITING, id="less_for_each"),
        pytest.param(CUT, seen(8, **per_second(10.0)), WAITING, id="more_for_each"),
        pytest.param(CUT, seen(12, offered_load=UNKNOWN), WAITING, id="nobody_knows_for_each"),
        pytest.param(TRIAL, seen(10, latency=0.08), ACCEPTED, id="faster"),
        pytest.param(TRIAL, seen(12, latency=0.08), WAITING, id="faster_with_more_pods"),
        pytest.param(TRIAL, seen(10, 3, latency=0.15), HARMFUL, id="slower"),
        pytest.param(TRIAL, seen(8, 3, latency=0.15), WAITING, id="slower_with_fewer_pods"),
        pytest.param(TRIAL, seen(10, throughput=8.0), HARMFUL, id="serves_less"),
        pytest.param(TRIAL, seen(8, throughput=8.0), WAITING, id="serves_less_with_fewer_pods"),
        pytest.param(TRIAL, seen(10, slos=LOW), BREACHED, id="the_slo_is_lost"),
        pytest.param(TRIAL, seen(8, slos=LOW), SCALED, id="with_fewer_pods_it_ends_too_and_nobody_is_blamed"),
        pytest.param(TRIAL, seen(10, 4) + seen(12, 2, 4), WAITING, id="four_alike_and_two_not"),
        pytest.param(TRIAL, seen(12, 2) + seen(10, 6, 2), NOT_BETTER, id="six_alike_decide"),
        # 12 / 10 for each pod is another load for it; 14 in all is another load for what they share
        pytest.param(TRIAL, seen(10, **per_second(14.0)), LOADED, id="more_load"),
        pytest.param(TRIAL, seen(14, **per_second(14.0)), LOADED, id="more_load_and_pods_that_went_with_it"),
        pytest.param(TRIAL, seen(12, **per_second(14.0)), LOADED, id="more_load_and_too_few_pods"),
        # every pod is full: 1.0 for each was served, then 1.25; 0.8; 0.75, which is less in all, too
        pytest.param(FULL, full(12, 15.0), ACCEPTED, id="full_pods_serve_more_each"),
        pytest.param(FULL, full(20, 16.0), SCALED, id="full_pods_serve_less_each_and_may_share_what_is_short"),
        pytest.param(FULL, full(12, 9.0), HARMFUL, id="more_full_pods_serve_less_in_all"),
        pytest.param(FULL, full(8, 10.0), WAITING, id="fewer_full_pods_may_have_more_of_what_they_share"),
        pytest.param(FULL, full(8, 6.0), WAITING, id="fewer_full_pods_serve_less_each"),
        pytest.param(NARROWED, seen(12), ACCEPTED, id="a_limit_is_kept_with_any_number_of_pods"),
        pytest.param(
            replace(FULL, reason=Reason.LIMITS_NARROWED), full(20, 16.0), ACCEPTED, id="and_if_each_serves_less"
        ),
    ],
)
def test_a_number_of_pods_that_others_moved(
    item: Intent, windows: tuple[Observation, ...], found: tuple[Outcome, Reason, bool]
) -> None:
    verdict = judge(THRIFTY if item in (CUT, BEFORE) else PROFILE, item, windows, windows[-1].window.end)
    assert (verdict.outcome, verdict.reason, verdict.harmful) == found


def test_a_trial_that_moves_the_number_of_pods_itself_answers_for_it() -> None:
    profile = replace(spec(*PROFILE.space.knobs, HPA), guards=GUARDS)
    parent = setting(workers=4, pool=4, max_replicas=12)
    bound = replace(TRIAL, parent=parent, stages=(setting(workers=4, pool=4, max_replicas=8),))
    harm = seen(8, 3, throughput=6.0)
    assert judge(profile, bound, harm, at(600)).harmful
    other = replace(bound, stages=(setting(workers=6, pool=4, max_replicas=12),))
    assert usable(profile, other, harm) == (), "the twin"


@pytest.mark.parametrize(
    ("pods", "ended"),
    [
        pytest.param(5, (TrialState.INCONCLUSIVE, Reason.SCALED, False), id="half_of_the_pods"),
        pytest.param(10, (TrialState.REVERTED, Reason.REGRESSION, True), id="all_of_them"),
    ],
)
def test_two_bad_samples_put_it_back_and_blame_it_for_its_own(
    pods: int, ended: tuple[TrialState, Reason, bool]
) -> None:
    """The windows are clean: others changed the pods before they began."""
    now = snapshot(PROFILE, under_way(TRIAL))
    for observation in seen(pods, latency=0.25):
        assert must_end(now, workload(), observation.window.end, 0.0) is None
        now = note_sample(replace(now, observation=observation))
    found = must_end(now, workload(), at(300), 0.0)
    assert found is not None
    assert (found.state, found.reason, found.counted) == ended


@pytest.mark.parametrize(
    ("pods", "before", "counted"),
    [
        # 100 of 1200 events are bad, 88 more than the parent's; 7.5 are allowed, and 27 come by chance
        pytest.param(5, 0.0, False, id="all_of_it_with_other_pods"),
        pytest.param(5, 88.0, True, id="as_much_before_that_window"),
        pytest.param(10, 0.0, True, id="the_pods_are_the_parents"),
    ],
)
def test_an_error_budget_that_is_spent_with_another_number_of_pods(pods: int, before: float, counted: bool) -> None:
    item = replace(TRIAL, spent={"fast": before}, looks={"fast": ((0.0, 0.0), (180.0, before))})
    newest = window(300, pods=pods, slos={"fast": Attainment(1100.0, 1200.0)})
    now = note_sample(snapshot(PROFILE, under_way(item), observation=newest))
    found = must_end(now, workload(), at(300), 0.0)
    assert found is not None
    assert (found.counted, found.reason) == (counted, Reason.ERROR_BUDGET_SPENT if counted else Reason.SCALED)


@pytest.mark.parametrize(
    ("windows", "load", "pods", "count"),
    [
        pytest.param((window(0, pods=2), window(120, pods=2)), 10.0, 2, 2, id="as_many_pods"),
        pytest.param((window(0, pods=2), window(120, pods=4)), 10.0, 4, 1, id="only_what_is_like_the_newest"),
        # 10/s with 2 pods is 20/s with 4
        pytest.param((window(0, pods=2), window(120, pods=4, **per_second(20.0))), 20.0, 4, 2, id="as_much_for_each"),
    ],
)
def test_the_parents_windows_are_held_to_that_as_well(
    windows: tuple[Observation, ...], load: float, pods: int, count: int
) -> None:
    base = baseline_of(windows)
    assert base is not None
    assert (base.load, base.throughput, base.pods, base.windows) == (load, load, pods, count)
