"""A way back that cannot be written: said with its reason and by a metric, tried again, and ended once it can."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from pegbox.model.errors import NotAvailable, PegboxError, Refused, WriteConflict
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP
from pegbox.testing.cluster import FakeCluster
from tests.loop.world import World, trying

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


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(WriteConflict("409: the object has been modified"), "WriteFailed", id="409"),
        pytest.param(Refused("422: invalid", status=422), "RestorePending", id="422"),
        pytest.param(
            Refused("admission webhook denied the request", status=400), "RestorePending", id="webhook_refuses"
        ),
        pytest.param(Refused("exceeded quota: compute", status=403), "RestorePending", id="quota"),
        pytest.param(Refused("maximum cpu usage per Container is 1", status=403), "RestorePending", id="limit_range"),
        pytest.param(
            Refused("Too long: must have at most 1048576 bytes", status=422), "RestorePending", id="too_large"
        ),
        pytest.param(Refused("request entity too large", status=413), "RestorePending", id="too_large_for_the_server"),
        pytest.param(NotAvailable("429: too many requests"), "WriteFailed", id="429"),
        pytest.param(NotAvailable("500: etcdserver: request timed out"), "WriteFailed", id="500"),
        pytest.param(NotAvailable("no answer within 10 s"), "WriteFailed", id="timeout"),
        pytest.param(NotAvailable("connection reset by peer"), "WriteFailed", id="reset"),
    ],
)
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
