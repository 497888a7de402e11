"""The share of an error budget, over all trials that spent within one window of the SLO.

Numbers of `test_error_budget`: 7.5 bad events are the share. A trial that ran for 120 s has the variance 36, so that
chance may add 18; two such trials 25.5; three 31.2.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import error_budget, guards
from pegbox.core.decide import decide
from pegbox.core.error_budget import MERGED, overspent, told
from pegbox.core.guards import waiting
from pegbox.model.decisions import Action, Admission, Decision
from pegbox.model.observations import Attainment, Missing
from pegbox.model.profile import Freeze, Guards, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Request, Snapshot
from pegbox.model.trials import Intent, IntentKind, Ledger, Rung, Spending, TrialState
from tests.unit.core.build import (
    FAST,
    NO_WISH,
    acked,
    at,
    intent,
    ledger,
    pod,
    setting,
    snapshot,
    under_way,
    window,
    wish,
    workload,
)
from tests.unit.core.test_error_budget import PROFILE, TRIAL, after, bad

NOW, MORE = setting(workers=4, pool=4), setting(workers=6, pool=4)
OWN = {"fast": Attainment(2970.0, 3000.0)}  # the SLO's own window of 300 s
MISSED = tuple(window(n, slos={"fast": Attainment(1128.0, 1200.0)}) for n in (-120, 0))  # 94 %


def spent(*trials: tuple[float, float], name: str = "fast", variance: float = 36.0) -> dict[str, Any]:
    """(ended at, bad events) of trials, oldest first, as fields of a ledger."""
    return {"spent": {name: tuple(Spending(at(end), at(end), events, variance) for end, events in trials)}}


def rested(memory: Ledger, profile: ProfileSpec = PROFILE, **changes: Any) -> Snapshot:
    return snapshot(profile, memory, **({"slos": OWN} | changes))


# --- may a trial begin?


@pytest.mark.parametrize(
    ("trials", "until"),
    [
        pytest.param((), None, id="nothing_was_spent"),
        # 7.5 + 18 - 23 = 2.5 are left, a quarter of the share is 1.9
        pytest.param(((-10, 23),), None, id="after_23_there_is_enough_left"),
        pytest.param(((-10, 24),), 290, id="after_24_there_is_not"),
        pytest.param(((-300, 240),), None, id="a_window_ago_is_forgotten"),
        pytest.param(((-299, 240),), 1, id="and_not_a_second_earlier"),
        # 7.5 + 25.5 - 31 = 2.0; 7.5 + 25.5 - 32 = 1.0, and 7.5 + 18 - 16 = 9.5 once the first is out
        pytest.param(((-100, 15.5), (-10, 15.5)), None, id="two_of_15_and_a_half_leave_enough"),
        pytest.param(((-100, 16), (-10, 16)), 200, id="two_of_16_do_not_until_the_first_is_out"),
        pytest.param(((-100, 2), (-10, 30)), 290, id="until_the_one_that_spent_it_is_out"),
        pytest.param(((-100, 30), (-10, 2)), 200, id="whichever_of_them_it_is"),
        pytest.param(((-200, 10), (-100, 10), (-10, 17)), 100, id="three_add_up"),  # 7.5 + 31.2 - 37 = 1.7
    ],
)
def test_no_trial_begins_with_less_than_a_quarter_of_the_share(
    trials: tuple[tuple[float, float], ...], until: float | None
) -> None:
    found = error_budget.used_up(rested(ledger(**spent(*trials))), at(0))
    assert (found.until if found is not None else None) == (at(until) if until is not None else None)
    begun = decide(rested(ledger(**spent(*trials))), wish(MORE), at(0))
    assert (begun.action is Action.START) is (until is None)


def test_the_hold_says_why_and_until_when_and_ends_then() -> None:
    seen = rested(ledger(**spent((-10, 24))))
    held = decide(seen, wish(MORE), at(0))
    assert (held.action, held.reason) == (Action.HOLD, Reason.ERROR_BUDGET_SPENT)
    assert "SLO fast: 24 bad events" in held.message and "until 2026-03-02T12:04:50+00:00" in held.message
    assert decide(seen, wish(MORE), at(289)).reason is Reason.ERROR_BUDGET_SPENT
    assert waiting.spent(seen, at(290)).admission is Admission.ADMIT


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        pytest.param({}, True, id="as_above"),
        pytest.param({"slos": {}}, True, id="own_window_not_asked_the_rate_of_the_newest_tells"),
        pytest.param({"slos": {"fast": Attainment(5940.0, 6000.0)}}, False, id="twice_the_events_twice_the_budget"),
        pytest.param({"baseline_windows": MISSED}, False, id="an_slo_that_the_incumbent_misses_by_itself"),
        pytest.param({"slos": {"fast": Attainment(2400.0, 3000.0)}}, True, id="one_that_the_trials_made_it_miss"),
        pytest.param({"baseline_windows": ()}, True, id="nobody_knows_yet_whether_it_misses_it"),
    ],
)
def test_which_slo_holds(changes: dict[str, Any], holds: bool) -> None:
    seen = rested(ledger(**spent((-10, 24))), **changes)
    assert (error_budget.used_up(seen, at(0)) is not None) is holds


@pytest.mark.parametrize(
    ("events", "holds"), [pytest.param(18.1, True, id="beyond_chance"), pytest.param(17.9, False, id="by_chance")]
)
def test_without_a_figure_of_the_events_only_what_is_beyond_chance_holds(events: float, holds: bool) -> None:
    seen = rested(ledger(**spent((-10, events))), slos={}, observation=Missing(Reason.NO_DATA))
    assert (error_budget.used_up(seen, at(0)) is not None) is holds


@pytest.mark.parametrize(
    ("profile", "holds"),
    [
        pytest.param(replace(PROFILE, slos=(replace(PROFILE.slos[0], goal=F(9, 10)),)), False, id="an_easier_goal"),
        pytest.param(replace(PROFILE, slos=(replace(PROFILE.slos[0], goal=F(99, 100)),)), True, id="a_harder_goal"),
        pytest.param(replace(PROFILE, slos=(replace(PROFILE.slos[0], window=F(10)),)), False, id="a_shorter_window"),
        pytest.param(replace(PROFILE, slos=(replace(PROFILE.slos[0], window=F(3600)),)), True, id="a_longer_window"),
        pytest.param(replace(PROFILE, guards=Guards(error_budget_share=F(1, 10))), False, id="a_larger_share"),
        pytest.param(replace(PROFILE, slos=(replace(PROFILE.slos[0], name="other"),)), False, id="another_name"),
        pytest.param(replace(PROFILE, slos=()), False, id="no_slo"),
    ],
)
def test_an_edited_slo_is_held_against_what_was_counted_before(profile: ProfileSpec, holds: bool) -> None:
    """Events are stored, and the budget is that of now. (The own window is as before: 3000 events.)"""
    assert (error_budget.used_up(rested(ledger(**spent((-10, 24))), profile), at(0)) is not None) is holds


@pytest.mark.parametrize(
    ("kind", "memory"),
    [
        pytest.param("try", spent((-10, 24)), id="a_persons_try"),
        pytest.param("narrowed", spent((-10, 24)), id="a_step_back_into_narrowed_limits"),
        pytest.param("try", {}, id="the_twin_of_a_try"),
        pytest.param("narrowed", {}, id="the_twin_of_a_step_back"),
    ],
)
def test_nobodys_wish_spends_more(kind: str, memory: dict[str, Any]) -> None:
    if kind == "try":
        found = decide(rested(ledger(**memory), requests=(Request("try", "t1", "workers=6"),)), NO_WISH, at(0))
    else:
        found = decide(rested(ledger(setting(workers=40, pool=1), **memory)), NO_WISH, at(0))
    assert (found.action is Action.START) is not bool(memory)
    if memory:
        assert "until 2026-03-02T12:04:50+00:00" in found.message


def test_a_rollback_that_a_person_asks_for_waits_for_no_budget() -> None:
    memory = ledger(MORE, **spent((-10, 999)))
    record = replace(memory, ladder=(Rung(NOW, 10.0, 3, 0.1, at(-900)),))
    found = decide(rested(record, requests=(Request("rollback", "t1", ""),)), NO_WISH, at(0))
    assert found.action is Action.REVERT and found.desired == NOW


def test_urgent_against_a_missed_slo_only_another_one_holds_it() -> None:
    """A breach spends its budget by itself. What a trial would take from an SLO that is met is still the team's."""
    also = replace(PROFILE, slos=(*PROFILE.slos, replace(FAST, name="ok", window=F(300))))
    missed = tuple(replace(w, slos={**w.slos, "ok": Attainment(1188.0, 1200.0)}) for w in MISSED)
    both = {"fast": Attainment(2820.0, 3000.0), "ok": OWN["fast"]}
    looked: dict[str, Any] = {"observation": missed[-1], "baseline_windows": missed, "slos": both}
    for name, holds in (("fast", False), ("ok", True)):
        seen = rested(ledger(**spent((-10, 24), name=name)), also, **looked)
        urgent = guards.readiness(seen, at(0), urgent=True)
        assert (guards.first_refusal(urgent) is not None) is holds
    frozen = replace(also, freezes=(Freeze("lunch", "0 12 * * *", "UTC", F(3600), allow_urgent=True),))
    seen = rested(ledger(**spent((-10, 24))), frozen, **looked)
    assert decide(seen, wish(MORE), at(0)).action is Action.START


