"""The single door: one wake after another, from adoption to deletion."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.decide import baseline_setting, decide, wants_proposal
from pegbox.model.decisions import Action, Decision
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Autoscaler, BudgetSpec, DeletionPolicy, Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, Request, Snapshot
from pegbox.model.trials import Breaker, BreakerState, IntentKind, Ledger, Rung, TrialState
from tests.unit.core.build import (
    ENV,
    HOT,
    HPA,
    NO_WISH,
    POOL,
    T0,
    UID,
    acked,
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
    window,
    wish,
    workload,
)

NOW, MORE, LESS = setting(workers=4, pool=4), setting(workers=6, pool=4), setting(workers=3, pool=4)
TRADE = setting(workers=6, pool=3)  # one up, one down: two stages
NOTHING = Missing(Reason.NOT_REPORTED)
FRESH = snapshot(memory=Ledger(UID, incumbent=NOW), document=NOTHING)
FRESH = replace(FRESH, ledger=Ledger(UID))


def kind(decision: Decision) -> IntentKind | None:
    return decision.ledger.intent.kind if decision.ledger.intent is not None else None


def moved(seen: Snapshot, decision: Decision, values: Setting | None = None, **changes: Any) -> Snapshot:
    """The next wake's snapshot: the ledger stored, the stage written and acknowledged by the one pod."""
    memory = replace(decision.ledger, reporting=True)
    there = values or (memory.intent.current if memory.intent else None)
    if there is None:
        return replace(seen, ledger=memory, **changes)
    generation = memory.intent.generation if memory.intent else memory.generation
    pods = workload(acked(pod(), seen.spec, memory.intent)) if memory.intent else seen.workload
    seen = replace(seen, held=held(there), document=document(seen.spec, there, generation), workload=pods)
    return replace(seen, ledger=memory, **changes)


# --- adoption


def test_adoption_writes_exactly_the_values_in_force() -> None:
    found = decide(FRESH, NO_WISH, T0)
    assert (found.action, found.desired, kind(found)) == (Action.ADOPT, NOW, IntentKind.ADOPT)
    done = decide(moved(FRESH, found), NO_WISH, at(5))
    assert (done.action, done.reason, done.ledger.intent) == (Action.CLOSE, Reason.ADOPTED, None)
    assert (done.ledger.incumbent, done.ledger.adopted) == (NOW, NOW)


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
def test_adoption_without_auto_writes_nothing(mode: Mode) -> None:
    found = decide(replace(FRESH, spec=spec(mode=mode)), NO_WISH, T0)
    assert (found.action, found.desired, found.ledger.incumbent, found.ledger.generation) == (
        Action.ADOPT,
        None,
        NOW,
        0,
    )


def test_an_unknown_value_is_named_and_nothing_is_adopted() -> None:
    found = decide(replace(FRESH, held={**held(NOW), "pool": Held(NOTHING)}), NO_WISH, T0)
    assert (found.reason, found.ledger.incumbent) == (Reason.BASELINE_UNKNOWN, None)
    assert "pool" in found.message


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(snapshot(held=held(LESS)), LESS, id="what_stands_there"),
        pytest.param(
            snapshot(spec(HOT, replace(POOL, initial=F(7))), held=held(setting(workers=4))),
            setting(workers=4, pool=7),
            id="what_the_profile_starts_from",
        ),
        pytest.param(
            snapshot(spec(HOT, replace(POOL, pinned=F(7)))), NOW, id="a_pin_is_a_wish_and_what_stands_there_is_in_force"
        ),
        pytest.param(
            snapshot(spec(HPA, budgets=(), autoscaler=Autoscaler("x", True, 2, 9)), held={}),
            setting(max_replicas=9),
            id="the_bound_of_the_hpa_to_create",
        ),
    ],
)
def test_the_setting_in_force(seen: Snapshot, expected: Setting) -> None:
    assert baseline_setting(seen) == expected


