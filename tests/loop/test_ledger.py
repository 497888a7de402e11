"""The ledger as the loop's whole memory: lost, foreign, contended, or not stored."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.model.errors import NotAvailable, WriteConflict
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP, HPA, LEDGER, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World, make, trying, written


async def in_mid_trial(argument: str = "workers=3") -> World:
    world = await trying(argument)
    await world.turn()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.TRIAL
    return world


def faults(world: World) -> FakeCluster:
    assert isinstance(world.pegbox, FakeCluster)
    return world.pegbox


async def deleted(world: World) -> None:
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))


async def torn(world: World) -> None:
    await world.patch(Ref(LEDGER, world.namespace, "checkout"), "/data/state", "{")


async def of_another(world: World) -> None:
    """Somebody put back the ledger of a deleted profile of this name."""
    await world.amend(profile_uid="another")


LOST = pytest.mark.parametrize("lose", [deleted, torn, of_another])


@LOST
async def test_a_ledger_lost_in_mid_trial_is_written_again_and_the_trial_is_judged(lose: Any) -> None:
    world = await in_mid_trial("workers=4")
    await lose(world)
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Reverted"]
    assert await world.values() == {"workers": "2"}
    assert "LedgerLost" in world.events.reasons()


@LOST
@pytest.mark.parametrize("looks", [1, 4])
async def test_it_is_written_at_the_next_look_so_that_the_next_process_judges_the_trial_too(
    lose: Any, looks: int
) -> None:
    """Also where that look decides nothing: the ledger as this process knows it stands for no other one."""
    world = await in_mid_trial("workers=4")
    for _ in range(looks):
        await lose(world)
        world.clock.skip(1)
        await world.wake()
        assert await world.intent() is not None
    world.restart()
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Reverted"]
    assert await world.values() == {"workers": "2"}


@LOST
async def test_ledger_and_memory_lost_in_mid_trial_what_pods_run_is_kept_and_the_originals_are_known(lose: Any) -> None:
    """Nobody knows of the trial any more: what is in force stays, nothing is made worse, a deletion still restores."""
    world = await in_mid_trial()
    before = await world.document()
    await lose(world)
    world.restart()
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.incumbent.number("workers") == 3
    assert ledger.adopted is not None and ledger.adopted.number("workers") == 2
    assert ledger.generation >= before.generation
    assert await world.values() == {"workers": "3"}
    assert "LedgerLost" in world.events.reasons()
    await world.delete()
    await world.turns(8)
    assert not await world.exists()
    assert await world.values() == {"workers": "2"}
    assert (await world.document()).generation > before.generation


async def test_a_ledger_of_a_deleted_profile_of_this_name_is_told_and_not_believed() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    old = (await world.profile())["metadata"]["uid"]
    await world.edit(deletionPolicy="Keep")
    await world.delete()
    await world.turns(6)
    assert not await world.exists()
    await world.add(documents.profile(), workers=3)
    ledger = await world.rest()
    assert ledger.profile_uid != old and ledger.trials == ()
    assert ledger.adopted is not None and ledger.adopted.number("workers") == 3  # not the first profile's 2
    assert await world.values() == {"workers": "3"}
    assert "LedgerLost" in world.events.reasons()


async def test_a_torn_ledger_is_told_and_not_believed() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.patch(Ref(LEDGER, world.namespace, "checkout"), "/data/state", "{")
    world.restart()
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"} and ledger.incumbent is not None
    assert "LedgerLost" in world.events.reasons()


@pytest.mark.parametrize("error", [NotAvailable("timeout"), WriteConflict("moved")], ids=["down", "conflict"])
async def test_nothing_is_written_to_the_workload_before_its_intent_is_stored(error: Exception) -> None:
    """The decision of a wake whose ledger write failed must not pass for stored on the next one."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    before = await world.values()
    await world.annotate("try", "workers=3")
    faults(world).faults.fail_next("apply", LEDGER, error, times=3)
    for _ in range(3):
        assert await world.wake() == -1.0
        assert await world.values() == before
        await world.clock.advance(5)
    intents = []

    def watch(when: str, record: object) -> None:
        if when == "after" and getattr(record, "kind", "") == "TuningLedger":
            intents.append("ledger")
        if when == "before" and getattr(record, "kind", "") == "ConfigMap":
            intents.append("workload")

    faults(world).faults.on_write(watch)
    await world.turn()
    assert intents[:2] == ["ledger", "workload"]
    assert (await world.rest()).trials[-1].state.value == "Accepted"