# --- a trial after others


def told_off(count: float, *trials: tuple[float, float]) -> error_budget.Overspent | None:
    seen = bad(count)
    return overspent(PROFILE, after(seen), seen, spent(*trials)["spent"])


@pytest.mark.parametrize(
    ("trials", "count", "guilty"),
    [
        pytest.param((), 37, None, id="alone_25_bad_events_are_within"),
        pytest.param((), 38, True, id="alone_26_are_not"),
        # 7.5 + 25.46 - 20 = 12.96 are left
        pytest.param(((-10, 20),), 24, None, id="after_20_another_12_are_within"),
        pytest.param(((-10, 20),), 25, False, id="13_are_not_but_chance_may_be_to_blame_for_them"),
        pytest.param(((-10, 20),), 30, False, id="so_it_is_with_18"),
        pytest.param(((-10, 20),), 31, True, id="19_are_beyond_chance"),
        pytest.param(((-181, 20),), 25, None, id="what_ended_a_window_before_its_newest_sample_is_forgotten"),
        pytest.param(((-10, 200),), 12, None, id="who_spends_nothing_is_never_ended"),
        pytest.param(((-10, 200),), 13, False, id="with_nothing_left_one_event_ends_it"),
        pytest.param(((-10, 1),), 37, None, id="a_little_chance_of_others_takes_nothing_away"),
        pytest.param(((-10, 1),), 38, True, id="and_adds_nothing"),  # 7.5 + 25.46 - 1 = 31.96, but alone 25.5
    ],
)
def test_a_trial_begins_with_what_those_before_it_left(
    trials: tuple[tuple[float, float], ...], count: float, guilty: bool | None
) -> None:
    over = told_off(count, *trials)
    assert (None if over is None else over.guilty) is guilty


