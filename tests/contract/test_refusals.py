"""What a real API server refuses in mid-trial, in its own words: no way back is lost to it, and it is said meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from dev.cluster.control import ControlPlane
from pegbox.model.trials import IntentKind
from pegbox.ports import Cluster
from pegbox.testing.clock import FakeClock
from tests.contract import refusers
from tests.contract.conftest import Connect
from tests.contract.refusers import GONE, POLICY, Refuser
from tests.loop import documents
from tests.loop.alerts import due
from tests.loop.test_pending import PLACES, Place
from tests.loop.world import World

QUARTER_OF_AN_HOUR = 900.0  # for as long the alerts wait
ALERTS = {"PegboxRollbackPending", "PegboxDegraded"}
RESOURCES = {
    "an_hpa": "horizontalpodautoscalers",
    "replicas": "deployments/scale",
    "a_resize": "pods/resize",
    "an_eviction": "pods/eviction",
    "a_rollout": "deployments",
    "a_config_map_of_theirs": "configmaps",
}


@pytest.fixture(scope="module", autouse=True)
def refusing(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.apply(refusers.manifest())
    yield
    done = control_plane.kubectl("delete", "-f", "-", stdin=refusers.manifest())
    assert done.returncode == 0, done.stderr


@pytest_asyncio.fixture
async def shop(cluster: Cluster, client: Connect, namespace: str) -> AsyncIterator[World]:
    """The whole runtime on the server, with virtual time; `kubelet` plays controllers and kubelet."""
    outside = await client("kubelet")
    await outside.apply(documents.CLASS, force=True)
    yield World(cluster, outside, FakeClock(auto=False), namespace=namespace)


async def in_force(world: World, wish: str) -> None:
    """A trial, every value of which is in every pod."""
    await world.annotate("try", wish)

    async def holds() -> bool:
        intent = await world.intent()
        return intent is not None and intent.in_force_at is not None

    await world.until(holds)


async def outlasted(world: World, kind: IntentKind, words: str, reason: str, looks: int = 4) -> None:
    """Once it meets the refusal each look fails, which backs off, and says the same as the one before."""

    async def met() -> bool:
        return (await world.condition("Degraded"))[0] == "True"

    await world.until(met)
    for look in range(looks):
        world.clock.skip(QUARTER_OF_AN_HOUR / looks)
        assert await world.turn() == -1.0, f"look {look}: {await world.why()}"
        item = await world.intent()
        assert item is not None and item.kind is kind, "nothing is forgotten"
        status, said, message = await world.condition("Degraded")
        assert (status, said) == ("True", reason), message
        assert words in message and item.id in message
        assert due(world.telemetry.registry) >= ALERTS
    assert (await world.condition("Ready"))[0] == ("False" if reason == "RestorePending" else "True")


async def well(world: World) -> None:
    assert (await world.condition("Degraded"))[0] == "False", await world.why()
    assert not due(world.telemetry.registry) & ALERTS


BY_PARTY = [
    *(pytest.param(POLICY, name, id=f"a_policy-{name}") for name in RESOURCES),
    *(pytest.param(GONE, name, id=f"a_webhook_that_is_gone-{name}") for name in RESOURCES),
]


@pytest.mark.parametrize(("refuser", "name"), BY_PARTY)
async def test_a_rollback_outlasts_who_refuses_it(shop: World, refuser: Refuser, name: str) -> None:
    place: Place = PLACES[name]
    await place.rest(shop)
    await shop.steady()
    before = await place.stands(shop)
    await in_force(shop, place.wish)
    tried = await place.stands(shop)
    assert tried != before
    await refuser.begins(shop, RESOURCES[name])
    await shop.annotate("rollback")
    await outlasted(shop, IntentKind.ROLLBACK, refuser.words, refuser.reason)
    assert await place.stands(shop) == tried

    shop.restart()
    await refuser.ends(shop)
    ledger = await shop.rest()
    await shop.turns(2)
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Reverted", "Requested")]
    assert await place.stands(shop) == before
    await well(shop)
