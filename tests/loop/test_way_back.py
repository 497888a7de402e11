"""Putting values back needs neither the class nor a memory: the ledger names the places."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pegbox.model.errors import NotAvailable, PegboxError, Refused, WriteConflict
from pegbox.model.trials import IntentKind
from pegbox.ports import CLASS, CONFIG_MAP, HPA, PROFILE, Object, Ref
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import WriteRecord
from tests.loop import documents, test_sizes
from tests.loop.world import World, make, written

TAKE = {"conflictPolicy": "Take"}
BOUND = {"name": "max_replicas", "min": 1, "max": 8, **TAKE}
WISH = "workers=3,threads=3,cache=3,backlog=3,max_replicas=3"
THEIRS = Ref(CONFIG_MAP, documents.NAMESPACE, "app-config")
SCALER = Ref(HPA, documents.NAMESPACE, "checkout")


async def tried(**profile: Any) -> World:
    """A trial that moved a value in each kind of place but `replicas`, written and not yet judged."""
    world = await make()
    await world.apply(documents.config_map(), documents.hpa())
    knobs = documents.hot(), documents.env(), documents.path(**TAKE), documents.plain(**TAKE), BOUND
    body = documents.profile("checkout", *knobs, autoscaler={"ref": {"name": "checkout"}}, **profile)
    await world.add(body, workers=2, threads=2, cache=2, backlog=2)
    await world.steady()
    await world.annotate("try", WISH)
    await world.turn()
    assert await standing(world) == dict.fromkeys(("workers", "threads", "cache", "backlog", "max"), "3")
    return world


async def standing(world: World) -> dict[str, str]:
    own, theirs = await world.own(), await world.outside.get(THEIRS)
    return {
        "workers": (await world.values())["workers"],
        "threads": own["data"]["THREADS"],
        "cache": next(
            word for line in theirs["data"]["app.yaml"].splitlines() if "size" in line for word in line.split()[1:2]
        ),
        "backlog": theirs["data"]["BACKLOG"].strip(),
        "max": str((await world.outside.get(SCALER))["spec"]["maxReplicas"]),
    }


BEFORE = {"workers": "2", "threads": "2", "cache": "2", "backlog": "2", "max": "4"}


async def class_gone(world: World) -> None:
    await world.outside.delete(Ref(CLASS, "", "service"))


async def without(world: World, *names: str) -> None:
    """A new release of the class has no such knobs."""
    body = copy.deepcopy(documents.CLASS)
    body["spec"]["knobs"] = [k for k in body["spec"]["knobs"] if k["name"] not in names]
    await world.apply(body)


async def of_an_older_release(world: World) -> None:
    """The ledger as a release wrote it that records no places."""
    await world.amend(way_back=None)


async def gone(world: World) -> bool:
    return not await world.exists()


def holders(body: Object, field: str) -> set[str]:
    return {e["manager"] for e in body["metadata"]["managedFields"] if field in str(e.get("fieldsV1"))}


async def test_a_deletion_puts_every_original_back_with_the_class_gone_and_the_memory_lost() -> None:
    """Seed 8002595 of the schedules: the HPA kept what the trial had written."""
    world = await tried()
    await class_gone(world)
    world.restart()
    await world.delete()
    await world.until(lambda: gone(world))
    assert await standing(world) == BEFORE
    theirs, scaler = await world.outside.get(THEIRS), await world.outside.get(SCALER)
    assert theirs["data"] == {"app.yaml": documents.APP, "BACKLOG": "2\n"}, "byte for byte"
    assert "pegbox" not in holders(theirs, "f:BACKLOG") | holders(scaler, "f:maxReplicas"), "and theirs again"
    assert "Restored" in world.events.reasons()


async def test_accepted_values_go_back_without_a_class_just_as_well() -> None:
    world = await tried()
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await class_gone(world)
    world.restart()
    await world.delete()
    await world.until(lambda: gone(world))
    assert await standing(world) == BEFORE


async def test_a_ledger_of_an_older_release_holds_up_no_deletion_and_what_stays_is_said() -> None:
    world = await tried()
    await of_an_older_release(world)
    await class_gone(world)
    world.restart()
    await world.delete()
    await world.turn()
    assert await gone(world) and (await standing(world))["max"] == "3"
    assert "RestorePending" in world.events.reasons()


async def test_a_trial_in_a_ledger_of_an_older_release_is_held_and_said_and_goes_on_once_the_class_is_back() -> None:
    world = await tried()
    await of_an_older_release(world)
    await class_gone(world)
    world.restart()
    intent, before = await world.intent(), await standing(world)
    await world.turns(5)
    status, why, message = await world.condition("Accepted")
    assert (status, why) == ("False", "ClassNotFound")
    assert intent is not None and f"Trial {intent.id} is under way and waits for it" in message
    assert await world.intent() == intent and await standing(world) == before
    await world.apply(documents.CLASS)
    assert (await world.rest()).trials[-1].state.value == "Accepted"


async def test_a_ledger_of_an_older_release_learns_the_places_as_soon_as_its_class_is_read() -> None:
    world = await tried()
    await world.rest()
    await of_an_older_release(world)
    world.restart()
    await world.turn()
    await class_gone(world)
    world.restart()
    await world.delete()
    await world.until(lambda: gone(world))
    assert await standing(world) == BEFORE


async def test_what_somebody_set_in_mid_trial_stays_his_without_a_class_too() -> None:
    world = await tried()
    await class_gone(world)
    await world.patch(SCALER, "/spec/maxReplicas", 7)
    world.restart()
    await world.turns(2)
    await world.delete()
    await world.until(lambda: gone(world))
    assert await standing(world) == {**BEFORE, "max": "7"}


@pytest.mark.parametrize(("policy", "most"), [("Restore", "4"), ("Keep", "4")])
async def test_neither_policy_leaves_an_unfinished_trial_behind(policy: str, most: str) -> None:
    world = await tried(deletionPolicy=policy)
    await class_gone(world)
    world.restart()
    await world.delete()
    await world.until(lambda: gone(world))
    assert (await standing(world))["max"] == most


async def test_a_rollback_under_way_is_finished_without_the_class_and_then_nothing_moves() -> None:
    world = await tried()
    await world.annotate("rollback")
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK
    await class_gone(world)
    world.restart()
    await world.rest()
    assert await standing(world) == BEFORE
    assert (await world.condition("Accepted"))[:2] == ("False", "ClassNotFound")
    ledger, before = await world.ledger(), len(written(world.pegbox))
    await world.turns(3)
    assert await world.ledger() == ledger
    kinds = {kind for _, kind, _ in written(world.pegbox)[before:]}
    assert kinds <= {"PerformanceProfile", "Event"}


async def test_a_trial_goes_back_where_a_new_process_finds_no_class_to_judge_it_by() -> None:
    world = await tried()
    await class_gone(world)
    world.restart()
    ledger = await world.rest()
    assert await standing(world) == BEFORE
    ended = ledger.trials[-1]
    assert (ended.state.value, ended.reason.value) == ("Inconclusive", "ClassNotFound")
    assert ledger.breaker.failures == 0, "nobody is to blame"


async def test_with_mode_auto_turned_away_too_nothing_is_written_until_the_profile_is_deleted() -> None:
    world = await tried()
    await class_gone(world)
    await world.edit(mode="Recommend")
    world.restart()
    before = await standing(world)
    await world.turns(4)
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK and await standing(world) == before
    await world.delete()
    await world.until(lambda: gone(world))
    assert await standing(world) == BEFORE


async def test_a_pause_of_a_profile_without_a_class_keeps_no_trial_under_way() -> None:
    world = await tried()
    await class_gone(world)
    await world.annotate("pause")
    world.restart()
    await world.rest()
    assert await standing(world) == BEFORE


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_knob_that_the_class_lost_in_mid_trial_goes_back_and_the_others_with_it(restarted: bool) -> None:
    """The profile names them no more: an edit that leaves the class's names out is what an owner does next."""
    world = await tried()
    await without(world, "max_replicas", "backlog")
    await world.edit(knobs=[documents.hot(), documents.env(), documents.path(**TAKE)])
    if restarted:
        world.restart()
    ledger = await world.rest()
    assert await standing(world) == BEFORE
    ended = ledger.trials[-1]
    assert (ended.state.value, ended.reason.value) == ("Inconclusive", "ProfileChanged")
    await world.turns(3)
    adopted = await world.ledger()
    assert adopted is not None and not {"max_replicas", "backlog"} & set(adopted.incumbent or ())


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_knob_that_the_class_lost_is_put_back_by_a_deletion_after_a_restart(accepted: bool) -> None:
    world = await tried()
    if accepted:
        await world.rest()
    await without(world, "max_replicas")
    await world.edit(knobs=[documents.hot(), documents.env(), documents.path(**TAKE), documents.plain(**TAKE)])
    world.restart()
    await world.delete()
    await world.until(lambda: gone(world))
    assert await standing(world) == BEFORE


