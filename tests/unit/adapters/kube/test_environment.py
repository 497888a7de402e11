"""Variables of containers as they are read, and what a policy's entry does to them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pegbox.adapters.kube import environment, owners
from pegbox.ports import Object
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster

MADE = datetime(2026, 3, 2, 11, tzinfo=UTC)
POD: Object = {
    "metadata": {"name": "web-0", "creationTimestamp": "2026-03-02T12:00:05Z"},
    "spec": {
        "containers": [
            {
                "name": "app",
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "EMPTY"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "A", "value": "2"},
                ],
            },
            {"name": "sidecar", "env": [{"name": "A", "value": "9"}]},
        ]
    },
}


def test_the_last_of_a_name_counts_and_what_is_taken_from_elsewhere_is_not_known() -> None:
    assert environment.stated(POD, "app") == {"A": "2", "EMPTY": "", "B": None}
    assert environment.stated(POD, "sidecar") == {"A": "9"}
    assert environment.stated(POD, "gone") == {}


@pytest.mark.parametrize(
    ("entry", "text", "named", "acts"),
    [
        pytest.param({}, None, False, True, id="none is stated"),
        pytest.param({"over": "4"}, "4", True, True, id="what stood there is stated"),
        pytest.param({"over": "4"}, "5", True, False, id="the owner states another by now"),
        pytest.param({"over": "4"}, None, False, False, id="the owner states none by now"),
        pytest.param({}, "4", True, False, id="the owner states one by now"),
        pytest.param({"over": ""}, "", True, True, id="an empty text"),
        pytest.param({}, None, True, False, id="it is taken from elsewhere"),
        pytest.param({"over": "4"}, None, True, False, id="it is taken from elsewhere by now"),
    ],
)
def test_an_entry_acts_where(entry: Object, text: str | None, named: bool, acts: bool) -> None:
    assert environment.acts(entry, text, named=named) is acts


async def test_the_owner_of_a_variable_is_told_from_that_of_another() -> None:
    cluster = FakeCluster(FakeClock())
    body: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}
    template = {"spec": {"containers": [{"name": "app", "image": "x", "env": [{"name": "A", "value": "1"}]}]}}
    made = await cluster.as_manager("helm").apply(body | {"spec": {"selector": {}, "template": template}})
    assert owners.owners(made, environment.path("app", "A")) == ("helm",)
    assert owners.owners(made, environment.path("app", "B")) == ()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([], MADE, id="it was only created"),
        pytest.param([("kubectl", "Apply", "2026-03-02T12:00:00Z")], MADE, id="others' writes are not ours"),
        pytest.param([("pegbox", "Update", "2026-03-02T12:00:00Z")], MADE, id="a fence is no write of a value"),
        pytest.param(
            [("pegbox", "Apply", "2026-03-02T12:00:00Z"), ("pegbox", "Update", "2026-03-02T13:00:00Z")],
            datetime(2026, 3, 2, 12, tzinfo=UTC),
            id="the apply",
        ),
    ],
)
def test_when_we_wrote_it(entries: list[tuple[str, str, str]], expected: datetime) -> None:
    managed = [{"manager": m, "operation": o, "time": t} for m, o, t in entries]
    metadata = {"creationTimestamp": "2026-03-02T11:00:00Z", "managedFields": managed}
    assert environment.written_at({"metadata": metadata}) == expected


def test_what_does_not_exist_was_never_written() -> None:
    assert environment.written_at(None) is None


def test_a_pod_is_dated_by_the_same_clock() -> None:
    assert environment.created_at(POD) == datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