async def test_an_answer_that_was_lost_is_no_lost_write() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    faults(world).faults.fail_next("apply", LEDGER, NotAvailable("no answer"), lost=True)
    assert await world.turn() == -1.0
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Accepted"]


async def test_of_two_writers_one_is_refused_and_reads_again() -> None:
    """Two processes at once, as when a Lease was lost and nobody noticed: one trial, one history."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    first = world.reconciler
    world.restart()
    second = world.reconciler
    await world.turn()
    await world.annotate("try", "workers=3")
    key = f"{world.namespace}/checkout"
    generations = []
    for _ in range(25):
        for each in (first, second):
            await each(key)
            generations.append((await world.document()).generation)
        await world.pods_step(world.apps["checkout"])
        await world.clock.advance(5)
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is None
    assert [t.state.value for t in ledger.trials] == ["Accepted"]
    assert generations == sorted(generations) and generations[-1] == 2


async def test_a_process_that_lost_its_leadership_writes_nothing_at_all() -> None:
    world = await make(leading=lambda: False)
    await world.add(documents.profile(), workers=2)
    await world.turns(3)
    assert written(world.pegbox) == [] and world.events.emitted == []


async def test_a_request_that_was_acted_on_is_not_acted_on_again_when_ledger_and_memory_are_lost() -> None:
    world = await in_mid_trial()
    await world.rest()
    before = (await world.document()).generation
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    await world.rest()
    await world.turns(6)
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials == () and ledger.intent is None
    assert (await world.document()).generation <= before + 1  # the adoption, no trial


async def test_a_ledger_from_a_backup_that_lacks_what_somebody_set_is_written_again() -> None:
    """The process knows max_replicas=5 for the incumbent; the ledger that was put back does not, and it is what survives."""
    world = await make()
    await world.apply(documents.hpa())
    bound = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
    body = documents.profile("checkout", documents.hot(), bound, autoscaler={"ref": {"name": "checkout"}})
    await world.add(body, workers=2)
    await world.steady()
    ref = Ref(LEDGER, world.namespace, "checkout")
    backup = (await world.outside.get(ref))["data"]
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 5)
    await world.turn()
    await world.patch(ref, "/data", backup)
    await world.turn()
    ledger = await world.ledger()
    assert ledger.incumbent is not None and ledger.incumbent.number("max_replicas") == 5


@pytest.mark.parametrize("told", [True, False], ids=["as pods say", "where no pod says any more"])
async def test_with_an_older_ledger_and_no_document_no_number_is_used_again_that_a_pod_has_read(told: bool) -> None:
    """Seed 2100003630 of the schedules. Readers refuse a document of a smaller number, so that it would come into force
    nowhere. The twin has nothing left to know it by."""
    world = await make()
    await world.add(documents.profile("checkout", documents.hot()), workers=2)
    await world.steady()
    ref, own = Ref(LEDGER, world.namespace, "checkout"), Ref(CONFIG_MAP, world.namespace, "checkout-pegbox")
    backup = (await world.outside.get(ref))["data"]
    await world.annotate("try", "workers=3")
    await world.rest()
    before = (await world.document()).generation
    await world.patch(ref, "/data", backup)
    await world.outside.delete(own)
    if not told:
        world.apps["checkout"].silent = True
        world.metrics.acks[world.namespace].clear()
    world.restart()
    await world.wake()
    await world.wake()
    assert ((await world.document()).generation > before) is told
