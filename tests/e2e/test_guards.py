"""What hurts is put back, what is shared is not exceeded, and what is deleted is restored."""

from __future__ import annotations

from dev.demo import cluster as demo
from tests.e2e.api import samples
from tests.e2e.operators import Operator
from tests.e2e.running import Running

CAPACITY, RESERVE = 8, 1


def test_a_value_that_makes_the_workload_slow_is_put_back_byte_for_byte(running: Running) -> None:
    seen = running.seen("harm")
    for number, one in enumerate(seen["tries"], 1):
        print(f"bad try {number}: " + ", ".join(f"{name} {s:.1f} s" for name, s in one["seconds"].items()))
        assert one["bad"] == {"worker_count": "1"}
        assert one["values"] == seen["values"]
        assert one["last"]["state"] == "Reverted"
        assert one["last"]["why"].split(":")[0] in ("Regression", "SLOBreached", "ErrorBudgetSpent")


def test_a_value_that_the_kernel_kills_the_container_for_is_put_back_and_counted(running: Running) -> None:
    seen = running.seen("greedy")
    print(f"killed for memory: {seen['restarts']} restarts, {seen['ended']}")
    assert seen["restarts"] > 0, seen
    assert (seen["last end"]["reason"], seen["last end"]["exitCode"]) == ("OOMKilled", 137)
    assert (seen["ended"]["state"], seen["ended"]["reason"]) == ("Reverted", "OOMKilled")
    assert seen["values"][0] == seen["values"][1]
    assert seen["hoard"] == ([64.0], [64.0]), "the process that started last runs the value of before"
    assert seen["breaker"]["failures"] == 1
    assert any(e.startswith("RolledBack") for e in seen["events"])


def test_the_breaker_opens_after_repeated_failures(running: Running) -> None:
    seen = running.seen("harm")
    states = [one["breaker"]["state"] for one in seen["tries"]]
    assert states == ["Closed", "Open"]
    assert seen["tries"][1]["breaker"]["until"]


def test_events_and_conditions_say_so(running: Running) -> None:
    seen = running.seen("harm")
    reasons = {e.split(":")[0] for e in seen["events"]}
    assert {"Adopted", "TrialStarted", "TrialReverted", "RolledBack"} <= reasons
    assert any(one["degraded"].get("reason") == "RollingBack" for one in seen["tries"])
    assert (seen["degraded"]["status"], seen["degraded"]["reason"]) == ("True", "BreakerOpen")


def test_kubectl_get_perfp_shows_it_at_a_glance(running: Running) -> None:
    running.seen("harm")
    head, row = demo.kubectl("get", "perfp", "-n", "e2e-harm").splitlines()
    assert head.split() == ["NAME", "TARGET", "MODE", "READY", "SETTING", "SLO", "BREAKER", "AGE"]
    assert "Open" in row.split()
    assert "worker_count=4" in row


def test_deletion_restores_the_values_at_adoption_and_pods_acknowledge_them(running: Running) -> None:
    seen = running.seen("restore")
    print("restore: " + ", ".join(f"{name} {s:.1f} s" for name, s in seen["seconds"].items()))
    assert seen["tuned"]["values"] == {"worker_count": "2"}
    assert seen["finalizers"] == ["pegbox.dev/restore"]
    assert seen["values"][0] == seen["values"][1]
    assert seen["after"]["generation"] > seen["tuned"]["generation"], "generations only ever grow"
    assert seen["workers"] == [1.0]


def test_claims_on_a_shared_budget_never_exceed_capacity_less_reserve(running: Running) -> None:
    seen = running.seen("shared")
    assert seen["late"] == ""
    claims = [b.get("status", {}).get("claims", []) for b in seen["samples"]]
    sums = [sum(c["amount"] for c in one) for one in claims]
    print(f"{len(sums)} samples of the budget, most claimed {max(sums)} of {CAPACITY - RESERVE}: {seen['settings']}")
    assert len(sums) >= 20
    assert max(sums) <= CAPACITY - RESERVE
    assert max(len(one) for one in claims) == 2


def test_one_trial_at_a_time_per_budget(running: Running) -> None:
    seen = running.seen("shared")
    holding = [
        [c["holder"] for c in b.get("status", {}).get("claims", []) if c["trial"] == "Holding"] for b in seen["samples"]
    ]
    assert max(map(len, holding)) == 1
    assert {name for one in holding for name in one} == {"e2e-shared/first", "e2e-shared/second"}, "both tuned"


def test_the_operator_answers_its_probes_and_shows_what_each_pod_runs(running: Running, operator: Operator) -> None:
    running.seen("hot")
    assert operator.ask("/healthz").strip() == "ok"
    assert operator.ask("/readyz").strip() == "ok"
    shown = [labels for labels, value in samples(operator.ask("/metrics"), "pegbox_pod_setting") if value == 1.0]
    mine = [one for one in shown if one["target_namespace"] == "e2e-hot"]
    pods = {p["metadata"]["name"] for p in running["hot"].pods()}
    assert pods <= {one["target_pod"] for one in mine}
    assert {one["class"] for one in mine} == {"e2e-app"}
