"""Two leaders: what a paused one still believes, and how the new one makes that harmless."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from collections.abc import Awaitable, Sequence
from fractions import Fraction as F
from typing import Any, TypeVar, cast

import pytest

from pegbox.model.brakes import OPT_OUT_ANNOTATION
from pegbox.model.errors import NotAvailable, Refused, WriteConflict
from pegbox.model.trials import IntentKind
from pegbox.ports import BUDGET, CONFIG_MAP, DEPLOYMENT, HPA, POD, POD_ENVIRONMENT, PROFILE, Cluster, Object, Ref
from pegbox.runtime import claims, fence, leaving, reading
from pegbox.runtime.holding import held
from pegbox.runtime.points import Point, nobody
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import Killed, WriteRecord
from tests.loop import documents
from tests.loop.world import World, make, written

T = TypeVar("T")
SCALER = {"create": {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}}
BOUND = {"name": "max_replicas", "min": 1, "max": 8}


async def in_mid_trial() -> World:
    """A trial of a hot knob, a key of the owner's ConfigMap and an HPA bound, written but not yet read back."""
    world = await make()
    await world.apply(documents.config_map())
    knobs = documents.hot(), documents.plain(conflictPolicy="Take"), BOUND
    await world.add(documents.profile("checkout", *knobs, autoscaler=SCALER), workers=2, backlog=2)
    await world.steady()
    await world.annotate("try", "workers=3,backlog=3,max_replicas=4")
    await world.turn()
    return world


def refs(world: World) -> dict[str, Ref]:
    return {
        "our ConfigMap": Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"),
        "their ConfigMap": Ref(CONFIG_MAP, world.namespace, "app-config"),
        "the HPA": Ref(HPA, world.namespace, "checkout-pegbox"),
    }


async def seen(world: World) -> dict[str, Object]:
    return {name: copy.deepcopy(await world.outside.get(ref)) for name, ref in refs(world).items()}


def version(body: Object) -> str:
    return str(body["metadata"]["resourceVersion"])


async def test_a_new_leader_moves_every_object_of_the_recorded_intent_before_it_writes() -> None:
    world = await in_mid_trial()
    before = await seen(world)
    world.restart()
    await world.wake()
    after = await seen(world)
    assert {name for name in before if version(before[name]) != version(after[name])} == set(before)
    for name, body in after.items():
        assert fence.FENCE not in (body["metadata"].get("annotations") or {}), name
        assert body.get("data") == before[name].get("data")


@pytest.mark.parametrize("name", ["our ConfigMap", "their ConfigMap", "the HPA"])
async def test_a_stale_leaders_late_write_then_fails(name: str) -> None:
    """It read the object, was paused for a minute, and writes with the version that it knows."""
    world = await in_mid_trial()
    stale = (await seen(world))[name]
    world.restart()
    await world.wake()
    late = {k: stale[k] for k in ("apiVersion", "kind")} | {
        "metadata": {k: stale["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")},
        "data" if "data" in stale else "spec": stale.get("data") or {"maxReplicas": 8},
    }
    with pytest.raises(WriteConflict):
        await world.pegbox.apply(late, force=True)


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_stale_leader_that_would_record_the_end_of_a_restore_fails_once_it_is_fenced(fenced: bool) -> None:
    """Seed 9001352 of the schedules: it then gave a field back on an object that it read anew, and let the profile go.
    Before the fence it may: then it finishes the intent, and nothing else."""
    world = await in_mid_trial()
    server = world.pegbox
    await world.delete()
    await world.turn()
    paused = BeforeTheEnd(cast("FakeCluster", server), 1)
    world.pegbox = cast("Cluster", paused)
    world.restart()
    task = await _until_it_stops(world, paused)
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.RESTORE
    world.pegbox = server
    world.restart()
    if fenced:
        found = await reading.read_rest(server, await reading.read_spec(server, world.namespace, "checkout", None))
        await fence.fence(server, found, intent, "new", lambda point: None)
    paused.go_on.set()
    await task
    assert (paused.answers, await world.exists()) == ((["conflict"], True) if fenced else ([], False))
    assert await world.intent() == (intent if fenced else None)
    await world.turns(4)
    assert not await world.exists() and (await world.theirs("BACKLOG")).strip() == "2"


