"""The global stop and the opt-out of one workload: what is put back, what is not written, what is said."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.adapters.kube import owners
from pegbox.model.errors import NotAvailable
from pegbox.model.trials import IntentKind
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, LEDGER, Object, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World, make, written

OWN = {"PerformanceProfile", "TuningLedger", "SharedBudget", "Lease", "Event"}
OPT_OUT = "pegbox.dev/opt-out"


async def tuned(*knobs: Any, **spec: Any) -> World:
    """At rest with two workers, and measured."""
    world = await make()
    await world.apply(documents.config_map(BACKLOG="2", other="1"))
    await world.add(documents.profile("checkout", *knobs, **spec), workers=2, backlog=2)
    await world.steady()
    return world


async def trying(*knobs: Any, **spec: Any) -> World:
    """In mid-trial: three workers are written, and nothing is judged yet."""
    world = await tuned(*knobs, **spec)
    await world.annotate("try", "workers=3")
    await world.turn()
    assert await world.values() == {"workers": "3"}
    return world


async def accepted(*knobs: Any, **spec: Any) -> World:
    """At rest with three workers, accepted; two were adopted."""
    world = await trying(*knobs, **spec)
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    return world


async def opt_out(world: World, value: str | None) -> None:
    notes = {} if value is None else {OPT_OUT: value}
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/metadata/annotations", notes)


def foreign_writes(world: World, since: int) -> list[str]:
    """Kinds that are none of Pegbox's own, written since."""
    return [kind for _, kind, _ in written(world.pegbox)[since:] if kind not in OWN]


# --- stop


async def test_a_stop_puts_a_trial_back_within_one_cycle_and_no_breaker_counts_it() -> None:
    world = await trying()
    world.brake("stop")
    await world.turn()
    assert await world.values() == {"workers": "2"}
    ledger = await world.rest()
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", "Stopped")
    assert ledger.breaker.failures == 0
    await world.turn()
    assert (await world.condition("Progressing"))[:2] == ("False", "Stopped")
    assert "TrialInconclusive" in world.events.reasons()


@pytest.mark.parametrize("text", ["stop", "STOP ", "", "no", "restoree"], ids=lambda t: f"the text is {t!r}")
async def test_whatever_stands_there_stops(text: str) -> None:
    world = await trying()
    world.brake(text)
    await world.rest()
    await world.turn()
    assert await world.values() == {"workers": "2"}
    _, reason, message = await world.condition("Progressing")
    assert reason == "Stopped"
    assert ("counts as stop" in message) == (text.strip().lower() != "stop")


async def test_a_stopped_profile_writes_to_nothing_but_its_own_objects_and_idles_without_a_write() -> None:
    world = await tuned()
    world.brake("stop")
    before, emitted = len(written(world.pegbox)), len(world.events.emitted)
    await world.turns(20)
    assert foreign_writes(world, before) == []
    assert [e.reason.value for _, e in world.events.emitted[emitted:]] == ["Stopped"]  # once
    before = len(written(world.pegbox))
    await world.turns(20)
    assert written(world.pegbox)[before:] == []


async def test_a_try_is_refused_while_stopped() -> None:
    world = await tuned()
    world.brake("stop")
    await world.annotate("try", "workers=3")
    await world.turns(3)
    assert "RequestRefused" in world.events.reasons()
    assert await world.values() == {"workers": "2"}


async def test_a_new_profile_is_not_adopted_by_a_write_while_stopped_and_is_afterwards() -> None:
    world = await make()
    world.brake("stop")
    await world.add(documents.profile(), workers=2)
    before = len(written(world.pegbox))
    await world.turns(5)
    assert foreign_writes(world, before) == []
    world.brake(None)
    await world.turns(5)
    assert await world.values() == {"workers": "2"}


async def test_a_pin_is_not_written_while_stopped() -> None:
    world = await tuned()
    world.brake("stop")
    await world.edit(knobs=[{"name": "workers", "value": 4}])
    await world.turns(5)
    assert await world.values() == {"workers": "2"}
    world.brake(None)
    await world.turns(5)
    assert await world.values() == {"workers": "4"}


