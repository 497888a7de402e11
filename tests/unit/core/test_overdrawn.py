"""A budget that others exceeded at rest: said, and lowered by as little as fits, of what is ours.

The budget of `build`: pods * workers * pool within 48. One pod, four workers and a pool of four use 16 of it.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.conditions import by_type, conditions
from pegbox.core.decide import decide
from pegbox.core.overdrawn import exceeded
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import Action, ConditionType, Decision, Truth
from pegbox.model.knobs import KnobMode, Location, LocationKind, ResourceName, Side, Size
from pegbox.model.observations import Missing
from pegbox.model.profile import BudgetSpec, Freeze, Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts, Snapshot
from pegbox.model.trials import Breaker, BreakerState, IntentKind, TrialState, TrialSummary
from tests.unit.core.build import (
    HOT,
    HPA,
    NO_WISH,
    POOL,
    T0,
    acked,
    at,
    document,
    held,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    workload,
)

HERE = setting(workers=4, pool=4)
SHARED = (BudgetSpec("postgres", "pods * workers * pool", ref="postgres"),)
ALL_DAY = Freeze("all day", "0 0 * * *", "UTC", F(24 * 3600))


def pods(count: int, **changes: Any) -> Snapshot:
    """Somebody scaled by hand: so many pods are wanted and run."""
    running = tuple(pod(name) for name in "abcdefgh"[:count])
    return snapshot(workload=workload(*running), **changes)


def of(seen: Snapshot, **changes: Any) -> Snapshot:
    return replace(seen, spec=replace(seen.spec, **changes))


def degraded(seen: Snapshot, found: Decision) -> tuple[Truth, Reason, str]:
    said = by_type(conditions(seen, found, Missing(Reason.LEARNING), {}, T0))[ConditionType.DEGRADED]
    return said.status, said.reason, said.message


def test_it_is_lowered_in_the_wake_that_sees_it_and_said() -> None:
    """5 pods use 80. A tenth less of the way to one each is 3 and 3, which use 45."""
    seen = pods(5)
    found = decide(seen, NO_WISH, T0)
    assert (found.action, found.reason, found.desired) == (
        Action.REVERT,
        Reason.BUDGET_EXCEEDED,
        setting(workers=3, pool=3),
    )
    assert found.ledger.intent is not None and found.ledger.intent.kind is IntentKind.ROLLBACK
    assert [(e.reason, e.warning) for e in found.events] == [(Reason.BUDGET_EXCEEDED, True)]
    assert degraded(seen, found) == (
        Truth.TRUE,
        Reason.BUDGET_EXCEEDED,
        "exceeded by others, and being lowered: postgres: 80 of 48",
    )


def test_what_fits_is_left_alone() -> None:
    """3 pods use 48 of 48."""
    found = decide(pods(3), NO_WISH, T0)
    assert (found.action, found.desired) == (Action.HOLD, None)
    assert degraded(pods(3), found)[0] is Truth.FALSE


def test_a_lowered_limit_and_an_autoscaler_raised_by_hand_count_like_pods() -> None:
    tight = replace(spec().budgets[0], limit=F(9))
    assert decide(of(snapshot(), budgets=(tight,)), NO_WISH, T0).desired == setting(workers=3, pool=3)
    incumbent = setting(workers=4, pool=4, max_replicas=2)
    raised = held(incumbent.with_values(max_replicas=F(5)), max_replicas=Missing(Reason.OWNED_BY_OTHER, "kubectl"))
    profile = spec(HOT, POOL, HPA)
    seen = snapshot(profile, ledger(incumbent), held=raised, document=document(profile, incumbent, 1))
    assert decide(seen, NO_WISH, T0).desired == setting(workers=3, pool=3, max_replicas=5)


def test_a_bound_of_pods_that_we_had_raised_is_lowered_to_its_owners_value_at_the_most() -> None:
    """Adopted at 2, accepted at 5; the limit became 9: 2 x 2 x 2 fits, and the bound is not lowered below 2."""
    accepted, adopted = setting(workers=4, pool=4, max_replicas=5), setting(workers=4, pool=4, max_replicas=2)
    profile = spec(HOT, POOL, HPA, budgets=(replace(spec().budgets[0], limit=F(9)),))
    wanted = decide(snapshot(profile, ledger(accepted, adopted=adopted)), NO_WISH, T0).desired
    assert wanted is not None and wanted.number("max_replicas") >= 2
    assert wanted.number("max_replicas") * wanted.number("workers") * wanted.number("pool") <= 9
    untouched = decide(snapshot(profile, ledger(accepted, adopted=accepted)), NO_WISH, T0).desired
    assert untouched is not None and untouched.number("max_replicas") == 5


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"mode": Mode.RECOMMEND}, id="in_recommend_it_is_said_only"),
        pytest.param({"mode": Mode.OBSERVE}, id="in_observe_too"),
        pytest.param({"freezes": (ALL_DAY,)}, id="a_freeze_that_lets_nothing_through"),
        pytest.param({"rules": ("pool >= 4",)}, id="a_rule_that_what_fits_would_break"),
    ],
)
def test_what_may_not_be_written_is_only_said(changes: dict[str, Any]) -> None:
    seen = of(pods(5), **changes)
    found = decide(seen, NO_WISH, T0)
    assert found.desired is None
    assert degraded(seen, found) == (Truth.TRUE, Reason.BUDGET_EXCEEDED, "exceeded by others: postgres: 80 of 48")


def test_a_freeze_that_allows_what_is_urgent_lets_it_through() -> None:
    assert decide(of(pods(5), freezes=(replace(ALL_DAY, allow_urgent=True),)), NO_WISH, T0).desired is not None


@pytest.mark.parametrize("brake", [Brakes(Stop.STOP, "stop"), Brakes(opted_out=True, opt_out_text="true")], ids=repr)
def test_a_brake_holds_it(brake: Brakes) -> None:
    found = decide(replace(pods(5), brakes=brake), NO_WISH, T0)
    assert found.desired is None


def test_neither_the_breaker_nor_a_pause_nor_a_cool_down_holds_it() -> None:
    memory = ledger(breaker=Breaker(BreakerState.OPEN, 3, 1, at(900)), paused_until=at(9000), cooldown_until=at(9000))
    assert decide(pods(5, memory=memory), NO_WISH, T0).desired == setting(workers=3, pool=3)


def test_where_even_the_least_does_not_fit_nothing_is_lowered() -> None:
    """At one worker and one connection 5 pods use 5 of 4."""
    seen = of(pods(5), budgets=(replace(spec().budgets[0], limit=F(4)),))
    found = decide(seen, NO_WISH, T0)
    assert found.desired is None and degraded(seen, found)[1] is Reason.BUDGET_EXCEEDED


def test_what_others_own_and_what_is_pinned_stays() -> None:
    seen = replace(pods(5), held=held(HERE, pool=Missing(Reason.OWNED_BY_OTHER, "helm")))
    assert decide(seen, NO_WISH, T0).desired == setting(workers=2, pool=4), "5 x 2 x 4 = 40"
    recommended = spec(replace(HOT, mode=KnobMode.RECOMMEND), POOL)
    assert decide(pods(5, profile=recommended), NO_WISH, T0).desired == setting(workers=4, pool=2)


def test_no_containers_size_is_ever_lowered_for_a_budget() -> None:
    place = Location(LocationKind.CONTAINER_RESOURCE, size=Size(Side.LIMITS, ResourceName.MEMORY))
    memory = replace(HOT, name="memory", location=place, minimum=F(2**20), maximum=F(2**40))
    profile = spec(memory, budgets=(BudgetSpec("ram", "pods * memory", limit=F(2**20)),))
    seen = snapshot(profile, ledger(setting(memory=2**30)))
    assert exceeded(seen) and decide(seen, NO_WISH, T0).desired is None


def test_a_rollouts_surge_lowers_nothing() -> None:
    """Three pods are wanted; two of the next revision run beside them for a moment."""
    running = tuple(pod(name) for name in "abcde")
    seen = snapshot(workload=workload(*running, replicas=3, rolling=True))
    assert not exceeded(seen)
    assert decide(seen, NO_WISH, T0).desired is None


@pytest.mark.parametrize(
    ("facts", "lowers"),
    [
        pytest.param(SharedBudgetFacts("postgres", 48, 16), True, id="it_uses_more_than_it_claimed"),
        pytest.param(
            SharedBudgetFacts("postgres", 48, 16, trial_holder="shop/basket"), True, id="also_while_another_one_tries"
        ),
        pytest.param(
            SharedBudgetFacts("postgres", 48, 80, trial_holder="shop/basket"), False, id="another_one_is_mending_it"
        ),
        pytest.param(SharedBudgetFacts("postgres", 48, 80), True, id="nobody_mends_it"),
    ],
)
def test_of_a_shared_budget(facts: SharedBudgetFacts, lowers: bool) -> None:
    seen = of(replace(pods(5), budgets={"postgres": facts}), budgets=SHARED)
    assert (decide(seen, NO_WISH, T0).desired is not None) is lowers


SPEC = spec()
PATIENCE = float(SPEC.interval + SPEC.guards.ack_timeout)


@pytest.mark.parametrize(
    ("left", "share", "ago", "after"),
    [
        pytest.param(48, 40, None, 3, id="it_makes_up_for_all_where_it_can"),
        pytest.param(10, 50, None, 1, id="though_that_is_more_than_its_share"),
        pytest.param(10, 50, 0.9, 1, id="and_at_once"),
        pytest.param(0, 50, None, 3, id="by_its_share_where_it_cannot"),
        pytest.param(0, 4, None, 1, id="as_far_as_may_be_where_the_least_is_more_than_its_share"),
        pytest.param(0, 50, 0.9, None, id="then_the_others_have_their_look"),
        pytest.param(0, 50, 1.1, 1, id="after_that_as_far_as_may_be"),
        pytest.param(0, 50, 3.1, 3, id="what_was_long_ago_was_another_cut"),
        pytest.param(0, 50, -9.0, 3, id="what_is_to_come_is_of_another_clock"),
        pytest.param(0, 0, None, 1, id="to_the_least_where_its_share_is_none"),
    ],
)
def test_a_shared_capacity_that_was_cut(left: int, share: int, ago: float | None, after: int | None) -> None:
    """Of 80 that it uses and claims: with 3 each 45, with 2 each 20, with 1 each 5. `ago`: since it was last lowered."""
    seen = replace(pods(5), budgets={"postgres": SharedBudgetFacts("postgres", left, 80, share)})
    if ago is not None:
        end = at(-ago * PATIENCE)
        trial = TrialSummary("0-1", HERE, HERE, TrialState.ACCEPTED, Reason.BUDGET_EXCEEDED, end, end)
        seen = replace(seen, ledger=replace(seen.ledger, trials=(trial,)))
    found = decide(of(seen, budgets=SHARED), NO_WISH, T0)
    assert found.desired == (None if after is None else setting(workers=after, pool=after))
    assert degraded(of(seen, budgets=SHARED), found)[1] is Reason.BUDGET_EXCEEDED


def test_what_the_profile_itself_exceeds_waits_for_nobody_else() -> None:
    """Of a limit of its own 5 x 4 = 20 of 10 cores, beside a capacity that was cut and is waited for."""
    local = BudgetSpec("cpu", "pods * workers", limit=F(10))
    seen = replace(pods(5), budgets={"postgres": SharedBudgetFacts("postgres", 0, 80, 50)})
    assert decide(of(seen, budgets=(*SHARED, local)), NO_WISH, T0).desired == setting(workers=2, pool=4)


def test_whose_use_grew_gives_way_for_all() -> None:
    seen = replace(pods(5), budgets={"postgres": SharedBudgetFacts("postgres", 10, 16, 50)})
    assert decide(of(seen, budgets=SHARED), NO_WISH, T0).desired == setting(workers=1, pool=1)


def test_a_budget_that_cannot_be_read_lowers_nothing() -> None:
    seen = of(replace(pods(5), budgets={"postgres": Missing(Reason.BUDGET_NOT_FOUND)}), budgets=SHARED)
    assert decide(seen, NO_WISH, T0).desired is None


def test_in_force_it_is_the_incumbent_and_stands_among_the_trials_and_no_breaker_counts_it() -> None:
    seen = pods(5)
    begun = decide(seen, NO_WISH, T0).ledger
    item = begun.intent
    assert item is not None
    item = replace(item, applied_at=at(5), stage_at=T0)
    running = tuple(acked(each, seen.spec, item) for each in seen.workload.pods)  # type: ignore[union-attr]
    there = snapshot(memory=replace(begun, intent=item), workload=workload(*running))
    done = decide(there, NO_WISH, at(10))
    assert (done.action, done.ledger.incumbent) == (Action.CLOSE, setting(workers=3, pool=3))
    last = done.ledger.trials[-1]
    assert (last.state, last.reason, last.parent) == (TrialState.ACCEPTED, Reason.BUDGET_EXCEEDED, HERE)
    assert done.ledger.breaker == ledger().breaker
    assert done.events[0].message.startswith("lowered to ")


def test_who_sets_it_again_is_left_alone() -> None:
    """No war: the knob that was lowered and set again stays, and another one gives way instead."""
    trial = replace(_lowering(), ended_at=at(-60), foreign=("workers",))
    seen = replace(pods(5, memory=ledger(trials=(trial,))), read_at=T0)
    assert decide(seen, NO_WISH, T0).desired == setting(workers=4, pool=2)


def _lowering() -> TrialSummary:
    after = setting(workers=3, pool=4)
    return TrialSummary("i-1", after, HERE, TrialState.ACCEPTED, Reason.BUDGET_EXCEEDED, at(-90), at(-60))


def test_what_a_budget_made_necessary_is_on_no_probation() -> None:
    """Slower than what stood before, it stays: that would exceed the budget again."""
    after = setting(workers=3, pool=3)
    memory = ledger(after, trials=(replace(_lowering(), setting=after),))
    killed = pod(oom_killed_at=at(-10))
    found = decide(snapshot(memory=memory, workload=workload(killed)), NO_WISH, T0)
    assert found.desired is None and found.ledger.breaker == ledger().breaker
