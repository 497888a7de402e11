"""Shared budgets: claims up to capacity minus reserve, one trial slot, and expiry."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from pegbox.api.budget_wire import MAX_CLAIMS
from pegbox.api.budgets import Wish, claim, facts, held_by, release
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts
from tests.unit.api.moments import HOUR, NOON, SECOND

Body = dict[str, Any]


def entry(uid: str, amount: int, expires: datetime = NOON + HOUR, trial: str = "None") -> Body:
    text = expires.isoformat().replace("+00:00", "Z")
    return {"uid": uid, "holder": f"shop/{uid}", "amount": amount, "expires": text, "trial": trial}


def budget(*claims: Body, capacity: int = 100, reserve: int = 10) -> Body:
    return {
        "apiVersion": "pegbox.dev/v1alpha1",
        "kind": "SharedBudget",
        "metadata": {"name": "db", "namespace": "shop", "uid": "b-1", "resourceVersion": "41", "labels": {"a": "b"}},
        "spec": {"capacity": capacity, "reserve": reserve, "unit": "connections"},
        "status": {"claims": list(claims)},
    }


def wish(uid: str = "a", amount: int = 30, trial: bool = False) -> Wish:
    return Wish(uid, f"shop/{uid}", amount, NOON + HOUR, trial)


def granted(obj: Body, wanted: Wish) -> Body:
    body = claim(obj, wanted, NOON)
    assert not isinstance(body, Missing), body
    return body


@pytest.mark.parametrize(
    ("obj", "found"),
    [
        pytest.param(budget(), SharedBudgetFacts("db", 90, 0), id="100 less a reserve of 10"),
        pytest.param(
            budget(entry("a", 30), entry("b", 25)), SharedBudgetFacts("db", 65, 30), id="90 less the other's 25"
        ),
        pytest.param(
            budget(entry("b", 120)), SharedBudgetFacts("db", 0, 0), id="over-claimed leaves nothing, not less"
        ),
        pytest.param(
            budget(entry("a", 40), entry("b", 80)), SharedBudgetFacts("db", 10, 40, 30), id="120 of 90: a quarter less"
        ),
        pytest.param(
            budget(entry("a", 10), entry("b", 80)), SharedBudgetFacts("db", 10, 10), id="90 of 90: nothing is cut"
        ),
        pytest.param(
            budget(entry("b", 25, trial="Holding")),
            SharedBudgetFacts("db", 65, 0, trial_holder="shop/b"),
            id="b tries something",
        ),
        pytest.param(budget(entry("b", 25, NOON - SECOND, "Holding")), SharedBudgetFacts("db", 90, 0), id="b expired"),
        pytest.param(
            budget(entry("b", 25, NOON)), SharedBudgetFacts("db", 65, 0), id="b expires this instant: it counts"
        ),
    ],
)
def test_what_is_left_for_a(obj: Body, found: SharedBudgetFacts) -> None:
    assert facts(obj, "a", NOON) == found


def test_a_budget_that_was_never_claimed_has_no_status() -> None:
    obj = budget()
    del obj["status"]
    assert facts(obj, "a", NOON).available == 90


@pytest.mark.parametrize(
    ("obj", "wanted", "claims"),
    [
        pytest.param(budget(), wish(amount=90), {"a": 90}, id="everything but the reserve"),
        pytest.param(budget(entry("b", 60)), wish(amount=30), {"a": 30, "b": 60}, id="exactly what is left"),
        pytest.param(
            budget(entry("a", 30), entry("b", 60)), wish(amount=20), {"a": 20, "b": 60}, id="less than before"
        ),
        pytest.param(
            budget(entry("b", 80, NOON - SECOND)), wish(amount=90), {"a": 90}, id="what an expired claim held"
        ),
        pytest.param(
            budget(entry("a", 30), entry("b", 20), capacity=40),
            wish(amount=30),
            {"a": 30, "b": 20},
            id="renewal after the capacity was cut below what is claimed: pods hold it already",
        ),
        pytest.param(
            budget(entry("a", 30), entry("b", 20), capacity=40),
            wish(amount=25),
            {"a": 25, "b": 20},
            id="a step down towards a capacity that was cut",
        ),
    ],
)
def test_a_claim_is_granted(obj: Body, wanted: Wish, claims: dict[str, int]) -> None:
    status = granted(obj, wanted)["status"]
    assert {c["uid"]: c["amount"] for c in status["claims"]} == claims
    assert status["claimed"] == sum(claims.values())


@pytest.mark.parametrize(
    ("obj", "wanted", "reason", "detail"),
    [
        pytest.param(
            budget(), wish(amount=91), Reason.BUDGET_EXCEEDED, "91 connections of db wanted, 90 left", id="the reserve"
        ),
        pytest.param(
            budget(entry("b", 61)), wish(amount=30), Reason.BUDGET_EXCEEDED, "29 left", id="one more than is left"
        ),
        pytest.param(
            budget(entry("a", 30), entry("b", 60)),
            wish(amount=31),
            Reason.BUDGET_EXCEEDED,
            "30 left",
            id="one more than before",
        ),
        pytest.param(
            budget(entry("b", 5, trial="Holding")),
            wish(trial=True),
            Reason.WAITING_FOR_BUDGET,
            "shop/b holds the trial slot",
            id="two trials at once",
        ),
        pytest.param(
            budget(*(entry(f"p{i}", 0) for i in range(MAX_CLAIMS))),
            wish(),
            Reason.WAITING_FOR_BUDGET,
            "200 claims",
            id="more holders than the object can hold",
        ),
    ],
)
def test_a_claim_is_refused_with_its_reason(obj: Body, wanted: Wish, reason: Reason, detail: str) -> None:
    answer = claim(obj, wanted, NOON)
    assert isinstance(answer, Missing)
    assert answer.reason is reason
    assert detail in answer.detail


def test_the_trial_slot_goes_to_the_next_once_it_is_given_back() -> None:
    first = granted(budget(), wish("a", trial=True))
    assert first["status"]["trial"] == "shop/a"
    after = {**budget(), "status": granted({**budget(), **first, "spec": budget()["spec"]}, wish("a"))["status"]}
    assert after["status"]["trial"] == ""
    assert granted(after, wish("b", trial=True))["status"]["trial"] == "shop/b"


def test_the_holder_of_the_slot_may_ask_again() -> None:
    obj = budget(entry("a", 30, trial="Holding"))
    assert granted(obj, wish(amount=40, trial=True))["status"]["trial"] == "shop/a"


def test_the_body_names_the_version_that_was_read_and_nothing_that_is_not_ours() -> None:
    body = granted(budget(), wish())
    assert body["metadata"] == {"name": "db", "namespace": "shop", "uid": "b-1", "resourceVersion": "41"}
    assert set(body) == {"apiVersion", "kind", "metadata", "status"}


def test_release_removes_one_claim_and_what_expired() -> None:
    obj = budget(entry("a", 30), entry("b", 20), entry("c", 10, NOON - SECOND))
    assert [c["uid"] for c in release(obj, "a", NOON)["status"]["claims"]] == ["b"]


def test_a_claim_is_held_until_it_expires() -> None:
    obj = budget(entry("a", 30))
    found = held_by(obj, "a", NOON + HOUR)
    assert found is not None and found.amount == 30
    assert held_by(obj, "a", NOON + HOUR + SECOND) is None


def test_the_object_itself_is_not_changed() -> None:
    obj = budget(entry("a", 30))
    granted(obj, wish(amount=40))
    release(obj, "a", NOON)
    assert obj == budget(entry("a", 30))


def test_a_budget_that_does_not_parse_is_refused_by_name() -> None:
    obj = budget()
    obj["spec"]["capacity"] = "100"
    with pytest.raises(InvalidInput, match=r"SharedBudget db spec\.capacity"):
        facts(obj, "a", NOON)


def test_what_pods_use_already_is_claimed_beyond_the_capacity_and_others_find_that_much_less() -> None:
    """Somebody raised a value by hand: 100 - 10 - 40 of b leaves 50, and 70 stand. Nobody else may build on the rest."""
    obj = budget(entry("a", 30), entry("b", 40))
    refused = claim(obj, replace(wish("a", 70)), NOON)
    assert isinstance(refused, Missing) and refused.reason is Reason.BUDGET_EXCEEDED
    found = obj | granted(obj, replace(wish("a", 70), standing=True))
    assert {c["uid"]: c["amount"] for c in found["status"]["claims"]} == {"a": 70, "b": 40}
    assert facts(obj | {"status": found["status"]}, "b", NOON).available == 20