@pytest.mark.parametrize("made", ["by_the_new_leader", "and_again_after_somebody_deleted_it"])
async def test_a_stale_leader_makes_no_document_where_another_one_stands_by_now(made: str) -> None:
    """It adopts, and is paused before its first write: there was nothing whose version it could name."""
    world = await make()
    server = world.pegbox
    paused = BeforeTheDocument(cast("FakeCluster", server), 1)
    world.pegbox = cast("Cluster", paused)
    world.restart()
    await world.add(documents.profile("checkout", documents.hot(initial=4)), workers=4)
    task = await _until_it_stops(world, paused)
    world.pegbox = server
    world.restart()
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    if made == "and_again_after_somebody_deleted_it":
        await world.outside.delete(refs(world)["our ConfigMap"])
        await world.turns(2)
    document = await world.outside.get(refs(world)["our ConfigMap"])
    paused.go_on.set()
    await task
    assert paused.answers == ["conflict"] and await world.values() == {"workers": "3"}
    assert await world.outside.get(refs(world)["our ConfigMap"]) == document


async def test_a_document_that_was_made_though_its_answer_was_lost_is_gone_on_with() -> None:
    world = await make()
    server = cast("FakeCluster", world.pegbox)
    server.faults.fail_next("apply", CONFIG_MAP, NotAvailable("reset"), lost=True)
    await world.add(documents.profile("checkout", documents.hot(initial=4)), workers=4)
    await world.steady()
    assert written(server).count(("apply", "ConfigMap", "")) == 1 and await world.values() == {"workers": "4"}


async def test_a_variable_that_leaves_the_profile_leaves_the_document_that_we_made() -> None:
    """Its fields are those of the apply that made it: of a create's, a later apply would take none away."""
    world = await make()
    await world.add(documents.profile("checkout", documents.hot(), documents.env()), workers=2, threads=2)
    await world.steady()
    assert sorted((await world.outside.get(refs(world)["our ConfigMap"]))["data"]) == ["THREADS", "settings.json"]
    await world.edit(knobs=[documents.hot()])
    await world.annotate("try", "workers=3")
    await world.turns(2)
    assert list((await world.outside.get(refs(world)["our ConfigMap"]))["data"]) == ["settings.json"]


async def test_a_field_is_given_back_on_the_object_as_it_was_read_and_on_none_that_moved_since() -> None:
    """A stop with restore gives back before it records the end: no ledger is in a late write's way there."""
    world = await in_mid_trial()
    await world.rest()
    server, where = world.pegbox, Ref(CONFIG_MAP, world.namespace, "app-config")
    found = await reading.read_rest(server, await reading.read_spec(server, world.namespace, "checkout", None))
    assert found.stored is not None
    values = {name: dataclasses.replace(v, raw="2\n") for name, v in held(found, {}).items()}
    original = next(o for o in found.stored.originals if "BACKLOG" in o.location)
    ledger = dataclasses.replace(found.stored, originals=(dataclasses.replace(original, raw="2\n"),))
    await world.patch(where, "/metadata/annotations", {"example.com/moved": "1"})
    moved = await world.outside.get(where)
    with pytest.raises(WriteConflict):
        await leaving.give_back(server, found, values, ledger, nobody)
    assert await world.outside.get(where) == moved
    await leaving.give_back(
        server, dataclasses.replace(found, config_maps={"app-config": moved}), values, ledger, nobody
    )
    assert await world.outside.get(where) != moved


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_stale_leader_deletes_no_variables_once_they_are_fenced(fenced: bool) -> None:
    """A global restore deletes them before it records its end: the deletion names the object as it was read. The twin
    finishes the recorded intent, and nothing else."""
    world = await make()
    for body in documents.policy():
        await world.outside.apply(body)
    await world.add(documents.profile("checkout", documents.hot(), documents.variable()), workers=2, lanes=2)
    await world.steady()
    await world.annotate("try", "lanes=3")
    await world.turns(2)
    server, where = world.pegbox, Ref(POD_ENVIRONMENT, world.namespace, "checkout")
    paused = BeforeTheVariablesGo(cast("FakeCluster", server), 1)
    world.pegbox = cast("Cluster", paused)
    world.restart()
    world.brake("restore")
    task = await _until_it_stops(world, paused)
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.RESTORE
    if fenced:
        found = await reading.read_rest(server, await reading.read_spec(server, world.namespace, "checkout", None))
        await fence.fence(server, found, intent, "new", lambda point: None)
    paused.go_on.set()
    await task
    assert paused.answers == (["conflict"] if fenced else [])
    assert (await world.find(where) is not None) is fenced


