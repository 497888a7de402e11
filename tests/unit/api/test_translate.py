"""Profile and class merged: what comes out, and each refusal with its field, value and remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from pegbox.api.translate import Context, to_model
from pegbox.api.translate_limits import BudgetUnsatisfiable, reason_of
from pegbox.model.knobs import Effect, KnobMode, LocationKind
from pegbox.model.profile import Autoscaler, Canary, Freeze, Guards, Mode, Objective, OnNoData, ProfileSpec, Slo
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
    assert (spec.mode, spec.objective, spec.interval) == (Mode.RECOMMEND, Objective.MINIMIZE_COST, Fraction(30))
    assert spec.slos == (Slo("fast", "duration", Fraction(19, 20), Fraction(1, 2), Fraction(300), 100, OnNoData.HOLD),)
    assert spec.guards == Guards()
    assert spec.autoscaler is None
    assert spec.roles["workers"] is Role.CONCURRENCY
    assert "overflow" not in spec.roles


@pytest.mark.parametrize(
    ("wire", "canary"),
    [
        pytest.param({}, Canary(Fraction(1, 5), 4), id="a_fifth_of_the_pods_from_four_on"),
        pytest.param({"share": "50%", "minPods": 2}, Canary(Fraction(1, 2), 2), id="as_written"),
        pytest.param({"share": "0%"}, Canary(Fraction(0), 4), id="switched_off"),
    ],
)
def test_a_canary_takes_what_is_written_and_else_its_defaults(wire: Document, canary: Canary) -> None:
    assert merged(profile(trial={"canary": wire})).canary == canary
    assert merged().canary == Canary()


def test_pods_and_foreign_config_maps_are_tuned_only_where_the_profile_names_them() -> None:
    assert set(merged().space.names) == {
        "workers",
        "pool",
        "overflow",
        "timeout",
        "memory",
        "cpu",
        "share",
        "tracing",
        "level",
        "heap",
    }
    assert "replicas" in merged(knob(name="replicas", min=2)).space
    assert "cpu_request" not in merged(profile()).space, "a size costs money, too"
    assert str(merged(knob(name="cpu_request")).space["cpu_request"].location) == "ContainerResource(requests.cpu)"
    assert {"min_replicas", "max_replicas"} <= set(merged(profile(autoscaler=CREATE)).space.names)


def test_a_custom_preset_tunes_only_what_the_profile_names() -> None:
    knobs = [{"name": "pool"}]
    assert merged(profile(preset="Custom", knobs=knobs)).space.names == ("pool",)
    scaled = merged(profile(preset="Custom", knobs=knobs, autoscaler=CREATE))
    assert scaled.space.names == ("max_replicas", "min_replicas", "pool")


def test_knobs_that_the_application_does_not_report_are_left_out_unless_named() -> None:
    """An application refuses a whole settings document for one knob that it does not know."""
    spec = merged(knob(name="pool", max=30), reported=frozenset({"workers"}))
    assert spec.space.names == ("pool", "workers")


def test_signals_of_purpose_busy_are_named_as_the_model_looks_for_them() -> None:
    assert [s.name for s in merged().signals] == ["duration", "success", "arrivals", "busy:workers"]


@pytest.mark.parametrize(
    ("preset", "cpus", "default"),
    [
        pytest.param("Balanced", Fraction(4), Fraction(4), id="max(2, 4 cpus) = 4"),
        pytest.param("Balanced", Fraction(1, 2), Fraction(2), id="max(2, half a cpu) = 2"),
        pytest.param("Balanced", Fraction(100), Fraction(64), id="a default stays within the limits: 100 cpus, max 64"),
        pytest.param("HighPerformance", Fraction(4), Fraction(8), id="2 x 4 cpus = 8"),
        pytest.param("HighPerformance", Fraction(13, 10), Fraction(3), id="2 x 1.3 cpus = 2.6, and workers are whole"),
        pytest.param(
            "MemoryEfficient", Fraction(4), Fraction(4), id="a preset that says nothing takes the class's default"
        ),
        pytest.param("Balanced", None, None, id="without a stated CPU there is no default, not a guessed one"),
    ],
)
def test_a_default_is_the_presets_formula(preset: str, cpus: Fraction | None, default: Fraction | None) -> None:
    assert merged(profile(preset=preset), cpus=cpus).space["workers"].default == default


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        ({"name": "workers", "min": 2, "max": 32}, (Fraction(2), Fraction(32))),
        ({"name": "workers", "max": "32"}, (Fraction(1), Fraction(32))),
        ({"name": "timeout", "min": "1s", "max": "2m"}, (Fraction(1), Fraction(120))),
        ({"name": "memory", "max": "1Gi"}, (Fraction(64 * 2**20), Fraction(2**30))),
        ({"name": "cpu", "min": "500m"}, (Fraction(1, 2), Fraction(4))),
        ({"name": "share", "min": "0.5"}, (Fraction(1, 2), Fraction(1))),
    ],
)
def test_a_profile_narrows_limits(fields: Document, limits: tuple[Fraction, Fraction]) -> None:
    found = merged(knob(**fields)).space[fields["name"]]
    assert (found.minimum, found.maximum) == limits


def test_a_pinned_knob_keeps_its_value_and_is_not_tunable() -> None:
    found = merged(knob(name="overflow", value=0)).space["overflow"]
    assert (found.pinned, found.tunable) == (Fraction(0), False)


def test_a_recommended_knob_stays_recommended_whatever_the_other_side_says() -> None:
    assert merged(knob(name="pool", mode="Recommend")).space["pool"].mode is KnobMode.RECOMMEND
    class_ = class_with("knobs", "pool", mode="Recommend")
    assert merged(knob(name="pool", mode="Tune"), class_).space["pool"].mode is KnobMode.RECOMMEND


@pytest.mark.parametrize(
    ("guards", "fields", "step"),
    [
        pytest.param({}, {"name": "pool"}, Fraction(2, 5), id="the class's 40%"),
        pytest.param({}, {"name": "pool", "maxStep": "40%"}, Fraction(2, 5), id="as wide as the class is no wider"),
        pytest.param({}, {"name": "pool", "maxStep": "10%"}, Fraction(1, 10), id="the profile's knob narrows it"),
        pytest.param({"maxStep": "20%"}, {"name": "pool"}, Fraction(1, 5), id="the profile's guard narrows it"),
        pytest.param(
            {"maxStep": "90%"}, {"name": "pool"}, Fraction(2, 5), id="a wider guard does not widen the class's"
        ),
        pytest.param(
            {"maxStep": "90%"},
            {"name": "workers"},
            Fraction(9, 10),
            id="where the class says nothing, the guard counts",
        ),
        pytest.param({}, {"name": "workers"}, Fraction(1, 2), id="where nobody says anything, half"),
    ],
)
def test_a_knobs_step_is_the_narrowest_that_was_said(guards: Document, fields: Document, step: Fraction) -> None:
    document = profile(guards=guards, knobs=[fields])
    assert merged(document).space[fields["name"]].max_step == step


def test_a_created_autoscaler_gives_its_knobs_their_start_and_their_limits() -> None:
    spec = merged(profile(autoscaler=CREATE))
    assert spec.autoscaler == Autoscaler("checkout-pegbox", True, 2, 8, 60)
    low, high = spec.space["min_replicas"], spec.space["max_replicas"]
    assert (low.initial, low.minimum, low.maximum) == (Fraction(2), Fraction(2), Fraction(8))
    assert (high.initial, high.minimum, high.maximum) == (Fraction(8), Fraction(2), Fraction(8))


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
        pytest.param(
            {"name": "heap", "location": {"kind": "PodEnv"}},
            LocationKind.POD_ENV,
            "PodEnv(HEAP)",
            id="a variable that admission puts into new pods",
        ),
        pytest.param(
            {"name": "pool", "location": {"kind": "PodEnv", "key": "DB_POOL"}},
            LocationKind.POD_ENV,
            "PodEnv(DB_POOL)",
            id="a knob of the document that the application reads from a variable of its own name",
        ),
    ],
)
def test_a_knob_lives(fields: Document, kind: LocationKind, text: str) -> None:
    found = merged(knob(**fields)).space[fields["name"]].location
    assert (found.kind, str(found)) == (kind, text)


def test_a_variable_that_admission_puts_there_needs_new_pods_whatever_the_class_says() -> None:
    space = merged(profile(knobs=[{"name": "pool", "location": {"kind": "PodEnv"}}, {"name": "overflow"}])).space
    assert (space["pool"].effect, space["overflow"].effect) == (Effect.RESTART, Effect.HOT)


def test_rules_whose_knobs_the_profile_does_not_have_are_not_its_rules() -> None:
    assert merged().rules == ("pool <= workers * 50",)
    assert merged(profile(autoscaler=CREATE)).rules == ("pool <= workers * 50", "min_replicas <= max_replicas")


def test_consent_to_take_a_field_is_kept_per_knob() -> None:
    assert merged(knob(name="pool", conflictPolicy="Take")).take_knobs == {"pool"}


def test_guards_keep_the_models_defaults_where_the_profile_is_silent() -> None:
    found = merged(profile(guards={"settle": "10s", "errorBudgetShare": "2.5%", "failuresToOpen": 2})).guards
    assert found == Guards(settle=Fraction(10), error_budget_share=Fraction(1, 40), failures_to_open=2)


@pytest.mark.parametrize(
    ("document", "used"),
    [
        pytest.param(
            profile(budgets=[POOL], knobs=[{"name": "pool", "min": 11}]), 11, id="1 pod x at least 11 = 11 > 10"
        ),
        pytest.param(
            profile(budgets=[POOL], knobs=[{"name": "pool", "value": 11}]), 11, id="1 pod x pinned 11 = 11 > 10"
        ),
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


def test_a_freeze_recurs_or_has_dates() -> None:
    weekly = {"name": "a", "schedule": "0 16 * * 5", "timeZone": "Europe/Berlin", "duration": "1h"}
    dated = {"name": "b", "from": "2026-12-23T18:00:00+01:00", "until": "2027-01-02T00:00:00Z", "allow": "Urgent"}
    first, second = merged(profile(freezes=[weekly, dated])).freezes
    assert first == Freeze("a", "0 16 * * 5", "Europe/Berlin", Fraction(3600))
    assert (second.start, second.end) == (datetime(2026, 12, 23, 17, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC))
    assert second.allow_urgent and not second.schedule


def test_a_budget_that_the_smallest_setting_just_meets_is_accepted() -> None:
    assert merged(profile(budgets=[POOL], knobs=[{"name": "pool", "min": 10}])).budgets[0].limit == 10


def test_a_shared_budgets_size_is_not_known_here_and_refuses_nothing() -> None:
    document = profile(budgets=[{"name": "db", "uses": "pool * 1000", "budgetRef": {"name": "main"}}])
    assert merged(document).budgets[0].ref == "main"
