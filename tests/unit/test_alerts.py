"""The shipped alerts ask for what exists: metrics, labels, values of labels, and sections of the runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from pegbox.adapters.telemetry import TROUBLE, Telemetry
from pegbox.model.decisions import Action, Condition, ConditionType
from pegbox.model.reasons import Reason
from pegbox.model.trials import BreakerState
from tests.shipped import documents
from tests.unit.core.build import T0

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for document in documents(ROOT / "manifests" / "alerts" / "pegbox.yaml")
    for group in document["groups"]
    for rule in group["rules"]
]
BY_NAME = pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])


def exported() -> dict[str, set[str]]:
    """Series name -> its labels, of a process that leads and has seen everything once."""
    telemetry = Telemetry()
    telemetry.failed(Reason.WRITE_FAILED)
    telemetry.decided(Action.HOLD, Reason.STABLE)
    telemetry.breaker("shop", "checkout", BreakerState.OPEN)
    telemetry.rollback_pending("shop", "checkout", True)
    said = [Condition(kind, each[0], Reason.STABLE, "", 1, T0) for kind, each in TROUBLE.items()]
    telemetry.conditions("shop", "checkout", said)
    return {s.name: set(s.labels) for metric in telemetry.registry.collect() for s in metric.samples}


def selectors(node: Any) -> list[Any]:
    """Every vector selector of an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    parts = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "args", "vector_selector")]
    flat = [each for part in parts for each in (part if isinstance(part, list) else [part]) if each is not None]
    return [found for each in flat for found in selectors(each)]


def asked(rule: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    found = selectors(promql_parser.parse(rule["expr"]))
    return [(s.name, {m.name: m.value for m in s.matchers.matchers}) for s in found]


@BY_NAME
def test_its_metrics_and_labels_are_exported(rule: dict[str, Any]) -> None:
    known = exported()
    assert asked(rule)
    for name, matchers in asked(rule):
        assert name in known, f"{name} is exported by nobody"
        assert set(matchers) <= known[name]
    said = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert said <= {label for name, _ in asked(rule) for label in known[name]}


@BY_NAME
def test_it_can_fire(rule: dict[str, Any]) -> None:
    """A condition that it names is one that is exported at all; a typed value would never match."""
    for name, matchers in asked(rule):
        if name == "pegbox_trouble":
            assert ConditionType(matchers["condition"]) in TROUBLE
        else:
            assert not matchers


@BY_NAME
def test_it_says_where_to_read_on(rule: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").lower()
    section = rule["annotations"]["runbook"].split("section: ")[1]
    assert re.search(rf"^#+ {re.escape(section)}$", page, re.MULTILINE), section
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}


def test_a_rollback_that_is_not_done_and_a_profile_that_is_degraded_have_their_alerts() -> None:
    names = {name for rule in RULES for name, _ in asked(rule)}
    assert {"pegbox_rollback_pending", "pegbox_trouble", "pegbox_leader"} <= names
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_a_metric_that_nobody_exports_would_be_seen() -> None:
    assert asked({"expr": "sum(rate(pegbox_gone_total[5m])) > 0"})[0][0] not in exported()
