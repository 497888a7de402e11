"""Events are said once in a while, never twice in a row, and never stand in the loop's way."""

import pytest

from pegbox.adapters.kube import events
from pegbox.adapters.kube.events import KubeEvents
from pegbox.model.decisions import Event
from pegbox.model.errors import NotAvailable, Refused
from pegbox.model.reasons import Reason
from pegbox.ports import EVENT, Object
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster

PROFILE: Object = {
    "apiVersion": "pegbox.dev/v1alpha1",
    "kind": "PerformanceProfile",
    "metadata": {"name": "checkout", "namespace": "shop", "uid": "u1"},
}
STARTED = Event(Reason.TRIAL_STARTED, "worker_count 4 -> 8")


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.sink = KubeEvents(self.cluster, self.clock, instance="pegbox-0")

    async def count(self) -> int:
        return len(await self.cluster.list(EVENT))


@pytest.fixture
def world() -> World:
    return World()


async def test_an_event_says_who_what_and_of_which_object(world: World) -> None:
    await world.sink.emit(PROFILE, Event(Reason.SLO_BREACHED, "p95", warning=True))
    [written] = await world.cluster.list(EVENT, "shop")
    assert (written["type"], written["reason"], written["action"]) == ("Warning", "SLOBreached", "SLOBreached")
    assert (written["reportingController"], written["reportingInstance"]) == ("pegbox.dev/operator", "pegbox-0")
    assert written["note"] == "p95" and written["eventTime"] == "2026-01-05T12:00:00.000000Z"
    assert written["regarding"] | {"uid": "u1", "name": "checkout"} == written["regarding"]


async def test_the_same_event_is_said_once_in_ten_minutes(world: World) -> None:
    for _ in range(5):
        await world.sink.emit(PROFILE, STARTED)
    assert await world.count() == 1
    await world.clock.advance(599)
    await world.sink.emit(PROFILE, STARTED)
    assert await world.count() == 1
    await world.clock.advance(1)
    await world.sink.emit(PROFILE, STARTED)
    assert await world.count() == 2


async def test_another_object_reason_or_message_is_another_event(world: World) -> None:
    other = PROFILE | {"metadata": PROFILE["metadata"] | {"uid": "u2"}}
    await world.sink.emit(PROFILE, STARTED)
    await world.sink.emit(other, STARTED)
    await world.sink.emit(PROFILE, Event(Reason.TRIAL_REVERTED, STARTED.message))
    await world.sink.emit(PROFILE, Event(STARTED.reason, "worker_count 8 -> 4"))
    assert await world.count() == 4


@pytest.mark.parametrize(
    "error", [NotAvailable("down"), Refused("namespace is being terminated", status=403), RuntimeError("bug")], ids=repr
)
async def test_an_event_that_cannot_be_written_is_dropped_and_may_be_said_again(world: World, error: Exception) -> None:
    world.cluster.faults.fail_next("create", EVENT, error)
    await world.sink.emit(PROFILE, STARTED)
    assert await world.count() == 0
    await world.sink.emit(PROFILE, STARTED)
    assert await world.count() == 1


async def test_memory_is_bounded(world: World) -> None:
    for index in range(events._REMEMBERED + 10):
        await world.sink.emit(PROFILE, Event(Reason.JUDGING, str(index)))
    assert len(world.sink._said) == events._REMEMBERED


async def test_a_long_message_and_a_long_name_fit_what_the_server_takes(world: World) -> None:
    named = PROFILE | {"metadata": PROFILE["metadata"] | {"name": "n" * 253}}
    await world.sink.emit(named, Event(Reason.JUDGING, "ü" * 2000))
    [written] = await world.cluster.list(EVENT)
    assert len(written["note"].encode()) <= 1024 and set(written["note"]) == {"ü"}
    assert len(written["metadata"]["name"]) <= 253


async def test_events_of_cluster_wide_objects_go_to_default(world: World) -> None:
    body: Object = {
        "apiVersion": "pegbox.dev/v1alpha1",
        "kind": "PerformanceClass",
        "metadata": {"name": "x", "uid": "u"},
    }
    await world.sink.emit(body, STARTED)
    assert len(await world.cluster.list(EVENT, "default")) == 1
