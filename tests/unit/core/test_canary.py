"""A canary beside the rest: what is harm, what is everybody's, and what proves nothing.

The parent: 10 events/s in 5 pods, 0.1 s, 99 % fast, two windows of 120 s. So in each window one pod of five serves 2
events/s or 240 events, the rest 8 events/s.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import canary, cohorts
from pegbox.core.cut_short import note_sample
from pegbox.core.decide import decide
from pegbox.core.verify import Judgement, Outcome
from pegbox.model.decisions import Action
from pegbox.model.observations import Attainment, Missing, Observation, Split
from pegbox.model.profile import OnNoData, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import PodFacts, Snapshot
from pegbox.model.trials import Intent, IntentKind
from tests.unit.core.build import (
    FAST,
    NO_WISH,
    T0,
    acked,
    at,
    baseline,
    document,
    held,
    intent,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    workload,
)

PROFILE = spec(budgets=())
PARENT, TARGET = setting(workers=4, pool=4), setting(workers=6, pool=4)
STAGES, COHORT = cohorts.first(PROFILE, PARENT, TARGET, cohorts.Standing(("a",), PARENT))
CANARY = intent(parent=PARENT, stages=STAGES, cohort=COHORT, applied_at=T0, in_force_at=T0, started_at=at(-10))
NO_LOAD = Missing(Reason.NOT_REPORTED, "offered load cannot be told apart by cohort")
STARVED = replace(CANARY, baseline=baseline(load=20.0))  # half of what arrived was served


def own(end: float = 180, **changes: Any) -> Observation:
    """One pod, as good as its parent."""
    plain = window(end, offered_load=NO_LOAD, throughput=2.0, pods=1, slos={"fast": Attainment(237.6, 240.0)})
    return replace(plain, **changes)


def rest(end: float = 180, **changes: Any) -> Observation:
    plain = window(end, offered_load=NO_LOAD, throughput=8.0, pods=4, slos={"fast": Attainment(950.4, 960.0)})
    return replace(plain, **changes)


HUNG: dict[str, Any] = {"throughput": 0.0, "latency": Missing(Reason.TOO_FEW_EVENTS), "slos": {}}
"""A deadlock: nothing is served, so nothing is late and nothing fails."""


def share(part: float, events: float) -> dict[str, Attainment | Missing]:
    return {"fast": Attainment(part * events, events)}


def judged(
    windows: int = 2,
    item: Intent = CANARY,
    profile: ProfileSpec = PROFILE,
    mine: dict[str, Any] | None = None,
    theirs: dict[str, Any] | None = None,
    seconds: float | None = None,
) -> Judgement:
    """So many clean windows of 120 s from the end of settling, 60 s after in force, looked at when the last one ends."""
    splits = [Split(own(180 + 120 * n, **(mine or {})), rest(180 + 120 * n, **(theirs or {}))) for n in range(windows)]
    now = at(60 + 120 * windows if seconds is None else seconds)
    return canary.judge(profile, item, splits, now, splits[-1] if splits else None)


@pytest.mark.parametrize(
    ("mine", "theirs", "item"),
    [
        pytest.param({}, {}, CANARY, id="as_good_as_the_rest"),
        pytest.param({"latency": 0.05}, {}, CANARY, id="better"),
        pytest.param({"latency": 0.12}, {}, CANARY, id="a_fifth_slower_is_how_pods_differ"),
        pytest.param({}, {"latency": 0.5}, CANARY, id="the_rest_is_worse"),
        pytest.param({"latency": 0.5}, {"latency": 0.5}, CANARY, id="a_surge_slows_both"),
        pytest.param({"slos": share(0.5, 240)}, {"slos": share(0.5, 960)}, CANARY, id="a_surge_breaks_the_slo_of_both"),
        pytest.param({"throughput": 1.0}, {}, CANARY, id="it_takes_less_of_a_load_that_is_served"),
        pytest.param({"throughput": 2.5}, {}, STARVED, id="it_serves_more_of_a_load_that_is_not"),
        pytest.param({"latency": 0.5}, {}, STARVED, id="in_a_backlog_latency_says_nothing"),
        pytest.param({"slos": share(0.0, 9)}, {}, CANARY, id="nine_bad_events_in_each_prove_nothing"),
    ],
)
def test_two_windows_without_harm_widen(mine: dict[str, Any], theirs: dict[str, Any], item: Intent) -> None:
    assert judged(2, item, mine=mine, theirs=theirs).outcome is Outcome.ACCEPT
    assert judged(1, item, mine=mine, theirs=theirs).outcome is Outcome.WAIT


@pytest.mark.parametrize(
    ("mine", "item", "reason"),
    [
        # sd 0.05: log 2 is far beyond log 1.25 + noise of 0.05 x sqrt(6.25) = 0.125 per window
        pytest.param({"latency": 0.2}, CANARY, Reason.REGRESSION, id="twice_as_slow_as_the_rest"),
        # 1.4 of 5 pods' 2.0: ln 0.7 / sqrt(2/336 + 2/1920) = -4.3
        pytest.param({"throughput": 1.4}, STARVED, Reason.REGRESSION, id="serves_less_than_a_pod_of_the_rest"),
        # 480 events, goal 95 %: 2 sqrt(0.95 x 0.05 / 480) = 2 %
        pytest.param({"slos": share(0.92, 240)}, CANARY, Reason.SLO_BREACHED, id="loses_an_slo_that_the_rest_meets"),
    ],
)
def test_harm_beyond_chance_reverts_and_counts(mine: dict[str, Any], item: Intent, reason: Reason) -> None:
    verdict = judged(2, item, mine=mine)
    assert (verdict.outcome, verdict.reason, verdict.harmful) == (Outcome.REVERT, reason, True)


@pytest.mark.parametrize(
    ("mine", "all_pods", "item", "bad"),
    [
        # 1 of 2 events/s that each other pod serves; of 10 that arrive 9: phi(ln 0.9 / sqrt(2/1080 + 2/2400)) = phi(-2.0)
        pytest.param({"throughput": 1.0}, {"throughput": 9.0}, CANARY, True, id="its_half_is_what_is_not_served"),
        pytest.param({"throughput": 1.0}, {"throughput": 10.0}, CANARY, False, id="others_serve_it"),
        pytest.param({"throughput": 1.1}, {"throughput": 9.1}, CANARY, False, id="not_quite_half"),
        pytest.param({"throughput": 2.0}, {"throughput": 9.0}, CANARY, False, id="it_serves_what_the_others_do"),
        pytest.param({"throughput": 1.0}, {"offered_load": 9.0, "throughput": 9.0}, CANARY, False, id="less_arrives"),
        pytest.param(
            {"throughput": 1.0}, {"offered_load": 14.0, "throughput": 9.0}, CANARY, False, id="a_surge_of_load"
        ),
        pytest.param({"throughput": 1.0}, {"throughput": 9.0, "whole": False}, CANARY, False, id="pods_came_or_went"),
        pytest.param(
            {"throughput": 1.0},
            {"throughput": 9.0},
            replace(CANARY, reason=Reason.LIMITS_NARROWED),
            False,
            id="a_limit_outranks_throughput",
        ),
    ],
)
def test_what_the_canary_leaves_undone_is_harm_where_nobody_else_does_it(
    mine: dict[str, Any], all_pods: dict[str, Any], item: Intent, bad: bool
) -> None:
    found = canary.bad(PROFILE, item, Split(own(**mine), rest()), window(180, **all_pods))
    assert found is (Reason.REGRESSION if bad else None)


@pytest.mark.parametrize(
    ("all_pods", "item", "bad"),
    [
        pytest.param({"throughput": 0.0}, CANARY, True, id="of_a_load_that_the_parent_served"),
        pytest.param({"offered_load": 30.0, "throughput": 0.0}, CANARY, True, id="of_a_surge"),
        pytest.param({"throughput": 0.0}, replace(CANARY, reason=Reason.LIMITS_NARROWED), True, id="in_the_limits"),
        pytest.param({"offered_load": 0.0, "throughput": 0.0}, CANARY, False, id="nothing_arrives"),
        # 0.04/s for 120 s are 5 events: none of them is chance
        pytest.param({"offered_load": 0.04, "throughput": 0.0}, CANARY, False, id="little_arrives"),
        pytest.param({"offered_load": NO_LOAD, "throughput": 0.0}, CANARY, False, id="nobody_knows_what_arrives"),
        pytest.param({"throughput": 0.0}, replace(CANARY, baseline=None), False, id="no_parent"),
    ],
)
def test_a_canary_under_which_nobody_serves_anything_any_more_is_bad(
    all_pods: dict[str, Any], item: Intent, bad: bool
) -> None:
    """Seed 2700005413: the rest is no measure where it stops, too. One pod that holds a lock stops them all."""
    found = canary.bad(PROFILE, item, Split(own(**HUNG), rest(**HUNG)), window(180, **all_pods))
    assert found is (Reason.REGRESSION if bad else None)


def test_a_strained_parent_asks_for_more_proof() -> None:
    """Near saturation means wander: with a floor of 0.3 the same factor of 2 is within 0.3 x sqrt(6.25 / 2) = 0.53."""
    strained = replace(CANARY, baseline=baseline(slo_shares={"fast": 0.8}))
    assert judged(2, strained, mine={"latency": 0.2}).outcome is Outcome.ACCEPT


def test_a_step_back_into_the_limits_is_asked_for_slos_only() -> None:
    walked = replace(CANARY, reason=Reason.LIMITS_NARROWED)
    assert judged(2, walked, mine={"latency": 0.5}).outcome is Outcome.ACCEPT
    assert judged(2, walked, mine={"slos": share(0.5, 240)}).outcome is Outcome.REVERT


@pytest.mark.parametrize(
    ("windows", "seconds", "outcome", "reason"),
    [
        pytest.param(0, 59, Outcome.WAIT, Reason.SETTLING, id="it_settles_first"),
        pytest.param(0, 100, Outcome.WAIT, Reason.NO_DATA, id="no_window_yet"),
        pytest.param(0, 1801, Outcome.INCONCLUSIVE, Reason.NO_DATA, id="none_until_trialTimeout"),
        pytest.param(1, 1801, Outcome.INCONCLUSIVE, Reason.STALE_DATA, id="one_alone_is_too_few"),
    ],
)
def test_without_windows_it_waits_for_trialTimeout(  # noqa: N802
    windows: int, seconds: float, outcome: Outcome, reason: Reason
) -> None:
    verdict = judged(windows, seconds=seconds)
    assert (verdict.outcome, verdict.reason, verdict.harmful) == (outcome, reason, False)


def test_a_canary_that_serves_nothing_is_harm_and_one_that_has_nothing_to_serve_proves_nothing() -> None:
    bare = replace(PROFILE, slos=())
    hung = judged(2, profile=bare, mine=HUNG)
    assert (hung.outcome, hung.reason, hung.harmful) == (Outcome.REVERT, Reason.REGRESSION, True)
    few = {"throughput": 0.6}  # 18 of each of the other pods in a window, which may be chance
    assert not judged(1, mine=HUNG, theirs=few).harmful
    slow = judged(2, mine=HUNG, theirs=few)
    assert (slow.outcome, slow.reason, slow.harmful) == (Outcome.REVERT, Reason.REGRESSION, True), "36 are not"
    idle = {"throughput": 0.05}  # 6 events in 120 s
    assert judged(2, profile=bare, mine=idle, theirs={"throughput": 0.2}).outcome is Outcome.WAIT
    assert judged(4, profile=bare, mine=idle, theirs={"throughput": 0.2}).outcome is Outcome.ACCEPT  # 24 events


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [(OnNoData.HOLD, Outcome.WAIT), (OnNoData.REVERT, Outcome.REVERT), (OnNoData.IGNORE, Outcome.ACCEPT)],
)
def test_a_silent_slo_of_the_canary_follows_its_policy(policy: OnNoData, outcome: Outcome) -> None:
    """Silent in both windows: 240 s since it settled, which is longer than the 120 s of patience."""
    profile = replace(PROFILE, slos=(replace(FAST, on_no_data=policy),))
    verdict = judged(2, profile=profile, mine={"slos": {"fast": Missing(Reason.NO_DATA)}})
    assert (verdict.outcome, verdict.harmful) == (outcome, False)


@pytest.mark.parametrize(
    ("seconds", "outcome", "reason"),
    [
        (360, Outcome.WAIT, Reason.JUDGING),
        (361, Outcome.WAIT, Reason.STALE_DATA),
        (421, Outcome.REVERT, Reason.STALE_DATA),
    ],
    ids=["of two intervals ago", "a second older it is none", "a window's length of none"],
)
def test_an_old_answer_is_none_under_revert(seconds: int, outcome: Outcome, reason: Reason) -> None:
    """Seed 1700000206: the newest window ended at 300 s, and nothing came since."""
    profile = replace(PROFILE, slos=(replace(FAST, on_no_data=OnNoData.REVERT),))
    splits = [Split(own(300), own(300))]
    verdict = canary.judge(profile, CANARY, splits, at(seconds), splits[-1])
    assert (verdict.outcome, verdict.reason, verdict.harmful) == (outcome, reason, False)


def test_windows_of_one_side_alone_are_no_comparison() -> None:
    splits = [Split(own(180 + 120 * n), Missing(Reason.NO_DATA)) for n in range(2)]
    assert canary.judge(PROFILE, CANARY, splits, at(300), splits[-1]).outcome is Outcome.WAIT


# --- at once


@pytest.mark.parametrize(
    ("mine", "theirs", "item", "reason"),
    [
        pytest.param({"latency": 0.2}, {}, CANARY, Reason.REGRESSION, id="twice_the_latency"),
        pytest.param({"latency": 0.19}, {}, CANARY, None, id="a_little_less"),
        pytest.param({"latency": 0.2}, {"latency": 0.11}, CANARY, None, id="the_rest_slowed_down_as_well"),
        # 240 events: 2 points and 2 sqrt((1/240)/240) = 0.8 points of chance
        pytest.param({"errors": 0.029}, {}, CANARY, Reason.ERROR_SURGE, id="errors_beyond_chance"),
        pytest.param({"errors": 0.027}, {}, CANARY, None, id="errors_within_chance"),
        pytest.param({"errors": 0.3}, {"errors": 0.3}, CANARY, None, id="errors_of_everybody"),
        pytest.param({"slos": share(0.89, 240)}, {}, CANARY, Reason.SLO_BREACHED, id="an_slo_lost_that_the_rest_meets"),
        pytest.param({"slos": share(0.89, 240)}, {"slos": share(0.9, 960)}, CANARY, None, id="lost_by_both"),
        pytest.param({"throughput": 1.0}, {}, STARVED, Reason.REGRESSION, id="half_of_a_pods_throughput"),
        pytest.param({"throughput": 1.0}, {}, CANARY, None, id="less_of_a_load_that_is_served"),
        # 0.16 events/s for 120 s: 19.2 events
        pytest.param({"latency": 9.0, "throughput": 0.16}, {}, CANARY, None, id="nineteen_events_are_chance"),
        pytest.param({"latency": 9.0}, {}, replace(CANARY, baseline=None), None, id="no_parent"),
        pytest.param(HUNG, {}, CANARY, Reason.REGRESSION, id="it_hangs_and_serves_nothing"),
        # 0.6 events/s of 4 pods for 120 s: 18 each
        pytest.param(HUNG, {"throughput": 0.6}, CANARY, None, id="nobody_serves_much"),
    ],
)
def test_a_bad_sample_is_bad_beside_the_rest(
    mine: dict[str, Any], theirs: dict[str, Any], item: Intent, reason: Reason | None
) -> None:
    assert canary.bad(PROFILE, item, Split(own(**mine), rest(**theirs))) is reason


def underway(
    item: Intent = CANARY, split: Split | None = None, pods: tuple[PodFacts, ...] = (), **more: Any
) -> Snapshot:
    """Five pods, `a` the canary; all say what they are to run."""
    everybody = pods or tuple(
        acked(pod(name), PROFILE, item if name != "a" else replace(item, stages=item.cohort.stages, cohort=None))
        for name in "abcde"
        if item.cohort is not None
    )
    texts = document(PROFILE, item.current, item.generation, cohorts=cohorts.listed(PROFILE, item))
    given: dict[str, Any] = {"workload": workload(*everybody), "document": texts, "held": held(item.current)}
    return snapshot(PROFILE, under_way(item), split=split, observation=window(180, latency=0.5), **given | more)


def test_two_bad_windows_in_a_row_revert_only_the_cohort() -> None:
    seen, now = CANARY, 0.0
    for end in (30, 60):
        found = note_sample(underway(seen, Split(own(end, latency=0.3), rest(end)))).ledger.intent
        assert found is not None
        seen, now = found, end
    decision = decide(underway(seen, Split(own(60, latency=0.3), rest(60))), NO_WISH, at(now))
    assert (decision.action, decision.reason) == (Action.REVERT, Reason.REGRESSION)
    back = decision.ledger.intent
    assert back is not None and back.kind is IntentKind.ROLLBACK and back.counted
    assert set(back.stages) == {PARENT} == {decision.desired}
    assert "canary 1 of 5 pods" in decision.message


SCALED, ROLLED = Reason.SCALED, Reason.ROLLOUT_IN_PROGRESS
BLAMED = ("Reverted", "Regression", 1)


def by(reason: Reason | None) -> dict[str, Any]:
    """A window that others disturbed, or a clean one."""
    return {"clean": reason is None, "unclean_reason": reason}


@pytest.mark.parametrize(
    ("samples", "ended"),
    [
        # in force at 0, settled at 60; windows of 120 s; what is told of (the canary, the rest)
        pytest.param([(180, SCALED, SCALED), (210, SCALED, SCALED)], ("Inconclusive", "Scaled", 0), id="scaled_in_both"),
        pytest.param([(180, SCALED, SCALED), (210, None, ROLLED)], ("Inconclusive", "RolloutInProgress", 0), id="of_the_rest_alone"),
        pytest.param([(180, None, None), (210, SCALED, SCALED)], BLAMED, id="it_was_bad_before_they_came"),
        pytest.param([(180, SCALED, SCALED), (330, None, None)], BLAMED, id="it_is_bad_after_they_came"),
        pytest.param([(180, Reason.WORKLOAD_NOT_READY, None), (210, Reason.WORKLOAD_NOT_READY, None)], BLAMED, id="its_pods_fell_ill"),
        pytest.param([(179, SCALED, SCALED), (210, SCALED, SCALED)], BLAMED, id="one_reaches_into_its_settling"),
        pytest.param([(180, None, None), (210, None, None)], BLAMED, id="nobody_else_did_anything"),
    ],
)  # fmt: skip
def test_bad_windows_while_others_changed_the_pods_blame_no_canary(
    samples: list[tuple[float, Reason | None, Reason | None]], ended: tuple[str, str, int]
) -> None:
    seen = CANARY
    for end, mine, theirs in samples:
        split = Split(own(end, latency=0.3, **by(mine)), rest(end, **by(theirs)))
        assert decide(underway(seen, split), NO_WISH, at(end)).action is not Action.REVERT or seen.bad_samples == 1
        found = note_sample(underway(seen, split)).ledger.intent
        assert found is not None
        seen = found
    decision = decide(underway(seen, split), NO_WISH, at(end))
    trial = decision.ledger.trials[-1]
    assert (trial.state.value, trial.reason.value, decision.ledger.breaker.failures) == ended
    assert decision.action is Action.REVERT, "it goes back in any case"


def test_a_good_window_starts_that_count_again_too() -> None:
    seen = CANARY
    for end, slow, who in ((180, 0.3, SCALED), (210, 0.1, SCALED), (330, 0.3, None), (360, 0.3, SCALED)):
        found = note_sample(underway(seen, Split(own(end, latency=slow, **by(who)), rest(end, **by(who)))))
        assert found.ledger.intent is not None
        seen = found.ledger.intent
    assert (seen.bad_samples, seen.disturbed) == (2, 1)


@pytest.mark.parametrize(("who", "counted"), [(SCALED, 0), (ROLLED, 0), (None, 1), (Reason.WORKLOAD_NOT_READY, 1)])
def test_a_canary_is_not_blamed_for_a_budget_that_is_spent_while_others_change_the_pods(
    who: Reason | None, counted: int
) -> None:
    """100 of the canary's 240 events are bad, in one window that began once it had settled, and none before."""
    profile = replace(PROFILE, slos=(replace(FAST, window=F(300)),))
    before = note_sample(replace(underway(CANARY, Split(own(60), rest(60))), spec=profile)).ledger.intent
    assert before is not None
    split = Split(own(180, slos=share(140 / 240, 240), **by(who)), rest(180, **by(who)))
    decision = decide(replace(underway(before, split), spec=profile), NO_WISH, at(180))
    trial = decision.ledger.trials[-1]
    assert (trial.state.value, decision.ledger.breaker.failures) == ("Reverted" if counted else "Inconclusive", counted)
    assert trial.reason is (Reason.ERROR_BUDGET_SPENT if counted else who)


