"""What random schedules of faults found: each claim was broken once (tests/chaos)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import force, overdrawn, room, transitions, usage
from pegbox.core.decide import decide
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import Action
from pegbox.model.knobs import Location, LocationKind
from pegbox.model.observations import Missing
from pegbox.model.profile import BudgetSpec, Guards
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held
from pegbox.model.trials import Breaker, BreakerState, IntentKind, TrialState
from tests.unit.core.build import (
    ENV,
    HOT,
    HPA,
    NO_WISH,
    POOL,
    T0,
    at,
    document,
    held,
    intent,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    wish,
    workload,
)

THEIRS = Missing(Reason.OWNED_BY_OTHER, "field manager alice holds spec.maxReplicas")
BOUNDED = spec(HOT, POOL, HPA, budgets=(BudgetSpec("postgres", "pods * workers * pool", limit=F(48)),))


# --- a bound that somebody else took in mid-trial


def test_a_value_that_we_moved_and_somebody_else_took_is_a_foreign_change_though_we_may_not_write_it_any_more() -> None:
    """Stage 1 (max_replicas 3 -> 2) is in force when a user sets 6: raising workers now would mean 6 x 3 x 4 = 72."""
    start, lower = setting(workers=2, pool=4, max_replicas=3), setting(workers=2, pool=4, max_replicas=2)
    target = setting(workers=3, pool=4, max_replicas=2)
    moving = intent(parent=start, stages=(lower, target), stage_at=T0, applied_at=T0)
    now = held(lower, max_replicas=THEIRS) | {"max_replicas": Held(F(6), refusal=THEIRS)}
    found = decide(snapshot(BOUNDED, ledger(start, intent=moving), held=now), NO_WISH, at(5))
    assert (found.reason, found.desired) == (Reason.FOREIGN_CHANGE, start.with_values(max_replicas=F(6)))


def test_a_bound_that_was_never_ours_does_not_end_a_trial_when_it_moves() -> None:
    """An HPA scales `replicas` all day long."""
    here = setting(workers=4, pool=4, max_replicas=2)
    moving = intent(parent=here, stages=(here.with_values(workers=F(5)),), stage_at=T0, applied_at=T0)
    now = held(moving.current) | {"max_replicas": Held(F(4), refusal=THEIRS)}
    found = decide(snapshot(replace(BOUNDED, budgets=()), ledger(here, intent=moving), held=now), NO_WISH, at(5))
    assert found.ledger.intent is not None and found.ledger.intent.kind is IntentKind.TRIAL


def test_a_bound_of_pods_that_is_somebody_elses_counts_as_he_set_it() -> None:
    values = setting(workers=4, pool=4, max_replicas=2)
    theirs = {"max_replicas": Held(F(6), refusal=THEIRS)}
    assert usage.pods_bound(BOUNDED, workload(), theirs, values) == 6
    assert usage.pods_bound(BOUNDED, workload(), {"max_replicas": Held(F(6))}, values) == 2  # ours: about to be written


# --- what a wake notices and what it was proposed before


def test_a_proposal_from_before_a_foreign_change_is_not_tried_in_the_wake_that_notices_it() -> None:
    """It was made from workers=4 while a user wrote pool=2: trying it would put pool back to 4."""
    seen = snapshot(held=held(setting(workers=4, pool=2)))
    found = decide(seen, wish(setting(workers=5, pool=4)), T0)
    assert (found.action, found.reason, found.desired) == (Action.HOLD, Reason.FOREIGN_CHANGE, None)
    assert found.ledger.incumbent == setting(workers=4, pool=2)


# --- clocks


def test_a_clock_set_back_in_mid_trial_leaves_nothing_in_the_time_to_come() -> None:
    """Else bad samples would not count for an hour: their windows end before the stage was written."""
    moving = intent(started_at=at(10), stage_at=at(20), applied_at=at(30), in_force_at=at(40), last_sample_at=at(50))
    before = under_way(moving, cooldown_until=at(600), breaker=Breaker(BreakerState.OPEN, until=at(99 * 3600)))
    before, now = replace(before, halted_at=at(5)), at(-3600)
    found = transitions.not_ahead(Guards(cooldown=F(60)), before, now)
    assert found.intent is not None
    times = {
        getattr(found.intent, n) for n in ("started_at", "stage_at", "applied_at", "in_force_at", "last_sample_at")
    }
    assert times == {now}
    assert found.cooldown_until == now + timedelta(seconds=60)
    assert found.breaker.until == now + timedelta(days=1)
    assert found.halted_at == now, "else a halt would last for longer than a day"


def test_a_clock_that_runs_on_changes_no_time() -> None:
    before = under_way(intent(stage_at=at(20), applied_at=at(30)), cooldown_until=at(90))
    assert transitions.not_ahead(Guards(), before, at(60)) == before


RESTARTING = spec(HOT, ENV, budgets=())
ENV_TRIAL = intent(
    parent=setting(workers=4, threads=2), stages=(setting(workers=4, threads=3),), stage_at=T0, applied_at=T0
)


@pytest.mark.parametrize(
    ("changes", "done"),
    [
        pytest.param({}, False, id="the_same_container_still_runs"),
        pytest.param({"container_started_at": at(3600)}, False, id="its_nodes_clock_is_an_hour_ahead_of_ours"),
        pytest.param({"restarts": 1}, True, id="restarted_on_a_node_whose_clock_is_behind"),
        pytest.param({"uid": "uid-new"}, True, id="replaced_on_a_node_whose_clock_is_behind"),
    ],
)
def test_whether_a_pod_was_restarted_is_told_by_its_container_and_by_no_clock(
    changes: dict[str, Any], done: bool
) -> None:
    """By times, a clock two hours ahead of the nodes' had pods evicted for ever, one after the other."""
    noted = replace(ENV_TRIAL, old_containers=force.containers(workload(pod())))
    assert force.restarted(replace(pod(), **changes), noted) is done