def test_five_trials_within_a_window_spend_one_share() -> None:
    """The adversarial twin is a ledger that forgets: each of the five has a share to itself."""

    def five(remembering: bool) -> list[float]:
        before: tuple[tuple[float, float], ...] = ()
        taken = []
        for n in range(5):
            most = next(c for c in range(12, 1200) if told_off(c + 1, *before) is not None) - 12
            taken.append(float(most))
            before = (*before, (-10.0 * (5 - n), float(most))) if remembering else ()
        return taken

    assert five(remembering=False) == [25.0] * 5
    together = five(remembering=True)
    assert together[0] == 25.0 and sum(together) <= 7.5 + 3 * (5 * 36) ** 0.5  # 47.7


def test_who_is_ended_for_what_others_spent_is_not_blamed() -> None:
    memory = under_way(TRIAL, **spent((-10, 20)))
    found = decide(snapshot(PROFILE, memory, observation=bad(28)), NO_WISH, at(120))
    assert (found.action, found.reason) == (Action.REVERT, Reason.ERROR_BUDGET_SPENT)
    assert (found.ledger.breaker.failures, found.ledger.trials[-1].state) == (0, TrialState.INCONCLUSIVE)
    harmful = decide(snapshot(PROFILE, memory, observation=bad(40)), NO_WISH, at(120))
    assert (harmful.ledger.breaker.failures, harmful.ledger.trials[-1].state) == (1, TrialState.REVERTED)


# --- what is remembered


def ends(item: Intent, when: float, memory: dict[str, Any] | None = None, **changes: Any) -> Decision:
    """The wake at which a rollback is in force."""
    told_back = acked(pod(), PROFILE, item)
    seen = snapshot(PROFILE, under_way(item, **(memory or {})), workload=workload(told_back), **changes)
    found = decide(seen, NO_WISH, at(when))
    assert found.action is Action.CLOSE and found.ledger.intent is None
    return found


def back(**changes: Any) -> Intent:
    """The rollback of a trial that spent 24 until T0 + 120."""
    plain = intent(
        IntentKind.ROLLBACK,
        parent=MORE,
        stages=(NOW,),
        state=TrialState.REVERTED,
        stage_at=at(120),
        applied_at=at(125),
        last_sample_at=at(120),
        looks={"fast": ((0.0, 0.0), (120.0, 24.0))},
        spent={"fast": 24.0},
        variance={"fast": 36.0},
    )
    return replace(plain, **changes)