async def test_a_class_that_loses_a_knob_which_nothing_moves_leaves_the_trial_alone() -> None:
    world = await tried()
    await without(world, "buffer")
    world.restart()
    ledger = await world.rest()
    assert ledger.trials[-1].state.value == "Accepted"
    assert (await standing(world))["max"] == "3"


async def test_a_knob_whose_place_was_edited_in_mid_trial_goes_back_at_the_place_that_was_written() -> None:
    world = await tried()
    data = {"app.yaml": (await world.theirs()), "BACKLOG": "3\n", "QUEUE": "5\n"}
    await world.patch(THEIRS, "/data", data)
    elsewhere = documents.plain(key="QUEUE", **TAKE)
    await world.edit(knobs=[documents.hot(), documents.env(), documents.path(**TAKE), elsewhere, BOUND])
    await world.rest()
    theirs = await world.outside.get(THEIRS)
    assert (theirs["data"]["BACKLOG"], theirs["data"]["QUEUE"]) == ("2\n", "5\n")


async def test_a_knob_that_is_recommended_only_since_mid_trial_still_goes_back() -> None:
    world = await tried()
    body = copy.deepcopy(documents.CLASS)
    for knob in body["spec"]["knobs"]:
        if knob["name"] == "max_replicas":
            knob["mode"] = "Recommend"
    await world.apply(body)
    world.restart()
    await world.rest()
    assert (await standing(world))["max"] == "4"


