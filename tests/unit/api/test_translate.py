"""Profile and class merged: what comes out, and each refusal with its field, value and remedy."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import pytest
from pegbox.api.translate import Context, to_model
from pegbox.api.translate_limits import BudgetUnsatisfiable, reason_of
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobMode, LocationKind
from pegbox.model.profile import Autoscaler, Guards, Mode, Objective, OnNoData, ProfileSpec, Slo
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role

from tests.unit.api.documents import CLASS, PROFILE, Document, class_with, knob, profile

CREATE = {"create": {"minReplicas": 2, "maxReplicas": 8}}
POOL = {"name": "db", "uses": "pods * pool", "limit": 10}


def merged(document: Document = PROFILE, class_: Document = CLASS, **context: Any) -> ProfileSpec:
    return to_model(document, class_, Context(**context))


def test_the_smallest_profile_takes_every_default() -> None:
    spec = merged()
    assert (spec.key, spec.uid, spec.generation, spec.class_generation) == ("shop/checkout", "u-1", 7, 3)
    assert (spec.mode, spec.objective, spec.interval) == (Mode.RECOMMEND, Objective.MINIMIZE_COST, F(30))
    assert spec.slos == (Slo("fast", "duration", F(19, 20), F(1, 2), F(300), 100, OnNoData.HOLD),)
    assert spec.guards == Guards()
    assert spec.autoscaler is None
    assert spec.roles["workers"] is Role.CONCURRENCY
    assert "overflow" not in spec.roles


def test_pods_and_foreign_config_maps_are_tuned_only_where_the_profile_names_them() -> None:
    assert set(merged().space.names) == {
        "workers", "pool", "overflow", "timeout", "memory", "cpu", "share", "tracing", "level", "heap",
    }  # fmt: skip
    assert "replicas" in merged(knob(name="replicas", min=2)).space
    assert {"min_replicas", "max_replicas"} <= set(merged(profile(autoscaler=CREATE)).space.names)


def test_a_custom_preset_tunes_only_what_the_profile_names() -> None:
    spec = merged(profile(preset="Custom", knobs=[{"name": "pool"}]))
    assert spec.space.names == ("pool",)


def test_knobs_that_the_application_does_not_report_are_left_out_unless_named() -> None:
    """An application refuses a whole settings document for one knob that it does not know."""
    spec = merged(knob(name="pool", max=30), reported=frozenset({"workers"}))
    assert spec.space.names == ("pool", "workers")


def test_signals_of_purpose_busy_are_named_as_the_model_looks_for_them() -> None:
    assert [s.name for s in merged().signals] == ["duration", "success", "arrivals", "busy:workers"]


@pytest.mark.parametrize(
    ("preset", "cpus", "default"),
    [
        pytest.param("Balanced", F(4), F(4), id="max(2, 4 cpus) = 4"),
        pytest.param("Balanced", F(1, 2), F(2), id="max(2, half a cpu) = 2"),
        pytest.param("Balanced", F(100), F(64), id="a default stays within the limits: 100 cpus, max 64"),
        pytest.param("HighPerformance", F(4), F(8), id="2 x 4 cpus = 8"),
        pytest.param("HighPerformance", F(13, 10), F(3), id="2 x 1.3 cpus = 2.6, and workers are whole"),
        pytest.param("MemoryEfficient", F(4), F(4), id="a preset that says nothing takes the class's default"),
        pytest.param("Balanced", None, None, id="without a stated CPU there is no default, not a guessed one"),
    ],
)
def test_a_default_is_the_presets_formula(preset: str, cpus: F | None, default: F | None) -> None:
    assert merged(profile(preset=preset), cpus=cpus).space["workers"].default == default


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        ({"name": "workers", "min": 2, "max": 32}, (F(2), F(32))),
        ({"name": "workers", "max": "32"}, (F(1), F(32))),
        ({"name": "timeout", "min": "1s", "max": "2m"}, (F(1), F(120))),
        ({"name": "memory", "max": "1Gi"}, (F(64 * 2**20), F(2**30))),
        ({"name": "cpu", "min": "500m"}, (F(1, 2), F(4))),
        ({"name": "share", "min": "0.5"}, (F(1, 2), F(1))),
    ],
)
def test_a_profile_narrows_limits(fields: Document, limits: tuple[F, F]) -> None:
    found = merged(knob(**fields)).space[fields["name"]]
    assert (found.minimum, found.maximum) == limits


def test_a_pinned_knob_keeps_its_value_and_is_not_tunable() -> None:
    found = merged(knob(name="overflow", value=0)).space["overflow"]
    assert (found.pinned, found.tunable) == (F(0), False)


def test_a_recommended_knob_stays_recommended_whatever_the_other_side_says() -> None:
    assert merged(knob(name="pool", mode="Recommend")).space["pool"].mode is KnobMode.RECOMMEND
    class_ = class_with("knobs", "pool", mode="Recommend")
    assert merged(knob(name="pool", mode="Tune"), class_).space["pool"].mode is KnobMode.RECOMMEND


@pytest.mark.parametrize(
    ("guards", "fields", "step"),
    [
        pytest.param({}, {"name": "pool"}, F(2, 5), id="the class's 40%"),
        pytest.param({}, {"name": "pool", "maxStep": "10%"}, F(1, 10), id="the profile's knob narrows it"),
        pytest.param({"maxStep": "20%"}, {"name": "pool"}, F(1, 5), id="the profile's guard narrows it"),
        pytest.param({"maxStep": "90%"}, {"name": "pool"}, F(2, 5), id="a wider guard does not widen the class's"),
        pytest.param({"maxStep": "90%"}, {"name": "workers"}, F(9, 10), id="where the class says nothing, the guard counts"),
        pytest.param({}, {"name": "workers"}, F(1, 2), id="where nobody says anything, half"),
    ],
)
def test_a_knobs_step_is_the_narrowest_that_was_said(guards: Document, fields: Document, step: F) -> None:
    document = profile(guards=guards, knobs=[fields])
    assert merged(document).space[fields["name"]].max_step == step


def test_a_created_autoscaler_gives_its_knobs_their_start_and_their_limits() -> None:
    spec = merged(profile(autoscaler=CREATE))
    assert spec.autoscaler == Autoscaler("checkout-pegbox", True, 2, 8, 60)
    low, high = spec.space["min_replicas"], spec.space["max_replicas"]
    assert (low.initial, low.minimum, low.maximum) == (F(2), F(2), F(8))
    assert (high.initial, high.minimum, high.maximum) == (F(8), F(2), F(8))


def test_an_existing_autoscaler_is_referred_to_by_name() -> None:
    assert merged(profile(autoscaler={"ref": {"name": "web"}})).autoscaler == Autoscaler("web", False)


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        pytest.param({"name": "pool"}, LocationKind.SETTINGS, "Settings(pool)", id="the settings document"),
        pytest.param({"name": "heap"}, LocationKind.ENV, "Env(HEAP)", id="an environment variable of the knob's name"),
        pytest.param(
            {"name": "cache", "location": {"configMap": "app", "key": "SIZE"}},
            LocationKind.CONFIG_MAP_KEY,
            "ConfigMapKey(app/SIZE)",
            id="the class leaves the ConfigMap to the profile",
        ),
        pytest.param(
            {"name": "pool", "location": {"configMap": "app", "key": "POOL"}},
            LocationKind.CONFIG_MAP_KEY,
            "ConfigMapKey(app/POOL)",
            id="a knob of the document that the application keeps in a plain key",
        ),
        pytest.param(
            {"name": "pool", "location": {"configMap": "app", "key": "app.json", "path": "db.pool"}},
            LocationKind.CONFIG_MAP_PATH,
            "ConfigMapPath(app/app.json/db.pool)",
            id="a knob of the document that the application keeps inside a file",
        ),
    ],
)
def test_a_knob_lives(fields: Document, kind: LocationKind, text: str) -> None:
    found = merged(knob(**fields)).space[fields["name"]].location
    assert (found.kind, str(found)) == (kind, text)


def test_rules_whose_knobs_the_profile_does_not_have_are_not_its_rules() -> None:
    assert merged().rules == ("pool <= workers * 50",)
    assert merged(profile(autoscaler=CREATE)).rules == ("pool <= workers * 50", "min_replicas <= max_replicas")


def test_consent_to_take_a_field_is_kept_per_knob() -> None:
    assert merged(knob(name="pool", conflictPolicy="Take")).take_knobs == {"pool"}


def test_guards_keep_the_models_defaults_where_the_profile_is_silent() -> None:
    found = merged(profile(guards={"settle": "10s", "errorBudgetShare": "2.5%", "failuresToOpen": 2})).guards
    assert found == Guards(settle=F(10), error_budget_share=F(1, 40), failures_to_open=2)


REFUSED = [
    ("unknown field", profile(knobz=[]), "spec.knobz", "did you mean 'knobs'?"),
    ("unknown nested field", knob(name="pool", maxx=3), "spec.knobs[pool].maxx", "did you mean 'max'?"),
    ("unknown knob", knob(name="worker"), "spec.knobs[].name", "did you mean 'workers'?"),
    ("unknown preset", profile(preset="Fast"), "spec.preset", "write one of Custom, Balanced"),
    ("unknown mode", profile(mode="auto"), "spec.mode", "write one of Observe, Recommend, Auto"),
    ("no target", profile(targetRef={}), "spec.targetRef.kind", "this field is required"),
    ("target of another kind", profile(targetRef={"kind": "Pod", "name": "x"}), "spec.targetRef.kind", "Deployment"),
    ("min above max", knob(name="pool", min=9, max=3), "spec.knobs[pool]", "raise max or lower min"),
    ("min above max in other units", knob(name="cpu", min="2500m", max="2"), "spec.knobs[cpu]", "raise max or lower min"),
    ("durations the wrong way round", knob(name="timeout", min="5m", max="90s"), "spec.knobs[timeout]", "raise max"),
    ("wider than the class, above", knob(name="pool", max=101), "spec.knobs[pool].max", "the class allows 1 to 100"),
    ("wider than the class, below", knob(name="pool", min=0), "spec.knobs[pool].min", "never widens"),
    ("wider step than the class", knob(name="pool", maxStep="41%"), "spec.knobs[pool].maxStep", "at most 40%"),
    ("a step of nothing", knob(name="pool", maxStep="0%"), "spec.knobs[pool].maxStep", "pin the knob"),
    ("a knob twice", profile(knobs=[{"name": "pool"}] * 2), "spec.knobs", "stands twice"),
    ("pinned and bounded", knob(name="pool", value=3, min=1), "spec.knobs[pool].value", "remove min, max"),
    ("pinned outside", knob(name="pool", value=101), "spec.knobs[pool].value", "pool allows 1 to 100"),
    ("initial outside", knob(name="pool", max=9, initial=10), "spec.knobs[pool].initial", "pool allows 1 to 9"),
    ("bounds of a boolean", knob(name="tracing", min="false"), "spec.knobs[tracing].min", "has no bounds"),
    ("no such choice", knob(name="level", value="middle"), "spec.knobs[level].value", "one of low, high"),
    ("half a worker", knob(name="workers", max="2.5"), "spec.knobs[workers].max", "write a whole number"),
    ("a number without quotes", knob(name="share", max=0.9), "spec.knobs[share].max", "write it in quotes"),
    ("a boolean without quotes", knob(name="tracing", value=True), "spec.knobs[tracing].value", "write it in quotes"),
    ("duration without unit", knob(name="timeout", max=30), "spec.knobs[timeout].max", "write a duration"),
    ("unit of nothing", knob(name="memory", max="1Gb"), "spec.knobs[memory].max", "write a quantity"),
    ("interval without unit", profile(interval="30"), "spec.interval", "write a duration"),
    ("interval too short", profile(interval="100ms"), "spec.interval", "between 2s and 1h"),
    ("replicas beside an autoscaler", profile(autoscaler=CREATE, knobs=[{"name": "replicas"}]), "spec.knobs[].name",
     "the autoscaler sets replicas"),
    ("HPA knob without autoscaler", knob(name="max_replicas"), "spec.knobs[].name", "add spec.autoscaler"),
    ("autoscaler of both kinds", profile(autoscaler={**CREATE, "ref": {"name": "x"}}), "spec.autoscaler", "exactly one"),
    ("autoscaler of no kind", profile(autoscaler={}), "spec.autoscaler", "exactly one"),
    ("autoscaler upside down", profile(autoscaler={"create": {"minReplicas": 9, "maxReplicas": 8}}),
     "spec.autoscaler.create.minReplicas", "raise maxReplicas (8)"),
    ("autoscaler beyond the class", profile(autoscaler={"create": {"minReplicas": 1, "maxReplicas": 51}}),
     "spec.autoscaler.create.maxReplicas", "allows 1 to 50"),
    ("autoscaler starts outside the knob", profile(autoscaler=CREATE, knobs=[{"name": "max_replicas", "max": 6}]),
     "spec.knobs[max_replicas]", "starts outside of 1 to 6"),
    ("location of an HPA bound", profile(autoscaler=CREATE, knobs=[{"name": "max_replicas", "location": {"key": "x"}}]),
     "spec.knobs[max_replicas].location", "remove location"),
    ("location without its ConfigMap", knob(name="cache"), "spec.knobs[cache].location.configMap", "application's own"),
    ("location without its key", knob(name="cache", location={"configMap": "app"}), "spec.knobs[cache].location.key", "own key"),
    ("two knobs in one place", profile(knobs=[
        {"name": "pool", "location": {"configMap": "app", "key": "N"}},
        {"name": "overflow", "location": {"configMap": "app", "key": "N"}},
    ]), "spec.knobs[overflow].location", "knob pool lives there too"),
    ("pinned against a rule", profile(knobs=[{"name": "pool", "value": 51}, {"name": "workers", "value": 1}]),
     "spec.knobs[pool].value", "pool must not exceed 50 per worker"),
    ("unknown signal", profile(slos=[{"name": "s", "signal": "durations", "threshold": "1s", "goal": "9%"}]),
     "spec.slos[s].signal", "did you mean 'duration'?"),
    ("SLO over a gauge", profile(slos=[{"name": "s", "signal": "busy:workers", "goal": "9%"}]),
     "spec.slos[s].signal", "counts no events"),
    ("histogram without threshold", profile(slos=[{"name": "s", "signal": "duration", "goal": "9%"}]),
     "spec.slos[s].threshold", "say how fast"),
    ("ratio with threshold", profile(slos=[{"name": "s", "signal": "success", "threshold": "1s", "goal": "9%"}]),
     "spec.slos[s].threshold", "counts good events itself"),
    ("threshold of zero", profile(slos=[{"name": "s", "signal": "duration", "threshold": "0s", "goal": "9%"}]),
     "spec.slos[s].threshold", "more than zero"),
    ("goal without percent", profile(slos=[{"name": "s", "signal": "success", "goal": "0.95"}]),
     "spec.slos[s].goal", "write a percentage"),
    ("goal of everything", profile(slos=[{"name": "s", "signal": "success", "goal": "100%"}]),
     "spec.slos[s].goal", "leaves no error budget"),
    ("goal of more", profile(slos=[{"name": "s", "signal": "success", "goal": "101%"}]), "spec.slos[s].goal", "between 0% and 100%"),
    ("no goal", profile(slos=[{"name": "s", "signal": "success"}]), "spec.slos[s].goal", "this field is required"),
    ("an SLO twice", profile(slos=[{"name": "s", "signal": "success", "goal": "9%"}] * 2), "spec.slos", "stands twice"),
    ("SLO window too long", profile(slos=[{"name": "s", "signal": "success", "goal": "9%", "window": "2d"}]),
     "spec.slos[s].window", "between 10s and 1d"),
    ("budget that is not monotone", profile(budgets=[{**POOL, "uses": "100 - pool"}]), "spec.budgets[db].uses", "use only + * ( )"),
    ("budget over an unknown knob", profile(budgets=[{**POOL, "uses": "pods * pol"}]), "spec.budgets[db].uses", "did you mean 'pool'?"),
    ("budget over a boolean", profile(budgets=[{**POOL, "uses": "tracing"}]), "spec.budgets[db].uses", "no numeric knob"),
    ("budget without limit", profile(budgets=[{"name": "db", "uses": "pool"}]), "spec.budgets[db]", "exactly one of"),
    ("budget of two limits", profile(budgets=[{**POOL, "budgetRef": {"name": "x"}}]), "spec.budgets[db]", "exactly one of"),
    ("a budget twice", profile(budgets=[POOL, POOL]), "spec.budgets", "stands twice"),
    ("one shared budget twice", profile(budgets=[
        {"name": "a", "uses": "pool", "budgetRef": {"name": "db"}}, {"name": "b", "uses": "pods", "budgetRef": {"name": "db"}},
    ]), "spec.budgets[].budgetRef.name", "add up their uses"),
    ("freeze of four fields", profile(freezes=[{"name": "f", "schedule": "0 16 * *  ", "duration": "1h"}]),
     "freezes[f].schedule", "five cron fields"),
    ("freeze in no zone", profile(freezes=[{"name": "f", "schedule": "0 16 * * 5", "duration": "1h", "timeZone": "Mars"}]),
     "freezes[f].timeZone", "IANA zone"),
    ("freeze for ever", profile(freezes=[{"name": "f", "schedule": "0 16 * * 5", "duration": "30d"}]),
     "spec.freezes[f].duration", "between 1m and 8d"),
    ("matcher that is no label", profile(matchLabels=[{"name": "a-b", "value": "x"}]), "spec.matchLabels[a-b].name", "match the pattern"),
    ("a guard of zero", profile(guards={"trialWindow": "0s"}), "spec.guards.trialWindow", "more than zero"),
    ("a guard beyond all", profile(guards={"maxStep": "101%"}), "spec.guards.maxStep", "between 0% and 100%"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "field", "remedy"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_a_profile_is_refused_with_field_value_and_remedy(document: Document, field: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        merged(document)
    assert refused.value.field == field
    assert remedy in refused.value.remedy
    assert reason_of(refused.value) is Reason.INVALID_SPEC


@pytest.mark.parametrize(
    ("document", "used"),
    [
        pytest.param(profile(budgets=[POOL], knobs=[{"name": "pool", "min": 11}]), 11, id="1 pod x at least 11 = 11 > 10"),
        pytest.param(profile(budgets=[POOL], knobs=[{"name": "pool", "value": 11}]), 11, id="1 pod x pinned 11 = 11 > 10"),
        pytest.param(
            profile(budgets=[POOL], autoscaler={"create": {"minReplicas": 11, "maxReplicas": 12}}),
            11,
            id="an HPA of at least 11 pods x 1 = 11 > 10",
        ),
        pytest.param(
            profile(budgets=[POOL], knobs=[{"name": "replicas", "min": 4}, {"name": "pool", "min": 3}]),
            12,
            id="4 replicas x 3 = 12 > 10",
        ),
    ],
)
def test_a_budget_that_no_setting_can_meet_is_refused(document: Document, used: int) -> None:
    with pytest.raises(BudgetUnsatisfiable) as refused:
        merged(document)
    assert refused.value.field == "spec.budgets[db].limit"
    assert f"uses {used}: raise the limit or lower a knob's min" in refused.value.remedy
    assert reason_of(refused.value) is Reason.BUDGET_UNSATISFIABLE


def test_a_budget_that_the_smallest_setting_just_meets_is_accepted() -> None:
    assert merged(profile(budgets=[POOL], knobs=[{"name": "pool", "min": 10}])).budgets[0].limit == 10


def test_a_shared_budgets_size_is_not_known_here_and_refuses_nothing() -> None:
    document = profile(budgets=[{"name": "db", "uses": "pool * 1000", "budgetRef": {"name": "main"}}])
    assert merged(document).budgets[0].ref == "main"
