"""What a server's refusal means. The bodies are those of Kubernetes 1.36.3, shortened."""

import json

import pytest

from pegbox.adapters.kube.answers import Asked, error_of
from pegbox.model.errors import NotAvailable, NotEvicted, NotFound, NotServed, PegboxError, Refused, WriteConflict
from pegbox.ports import Object


def status(message: str, details: Object | None = None) -> str:
    return json.dumps({"kind": "Status", "status": "Failure", "message": message, "details": details or {}})


def asked(verb: str = "apply") -> Asked:
    return Asked(f"{verb} Deployment shop/web", "deployments.apps/v1", verb)


HELM = {
    "reason": "FieldManagerConflict",
    "message": 'conflict with "helm" using apps/v1',
    "field": ".spec.replicas",
}
UID = {"reason": "FieldValueInvalid", "message": 'Invalid value: "x": field is immutable', "field": "metadata.uid"}
UNKNOWN = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.x: field not declared"


SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
CROWDED = "Too many requests, please try again later.\n"
WEBHOOK = 'admission webhook "drains.example" denied the request: wait for the shard'
UNKNOWN_TYPE = "the server could not find the requested resource"  # as Kubernetes 1.33 says it
POLICY = {"name": "web", "group": "policy", "kind": "poddisruptionbudget"}


def budget(text: str, reason: str = "DisruptionBudget", name: str = "web") -> str:
    cause = {"reason": reason, "message": f"The disruption budget {name} {text}"}
    return status("Cannot evict pod as it would violate the pod's disruption budget.", {"causes": [cause]})


@pytest.mark.parametrize(
    ("verb", "code", "text", "kind"),
    [
        pytest.param("get", 404, status("gone", {"name": "web"}), NotFound, id="a missing object"),
        pytest.param("list", 404, "404 page not found", NotServed, id="a type that is not served"),
        pytest.param("get", 404, status(UNKNOWN_TYPE, {}), NotServed, id="a type that its group lacks"),
        pytest.param("get", 404, status("no such backend"), NotAvailable, id="a 404 of what stands between us"),
        pytest.param("apply", 409, status("x", {"causes": [HELM]}), WriteConflict, id="another owner"),
        pytest.param("apply", 409, status("the object has been modified"), WriteConflict, id="a stale version"),
        pytest.param("apply", 422, status("x", {"causes": [UID]}), WriteConflict, id="another uid"),
        pytest.param("json_patch", 422, status("the server rejected"), WriteConflict, id="a failed test"),
        pytest.param("apply", 422, status("the server rejected"), Refused, id="the same of another verb"),
        pytest.param(
            "json_patch", 422, status("-1", {"causes": [{"field": "spec.replicas"}]}), Refused, id="a bad value"
        ),
        pytest.param("apply", 500, status(UNKNOWN), Refused, id="an unknown field"),
        pytest.param("apply", 500, status("etcdserver: request is too large"), Refused, id="too large"),
        pytest.param("apply", 500, status("failed calling webhook"), NotAvailable, id="a webhook that is down"),
        pytest.param("apply", 403, status("forbidden"), Refused, id="RBAC"),
        pytest.param("create", 400, status("strict decoding error"), Refused, id="strict decoding"),
        pytest.param("evict", 429, budget("does not allow"), NotEvicted, id="a budget forbids an eviction"),
        pytest.param("evict", 500, status(SEVERAL), NotEvicted, id="two budgets select the pod"),
        pytest.param("evict", 403, status("map too big", POLICY), NotEvicted, id="a budget that nobody keeps up"),
        pytest.param("evict", 403, status("forbidden", {"kind": "pods"}), Refused, id="no right to evict"),
        pytest.param("evict", 429, status(WEBHOOK), NotEvicted, id="a webhook puts an eviction off"),
        pytest.param("evict", 429, CROWDED, NotAvailable, id="an eviction, and flow control"),
        pytest.param("evict", 429, status("etcd is slow"), NotAvailable, id="an eviction, and an overloaded store"),
        pytest.param("evict", 429, budget("x", reason="Other"), NotAvailable, id="an eviction, and another cause"),
        pytest.param("evict", 500, status("etcd is away"), NotAvailable, id="an eviction, and a broken server"),
        pytest.param("delete", 429, budget("does not allow"), NotAvailable, id="a budget, where nothing is evicted"),
        pytest.param("apply", 500, status(SEVERAL), NotAvailable, id="the same text of another verb"),
        pytest.param("apply", 429, status("too many requests"), NotAvailable, id="flow control"),
        pytest.param("get", 401, status("Unauthorized"), NotAvailable, id="credentials"),
        pytest.param("get", 503, "upstream down", NotAvailable, id="a load balancer's own text"),
        pytest.param("get", 504, "", NotAvailable, id="no text at all"),
        pytest.param("get", 404, '["no", "status"]', NotAvailable, id="JSON that is no Status"),
    ],
)
def test_each_answer_has_one_error(verb: str, code: int, text: str, kind: type[Exception]) -> None:
    error = error_of(asked(verb), code, text)
    assert type(error) is kind
    assert f"{verb} Deployment shop/web" in str(error)


