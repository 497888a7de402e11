"""A way back that cannot be written: said with its reason and by a metric, tried again, and ended once it can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from pegbox.model.errors import NotAvailable, PegboxError, Refused, WriteConflict
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, POD, Object, Ref
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import WriteRecord
from tests.loop import documents, test_pod_env, test_sizes
from tests.loop.alerts import due
from tests.loop.world import World, make, trying, written

FOREVER = 10_000


async def in_trial() -> World:
    world = await trying()
    assert await world.values() == {"workers": "3"}
    return world


def exported(registry: CollectorRegistry, name: str) -> list[tuple[dict[str, str], float]]:
    return [(s.labels, s.value) for m in registry.collect() for s in m.samples if s.name == name]


def pending(world: World) -> list[float]:
    return [value for _, value in exported(world.telemetry.registry, "pegbox_rollback_pending")]


def trouble(world: World) -> set[tuple[str, str]]:
    found = exported(world.telemetry.registry, "pegbox_trouble")
    return {(labels["condition"], labels["reason"]) for labels, _ in found}


def server(world: World) -> FakeCluster:
    assert isinstance(world.pegbox, FakeCluster)
    return world.pegbox


ERRORS = [
    pytest.param(WriteConflict("409: the object has been modified"), "WriteFailed", id="409"),
    pytest.param(Refused("422: invalid", status=422), "RestorePending", id="422"),
    pytest.param(Refused("admission webhook denied the request", status=400), "RestorePending", id="webhook_refuses"),
    pytest.param(Refused("exceeded quota: compute", status=403), "RestorePending", id="quota"),
    pytest.param(Refused("maximum cpu usage per Container is 1", status=403), "RestorePending", id="limit_range"),
    pytest.param(Refused("Too long: must have at most 1048576 bytes", status=422), "RestorePending", id="too_large"),
    pytest.param(Refused("request entity too large", status=413), "RestorePending", id="too_large_for_the_server"),
    pytest.param(NotAvailable("429: too many requests"), "WriteFailed", id="429"),
    pytest.param(NotAvailable("500: etcdserver: request timed out"), "WriteFailed", id="500"),
    pytest.param(NotAvailable("no answer within 10 s"), "WriteFailed", id="timeout"),
    pytest.param(NotAvailable("connection reset by peer"), "WriteFailed", id="reset"),
]


@pytest.mark.parametrize(("error", "reason"), ERRORS)
async def test_a_rollback_outlasts_what_refuses_it_and_says_why_meanwhile(error: PegboxError, reason: str) -> None:
    world = await in_trial()
    server(world).faults.fail_next("apply", CONFIG_MAP, error, times=FOREVER)
    await world.annotate("rollback")
    failed = [await world.turn() for _ in range(6)]
    assert failed.count(-1.0) >= 4, "each failure backs off"
    item = await world.intent()
    assert item is not None and item.kind is IntentKind.ROLLBACK, "and forgets nothing"
    status, said, message = await world.condition("Degraded")
    assert (status, said) == ("True", reason)
    assert str(error) in message and item.id in message
    assert (await world.condition("Ready"))[0] == ("False" if reason == "RestorePending" else "True")
    assert pending(world) == [1.0] and ("Degraded", reason) in trouble(world)

    server(world).faults._due.clear()
    await world.rest()
    await world.turns(2)
    assert await world.values() == {"workers": "2"}
    assert (await world.condition("Degraded"))[0] == "False"
    assert pending(world) == [0.0] and trouble(world) == set()


# --- the same errors at every other place that a way back writes

PATIENT = {"guards": documents.QUICK | {"trialWindow": "20s", "trialTimeout": "5m"}}
TAKE = {"conflictPolicy": "Take"}
BOUND: Object = {"name": "max_replicas", "min": 1, "max": 8, **TAKE}
Texts = list[str | None]


@dataclass(frozen=True)
class Place:
    """`write` is what puts it back (verb, kind, subresource); `stands` is what stands there, `before` and in the trial."""

    write: tuple[str, str, str]
    rest: Callable[[World], Awaitable[object]]
    wish: str
    stands: Callable[[World], Awaitable[Texts]]
    before: Texts
    tried: Texts
    name: str = ""


async def with_bound(world: World) -> None:
    await world.apply(documents.hpa())
    body = documents.profile("checkout", documents.hot(), BOUND, autoscaler={"ref": {"name": "checkout"}}, **PATIENT)
    await world.add(body, workers=2)


async def with_replicas(world: World) -> None:
    body = documents.profile("checkout", documents.hot(), {"name": "replicas", "min": 1, "max": 8}, **PATIENT)
    await world.add(body, documents.without_replicas(documents.deployment()), workers=2)


async def with_size(world: World) -> None:
    await test_sizes.start(test_sizes.size(), world=world, **PATIENT)


async def with_threads(world: World, pods: int = 2) -> None:
    body = documents.profile("checkout", documents.hot(), documents.env(), **PATIENT)
    await world.add(body, documents.deployment(replicas=pods), workers=2, threads=2)


async def with_variable(world: World) -> None:
    await test_pod_env.start(world=world, **PATIENT)


async def with_their_key(world: World) -> None:
    await world.apply(documents.config_map())
    body = documents.profile("checkout", documents.hot(), documents.plain(**TAKE), **PATIENT)
    await world.add(body, workers=2, backlog=2)


async def bound(world: World) -> Texts:
    return [str((await world.bounds())[1])]


async def replicas(world: World) -> Texts:
    body = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    return [str(body["spec"]["replicas"])]


async def sizes(world: World) -> Texts:
    return [*await test_sizes.pod_sizes(world.apps["checkout"])]


async def threads(world: World) -> Texts:
    """What each pod started with."""
    app = world.apps["checkout"]
    return [f"{app.started_with[pod['metadata']['uid']]['threads']:g}" for pod in await app.pods.pods()]


async def variables(world: World) -> Texts:
    return await test_pod_env.variables(world.apps["checkout"])


async def parameter(world: World) -> Texts:
    """What new pods take."""
    return [(await test_pod_env.parameter(world) or {}).get("LANES")]


async def their_key(world: World) -> Texts:
    return [await world.theirs("BACKLOG")]


PLACES = {
    "an_hpa": Place(
        ("apply", "HorizontalPodAutoscaler", ""), with_bound, "max_replicas=5", bound, ["4"], ["5"], "checkout"
    ),
    "replicas": Place(("json_patch", "Deployment", "scale"), with_replicas, "replicas=2", replicas, ["1"], ["2"]),
    "a_resize": Place(
        ("json_patch", "Pod", "resize"), with_size, "cpu_request=750m", sizes, ["0.5", "0.5"], ["750m", "750m"]
    ),
    "an_eviction": Place(("evict", "Pod", "eviction"), with_threads, "threads=3", threads, ["2", "2"], ["3", "3"]),
    "a_rollout": Place(
        ("apply", "Deployment", ""),
        lambda world: with_threads(world, pods=1),
        "threads=3",
        threads,
        ["2"],
        ["3"],
        "checkout",
    ),
    "an_environment": Place(("apply", "PodEnvironment", ""), with_variable, "lanes=3", parameter, [None], ["3"]),
    "an_eviction_for_variables": Place(
        ("evict", "Pod", "eviction"), with_variable, "lanes=3", variables, [None, None], ["3", "3"]
    ),
    "a_config_map_of_theirs": Place(
        ("apply", "ConfigMap", ""), with_their_key, "backlog=3", their_key, ["2\n"], ["3\n"], "app-config"
    ),
}


class Refusing:
    """The server's answer to every write of one place, until it is told otherwise."""

    def __init__(self, place: Place, error: PegboxError) -> None:
        self._place = place
        self.error: PegboxError | None = error

    def __call__(self, when: str, write: WriteRecord) -> None:
        here = (write.verb, write.kind, write.subresource) == self._place.write
        if when == "before" and here and self._place.name in ("", write.name) and self.error is not None:
            raise self.error