def test_a_knob_that_only_a_budget_counts_must_be_known_too() -> None:
    seen = snapshot(
        spec(HOT, replace(POOL, pinned=None, mode=replace(POOL).mode.RECOMMEND)), held=held(setting(workers=4))
    )
    assert baseline_setting(seen) == Missing(Reason.BASELINE_UNKNOWN, "pool")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        pytest.param({"document": NOTHING}, NOW, id="our_document_was_deleted"),
        pytest.param({"document": document(spec(), NOW, 9, profile_uid="older")}, NOW, id="of_an_older_profile"),
        pytest.param(
            {"document": document(spec(), LESS, 1, foreign=True), "held": held(LESS)}, LESS, id="edited_past_its_hash"
        ),
        pytest.param({"spec": spec(HOT, replace(POOL, pinned=F(5)))}, setting(workers=4, pool=5), id="a_new_pin"),
        pytest.param({"ledger": ledger(setting(workers=4))}, None, id="a_new_knob_is_adopted_without_a_write"),
    ],
)
def test_adopted_again(changes: dict[str, Any], wanted: Setting | None) -> None:
    seen = snapshot(**changes) if "ledger" not in changes else replace(snapshot(), **changes)
    assert not wants_proposal(seen, T0)
    found = decide(seen, NO_WISH, T0)
    assert (found.action, found.desired) == (Action.ADOPT, wanted)
    assert found.ledger.generation == (1 if wanted is None else 2)
    assert found.ledger.incumbent is not None
    assert set(found.ledger.incumbent) == {"workers", "pool"}


def test_a_pin_that_exceeds_the_budget_is_not_written() -> None:
    found = decide(snapshot(spec(HOT, replace(POOL, pinned=F(13)))), NO_WISH, T0)  # 4 * 13 = 52 of 48
    assert (found.desired, found.reason) == (None, Reason.BUDGET_EXCEEDED)


def test_a_foreign_bound_is_not_written_over_when_our_document_is_restored() -> None:
    profile = spec(HOT, HPA, budgets=())
    memory = ledger(setting(workers=4, max_replicas=3))
    seen = snapshot(profile, memory, document=NOTHING, held=held(setting(workers=4, max_replicas=8)))
    assert decide(seen, NO_WISH, T0).desired == setting(workers=4, max_replicas=8)


# --- at rest


def test_a_proposal_that_every_guard_admits_starts_a_trial() -> None:
    found = decide(snapshot(), wish(MORE), T0)
    item = found.ledger.intent
    assert item is not None
    assert (found.action, found.desired, item.parent, item.generation) == (Action.START, MORE, NOW, 2)
    assert (item.baseline is not None, item.revision, item.stage_at) == (True, "r1", T0)


def test_a_trial_begins_with_the_template_that_its_baseline_was_measured_on() -> None:
    """Of a paused Deployment that was edited: once it is resumed, other code answers than the one compared with."""
    edited = workload(revision="r1", template="t2", rolled_out="t1")
    found = decide(snapshot(memory=ledger(template="t1"), workload=edited), wish(MORE), T0)
    item = found.ledger.intent
    assert item is not None and (item.revision, item.template) == ("r1", "t1")
    resumed = workload(pod(revision="r2"), revision="r2", template="t2", rolled_out="t2")
    ended = decide(moved(snapshot(), found, workload=resumed), NO_WISH, at(5))
    assert (ended.action, ended.reason) == (Action.REVERT, Reason.DEPLOYED)


def test_a_wish_beyond_one_step_is_capped_and_the_raw_wish_is_recorded() -> None:
    found = decide(snapshot(), wish(setting(workers=12, pool=4)), T0)
    assert (found.desired, found.proposal) == (MORE, setting(workers=12, pool=4))