async def stopped_and_restored(world: World) -> None:
    world.brake("restore")
    await world.turns(20)


async def deleted(world: World) -> None:
    await world.delete()
    await world.turns(40)


async def with_sub_path(world: World) -> None:
    """A deploy: what pods read of the file from now on is what stood there when they began."""
    body = documents.deployment()
    body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][1]["subPath"] = "BACKLOG"
    await world.apply(body)


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "in mid-trial"])
@pytest.mark.parametrize("way", [stopped_and_restored, deleted])
async def test_a_file_that_a_deploy_mounts_otherwise_meanwhile_gets_its_text_back(
    way: Callable[[World], Awaitable[None]], accepted: bool
) -> None:
    world = await tried()
    if accepted:
        await world.rest()
    await with_sub_path(world)
    await world.turns(1 + 11 * accepted)
    await way(world)
    assert await standing(world) == BEFORE
    assert (await world.outside.get(THEIRS))["data"] == {"app.yaml": documents.APP, "BACKLOG": "2\n"}, "byte for byte"
    assert "ForeignChange" not in world.events.reasons()


async def test_what_somebody_set_in_such_a_file_is_his() -> None:
    """The twin."""
    world = await tried()
    await with_sub_path(world)
    await world.patch(THEIRS, "/data/BACKLOG", "7\n")
    await world.rest()
    assert await standing(world) == {**BEFORE, "backlog": "7"}
    ledger = await world.ledger()
    assert ledger is not None and ledger.adopted is not None and ledger.adopted.number("backlog") == 7