def test_a_conflict_names_managers_and_fields() -> None:
    odd = {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "a \\"b\\"" with subresource "scale"',
        "field": ".x",
    }
    other = {"reason": "Other", "message": 'conflict with "nobody"', "field": ".y"}
    error = error_of(asked(), 409, status("conflict", {"causes": [HELM, odd, other]}))
    assert isinstance(error, WriteConflict)
    assert [tuple(owner) for owner in error.owners] == [("helm", ".spec.replicas"), ('a \\"b\\"', ".x")]


def test_a_refusal_keeps_its_status() -> None:
    error = error_of(asked("apply"), 422, status("no"))
    assert isinstance(error, Refused) and error.status == 422


@pytest.mark.parametrize(
    ("code", "text", "told", "words"),
    [
        (429, budget("does not allow evicting pods currently", name="a.b-c"), ("a.b-c", False), "does not allow"),
        (429, budget("is still being processed by the server."), ("web", False), "being processed"),
        (429, status("no", {"causes": [{"reason": "DisruptionBudget", "message": "Later"}]}), ("", False), "Later"),
        (403, status("map too big", POLICY), ("web", False), "map too big"),
        (500, status(SEVERAL), ("", True), "let one PodDisruptionBudget alone select these pods"),
    ],
    ids=["forbidden", "not seen yet", "other words", "not kept up", "several"],
)
def test_what_keeps_a_pod_is_named_and_whether_time_will_change_it(
    code: int, text: str, told: tuple[str, bool], words: str
) -> None:
    error = error_of(asked("evict"), code, text)
    assert isinstance(error, NotEvicted)
    assert (error.budget, error.lasting) == told and words in str(error)


@pytest.mark.parametrize(
    ("code", "text", "remedy"),
    [
        (404, "404 page not found", "apply its CustomResourceDefinition"),
        (401, status("Unauthorized"), "renew the token"),
        (500, status("request is too large"), "limit of 1.5 MiB"),
        (503, "down", "try again later"),
    ],
    ids=["not served", "credentials", "too large", "down"],
)
def test_the_text_says_what_to_do(code: int, text: str, remedy: str) -> None:
    assert remedy in str(error_of(asked(), code, text))


def test_a_long_answer_is_cut() -> None:
    assert len(str(error_of(asked(), 422, status("x" * 100_000)))) < 700


@pytest.mark.parametrize(
    "details", [None, [], True, {"causes": None}, {"causes": True}, {"causes": [None, {"field": []}]}], ids=str
)
@pytest.mark.parametrize("status", [404, 409, 422])
def test_a_status_of_another_form_is_an_error_all_the_same(details: object, status: int) -> None:
    """What stands between us and the server may answer in its place; found by fuzzing."""
    text = json.dumps({"kind": "Status", "message": "no", "details": details})
    assert isinstance(error_of(Asked("patch x", "x", "apply"), status, text), PegboxError)