def test_a_capped_setting_is_another_setting_and_is_guarded_again() -> None:
    # 2 * 16 = 32 of 48 is fine, but a fifth less is 13 * 8 = 104
    slow = replace(HOT, max_step=F(1, 5))
    profile = spec(
        slow, replace(POOL, max_step=F(2)), budgets=(BudgetSpec("db", "pods * workers * pool", limit=F(64)),)
    )
    seen = snapshot(profile, ledger(setting(workers=16, pool=4)))
    found = decide(seen, wish(setting(workers=4, pool=12)), T0)
    assert (found.desired, found.reason) == (None, Reason.BUDGET_EXCEEDED)


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
def test_no_mode_but_auto_starts_a_trial(mode: Mode) -> None:
    found = decide(snapshot(spec(mode=mode)), wish(MORE), T0)
    assert (found.action, found.desired, found.proposal) == (Action.HOLD, None, MORE)


def test_what_others_changed_at_rest_is_theirs_and_a_restore_leaves_it() -> None:
    found = decide(snapshot(held=held(LESS), document=document(spec(), LESS, 1)), NO_WISH, T0)
    assert (found.ledger.incumbent, found.ledger.adopted) == (LESS, LESS)
    assert [e.reason for e in found.events] == [Reason.FOREIGN_CHANGE]


RUNG = Rung(NOW, 10.0, 3, 0.1, T0)


@pytest.mark.parametrize(
    ("latency", "load", "halted"),
    [
        pytest.param(0.21, 10.0, Reason.LAST_KNOWN_GOOD_FAILING, id="twice_its_own_record_at_its_proven_load"),
        pytest.param(0.2, 10.0, None, id="not_more_than_twice"),
        pytest.param(0.9, 12.0, None, id="beyond_its_proven_load"),
    ],
)
def test_a_failing_last_known_good_halts(latency: float, load: float, halted: Reason | None) -> None:
    newest = window(latency=latency, offered_load=load)
    seen = snapshot(memory=ledger(ladder=(RUNG,)), observation=newest, baseline_windows=(newest,))
    found = decide(seen, wish(MORE), T0)
    assert found.ledger.halted is halted
    assert (found.action is Action.START) is (halted is None)


def test_a_deploy_at_rest_forgets_the_ladder() -> None:
    found = decide(snapshot(memory=ledger(ladder=(RUNG,)), workload=workload(revision="r2")), NO_WISH, T0)
    assert (found.ledger.ladder, found.ledger.revision) == ((), "r2")


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        pytest.param({"workload": workload(revision="r2")}, Action.HOLD, id="a_deploy"),
        pytest.param({"held": held(LESS)}, Action.HOLD, id="others_changed_a_value"),
        pytest.param({}, Action.START, id="the_twin_as_before"),
    ],
)
@pytest.mark.parametrize("requested", [True, False], ids=["a_try", "of_our_own_accord"])
def test_nothing_begins_against_windows_of_other_code_or_values(
    changes: dict[str, Any], action: Action, requested: bool
) -> None:
    asked: dict[str, Any] = {"requests": (Request("try", "t1", "workers=6"),)} if requested else {}
    found = decide(snapshot(**changes, **asked), NO_WISH if requested else wish(MORE), T0)
    assert found.action is action
    assert found.reason is not Reason.REQUEST_REFUSED, "a try waits"


def test_a_recreated_target_is_forgotten_but_the_generation_and_the_pause_stay() -> None:
    memory = ledger(generation=7, ladder=(RUNG,), paused_until=at(60), tokens={"try": "1"})
    found = decide(snapshot(memory=memory, workload=workload(uid="target-2")), NO_WISH, T0).ledger
    assert (found.generation, found.paused_until, found.tokens, found.ladder) == (7, at(60), {"try": "1"}, ())
    assert found.target_uid == "target-2"


# --- a trial


