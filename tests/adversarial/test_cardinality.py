"""Nobody outside can make our own metrics grow without bound: not by names, not by pods, not by what pods export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pegbox.adapters.pod_settings import LABELS, PodSetting, PodSettings
from pegbox.adapters.prometheus import decode
from pegbox.adapters.telemetry import Telemetry
from pegbox.model.decisions import Action, Condition, ConditionType, Truth
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement
from pegbox.model.trials import BreakerState, TrialState
from tests.loop import documents
from tests.loop.world import make

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = ('a"b', "a\\", "a\nb 1", 'x{y="z"} 1', "\u202e", "é" * 253, "", "a" * 253)


def series(telemetry: Telemetry) -> list[tuple[str, dict[str, str]]]:
    """As a scraper reads them: what does not parse fails here."""
    text = generate_latest(telemetry.registry).decode()
    return [(s.name, s.labels) for family in text_string_to_metric_families(text) for s in family.samples]


def shown(telemetry: Telemetry) -> list[dict[str, str]]:
    return [labels for name, labels in series(telemetry) if name == "pegbox_pod_setting"]


def test_a_million_pods_are_as_many_series_as_the_limit() -> None:
    settings = PodSettings(limit=100)
    for batch in range(10):
        settings.show(f"shop/p{batch}", "c", {f"pod-{batch}-{n}": PodSetting("", "1") for n in range(1000)}, NOW)
    families = {family.name: family.samples for family in settings.collect()}
    assert len(families["pegbox_pod_setting"]) == 100
    assert families["pegbox_pod_settings_dropped"][0].value == 10 * 1000 - 100


def test_pods_that_come_and_go_are_forgotten_after_the_longest_window() -> None:
    telemetry = Telemetry()
    for hour in range(50):
        telemetry.pod_settings.show(
            "shop/p", "c", {f"pod-{hour}": PodSetting("", str(hour))}, NOW + timedelta(hours=2 * hour)
        )
    # the one before is let go at the next look: it was alive when this one began
    assert [labels["target_pod"] for labels in shown(telemetry)] == ["pod-48", "pod-49"]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:12])
def test_a_hostile_name_is_one_value_of_one_label(name: str) -> None:
    telemetry = Telemetry()
    telemetry.pod_settings.show(f"shop/{name}", name, {name: PodSetting(name, name)}, NOW)
    telemetry.breaker("shop", name, BreakerState.OPEN)
    (labels,) = shown(telemetry)
    assert set(labels) == set(LABELS)
    assert labels["target_pod"] == labels["class"] == labels["cohort"] == labels["setting"] == name
    assert [labels["profile"] for metric, labels in series(telemetry) if metric == "pegbox_breaker_state"] == [name]


def test_profiles_that_come_and_go_leave_nothing() -> None:
    telemetry = Telemetry()
    before = len(series(telemetry))
    for number in range(200):
        telemetry.breaker("shop", f"p{number}", BreakerState.OPEN)
        telemetry.rollback_pending("shop", f"p{number}", True)
        telemetry.degraded("shop", f"p{number}", Reason.WRITE_REFUSED)
        telemetry.pod_settings.show(f"shop/p{number}", "c", {f"pod{number}": PodSetting("", "1")}, NOW)
        telemetry.forget("shop", f"p{number}")
    assert len(series(telemetry)) == before


def test_every_other_label_is_an_enum() -> None:
    """All values of all of them at once: what the operator exports for any number of profiles, but the two above."""
    telemetry = Telemetry()
    for reason in Reason:
        telemetry.failed(reason)
        for action in Action:
            telemetry.decided(action, reason)
        telemetry.degraded("shop", "checkout", reason)
        for state in TrialState:
            telemetry.trial_ended(state, reason)
    labels = {label for _, found in series(telemetry) for label in found}
    assert labels <= {"le", "reason", "condition", "action", "state", "kind", "verb", "namespace", "profile", *LABELS}
    most = len(Reason) * (1 + len(Action) + len(TrialState)) * 2
    assert len(series(telemetry)) <= most + 50


def test_however_often_its_reason_changes_a_profile_has_one_series_per_condition() -> None:
    telemetry = Telemetry()
    for reason in Reason:
        telemetry.degraded("shop", "checkout", reason)
        telemetry.conditions("shop", "checkout", [Condition(ConditionType.DEGRADED, Truth.TRUE, reason, "", 1, NOW)])
    found = [labels for metric, labels in series(telemetry) if metric == "pegbox_trouble"]
    assert [(labels["condition"], labels["reason"]) for labels in found] == [("Degraded", list(Reason)[-1].value)]
    telemetry.conditions(
        "shop", "checkout", [Condition(ConditionType.DEGRADED, Truth.FALSE, Reason.STABLE, "", 1, NOW)]
    )
    assert [metric for metric, _ in series(telemetry) if metric == "pegbox_trouble"] == []


GENERATIONS = ["1e308", "-5", "1.5", "9007199254740993", "1e17"]


@pytest.mark.parametrize("text", GENERATIONS)
def test_a_generation_that_no_document_has_says_nothing(text: str) -> None:
    labels = {"pod": "a", "profile_uid": "u", "hash": "h"}
    samples = [
        {"metric": {**labels, "part": part}, "value": [0, value]} for part, value in (("value", text), ("at", "1.7e9"))
    ]
    found = decode.dated(samples, NOW, 1e12)
    assert decode.acknowledgements(found, "pod") == {}


async def test_an_application_that_makes_generations_up_makes_no_label_values() -> None:
    """It says another one at each scrape; the label `setting` says "0", or one that Pegbox wrote."""
    world = await make()
    await world.add(documents.profile("checkout", documents.hot()), workers=2)
    await world.steady()
    uid = (await world.profile())["metadata"]["uid"]
    pods = list(world.metrics.acks[world.namespace])
    seen: set[str] = set()
    for turn in range(6):
        made_up = Acknowledgement(uid, 10**6 + turn, f"made-up-{turn}")
        world.metrics.acks[world.namespace] = dict.fromkeys(pods, made_up)
        await world.wake()
        seen |= {labels["setting"] for labels in shown(world.reconciler.telemetry)}
    written = (await world.document()).generation
    assert seen and seen <= {str(number) for number in range(written + 1)}
