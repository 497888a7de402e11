"""Claims: what is read, which object is meant, and that a stale or foreign one is never written."""

from __future__ import annotations

import asyncio

from pegbox.model.errors import NotFound, Refused, WriteConflict
from pegbox.ports import ABSENT, CONFIG_MAP, Object, Ref
from pegbox.testing.suites.world import Claim, ClusterWorld, locked, raised, version

CLAIMS: list[Claim] = []


def claim(function: Claim) -> Claim:
    CLAIMS.append(function)
    return function


@claim
async def a_missing_object_is_not_found(world: ClusterWorld) -> None:
    await raised(NotFound, world.cluster.get(Ref(CONFIG_MAP, world.namespace, "nothing")))
    await raised(NotFound, world.cluster.delete(Ref(CONFIG_MAP, world.namespace, "nothing")))
    operations = [{"op": "add", "path": "/data", "value": {}}]
    await raised(NotFound, world.cluster.json_patch(Ref(CONFIG_MAP, world.namespace, "nothing"), operations))


@claim
async def apply_creates_and_get_gives_it_back(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    read = await world.cluster.get(world.ref(made))
    assert read["data"] == {"a": "1"} and read == made
    assert read["metadata"]["uid"] and version(read)
    assert [entry["manager"] for entry in read["metadata"]["managedFields"]] == ["pegbox"]


@claim
async def create_refuses_what_exists(world: ClusterWorld) -> None:
    made = await world.cluster.create(world.config_map(a="1"))
    await raised(WriteConflict, world.cluster.create(world.config_map(a="2")))
    assert (await world.cluster.get(world.ref(made)))["data"] == {"a": "1"}


@claim
async def list_gives_all_pages_and_honours_labels(world: ClusterWorld) -> None:
    for index in range(5):
        body = world.config_map(f"map-{index}", a="1")
        body["metadata"]["labels"] = {"parity": "even" if index % 2 == 0 else "odd"}
        await world.cluster.apply(body)
    paged = await world.cluster.list(CONFIG_MAP, world.namespace, limit=2)
    assert {f"map-{index}" for index in range(5)} <= {each["metadata"]["name"] for each in paged}
    assert all(each["kind"] == "ConfigMap" and each["apiVersion"] == "v1" for each in paged)
    for selector in ("parity=even", "parity in (even)", "parity,parity!=odd"):
        found = await world.cluster.list(CONFIG_MAP, world.namespace, labels=selector)
        assert [each["metadata"]["name"] for each in found] == ["map-0", "map-2", "map-4"], selector


@claim
async def a_no_op_apply_does_not_move_the_version(world: ClusterWorld) -> None:
    first = await world.cluster.apply(world.config_map(a="1"))
    again = await world.cluster.apply(world.config_map(a="1"))
    assert version(again) == version(first)
    changed = await world.cluster.apply(world.config_map(a="2"))
    assert version(changed) != version(first)


@claim
async def another_uid_is_a_conflict_and_never_creates(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    await raised(WriteConflict, world.cluster.apply(locked(world.config_map(a="2"), uid="other")))
    await world.cluster.delete(world.ref(made), uid=made["metadata"]["uid"])
    await raised(WriteConflict, world.cluster.apply(locked(world.config_map(), uid=made["metadata"]["uid"])))
    await raised(NotFound, world.cluster.get(world.ref(made)))


@claim
async def what_was_read_cannot_be_applied_as_it_is(world: ClusterWorld) -> None:
    """An apply states intent: a body with managedFields was read, and is refused."""
    made = await world.cluster.apply(world.config_map(a="1"))
    error = await raised(Refused, world.cluster.apply(made))
    assert error.status == 400


@claim
async def a_resource_version_alone_does_not_keep_an_apply_from_creating(world: ClusterWorld) -> None:
    made = await world.cluster.apply(locked(world.config_map(a="1"), version="12345"))
    assert (await world.cluster.get(world.ref(made)))["data"] == {"a": "1"}


@claim
async def a_version_that_no_object_has_makes_an_apply_create_and_nothing_else(world: ClusterWorld) -> None:
    """And all that it made is the apply's: a later one takes a key away by leaving it out."""
    made = await world.cluster.apply(locked(world.config_map(a="1", b="1"), version=ABSENT), force=True)
    await raised(WriteConflict, world.cluster.apply(locked(world.config_map(a="2"), version=ABSENT), force=True))
    assert await world.cluster.get(world.ref(made)) == made
    await world.cluster.delete(world.ref(made))
    again = await world.cluster.apply(locked(world.config_map(a="1", b="1"), version=ABSENT), force=True)
    shorter = await world.cluster.apply(locked(world.config_map(a="1"), version=version(again)), force=True)
    assert shorter["data"] == {"a": "1"}


@claim
async def of_two_applies_that_only_create_exactly_one_wins(world: ClusterWorld) -> None:
    bodies = [locked(world.config_map(holder=name), version=ABSENT) for name in ("one", "two")]
    ends = await asyncio.gather(*(world.cluster.apply(b, force=True) for b in bodies), return_exceptions=True)
    won = [each for each in ends if isinstance(each, dict)]
    assert len(won) == 1 and sum(isinstance(each, WriteConflict) for each in ends) == 1, ends
    assert (await world.cluster.get(world.ref(won[0])))["data"] == won[0]["data"]


@claim
async def a_stale_resource_version_is_a_conflict(world: ClusterWorld) -> None:
    first = await world.cluster.apply(world.config_map(a="1"))
    second = await world.cluster.apply(locked(world.config_map(a="2"), version=version(first)))
    await raised(WriteConflict, world.cluster.apply(locked(world.config_map(a="3"), version=version(first))))
    assert await world.cluster.get(world.ref(first)) == second


@claim
async def of_two_writers_who_compare_and_swap_exactly_one_wins(world: ClusterWorld) -> None:
    first = await world.cluster.apply(world.config_map(holder="nobody"))
    for _ in range(5):
        seen = version(await world.cluster.get(world.ref(first)))
        bids = [
            world.cluster.apply(locked(world.config_map(holder=f"{name}-{seen}"), version=seen))
            for name in ("one", "two")
        ]
        ends = await asyncio.gather(*bids, return_exceptions=True)
        won = [each for each in ends if isinstance(each, dict)]
        assert len(won) == 1 and sum(isinstance(each, WriteConflict) for each in ends) == 1, ends
        assert (await world.cluster.get(world.ref(first)))["data"] == won[0]["data"]


@claim
async def of_two_writers_of_one_ledger_exactly_one_wins(world: ClusterWorld) -> None:
    first = await world.cluster.create(world.ledger("nothing"))
    bids = [
        world.cluster.apply(locked(world.ledger(name), version=version(first)), force=True) for name in ("one", "two")
    ]
    ends = await asyncio.gather(*bids, return_exceptions=True)
    won = [each for each in ends if isinstance(each, dict)]
    assert len(won) == 1 and sum(isinstance(each, WriteConflict) for each in ends) == 1, ends
    assert (await world.cluster.get(world.ref(first)))["data"] == won[0]["data"]
    await raised(WriteConflict, world.cluster.create(world.ledger("late")))


@claim
async def of_two_claims_on_one_budget_exactly_one_is_granted_at_a_time(world: ClusterWorld) -> None:
    """Ten claimants of 1 each, who read again after a conflict: none is lost, none is granted twice."""
    made = await world.cluster.apply(world.budget(capacity=10))
    ref = world.ref(made)

    async def grant(uid: str) -> None:
        for _ in range(50):
            body = await world.cluster.get(ref)
            held = (body.get("status") or {}).get("claims", [])
            share = {"uid": uid, "holder": f"shop/{uid}", "amount": 1, "expires": "2030-01-01T00:00:00Z"}
            operations: list[Object] = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": version(body)},
                {"op": "add", "path": "/status", "value": {"claims": [*held, share], "claimed": len(held) + 1}},
            ]
            try:
                await world.cluster.json_patch(ref, operations, subresource="status")
            except WriteConflict:
                continue  # somebody was faster: read again
            return
        raise AssertionError(f"{uid} was never granted")

    await asyncio.gather(*(grant(f"uid-{index}") for index in range(10)))
    status = (await world.cluster.get(ref))["status"]
    assert sorted(each["uid"] for each in status["claims"]) == sorted(f"uid-{index}" for index in range(10))
    assert status["claimed"] == 10


@claim
async def delete_with_another_uid_is_a_conflict(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    await raised(WriteConflict, world.cluster.delete(world.ref(made), uid="other"))
    await world.cluster.get(world.ref(made))
    await world.cluster.delete(world.ref(made), uid=made["metadata"]["uid"])
    await raised(NotFound, world.cluster.get(world.ref(made)))


@claim
async def delete_of_what_was_written_since_is_a_conflict(world: ClusterWorld) -> None:
    """What a former leader read before its successor wrote is not its to delete."""
    made = await world.cluster.apply(world.config_map(a="1"))
    after = await world.cluster.apply(world.config_map(a="2"))
    uid, ref = made["metadata"]["uid"], world.ref(made)
    await raised(WriteConflict, world.cluster.delete(ref, uid=uid, version=made["metadata"]["resourceVersion"]))
    assert (await world.cluster.get(ref))["data"] == {"a": "2"}
    await world.cluster.delete(ref, uid=uid, version=after["metadata"]["resourceVersion"])
    await raised(NotFound, world.cluster.get(ref))


@claim
async def a_finalizer_keeps_a_deleted_object_until_it_is_removed(world: ClusterWorld) -> None:
    body = world.config_map(a="1")
    body["metadata"]["finalizers"] = ["pegbox.dev/restore"]
    made = await world.cluster.apply(body)
    await world.cluster.delete(world.ref(made))
    assert (await world.cluster.get(world.ref(made)))["metadata"]["deletionTimestamp"]
    await world.cluster.apply(world.config_map(a="1"))
    await raised(NotFound, world.cluster.get(world.ref(made)))