def test_the_containers_that_must_be_restarted_are_noted_at_the_read_back() -> None:
    written = replace(ENV_TRIAL, applied_at=None)
    seen = snapshot(RESTARTING, under_way(written), workload=workload(pod("a"), pod("b")))
    found = decide(seen, NO_WISH, at(2)).ledger.intent
    assert found is not None and found.old_containers == force.containers(workload(pod("a"), pod("b")))


# --- a target of the same name


def test_what_a_trial_wrote_elsewhere_is_put_back_when_its_target_was_recreated() -> None:
    """Our ConfigMap outlives the target, and the new pods read it: a setting that nobody judged must not stay."""
    replicas = replace(HPA, name="replicas", location=Location(LocationKind.REPLICAS))
    profile = spec(HOT, POOL, replicas, budgets=())
    start = setting(workers=4, pool=4, replicas=3)
    moving = intent(parent=start, stages=(start.with_values(workers=F(6), replicas=F(2)),), stage_at=T0, applied_at=T0)
    recreated = {**held(moving.current), "replicas": Held(F(1))}  # as its owner wrote it
    seen = snapshot(profile, under_way(moving), workload=workload(uid="target-2"), held=recreated)
    found = decide(seen, NO_WISH, at(5))
    assert found.desired == start.with_values(replicas=F(1)), "workers go back, replicas are the new object's own"
    assert found.ledger.intent is not None and found.ledger.intent.kind is IntentKind.ROLLBACK
    assert [(t.state, t.reason) for t in found.ledger.trials] == [(TrialState.INCONCLUSIVE, Reason.TARGET_REPLACED)]
    assert found.ledger.adopted == start.with_values(replicas=F(1)), "a deletion still restores the first values"


# --- a ledger that is older than what stands


def test_what_a_document_newer_than_the_ledger_holds_is_ours_and_a_deletion_restores_over_it() -> None:
    """A ledger from a backup knows nothing of the last trial. What we wrote is nobody's foreign change."""
    profile = spec()
    ours = setting(workers=6, pool=4)
    seen = snapshot(profile, ledger(), held=held(ours), document=document(profile, ours, 9))
    at_rest = decide(seen, NO_WISH, T0).ledger
    assert (at_rest.incumbent, at_rest.adopted) == (ours, setting(workers=4, pool=4))
    found = decide(replace(seen, deleting=True), NO_WISH, T0)
    assert (found.action, found.desired) == (Action.RESTORE, setting(workers=4, pool=4))


def test_deleted_right_after_the_ledger_was_lost_the_originals_are_restored() -> None:
    """They are known from our ConfigMap; who set what stands is not, so it counts as at an adoption."""
    profile, trial = spec(), setting(workers=6, pool=4)
    lost = replace(ledger(), incumbent=None, generation=9)
    seen = snapshot(profile, ledger(), held=held(trial), document=document(profile, trial, 9), deleting=True)
    found = decide(replace(seen, ledger=lost), NO_WISH, T0)
    assert (found.action, found.desired) == (Action.RESTORE, setting(workers=4, pool=4))


# --- room on the way back


def test_a_way_back_that_raises_waits_for_pods_that_are_too_many() -> None:
    """4 x 4 x 3 pods = 48 of 48 fits, but a deploy runs one pod more: 64. It is written once that has gone."""
    low, high = setting(workers=3, pool=4, max_replicas=3), setting(workers=4, pool=4, max_replicas=3)
    back = intent(IntentKind.ROLLBACK, parent=low, stages=(high,))
    memory = ledger(low, intent=back)
    pods = tuple(pod(n) for n in "abcd")
    crowd = workload(*pods, replicas=3, rolling=True)
    waiting = decide(snapshot(BOUNDED, memory, workload=crowd, held=held(low)), NO_WISH, at(1))
    assert (waiting.desired, waiting.reason) == (None, Reason.BUDGET_EXCEEDED)
    fewer = workload(*pods[:3])
    assert decide(snapshot(BOUNDED, memory, workload=fewer, held=held(low)), NO_WISH, at(2)).desired == high


