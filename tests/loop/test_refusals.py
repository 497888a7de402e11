"""Profiles that cannot be worked on: the condition says why and what to do, and the last good setting stays."""

from __future__ import annotations

import pytest

from pegbox.model.errors import NotAvailable, Refused
from pegbox.model.reasons import Reason
from pegbox.model.trials import TrialState
from pegbox.ports import CLASS, CONFIG_MAP, DEPLOYMENT, LEDGER, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import make, written


async def test_a_missing_class_is_said_and_found_once_it_is_there() -> None:
    world = await make()
    await world.outside.delete(Ref(CLASS, "", "service"))
    await world.add(documents.profile(), workers=2)
    assert await world.wake() == 60.0
    status, reason, message = await world.condition("Accepted")
    assert (status, reason) == ("False", "ClassNotFound") and "spec.classRef.name" in message
    await world.outside.apply(documents.CLASS)
    await world.rest()
    assert (await world.condition("Accepted"))[0] == "True"


async def test_a_class_deleted_while_in_use_leaves_the_setting_and_the_ledger() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    ledger, document = await world.ledger(), await world.document()
    await world.outside.delete(Ref(CLASS, "", "service"))
    await world.turns(5)
    assert (await world.condition("Accepted"))[:2] == ("False", "ClassNotFound")
    assert await world.document() == document and await world.ledger() == ledger
    await world.outside.apply(documents.CLASS)
    assert (await world.rest()).incumbent == (ledger.incumbent if ledger else None)


async def test_a_profile_deleted_while_its_class_is_gone_is_restored_by_who_knew_the_class() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    await world.outside.delete(Ref(CLASS, "", "service"))
    await world.delete()
    await world.turns(5)
    assert not await world.exists()
    assert await world.values() == {"workers": "2"}


async def test_after_a_restart_with_its_ledger_lost_too_it_lets_go_and_says_that_nothing_was_restored() -> None:
    """With the ledger it is restored: `test_way_back.py`."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.outside.delete(Ref(CLASS, "", "service"))
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    await world.delete()
    await world.turns(2)
    assert not await world.exists()
    assert "RestorePending" in world.events.reasons()


async def test_of_two_profiles_on_one_target_the_younger_is_refused_and_nothing_of_it_written() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.clock.advance(2)
    await world.add(documents.profile("second", target="checkout"), workers=2)
    await world.rest()
    document = await world.document()
    assert await world.wake("second") == 60.0
    status, reason, message = await world.condition("Accepted", "second")
    assert (status, reason) == ("False", "TargetClaimedByOther") and "checkout" in message
    assert await world.document() == document
    assert await world.find(Ref(LEDGER, world.namespace, "second")) is None


async def test_two_profiles_writing_one_key_of_a_config_map_the_younger_is_refused() -> None:
    world = await make()
    await world.apply(documents.config_map())
    take = {"conflictPolicy": "Take"}
    await world.add(documents.profile("checkout", documents.plain(**take)), backlog=2)
    await world.clock.advance(2)
    await world.add(documents.profile("basket", documents.plain(**take)), backlog=2)
    await world.turn("basket")
    assert (await world.condition("Accepted", "basket"))[1] == "TargetClaimedByOther"
    await world.rest()
    assert (await world.condition("Accepted"))[0] == "True"


async def test_a_target_that_does_not_exist_yet_is_waited_for() -> None:
    world = await make()
    await world.apply(documents.profile())
    await world.turns(2)
    assert (await world.condition("Accepted"))[:2] == ("False", "TargetNotFound")
    await world.add(documents.profile(), workers=2)
    await world.rest()
    assert (await world.condition("Accepted"))[0] == "True"


async def test_a_target_recreated_under_its_name_is_adopted_afresh() -> None:
    """Nothing recorded for the old one is written to it. What its trial wrote into our ConfigMap goes back: it was never
    judged, and the new target's pods read it."""
    world = await make()
    app = await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    await world.turn_without_pods()
    await world.apply(documents.deployment())
    await world.pods_step(app)
    ledger = await world.rest()
    target = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    assert ledger.target_uid == target["metadata"]["uid"]
    assert [(t.state, t.reason) for t in ledger.trials] == [(TrialState.INCONCLUSIVE, Reason.TARGET_REPLACED)]
    assert "TargetReplaced" in world.events.reasons()
    assert await world.values() == {"workers": "2"}
    assert ledger.incumbent == ledger.adopted and ledger.adopted is not None and ledger.adopted.number("workers") == 2


async def test_a_value_that_no_source_knows_is_never_guessed() -> None:
    world = await make()
    await world.add(documents.profile("checkout", {"name": "workers"}), workers=2)
    await world.turns(3)
    status, reason, message = await world.condition("Accepted")
    assert (status, reason) == ("False", "BaselineUnknown") and "workers" in message
    assert await world.find(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox")) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Refused("forbidden", status=403), "WriteRefused"), (NotAvailable("no answer"), "WriteFailed")],
    ids=["no right to write", "the server does not answer"],
)
async def test_a_write_that_does_not_go_through_is_degraded_and_tried_again(error: Exception, reason: str) -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    server.faults.fail_next("apply", CONFIG_MAP, error)
    assert await world.turn() == -1.0
    assert (await world.condition("Degraded"))[:2] == ("True", reason)
    await world.rest()
    assert await world.values() == {"workers": "2"}
    assert (await world.condition("Degraded"))[0] == "False"


async def test_without_any_right_the_reconcile_ends_and_says_so_in_the_log_only() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    server.faults.deny("*", "*", "*")
    assert await world.wake() == -1.0
    server.faults.grant_all()
    await world.rest()
    assert await world.values() == {"workers": "2"}


async def test_without_our_kinds_the_reconcile_waits() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    server.faults.uninstall(LEDGER)
    assert await world.wake() == -1.0
    assert written(server) == [("apply", "PerformanceProfile", "status")]
    server.faults.install(LEDGER)
    await world.rest()


async def test_somebody_editing_our_document_is_put_right_and_never_written_with_a_lower_number() -> None:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    before = (await world.document()).generation
    text = (await world.own())["data"]["settings.json"].replace('"workers": "2"', '"workers": "60"')
    await world.patch(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"), "/data/settings.json", text)
    await world.turns(6)
    after = await world.document()
    assert not after.foreign and after.generation > before
