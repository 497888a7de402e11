"""The error budget of a trial: what it made worse, beyond what chance explains."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.cut_short import note_sample
from pegbox.core.decide import decide
from pegbox.core.error_budget import overspent
from pegbox.model.decisions import Action
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import Guards, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, IntentKind, TrialState
from tests.unit.core.build import FAST, NO_WISH, at, baseline, intent, setting, snapshot, spec, under_way, window

# goal 95 %, window 300 s, share 5 %, 10 events/s: 7.5 bad events of 3000 are allowed. The parent had 1 % of 2400.
PROFILE = spec(slos=(replace(FAST, window=F(300)),))
TRIAL = intent(applied_at=at(5))  # started at T0


def bad(count: float, end: float = 120, total: float = 1200, **changes: Any) -> Observation:
    return window(end, slos={"fast": Attainment(total - count, total)}, **changes)


def after(seen: Observation | Missing, item: Intent = TRIAL, profile: ProfileSpec = PROFILE) -> Intent:
    """The intent once this window was looked at."""
    found = note_sample(snapshot(profile, under_way(item), observation=seen)).ledger.intent
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("seen", "item", "over"),
    [
        # 1200 events since T0, 12 bad ones are the parent's; 7.5 + 3 sqrt(2 * 0.01 * 1200 * 1.5) = 7.5 + 18
        pytest.param(bad(37), TRIAL, False, id="25_bad_events_too_many_are_within_budget_and_chance"),
        pytest.param(bad(38), TRIAL, True, id="26_are_not"),
        # 300 events since T0, in a window of 1200: 7.5 + 3 sqrt(2 * 0.01 * 300 * 1.125) = 7.5 + 7.8 = 15.3
        pytest.param(bad(27, 30), TRIAL, False, id="early_15_are_within"),
        pytest.param(bad(28, 30), TRIAL, True, id="early_16_are_not"),
        pytest.param(bad(3, total=10), TRIAL, False, id="three_of_ten_prove_nothing"),
        pytest.param(bad(99, total=99), TRIAL, False, id="99_events_are_fewer_than_the_minimum"),
        pytest.param(bad(100, total=100), TRIAL, True, id="100_events_that_are_all_bad_are_enough"),
        pytest.param(
            bad(900), replace(TRIAL, baseline=baseline(slo_shares={"fast": 0.94})), False, id="the_parent_missed_it_too"
        ),
        pytest.param(bad(900), replace(TRIAL, baseline=baseline(slo_shares={})), False, id="nothing_known_of_before"),
        pytest.param(bad(900), replace(TRIAL, baseline=None), False, id="no_parent_to_compare_with"),
        pytest.param(
            bad(900), replace(TRIAL, baseline=baseline(load=20.0)), False, id="a_parent_with_a_backlog_is_no_measure"
        ),
        # a parent without one bad event in 2400 may still have had one: b = 1/2400, 3 sqrt(1 * 1.5) = 3.7
        pytest.param(bad(11), replace(TRIAL, baseline=baseline(slo_shares={"fast": 1.0})), False, id="11_after_none"),
        pytest.param(bad(12), replace(TRIAL, baseline=baseline(slo_shares={"fast": 1.0})), True, id="12_after_none"),
    ],
)
def test_overspent(seen: Observation, item: Intent, over: bool) -> None:
    assert (overspent(PROFILE, after(seen, item), seen) is not None) is over


@pytest.mark.parametrize(
    ("changes", "over"),
    [
        pytest.param({"error_budget_share": F(1, 2)}, False, id="a_larger_share_allows_more"),  # 75 + 18
        pytest.param({"error_budget_share": F(1, 100)}, True, id="a_smaller_one_less"),  # 1.5 + 18
    ],
)
def test_the_share_decides(changes: dict[str, Any], over: bool) -> None:
    profile = replace(PROFILE, guards=Guards(**changes))
    seen = bad(38)
    assert (overspent(profile, after(seen), seen) is not None) is over


def test_a_longer_window_of_the_slo_has_a_larger_budget() -> None:
    hour = spec(slos=(replace(FAST, window=F(3600)),))  # 90 + 18
    seen = bad(38)
    assert overspent(hour, after(seen), seen) is None
    assert overspent(hour, after(bad(121)), bad(121)) is not None  # 109 spent


def test_what_is_spent_adds_up_over_the_trial_and_each_stretch_of_time_counts_once() -> None:
    first = after(bad(36))  # 24 spent in the first 120 s
    assert first.spent == pytest.approx({"fast": 24.0})
    second = after(bad(36, 150), first)  # 30 s more of a window that spends 24 in 120 s
    assert second.spent == pytest.approx({"fast": 30.0})
    assert after(bad(36, 150), second).spent == second.spent, "the same window again"


def test_what_was_spent_is_not_earned_back_by_doing_as_before() -> None:
    item = TRIAL
    for end, count in ((30, 18), (60, 24), (90, 30), (120, 36), (150, 30), (180, 24), (210, 18), (240, 12), (270, 12)):
        item = after(bad(count, end), item)  # 6 too many in each of four looks, and then none
        assert item.spent == pytest.approx({"fast": min(end / 5, 24)})
    assert len(item.looks["fast"]) == 5, "no more is kept than a window's"


def test_two_bursts_count_in_full_whenever_they_come() -> None:
    """36 in the first 30 s and 36 in the last: one window shows one of them, and what each look brought in neither."""
    item = TRIAL
    for end, count in ((30, 48), (60, 48), (90, 48), (120, 48), (150, 12), (180, 12), (210, 48)):
        item = after(bad(count, end), item)
    assert item.spent == pytest.approx({"fast": 72.0})


def test_small_harm_adds_up_to_a_verdict() -> None:
    # 2 % bad where the parent has 1 %: 12 per 120 s; chance grows with the root, what is spent with time
    item, end = TRIAL, 120
    while overspent(PROFILE, item, bad(24, end)) is None:
        item = after(bad(24, end), item)
        end += 30
        assert end < 3600
    assert end > 300


def test_a_gap_in_the_data_spends_nothing_by_itself() -> None:
    first = after(bad(36))
    silent = after(Missing(Reason.METRICS_UNREACHABLE), first)
    assert silent.spent == first.spent
    assert after(bad(36, 1200), silent).spent == pytest.approx({"fast": 48.0}), "one window, not eighteen minutes"
    assert overspent(PROFILE, first, Missing(Reason.METRICS_UNREACHABLE)) is None


def test_a_trial_that_overspends_is_reverted_and_counted() -> None:
    found = decide(snapshot(PROFILE, under_way(TRIAL), observation=bad(60)), NO_WISH, at(120))
    assert (found.action, found.reason, found.desired) == (
        Action.REVERT,
        Reason.ERROR_BUDGET_SPENT,
        setting(workers=4, pool=4),
    )
    assert found.ledger.breaker.failures == 1
    assert found.ledger.intent is not None and found.ledger.intent.spent == {"fast": pytest.approx(48.0)}


def test_under_a_surge_of_load_it_is_not_the_settings_fault() -> None:
    seen = bad(60, offered_load=14.0)
    found = decide(snapshot(PROFILE, under_way(TRIAL), observation=seen), NO_WISH, at(120))
    assert (found.action, found.reason, found.ledger.breaker.failures) == (Action.REVERT, Reason.LOAD_CHANGED, 0)
    assert found.ledger.trials[-1].state is TrialState.INCONCLUSIVE


@pytest.mark.parametrize("kind", [IntentKind.ADOPT, IntentKind.ROLLBACK, IntentKind.RESTORE])
def test_only_trials_spend(kind: IntentKind) -> None:
    item = replace(TRIAL, kind=kind)
    assert after(bad(900), item).spent == {}
