"""The observer's invariants: each is broken once on purpose, beside a lawful twin that breaks none."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from benchmarks.load.book import Book, Tenant, Values
from pegbox.api import ledger_codec
from pegbox.model import settings_document
from pegbox.model.knobs import Setting
from pegbox.model.trials import Intent, IntentKind, Ledger
from pegbox.ports import Object

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
KEY, OTHER = "shop-00/app-000", "shop-00/app-002"
START = {"worker_count": 8, "http_pool": 10}


def workers(values: Values) -> int:
    return values["worker_count"]


def sockets(values: Values) -> int:
    return values["worker_count"] * values["http_pool"]


def tenant(key: str = KEY, mode: str = "Auto", maximum: int = 0) -> Tenant:
    limits = {"worker_count": (2, 16), "http_pool": (2, 40)}
    limits |= {"max_replicas": (2, 6)} if maximum else {}
    pods = tuple(f"{key.partition('/')[2]}-x-{n}" for n in (1, 2))
    return Tenant(key, mode, pods, START, limits, workers, sockets, 240, maximum)


@pytest.fixture
def book() -> Book:
    """Two in Auto with 2 pods of 8 workers each: 32 of 36. One pod holds 80 sockets, two 160 of 240."""
    made = Book({"shop-00": 36})
    made.add(tenant())
    made.add(tenant(OTHER))
    made.add(tenant("shop-00/app-001", "Recommend"))
    made.add(tenant("shop-00/app-003", "Auto", maximum=3))
    made.capacity = {"shop-00": 36 + 24}
    return made


def setting(**values: int) -> Setting:
    return Setting({name: Fraction(value) for name, value in (START | values).items()})


def ledger(incumbent: Setting, *stages: Setting, key: str = KEY, **fields: Any) -> Object:
    intent = None
    if stages:
        intent = Intent("t1", IntentKind.TRIAL, incumbent, stages, NOW, 2)
    namespace, _, name = key.partition("/")
    made = Ledger(profile_uid="u", incumbent=incumbent, adopted=incumbent, intent=intent, **fields)
    return ledger_codec.encode(made, namespace=namespace, name=name, profile=name, written_at=NOW)


def document(generation: int, key: str = KEY, manager: str = "pegbox", **values: int) -> Object:
    namespace, _, name = key.partition("/")
    texts = {n: str(v) for n, v in (START | values).items()}
    meta = {"name": f"{name}-pegbox", "namespace": namespace, "managedFields": [{"manager": manager}]}
    return {"metadata": meta, "data": {settings_document.KEY: settings_document.render("u", generation, texts)}}


def hpa(maximum: int, key: str = "shop-00/app-003") -> Object:
    namespace, _, name = key.partition("/")
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"maxReplicas": maximum}}


def adopt(book: Book, key: str = KEY) -> None:
    book.changed("TuningLedger", "ADDED", ledger(setting(), key=key))
    book.changed("ConfigMap", "ADDED", document(1, key))
    for pod in book.tenants[key].tenant.pods:
        book.acknowledged(key, pod, 1)


def test_a_trial_that_is_recorded_first_breaks_nothing(book: Book) -> None:
    adopt(book)
    book.changed("TuningLedger", "MODIFIED", ledger(setting(), setting(worker_count=9)))
    book.changed("ConfigMap", "MODIFIED", document(2, worker_count=9))
    assert book.broken == []
    assert list(book.under_way()) == [KEY]
    for pod in book.tenants[KEY].tenant.pods:
        book.acknowledged(KEY, pod, 2)
    book.changed("TuningLedger", "MODIFIED", ledger(setting(worker_count=9)))
    assert book.broken == [] and book.unsettled() == []


def test_a_document_that_the_ledger_does_not_name_is_seen(book: Book) -> None:
    adopt(book)
    book.changed("ConfigMap", "MODIFIED", document(2, worker_count=9))
    assert book.counts == {"what stands is recorded": 1}


def test_a_ledger_that_forgets_what_stands_is_seen(book: Book) -> None:
    adopt(book)
    book.changed("TuningLedger", "MODIFIED", ledger(setting(), setting(worker_count=9)))
    book.changed("ConfigMap", "MODIFIED", document(2, worker_count=9))
    book.changed("TuningLedger", "MODIFIED", ledger(setting()))
    assert book.counts == {"what stands is recorded": 1}


def test_a_document_before_any_ledger_is_seen(book: Book) -> None:
    book.changed("ConfigMap", "ADDED", document(1))
    assert book.counts == {"recorded before written": 1}


@pytest.mark.parametrize(("manager", "broken"), [("pegbox", 1), ("kubelet", 0)])
def test_in_recommend_nothing_carries_our_name(book: Book, manager: str, broken: int) -> None:
    body = document(1, "shop-00/app-001", manager)
    book.changed("ConfigMap", "ADDED", body)
    assert book.counts["nothing written without Auto"] == broken


@pytest.mark.parametrize(
    ("plural", "name", "broken"),
    [
        ("configmaps", "app-001-pegbox", 1),
        ("pods", "app-001-x-1", 1),
        ("deployments", "app-001", 1),
        ("deployments", "app-000", 0),
        ("tuningledgers", "app-001", 0),
        ("events", "app-001.1f", 0),
        ("configmaps", "somebody-elses", 1),
    ],
)
def test_what_was_sent_for_a_profile_in_recommend_is_seen(book: Book, plural: str, name: str, broken: int) -> None:
    """Whatever the server answered."""
    book.forwarded(plural, "shop-00", name)
    assert book.counts["nothing written without Auto"] == broken


@pytest.mark.parametrize(("value", "broken"), [(16, 0), (17, 1), (1, 1)])
def test_a_value_outside_of_the_limits_is_seen(book: Book, value: int, broken: int) -> None:
    book.capacity = {"shop-00": 1000}
    book.changed("TuningLedger", "ADDED", ledger(setting(), setting(worker_count=value, http_pool=2)))
    book.changed("ConfigMap", "ADDED", document(1, worker_count=value, http_pool=2))
    assert book.counts["bounds hold"] == broken


def test_a_shared_budget_counts_every_pod_at_the_most_that_it_may_run(book: Book) -> None:
    """60 = 2 x 8 + 2 x 8 + 3 x 8 + 4. One takes 10 workers: 60. The other raises before the first has read its cut."""
    adopt(book)
    adopt(book, OTHER)
    book.changed("TuningLedger", "MODIFIED", ledger(setting(), setting(worker_count=10)))
    book.changed("ConfigMap", "MODIFIED", document(2, worker_count=10))
    assert book.counts["shared budgets hold"] == 0
    book.changed("TuningLedger", "MODIFIED", ledger(setting(), setting(worker_count=10), setting(worker_count=8)))
    book.changed("ConfigMap", "MODIFIED", document(3, worker_count=8))
    one, two = book.tenants[KEY].tenant.pods
    book.acknowledged(KEY, one, 3)
    book.changed("TuningLedger", "MODIFIED", ledger(setting(), setting(worker_count=9), key=OTHER))
    assert book.counts["shared budgets hold"] == 0
    # 8 + 10 (not read yet) + 2 x 9 + 24 = 60: just within. One more is not: 8 + 10 + 2 x 10 + 24 = 62.
    book.changed("ConfigMap", "MODIFIED", document(2, OTHER, worker_count=9))
    assert book.counts["shared budgets hold"] == 0
    book.changed("TuningLedger", "MODIFIED", ledger(setting(), setting(worker_count=10), key=OTHER))
    book.changed("ConfigMap", "MODIFIED", document(3, OTHER, worker_count=10))
    assert book.counts["shared budgets hold"] == 1
    book.acknowledged(KEY, two, 3)
    book.changed("ConfigMap", "MODIFIED", document(3, OTHER, worker_count=10))
    assert book.counts["shared budgets hold"] == 1  # 16 + 20 + 24 = 60 again


def test_pods_that_an_hpa_may_start_count(book: Book) -> None:
    """3 x 80 = 240 of 240 sockets; a fourth is 320, and 4 more workers: 64 of 60."""
    adopt(book, "shop-00/app-003")
    more = setting(max_replicas=4)
    book.changed("TuningLedger", "MODIFIED", ledger(setting(max_replicas=3), more, key="shop-00/app-003"))
    assert book.broken == []
    book.changed("HorizontalPodAutoscaler", "MODIFIED", hpa(4))
    assert book.counts == {"own budgets hold": 1, "shared budgets hold": 1}


def test_an_hpa_that_the_ledger_does_not_name_is_seen(book: Book) -> None:
    book.capacity = {"shop-00": 1000}
    book.changed("TuningLedger", "ADDED", ledger(setting(max_replicas=3), key="shop-00/app-003"))
    book.changed("HorizontalPodAutoscaler", "MODIFIED", hpa(2))
    assert book.counts == {"what stands is recorded": 1}


def test_a_number_that_falls_is_seen(book: Book) -> None:
    adopt(book)
    book.changed("ConfigMap", "MODIFIED", document(0))
    assert book.counts["generation grows"] == 1


def test_a_document_or_ledger_that_goes_is_seen(book: Book) -> None:
    adopt(book)
    book.changed("ConfigMap", "DELETED", document(1))
    book.changed("TuningLedger", "DELETED", ledger(setting()))
    assert book.counts == {"the document stays": 1, "the ledger stays": 1}


def test_a_torn_ledger_is_seen(book: Book) -> None:
    torn = ledger(setting())
    torn["data"]["state"] = torn["data"]["state"].replace("8", "9", 1)
    book.changed("TuningLedger", "ADDED", torn)
    assert book.counts == {"the ledger is whole": 1}


def test_a_status_that_is_no_number_is_seen(book: Book) -> None:
    meta = {"name": "app-000", "namespace": "shop-00"}
    book.changed("PerformanceProfile", "MODIFIED", {"metadata": meta, "status": {"a": [{"b": "1.5"}]}})
    assert book.broken == []
    book.changed("PerformanceProfile", "MODIFIED", {"metadata": meta, "status": {"a": [{"b": "NaN"}]}})
    assert book.counts == {"statuses are finite": 1}


def test_what_is_under_way_or_not_read_is_unsettled(book: Book) -> None:
    assert book.unsettled() == []  # nothing was written
    book.changed("TuningLedger", "ADDED", ledger(setting()))
    book.changed("ConfigMap", "ADDED", document(1))
    assert book.unsettled() == [f"{KEY}: pods run [0, 0], written is 1"]
    adopt(book)
    assert book.unsettled() == [] and book.adopted() == 1
    book.changed("TuningLedger", "MODIFIED", ledger(setting(), setting(worker_count=9)))
    assert book.unsettled() == [f"{KEY}: Trial t1 is under way"]


def test_all_are_counted_and_the_first_are_kept(book: Book) -> None:
    for number in range(80):
        book.say("some invariant", str(number))
    assert book.counts == {"some invariant": 80} and len(book.broken) == 50