async def test_the_same_leader_never_fences_what_it_began() -> None:
    world = await in_mid_trial()
    begun = written(world.pegbox).count(("json_patch", "ConfigMap", ""))
    await world.rest()
    assert written(world.pegbox).count(("json_patch", "ConfigMap", "")) == begun


async def test_what_no_stage_moves_is_not_touched() -> None:
    world = await in_mid_trial()
    found = await reading.read_rest(
        world.pegbox, await reading.read_spec(world.pegbox, world.namespace, "checkout", None)
    )
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.TRIAL
    kinds = [ref.kind.kind for ref, _ in fence.named(found, intent)]
    assert kinds == ["ConfigMap", "ConfigMap", "HorizontalPodAutoscaler"]  # and not the Deployment


async def test_with_writes_forbidden_nothing_is_fenced() -> None:
    world = await in_mid_trial()
    before = await seen(world)
    world.allow_writes = False
    world.restart()
    await world.wake()
    assert await seen(world) == before


async def test_a_target_that_was_recreated_is_not_touched_by_the_fence() -> None:
    """The intent was recorded for the old one: nothing of it is written to another object of the same name."""
    world = await make()
    await world.add(documents.profile("checkout", documents.env()), workers=2, threads=2)
    await world.steady()
    await world.annotate("try", "threads=3")
    await world.wake()
    target = Ref(DEPLOYMENT, world.namespace, "checkout")
    await world.outside.delete(target)
    await world.apply(documents.deployment())
    begun = written(world.pegbox).count(("json_patch", "Deployment", ""))
    world.restart()
    await world.wake()
    assert written(world.pegbox).count(("json_patch", "Deployment", "")) == begun


# --- pods, whose requests and limits are resized in place