async def in_force(place: Place) -> World:
    """The trial's value stands at the place, and no pod runs another one."""
    world = await make()
    await place.rest(world)
    await world.steady()
    await world.turns(12)
    assert await place.stands(world) == place.before
    await world.annotate("try", place.wish)

    async def holds() -> bool:
        intent = await world.intent()
        return intent is not None and intent.in_force_at is not None

    await world.until(holds)
    assert await place.stands(world) == place.tried
    return world


async def refused(world: World, place: Place, kind: IntentKind, error: PegboxError, reason: str) -> None:
    """For longer than ackTimeout."""
    failed = []
    for _ in range(8):
        failed.append(await world.turn())
        world.clock.skip(10.0)
    assert failed.count(-1.0) >= 4, "each failure backs off"
    item = await world.intent()
    assert item is not None and item.kind is kind, "and forgets nothing"
    assert await place.stands(world) == place.tried
    status, said, message = await world.condition("Degraded")
    assert (status, said) == ("True", reason)
    assert str(error) in message and item.id in message
    assert (await world.condition("Ready"))[0] == ("False" if reason == "RestorePending" else "True")
    assert pending(world) == [1.0] and ("Degraded", reason) in trouble(world)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize(("error", "reason"), ERRORS)
async def test_a_rollback_outlasts_it_wherever_it_writes(place: Place, error: PegboxError, reason: str) -> None:
    world = await in_force(place)
    usual = trouble(world)
    refusing = Refusing(place, error)
    server(world).faults.on_write(refusing)
    await world.annotate("rollback")
    await refused(world, place, IntentKind.ROLLBACK, error, reason)

    world.restart()
    refusing.error = None
    ledger = await world.rest()
    await world.turns(2)
    assert place.write in written(world.pegbox)
    assert await place.stands(world) == place.before
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Reverted", "Requested")]
    assert (await world.condition("Degraded"))[0] == "False"
    assert pending(world) == [0.0] and trouble(world) == usual


