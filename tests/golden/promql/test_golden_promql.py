"""The query texts of the shipped classes, as they go to the server. The real server parses the same files in
tests/integration/prometheus. PEGBOX_UPDATE_GOLDEN=1 writes them anew; read the difference before it is kept.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from pegbox.adapters.prometheus.promql import Dialect, build, problems
from pegbox.api.class_wire import ClassSpecWire
from pegbox.api.translate_signals import signals
from pegbox.model.profile import Signal
from pegbox.ports import SignalQuery

HERE = Path(__file__).parent
MATCHERS = (("queue", 'a "quoted" name'),)


def shipped() -> list[tuple[str, Signal]]:
    found = []
    for file in sorted((HERE.parents[2] / "manifests" / "classes").glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            name = document["metadata"]["name"]
            wire = ClassSpecWire.model_validate(document["spec"])
            found += [(name, signal) for signal in signals(wire, name)]
    return found


SHIPPED = shipped()


def test_a_class_is_shipped() -> None:
    assert SHIPPED


@pytest.mark.parametrize(("name", "signal"), SHIPPED, ids=lambda x: x.name if isinstance(x, Signal) else x)
def test_the_text_of_a_shipped_signal_is_the_kept_one(name: str, signal: Signal) -> None:
    assert problems(signal) == ()
    plain = build(SignalQuery(name, signal, 60), Dialect())
    narrow = build(
        SignalQuery(name, signal, 300, MATCHERS),
        Dialect(namespace_label="kubernetes_namespace", pod_label="kubernetes_pod", namespaces=("shop",)),
    )
    file = HERE / f"{name}.{signal.name.replace(':', '-')}.promql"
    text = f"{plain}\n{narrow}\n"
    if os.environ.get("PEGBOX_UPDATE_GOLDEN") == "1":
        file.write_text(text)
    assert file.read_text() == text


def test_no_text_is_kept_of_a_signal_that_is_gone() -> None:
    kept = {file.name for file in HERE.glob("*.promql")}
    assert kept == {f"{name}.{signal.name.replace(':', '-')}.promql" for name, signal in SHIPPED}
