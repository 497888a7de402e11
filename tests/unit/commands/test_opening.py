"""Which kubeconfig, which metrics source: what was named wins, and what cannot be is told."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from pegbox.commands import opening
from pegbox.model.errors import InvalidInput


def arguments(**more: object) -> Namespace:
    given: dict[str, object] = {
        "prometheus": None,
        "config": None,
        "token_file": "",
        "ca_file": "",
        "pod_label": "pod",
        "namespace_label": "namespace",
    }
    return Namespace(**{**given, **more})


def test_the_kubeconfig_is_the_named_one_else_the_environment_s_else_the_usual_one(tmp_path: Path) -> None:
    named, usual = tmp_path / "named", tmp_path / ".kube" / "config"
    named.touch()
    assert opening.kubeconfig_of(None, {}, tmp_path) is None  # the pod's service account
    usual.parent.mkdir()
    usual.touch()
    assert opening.kubeconfig_of(None, {}, tmp_path) == usual
    listed = {"KUBECONFIG": f"/no/such:{named}"}
    assert opening.kubeconfig_of(None, listed, tmp_path) == Path(f"/no/such:{named}")
    assert opening.kubeconfig_of(usual, listed, tmp_path) == usual
    with pytest.raises(InvalidInput, match="KUBECONFIG: '/no/such'"):
        opening.kubeconfig_of(None, {"KUBECONFIG": "/no/such"}, tmp_path)


@pytest.mark.parametrize(
    "url", ["prometheus:9090", "ftp://prometheus", "http://", "http://[", "file:///etc/passwd", ""]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="--prometheus"):
        opening.settings_of(arguments(prometheus=url))


def test_a_url_makes_one_source_that_stands_for_every_name() -> None:
    settings = opening.settings_of(arguments(prometheus="http://127.0.0.1:9", pod_label="pod_name"))
    assert settings is not None
    assert settings.metricsSources[0].podLabel == "pod_name"
    with opening.sources(settings) as opened:
        assert opening.pick(opened, "mimir") is opened["default"]


def test_of_several_sources_only_the_named_one_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text("metricsSources:\n- {name: a, url: 'http://127.0.0.1:9'}\n- {name: b, url: 'http://127.0.0.1:9'}\n")
    with opening.sources(opening.settings_of(arguments(config=file))) as opened:
        assert opening.pick(opened, "b") is opened["b"]
        assert opening.pick(opened, "c") is None


def test_settings_and_a_url_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not both"):
        opening.settings_of(arguments(config=tmp_path / "x", prometheus="http://127.0.0.1:9"))


def test_nothing_named_is_no_source() -> None:
    with opening.sources(opening.settings_of(arguments())) as opened:
        assert opened == {}


def test_a_token_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInput, match="--token-file"):
        opening.settings_of(arguments(prometheus="http://127.0.0.1:9", token_file="/no/such"))