SIZES = {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
RESIZE = ("json_patch", "Pod", "resize")


class Paused:
    """The API server, as a process sees it that is stopped right before its n-th resize, and goes on when told."""

    def __init__(self, server: FakeCluster, at: int) -> None:
        self.server, self.left = server, at
        self.stopped, self.go_on = asyncio.Event(), asyncio.Event()
        self.answers: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        if subresource != "resize":
            return await self.server.json_patch(ref, operations, subresource=subresource)
        self.left -= 1
        if self.left == 0:
            await self._stop()
        return await self._noted(self.server.json_patch(ref, operations, subresource=subresource))

    async def _stop(self) -> None:
        self.stopped.set()
        await self.go_on.wait()

    async def _noted(self, write: Awaitable[T]) -> T:
        try:
            return await write
        except WriteConflict:
            self.answers.append("conflict")
            raise


class BeforeTheEnd(Paused):
    """Stopped right before it records that nothing is under way any more."""

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        if body["kind"] != "TuningLedger" or body["data"]["summary"]["intent"]:
            return await self.server.apply(body, force=force, subresource=subresource)
        await self._stop()
        return await self._noted(self.server.apply(body, force=force, subresource=subresource))


class BeforeTheDocument(Paused):
    """Stopped right before it makes our ConfigMap, which nobody has made yet."""

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        if body["kind"] != "ConfigMap" or self.stopped.is_set():
            return await self.server.apply(body, force=force, subresource=subresource)
        await self._stop()
        return await self._noted(self.server.apply(body, force=force, subresource=subresource))


class BeforeTheVariablesGo(Paused):
    """Stopped right before it deletes our PodEnvironment."""

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        await self._stop()
        await self._noted(self.server.delete(ref, uid=uid, version=version))


class BeforeAClaim(Paused):
    """Stopped right before it first lowers its claim, once it is told to."""

    armed = False

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        told = [op["value"] for op in operations if op["path"] == "/status"]
        if ref.kind is not BUDGET or not self.armed or not self._lower(ref, told):
            return await self.server.json_patch(ref, operations, subresource=subresource)
        await self._stop()
        return await self.server.json_patch(ref, operations, subresource=subresource)

    def _lower(self, ref: Ref, told: list[Object]) -> bool:
        stands = (self.server.peek(ref) or {}).get("status", {})
        return any(_claimed(status) < _claimed(stands) for status in told)


def _claimed(status: Object) -> int:
    return sum(claim["amount"] for claim in status["claims"])


async def resizable(**options: Any) -> tuple[World, FakeCluster]:
    """Two pods of 500m each, at rest."""
    world = await make(**options)
    knob = {"name": "cpu_request", "conflictPolicy": "Take"}
    target = documents.sized(documents.deployment(), **SIZES)
    await world.add(documents.profile("checkout", documents.hot(), knob), target, workers=2)
    await world.steady()
    assert isinstance(world.pegbox, FakeCluster)
    return world, world.pegbox


async def stale_leader(world: World, server: FakeCluster, at: int) -> tuple[Paused, asyncio.Task[float | None]]:
    """It begins a trial of 750m, and is stopped right before its n-th resize. Another process takes over."""
    paused = Paused(server, at)
    world.pegbox = cast("Cluster", paused)
    world.restart()
    await world.turns(6)
    await world.annotate("try", "cpu_request=750m")
    task = await _until_it_stops(world, paused)
    world.pegbox = server
    world.restart()
    return paused, task


async def _until_it_stops(world: World, paused: Paused) -> asyncio.Task[float | None]:
    """Its wake that was stopped; what it wrote in those before is taken note of."""
    task = asyncio.ensure_future(world.operator(f"{world.namespace}/checkout"))
    while not paused.stopped.is_set():
        if task.done():
            await world.pods_step(world.apps["checkout"])
            world.clock.skip(2.0)
            task = asyncio.ensure_future(world.operator(f"{world.namespace}/checkout"))
        await asyncio.wait({task, asyncio.ensure_future(paused.stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
    return task


async def sizes(world: World) -> list[str]:
    return [str(p["spec"]["containers"][0]["resources"]["requests"]["cpu"]) for p in await pods(world)]


async def pods(world: World) -> list[Object]:
    return sorted(await world.outside.list(POD, world.namespace), key=lambda pod: str(pod["metadata"]["name"]))


@pytest.mark.parametrize("at", [1, 2], ids=["before_its_first_resize", "between_two_resizes"])
async def test_a_stale_leaders_late_resize_fails_once_the_new_one_turned_back(at: int) -> None:
    """Its patch names the pod as it read it. The pod has the parent's size: putting back wrote nothing to it."""
    world, server = await resizable()
    paused, task = await stale_leader(world, server, at)
    await world.annotate("rollback")
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK
    before = await sizes(world)
    paused.go_on.set()
    await task
    assert paused.answers == ["conflict"] and await sizes(world) == before
    await world.rest()
    assert await sizes(world) == ["500m", "500m"]


async def test_a_stale_leader_that_goes_on_before_the_fence_finishes_its_intent_at_the_most() -> None:
    world, server = await resizable()
    paused, task = await stale_leader(world, server, 1)
    paused.go_on.set()
    await task
    assert await sizes(world) == ["750m", "750m"]
    await world.rest()
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None
    assert await sizes(world) == [{F(1, 2): "500m", F(3, 4): "750m"}[ledger.incumbent.number("cpu_request")]] * 2


async def test_a_fenced_pod_says_what_it_said_and_its_kubelet_has_nothing_to_do() -> None:
    world, server = await resizable()
    paused, task = await stale_leader(world, server, 1)
    before = await pods(world)
    found = await reading.read_rest(server, await reading.read_spec(server, world.namespace, "checkout", None))
    intent = await world.intent()
    assert intent is not None
    await fence.fence(server, found, intent, "new", lambda point: None)
    for old, new in zip(before, await pods(world), strict=True):
        assert old["spec"] == new["spec"] and old["status"] == new["status"]
        assert old["metadata"]["generation"] == new["metadata"]["generation"]
        assert version(old) != version(new)
    paused.go_on.set()
    await task


async def test_pods_of_an_intent_that_resizes_nothing_are_left_alone() -> None:
    world, _ = await resizable()
    await world.annotate("try", "workers=3")
    await world.turn()
    before = [version(pod) for pod in await pods(world)]
    world.restart()
    await world.wake()
    assert [version(pod) for pod in await pods(world)] == before


@pytest.mark.parametrize("form", [1, 2], ids=["after_the_first_of_its_two_patches", "after_the_second"])
async def test_a_new_leader_that_is_killed_while_it_fences_a_pod_is_followed_by_another(form: int) -> None:
    world, server = await resizable()
    paused, task = await stale_leader(world, server, 1)
    left = [form]

    def kill(when: str, write: WriteRecord) -> None:
        if when == "after" and (write.verb, write.kind, write.subresource) == RESIZE and left[0]:
            left[0] -= 1
            if not left[0]:
                raise Killed

    server.faults.on_write(kill)
    with pytest.raises(Killed):
        await world.wake()
    world.restart()
    await world.wake()
    assert await sizes(world) in (["500m", "500m"], ["750m", "750m"])  # in the form that they had
    paused.go_on.set()
    await task
    assert paused.answers == ["conflict"]
    await world.rest()


@pytest.mark.parametrize("point", [Point.BEFORE_FENCE, Point.AFTER_FENCE])
@pytest.mark.parametrize("count", [1, 2, 3, 4], ids=["ledger", "our_config_map", "the_first_pod", "the_second_pod"])
async def test_killed_at_any_point_of_the_fence_the_next_one_fences_again(point: Point, count: int) -> None:
    world, server = await resizable()
    paused, task = await stale_leader(world, server, 1)
    left = [count]

    def kill(reached: Point) -> None:
        left[0] -= reached is point
        if left[0] == 0:
            world.reached = lambda point: None
            raise Killed

    world.reached = kill
    with pytest.raises(Killed):
        await world.wake()
    world.restart()
    await world.wake()
    paused.go_on.set()
    await task
    assert paused.answers == ["conflict"]
    ledger = await world.rest()
    assert ledger.incumbent is not None
    assert await sizes(world) == [{F(1, 2): "500m", F(3, 4): "750m"}[ledger.incumbent.number("cpu_request")]] * 2


async def test_a_pod_that_the_server_refuses_to_move_holds_up_no_way_back() -> None:
    world, server = await resizable()
    paused, task = await stale_leader(world, server, 2)
    await world.annotate("rollback")
    server.faults.fail_next("json_patch", POD, Refused("a LimitRange says no", status=403))
    await world.rest()
    assert await sizes(world) == ["500m", "500m"]
    paused.go_on.set()
    await task
    await world.turns(3)
    assert await sizes(world) == ["500m", "500m"]  # its late write, if any, was taken back


async def test_an_intent_that_a_stale_leader_wrote_down_after_the_takeover_is_fenced_too() -> None:
    """It was paused right before it wrote its ledger, which nobody had moved meanwhile."""
    world = await make()
    await world.add(documents.profile("checkout", documents.hot()), workers=2)
    await world.steady()
    stale = world.operator
    await world.annotate("try", "workers=3")
    server = world.pegbox
    world.restart()
    profile = await world.profile()
    notes = {k: v for k, v in profile["metadata"]["annotations"].items() if k != "pegbox.dev/try"}
    await world.patch(Ref(PROFILE, world.namespace, "checkout"), "/metadata/annotations", notes)
    await world.wake()  # the new one looks, finds nothing under way, and writes nothing
    await world.patch(
        Ref(PROFILE, world.namespace, "checkout"), "/metadata/annotations", profile["metadata"]["annotations"]
    )
    begun = written(server).count(("json_patch", "ConfigMap", ""))
    await stale(f"{world.namespace}/checkout")
    assert await world.intent() is not None
    await world.wake()
    assert written(server).count(("json_patch", "ConfigMap", "")) == begun + 2  # set and taken away again


async def _with_a_note_left() -> World:
    """A new leader noted the HPA, whose answer was lost; then Auto was withdrawn, which ended the trial, and given again."""
    world = await in_mid_trial()
    world.restart()
    cast("FakeCluster", world.pegbox).faults.fail_next("json_patch", HPA, NotAvailable("reset"), lost=True)
    assert await world.wake() == -1.0
    await world.let_go()
    await world.turns(2)
    assert await world.intent() is None and await _noted(world) == ["the HPA"]
    return world


async def _noted(world: World) -> list[str]:
    return [n for n, body in (await seen(world)).items() if fence.FENCE in (body["metadata"].get("annotations") or {})]


async def test_the_note_of_a_fence_that_broke_off_is_taken_away_once_writing_is_allowed() -> None:
    world = await _with_a_note_left()
    before = await seen(world)
    await world.edit(mode="Auto")
    await world.turns(2)
    assert await _noted(world) == []
    after = await seen(world)
    assert [b.get("spec", b.get("data")) for b in after.values()] == [
        b.get("spec", b.get("data")) for b in before.values()
    ]


async def test_not_in_recommend_and_not_where_the_workload_opted_out() -> None:
    world = await _with_a_note_left()
    await world.turns(3)
    assert await _noted(world) == ["the HPA"]
    await world.patch(
        Ref(DEPLOYMENT, world.namespace, "checkout"), "/metadata/annotations", {OPT_OUT_ANNOTATION: "true"}
    )
    await world.edit(mode="Auto")
    await world.turns(3)
    assert await _noted(world) == ["the HPA"]


# --- claims on a SharedBudget, which every profile of it moves


async def about_to_lower_its_claim() -> tuple[World, BeforeAClaim, asyncio.Task[float | None]]:
    """Two pods go from 4 workers to 2: 8 units and the slot stay claimed until the acceptance is recorded. Right before the 4 are written, a look later, the leader is paused, and another process takes over."""
    world = await make()
    server = cast("FakeCluster", world.pegbox)
    await world.apply(documents.budget(capacity=10, reserve=0))
    shared = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
    paused = BeforeAClaim(server, 1)
    world.pegbox = cast("Cluster", paused)
    world.restart()
    await world.add(documents.profile("checkout", documents.hot(initial=4), budgets=[shared]), workers=4)
    await world.steady()
    assert await world.claims() == {"checkout": (8, "None")}
    await world.annotate("try", "workers=2")
    await world.turn()
    assert await world.claims() == {"checkout": (8, "Holding")}
    paused.armed = True
    task = await _until_it_stops(world, paused)
    world.pegbox = server
    world.restart()
    return world, paused, task


async def test_a_stale_leader_does_not_lower_a_claim_that_the_new_one_found_right() -> None:
    """The new one is asked to put the trial back: it goes on needing the 8, and has nothing to change of them."""
    world, paused, task = await about_to_lower_its_claim()
    await world.annotate("rollback")
    await world.wake()
    assert await world.claims() == {"checkout": (8, "Holding")}
    paused.go_on.set()
    assert await task == -1.0 and await world.claims() == {"checkout": (8, "Holding")}
    await world.rest()
    await world.turn()
    assert await world.values() == {"workers": "4"} and await world.claims() == {"checkout": (8, "None")}


async def test_nor_one_that_the_new_one_wrote_by_now() -> None:
    world, paused, task = await about_to_lower_its_claim()
    await world.rest()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    await world.turn()
    assert await world.values() == {"workers": "3"} and await world.claims() == {"checkout": (6, "None")}
    paused.go_on.set()
    assert await task == -1.0 and await world.claims() == {"checkout": (6, "None")}


async def test_before_the_new_one_wakes_it_may_and_the_new_one_claims_again_what_it_needs() -> None:
    world, paused, task = await about_to_lower_its_claim()
    paused.go_on.set()
    await task
    assert await world.claims() == {"checkout": (4, "None")}
    await world.rest()
    assert await world.values() == {"workers": "2"} and await world.claims() == {"checkout": (4, "None")}


async def test_claims_of_others_that_move_meanwhile_are_no_conflict() -> None:
    world, paused, task = await about_to_lower_its_claim()
    place = Ref(BUDGET, world.namespace, "postgres")
    other = {"uid": "u", "holder": "shop/basket", "amount": 2, "expires": "2100-01-01T00:00:00Z", "trial": "None"}
    await world.outside.json_patch(
        place, [{"op": "add", "path": "/status/claims/-", "value": other}], subresource="status"
    )
    paused.go_on.set()
    await task
    assert await world.claims() == {"basket": (2, "None"), "checkout": (4, "None")}


async def test_a_stale_leader_gives_no_claim_back_that_the_new_one_renewed() -> None:
    world, paused, task = await about_to_lower_its_claim()
    found = await reading.read_rest(paused.server, await reading.read_spec(paused.server, "shop", "checkout", None))
    now = world.clock.now()
    await world.wake()
    with pytest.raises(WriteConflict):
        await claims.release(paused.server, found, {}, now)
    assert "checkout" in await world.claims()
    found = await reading.read_rest(paused.server, await reading.read_spec(paused.server, "shop", "checkout", None))
    await claims.release(paused.server, found, {}, now)
    assert await world.claims() == {}
    paused.go_on.set()
    await task