def test_a_trade_lowers_first_and_raises_once_that_is_acknowledged() -> None:
    seen = snapshot()
    first = decide(seen, wish(TRADE), T0)
    assert first.desired == setting(workers=4, pool=3)
    written = moved(seen, first)
    silent = decide(replace(written, workload=workload()), NO_WISH, at(5))
    assert (silent.desired, silent.reason) == (None, Reason.WAITING_FOR_PODS)
    second = decide(written, NO_WISH, at(5))
    assert (second.desired, second.ledger.generation) == (TRADE, 3)
    back = decide(moved(seen, second, workload=workload(pod(oom_killed_at=at(6)))), NO_WISH, at(7))
    assert back.desired == setting(workers=4, pool=3), "what was raised is lowered before what was lowered is raised"
    assert (back.action, back.reason, back.ledger.breaker.failures) == (Action.REVERT, Reason.OOM_KILLED, 1)


def test_a_half_applied_trade_goes_straight_back() -> None:
    first = decide(snapshot(), wish(TRADE), T0)
    asked = decide(moved(snapshot(), first, workload=workload(pod(oom_killed_at=at(1)))), NO_WISH, at(5))
    assert (asked.desired, kind(asked)) == (NOW, IntentKind.ROLLBACK)
    closed = decide(moved(snapshot(), asked), NO_WISH, at(10))
    assert (closed.action, closed.ledger.intent, closed.ledger.incumbent) == (Action.CLOSE, None, NOW)
    assert closed.ledger.cooldown_until == at(610)


@pytest.mark.parametrize("kind_", list(IntentKind))
def test_a_wake_that_died_before_its_write_is_run_again(kind_: IntentKind) -> None:
    memory = under_way(intent(kind_))
    seen = snapshot(memory=memory, held=held(NOW), document=document(spec(), NOW, 1))
    found = decide(replace(seen, deleting=kind_ is IntentKind.RESTORE), NO_WISH, at(5))
    assert (found.action, found.desired, found.ledger.generation) == (Action.CONTINUE, MORE, 2)


def test_one_bad_sample_waits_and_a_second_one_reverts() -> None:
    memory = under_way(intent(applied_at=at(5)))
    first = decide(snapshot(memory=memory, observation=window(10, latency=0.3)), NO_WISH, at(10))
    assert (first.desired, first.ledger.intent and first.ledger.intent.bad_samples) == (None, 1)
    same = decide(snapshot(memory=first.ledger, observation=window(10, latency=0.3)), NO_WISH, at(12))
    assert same.ledger.intent == first.ledger.intent, "one window is counted once"
    good = decide(snapshot(memory=first.ledger, observation=window(15)), NO_WISH, at(15))
    assert good.ledger.intent is not None
    assert good.ledger.intent.bad_samples == 0
    second = decide(snapshot(memory=first.ledger, observation=window(15, latency=0.3)), NO_WISH, at(15))
    assert (second.action, second.reason, second.desired) == (Action.REVERT, Reason.REGRESSION, NOW)
    assert second.ledger.breaker.failures == 1


def test_bad_samples_under_a_surge_of_load_are_not_the_settings_fault() -> None:
    memory = under_way(intent(applied_at=at(5), bad_samples=1))
    seen = snapshot(memory=memory, observation=window(15, latency=0.3, offered_load=30.0))
    found = decide(seen, NO_WISH, at(15))
    assert (found.action, found.reason, found.ledger.breaker.failures) == (Action.REVERT, Reason.LOAD_CHANGED, 0)
    assert found.ledger.trials[-1].state is TrialState.INCONCLUSIVE


def test_a_deploy_ends_the_trial_and_forgets_the_ladder() -> None:
    memory = replace(under_way(intent(applied_at=at(5))), ladder=(RUNG,))
    found = decide(snapshot(memory=memory, workload=workload(revision="r2")), NO_WISH, at(10))
    assert (found.reason, found.desired, found.ledger.ladder) == (Reason.DEPLOYED, NOW, ())
    assert found.ledger.trials[-1].state is TrialState.INCONCLUSIVE


RESTARTING = spec(ENV, HOT, budgets=())
SLOW = intent(parent=setting(threads=4, workers=4), stages=(setting(threads=5, workers=4),), applied_at=at(5))