def test_a_way_back_that_raises_waits_for_pods_of_a_former_target_of_this_name() -> None:
    """4 x 4 x 3 pods = 48 of 48 fits, but the new target starts its three whatever the two old ones do: 80."""
    low, high = setting(workers=3, pool=4, max_replicas=3), setting(workers=4, pool=4, max_replicas=3)
    memory = ledger(low, intent=intent(IntentKind.ROLLBACK, parent=low, stages=(high,)))
    old = tuple(pod(n, former=True, terminating=True) for n in "ab")
    for own in (), tuple(map(pod, "cde")):
        beside = workload(*old, *own, replicas=3)
        waiting = decide(snapshot(BOUNDED, memory, workload=beside, held=held(low)), NO_WISH, at(1))
        assert (waiting.desired, waiting.reason) == (None, Reason.BUDGET_EXCEEDED)
        assert "80 of 48" in waiting.message
    alone = workload(*map(pod, "cde"))
    assert decide(snapshot(BOUNDED, memory, workload=alone, held=held(low)), NO_WISH, at(2)).desired == high


def test_pods_of_a_former_target_lower_nothing() -> None:
    """They go by themselves: what a budget needs for their time is no reason to move anything."""
    here = setting(workers=4, pool=4, max_replicas=3)
    old = tuple(pod(n, former=True, terminating=True) for n in "ab")
    seen = snapshot(BOUNDED, ledger(here), workload=workload(*old, *map(pod, "cde"), replicas=3), held=held(here))
    assert overdrawn.exceeded(seen) == ()
    assert decide(seen, NO_WISH, at(1)).desired is None


def test_a_way_back_that_only_lowers_never_waits() -> None:
    high, low = setting(workers=4, pool=4, max_replicas=3), setting(workers=3, pool=4, max_replicas=3)
    back = intent(IntentKind.ROLLBACK, parent=high, stages=(low,))
    crowd = workload(*(pod(n) for n in "abcde"), replicas=3, rolling=True)
    assert (
        decide(snapshot(BOUNDED, ledger(low, intent=back), workload=crowd, held=held(high)), NO_WISH, T0).desired == low
    )


def test_what_is_affordable_once_pods_have_gone_is_put_back_too() -> None:
    """The trial had 4 pods of 4 x 3; beside somebody's workers=4, pool goes back to 4 at the parent's 3 pods: 48."""
    here = setting(workers=4, pool=3, max_replicas=4)
    goal = setting(workers=4, pool=4, max_replicas=3)
    seen = snapshot(BOUNDED, ledger(here), workload=workload(*(pod(n) for n in "abcd")))
    assert room.affordable(seen, workload(*(pod(n) for n in "abcd")), here, goal) == goal
    assert room.affordable(seen, workload(), here, goal.with_values(max_replicas=F(4)))["pool"] == F(3)  # 64 never fits


def test_what_an_adoption_gave_way_to_stays_with_others_when_all_is_restored() -> None:
    """Somebody edits our document while it is being written anew; then a global stop restores every workload."""
    here = setting(workers=6, pool=4)
    item = intent(IntentKind.ADOPT, parent=setting(workers=2, pool=4), stages=(here,), keep=("workers",))
    memory = under_way(item, adopted=setting(workers=2, pool=6))
    given = snapshot(memory=memory, held=held(here), document=document(spec(), here, item.generation))
    decision = decide(replace(given, brakes=Brakes(Stop.RESTORE, "asked")), NO_WISH, at(30))
    assert decision.ledger.intent is not None and decision.ledger.intent.kind is IntentKind.RESTORE
    assert decision.desired == setting(workers=6, pool=6)  # pool is ours to put back, workers is not


def test_an_adoption_that_gave_way_leaves_the_value_to_others_for_good() -> None:
    here = setting(workers=6, pool=4)
    item = intent(IntentKind.ADOPT, parent=here, stages=(here,), keep=("workers",), applied_at=at(0), in_force_at=at(0))
    memory = under_way(item, adopted=setting(workers=2, pool=6))
    given = snapshot(memory=memory, held=held(here), document=document(spec(), here, item.generation))
    after = decide(given, NO_WISH, at(30)).ledger
    assert (after.intent, after.adopted) == (None, setting(workers=6, pool=6))


def test_a_trial_that_is_put_back_stays_within_the_budget_beside_a_bound_that_somebody_raised() -> None:
    """3 pods x 4 x 4 = 48 of 48; with 2 workers somebody may run 6 pods: 6 x 2 x 4 = 48, but 6 x 4 x 4 = 96."""
    parent, lowered = setting(workers=4, pool=4, max_replicas=3), setting(workers=2, pool=4, max_replicas=3)
    item = intent(parent=parent, stages=(lowered,), applied_at=T0)
    hurt = workload(pod(oom_killed_at=at(5)))
    seen = snapshot(spec(HOT, POOL, HPA), under_way(item), workload=hurt)
    theirs = {"max_replicas": Held(F(6), refusal=Missing(Reason.OWNED_BY_OTHER))}
    for more, workers in ((theirs, 2), ({}, 4)):
        found = decide(replace(seen, held={**seen.held, **more}), NO_WISH, at(10))
        assert found.action is Action.REVERT
        assert found.ledger.intent is not None and found.ledger.intent.target.number("workers") == workers