def test_the_whole_workload_s_figures_are_not_held_against_a_canary() -> None:
    """The twin: everybody is five times slower than the parent was, the canary no more than the rest."""
    seen = CANARY
    for end in (30, 60, 90):
        split = Split(own(end, latency=0.5), rest(end, latency=0.5))
        found = note_sample(underway(seen, split)).ledger.intent
        assert found is not None
        seen = found
    assert seen.bad_samples == 0
    assert decide(underway(seen, Split(own(90, latency=0.5), rest(90, latency=0.5))), NO_WISH, at(90)).action is (
        Action.CONTINUE
    )


def test_a_canary_spends_the_budget_of_the_whole_workload_with_its_own_bad_events() -> None:
    """Goal 95 %, 5 % of the budget, 10 events/s over 300 s: 0.05 x 0.05 x 3000 = 7.5 events. The canary's 240 events
    have 1 % x 240 = 2.4 bad ones by the rest's share; chance may add 3 sqrt(2 x 0.01 x 240 x (1 + 240/960)) = 7.3.
    """
    profile = replace(PROFILE, slos=(replace(FAST, window=F(300)),))
    for bad, reverted in ((17, False), (18, True)):
        split = Split(own(120, slos=share(1 - bad / 240, 240)), rest(120))
        item = replace(CANARY, started_at=T0)
        noted = note_sample(replace(underway(item, split), spec=profile))
        decision = decide(replace(noted, split=split), NO_WISH, at(120))
        assert (decision.reason is Reason.ERROR_BUDGET_SPENT) is reverted, bad


