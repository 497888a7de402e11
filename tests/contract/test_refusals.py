"""What a real API server refuses in mid-trial, in its own words: no way back is lost to it, and it is said meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest

from dev.cluster.control import ControlPlane
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP, Object, Ref
from tests.contract import refusers
from tests.contract.conftest import LIMIT_RANGE, QUOTA
from tests.contract.refusers import GONE, POLICY, Refuser
from tests.loop import documents
from tests.loop.alerts import due
from tests.loop.test_pending import PATIENT, PLACES, Place, threads
from tests.loop.world import World

QUARTER_OF_AN_HOUR = 900.0  # for as long the alerts wait
ALERTS = {"PegboxRollbackPending", "PegboxDegraded"}
RESOURCES = {
    "an_hpa": "horizontalpodautoscalers",
    "replicas": "deployments/scale",
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


async def in_force(world: World, wish: str) -> None:
    """A trial, every value of which is in every pod."""
    await world.annotate("try", wish)

    async def holds() -> bool:
        intent = await world.intent()
        return intent is not None and intent.in_force_at is not None

    await world.until(holds)


async def outlasted(world: World, kind: IntentKind, words: str, reason: str, looks: int = 2) -> None:
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
    pytest.param(POLICY, "an_hpa", id="a_policy-an_hpa"),
    pytest.param(POLICY, "a_rollout", id="a_policy-a_rollout"),
    pytest.param(POLICY, "a_config_map_of_theirs", id="a_policy-a_config_map_of_theirs"),
    pytest.param(GONE, "replicas", id="a_webhook_that_is_gone-replicas"),
    pytest.param(GONE, "an_eviction", id="a_webhook_that_is_gone-an_eviction"),
]
"""Each takes a world of its own; tests/loop/test_pending.py has every place with every answer."""


@pytest.mark.parametrize(("refuser", "name"), BY_PARTY)
async def test_a_rollback_outlasts_who_refuses_it(shop: World, refuser: Refuser, name: str) -> None:
    begins = partial(refuser.begins, shop, RESOURCES[name])
    await outlasts(shop, PLACES[name], begins, partial(refuser.ends, shop), refuser.words, refuser.reason)


async def outlasts(
    shop: World,
    place: Place,
    begins: Callable[[], Awaitable[None]],
    ends: Callable[[], Awaitable[None]],
    words: str,
    reason: str,
) -> None:
    """A rollback is refused from its first write on, outlasts its process, and is done exactly once it may be."""
    await place.rest(shop)
    await shop.rest()
    before = await place.stands(shop)
    await in_force(shop, place.wish)
    tried = await place.stands(shop)
    assert tried != before
    await begins()
    await shop.annotate("rollback")
    await outlasted(shop, IntentKind.ROLLBACK, words, reason)
    assert await place.stands(shop) == tried

    shop.restart()
    await ends()
    ledger = await shop.rest()
    await shop.turns(2)
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Reverted", "Requested")]
    assert await place.stands(shop) == before
    await well(shop)


# --- a stage of the trial itself


async def between_stages(world: World) -> None:
    """2 x 3 in place of 3 x 2, in two pods with room for 13: first workers fall, then the pool may rise."""
    knobs = (documents.hot("workers", initial=3), documents.hot("pool", initial=2))
    budget = {"name": "connections", "uses": "pods * workers * pool", "limit": 13}
    await world.add(documents.profile("checkout", *knobs, budgets=[budget], **PATIENT), workers=3, pool=2)
    await world.steady()
    assert await world.values() == {"workers": "3", "pool": "2"}
    await world.annotate("try", "workers=2,pool=3")
    await world.turn()
    assert await world.values() == {"workers": "2", "pool": "2"}


async def test_a_stage_that_is_refused_is_written_once_it_may_be(shop: World) -> None:
    """A refusal shorter than ackTimeout costs nobody his trial, and no alert of a rollback."""
    await between_stages(shop)
    await POLICY.begins(shop, "configmaps")
    assert await shop.turn() == -1.0
    status, said, message = await shop.condition("Degraded")
    assert (status, said) == ("True", "WriteRefused") and POLICY.words in message
    assert due(shop.telemetry.registry) & ALERTS == {"PegboxDegraded"}
    await POLICY.ends(shop)
    await shop.turn()
    assert await shop.values() == {"workers": "2", "pool": "3"}
    await well(shop)


async def test_one_that_stays_refused_ends_the_trial_whose_way_back_is_refused_too(shop: World) -> None:
    await between_stages(shop)
    await POLICY.begins(shop, "configmaps")

    async def turned_back() -> bool:
        intent = await shop.intent()
        return intent is not None and intent.kind is IntentKind.ROLLBACK

    shop.clock.skip(30.0)
    await shop.until(turned_back)
    await outlasted(shop, IntentKind.ROLLBACK, POLICY.words, POLICY.reason)
    await POLICY.ends(shop)
    ledger = await shop.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "WriteFailed")]
    assert await shop.values() == {"workers": "3", "pool": "2"}
    await shop.turns(1)
    await well(shop)


async def test_a_policy_that_refuses_what_nobody_writes_is_nobodys_trouble(shop: World) -> None:
    """The twin: it stands in this namespace, and a whole trial passes beside it."""
    await between_stages(shop)
    await POLICY.begins(shop, "horizontalpodautoscalers")
    await shop.turns(1)
    await shop.annotate("rollback")
    await shop.rest()
    assert await shop.values() == {"workers": "3", "pool": "2"}
    await well(shop)


# --- a LimitRange or a ResourceQuota that begins in mid-trial


def limits(world: World, **minimum: str) -> Object:
    head = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits", "namespace": world.namespace}}
    return head | {"spec": {"limits": [{"type": "Container", "min": minimum}]}}


async def quota(world: World, hard: dict[str, str], used: dict[str, str]) -> None:
    """Its controller counts what there is; there is none here."""
    meta = {"name": "quota", "namespace": world.namespace}
    await world.outside.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}})
    operation = {"op": "add", "path": "/status", "value": {"hard": hard, "used": used}}
    await world.outside.json_patch(Ref(QUOTA, world.namespace, "quota"), [operation], subresource="status")


async def has_no_room_for_cores(world: World) -> None:
    """Others took what the trial left."""
    await quota(world, {"requests.cpu": "800m"}, {"requests.cpu": "800m"})


async def has_no_small_containers(world: World) -> None:
    await world.outside.apply(limits(world, cpu="600m"))


async def is_gone(world: World) -> None:
    for kind, name in ((LIMIT_RANGE, "limits"), (QUOTA, "quota")):
        if await world.find(Ref(kind, world.namespace, name)) is not None:
            await world.outside.delete(Ref(kind, world.namespace, name))


@pytest.mark.parametrize(
    ("begins", "wish", "words"),
    [
        pytest.param(
            has_no_room_for_cores, "400m", "exceeded quota: quota, requested: requests.cpu=100m", id="a_quota"
        ),
        pytest.param(has_no_small_containers, "750m", "minimum cpu usage per Container is 600m", id="a_limit_range"),
    ],
)
async def test_sizes_go_back_once_who_refuses_them_is_gone(
    shop: World, begins: Callable[[World], Awaitable[None]], wish: str, words: str
) -> None:
    """Higher again than a quota has room for, or lower again than a LimitRange allows."""
    place = PLACES["a_resize"]
    await place.rest(shop)
    await shop.rest()
    assert await place.stands(shop) == ["500m", "500m"]
    await in_force(shop, f"cpu_request={wish}")
    await begins(shop)
    await shop.annotate("rollback")
    await outlasted(shop, IntentKind.ROLLBACK, words, "RestorePending")
    assert await place.stands(shop) == [wish, wish]
    await is_gone(shop)
    await shop.rest()
    await shop.turns(2)
    assert await place.stands(shop) == ["500m", "500m"]
    await well(shop)


async def test_pods_that_a_limit_range_keeps_away_are_waited_for(shop: World) -> None:
    """It refuses no write of ours: the pod that would take the place of an evicted one is never made."""
    target = documents.sized(documents.deployment(), requests={"cpu": "500m"})
    body = documents.profile("checkout", documents.hot(), documents.env(), **PATIENT)
    await shop.add(body, target, workers=2, threads=2)
    await shop.rest()
    await in_force(shop, "threads=3")
    assert await threads(shop) == ["3", "3"]
    await has_no_small_containers(shop)
    await shop.annotate("rollback")

    async def late() -> bool:
        return (await shop.condition("Degraded"))[0] == "True"

    await shop.until(late)
    for _ in range(2):
        shop.clock.skip(QUARTER_OF_AN_HOUR / 2)
        await shop.turn()
        assert await threads(shop) == ["3"], "the other one still serves, and is not evicted"
        status, said, message = await shop.condition("Degraded")
        assert (status, said) == ("True", "NotAcknowledged")
        assert "minimum cpu usage per Container is 600m, but request is 500m" in message
        assert due(shop.telemetry.registry) >= ALERTS
    await is_gone(shop)
    await shop.rest()
    assert await threads(shop) == ["2", "2"]
    await shop.turns(2)
    await well(shop)


async def test_without_room_for_our_config_map_nothing_is_begun_and_then_it_is(shop: World) -> None:
    """A quota of objects, before the adoption and again after somebody deleted it in mid-trial."""
    full = {"count/configmaps": "1"}
    await quota(shop, full, full)
    await shop.add(documents.profile(**PATIENT), workers=2)
    for _ in range(4):
        assert await shop.turn() == -1.0
    assert (await shop.condition("Degraded"))[:2] == ("True", "WriteRefused")
    assert "exceeded quota: quota" in (await shop.condition("Degraded"))[2]
    assert "PegboxDegraded" in due(shop.telemetry.registry)
    await is_gone(shop)
    await shop.rest()
    await in_force(shop, "workers=3")
    await shop.outside.delete(Ref(CONFIG_MAP, shop.namespace, "checkout-pegbox"))
    await quota(shop, full, full)
    await shop.annotate("rollback")
    await outlasted(shop, IntentKind.ROLLBACK, "exceeded quota: quota", "RestorePending")
    await is_gone(shop)
    await shop.rest()
    assert await shop.values() == {"workers": "2"}
    await shop.turns(2)
    await well(shop)


async def test_without_room_for_a_ledger_no_workload_is_written(shop: World) -> None:
    full = {"count/tuningledgers.pegbox.dev": "0"}
    await quota(shop, full, full)
    await shop.add(documents.profile(**PATIENT), workers=2)
    for _ in range(4):
        assert await shop.turn() == -1.0
    assert "exceeded quota: quota" in (await shop.condition("Degraded"))[2]
    assert await shop.find(Ref(CONFIG_MAP, shop.namespace, "checkout-pegbox")) is None
    await is_gone(shop)
    await shop.rest()
    assert await shop.values() == {"workers": "2"}
    await shop.turns(1)
    await well(shop)


# --- too large an object


async def test_a_value_goes_back_into_a_config_map_that_was_filled_meanwhile(shop: World) -> None:
    """10 is a byte more than 9, and their ConfigMap holds a MiB to the last byte. Who makes room finds all else as he
    left it."""
    theirs = Ref(CONFIG_MAP, shop.namespace, "app-config")
    await shop.apply(documents.config_map(BACKLOG="10\n"))
    body = documents.profile("checkout", documents.hot(), documents.plain(conflictPolicy="Take"), **PATIENT)
    await shop.add(body, workers=2, backlog=10)
    await shop.rest()
    await in_force(shop, "backlog=9")
    filler = "x" * (2**20 - len("9\n"))
    await shop.patch(theirs, "/data/filler", filler)
    await shop.annotate("rollback")
    await outlasted(shop, IntentKind.ROLLBACK, "Too long: may not be more than 1048576 bytes", "RestorePending")
    assert (await shop.outside.get(theirs))["data"] == {"BACKLOG": "9\n", "filler": filler}
    await shop.patch(theirs, "/data/filler", filler[1:])
    await shop.rest()
    await shop.turns(2)
    assert (await shop.outside.get(theirs))["data"] == {"BACKLOG": "10\n", "filler": filler[1:]}
    await well(shop)


async def test_a_value_goes_back_into_an_object_that_etcd_had_no_room_for(shop: World) -> None:
    """Long keys: far from a MiB of text, and with the note of who wrote each more than etcd takes. Other writers are let
    through without any such note; an apply is refused."""
    theirs = Ref(CONFIG_MAP, shop.namespace, "app-config")
    await shop.apply(documents.config_map(BACKLOG="10\n"))
    body = documents.profile("checkout", documents.hot(), documents.plain(conflictPolicy="Take"), **PATIENT)
    await shop.add(body, workers=2, backlog=10)
    await shop.rest()
    await in_force(shop, "backlog=9")
    keys = [f"{number:05}{'k' * 240}" for number in range(4000)]
    await shop.outside.json_patch(theirs, [{"op": "add", "path": f"/data/{key}", "value": ""} for key in keys])
    assert "managedFields" not in (await shop.outside.get(theirs))["metadata"]
    await shop.annotate("rollback")
    words = "the object is over the server's limit of 1.5 MiB"
    await outlasted(shop, IntentKind.ROLLBACK, words, "RestorePending", looks=1)
    assert (await shop.outside.get(theirs))["data"] == dict.fromkeys(keys, "") | {"BACKLOG": "9\n"}
    await shop.patch(theirs, "/data", {keys[0]: "", "BACKLOG": "9\n"})
    await shop.rest()
    await shop.turns(2)
    assert (await shop.outside.get(theirs))["data"] == {keys[0]: "", "BACKLOG": "10\n"}
    await well(shop)
