"""Modes, deletion and idleness: who may write what, and what stays afterwards."""

from __future__ import annotations

import json

import pytest

from pegbox.model.brakes import OPT_OUT_ANNOTATION
from pegbox.model.errors import NotAvailable, WriteConflict
from pegbox.model.knobs import values_hash
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, LEDGER, POD, PROFILE, Ref
from pegbox.runtime.places import FINALIZER
from pegbox.runtime.points import Point
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents, test_canary, test_sizes
from tests.loop.killing import Countdown, killed_once
from tests.loop.world import App, World, make, written

TAKE = {"conflictPolicy": "Take"}
OWN = {"PerformanceProfile", "TuningLedger", "SharedBudget", "Lease", "Event"}


@pytest.mark.parametrize("mode", ["Observe", "Recommend"])
@pytest.mark.parametrize("allow_writes", [True, False], ids=["operator may write", "operator may not write"])
async def test_other_modes_than_auto_write_only_objects_of_pegbox(mode: str, allow_writes: bool) -> None:
    world = await make(allow_writes=allow_writes)
    await world.apply(documents.config_map(), documents.budget())
    knobs = (
        documents.hot(),
        documents.path(**TAKE),
        documents.env(),
        {"name": "max_replicas", "min": 1, "max": 8, "initial": 3},
    )
    body = documents.profile(
        "checkout",
        *knobs,
        mode=mode,
        autoscaler={"create": {"minReplicas": 2, "maxReplicas": 3}},
        budgets=[{"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}],
    )
    await world.add(body, workers=2, cache=2, threads=2)
    await world.turns(20)
    await world.annotate("try", "workers=3")
    await world.turns(5)
    assert {kind for _, kind, _ in written(world.pegbox)} == {"PerformanceProfile", "TuningLedger"}
    assert "finalizers" not in (await world.profile())["metadata"]
    assert await world.claims() == {}
    assert "RequestRefused" in world.events.reasons()


async def test_auto_under_an_operator_that_may_not_write_writes_nothing_either() -> None:
    world = await make(allow_writes=False)
    await world.add(documents.profile(), workers=2)
    await world.turns(20)
    assert {kind for _, kind, _ in written(world.pegbox)} <= OWN


async def test_two_hundred_idle_wakes_write_nothing() -> None:
    world = await make()
    await world.apply(documents.budget(capacity=1000))
    budget = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
    await world.add(documents.profile(budgets=[budget]), workers=2)
    await world.steady()
    await world.turns(10)
    before = len(written(world.pegbox))
    emitted = len(world.events.emitted)
    await world.turns(200)
    assert written(world.pegbox)[before:] == []
    assert len(world.events.emitted) == emitted


async def test_statistics_alone_are_saved_within_the_hour() -> None:
    """They are worth a write now and then: a restart must not forget a day."""
    world = await make()
    await world.add(documents.profile(interval="5m"), workers=2)
    await world.steady()
    before = len(written(world.pegbox))
    await world.turns(14)  # 70 minutes
    kinds = [kind for _, kind, _ in written(world.pegbox)[before:]]
    assert 1 <= kinds.count("TuningLedger") <= 3


async def test_leaving_auto_in_mid_trial_writes_nothing_more_and_frees_the_trial_slot() -> None:
    world = await make()
    await world.apply(documents.budget())
    budget = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
    await world.add(documents.profile(budgets=[budget]), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    assert (await world.claims())["checkout"] == (6, "Holding")
    document = await world.document()
    await world.edit(mode="Recommend")
    await world.turns(5)
    assert await world.document() == document
    assert (await world.claims())["checkout"] == (6, "None")  # its pods may use it, and no other trial waits for it


WAITS = "still to be put back, once it is Auto: workers=2"


async def _turned_in_mid_trial(mode: str = "Recommend") -> World:
    """2 workers were adopted; 3 are written, unjudged, when the mode is turned."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    assert await world.values() == {"workers": "3"}
    await world.edit(mode=mode)
    return world


@pytest.mark.parametrize("mode", ["Observe", "Recommend"])
async def test_what_nobody_judged_goes_back_once_the_mode_is_auto_again_and_not_before(mode: str) -> None:
    world = await _turned_in_mid_trial(mode)
    await world.turn()
    before = len(written(world.pegbox))
    await world.turns(20)
    assert {kind for _, kind, _ in written(world.pegbox)[before:]} <= {"PerformanceProfile"}, "its status, at the most"
    assert await world.values() == {"workers": "3"}
    assert WAITS in await world.why()
    assert (await world.condition("Degraded"))[0] == "False"  # nobody is to be woken for what was asked for
    await world.edit(mode="Auto")
    await world.turns(2)
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"}
    assert ledger.incumbent == ledger.adopted
    assert [t.state.value for t in ledger.trials] == ["Inconclusive"]  # what stood meanwhile was never accepted


async def test_what_nobody_judged_goes_back_after_a_restart_of_the_operator_too() -> None:
    world = await _turned_in_mid_trial()
    await world.turns(2)
    world.restart()
    await world.turns(2)
    await world.edit(mode="Auto")
    await world.turn()
    await world.rest()
    assert await world.values() == {"workers": "2"}


async def test_a_trial_that_was_never_written_ends_at_once_and_what_a_person_puts_back_ends_it_too() -> None:
    """Else nothing would be proposed until the mode is Auto again."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    server.faults.fail_next("apply", CONFIG_MAP, NotAvailable("503"))
    await world.annotate("try", "workers=3")
    assert await world.turn() == -1.0 and await world.intent() is not None
    await world.edit(mode="Recommend")
    await world.turns(2)
    assert await world.intent() is None and await world.values() == {"workers": "2"}

    world = await _turned_in_mid_trial()
    await world.turns(2)
    assert await world.intent() is not None
    body = json.loads((await world.own())["data"]["settings.json"])
    assert body["values"] == {"workers": "3"}
    body |= {"generation": body["generation"] + 1, "values": {"workers": "2"}, "hash": values_hash({"workers": "2"})}
    await world.patch(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"), "/data/settings.json", json.dumps(body))
    await world.turns(2)
    assert await world.intent() is None


async def test_a_way_back_that_no_pod_has_read_is_not_over_in_another_mode_either() -> None:
    """Seed 2700004337: it was over at once, and windows of the trial's value, which pods still ran, taken for the parent's."""
    world = await make()
    app = await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turns(2)
    app.silent = True
    await world.annotate("rollback")
    await world.turn()
    assert await world.values() == {"workers": "2"}, "written"
    await world.edit(mode="Recommend")
    await world.turns(5)
    assert await world.intent() is not None, "and not read"
    app.silent = False
    await world.turns(2)
    assert await world.intent() is None


async def test_a_way_back_that_the_mode_cut_off_is_finished_once_it_is_auto_again() -> None:
    world = await make()
    app = await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    app.silent = True  # nobody takes what follows
    await world.annotate("rollback")
    await world.turn()
    world.restart()
    await world.edit(mode="Recommend")
    await world.turns(3)
    app.silent = False
    await world.edit(mode="Auto")
    await world.turn()
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"}
    assert ledger.incumbent == ledger.adopted


@pytest.mark.parametrize("looks", [0, 3], ids=["in the same look as the mode", "while it is Recommend"])
async def test_what_somebody_set_meanwhile_is_his(looks: int) -> None:
    """The rest goes back beside it. A deletion leaves it, too, though it restores what was adopted."""
    world = await make()
    await world.apply(documents.hpa())
    knob = {"name": "max_replicas", "min": 1, "max": 8} | TAKE
    body = documents.profile("checkout", documents.hot(), knob, autoscaler={"ref": {"name": "checkout"}})
    await world.add(body, workers=2)
    await world.steady()
    await world.annotate("try", "workers=3,max_replicas=5")
    await world.turn()
    await world.edit(mode="Recommend")
    await world.turns(looks)
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 7)
    await world.turns(2)
    await world.edit(mode="Auto")
    await world.turns(8)
    await world.rest()
    assert (await world.values(), await world.bounds()) == ({"workers": "2"}, (2, 7))
    await world.delete()
    await world.turns(10)
    assert (await world.values(), await world.bounds()) == ({"workers": "2"}, (2, 7))


async def test_an_accepted_setting_stays_when_the_mode_is_turned_and_turned_back() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    for mode in ("Recommend", "Auto"):
        await world.edit(mode=mode)
        await world.turns(4)
    assert await world.values() == {"workers": "3"}


async def test_a_deletion_meanwhile_restores_what_was_adopted() -> None:
    world = await _turned_in_mid_trial()
    await world.turns(2)
    await world.delete()
    await world.turns(10)
    assert not await world.exists()
    assert await world.values() == {"workers": "2"}


@pytest.mark.parametrize("policy", ["Restore", "Keep"])
async def test_deleting_the_profile_restores_or_keeps_and_lets_go_of_everything(policy: str) -> None:
    world = await make()
    await world.apply(documents.config_map(), documents.budget(), documents.hpa())
    knobs = documents.hot(), documents.path(**TAKE), documents.env(), {"name": "max_replicas", "min": 1, "max": 8}
    body = documents.profile(
        "checkout",
        *knobs,
        autoscaler={"ref": {"name": "checkout"}},
        conflictPolicy="Take",
        deletionPolicy=policy,
        budgets=[{"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}],
    )
    await world.add(body, workers=2, cache=2, threads=2)
    await world.steady()
    assert FINALIZER in (await world.profile())["metadata"]["finalizers"]
    await world.annotate("try", "workers=3,cache=3,threads=3,max_replicas=5")
    await world.turn()
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await world.delete()
    for _ in range(30):
        if not await world.exists():
            break
        await world.turn()
    assert not await world.exists()
    kept = policy == "Keep"
    assert await world.values() == {"workers": "3" if kept else "2"}
    assert (await world.own())["data"]["THREADS"] == ("3" if kept else "2")
    assert await world.theirs() == (documents.APP.replace("size: 2 ", "size: 3 ") if kept else documents.APP)
    assert await world.bounds() == ((2, 5) if kept else (2, 4))
    assert await world.claims() == {}
    assert await world.find(Ref(LEDGER, world.namespace, "checkout")) is not None  # for whoever comes back
    assert await world.wake() is None


async def test_a_silent_pod_does_not_hold_up_a_deletion() -> None:
    world = await make()
    app = await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    app.silent = True
    await world.delete()
    await world.turns(20)
    assert not await world.exists()
    assert await world.values() == {"workers": "2"}


async def test_a_foreign_change_at_rest_is_theirs_after_the_deletion_too() -> None:
    world = await make()
    await world.apply(documents.hpa())
    knob = {"name": "max_replicas", "min": 1, "max": 8} | TAKE
    body = documents.profile("checkout", documents.hot(), knob, autoscaler={"ref": {"name": "checkout"}})
    await world.add(body, workers=2)
    await world.steady()
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 7)
    await world.turns(2)
    assert "ForeignChange" in world.events.reasons()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    await world.delete()
    await world.turns(10)
    assert await world.bounds() == (2, 7)


async def test_a_profile_that_is_gone_is_forgotten_and_one_whose_objects_vanish_is_not() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    from pegbox.model.errors import NotFound

    server.faults.fail_next("apply", None, NotFound("the ConfigMap vanished between reading and writing"))
    assert await world.wake() == -1.0  # again soon, not forgotten
    assert f"{world.namespace}/checkout" in world.reconciler.memories
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await world.outside.json_patch(
        Ref(PROFILE, world.namespace, "checkout"), [{"op": "replace", "path": "/metadata/finalizers", "value": []}]
    )
    await world.delete()
    assert await world.wake() is None
    assert world.reconciler.memories == {}


async def test_lower_first_and_then_raise_holds_across_a_turn_of_the_mode() -> None:
    """2 pods of 4 workers, back to 4 of 2: both are 8 of 8. What pods have not read yet keeps the bound down."""
    world = await make()
    await world.apply(documents.hpa(low=1, high=4))
    bound = {"name": "max_replicas", "min": 1, "max": 8} | TAKE
    budget = {"name": "conns", "uses": "pods * workers", "limit": 8}
    scaler = {"ref": {"name": "checkout"}}
    body = documents.profile("checkout", documents.hot(), bound, autoscaler=scaler, budgets=[budget])
    app = await world.add(body, documents.deployment(replicas=2), workers=2)
    app.wants = lambda service: 2
    await world.steady()
    await world.annotate("try", "workers=4,max_replicas=2")

    async def tried() -> bool:
        return (await world.values(), (await world.bounds())[1]) == ({"workers": "4"}, 2)

    await world.until(tried)
    app.silent, app.wants = True, lambda service: 4
    await world.annotate("rollback")
    await world.turn()
    assert (await world.values(), await world.bounds()) == ({"workers": "2"}, (1, 2)), "lowered, and not read yet"
    for mode in ("Recommend", "Auto"):
        await world.edit(mode=mode)
        await world.turns(3)
        assert await world.bounds() == (1, 2)
    app.silent = False
    await world.rest()
    assert (await world.values(), await world.bounds()) == ({"workers": "2"}, (1, 4))


async def _made_anew(world: World, app: App) -> None:
    """Another object of the same name, whose pods request a whole core."""
    for pod in await app.pods.pods():
        await world.outside.delete(Ref(POD, world.namespace, pod["metadata"]["name"]))
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    await world.turn_without_pods()
    size = {"cpu": "1", "memory": "256Mi"}
    await world.apply(documents.sized(documents.deployment(), requests=size, limits=test_sizes.LARGE))
    await world.pods_step(app)


async def test_a_target_that_is_made_anew_meanwhile_keeps_the_size_of_its_owner() -> None:
    world, app = await test_sizes.start(test_sizes.size())
    await world.annotate("try", "cpu_request=750m,workers=3")
    await world.turn()
    await world.edit(mode="Recommend")
    await world.turns(2)
    await _made_anew(world, app)
    await world.turns(3)
    await world.edit(mode="Auto")
    await world.turns(20)
    assert await test_sizes.pod_sizes(app) == ["1", "1"]
    assert await world.values() == {"workers": "2"}


async def test_a_target_that_is_made_anew_at_rest_keeps_the_size_of_its_owner_after_a_deletion_too() -> None:
    world, app = await test_sizes.start(test_sizes.size())
    await _made_anew(world, app)
    await world.turns(6)
    assert await test_sizes.pod_sizes(app) == ["1", "1"]
    await world.delete()
    await world.turns(15)
    assert await test_sizes.pod_sizes(app) == ["1", "1"]


async def test_a_canary_that_crashes_meanwhile_goes_back() -> None:
    world = await test_canary.shop()
    await test_canary.began(world)
    await test_canary.compared(world)
    (cohort,) = (await world.document()).cohorts.values()
    await world.edit(mode="Recommend")
    await world.turns(3)
    assert (await world.document()).cohorts, "its pods keep it"
    ref = Ref(POD, world.namespace, min(cohort.pods))
    status = (await world.outside.get(ref))["status"]["containerStatuses"]
    crashed = [{**each, "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}} for each in status]
    operation = {"op": "replace", "path": "/status/containerStatuses", "value": crashed}
    await world.outside.json_patch(ref, [operation], subresource="status")
    await world.edit(mode="Auto")
    await world.wake()
    assert not (await world.document()).cohorts


async def test_what_a_canary_may_use_stays_claimed_meanwhile() -> None:
    """5 pods of 2 workers, one canary of 3: 15 while it may be widened or run; another profile finds no more than the rest."""
    world = await make()
    await world.apply(documents.budget(capacity=16))
    budget = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
    body = documents.profile("checkout", documents.hot(), guards=test_canary.GUARDS, budgets=[budget])
    app = await world.add(body, documents.deployment(replicas=5), workers=2)
    app.service.load = 15.0
    await world.steady()
    await world.turns(12)
    await test_canary.began(world)
    await test_canary.compared(world)
    await world.edit(mode="Recommend")
    await world.turns(3)
    assert (await world.claims())["checkout"] == (15, "None")


@pytest.mark.parametrize("meanwhile", ["Recommend", "away"])
async def test_pods_are_restarted_before_the_next_stage_however_long_nobody_could_restart_them(meanwhile: str) -> None:
    """2 pods of 4 threads, back to 4 of 2. `ackTimeout` is not for the time in which none was restarted on purpose."""
    world = await make()
    await world.apply(documents.hpa(low=1, high=4))
    bound = {"name": "max_replicas", "min": 1, "max": 8} | TAKE
    budget = {"name": "conns", "uses": "pods * threads", "limit": 12}
    scaler = {"ref": {"name": "checkout"}}
    body = documents.profile("checkout", documents.env(), bound, autoscaler=scaler, budgets=[budget])
    app = await world.add(body, documents.deployment(replicas=2), threads=2)
    app.wants = lambda service: 2
    await world.steady()
    await world.annotate("try", "threads=4,max_replicas=2")

    async def tried() -> bool:
        intent = await world.intent()
        return intent is not None and intent.stage + 1 == len(intent.stages) and intent.in_force_at is not None

    await world.until(tried, limit=120)
    await world.annotate("rollback")

    async def read_back() -> bool:
        intent = await world.intent()
        return intent is not None and intent.kind is IntentKind.ROLLBACK and intent.applied_at is not None

    for _ in range(5):
        await world.wake()
        if await read_back():
            break
    if meanwhile == "Recommend":
        await world.edit(mode="Recommend")
        await world.turns(60)
        await world.edit(mode="Auto")
    else:
        world.clock.skip(3600)
        world.restart()
    await world.turns(40)
    alive = {pod["metadata"]["uid"] for pod in await app.pods.pods()}
    runs = {values["threads"] for uid, values in app.started_with.items() if uid in alive}
    assert (runs, await world.bounds(), await world.intent()) == ({2.0}, (1, 4), None)


@pytest.mark.parametrize("shared", [False, True], ids=["a budget of its own", "a shared one"])
async def test_room_that_others_took_meanwhile_is_not_taken_back(shared: bool) -> None:
    """Workers 4 -> 2 in up to 4 pods, of 16; the owner's HPA may have 8 pods by now: 8 x 4 is too much."""
    world = await make()
    await world.apply(documents.hpa(low=1, high=4), documents.budget(capacity=16))
    where = {"budgetRef": {"name": "postgres"}} if shared else {"limit": 16}
    budget = {"name": "postgres", "uses": "pods * workers"} | where
    knobs = documents.hot(initial=4)
    body = documents.profile("checkout", knobs, autoscaler={"ref": {"name": "checkout"}}, budgets=[budget])
    app = await world.add(body, documents.deployment(replicas=2), workers=4)
    app.wants = lambda service: 8
    await world.steady()
    await world.annotate("try", "workers=2")

    async def tried() -> bool:
        return await world.values() == {"workers": "2"}

    await world.until(tried)
    await world.turn()
    await world.edit(mode="Recommend")
    await world.turns(3)
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 8)
    await world.turns(3)
    await world.edit(mode="Auto")
    for _ in range(6):
        await world.turn()
        assert await world.values() == {"workers": "2"}
    ledger = await world.ledger()
    assert ledger is not None and ledger.owed is not None and ledger.owed.number("workers") == 4


async def test_a_leader_that_was_stopped_in_mid_write_is_fenced_though_its_successor_turned_the_trial_back() -> None:
    world = await make()
    await world.apply(documents.hpa())
    knobs = documents.hot(), {"name": "max_replicas", "min": 1, "max": 8} | TAKE
    await world.add(documents.profile("checkout", *knobs, autoscaler={"ref": {"name": "checkout"}}), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3,max_replicas=6")
    scaler = Ref(HPA, world.namespace, "checkout")
    stale = await world.outside.get(scaler)
    await killed_once(world, Countdown(Point.BEFORE_HPA, 1), 1)
    await world.edit(mode="Recommend")
    await world.turns(2)
    await world.edit(mode="Auto")
    await world.turns(2)
    named = {key: stale["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    late = {"apiVersion": stale["apiVersion"], "kind": stale["kind"], "metadata": named, "spec": {"maxReplicas": 6}}
    with pytest.raises(WriteConflict):
        await world.pegbox.apply(late, force=True)


async def test_a_deletion_does_not_wait_for_a_mode_that_may_never_come_back() -> None:
    """Its workload opted out: nothing would be restored anyway."""
    world = await _turned_in_mid_trial()
    await world.turns(2)
    note = {OPT_OUT_ANNOTATION: "true"}
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/metadata/annotations", note)
    await world.delete()
    await world.turns(10)
    assert not await world.exists()
    assert "OptedOut" in world.events.reasons()


async def test_a_try_meanwhile_is_refused_and_not_done_later() -> None:
    world = await _turned_in_mid_trial()
    await world.turns(2)
    await world.annotate("try", "workers=4")
    await world.turns(2)
    assert "RequestRefused" in world.events.reasons()
    await world.edit(mode="Auto")
    await world.turns(12)
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"} and len(ledger.trials) == 1


async def test_what_somebody_sets_in_our_document_of_a_knob_that_is_recommended_only_outlasts_a_trial_of_another() -> (
    None
):
    """Seed 3200000040: the document is written whole, and the way back put the old value over his."""
    world = await make()
    await world.add(documents.profile("checkout", documents.hot(), documents.hot("pool")), workers=2, pool=2)
    await world.steady()
    await world.edit(knobs=[documents.hot(), documents.hot("pool", mode="Recommend")])
    await world.turns(2)
    await world.annotate("try", "workers=3")
    await world.turns(2)
    body = json.loads((await world.own())["data"]["settings.json"])
    values = {"pool": "5", "workers": "3"}
    body |= {"generation": body["generation"] + 1, "values": values, "hash": values_hash(values)}
    await world.patch(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"), "/data/settings.json", json.dumps(body))
    await world.annotate("rollback")
    await world.turns(3)
    ledger = await world.rest()
    assert await world.values() == {"pool": "5", "workers": "2"}
    assert ledger.trials[-1].state.value != "Accepted"
