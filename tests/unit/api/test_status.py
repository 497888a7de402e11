"""Status: what people read of a profile. Texts, no floats, and no write where only noise moved."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from pegbox.api import status
from pegbox.model.decisions import ConditionType, Truth
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from pegbox.model.observations import Attainment, Missing
from pegbox.model.prediction import LoadForecast, ModelReport
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Breaker, BreakerState, Cohort, Intent, IntentKind, Ledger
from tests.unit.api.moments import HOUR, NOON
from tests.unit.api.snapshots import DECISION, INTENT, LEDGER, PARENT, REPORT, SEEN, SNAPSHOT, SPEC, TARGET

Body = dict[str, Any]


def rendered(snapshot: Snapshot = SNAPSHOT, ledger: Ledger = LEDGER, report: ModelReport | Missing = REPORT) -> Body:
    return status.render(replace(DECISION, ledger=ledger), replace(snapshot, ledger=ledger), report)


def by_name(entries: list[Body]) -> dict[str, Body]:
    return {entry["name"]: entry for entry in entries}


def leaves(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [leaf for item in node.values() for leaf in leaves(item)]
    return [leaf for item in node for leaf in leaves(item)] if isinstance(node, list) else [node]


def test_status_holds_texts_and_whole_numbers_and_nothing_else() -> None:
    assert {type(leaf) for leaf in leaves(rendered())} == {str, int}


def test_what_is_in_force_is_the_parent_until_the_pods_acknowledge() -> None:
    assert {e["name"]: e["value"] for e in rendered()["setting"]} == {
        "workers": "4",
        "pool": "20",
        "overflow": "0",
        "timeout": "30s",
    }


@pytest.mark.parametrize(
    ("intent", "workers", "pool"),
    [
        pytest.param(None, "4", "20", id="nothing under way: the incumbent"),
        pytest.param(replace(INTENT, stage_at=NOON), "4", "20", id="written, not acknowledged: the parent"),
        pytest.param(replace(INTENT, stage=1), "4", "16", id="second stage: the first is acknowledged"),
        pytest.param(replace(INTENT, stage=1, in_force_at=NOON), "6", "16", id="acknowledged: the target"),
    ],
)
def test_written_is_not_in_force(intent: Intent | None, workers: str, pool: str) -> None:
    found = {e["name"]: e["value"] for e in rendered(ledger=replace(LEDGER, intent=intent))["setting"]}
    assert (found["workers"], found["pool"]) == (workers, pool)


CANARY = replace(
    INTENT,
    stages=(PARENT, TARGET),
    cohort=Cohort(("checkout-1",), PARENT, (TARGET, TARGET)),
    stage_at=NOON,
    applied_at=NOON,
    in_force_at=NOON,
)


def test_while_a_canary_runs_the_rest_s_setting_is_in_force_and_the_text_says_in_how_many_pods() -> None:
    body = rendered(ledger=replace(LEDGER, intent=CANARY))
    assert by_name(body["setting"])["workers"]["value"] == "4"
    assert body["trial"]["state"] == "Trial: stage 1 of 2, in force, canary 1 of 2 pods"
    assert body["next"] == "compare the canary with the rest, then widen or revert it"


def test_budgets_sum_over_the_cohorts() -> None:
    """One pod of 6 x 16 and one of 4 x 20 connections: 96 + 80 = 176; of workers 6 and 4 are 10 of 64."""
    body = rendered(ledger=replace(LEDGER, intent=CANARY))
    assert [b["used"] for b in body["budgets"]] == ["176", "10"]
    plain = rendered(ledger=replace(LEDGER, intent=None))
    assert [b["used"] for b in plain["budgets"]] == ["160", "8"]


def test_guards_say_how_trials_reach_the_pods() -> None:
    guards = by_name(rendered()["guards"])
    assert (guards["canaryShare"]["value"], guards["canaryMinPods"]["value"]) == ("20%", "4")


def test_before_adoption_the_held_values_are_in_force_as_far_as_they_are_known() -> None:
    found = rendered(ledger=Ledger("u-1"))
    assert {e["name"] for e in found["setting"]} == {"workers", "pool", "overflow"}
    assert [b["used"] for b in found["budgets"]] == ["Unknown", "Unknown"]


def test_each_knob_says_whether_it_may_be_written_and_else_why_not() -> None:
    knobs = by_name(rendered()["knobs"])
    assert knobs["workers"] == {
        "name": "workers",
        "value": "4",
        "proposed": "6",
        "location": "Settings(workers)",
        "writable": "True",
    }
    assert (knobs["pool"]["writable"], knobs["pool"]["owner"]) == ("False", "helm")
    assert knobs["pool"]["reason"] == "OwnedByOther: helm owns it"
    assert knobs["overflow"]["reason"] == "Pinned"
    assert (knobs["timeout"]["value"], knobs["timeout"]["reason"]) == ("NotReported", "ModeRecommend")


def test_slos_are_counted_or_say_why_they_are_not() -> None:
    slos = by_name(rendered()["slos"])
    assert slos["fast"] == {"name": "fast", "attainment": "97.00%", "goal": "95%", "met": "True"}
    assert slos["ok"] == {"name": "ok", "attainment": "TooFewEvents", "goal": "99.9%", "met": "Unknown"}


def test_budgets_count_every_pod_that_may_run() -> None:
    """Two pods, 4 workers of 20 + 0 connections: 2 x 4 x 20 = 160 of the 300 that are left; 2 x 4 = 8 of 64."""
    assert rendered()["budgets"] == [
        {"name": "db", "used": "160", "limit": "300"},
        {"name": "upstream", "used": "8", "limit": "64"},
    ]


def test_the_model_shows_its_figures_in_four_digits_and_what_it_lacks() -> None:
    assert rendered()["model"] == {
        "trusted": "True",
        "samples": 42,
        "error": "0.05123",
        "baselineError": "Unknown",
        "coefficients": [{"name": "demand:workers", "value": "0.3"}, {"name": "sigma", "value": "1.5e-07"}],
        "missing": "not identifiable yet: kappa",
        "forecast": {"available": "True", "load": "60", "upper": "71.12", "horizon": "3m", "level": "98%"},
    }


def test_without_a_forecast_status_says_what_is_missing() -> None:
    lacking = Missing(Reason.LEARNING, "42 more steps with load")
    found = rendered(replace(SNAPSHOT, forecast=lacking))["model"]["forecast"]
    assert found == {"available": "False", "missing": "Learning: 42 more steps with load"}


def test_a_forecast_that_begins_is_worth_a_write_and_one_that_moves_is_not() -> None:
    assert isinstance(SNAPSHOT.forecast, LoadForecast)
    moved = rendered(replace(SNAPSHOT, forecast=replace(SNAPSHOT.forecast, now=61.0, upper=75.0)))
    before = rendered(replace(SNAPSHOT, forecast=Missing(Reason.LEARNING, "1 more")))
    assert moved != rendered() and not status.significant(rendered(), moved)
    assert status.significant(before, rendered())


def test_without_a_model_status_says_what_is_missing() -> None:
    found = rendered(report=Missing(Reason.LEARNING, "3 of 8 windows"))["model"]
    assert found["missing"] == "Learning: 3 of 8 windows"


def test_conditions_are_as_kubernetes_writes_them() -> None:
    assert rendered()["conditions"][0] == {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 7,
        "lastTransitionTime": "2026-11-21T12:00:00Z",
        "reason": "Accepted",
        "message": "in words",
    }


def test_conditions_are_read_back_and_those_of_a_newer_release_left_out() -> None:
    body = rendered()
    body["conditions"].append({**body["conditions"][0], "type": "Later"})
    body["conditions"].append({**body["conditions"][0], "type": "Degraded", "reason": "NoSuchReason"})
    found = status.read_conditions(body)
    assert set(found) == {ConditionType.READY, ConditionType.MODEL_TRUSTED}
    assert found[ConditionType.READY].since == NOON
    assert found[ConditionType.READY].status is Truth.TRUE


def test_the_trial_under_way_and_the_last_one_are_told_apart() -> None:
    body = rendered()
    assert body["trial"]["state"] == "Trial: stage 1 of 2, to be written"
    assert body["trial"]["why"] == "workers are busy, pool is not"
    assert (body["lastTrial"]["state"], body["lastTrial"]["why"]) == ("Reverted", "SLOBreached: an SLO was breached")


def test_guards_show_the_values_in_effect_defaults_included() -> None:
    guards = {e["name"]: e["value"] for e in rendered()["guards"]}
    assert guards["settle"] == "10s"
    assert (guards["cooldown"], guards["maxStep"], guards["failuresToOpen"]) == ("10m", "50%", "3")


@pytest.mark.parametrize(
    ("changes", "mode", "text"),
    [
        pytest.param({}, Mode.AUTO, "wait until every pod has acknowledged", id="a trial is written"),
        pytest.param(
            {"intent": replace(INTENT, in_force_at=NOON)}, Mode.AUTO, "collect evidence", id="a trial is in force"
        ),
        pytest.param(
            {"intent": replace(INTENT, kind=IntentKind.ROLLBACK)}, Mode.AUTO, "recorded setting", id="a rollback"
        ),
        pytest.param({"intent": None}, Mode.AUTO, "try the next proposal", id="at rest"),
        pytest.param(
            {"intent": None, "cooldown_until": NOON}, Mode.AUTO, "not before 2026-11-21T12:00:00Z", id="cooling down"
        ),
        pytest.param(
            {"intent": None, "breaker": Breaker(BreakerState.OPEN, 3, 1, NOON + HOUR)},
            Mode.AUTO,
            "one smallest step after 2026-11-21T13:00:00Z",
            id="the breaker is open",
        ),
        pytest.param({"intent": None}, Mode.RECOMMEND, "set mode Auto", id="mode Recommend"),
        pytest.param({"intent": None}, Mode.OBSERVE, "set mode Recommend", id="mode Observe"),
        pytest.param(
            {"intent": None, "paused_until": NOON + HOUR}, Mode.AUTO, "until 2026-11-21T13:00:00Z", id="paused"
        ),
        pytest.param(
            {"intent": None, "paused_until": NOON.max.replace(tzinfo=NOON.tzinfo)},
            Mode.AUTO,
            "until `resume`",
            id="paused for good",
        ),
        pytest.param(
            {"intent": None, "halted": Reason.LAST_KNOWN_GOOD_FAILING}, Mode.AUTO, "until `reset`", id="halted"
        ),
    ],
)
def test_next_says_what_comes_next(changes: Body, mode: Mode, text: str) -> None:
    snapshot = replace(SNAPSHOT, spec=replace(SPEC, mode=mode))
    assert text in rendered(snapshot, replace(LEDGER, **changes))["next"]


@pytest.mark.parametrize(
    ("good", "text"),
    [
        pytest.param(970.0, "1/2 met", id="one is met, the other has too few events"),
        pytest.param(900.0, "fast 90.00% < 95%", id="the one that is not met comes first"),
    ],
)
def test_the_summary_names_the_slo_that_is_not_met(good: float, text: str) -> None:
    seen = {**SEEN.slos, "fast": Attainment(good, 1000.0)}
    summary = rendered(replace(SNAPSHOT, slos=seen))["summary"]
    assert summary == {"target": "Deployment/checkout", "setting": "pool=20,workers=4", "slo": text}


def test_figures_that_move_with_every_scrape_are_not_worth_a_write_alone() -> None:
    seen = {**SEEN.slos, "fast": Attainment(961.0, 1000.0)}
    noisy = rendered(replace(SNAPSHOT, slos=seen), report=replace(REPORT, samples=43, error=0.06))
    assert noisy != rendered()
    assert not status.significant(rendered(), noisy)


def test_an_slo_that_is_no_longer_met_is_worth_a_write() -> None:
    seen = {**SEEN.slos, "fast": Attainment(949.0, 1000.0)}
    assert status.significant(rendered(), rendered(replace(SNAPSHOT, slos=seen)))


@pytest.mark.parametrize(
    "changes",
    [
        {"intent": None},
        {"tokens": {"try": "a2"}},
        {"breaker": Breaker(failures=2)},
        {"incumbent": TARGET, "intent": None},
        {"cooldown_until": NOON + timedelta(minutes=5), "intent": None},
    ],
    ids=["trial ended", "verb done", "a failure", "new incumbent", "cooling down"],
)
def test_what_the_loop_did_is_worth_a_write(changes: Body) -> None:
    assert status.significant(rendered(), rendered(ledger=replace(LEDGER, **changes)))


def test_the_same_decision_twice_gives_the_same_status() -> None:
    assert rendered() == rendered()
    assert not status.significant(rendered(), copy.deepcopy(rendered()))


def test_a_refused_profile_gets_its_conditions_and_why() -> None:
    body = status.render_refusal(7, DECISION.conditions, "spec.knobs: raise max or lower min")
    assert (body["observedGeneration"], body["why"]) == (7, "spec.knobs: raise max or lower min")
    assert len(body["conditions"]) == 2


def test_texts_longer_than_the_wire_allows_are_cut_and_not_refused() -> None:
    decision = replace(DECISION, message="x" * 5000)
    why = status.render(decision, SNAPSHOT, REPORT)["why"]
    assert len(why) == 1024 and why.endswith("...")


def test_a_status_that_breaks_the_wire_is_refused_before_it_is_written() -> None:
    with pytest.raises(InvalidInput, match=r"status.breaker.state"):
        status.check({"observedGeneration": 1, "breaker": {"state": "Ajar", "failures": 0}})


def test_a_setting_that_says_nothing_of_a_knob_leaves_its_budget_unknown() -> None:
    partial = Setting({name: value for name, value in PARENT.items() if name != "pool"})
    found = rendered(ledger=replace(LEDGER, intent=None, incumbent=partial))
    assert [b["used"] for b in found["budgets"]] == ["Unknown", "Unknown"]


def test_numbers_are_texts() -> None:
    assert [status.number(v) for v in (Fraction(1, 3), 0.1234567, Missing(Reason.NO_DATA))] == [
        "0.333333",
        "0.1235",
        "Unknown",
    ]


def test_more_coefficients_than_the_wire_holds_are_cut_and_not_refused() -> None:
    report = replace(REPORT, coefficients={f"c{i:03}": 1.0 for i in range(100)})
    assert len(rendered(report=report)["model"]["coefficients"]) == 64


# --- under an older definition

NAMED = "failed to create typed patch object (shop/checkout; pegbox.dev/v1alpha1, Kind=PerformanceProfile): "


@pytest.mark.parametrize(
    ("said", "paths"),
    [
        pytest.param(".status.later: field not declared in schema", {("later",)}, id="one of the status"),
        pytest.param(".status.model.forecast: field not declared in schema", {("model", "forecast")}, id="one within"),
        pytest.param(
            'errors:\n  .status.slos[name="p95"].later: field not declared in schema\n'
            "  .status.next: field not declared in schema",
            {("slos", "later"), ("next",)},
            id="several, one of them in a list",
        ),
        pytest.param(".spec.later: field not declared in schema", set(), id="not of the status"),
        pytest.param(
            ".status.why: expected string, got &value.valueUnstructured{Value:1}", set(), id="another refusal"
        ),
    ],
)
def test_the_fields_that_a_definition_lacks_are_those_that_the_server_names(said: str, paths: set[Any]) -> None:
    assert status.undeclared(NAMED + said) == paths


def test_what_is_named_is_left_out_in_every_entry_and_nothing_else_is() -> None:
    body = {"why": "w", "model": {"trusted": "True", "forecast": {}}, "slos": [{"name": "a", "x": 1}, {"name": "b"}]}
    found = status.without(body, {("model", "forecast"), ("slos", "x"), ("gone", "x"), ("why", "x")})
    assert found == {"why": "w", "model": {"trusted": "True"}, "slos": [{"name": "a"}, {"name": "b"}]}
    assert status.without(body, {("model",), ("slos",)}) == {"why": "w"}
    assert status.without(body, ()) == body