async def test_a_rollback_under_way_is_not_lost_to_a_stop() -> None:
    world = await trying()
    await world.annotate("rollback")
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.ROLLBACK
    world.brake("stop")
    await world.rest()
    assert await world.values() == {"workers": "2"}


async def test_a_rollback_that_a_person_asks_for_is_done_while_stopped() -> None:
    world = await accepted()
    world.brake("stop")
    await world.annotate("rollback")
    await world.turn()
    await world.rest()
    assert await world.values() == {"workers": "2"}


async def test_after_a_stop_trials_start_again() -> None:
    world = await trying()
    world.brake("stop")
    await world.rest()
    world.brake(None)
    await world.turns(6)
    await world.annotate("try", "workers=3")
    await world.turn()
    assert (await world.rest()).trials[-1].state.value == "Accepted"


async def test_a_restart_in_a_stop_changes_nothing() -> None:
    world = await trying()
    world.brake("stop")
    world.restart()
    await world.rest()
    await world.turn()
    assert await world.values() == {"workers": "2"}
    assert (await world.condition("Progressing"))[1] == "Stopped"


# --- stop and restore


async def test_stop_and_restore_puts_the_values_of_the_adoption_back_and_stays_there() -> None:
    world = await accepted()
    world.brake("restore")
    await world.turns(6)
    assert await world.values() == {"workers": "2"}
    assert "Restored" in world.events.reasons()
    assert (await world.condition("Progressing"))[:2] == ("False", "Stopped")
    before = len(written(world.pegbox))
    await world.turns(20)
    assert foreign_writes(world, before) == []


@pytest.mark.parametrize("verb", ["try", "rollback"])
async def test_what_is_asked_for_while_all_is_stopped_and_restored_is_refused_once_and_never_done_later(
    verb: str,
) -> None:
    world = await accepted()
    world.brake("restore")
    await world.turns(6)
    said = len(world.events.emitted)
    await world.annotate(verb, "workers=3" if verb == "try" else "")
    await world.turns(4)
    news = [event for _, event in world.events.emitted[said:] if event.reason.value == "RequestRefused"]
    assert len(news) == 1 and "stopped" in news[0].message
    world.brake(None)
    await world.turns(10)
    ledger = await world.ledger()
    assert ledger is not None and ledger.tokens[verb] and await world.values() == {"workers": "2"}


async def test_a_trial_ends_inconclusive_by_a_restore_and_is_in_the_ledger() -> None:
    world = await trying()
    world.brake("restore")
    await world.turns(8)
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is None
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", "Stopped")
    assert await world.values() == {"workers": "2"}


async def test_after_a_restore_what_is_there_is_adopted_anew_and_tuned_again() -> None:
    world = await accepted()
    world.brake("restore")
    await world.turns(8)
    world.brake(None)
    await world.steady()
    ledger = await world.ledger()
    assert ledger is not None and ledger.adopted is not None and ledger.adopted.number("workers") == 2
    await world.annotate("try", "workers=3")
    await world.turn()
    assert (await world.rest()).trials[-1].state.value == "Accepted"


async def test_a_restore_that_began_is_finished_although_the_stop_is_gone() -> None:
    world = await accepted()
    world.brake("restore")
    await world.wake()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.RESTORE
    world.brake(None)
    await world.steady()
    assert await world.values() == {"workers": "2"}


