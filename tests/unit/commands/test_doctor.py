"""doctor: each thing that is wrong is found, with its remedy; what is in order is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from pegbox.commands import doctor
from pegbox.commands.doctor import Patient, examine
from pegbox.commands.findings import Finding, Level
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import PROFILE, SignalQuery
from tests.unit.commands.shop import Shop

READY = {"type": "Ready", "status": "True", "reason": "Stable", "message": "", "observedGeneration": 1}
READY["lastTransitionTime"] = "2026-01-05T12:00:00Z"


async def healthy(**changes: object) -> Shop:
    shop = await Shop(**changes).open()  # type: ignore[arg-type]
    await shop.tell(conditions=[READY])
    return shop


async def findings(shop: Shop, **more: object) -> list[Finding]:
    on = replace(Patient(shop.cluster, {"default": shop.metrics}), **more)  # type: ignore[arg-type]
    return [f for f in await examine(on, shop.clock.now()) if f.level is Level.FINDING]


async def test_where_all_is_in_order_nothing_is_found() -> None:
    shop = await healthy()
    found = await examine(Patient(shop.cluster, {"default": shop.metrics}), shop.clock.now())
    assert [f.text for f in found if f.level is Level.FINDING] == []
    text = "\n".join(doctor.text(found))
    assert "all fine" in text
    assert "5 signals have data" in text  # load, throughput, latency, errors, and the worker's use


def uninstall(shop: Shop) -> None:
    del shop.cluster.definitions["tuningledgers.pegbox.dev"]


def older_crd(shop: Shop) -> None:
    body = copy.deepcopy(shop.cluster.definitions["performanceprofiles.pegbox.dev"])
    spec = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["freezes"]
    shop.cluster.definitions["performanceprofiles.pegbox.dev"] = body


def other_version(shop: Shop) -> None:
    body = copy.deepcopy(shop.cluster.definitions["sharedbudgets.pegbox.dev"])
    body["spec"]["versions"][0]["name"] = "v1"
    shop.cluster.definitions["sharedbudgets.pegbox.dev"] = body


def no_pods_right(shop: Shop) -> None:
    shop.cluster.faults.deny("list", "", "pods")


def no_write_right(shop: Shop) -> None:
    shop.cluster.faults.deny("patch", "", "configmaps")


def down(shop: Shop) -> None:
    shop.metrics.down = Missing(Reason.METRICS_UNREACHABLE, "http://x:9090: connection refused")


def silent_load(shop: Shop) -> None:
    answers = shop.metrics.scenario

    def deaf(query: SignalQuery, at: datetime) -> object:
        return Missing(Reason.NO_DATA, "no series") if query.signal.name == "tasks_arrived" else answers(query, at)

    shop.metrics.scenario = deaf  # type: ignore[assignment]


def rare_scrapes(shop: Shop) -> None:
    few = Missing(Reason.PARTIAL_DATA, "fewer than 4 scrapes in the window: widen it, or scrape more often")
    shop.metrics.scenario = lambda query, at: few


def unparsable(shop: Shop) -> None:
    answers = shop.metrics.scenario

    def strict(query: SignalQuery, at: datetime) -> object:
        wrong = Missing(Reason.QUERY_INVALID, "parse error: unknown function rat")
        return wrong if query.signal.knob == "worker_count" else answers(query, at)

    shop.metrics.scenario = strict  # type: ignore[assignment]


def no_acks(shop: Shop) -> None:
    shop.metrics.acks.clear()


@pytest.mark.parametrize(
    ("break_", "about", "said", "remedy"),
    [
        pytest.param(uninstall, "CRD tuningledgers", "not installed", "pegbox render-crds", id="a_crd_is_missing"),
        pytest.param(
            older_crd, "CRD performanceprofiles", "schema", "pegbox render-crds", id="a_crd_of_another_release"
        ),
        pytest.param(
            other_version, "CRD sharedbudgets", "does not serve v1alpha1", "pegbox render-crds", id="no_version"
        ),
        pytest.param(no_pods_right, "rights to read", "pods: may not list", "rbac.create", id="a_read_right_lacks"),
        pytest.param(no_write_right, "rights to write", "configmaps: may not patch", "allowWrites", id="a_write_right"),
        pytest.param(down, "metrics server default", "connection refused", "URL", id="the_metrics_server_is_down"),
        pytest.param(silent_load, "shop/checkout", "signal tasks_arrived: NoData", "scrape the pods", id="no_load"),
        pytest.param(rare_scrapes, "shop/checkout", "fewer than 4 scrapes", "at least four times", id="rare_scrapes"),
        pytest.param(
            unparsable, "shop/checkout", "unknown function rat", "correct the PromQL", id="promql_that_is_none"
        ),
        pytest.param(no_acks, "shop/checkout", "pegbox_settings_generation", "pegbox.live", id="pods_do_not_report"),
    ],
)
async def test_what_is_broken_is_found_with_its_remedy(
    break_: Callable[[Shop], None], about: str, said: str, remedy: str
) -> None:
    shop = await healthy()
    break_(shop)
    found = [f for f in await findings(shop) if f.about == about and said in f.text]
    assert found, [f.text for f in await findings(shop)]
    assert remedy in found[0].remedy


@pytest.mark.parametrize(
    ("changes", "said", "remedy"),
    [
        pytest.param(
            {"mount": {"name": "settings", "mountPath": "/etc/pegbox/settings.json", "subPath": "settings.json"}},
            "mounted with subPath",
            "without subPath",
            id="a_volume_that_can_never_be_hot",
        ),
        pytest.param(
            {"profile": {"slos": [{"name": "fast", "signal": "task_duration", "threshold": "300ms", "goal": "95%"}]}},
            "threshold 300ms lies between buckets: only events up to 0.25s",
            "add 300ms to the histogram's buckets",
            id="a_threshold_between_buckets",
        ),
        pytest.param(
            {"profile": {"slos": [{"name": "fast", "signal": "task_duration", "threshold": "10ms", "goal": "95%"}]}},
            "no bucket bound at or below 0.01",
            "add the bucket",
            id="a_threshold_below_every_bucket",
        ),
        pytest.param(
            {"profile": {"budgets": [{"name": "db", "uses": "pods * worker_count", "limit": 7}]}, "workers": 4},
            "budget db: the setting in force may use 8 of 7",
            "raise the limit",
            id="a_budget_that_is_exceeded_already",
        ),
        pytest.param(
            {"profile": {"budgets": [{"name": "db", "uses": "pods * worker_count", "budgetRef": {"name": "pg"}}]}},
            "BudgetNotFound",
            "create it",
            id="a_shared_budget_that_is_not_there",
        ),
        pytest.param(
            {"profile": {"knobs": [{"name": "worker_count"}, {"name": "redis_pool"}]}},
            "knob redis_pool: its value in force is not known",
            "export it",
            id="a_value_that_nobody_knows",
        ),
        pytest.param(
            {"profile": {"classRef": {"name": "nobody"}}}, "ClassNotFound", "apply it", id="a_class_that_is_not_there"
        ),
        pytest.param(
            {"profile": {"targetRef": {"kind": "Deployment", "name": "nobody"}}},
            "TargetNotFound",
            "repair the workload",
            id="a_target_that_is_not_there",
        ),
    ],
)
async def test_a_profile_s_mistakes_are_found_with_their_remedies(
    changes: dict[str, object], said: str, remedy: str
) -> None:
    shop = await healthy(**changes)
    found = [f for f in await findings(shop) if said in f.text]
    assert found, [f.text for f in await findings(shop)]
    assert remedy in found[0].remedy


async def test_an_hpa_that_keda_owns_is_found() -> None:
    shop = await healthy(
        profile={"autoscaler": {"ref": {"name": "checkout"}}, "knobs": [{"name": "max_replicas", "max": 9}]}
    )
    keda = shop.cluster.as_manager("keda")
    await keda.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "checkout", "namespace": "shop", "labels": {"scaledobject.keda.sh/name": "checkout"}},
            "spec": {
                "minReplicas": 1,
                "maxReplicas": 5,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
            },
        }
    )
    found = [f for f in await findings(shop) if "OwnedByKEDA" in f.text]
    assert found
    assert "ScaledObject" in found[0].remedy


async def test_windows_are_held_against_the_stated_scrape_interval() -> None:
    shop = await healthy(profile={"guards": {"trialWindow": "60s"}})
    texts = [f.text for f in await findings(shop, scrapes={"default": 30.0})]
    assert "guards.trialWindow: 1m holds fewer than 4 scrapes of 30s" in texts
    assert [f.text for f in await findings(shop, scrapes={"default": 15.0})] == []


async def test_a_server_that_does_not_scrape_the_operator_is_told_from_one_without_data() -> None:
    shop = await healthy()
    fetch = shop.metrics.fetch

    async def unjoined(query: SignalQuery, at: datetime, **_: object) -> object:
        await fetch(query, at)
        return Missing(Reason.NO_DATA, "no series")

    shop.metrics.fetch = unjoined  # type: ignore[method-assign, assignment]
    texts = [f.text for f in await findings(shop)]
    assert "signal task_duration: the pods have data, but not joined with pegbox_pod_setting" in texts


async def test_an_install_that_only_recommends_needs_no_right_to_write() -> None:
    shop = await healthy(mode="Recommend")
    no_write_right(shop)
    found = await examine(Patient(shop.cluster, {"default": shop.metrics}), shop.clock.now())
    assert [f.level for f in found if f.about == "rights to write"] == [Level.NOTE]


async def test_an_operator_that_never_wrote_a_status_is_found() -> None:
    shop = await Shop().open()
    assert "the operator has not written a status" in [f.text for f in await findings(shop)]


async def test_what_the_operator_itself_says_is_repeated() -> None:
    shop = await healthy()
    degraded = {**READY, "type": "Degraded", "status": "True", "reason": "NotAcknowledged", "message": "checkout-1"}
    await shop.tell(conditions=[degraded])
    assert "condition Degraded is True: NotAcknowledged: checkout-1" in [f.text for f in await findings(shop)]


async def test_a_source_that_the_settings_lack_is_named() -> None:
    shop = await healthy()
    on = Patient(shop.cluster, {"a": shop.metrics, "b": shop.metrics})
    texts = [f.text for f in await examine(on, shop.clock.now()) if f.level is Level.FINDING]
    assert "class python-worker wants the metrics source default, which the settings lack" in texts


async def test_one_broken_profile_never_hides_another() -> None:
    shop = await healthy()
    other = {
        "apiVersion": "pegbox.dev/v1alpha1",
        "kind": "PerformanceProfile",
        "metadata": {"name": "broken", "namespace": "bank"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "x"}, "classRef": {"name": "python-worker"}, "knobs": 3},
    }
    await shop.cluster.as_manager("helm").apply(other)
    found = await examine(Patient(shop.cluster, {"default": shop.metrics}), shop.clock.now())
    assert "bank/broken" in [f.about for f in found if f.level is Level.FINDING]
    assert "shop/checkout" in [f.about for f in found if f.level is Level.OK]


async def test_without_the_profile_crd_the_rest_is_still_looked_at() -> None:
    shop = await healthy()
    shop.cluster.faults.uninstall(PROFILE)
    found = await findings(shop)
    assert [f.about for f in found] == ["profiles"]


async def test_the_doctor_writes_nothing() -> None:
    shop = await healthy()
    before = len(shop.cluster.writes)
    await findings(shop)
    assert len(shop.cluster.writes) == before
