"""Which rights an install holds, verb by verb, as the chart renders them (a real API server is asked in contract/)."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import yaml

from dev import chart
from tests.levels import cannot_run

Right = tuple[str, str, str]
WORKLOADS = {
    ("", "pods"), ("", "pods/eviction"), ("", "pods/resize"), ("", "pods/exec"), ("", "configmaps"), ("", "secrets"),
    ("apps", "deployments"), ("apps", "deployments/scale"), ("apps", "statefulsets"), ("apps", "statefulsets/scale"),
    ("apps", "replicasets"), ("autoscaling", "horizontalpodautoscalers"), ("policy", "poddisruptionbudgets"),
    ("pegbox.dev", "podenvironments"),
}  # fmt: skip
READING = {"get", "list", "watch"}
WRITES: set[Right] = {
    ("", "configmaps", "create"), ("", "configmaps", "patch"),
    ("apps", "deployments", "patch"), ("apps", "statefulsets", "patch"),
    ("apps", "deployments/scale", "patch"), ("apps", "statefulsets/scale", "patch"),
    ("autoscaling", "horizontalpodautoscalers", "create"), ("autoscaling", "horizontalpodautoscalers", "patch"),
    ("", "pods/eviction", "create"), ("", "pods/resize", "patch"),
    *(("pegbox.dev", "podenvironments", verb) for verb in ("create", "patch", "delete")),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    try:
        chart.helm()
    except chart.HelmMissing as missing:
        cannot_run(f"THE CHART'S RIGHTS ARE NOT TESTED: {missing}")


def _documents(*settings: str) -> list[dict[str, Any]]:
    return list(filter(None, yaml.load_all(_text(("crds.install=false", *settings)), yaml.CSafeLoader)))


@functools.cache
def _text(settings: tuple[str, ...]) -> str:
    return chart.template(*(part for setting in settings for part in ("--set", setting)))


def _rights(*settings: str) -> dict[str, set[Right]]:
    """What the operator's account holds, by where it holds it: "*" for the cluster, else a namespace."""
    documents = _documents(*settings)
    roles = {(d["kind"], d["metadata"]["name"]): d["rules"] for d in documents if d["kind"].endswith("Role")}
    held: dict[str, set[Right]] = {}
    for binding in (d for d in documents if d["kind"].endswith("RoleBinding")):
        assert [(subject["kind"], subject["name"]) for subject in binding["subjects"]] == [("ServiceAccount", "pegbox")]
        where = binding["metadata"].get("namespace", "*")
        rules = roles[(binding["roleRef"]["kind"], binding["roleRef"]["name"])]
        held.setdefault(where, set()).update(
            (group, resource, verb)
            for rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        )
    return held


def _writes(rights: set[Right]) -> set[Right]:
    return {right for right in rights if right[:2] in WORKLOADS and right[2] not in READING}


def test_a_recommend_only_install_can_write_to_no_workload() -> None:
    assert [_writes(rights) for rights in _rights().values()] == [set(), set()]


def test_a_recommend_only_install_writes_only_what_is_pegboxs_own_and_events_and_the_lease() -> None:
    held = _rights()
    written = {right for rights in held.values() for right in rights if right[2] not in READING}
    assert {(group, resource) for group, resource, _ in written} == {
        ("pegbox.dev", "performanceprofiles"), ("pegbox.dev", "performanceprofiles/status"),
        ("pegbox.dev", "sharedbudgets/status"), ("pegbox.dev", "tuningledgers"),
        ("events.k8s.io", "events"), ("coordination.k8s.io", "leases"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
    }  # fmt: skip


def test_allowing_writes_adds_exactly_this() -> None:
    assert _rights("mode.allowWrites=true")["*"] - _rights()["*"] == WRITES


def test_nudging_pods_adds_one_right_and_only_where_writes_are_allowed() -> None:
    plain, nudging = _rights("mode.allowWrites=true"), _rights("mode.allowWrites=true", "operator.nudgePods=true")
    assert nudging["*"] - plain["*"] == {("", "pods", "patch")}
    assert _rights("operator.nudgePods=true") == _rights()


@pytest.mark.parametrize("allow", ["true", "false"])
def test_with_named_namespaces_nothing_but_classes_is_held_in_the_whole_cluster(allow: str) -> None:
    everywhere = _rights(f"mode.allowWrites={allow}")
    held = _rights(f"mode.allowWrites={allow}", "watchNamespaces={shop,billing}")
    assert held.keys() == {"*", "shop", "billing", "pegbox-system"}
    assert held["*"] == {("pegbox.dev", "performanceclasses", verb) for verb in READING} | {
        ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies", "get"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "get"),
    }
    assert held["shop"] == held["billing"] == everywhere["*"] - held["*"]


def test_the_lease_is_held_by_name_and_in_the_operators_own_namespace() -> None:
    (role,) = [d for d in _documents() if d["kind"] == "Role"]
    assert role["metadata"]["namespace"] == "pegbox-system"
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in role["rules"]] == [
        (["create"], None), (["get", "patch"], ["pegbox"]),
    ]  # fmt: skip


@pytest.mark.parametrize("settings", [(), ("mode.allowWrites=true", "operator.nudgePods=true")], ids=["read", "write"])
def test_no_right_is_a_wildcard_and_none_reads_secrets(settings: tuple[str, ...]) -> None:
    rights = set().union(*_rights(*settings).values())
    assert not [right for right in rights if "*" in right]
    assert not [right for right in rights if right[1].startswith("secrets")]


def test_teams_get_profiles_through_the_clusters_own_roles() -> None:
    documents = {d["metadata"]["name"]: d for d in _documents() if d["kind"] == "ClusterRole"}
    edit = documents["pegbox-edit"]
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    written = {resource for rule in edit["rules"] for resource in rule["resources"]}
    assert written == {"performanceprofiles", "sharedbudgets"}, "the ledger is Pegbox's own, the class the platform's"