@pytest.mark.parametrize(
    ("kept", "stands"),
    [
        pytest.param({}, {"workers": "4", "pool": "4"}, id="what stood half-way nobody accepted"),
        pytest.param({"mode": "Recommend"}, {"workers": "2", "pool": "4"}, id="turning Auto away lets go at once"),
    ],
)
async def test_a_restore_that_began_is_finished_by_a_deletion_with_keep_too(
    kept: Object, stands: dict[str, str]
) -> None:
    """First the pool goes down, then the workers up; the stop is over in between."""
    knobs = documents.hot(initial=4), documents.hot("pool", initial=4)
    uses = {"name": "postgres", "uses": "pool * workers", "limit": 16}
    world = await make()
    await world.add(documents.profile("checkout", *knobs, budgets=[uses], deletionPolicy="Keep"), workers=4, pool=4)
    await world.steady()
    await world.annotate("try", "workers=2,pool=8")
    await world.turn()
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    world.brake("restore")
    await world.wake()
    world.brake(None)
    await world.edit(**kept)
    await world.delete()
    await world.turns(20)
    assert not await world.exists() and await world.values() == stands


async def test_a_profile_turned_away_from_auto_is_restored_too() -> None:
    """As a deletion restores whatever the mode: what was written is ours to put back."""
    world = await accepted()
    await world.edit(mode="Recommend")
    await world.turns(2)
    world.brake("restore")
    await world.turns(8)
    assert await world.values() == {"workers": "2"}


async def test_a_profile_that_wrote_nothing_is_left_alone_by_a_restore() -> None:
    world = await make()
    await world.add(documents.profile(mode="Recommend"), workers=2)
    await world.turns(5)
    world.brake("restore")
    before = len(written(world.pegbox))
    await world.turns(8)
    assert foreign_writes(world, before) == []


async def test_what_somebody_else_changed_stays_as_he_set_it_and_is_written_by_no_later_wake() -> None:
    world = await make()
    await world.apply(documents.hpa())
    knob = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
    body = documents.profile("checkout", documents.hot(), knob, autoscaler={"ref": {"name": "checkout"}})
    await world.add(body, workers=2)
    await world.steady()
    await world.annotate("try", "workers=3,max_replicas=5")
    await world.turn()
    await world.rest()
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 7)
    world.brake("restore")
    await world.turns(10)
    assert await world.values() == {"workers": "2"}
    assert await world.bounds() == (2, 7)
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 6)
    await world.turns(10)
    assert await world.bounds() == (2, 6)


async def test_what_was_taken_by_consent_belongs_to_its_owner_again_and_is_taken_anew_afterwards() -> None:
    world = await tuned(documents.hot(), documents.plain(conflictPolicy="Take"))
    await world.annotate("try", "backlog=3")
    await world.turn()
    await world.rest()
    ref, key = Ref(CONFIG_MAP, world.namespace, "app-config"), owners.data_key("BACKLOG")
    assert owners.ours(await world.outside.get(ref), key)
    world.brake("restore")
    await world.turns(30)
    body = await world.outside.get(ref)
    assert body["data"]["BACKLOG"] == "2" and not owners.ours(body, key)
    await world.outside.apply(documents.placed(documents.config_map(BACKLOG="4", other="1"), world.namespace))
    world.brake(None)
    await world.steady()
    ledger = await world.ledger()
    assert ledger is not None and ledger.adopted is not None and ledger.adopted.number("backlog") == 4


async def test_a_restore_is_not_lost_to_an_api_server_that_fails() -> None:
    world = await accepted()
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    world.brake("restore")
    server.faults.fail_next("apply", CONFIG_MAP, NotAvailable("503"), times=3)
    await world.turns(12)
    assert await world.values() == {"workers": "2"}


async def test_a_restart_in_a_restored_stop_adopts_nothing_before_it_ends() -> None:
    world = await accepted()
    world.brake("restore")
    await world.turns(8)
    world.restart()
    before = len(written(world.pegbox))
    await world.turns(8)
    assert foreign_writes(world, before) == []
    ledger = await world.ledger()
    assert ledger is not None and ledger.adopted is None


async def test_a_ledger_lost_in_the_trial_is_no_hindrance_to_a_restore() -> None:
    world = await trying()
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    world.brake("restore")
    await world.turns(10)
    assert await world.values() == {"workers": "2"}


# --- opt-out