def test_our_own_rollout_is_no_deploy() -> None:
    fresh = acked(pod(revision="r2", container_started_at=at(20)), RESTARTING, SLOW)
    seen = snapshot(RESTARTING, under_way(SLOW), workload=workload(pod(), revision="r2", rolling=True))
    rolling = decide(seen, NO_WISH, at(10))
    assert (rolling.action, rolling.desired) == (Action.CONTINUE, SLOW.target), "the restart is carried on"
    done = decide(replace(seen, workload=workload(fresh, revision="r2")), NO_WISH, at(30))
    assert (done.reason, done.ledger.revision) == (Reason.SETTLING, "r2")
    after = decide(replace(seen, ledger=done.ledger, workload=workload(fresh, revision="r3")), NO_WISH, at(40))
    assert after.reason is Reason.DEPLOYED


def test_the_rollout_of_a_first_stage_is_no_deploy_in_the_second() -> None:
    start, end = setting(threads=4, workers=4), setting(threads=3, workers=6)
    item = replace(SLOW, parent=start, stages=(setting(threads=3, workers=4), end))
    fresh = pod(revision="r2", container_started_at=at(20))
    seen = snapshot(RESTARTING, under_way(item), workload=workload(acked(fresh, RESTARTING, item), revision="r2"))
    second = decide(seen, NO_WISH, at(30))
    assert (second.action, second.desired) == (Action.CONTINUE, end)
    after = decide(moved(seen, second, workload=workload(fresh, revision="r2")), NO_WISH, at(35))
    assert after.reason is Reason.WAITING_FOR_PODS


def test_a_trial_that_pods_do_not_take_is_put_back_uncounted() -> None:
    seen = snapshot(memory=under_way(intent(applied_at=at(5))))
    assert decide(seen, NO_WISH, at(184)).action is Action.CONTINUE
    found = decide(seen, NO_WISH, at(185))
    assert (found.reason, found.desired, found.ledger.breaker.failures) == (Reason.NOT_ACKNOWLEDGED, NOW, 0)


def test_a_trial_whose_write_never_lands_ends() -> None:
    seen = snapshot(memory=under_way(), held=held(NOW), document=document(spec(), NOW, 1), observation=window(170))
    assert decide(seen, NO_WISH, at(179)).desired == MORE
    assert decide(seen, NO_WISH, at(180)).reason is Reason.WRITE_FAILED
    blind = replace(seen, observation=Missing(Reason.METRICS_UNREACHABLE, "down"))
    assert decide(blind, NO_WISH, at(180)).reason is Reason.METRICS_UNREACHABLE, "nobody wrote it again"


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        pytest.param(spec(replace(HOT, maximum=F(5)), POOL), Reason.PROFILE_CHANGED, id="a_narrowed_limit"),
        pytest.param(
            spec(budgets=(BudgetSpec("postgres", "pods * workers * pool", limit=F(20)),)),
            Reason.BUDGET_EXCEEDED,
            id="a_lowered_budget",
        ),
    ],
)
def test_an_edited_profile_ends_the_trial(profile: Any, reason: Reason) -> None:
    found = decide(snapshot(profile, under_way(intent(applied_at=at(5)))), NO_WISH, at(10))
    assert (found.reason, found.desired, found.ledger.breaker.failures) == (reason, NOW, 0)