async def test_a_pod_that_the_server_does_not_let_be_made_is_waited_for_and_the_server_is_quoted() -> None:
    """A LimitRange or a quota refuses pods, and no write of ours: the way back waits with the one pod that is left."""
    place = PLACES["an_eviction"]
    world = await in_force(place)
    kubelet, words = world.outside, "minimum cpu usage per Container is 600m, but request is 500m"
    assert isinstance(kubelet, FakeCluster)
    kubelet.faults.fail_next("create", POD, Refused(words, status=403), times=FOREVER)
    await world.annotate("rollback")
    await world.turns(8)
    world.clock.skip(60.0)
    await world.turns(2)
    assert await place.stands(world) == ["3"]
    status, reason, message = await world.condition("Degraded")
    assert (status, reason) == ("True", "NotAcknowledged") and words in message
    assert due(world.telemetry.registry) >= {"PegboxRollbackPending", "PegboxDegraded"}
    kubelet.faults._due.clear()
    await world.rest()
    assert await place.stands(world) == place.before
    await world.turns(2)
    assert not due(world.telemetry.registry) & {"PegboxRollbackPending", "PegboxDegraded"}


async def deleted(world: World) -> None:
    await world.delete()


async def stopped(world: World) -> None:
    world.brake("restore")


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("begin", [deleted, stopped], ids=["a_deletion", "a_global_restore"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(Refused("admission webhook denied the request", status=400), "RestorePending", id="webhook"),
        pytest.param(NotAvailable("500: etcdserver: request timed out"), "WriteFailed", id="500"),
    ],
)
async def test_so_does_every_other_way_back(
    place: Place, begin: Callable[[World], Awaitable[None]], error: PegboxError, reason: str
) -> None:
    world = await in_force(place)
    refusing = Refusing(place, error)
    server(world).faults.on_write(refusing)
    await begin(world)
    await refused(world, place, IntentKind.RESTORE, error, reason)

    world.restart()
    refusing.error = None

    async def over() -> bool:
        return not await world.exists() or await world.intent() is None

    await world.until(over)
    assert await world.exists() == (begin is stopped)
    assert await place.stands(world) == place.before


