"""Guards: what each refuses, and the nearest thing that it lets through."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import guards
from pegbox.core.guards import data, limits, ownership, waiting
from pegbox.core.guards.budgets import budgets
from pegbox.core.guards.workload import rollout_health
from pegbox.model.decisions import Admission
from pegbox.model.knobs import KnobMode, Setting
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import BudgetSpec, Freeze, Mode, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts, Workload
from pegbox.model.trials import Breaker, BreakerState, Ledger, TrialState, TrialSummary
from tests.unit.core.build import HOT, LEVEL, POOL, T0, at, held, ledger, pod, setting, snapshot, spec, window, workload

NOW = setting(workers=4, pool=4)
FREEZE = Freeze("lunch", "0 12 * * *", "UTC", F(3600))  # T0 is 12:00
MISSED = window(slos={"fast": Attainment(900.0, 1200.0)})
OPEN, HALF = Breaker(BreakerState.OPEN, until=at(60)), Breaker(BreakerState.HALF_OPEN)


@pytest.mark.parametrize(
    ("profile", "memory", "reason"),
    [
        pytest.param(spec(), ledger(), None, id="nothing_to_wait_for"),
        pytest.param(spec(mode=Mode.OBSERVE), ledger(), Reason.MODE_OBSERVE, id="mode_observe"),
        pytest.param(spec(mode=Mode.RECOMMEND), ledger(), Reason.MODE_RECOMMEND, id="mode_recommend"),
        pytest.param(spec(), ledger(paused_until=at(1)), Reason.PAUSED, id="paused"),
        pytest.param(spec(), ledger(paused_until=T0), None, id="no_longer_paused"),
        pytest.param(
            spec(), ledger(halted=Reason.LAST_KNOWN_GOOD_FAILING), Reason.LAST_KNOWN_GOOD_FAILING, id="halted"
        ),
        pytest.param(spec(), ledger(breaker=OPEN), Reason.BREAKER_OPEN, id="breaker_open"),
        pytest.param(spec(), ledger(breaker=HALF), None, id="breaker_half_open_lets_a_probe_through"),
        pytest.param(spec(), ledger(cooldown_until=at(1)), Reason.COOLING_DOWN, id="cooling_down"),
        pytest.param(spec(), ledger(cooldown_until=T0), None, id="cooled_down"),
        pytest.param(spec(freezes=(FREEZE,)), ledger(), Reason.FROZEN, id="frozen"),
    ],
)
def test_readiness(profile: ProfileSpec, memory: Ledger, reason: Reason | None) -> None:
    refused = guards.first_refusal(guards.readiness(snapshot(profile, memory), T0))
    assert (refused.reason if refused else None) is reason


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param(MISSED, Reason.WITHIN_LIMITS, id="a_missed_slo_is_urgent"),
        pytest.param(window(), Reason.FROZEN, id="slos_that_are_met_are_not"),
        pytest.param(Missing(Reason.NO_DATA), Reason.FROZEN, id="neither_is_silence"),
    ],
)
def test_a_freeze_that_allows_what_is_urgent(seen: Observation | Missing, reason: Reason) -> None:
    profile = spec(freezes=(replace(FREEZE, allow_urgent=True),))
    assert waiting.frozen(snapshot(profile, observation=seen), T0).reason is reason


def test_one_bad_scrape_is_not_urgent_while_the_slos_own_window_is_good() -> None:
    profile = spec(freezes=(replace(FREEZE, allow_urgent=True),))
    assert waiting.frozen(snapshot(profile, observation=MISSED, slos=window().slos), T0).reason is Reason.FROZEN
    assert waiting.frozen(snapshot(profile, slos=MISSED.slos), T0).reason is Reason.WITHIN_LIMITS, "the twin"


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        pytest.param(workload(), None, id="one_ready_pod"),
        pytest.param(Missing(Reason.TARGET_NOT_FOUND), Reason.TARGET_NOT_FOUND, id="no_target"),
        pytest.param(workload(pod(finished=True), replicas=0), Reason.WORKLOAD_SCALED_TO_ZERO, id="scaled_to_zero"),
        pytest.param(workload(pod(finished=True), replicas=1), Reason.WORKLOAD_NOT_READY, id="no_pod_yet"),
        pytest.param(workload(pod(waiting="CrashLoopBackOff")), Reason.CRASH_LOOP, id="crash_loop"),
        pytest.param(workload(rolling=True), Reason.ROLLOUT_IN_PROGRESS, id="rolling_out"),
        pytest.param(workload(stuck=True), Reason.ROLLOUT_IN_PROGRESS, id="stuck"),
        pytest.param(workload(pod(ready=False)), Reason.WORKLOAD_NOT_READY, id="not_ready"),
        pytest.param(
            workload(pod(), pod("b", ready=False, terminating=True)), None, id="one_that_leaves_may_be_unready"
        ),
    ],
)
def test_rollout_health(standing: Workload | Missing, reason: Reason | None) -> None:
    verdict = rollout_health(snapshot(workload=standing), T0)
    assert verdict.reason is (reason or Reason.WITHIN_LIMITS)
    assert (verdict.admission is Admission.REFUSE) is (reason is not None)


DRAINING = window(throughput=20.0)
UNCLEAN = window(clean=False, unclean_reason=Reason.SCALED)


@pytest.mark.parametrize(
    ("seen", "windows", "seconds", "reason"),
    [
        pytest.param(window(), (window(),), 60, Reason.DATA_AVAILABLE, id="two_intervals_old_is_fresh"),
        pytest.param(window(), (window(),), 61, Reason.STALE_DATA, id="a_second_older_is_stale"),
        pytest.param(Missing(Reason.NO_DATA), (window(),), 0, Reason.NO_DATA, id="nothing_seen"),
        pytest.param(
            window(latency=Missing(Reason.NOT_A_NUMBER)), (window(),), 0, Reason.NOT_A_NUMBER, id="no_latency"
        ),
        pytest.param(window(), (), 0, Reason.LEARNING, id="no_clean_window_to_compare_with"),
        pytest.param(window(whole=False), (window(-120),), 0, Reason.PARTIAL_DATA, id="a_part_of_the_pods"),
        pytest.param(UNCLEAN, (window(-120),), 0, Reason.SCALED, id="clean_windows_of_before_tell_nothing_of_now"),
        pytest.param(window(), (DRAINING,), 0, Reason.LEARNING, id="a_draining_backlog_is_nothing_to_compare_with"),
    ],
)
def test_freshness(seen: Observation | Missing, windows: tuple[Observation, ...], seconds: int, reason: Reason) -> None:
    found = data.freshness(snapshot(observation=seen, baseline_windows=windows), at(seconds))
    assert found.reason is reason
    assert (found.admission is Admission.ADMIT) is (reason is Reason.DATA_AVAILABLE)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        pytest.param(setting(workers=32, pool=4), Reason.WITHIN_LIMITS, id="at_the_limit"),
        pytest.param(setting(workers=33, pool=4), Reason.OUT_OF_BOUNDS, id="one_beyond"),
        pytest.param(setting(workers=0, pool=4), Reason.OUT_OF_BOUNDS, id="one_below"),
        pytest.param(setting(workers=4, pool=4, extra=1), Reason.OUT_OF_BOUNDS, id="a_knob_that_is_none"),
        pytest.param(setting(workers="many", pool=4), Reason.OUT_OF_BOUNDS, id="a_word_for_a_number"),
    ],
)
def test_bounds(wanted: Setting, reason: Reason) -> None:
    assert limits.bounds(snapshot(), NOW, wanted).reason is reason


@pytest.mark.parametrize("knob", [replace(HOT, pinned=F(4)), replace(HOT, mode=KnobMode.RECOMMEND)])
def test_a_knob_that_is_not_tuned_does_not_move(knob: object) -> None:
    profile = spec(knob, POOL)  # type: ignore[arg-type]
    assert limits.bounds(snapshot(profile), NOW, setting(workers=5, pool=4)).reason is Reason.OUT_OF_BOUNDS
    assert limits.bounds(snapshot(profile), NOW, setting(workers=4, pool=5)).reason is Reason.WITHIN_LIMITS


def test_a_choice_outside_of_its_list_is_refused_and_the_list_is_named() -> None:
    found = limits.bounds(snapshot(spec(LEVEL, budgets=())), setting(level="low"), setting(level="max"))
    assert found.detail == "level=max is outside of low, mid, high"


@pytest.mark.parametrize(
    ("breaker", "workers", "admission", "capped"),
    [
        pytest.param(Breaker(), 6, Admission.ADMIT, None, id="within_half"),
        pytest.param(Breaker(), 9, Admission.CAP, 6, id="beyond_half_is_capped"),
        pytest.param(HALF, 5, Admission.ADMIT, None, id="half_open_one_unit"),
        pytest.param(HALF, 6, Admission.CAP, 5, id="half_open_no_more_than_one"),
    ],
)
def test_step(breaker: Breaker, workers: int, admission: Admission, capped: int | None) -> None:
    found = limits.step(snapshot(memory=ledger(breaker=breaker)), NOW, setting(workers=workers, pool=4))
    assert found.admission is admission
    assert found.capped == (None if capped is None else setting(workers=capped, pool=4))


def test_a_level_too_far_is_refused_since_nothing_lies_between() -> None:
    seen = snapshot(spec(LEVEL, budgets=()), ledger(setting(level="low")))
    assert limits.step(seen, setting(level="low"), setting(level="high")).admission is Admission.REFUSE


@pytest.mark.parametrize(("pool", "reason"), [(16, Reason.WITHIN_LIMITS), (17, Reason.RULE_VIOLATED)])
def test_rules(pool: int, reason: Reason) -> None:
    seen = snapshot(spec(rules=("pool <= workers * 4",)))
    assert limits.rules(seen, NOW, setting(workers=4, pool=pool)).reason is reason


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (TrialState.REVERTED, Reason.RECENTLY_FAILED),
        (TrialState.INCONCLUSIVE, Reason.WITHIN_LIMITS),
        (TrialState.ACCEPTED, Reason.WITHIN_LIMITS),
    ],
)
def test_what_was_reverted_lately_is_not_tried_again(state: TrialState, reason: Reason) -> None:
    tried = setting(workers=6, pool=4)
    trial = TrialSummary("i", tried, NOW, state, Reason.REGRESSION, at(-600), at(-300))
    assert limits.recently_failed(snapshot(memory=ledger(trials=(trial,))), NOW, tried).reason is reason


def test_a_value_of_another_owner_is_never_moved() -> None:
    theirs = Missing(Reason.OWNED_BY_OTHER, "helm holds data.pool")
    seen = snapshot(held=held(NOW, pool=theirs))
    assert ownership.owned(seen, NOW, setting(workers=5, pool=4)).admission is Admission.ADMIT
    refused = ownership.owned(seen, NOW, setting(workers=5, pool=5))
    assert (refused.reason, refused.detail) == (Reason.OWNED_BY_OTHER, "pool: helm holds data.pool")


def test_a_value_that_was_not_read_is_never_moved() -> None:
    seen = snapshot(held=held(setting(workers=4)))
    assert ownership.owned(seen, NOW, setting(workers=4, pool=5)).reason is Reason.NOT_REPORTED


SHARED = spec(budgets=(BudgetSpec("db", "pods * workers * pool", ref="main"),))


@pytest.mark.parametrize(
    ("workers", "pool", "pods", "reason"),
    [
        pytest.param(6, 8, 1, Reason.WITHIN_LIMITS, id="48_of_48"),
        pytest.param(7, 7, 1, Reason.BUDGET_EXCEEDED, id="49_of_48"),
        pytest.param(4, 4, 3, Reason.WITHIN_LIMITS, id="three_pods_use_48"),
        pytest.param(5, 4, 3, Reason.BUDGET_EXCEEDED, id="three_pods_would_use_60"),
        pytest.param(3, 4, 5, Reason.WITHIN_LIMITS, id="60_after_80_comes_nearer"),
        pytest.param(4, 4, 5, Reason.BUDGET_EXCEEDED, id="80_after_80_does_not"),
    ],
)
def test_a_budget_of_48(workers: int, pool: int, pods: int, reason: Reason) -> None:
    seen = snapshot(workload=workload(*(pod(str(n)) for n in range(pods))))
    assert budgets(seen, NOW, setting(workers=workers, pool=pool)).reason is reason


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param(SharedBudgetFacts("main", 20, 16), Reason.WITHIN_LIMITS, id="20_are_left"),
        pytest.param(SharedBudgetFacts("main", 19, 16), Reason.BUDGET_EXCEEDED, id="19_are_left"),
        pytest.param(
            SharedBudgetFacts("main", 99, 16, trial_holder="shop/other"), Reason.WAITING_FOR_BUDGET, id="anothers_trial"
        ),
        pytest.param(
            SharedBudgetFacts("main", 99, 16, trial_holder="shop/checkout"), Reason.WITHIN_LIMITS, id="our_own_slot"
        ),
        pytest.param(Missing(Reason.BUDGET_NOT_FOUND, "main"), Reason.BUDGET_NOT_FOUND, id="not_there"),
    ],
)
def test_a_shared_budget(facts: SharedBudgetFacts | Missing, reason: Reason) -> None:
    assert budgets(snapshot(SHARED, budgets={"main": facts}), NOW, setting(workers=5, pool=4)).reason is reason


def test_every_objection_is_recorded_in_the_fixed_order() -> None:
    seen = snapshot(spec(mode=Mode.OBSERVE), ledger(paused_until=at(9)))
    assert [v.guard for v in guards.readiness(seen, T0)] == [
        "stopped", "opted-out", "mode", "writes", "paused", "halted", "breaker", "fleet-breaker", "cooldown", "frozen",
        "error-budget", "rollout-health", "freshness",
    ]  # fmt: skip
    found = guards.setting(seen, NOW, setting(workers=40, pool=4))
    assert [v.guard for v in found] == ["ownership", "bounds", "step", "rules", "sizes", "recently-failed", "budget"]
    assert [v.reason for v in found if v.admission is not Admission.ADMIT] == [
        Reason.OUT_OF_BOUNDS,
        Reason.STEP_TOO_LARGE,
        Reason.BUDGET_EXCEEDED,
    ]


def test_a_try_waits_for_no_cooldown_but_for_the_breaker() -> None:
    asked = {v.guard for v in guards.readiness(snapshot(), T0, requested=True)}
    brakes = {"stopped", "opted-out", "breaker", "fleet-breaker"}
    assert asked == {"mode", "writes", "paused", "halted", "error-budget", "rollout-health", "sight"} | brakes


@pytest.mark.parametrize("requested", [False, True], ids=["of_our_own_accord", "asked_for"])
@pytest.mark.parametrize("urgent", [False, True], ids=["can_wait", "urgent"])
def test_where_the_install_may_not_write_nothing_starts_however_it_came_about(*, requested: bool, urgent: bool) -> None:
    for writes, reason in ((True, None), (False, Reason.WRITES_NOT_ALLOWED)):
        verdicts = guards.readiness(snapshot(writes=writes), T0, requested=requested, urgent=urgent)
        refused = guards.first_refusal(verdicts)
        assert (refused.reason if refused else None) is reason