@pytest.mark.parametrize(
    ("names", "killed", "action", "reason", "counted"),
    [
        pytest.param("abcde", "a", Action.REVERT, Reason.OOM_KILLED, True, id="a_pod_of_the_canary"),
        pytest.param("abcde", "c", Action.REVERT, Reason.OOM_KILLED, False, id="another_pod_is_not_its_fault"),
        pytest.param("bcde", "", Action.REVERT, Reason.COHORT_GONE, False, id="the_canary_is_gone"),
        pytest.param("abc", "", Action.REVERT, Reason.COHORT_GONE, False, id="fewer_than_minPods_are_left"),
        pytest.param("abcd", "", Action.CONTINUE, Reason.SETTLING, False, id="four_are_enough"),
        pytest.param("abcdefgh", "", Action.CONTINUE, Reason.SETTLING, False, id="more_pods_come"),
    ],
)
def test_what_befalls_the_pods(names: str, killed: str, action: Action, reason: Reason, counted: bool) -> None:
    pods = tuple(pod(n, oom_killed_at=at(5) if n == killed else None) for n in names)
    decision = decide(underway(pods=pods), NO_WISH, at(10))
    assert (decision.action, decision.reason) == (action, reason)
    assert decision.ledger.intent is not None and decision.ledger.intent.counted is counted


def test_a_widened_canary_starts_the_count_of_bad_samples_again() -> None:
    item = replace(CANARY, bad_samples=1, first_bad_at=at(100))
    splits = tuple(Split(own(180 + 120 * n), rest(180 + 120 * n)) for n in range(2))
    decision = decide(underway(item, splits[-1], splits=splits), NO_WISH, at(300))
    after = decision.ledger.intent
    assert after is not None
    assert (after.stage, after.bad_samples, after.in_force_at, decision.desired) == (1, 0, None, TARGET)
    assert [e.reason for e in decision.events] == [Reason.TRIAL_WIDENED]