def test_the_mode_turned_away_in_mid_trial_puts_the_way_back_off_without_a_write() -> None:
    """And begins it, with all its stages, once the mode is Auto again, however late."""
    here: dict[str, Any] = {"held": held(MORE), "document": document(spec(), MORE, 2)}
    memory, off = under_way(intent(applied_at=at(5))), spec(mode=Mode.RECOMMEND)
    found = decide(snapshot(off, memory, **here), NO_WISH, at(10))
    back = found.ledger.intent
    assert back is not None and (back.kind, back.target, found.desired) == (IntentKind.ROLLBACK, NOW, None)
    assert (back.stage_at, back.applied_at, found.ledger.incumbent) == (None, None, NOW)
    assert "still to be put back, once it is Auto: workers=4" in found.message
    again = decide(snapshot(off, found.ledger, **here), NO_WISH, at(9000))
    assert (again.ledger, again.desired) == (found.ledger, None), "no look writes anything, the ledger neither"
    auto = decide(snapshot(memory=again.ledger, **here), NO_WISH, at(9010))
    assert auto.desired == NOW


@pytest.mark.parametrize("applied", [None, at(5)], ids=["before_the_read_back", "after_it"])
def test_a_foreign_edit_wins_and_only_the_rest_is_put_back(applied: Any) -> None:
    # The trial raised workers; somebody sets pool, so pool stays theirs and workers go back. pool rises while
    # workers fall: the setting in between must not hold our old pool
    memory = under_way(intent(applied_at=applied))
    theirs = setting(workers=6, pool=5)
    seen = snapshot(memory=memory, held=held(theirs), document=document(spec(), theirs, 2))
    found = decide(seen, NO_WISH, at(10))
    assert found.ledger.intent is not None
    assert all(stage["pool"] == 5 for stage in found.ledger.intent.stages)
    assert (found.reason, found.desired) == (Reason.FOREIGN_CHANGE, setting(workers=4, pool=5))
    again = setting(workers=4, pool=7)
    second = decide(moved(seen, found, again), NO_WISH, at(12))
    assert second.desired == setting(workers=4, pool=7), "a second edit of the same value is theirs too"
    assert second.ledger.generation == 4


def test_our_own_document_put_back_to_the_parent_is_a_foreign_edit() -> None:
    # generation 2 was written, so the parent's value in it is no write that is still to be done
    seen = snapshot(memory=under_way(), held=held(NOW), document=document(spec(), NOW, 2))
    assert decide(seen, NO_WISH, at(5)).reason is Reason.FOREIGN_CHANGE


def test_a_rollback_never_raises_over_the_budget_beside_a_foreign_edit() -> None:
    # parent 4 * 10 = 40; the trial cut pool to 6; somebody sets workers to 6: 6 * 10 would be 60 of 48
    item = intent(parent=setting(workers=4, pool=10), stages=(setting(workers=4, pool=6),), applied_at=at(5))
    theirs = setting(workers=6, pool=6)
    seen = snapshot(memory=under_way(item), held=held(theirs), document=document(spec(), theirs, 2))
    assert decide(seen, NO_WISH, at(10)).desired == theirs


def test_a_newer_document_is_never_written_over_with_an_older_number() -> None:
    seen = snapshot(memory=under_way(), document=document(spec(), MORE, 9))
    found = decide(seen, NO_WISH, at(5))
    assert (found.ledger.generation, found.ledger.intent and found.ledger.intent.generation) == (10, 10)


def test_what_was_judged_worse_is_held_against_the_model() -> None:
    item = intent(applied_at=T0, in_force_at=T0, predicted=20.0)
    windows = tuple(window(180 + 120 * n) for n in range(6))
    found = decide(
        snapshot(memory=under_way(item), observation=windows[-1], baseline_windows=windows), NO_WISH, at(800)
    )
    assert (found.reason, found.ledger.forecasts) == (Reason.NOT_BETTER, ((20.0, 10.0, 10.0),))


# --- deletion


@pytest.mark.parametrize(
    ("policy", "adopted", "action", "desired"),
    [
        pytest.param(DeletionPolicy.RESTORE, LESS, Action.RESTORE, LESS, id="restore"),
        pytest.param(DeletionPolicy.KEEP, LESS, Action.CLOSE, None, id="keep"),
        pytest.param(DeletionPolicy.RESTORE, None, Action.CLOSE, None, id="nothing_was_adopted"),
    ],
)
def test_deletion(policy: DeletionPolicy, adopted: Setting | None, action: Action, desired: Setting | None) -> None:
    for mode in Mode:
        seen = snapshot(spec(mode=mode, deletion_policy=policy), ledger(adopted=adopted), deleting=True)
        found = decide(seen, NO_WISH, T0)
        assert (found.action, found.desired) == (action, desired)