@pytest.mark.parametrize("way", [stopped_and_restored, deleted])
async def test_what_is_immutable_by_now_is_pending_and_its_original_is_not_forgotten(
    way: Callable[[World], Awaitable[None]],
) -> None:
    world = await tried()
    await world.outside.json_patch(THEIRS, [{"op": "add", "path": "/immutable", "value": True}])
    await way(world)
    assert await standing(world) == {**BEFORE, "cache": "3", "backlog": "3"}
    status, why, message = await world.condition("Degraded")
    assert (status, why) == ("True", "RestorePending") and "immutable" in message
    assert not {"Restored", "ForeignChange"} & set(world.events.reasons())
    theirs = (await world.outside.get(THEIRS))["data"]
    await world.outside.delete(THEIRS)
    await world.apply(documents.config_map() | {"data": theirs})
    await world.turns(40)
    assert await standing(world) == BEFORE and "Restored" in world.events.reasons()


RECOMMENDED = [
    documents.hot(),
    documents.env(),
    documents.path(mode="Recommend", **TAKE),
    documents.plain(mode="Recommend", **TAKE),
    BOUND | {"mode": "Recommend"},
]


@pytest.mark.parametrize("looks", [0, 4])
@pytest.mark.parametrize("way", [stopped_and_restored, deleted])
async def test_what_was_accepted_goes_back_though_the_profile_says_recommend_of_the_knob_since(
    way: Callable[[World], Awaitable[None]], looks: int
) -> None:
    world = await tried()
    await world.rest()
    await world.edit(knobs=RECOMMENDED)
    await world.turns(looks)
    assert (await standing(world))["max"] == "3", "until then nothing moves"
    await way(world)
    assert await standing(world) == BEFORE and "Restored" in world.events.reasons()


@pytest.mark.parametrize("looks", [0, 4])
@pytest.mark.parametrize("way", [stopped_and_restored, deleted])
async def test_what_its_owner_set_in_such_a_place_stays_his(
    way: Callable[[World], Awaitable[None]], looks: int
) -> None:
    """The twin."""
    world = await tried()
    await world.rest()
    await world.edit(knobs=RECOMMENDED)
    await world.turns(4)
    await world.patch(SCALER, "/spec/maxReplicas", 7)
    await world.turns(looks)
    await way(world)
    assert await standing(world) == {**BEFORE, "max": "7"}


async def test_another_profile_of_the_same_name_is_not_put_back_by_the_ledger_of_the_first() -> None:
    world = await tried()
    await class_gone(world)
    ref = Ref(PROFILE, world.namespace, "checkout")
    spec = (await world.profile())["spec"]
    await world.outside.json_patch(ref, [{"op": "replace", "path": "/metadata/finalizers", "value": []}])
    await world.outside.delete(ref)
    again = documents.placed(documents.profile("checkout"), world.namespace) | {"spec": spec}
    again["metadata"]["finalizers"] = ["pegbox.dev/restore"]
    await world.outside.apply(again, force=True)
    world.restart()
    before = await standing(world)
    await world.turns(2)
    await world.delete()
    await world.turns(2)
    assert await gone(world) and await standing(world) == before


# --- one place that refuses holds up no other one

NOBODY = "nobody"
REFUSES: Any = pytest.mark.parametrize(
    "error",
    [Refused("admission webhook denied the request", status=403), NotAvailable("500: failed calling webhook")],
    ids=["refused", "webhook gone"],
)
HELD_UP = {
    "our ConfigMap": ("checkout-pegbox", {"workers": "3", "threads": "3"}),
    "theirs": ("app-config", {"cache": "3", "backlog": "3"}),
    "the HPA": ("checkout", {"max": "3"}),
}


class Unwritable:
    """From now on nobody writes objects of this name."""

    def __init__(self, world: World, name: str, error: PegboxError, subresource: str = "") -> None:
        assert isinstance(world.pegbox, FakeCluster)
        self.name, self.subresource, self.error = name, subresource, error
        world.pegbox.faults.on_write(self)

    def __call__(self, when: str, write: WriteRecord) -> None:
        mine = write.kind in ("ConfigMap", "HorizontalPodAutoscaler", "Pod") and write.name == self.name
        if when == "before" and mine and write.subresource == self.subresource:
            raise self.error


