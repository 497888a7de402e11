"""Limits narrowed past the setting in force: walked back into, step by step, for harm only."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import narrowed, steps
from pegbox.core.decide import decide
from pegbox.core.guards import limits
from pegbox.core.verify import Outcome, bad_for, judge
from pegbox.model.decisions import Action, Admission
from pegbox.model.knobs import Knob, KnobMode, KnobType, Setting
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import Freeze, Mode, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import Baseline, Breaker, BreakerState, TrialState, TrialSummary
from tests.unit.core.build import (
    HOT,
    LEVEL,
    NO_WISH,
    POOL,
    T0,
    at,
    baseline,
    held,
    intent,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    wish,
    workload,
)

SMALL = replace(HOT, maximum=F(10))  # workers 1 to 10, half per step
PROFILE = spec(SMALL, POOL, budgets=())
FAR = setting(workers=40, pool=4)
FROZEN = Freeze("lunch", "0 12 * * *", "UTC", F(3600))  # T0 is 12:00


def walk(knob: Knob, start: int) -> list[int]:
    """The values on the way back, as the guards let each step through."""
    profile, now, found = spec(knob, POOL, budgets=()), setting(workers=start, pool=4), [start]
    while (asked := narrowed.proposal(snapshot(profile, ledger(now)))) is not None:
        verdict = limits.step(snapshot(profile, ledger(now)), now, asked.setting)
        now = verdict.capped or asked.setting
        assert limits.bounds(snapshot(profile), setting(workers=found[-1], pool=4), now).admission is Admission.ADMIT
        found.append(int(now.number("workers")))
        assert len(found) < 50
    return found


@pytest.mark.parametrize(
    ("knob", "start", "way"),
    [
        pytest.param(SMALL, 40, [40, 20, 10], id="down_by_halves_and_to_the_limit"),
        pytest.param(SMALL, 11, [11, 10], id="one_step_is_enough"),
        pytest.param(SMALL, 10, [10], id="at_the_limit_there_is_nothing_to_do"),
        pytest.param(replace(HOT, minimum=F(10)), 2, [2, 3, 5, 8, 10], id="up_by_halves"),  # 1.5, 2.5: rounded up
        pytest.param(replace(SMALL, max_step=F(1, 10)), 13, [13, 12, 11, 10], id="a_smaller_step_takes_longer"),
        pytest.param(replace(SMALL, maximum=F(1)), 5, [5, 3, 2, 1], id="down_to_one"),
    ],
)
def test_the_way_back(knob: Knob, start: int, way: list[int]) -> None:
    assert walk(knob, start) == way


@pytest.mark.parametrize(
    ("before", "after", "admitted"),
    [
        pytest.param(40, 20, True, id="towards_the_limits"),
        pytest.param(40, 10, True, id="to_the_limit"),
        pytest.param(40, 5, True, id="into_the_limits"),
        pytest.param(40, 41, False, id="away_from_them"),
        pytest.param(40, 0, False, id="past_them_and_out_on_the_other_side"),
        pytest.param(8, 11, False, id="out_of_them"),
    ],
)
def test_bounds_from_outside(before: int, after: int, admitted: bool) -> None:
    found = limits.bounds(snapshot(PROFILE), setting(workers=before, pool=4), setting(workers=after, pool=4))
    assert (found.admission is Admission.ADMIT) is admitted


def test_it_starts_a_trial_of_one_step_whatever_the_model_wishes() -> None:
    for asked in (NO_WISH, wish(setting(workers=40, pool=6))):
        found = decide(snapshot(PROFILE, ledger(FAR)), asked, T0)
        assert (found.action, found.reason, found.desired) == (
            Action.START,
            Reason.LIMITS_NARROWED,
            setting(workers=20, pool=4),
        )


FAILED = TrialSummary(
    "i-1", setting(workers=20, pool=4), FAR, TrialState.REVERTED, Reason.REGRESSION, at(-400), at(-200)
)


@pytest.mark.parametrize(
    ("profile", "memory", "starts"),
    [
        pytest.param(PROFILE, {"cooldown_until": at(60)}, True, id="it_waits_for_no_cool_down"),
        pytest.param(replace(PROFILE, freezes=(FROZEN,)), {}, False, id="a_freeze_holds_it"),
        pytest.param(
            replace(PROFILE, freezes=(replace(FROZEN, allow_urgent=True),)), {}, True, id="but_for_one_that_lets_urgent"
        ),
        pytest.param(replace(PROFILE, mode=Mode.RECOMMEND), {}, False, id="not_in_recommend"),
        pytest.param(PROFILE, {"paused_until": at(60)}, False, id="not_while_paused"),
        pytest.param(
            PROFILE, {"breaker": Breaker(BreakerState.OPEN, until=at(60))}, False, id="not_while_the_breaker_is_open"
        ),
    ],
)
def test_when_it_starts(profile: ProfileSpec, memory: dict[str, Any], starts: bool) -> None:
    found = decide(snapshot(profile, ledger(FAR, **memory)), NO_WISH, T0)
    assert (found.action is Action.START) is starts


@pytest.mark.parametrize(("allow_urgent", "goes_on"), [(True, True), (False, False)], ids=["Urgent", "None"])
def test_a_freeze_in_the_middle_of_writing_a_step(allow_urgent: bool, goes_on: bool) -> None:
    """What a freeze lets start it lets be written, or the step would turn back at once, and start again."""
    profile = replace(PROFILE, freezes=(replace(FROZEN, allow_urgent=allow_urgent),))
    begun = decide(snapshot(PROFILE, ledger(FAR)), NO_WISH, T0).ledger
    seen = replace(snapshot(profile, ledger(FAR)), ledger=begun)
    assert (decide(seen, NO_WISH, at(5)).action is Action.CONTINUE) is goes_on


def test_a_step_that_failed_is_not_repeated_at_once_and_other_knobs_go_on() -> None:
    seen = snapshot(PROFILE, ledger(FAR, trials=(FAILED,)), read_at=T0)
    found = decide(seen, wish(setting(workers=40, pool=6)), T0)
    assert found.desired == setting(workers=40, pool=6)


def test_while_the_breaker_is_half_open_the_step_is_the_smallest() -> None:
    memory = ledger(FAR, breaker=Breaker(BreakerState.HALF_OPEN))
    found = decide(snapshot(PROFILE, memory), NO_WISH, T0)
    low, _ = steps.reach(SMALL, F(40), smallest=True)
    assert found.desired == setting(workers=int(low), pool=4)


@pytest.mark.parametrize(
    ("knob", "why"),
    [
        pytest.param(replace(SMALL, pinned=F(40)), "pinned", id="a_pinned_knob"),
        pytest.param(replace(SMALL, mode=KnobMode.RECOMMEND), "recommend", id="a_recommend_only_knob"),
    ],
)
def test_what_is_not_tuned_is_not_walked(knob: Knob, why: str) -> None:
    assert narrowed.proposal(snapshot(spec(knob, POOL, budgets=()), ledger(FAR))) is None


def test_what_others_own_is_not_walked() -> None:
    theirs = held(FAR, workers=Missing(Reason.OWNED_BY_OTHER, "helm"))
    assert narrowed.proposal(snapshot(PROFILE, ledger(FAR), held=theirs)) is None


def test_a_level_taken_off_the_list_moves_to_the_default_alone_and_after_the_numbers() -> None:
    short = replace(LEVEL, choices=("low", "mid"), default="mid")
    profile = spec(short, SMALL, budgets=())
    both = Setting({"level": "high", "workers": F(40)})
    first = narrowed.proposal(snapshot(profile, ledger(both)))
    assert first is not None and first.setting["level"] == "high"
    then = Setting({"level": "high", "workers": F(10)})
    found = decide(snapshot(profile, ledger(then)), NO_WISH, T0)
    assert found.desired == Setting({"level": "mid", "workers": F(10)})
    assert short.type is KnobType.CHOICE


# --- the verdict

STEP = intent(
    parent=FAR, stages=(setting(workers=20, pool=4),), reason=Reason.LIMITS_NARROWED, in_force_at=T0, applied_at=T0
)


MISSED, LOST = {"fast": Attainment(1080, 1200)}, {"fast": Attainment(1070, 1200)}  # 90 % and 89 % of 95 %


def judged(count: int, now: datetime, **changes: Any) -> tuple[Outcome, Reason]:
    windows = tuple(window(180 + 120 * n, **changes) for n in range(count))
    found = judge(PROFILE, STEP, windows, now)
    return found.outcome, found.reason


def test_a_step_needs_no_gain_but_two_windows_without_harm() -> None:
    assert judged(1, at(200)) == (Outcome.WAIT, Reason.JUDGING)
    assert judged(2, at(310)) == (Outcome.ACCEPT, Reason.TRIAL_ACCEPTED)
    wished = replace(STEP, reason=Reason.TRIAL_STARTED)
    found = judge(spec(SMALL, POOL, slos=()), replace(wished, stages=(setting(workers=41, pool=4),)), (), at(310))
    assert found.outcome is not Outcome.ACCEPT, "the twin: any other trial has to gain"


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        pytest.param({"slos": MISSED}, Outcome.REVERT, Reason.SLO_BREACHED, id="an_slo_outranks_a_limit"),
        pytest.param({"latency": 0.3}, Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, id="a_limit_outranks_mean_latency"),
        pytest.param({"offered_load": 20.0}, Outcome.INCONCLUSIVE, Reason.LOAD_CHANGED, id="another_load"),
        pytest.param({"throughput": Missing(Reason.NO_DATA)}, Outcome.WAIT, Reason.NO_DATA, id="silence_is_no_proof"),
    ],
)
def test_a_step_that_harms_or_cannot_be_judged(changes: dict[str, Any], outcome: Outcome, reason: Reason) -> None:
    assert judged(3, at(420), **changes) == (outcome, reason)


@pytest.mark.parametrize(
    ("seen", "base", "reason"),
    [
        pytest.param(window(latency=0.9), baseline(), None, id="later_within_the_slo"),
        pytest.param(window(latency=0.9, errors=0.1), baseline(), Reason.ERROR_SURGE, id="errors"),
        pytest.param(window(latency=0.9, slos=LOST), baseline(), Reason.SLO_BREACHED, id="the_slo_is_lost"),
        pytest.param(
            window(offered_load=20.0, throughput=5.0), baseline(load=20.0), None, id="half_of_what_was_not_enough"
        ),
        pytest.param(Missing(Reason.NO_DATA), baseline(), None, id="silence"),
    ],
)
def test_a_bad_sample_of_a_step(seen: Observation | Missing, base: Baseline, reason: Reason | None) -> None:
    step = replace(STEP, baseline=base)
    assert bad_for(step, seen, PROFILE) is reason
    wished = bad_for(replace(step, reason=Reason.TRIAL_STARTED), seen, PROFILE)
    assert isinstance(seen, Missing) or wished is not None, "the twin: for any other trial it is bad"


def test_damage_and_the_error_budget_stop_a_step_too() -> None:
    memory = under_way(replace(STEP, in_force_at=None))
    seen = snapshot(PROFILE, memory)
    hurt = replace(seen, workload=workload(pod(oom_killed_at=at(5))))
    assert decide(hurt, NO_WISH, at(10)).reason is Reason.OOM_KILLED
    spent = replace(seen, observation=window(120, slos={"fast": Attainment(1140, 1200)}))
    assert decide(spent, NO_WISH, at(120)).reason is Reason.ERROR_BUDGET_SPENT


def test_without_any_window_it_ends_and_is_put_back() -> None:
    assert judged(0, at(1801)) == (Outcome.INCONCLUSIVE, Reason.NO_DATA)