def test_a_profile_that_never_wrote_restores_nothing() -> None:
    assert decide(snapshot(memory=ledger(adopted=LESS, generation=0), deleting=True), NO_WISH, T0).desired is None


def test_a_restore_leaves_what_others_changed_since_the_last_wake() -> None:
    theirs = setting(workers=9, pool=4)
    seen = snapshot(memory=ledger(adopted=setting(workers=3, pool=2)), held=held(theirs), deleting=True)
    seen = replace(seen, document=document(spec(), theirs, 1))
    assert decide(seen, NO_WISH, T0).desired == setting(workers=9, pool=2)


def test_a_silent_pod_never_holds_up_a_deletion() -> None:
    item = intent(IntentKind.RESTORE, applied_at=at(5))
    seen = snapshot(memory=under_way(item), deleting=True)
    assert decide(seen, NO_WISH, at(184)).action is Action.CONTINUE
    found = decide(seen, NO_WISH, at(185))
    assert (found.action, found.reason) == (Action.CLOSE, Reason.RESTORED)
    assert "not acknowledged by a" in found.message


# --- proposals


@pytest.mark.parametrize(
    ("seen", "asked"),
    [
        pytest.param(snapshot(), True, id="at_rest"),
        pytest.param(snapshot(spec(mode=Mode.RECOMMEND)), True, id="to_recommend"),
        pytest.param(snapshot(spec(mode=Mode.OBSERVE)), False, id="not_to_observe"),
        pytest.param(snapshot(memory=under_way()), False, id="not_while_a_trial_is_under_way"),
        pytest.param(FRESH, False, id="not_before_adoption"),
        pytest.param(snapshot(deleting=True), False, id="not_while_deleted"),
        pytest.param(
            snapshot(memory=ledger(breaker=Breaker(BreakerState.OPEN, until=at(1)))),
            False,
            id="not_while_the_breaker_is_open",
        ),
        pytest.param(
            snapshot(memory=ledger(breaker=Breaker(BreakerState.OPEN, until=T0))), True, id="once_its_time_is_up"
        ),
    ],
)
def test_when_a_proposal_is_of_use(seen: Snapshot, asked: bool) -> None:
    assert wants_proposal(seen, T0) is asked


def test_remembered_values_are_not_restored_over_the_budget() -> None:
    # the pods run 2 workers; the HPA was raised to 6 by hand: 4 * 4 * 6 = 96 of 72 would be too many
    profile = spec(HOT, POOL, HPA, budgets=(BudgetSpec("db", "pods * workers * pool", limit=F(72)),))
    here = setting(workers=2, pool=4, max_replicas=6)
    seen = snapshot(profile, ledger(setting(workers=4, pool=4, max_replicas=4)), document=NOTHING, held=held(here))
    assert decide(seen, NO_WISH, T0).desired == here


def test_an_edit_that_also_moves_the_number_back_to_the_parent_is_seen_as_foreign() -> None:
    seen = snapshot(memory=under_way(intent(applied_at=at(5))), held=held(NOW), document=document(spec(), NOW, 9))
    found = decide(seen, NO_WISH, at(10))
    assert (found.reason, found.desired) == (Reason.FOREIGN_CHANGE, NOW)


def test_a_stage_whose_number_was_moved_is_written_again() -> None:
    seen = snapshot(memory=under_way(intent(applied_at=at(5))), document=document(spec(), MORE, 9))
    found = decide(seen, NO_WISH, at(10))
    assert (found.action, found.desired, found.ledger.generation) == (Action.CONTINUE, MORE, 10)
