"""The operator's own metrics: names, labels, and series that go when what they are about goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pegbox.adapters.pod_settings import PodSetting, PodSettings
from pegbox.adapters.prometheus.client import Usage
from pegbox.adapters.telemetry import Telemetry
from pegbox.model.brakes import Stop
from pegbox.model.decisions import Action
from pegbox.model.reasons import Reason
from pegbox.model.trials import Amount, Amounts, BreakerState, TrialState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST = timedelta(minutes=10)


def shown(telemetry: Telemetry, name: str = "pegbox_pod_setting") -> list[dict[str, str]]:
    """The label sets of one metric, as a scrape reads them."""
    text = generate_latest(telemetry.registry).decode()
    return [s.labels for f in text_string_to_metric_families(text) for s in f.samples if s.name == name]


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def setting(number: str, cohort: str = "") -> PodSetting:
    return PodSetting(cohort, number)


def test_a_pod_s_series_has_the_labels_that_the_join_needs() -> None:
    telemetry = Telemetry()
    telemetry.pod_settings.show("shop/checkout", "worker", {"a": setting("7", "canary")}, NOW)
    assert shown(telemetry) == [
        {
            "target_namespace": "shop",
            "target_pod": "a",
            "class": "worker",
            "profile": "shop/checkout",
            "cohort": "canary",
            "setting": "7",
        }
    ]


def test_a_pod_has_one_series_per_class_whatever_was_shown_before() -> None:
    telemetry = Telemetry()
    telemetry.pod_settings.show("shop/checkout", "worker", {"a": setting("7")}, NOW)
    telemetry.pod_settings.show("shop/checkout", "worker", {"a": setting("8")}, NOW)
    telemetry.pod_settings.show("shop/taken-over", "worker", {"a": setting("1")}, NOW)
    assert [(s["profile"], s["setting"]) for s in shown(telemetry)] == [("shop/taken-over", "1")]


def bounded(**limits: Any) -> Telemetry:
    telemetry = Telemetry()
    telemetry.registry.unregister(telemetry.pod_settings)
    telemetry.pod_settings = PodSettings(**limits)
    telemetry.registry.register(telemetry.pod_settings)
    return telemetry


def test_a_deleted_pod_is_shown_for_the_longest_window_as_it_was() -> None:
    telemetry = bounded(keep=LONGEST)
    pods = telemetry.pod_settings
    pods.show("shop/checkout", "worker", {"a": setting("7"), "b": setting("7")}, NOW)
    pods.show("shop/checkout", "worker", {"a": setting("8")}, NOW + LONGEST)
    assert {(s["target_pod"], s["setting"]) for s in shown(telemetry)} == {("a", "8"), ("b", "7")}
    pods.show("shop/another", "worker", {}, NOW + LONGEST + timedelta(seconds=1))
    assert {s["target_pod"] for s in shown(telemetry)} == {"a"}


def test_a_living_pod_is_never_forgotten_for_its_age() -> None:
    telemetry = bounded(keep=LONGEST)
    telemetry.pod_settings.show("shop/checkout", "worker", {"a": setting("7")}, NOW)
    telemetry.pod_settings.show("shop/another", "worker", {}, NOW + timedelta(days=1))
    assert len(shown(telemetry)) == 1


def test_a_pod_that_comes_back_is_alive_again() -> None:
    telemetry = bounded(keep=LONGEST)
    for pods in ({"a": setting("7")}, {}, {"a": setting("8")}):
        telemetry.pod_settings.show("shop/checkout", "worker", pods, NOW)
    telemetry.pod_settings.show("shop/another", "worker", {}, NOW + 2 * LONGEST)
    assert [s["setting"] for s in shown(telemetry)] == ["8"]


def test_a_profile_that_changes_its_class_leaves_its_old_rows_to_expire() -> None:
    telemetry = bounded(keep=LONGEST)
    telemetry.pod_settings.show("shop/checkout", "old", {"a": setting("7")}, NOW)
    telemetry.pod_settings.show("shop/checkout", "new", {"a": setting("8")}, NOW)
    assert {s["class"] for s in shown(telemetry)} == {"old", "new"}
    telemetry.pod_settings.show("shop/checkout", "new", {"a": setting("8")}, NOW + 2 * LONGEST)
    assert [s["class"] for s in shown(telemetry)] == ["new"]


def test_the_number_of_series_is_bounded_and_deleted_pods_make_room_first() -> None:
    telemetry = bounded(limit=2)
    telemetry.pod_settings.show("a/x", "worker", {"p": setting("1"), "q": setting("1")}, NOW)
    telemetry.pod_settings.show("a/x", "worker", {"q": setting("1")}, NOW)
    telemetry.pod_settings.show("a/y", "worker", {"r": setting("1"), "s": setting("1")}, NOW)
    assert {s["target_pod"] for s in shown(telemetry)} == {"q", "r"}
    assert value(telemetry, "pegbox_pod_settings_dropped_total") == 1.0


def test_a_profile_s_series_go_with_it_and_no_others() -> None:
    telemetry = Telemetry()
    for name in ("checkout", "cart"):
        telemetry.pod_settings.show(f"shop/{name}", "worker", {f"{name}-1": setting("1")}, NOW)
        telemetry.breaker("shop", name, BreakerState.OPEN)
    telemetry.forget("shop", "checkout")
    telemetry.forget("shop", "never-seen")
    assert [s["profile"] for s in shown(telemetry)] == ["shop/cart"]
    assert shown(telemetry, "pegbox_breaker_state") == [{"namespace": "shop", "profile": "cart"}]


def test_who_does_not_lead_says_nothing_of_pods() -> None:
    telemetry = Telemetry()
    telemetry.leader(True)
    telemetry.pod_settings.show("shop/checkout", "worker", {"a": setting("1")}, NOW)
    telemetry.breaker("shop", "checkout", BreakerState.CLOSED)
    telemetry.leader(False)
    assert shown(telemetry) == []
    assert shown(telemetry, "pegbox_breaker_state") == []
    assert value(telemetry, "pegbox_leader") == 0.0


def test_every_event_is_counted_under_its_enum() -> None:
    telemetry = Telemetry()
    telemetry.reconciled(0.02, NOW)
    telemetry.failed(Reason.INTERNAL_ERROR)
    telemetry.decided(Action.HOLD, Reason.COOLING_DOWN)
    telemetry.wrote("ConfigMap", "patch")
    telemetry.trial_ended(TrialState.REVERTED, Reason.SLO_BREACHED)
    telemetry.queue_depth(3)
    telemetry.breaker("shop", "x", BreakerState.HALF_OPEN)
    telemetry.stopped(Stop.RESTORE)
    telemetry.fleet_breaker(BreakerState.OPEN)
    telemetry.in_flight(trials=4, restarts=1)
    assert value(telemetry, "pegbox_stopped") == 2.0
    assert value(telemetry, "pegbox_fleet_breaker_state") == 2.0
    assert value(telemetry, "pegbox_in_flight", what="trial") == 4.0
    assert value(telemetry, "pegbox_in_flight", what="restart") == 1.0
    assert value(telemetry, "pegbox_reconcile_seconds_count") == 1.0
    assert value(telemetry, "pegbox_last_cycle_timestamp_seconds") == NOW.timestamp()
    assert value(telemetry, "pegbox_reconcile_errors_total", reason="InternalError") == 1.0
    assert value(telemetry, "pegbox_decisions_total", action="Hold", reason="CoolingDown") == 1.0
    assert value(telemetry, "pegbox_writes_total", kind="ConfigMap", verb="patch") == 1.0
    assert value(telemetry, "pegbox_trials_total", state="Reverted", reason="SLOBreached") == 1.0
    assert value(telemetry, "pegbox_queue_depth") == 3.0
    assert value(telemetry, "pegbox_breaker_state", namespace="shop", profile="x") == 1.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pegbox_prometheus_queries_total", 5.0),
        ("pegbox_prometheus_query_failures_total", 1.0),
        ("pegbox_prometheus_samples_total", 70.0),
        ("pegbox_prometheus_bytes_total", 900.0),
    ],
)
def test_what_the_metrics_source_was_asked_is_exported(name: str, expected: float) -> None:
    telemetry, usage = Telemetry(), Usage(queries=5, failures=1, samples=70, size=900)
    telemetry.watch_source(lambda: usage)
    assert value(telemetry, name) == expected
    usage.queries += 1
    assert value(telemetry, "pegbox_prometheus_queries_total") == 6.0


@pytest.mark.parametrize(
    ("name", "what", "expected"),
    [
        ("pegbox_added_per_hour", "replicas", 2.0),
        ("pegbox_added_per_hour", "cpu", 1.5),
        ("pegbox_added_per_hour", "memory", 1024.0),
        ("pegbox_removed_per_hour", "replicas", 3.0),
        ("pegbox_removed_per_hour", "cpu", 0.25),
        ("pegbox_removed_per_hour", "memory", 512.0),
    ],
)
def test_what_an_hour_added_and_what_it_took_away_are_exported_in_cores_and_bytes(
    name: str, what: str, expected: float
) -> None:
    telemetry = Telemetry()
    telemetry.changed(Amounts(added=Amount(2, 1500, 1024), removed=Amount(3, 250, 512)))
    assert value(telemetry, name, what=what) == expected


def test_several_sources_are_added_up() -> None:
    telemetry = Telemetry()
    two, three = Usage(queries=2), Usage(queries=3)
    telemetry.watch_source(lambda: two)
    telemetry.watch_source(lambda: three)
    assert len(shown(telemetry, "pegbox_prometheus_queries_total")) == 1
    assert value(telemetry, "pegbox_prometheus_queries_total") == 5.0