@REFUSES
@pytest.mark.parametrize(("name", "held_up"), HELD_UP.values(), ids=HELD_UP)
async def test_what_one_place_refuses_holds_up_no_other_place(
    name: str, held_up: dict[str, str], error: PegboxError
) -> None:
    world = await tried()
    unwritable = Unwritable(world, name, error)
    await world.annotate("rollback")
    assert await world.turn() == -1.0
    assert await standing(world) == BEFORE | held_up
    assert str(error) in (await world.condition("Degraded"))[2]
    unwritable.name = NOBODY
    await world.rest()
    assert await standing(world) == BEFORE


async def test_a_config_map_that_somebody_deleted_holds_up_no_other_place() -> None:
    """What stood there is gone with it. It is waited for: who makes it again decides."""
    world = await tried()
    text = documents.config_map()
    await world.outside.delete(THEIRS)
    await world.annotate("rollback")
    for _ in range(6):
        assert await world.turn() == -1.0
    assert (await world.values(), await world.bounds()) == ({"workers": "2"}, (2, 4))
    assert "app-config does not exist any more" in (await world.condition("Degraded"))[2]
    await world.apply(text)
    await world.rest()
    assert await standing(world) == BEFORE


@REFUSES
async def test_nor_does_a_pod_that_the_server_does_not_resize(error: PegboxError) -> None:
    """A node may be too small for one. Where the server is unwell the others are left for the next look."""
    world, app = await test_sizes.start(test_sizes.size(), guards=documents.QUICK | {"trialWindow": "20s"})
    await world.annotate("try", "cpu_request=750m")
    await world.turn()
    first = (await app.pods.pods())[0]["metadata"]["name"]
    unwritable = Unwritable(world, first, error, "resize")
    await world.annotate("rollback")
    assert await world.turn() == -1.0
    other = "0.5" if isinstance(error, Refused) else "750m"
    assert await test_sizes.pod_sizes(app) == ["750m", other]
    assert str(error) in (await world.condition("Degraded"))[2]
    unwritable.name = NOBODY
    await world.rest()
    assert await test_sizes.pod_sizes(app) == ["0.5", "0.5"]


@REFUSES
async def test_a_trial_that_is_refused_in_one_place_writes_no_further_one(error: PegboxError) -> None:
    """The twin: what is not a way back moves as little as it can."""
    world = await tried()
    await world.annotate("rollback")
    await world.rest()
    unwritable = Unwritable(world, "checkout-pegbox", error)
    await world.annotate("try", WISH)
    assert await world.turn() == -1.0
    assert await standing(world) == BEFORE
    unwritable.name = NOBODY


async def test_an_object_that_moved_stops_a_way_back_until_it_was_read_again() -> None:
    """The twin: what was read may be old, and so this process no leader any more."""
    world = await tried()
    unwritable = Unwritable(world, "checkout-pegbox", WriteConflict("moved"))
    await world.annotate("rollback")
    assert await world.turn() == -1.0
    assert await standing(world) == dict.fromkeys(BEFORE, "3")
    unwritable.name = NOBODY
    await world.rest()
    assert await standing(world) == BEFORE


async def test_no_pod_is_evicted_while_the_config_map_that_it_reads_at_its_start_is_gone_and_refused() -> None:
    """Its successor would start with something else, and be evicted in its turn; also in the looks between two attempts."""
    world = await make()
    await world.add(documents.profile("checkout", documents.env()), documents.deployment(replicas=4), threads=2)
    await world.steady()
    await world.annotate("try", "threads=3")
    await world.turns(3)
    await world.annotate("rollback")
    await world.wake()
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK and intent.applied_at is not None
    await world.outside.delete(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"))
    unwritable = Unwritable(world, "checkout-pegbox", Refused("exceeded quota: configmaps"))
    evicted = written(world.pegbox).count(("evict", "Pod", "eviction"))
    for _ in range(10):
        await world.turn()
        assert written(world.pegbox).count(("evict", "Pod", "eviction")) == evicted
    unwritable.name = NOBODY
    await world.rest(limit=120)
    assert (await world.own())["data"]["THREADS"] == "2"