@pytest.mark.parametrize("value", ["true", "TRUE", "maybe", ""], ids=lambda v: f"the value is {v!r}")
async def test_an_opted_out_workload_gets_its_trial_put_back_and_then_nothing(value: str) -> None:
    world = await trying()
    await opt_out(world, value)
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"}
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", "OptedOut")
    before = len(written(world.pegbox))
    for verb in ("try", "rollback"):
        await world.annotate(verb, "workers=3" if verb == "try" else "")
        await world.turns(3)
    assert foreign_writes(world, before) == []
    _, reason, message = await world.condition("Progressing")
    assert reason == "OptedOut"
    assert ("counts as opted out" in message) == (value.strip().lower() != "true")


@pytest.mark.parametrize("value", ["false", "False", None], ids=lambda v: f"the value is {v!r}")
async def test_a_workload_that_did_not_opt_out_is_tried_on(value: str | None) -> None:
    world = await trying()
    await opt_out(world, value)
    assert (await world.rest()).trials[-1].state.value == "Accepted"


async def test_one_workloads_opt_out_is_no_other_ones() -> None:
    world = await tuned()
    await world.add(documents.profile("cart"), workers=2)
    await world.steady("cart")
    await opt_out(world, "true")
    await world.turn()
    await world.annotate("try", "workers=3", "cart")
    await world.turn("cart")
    assert (await world.rest("cart")).trials[-1].state.value == "Accepted"


async def test_neither_a_global_restore_nor_a_deletion_writes_to_an_opted_out_workload_and_it_is_said() -> None:
    world = await accepted()
    await opt_out(world, "true")
    await world.turn()
    before = len(written(world.pegbox))
    world.brake("restore")
    await world.turns(5)
    await world.delete()
    await world.turns(5)
    assert not await world.exists()
    assert await world.values() == {"workers": "3"}
    assert foreign_writes(world, before) == []
    assert any("nothing is restored" in e.message for _, e in world.events.emitted)


async def test_a_trial_is_put_back_before_an_opted_out_profile_goes() -> None:
    world = await trying()
    await opt_out(world, "true")
    await world.delete()
    await world.turns(10)
    assert not await world.exists()
    assert await world.values() == {"workers": "2"}


async def test_opting_in_again_goes_on() -> None:
    world = await trying()
    await opt_out(world, "true")
    await world.rest()
    await opt_out(world, None)
    await world.turns(6)
    await world.annotate("try", "workers=3")
    await world.turn()
    assert (await world.rest()).trials[-1].state.value == "Accepted"


@pytest.mark.parametrize("looks", [0, 4], ids=["in the same look as the stop", "after a look at it"])
async def test_a_minimum_that_a_restore_left_below_somebodys_maximum_returns_once_that_is_raised(looks: int) -> None:
    """Seed 2700008682: a restore began beside a maximum of 1, forgot that a minimum of 2 was owed, and 1 stayed for ever. Where
    the stop came before any look at that maximum, it wrote 2, which the server refused, for ever."""
    bounds = ({"name": name, "min": 1, "max": 8} for name in ("min_replicas", "max_replicas"))
    world = await tuned(documents.hot(), *bounds, autoscaler={"create": {"minReplicas": 2, "maxReplicas": 3}})
    theirs = Ref(HPA, world.namespace, "checkout-pegbox")
    await world.annotate("try", "min_replicas=1")
    await world.turns(2)
    await world.patch(theirs, "/spec/maxReplicas", 1)
    if looks:
        await world.annotate("rollback")
    await world.turns(looks)
    world.brake("restore")
    await world.turns(5)
    await world.rest()
    assert await world.bounds("checkout-pegbox") == (1, 1)
    assert (await world.condition("Degraded"))[1] == "RestorePending"
    world.brake(None)
    await world.turns(3)
    await world.patch(theirs, "/spec/maxReplicas", 3)
    await world.turns(30)
    await world.rest()
    assert await world.bounds("checkout-pegbox") == (2, 3)
