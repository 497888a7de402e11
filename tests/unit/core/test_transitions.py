"""Ledger transitions: what each step writes down."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pegbox.core import transitions
from pegbox.core.transitions import REPLICATES, Begin, Ending
from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason
from pegbox.model.trials import MAX_LADDER, MAX_TRIALS, IntentKind, Rung, TrialState
from tests.unit.core.build import T0, at, intent, ledger, setting, spec, under_way, window, workload

NOW, MORE, TRADE = setting(workers=4, pool=4), setting(workers=6, pool=4), setting(workers=6, pool=3)


def test_begin_numbers_the_first_stage() -> None:
    found = transitions.begin(spec(), ledger(generation=7), NOW, Begin(IntentKind.TRIAL, TRADE, Reason.REQUESTED, T0))
    assert found.intent is not None
    assert (found.generation, found.intent.generation, found.intent.id) == (8, 8, "11111111-8")
    assert found.intent.stages == (setting(workers=4, pool=3), TRADE)


def test_the_next_stage_is_a_new_document_that_nobody_acknowledged() -> None:
    item = intent(stages=(setting(workers=4, pool=3), TRADE), applied_at=at(5), in_force_at=at(6))
    found = transitions.next_stage(under_way(item), item)
    assert found.intent is not None
    assert (found.intent.stage, found.generation, found.intent.generation) == (1, 3, 3)
    assert (found.intent.stage_at, found.intent.applied_at, found.intent.in_force_at) == (None, None, None)


@pytest.mark.parametrize("counted", [True, False])
def test_a_trial_turned_back_is_counted_at_once_so_that_no_crash_forgets_it(counted: bool) -> None:
    item = intent(stages=(setting(workers=4, pool=3), TRADE), stage=1)
    ending = Ending(TrialState.REVERTED, Reason.REGRESSION, at(60), counted=counted)
    found = transitions.turn_back(spec(), under_way(item), item, ending)
    assert found.intent is not None
    assert (found.intent.kind, found.intent.parent, found.intent.state) == (
        IntentKind.ROLLBACK,
        TRADE,
        TrialState.REVERTED,
    )
    assert found.intent.stages == (setting(workers=4, pool=3), NOW)
    assert (found.generation, found.breaker.failures, found.trials[-1].reason) == (3, int(counted), Reason.REGRESSION)


def test_no_stage_of_a_rollback_holds_our_value_where_somebody_else_wrote() -> None:
    # our trial raised workers and cut pool; they set pool to 9: a stage between must not put our 3 back
    item = intent(stages=(setting(workers=4, pool=3), TRADE), stage=1)
    ending = Ending(TrialState.INCONCLUSIVE, Reason.FOREIGN_CHANGE, T0, foreign=setting(pool=9))
    found = transitions.turn_back(spec(), under_way(item), item, ending)
    assert found.intent is not None
    assert [s["pool"] for s in found.intent.stages] == [9] * len(found.intent.stages)
    assert found.intent.keep == ("pool",)


def test_accept_makes_the_trial_the_incumbent_and_closes_the_breaker() -> None:
    item = intent(predicted=12.0, revision="r9")
    before = under_way(item, breaker=replace(ledger().breaker, failures=2), halted=Reason.LAST_KNOWN_GOOD_FAILING)
    found = transitions.accept(spec(), before, item, (window(throughput=11.0),), at(60))
    assert (found.incumbent, found.intent, found.breaker.failures, found.halted) == (MORE, None, 0, None)
    assert (found.cooldown_until, found.revision) == (at(660), "r9")
    assert found.forecasts == ((12.0, 10.0, 11.0),)  # model, parent, outcome


def test_a_finished_rollback_leaves_what_others_decided_out_of_a_restore() -> None:
    item = intent(IntentKind.ROLLBACK, stages=(setting(workers=4, pool=9),), keep=("pool",))
    found = transitions.finish_rollback(spec(), under_way(item), item, T0)
    assert (found.incumbent, found.adopted) == (setting(workers=4, pool=9), setting(workers=4, pool=9))


@pytest.mark.parametrize(
    ("document", "generation", "intent_generation"),
    [
        pytest.param(1, 2, 2, id="an_older_document_changes_nothing"),
        pytest.param(2, 2, 2, id="nor_does_the_same"),
        pytest.param(9, 10, 10, id="a_newer_one_is_numbered_above"),
    ],
)
def test_catch_up(document: int, generation: int, intent_generation: int) -> None:
    found = transitions.catch_up(under_way(), document)
    assert found.intent is not None
    assert (found.generation, found.intent.generation) == (generation, intent_generation)
    assert transitions.catch_up(ledger(generation=2), document).generation == max(2, document)


def test_a_deploy_halves_the_weight_of_what_was_learned() -> None:
    rows = (Row(NOW, 1, 10, 10, 0.1, count=8), Row(MORE, 1, 10, 10, 0.1, count=1))
    found = transitions.deployed(
        ledger(rows=rows, ladder=(Rung(NOW, 10, 3, 0.1, T0),)), workload(revision="r2", template="t2"), at(5)
    )
    assert ([r.count for r in found.rows], found.ladder) == ([4], ())
    assert (found.revision, found.template, found.deployed_at) == ("r2", "t2", at(5))


def test_a_setting_is_last_known_good_after_enough_replicates() -> None:
    found = ledger()
    for n in range(REPLICATES):
        assert transitions.last_known_good(found) is None
        found = transitions.climb(spec(), found, window(120 * n, offered_load=10.0 + n))
    assert transitions.last_known_good(found) == NOW
    assert transitions.last_known_good(found, besides=NOW) is None
    assert (found.ladder[0].proven_load, found.ladder[0].replicates) == (12.0, 3)


def test_a_window_without_figures_proves_nothing() -> None:
    gone = Missing(Reason.NO_DATA)
    assert transitions.climb(spec(), ledger(), window(latency=gone)).ladder == ()
    assert transitions.climb(spec(), ledger(), window(offered_load=gone)).ladder == ()


def test_memory_is_bounded() -> None:
    found = ledger()
    for n in range(MAX_TRIALS + MAX_LADDER + 5):
        found = replace(found, incumbent=setting(workers=n, pool=1))
        found = transitions.climb(spec(), found, window())
        ending = Ending(TrialState.INCONCLUSIVE, Reason.DEPLOYED, T0 + timedelta(seconds=n))
        found = transitions.close(replace(found, intent=intent()), intent(), NOW, ending)
    assert (len(found.trials), len(found.ladder)) == (MAX_TRIALS, MAX_LADDER)
    assert found.intent is None
