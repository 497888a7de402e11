"""The shipped alerts on a real Prometheus: it takes the file, evaluates every rule, and some are due and some are not."""

from __future__ import annotations

from typing import Any

import requests
import yaml

from tests.integration.prometheus.conftest import ALERTS, Played


def rules(played: Played) -> dict[str, dict[str, Any]]:
    groups = requests.get(f"{played.url}/api/v1/rules", timeout=5).json()["data"]["groups"]
    return {rule["name"]: rule for group in groups for rule in group["rules"]}


def test_every_rule_is_taken_and_evaluated_without_an_error(played: Played) -> None:
    shipped = {r["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for r in group["rules"]}
    found = rules(played)
    assert found.keys() == shipped
    assert {name: (rule["health"], rule.get("lastError", "")) for name, rule in found.items()} == dict.fromkeys(
        shipped, ("ok", "")
    )


def test_a_rollback_that_is_pending_and_a_profile_that_is_degraded_are_due_and_named(played: Played) -> None:
    """Not firing yet: they wait for 10 and 15 minutes."""
    found = rules(played)
    for name in ("PegboxRollbackPending", "PegboxDegraded"):
        (alert,) = found[name]["alerts"]
        assert (alert["labels"]["target_namespace"], alert["labels"]["profile"]) == ("shop", "checkout")
        assert alert["state"] == "pending" and "shop/checkout" in alert["annotations"]["summary"]
    assert "RestorePending" in found["PegboxDegraded"]["alerts"][0]["annotations"]["summary"]


def test_what_is_well_is_not_due(played: Played) -> None:
    """One process leads, nothing is stopped, no breaker is open."""
    found = rules(played)
    for name in ("PegboxNobodyLeads", "PegboxFleetBreakerOpen", "PegboxStoppedForLong", "PegboxNothingMoves"):
        assert found[name]["alerts"] == []
