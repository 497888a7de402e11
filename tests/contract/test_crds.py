"""The CRDs on a real API server: taken under strict validation, and refusing what they must with their messages."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.cluster.control import ControlPlane
from pegbox.api import ledger_codec, status
from pegbox.api.budgets import Wish, claim
from pegbox.model.observations import Missing
from tests.unit.api.documents import CLASS, MANIFESTS, ROOT, Document, class_with, knob, profile
from tests.unit.api.ledgers import full_ledger
from tests.unit.api.snapshots import DECISION, REPORT, SNAPSHOT

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CREATE = {"create": {"minReplicas": 2, "maxReplicas": 8}}
BUDGET = {
    "apiVersion": "pegbox.dev/v1alpha1",
    "kind": "SharedBudget",
    "metadata": {"name": "db"},
    "spec": {"capacity": 100},
}


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane) -> ControlPlane:
    """The server with the namespace of the documents."""
    control_plane.kubectl("create", "namespace", "shop")
    return control_plane


def dry_run(server: ControlPlane, document: Document) -> tuple[bool, str]:
    """Would the server take it, under strict validation? With what it said."""
    body = copy.deepcopy(document)
    body["metadata"].pop("uid", None)
    body["metadata"].pop("generation", None)
    if body["kind"] != "PerformanceClass":
        body["metadata"]["namespace"] = "shop"
    done = server.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", stdin=json.dumps(body)
    )
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "crds").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_crd_is_taken_under_strict_validation_and_nothing_of_it_is_lost(server: ControlPlane, file: Path) -> None:
    wanted = yaml.safe_load(file.read_text())
    done = server.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(file))
    assert done.returncode == 0, done.stderr
    stored = json.loads(server.kubectl("get", "crd", wanted["metadata"]["name"], "-o", "json").stdout)
    assert stored["spec"]["versions"][0]["schema"] == wanted["spec"]["versions"][0]["schema"]
    conditions = {c["type"]: c["status"] for c in stored["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize(
    "file", sorted([*MANIFESTS.glob("classes/*.yaml"), *MANIFESTS.glob("samples/*.yaml")]), ids=lambda file: file.stem
)
def test_a_shipped_document_is_taken(server: ControlPlane, file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text()):
        document["metadata"]["name"] += "-taken"  # an install on the same server may have left the shipped one
        taken, said = dry_run(server, document)
        assert taken, said


TAKEN = [
    (
        "a freeze of dates",
        profile(freezes=[{"name": "f", "from": "2026-12-23T18:00:00+01:00", "until": "2026-12-23T17:00:01Z"}]),
    ),
    ("the profile that the refusals start from", profile()),
    ("the class that the refusals start from", CLASS),
    ("equal bounds", knob(name="pool", min=3, max=3)),
    ("quantities in other units", knob(name="cpu", min="1999m", max="2")),
    ("durations in other units", knob(name="timeout", min="89s", max="2m")),
    ("a minimum alone", knob(name="pool", min=3)),
    ("a pinned knob", knob(name="pool", value=3)),
    ("an HPA of one size", profile(autoscaler={"create": {"minReplicas": 2, "maxReplicas": 2}})),
    ("a budget with a limit", profile(budgets=[{"name": "a", "uses": "pods * (pool + 2.5)", "limit": "1k"}])),
    ("a reserve of everything", {**BUDGET, "spec": {"capacity": 5, "reserve": 5}}),
]


@pytest.mark.parametrize("document", [pytest.param(case[1], id=case[0]) for case in TAKEN])
def test_the_server_takes(server: ControlPlane, document: Document) -> None:
    taken, said = dry_run(server, document)
    assert taken, said


BOUNDS = "spec.knobs[].min must not be greater than max: raise max or lower min"
PINNED = "spec.knobs[].value pins the knob: remove min, max, initial and maxStep, or remove value"
ONE_LIMIT = "spec.budgets[] needs exactly one of limit and budgetRef: remove one of them, or add one"
ONE_SCALER = "spec.autoscaler needs exactly one of create and ref: remove one of them, or add one"
ONE_TIME = "spec.freezes[] needs schedule and duration, or from and until: remove the others"
WEEKLY, LATE = {"schedule": "0 16 * * 5", "duration": "1h"}, "2026-12-24T18:00:00Z"
REFUSED = [
    ("an unknown field", profile(knobz=[]), 'unknown field "spec.knobz"'),
    ("an unknown nested field", knob(name="pool", mni=3), 'unknown field "spec.knobs[0].mni"'),
    ("min above max", knob(name="pool", min=9, max=3), BOUNDS),
    ("a knob twice", profile(knobs=[{"name": "pool"}] * 2), '{"name":"pool"}'),
    ("an SLO twice", profile(slos=[{"name": "s", "signal": "ok", "goal": "9%"}] * 2), '{"name":"s"}'),
    ("pinned with a bound", knob(name="pool", value=3, min=1), PINNED),
    ("pinned with an initial value", knob(name="pool", value=3, initial=1), PINNED),
    ("a budget without limit", profile(budgets=[{"name": "a", "uses": "pool"}]), ONE_LIMIT),
    (
        "a budget of two limits",
        profile(budgets=[{"name": "a", "uses": "pool", "limit": 3, "budgetRef": {"name": "b"}}]),
        ONE_LIMIT,
    ),
    (
        "a budget that is not monotone",
        profile(budgets=[{"name": "a", "uses": "9 - pool", "limit": 3}]),
        "spec.budgets[].uses may hold only + * ( ), numbers, pods and knobs",
    ),
    ("a freeze of no time", profile(freezes=[{"name": "f"}]), ONE_TIME),
    ("a freeze of half a schedule", profile(freezes=[{"name": "f", "schedule": "0 16 * * 5"}]), ONE_TIME),
    ("a freeze of a schedule and a date", profile(freezes=[{"name": "f", **WEEKLY, "until": LATE}]), ONE_TIME),
    (
        "a freeze that ends before it begins",
        profile(freezes=[{"name": "f", "from": LATE, "until": "2026-12-24T18:00:00+01:00"}]),
        "spec.freezes[].until must be later than from",
    ),
    ("a freeze from no time", profile(freezes=[{"name": "f", "from": "soon", "until": LATE}]), "spec.freezes[0].from"),
    ("an autoscaler of both kinds", profile(autoscaler={**CREATE, "ref": {"name": "x"}}), ONE_SCALER),
    ("an autoscaler of no kind", profile(autoscaler={}), ONE_SCALER),
    (
        "an autoscaler upside down",
        profile(autoscaler={"create": {"minReplicas": 9, "maxReplicas": 8}}),
        "spec.autoscaler.create.minReplicas must not be greater than maxReplicas",
    ),
    ("an unknown mode", profile(mode="auto"), 'supported values: "Observe", "Recommend", "Auto"'),
    ("a number with a fraction", knob(name="share", max=0.9), "must be of type integer,string"),
    ("a boolean", knob(name="tracing", value=True), "must be of type integer,string"),
    ("an interval without unit", profile(interval="30"), "spec.interval"),
    ("a goal without percent", profile(slos=[{"name": "s", "signal": "ok", "goal": "0.9"}]), "spec.slos[0].goal"),
    ("no target", {**profile(), "spec": {"classRef": {"name": "c"}}}, "spec.targetRef: Required value"),
    ("a null", profile(autoscaler=None, mode=None, targetRef=None), "spec.targetRef"),
    (
        "a class's number without bounds",
        class_with("knobs", "pool", min=None),
        "spec.knobs[] of numeric types need min",
    ),
    ("a class's choice of nothing", class_with("knobs", "level", choices=None), "spec.knobs[].choices belong to type"),
    ("a class's hot env", class_with("knobs", "heap", effect="Hot"), "spec.knobs[].effect of an Env location must be"),
    (
        "a class's document with a ConfigMap",
        class_with("knobs", "pool", location={"kind": "Settings", "configMap": "x"}),
        "configMap and path belong to kinds",
    ),
    ("a class's histogram without sum", class_with("signals", "duration", sumExpr=None), "kind Histogram need expr"),
    ("a class's ratio without whole", class_with("signals", "success", countExpr=None), "kind Ratio need expr"),
    ("a class's busy without knob", class_with("signals", "workers_busy", knob=None), "belongs to purpose Busy"),
    ("a reserve above capacity", {**BUDGET, "spec": {"capacity": 5, "reserve": 6}}, "spec.reserve must not be greater"),
]


@pytest.mark.parametrize(("document", "said"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_the_server_refuses_with_field_and_remedy(server: ControlPlane, document: Document, said: str) -> None:
    taken, answer = dry_run(server, document)
    assert not taken
    assert said in answer.replace('\\"', '"')


def test_defaults_are_filled_in_where_cel_and_people_read_them(server: ControlPlane) -> None:
    _, said = dry_run(server, profile())
    spec = json.loads(said)["spec"]
    assert {k: spec[k] for k in ("mode", "preset", "objective", "interval", "conflictPolicy", "deletionPolicy")} == {
        "mode": "Recommend",
        "preset": "Balanced",
        "objective": "MinimizeCost",
        "interval": "30s",
        "conflictPolicy": "Refuse",
        "deletionPolicy": "Restore",
    }
    assert "guards" not in spec, "behaviour has its defaults in code, and status shows them"


@pytest.fixture
def made(server: ControlPlane, request: pytest.FixtureRequest) -> Callable[[Document], Document]:
    """Creates documents in the namespace shop, and removes them afterwards."""

    def make(document: Document) -> Document:
        body = {**document, "metadata": {"name": document["metadata"]["name"], "namespace": "shop"}}
        done = server.kubectl("create", "--validate=strict", "-o", "json", "-f", "-", stdin=json.dumps(body))
        assert done.returncode == 0, done.stderr
        stored: Document = json.loads(done.stdout)
        kind, name = stored["kind"], stored["metadata"]["name"]
        request.addfinalizer(lambda: server.kubectl("delete", kind, name, "-n", "shop", "--wait=false"))
        return stored

    return make


def apply_status(server: ControlPlane, body: Document) -> tuple[bool, str]:
    arguments = ("apply", "--server-side", "--subresource=status", "--field-manager=pegbox", "--validate=strict")
    done = server.kubectl(*arguments, "-o", "json", "-f", "-", stdin=json.dumps(body))
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr


def test_a_rendered_status_is_taken_whole_and_read_at_a_glance(
    server: ControlPlane, made: Callable[[Document], Document]
) -> None:
    stored = made(profile())
    body = {
        "apiVersion": stored["apiVersion"],
        "kind": stored["kind"],
        "metadata": {k: stored["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")},
        "status": status.render(DECISION, SNAPSHOT, REPORT),
    }
    taken, said = apply_status(server, body)
    assert taken, said
    found: dict[str, Any] = json.loads(server.kubectl("get", "perfp", "checkout", "-n", "shop", "-o", "json").stdout)
    assert found["status"] == body["status"]
    wide = server.kubectl("get", "perfp", "checkout", "-n", "shop", "-o", "wide").stdout
    heading, line = wide.splitlines()
    assert heading.split() == ["NAME", "TARGET", "MODE", "READY", "SETTING", "SLO", "BREAKER", "WHY", "NEXT", "AGE"]
    for text in (
        "checkout",
        "Recommend",
        "True",
        "pool=20,workers=4",
        "1/2 met",
        "Closed",
        "WaitingForPods: 1 of 2 pods",
    ):
        assert text in line


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        pytest.param({"kind": "Deployment", "name": "other"}, False, id="another_name"),
        pytest.param({"kind": "StatefulSet"}, False, id="another_kind"),
        pytest.param({"container": "app"}, True, id="another_container"),
    ],
)
def test_a_profile_keeps_its_workload(
    server: ControlPlane, made: Callable[[Document], Document], target: Document, taken: bool
) -> None:
    """What is under way at the first one would be forgotten there."""
    made(profile())
    change = json.dumps({"spec": {"targetRef": target}})
    where = ("performanceprofile", "checkout", "-n", "shop", "--type=merge", "--dry-run=server")
    done = server.kubectl("patch", *where, "-p", change)
    assert (done.returncode == 0) is taken, done.stderr
    assert taken or "spec.targetRef cannot name another workload" in done.stderr


def test_a_ledger_comes_back_from_the_server_as_it_was(
    server: ControlPlane, made: Callable[[Document], Document]
) -> None:
    ledger = full_ledger(trials=50)
    made(ledger_codec.encode(ledger, namespace="shop", name="checkout", profile="shop/checkout", written_at=NOW))
    read = json.loads(server.kubectl("get", "tuningledger", "checkout", "-n", "shop", "-o", "json").stdout)
    assert ledger_codec.decode(read) == ledger


def test_of_two_claims_on_one_version_the_server_takes_one(
    server: ControlPlane, made: Callable[[Document], Document]
) -> None:
    """Both see 100 left and ask for 60; the second must read again, and then finds 40."""
    read = made(BUDGET)
    first = claim(read, Wish("a", "shop/a", 60, NOW.replace(year=2027)), NOW)
    second = claim(read, Wish("b", "shop/b", 60, NOW.replace(year=2027)), NOW)
    assert not isinstance(first, Missing) and not isinstance(second, Missing)
    taken, said = apply_status(server, first)
    assert taken, said
    taken, said = apply_status(server, second)
    assert not taken
    assert "the object has been modified" in said
    again = json.loads(server.kubectl("get", "sharedbudget", "db", "-n", "shop", "-o", "json").stdout)
    refused = claim(again, Wish("b", "shop/b", 60, NOW.replace(year=2027)), NOW)
    assert isinstance(refused, Missing)
    assert "40 left" in refused.detail