@pytest.mark.parametrize("begin", [deleted, stopped], ids=["a_deletion", "a_global_restore"])
async def test_an_operator_that_was_away_for_longer_than_it_waits_restarts_pods_all_the_same(
    begin: Callable[[World], Awaitable[None]],
) -> None:
    """The values were put back and read back; then nobody was there for an hour."""
    place = PLACES["an_eviction"]
    world = await in_force(place)
    await begin(world)
    for _ in range(2):
        world.clock.skip(await world.wake() or 0.0)
    item = await world.intent()
    assert item is not None and item.kind is IntentKind.RESTORE and item.applied_at is not None
    world.clock.skip(3600.0)
    world.restart()

    async def over() -> bool:
        return not await world.exists() or await world.intent() is None

    await world.pods_step(world.apps["checkout"])
    await world.until(over)
    assert await place.stands(world) == place.before


async def test_a_deletion_waits_for_no_restart_that_nothing_would_bring() -> None:
    """A paused Deployment of one pod: no rollout would replace it. What stands for the next pod is the original."""
    place = PLACES["a_rollout"]
    world = await in_force(place)
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/paused", True)
    await world.delete()

    async def gone() -> bool:
        return not await world.exists()

    await world.until(gone)
    assert (await world.own())["data"]["THREADS"] == "2" and await place.stands(world) == place.tried
    assert "Restored" in world.events.reasons()


async def test_an_object_that_moved_once_or_twice_is_read_again_and_nothing_more() -> None:
    world = await in_trial()
    server(world).faults.fail_next("apply", CONFIG_MAP, WriteConflict("moved"), times=2)
    await world.annotate("rollback")
    await world.turns(3)
    assert (await world.condition("Degraded"))[0] == "False"


async def test_it_is_exported_although_the_api_server_takes_no_word_of_it() -> None:
    world = await in_trial()
    await world.annotate("rollback")
    server(world).faults.fail_next("apply", CONFIG_MAP, NotAvailable("gone"))
    await world.turn()
    server(world).faults.fail_next("*", None, NotAvailable("gone"), times=FOREVER)
    await world.turns(3)
    assert pending(world) == [1.0] and trouble(world) == {("Degraded", "WriteFailed")}


async def test_the_right_to_write_is_revoked_in_mid_trial_and_comes_back() -> None:
    """By RBAC: the trial goes on, since nothing needs to be written; its way back is pending until the right is back."""
    world = await in_trial()
    for verb in ("create", "patch"):
        server(world).faults.deny(verb, "", "configmaps")
    await world.annotate("rollback")
    await world.turns(5)
    assert (await world.condition("Degraded"))[:2] == ("True", "RestorePending")
    assert await world.values() == {"workers": "3"}
    server(world).faults.grant_all()
    await world.rest()
    assert await world.values() == {"workers": "2"}


async def test_an_install_that_may_not_write_any_more_says_what_is_pending_and_ends_it_once_it_may() -> None:
    """By the chart: `mode.allowWrites` turned off in mid-trial, and a new process starts with it."""
    world = await in_trial()
    world.allow_writes = False
    world.restart()
    await world.annotate("rollback")
    await world.turns(5)
    assert (await world.condition("Degraded"))[:2] == ("True", "RestorePending")
    assert "mode.allowWrites" in (await world.condition("Ready"))[2]
    assert await world.values() == {"workers": "3"}, "nothing is written"
    assert pending(world) == [1.0]
    world.allow_writes = True
    world.restart()
    await world.rest()
    assert await world.values() == {"workers": "2"}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("begin", [deleted, stopped], ids=["a_deletion", "a_global_restore"])
async def test_a_restore_ends_what_is_left_of_the_rollback_that_it_takes_the_place_of(
    place: Place, begin: Callable[[World], Awaitable[None]]
) -> None:
    """The old values stand already, so the restore moves nothing; pods run the trial's. (tests/chaos, seed 80001432.)"""
    world = await in_force(place)
    refusing = Refusing(place, NotAvailable("500: etcdserver: request timed out"))
    server(world).faults.on_write(refusing)
    await world.annotate("rollback")
    await refused(world, place, IntentKind.ROLLBACK, NotAvailable("500: etcdserver: request timed out"), "WriteFailed")
    await begin(world)
    refusing.error = None

    async def over() -> bool:
        return not await world.exists() or (await world.intent() is None and await place.stands(world) == place.before)

    await world.until(over)
    assert await place.stands(world) == place.before
