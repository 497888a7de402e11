"""The operator's own settings: what is misspelt or of another type is refused, by field and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pegbox.model.errors import InvalidInput
from pegbox.runtime.points import Point, killer, nobody
from pegbox.runtime.settings import Settings, load, parse
from pegbox.runtime.wiring import metrics_source

REFUSED: dict[str, tuple[Any, str]] = {
    "a list": ([], "settings"),
    "a misspelt field": ({"allowWrite": True}, "settings.allowWrite"),
    "a text for a number": ({"workers": "4"}, "settings.workers"),
    "true for a number": ({"workers": True}, "settings.workers"),
    "a text for a switch": ({"allowWrites": "true"}, "settings.allowWrites"),
    "no source at all": ({"metricsSources": []}, "metricsSources"),
    "own labels that no server knows": ({"metricsSources": [{"ownLabels": {"a-b": "c"}}]}, "label"),
    "own labels that are a list": ({"metricsSources": [{"ownLabels": ["a"]}]}, "metricsSources.ownLabels"),
    "namespaces that are one text": ({"watchNamespaces": "shop"}, "watchNamespaces"),
    "a source that is a text": ({"metricsSources": ["http://x"]}, "metricsSources"),
    "a misspelt field of a source": ({"metricsSources": [{"uri": "x"}]}, "metricsSources.uri"),
    "a nested text": ({"http": "8080"}, "http"),
    "a negative number of trials": ({"maxConcurrentTrials": -1}, "maxConcurrentTrials"),
    "cores that are a number": ({"maxCpuAddedPerHour": 16}, "settings.maxCpuAddedPerHour"),
    "cores that are no quantity": ({"maxCpuAddedPerHour": "many"}, "maxCpuAddedPerHour"),
    "memory below nothing": ({"maxMemoryAddedPerHour": "-1Gi"}, "maxMemoryAddedPerHour"),
    "pods taken away below nothing": ({"maxReplicasRemovedPerHour": -1}, "maxReplicasRemovedPerHour"),
    "cores taken away that are a number": ({"maxCpuRemovedPerHour": 16}, "settings.maxCpuRemovedPerHour"),
    "cores taken away that are no quantity": ({"maxCpuRemovedPerHour": "many"}, "maxCpuRemovedPerHour"),
    "memory taken away below nothing": ({"maxMemoryRemovedPerHour": "-1Gi"}, "maxMemoryRemovedPerHour"),
    "no number of seconds": ({"fleetBreaker": {"baseSeconds": float("nan")}}, "fleetBreaker.baseSeconds"),
    "a share above all": ({"fleetBreaker": {"writeFailureShare": 1.1}}, "fleetBreaker.writeFailureShare"),
    "a longest wait below the first": ({"fleetBreaker": {"longestSeconds": 9}}, "fleetBreaker.longestSeconds"),
    "a misspelt field of the breaker": ({"fleetBreaker": {"profile": 3}}, "fleetBreaker.profile"),
    "a misspelt nested field": ({"leaderElection": {"enable": False}}, "leaderElection.enable"),
}


@pytest.mark.parametrize(("raw", "field"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_and_the_field_is_named(raw: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(raw)
    assert refused.value.field == field and refused.value.remedy


def test_what_is_left_out_has_its_default_and_writing_is_off() -> None:
    assert parse({}) == Settings()
    assert parse({}).allowWrites is False


def test_everything_can_be_said() -> None:
    made = parse(
        {
            "metricsSources": [{"name": "a", "url": "http://a", "timeoutSeconds": 3}, {"name": "b"}],
            "watchNamespaces": ["shop"],
            "leaderElection": {"enabled": False},
            "http": {"port": 9},
            "kubeQps": 5,
            "maxConcurrentTrials": 0,
            "maxCpuAddedPerHour": "500m",
            "maxMemoryAddedPerHour": "64Gi",
            "maxReplicasRemovedPerHour": 8,
            "maxCpuRemovedPerHour": "1",
            "maxMemoryRemovedPerHour": "512Mi",
            "fleetBreaker": {"profiles": 0},
        }
    )
    assert [s.name for s in made.metricsSources] == ["a", "b"]
    assert made.watchNamespaces == ("shop",) and made.http.port == 9 and not made.leaderElection.enabled


@pytest.mark.parametrize("text", ["{", "\xff"], ids=["no YAML", "no UTF-8"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput) as refused:
        load(file)
    assert refused.value.field == str(file)
    with pytest.raises(InvalidInput):
        load(tmp_path / "absent.yaml")


def test_labels_of_the_operators_own_series_reach_the_query() -> None:
    (item,) = parse({"metricsSources": [{"ownLabels": {"namespace": "pegbox-system"}}]}).metricsSources
    source = metrics_source(item)
    assert source._dialect.own_labels == (("namespace", "pegbox-system"),)
    source.close()


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("")
    assert load(tmp_path / "settings.yaml") == Settings()


def test_in_production_nothing_is_killed_and_a_point_that_does_not_exist_is_refused() -> None:
    assert killer(None) is nobody and killer("") is nobody
    killer("before-ledger:2")(Point.BEFORE_LEDGER)  # the first time: still alive
    with pytest.raises(ValueError, match="no-such-point"):
        killer("no-such-point")