def test_the_way_back_is_the_trials_time() -> None:
    """60 s more of windows with 24 bad events too many in 120 s."""
    kept = ends(back(), 180, observation=bad(36, 180)).ledger.spent
    (item,) = kept["fast"]
    assert (item.since, item.until) == (at(180), at(180)) and item.events == pytest.approx(36.0)
    assert item.variance == pytest.approx(2 * 0.01 * 1800 * 1.75)
    unseen = ends(back(), 180, observation=Missing(Reason.NO_DATA)).ledger.spent
    assert [i.events for i in unseen["fast"]] == [24.0], "the twin: what nobody saw is not counted"


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.ADOPT], ids=["a requested rollback", "an adoption"])
def test_what_follows_no_trial_spends_nothing(kind: IntentKind) -> None:
    item = back(kind=kind, state=None, spent={}, variance={})
    assert ends(item, 180, observation=bad(900, 180)).ledger.spent == {}


def test_an_accepted_trial_is_remembered_too() -> None:
    item = replace(TRIAL, applied_at=at(5), in_force_at=at(5), last_sample_at=at(500), spent={"fast": 9.0})
    memory = under_way(replace(item, variance={"fast": 100.0}))
    windows = tuple(window(n, latency=0.05) for n in (240, 360, 480, 600))
    seen = snapshot(PROFILE, memory, observation=windows[-1], baseline_windows=windows)
    found = decide(replace(seen, workload=workload(acked(pod(), PROFILE, item))), NO_WISH, at(600))
    assert found.action is Action.ACCEPT, found.message
    assert [i.events for i in found.ledger.spent["fast"]] == [pytest.approx(9.0)]


def test_who_did_better_than_its_parent_leaves_no_credit() -> None:
    item = back(spent={"fast": -50.0}, looks={"fast": ((0.0, 0.0), (120.0, -50.0))})
    assert ends(item, 180, observation=window(180)).ledger.spent == {}


def test_what_is_remembered_is_bounded_by_the_window() -> None:
    """One trial ends per second for an hour: at most nine entries, no event of the window forgotten, and none older
    than a window and an eighth."""
    memory, one = ledger(), back(spent={"fast": 1.0}, variance={"fast": 4.0}, started_at=at(-9))
    for second in range(1, 3600):
        memory = error_budget.remembered(PROFILE, replace(memory, intent=one), memory, at(second))
        assert len(memory.spent["fast"]) <= MERGED + 1
    total = sum(i.events for i in error_budget._within(PROFILE.slos[0], memory.spent, at(3599)))
    assert 300 <= total <= 300 * (1 + 1 / MERGED) + 1
    assert all(i.until - i.since <= timedelta(seconds=300 / MERGED) for i in memory.spent["fast"])


def test_reset_gives_no_budget_back() -> None:
    """It forgets what Pegbox thinks. What users got is no opinion."""
    memory = ledger(**spent((-10, 24)))
    found = decide(rested(memory, requests=(Request("reset", "t1", ""),)), wish(MORE), at(0))
    assert found.ledger.spent == memory.spent and found.reason is Reason.ERROR_BUDGET_SPENT


def test_a_recreated_target_is_the_same_service() -> None:
    memory = ledger(**spent((-10, 24)))
    found = decide(rested(memory, workload=workload(uid="target-2")), NO_WISH, at(0))
    assert found.ledger.target_uid == "target-2" and found.ledger.spent == memory.spent


def test_a_lost_ledger_forgets_it() -> None:
    assert decide(rested(ledger()), wish(MORE), at(0)).action is Action.START


def test_a_clock_that_was_set_back_holds_for_one_window_at_the_most() -> None:
    memory = ledger(**spent((7200, 24)))  # two hours ahead
    found = decide(rested(memory), wish(MORE), at(0))
    assert "until 2026-03-02T12:05:00+00:00" in found.message
    later = rested(found.ledger, observation=window(300), baseline_windows=(window(300),))
    assert decide(later, wish(MORE), at(300)).action is Action.START


def test_a_clock_that_jumps_ahead_forgets_it_and_one_that_returns_remembers() -> None:
    memory = ledger(**spent((-10, 24)))
    ahead = rested(memory, observation=window(7200), baseline_windows=(window(7200),))
    assert waiting.spent(ahead, at(7200)).admission is Admission.ADMIT
    assert waiting.spent(ahead, at(100)).admission is Admission.REFUSE


@pytest.mark.parametrize(
    ("events", "worth"),
    [
        pytest.param(18.0, {}, id="what_chance_explains_is_not"),
        pytest.param(28.0, {"fast": 10.0}, id="10_beyond_it_is"),  # 1.25^10 = 9.3
        pytest.param(29.0, {"fast": 10.0}, id="a_little_more_is_not"),
        pytest.param(30.0, {"fast": 11.0}, id="a_quarter_more_is"),  # 1.25^11 = 11.6
    ],
)
def test_what_is_worth_a_write_of_the_ledger_in_mid_trial(events: float, worth: dict[str, float]) -> None:
    assert told(replace(TRIAL, spent={"fast": events}, variance={"fast": 36.0})) == worth
