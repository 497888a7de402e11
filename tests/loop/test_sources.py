"""A class that names a metrics source which nobody configured: as silent as a server that is down, and nothing hangs."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.model.trials import BreakerState, IntentKind
from pegbox.ports import CLASS, Ref
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.test_pending import trouble
from tests.loop.world import World, make

PATIENT = documents.QUICK | {"trialWindow": "20s", "trialTimeout": "5m"}
SAID = "class service: spec.sourceRef: 'renamed' cannot be used: known sources: default; correct it, or configure"


async def names(world: World, source: str) -> None:
    await world.patch(Ref(CLASS, "", "service"), "/spec/sourceRef", source)


async def in_trial(*knobs: Any, **spec: Any) -> World:
    """workers 2 -> 3 is written and in force; then the class names a source that is not there."""
    world = await make()
    await world.add(documents.profile("checkout", *knobs, **{"guards": PATIENT, **spec}), workers=2)
    await world.steady()
    await world.turns(6)
    await world.annotate("try", "workers=3")
    await world.turns(2)
    assert await world.values() == {"workers": "3"}
    await names(world, "renamed")
    return world


async def rollback(world: World) -> None:
    await world.annotate("rollback")


async def deletion(world: World) -> None:
    await world.delete()


async def stop(world: World) -> None:
    world.brake("stop")


async def stop_and_restore(world: World) -> None:
    world.brake("restore")


async def nothing(world: World) -> None:
    """Until trialTimeout."""


@pytest.mark.parametrize("restarted", [False, True], ids=["same_process", "restarted"])
@pytest.mark.parametrize("ends", [rollback, deletion, stop, stop_and_restore, nothing])
async def test_a_trial_under_way_ends_at_its_parent_and_a_deletion_does_not_hang(ends: Any, restarted: bool) -> None:
    world = await in_trial()
    await ends(world)
    if restarted:
        world.restart()
        if ends in (stop, stop_and_restore):
            await ends(world)
    for _ in range(80):  # 5 minutes, at 5 s, and the way back
        if await world.turn() is None:
            break
    assert await world.values() == {"workers": "2"}
    assert await world.exists() is (ends is not deletion)


@pytest.mark.parametrize(("on_no_data", "state"), [("Hold", "Inconclusive"), ("Revert", "Reverted")])
async def test_the_slo_says_how_a_trial_ends_without_data(on_no_data: str, state: str) -> None:
    slo = {"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "90%", "onNoData": on_no_data}
    world = await in_trial(slos=[slo])
    started = world.clock.now()

    async def goes_back() -> bool:
        intent = await world.intent()
        return intent is not None and intent.kind is IntentKind.ROLLBACK

    await world.until(goes_back, limit=90)
    took = (world.clock.now() - started).total_seconds()
    await names(world, "default")
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == [state]
    assert took < 60 if on_no_data == "Revert" else 280 <= took <= 320, "after a trialWindow, or at trialTimeout"
    assert ledger.breaker.failures == 0, "silence is no harm"


async def test_at_rest_nothing_starts_and_the_condition_names_field_value_and_remedy() -> None:
    world = await make(predicting=Predicting())
    await world.add(documents.profile(), workers=2)
    await world.rest()
    await names(world, "renamed")
    await world.annotate("try", "workers=3")
    await world.turns(30)
    assert await world.values() == {"workers": "2"}
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials == () and ledger.intent is None
    for kind, status in (("MetricsAvailable", "Unknown"), ("Progressing", "False")):
        found, reason, message = await world.condition(kind)
        assert (found, reason) == (status, "MetricsUnreachable") and SAID in message
    assert SAID in await world.why()
    assert ("MetricsAvailable", "MetricsUnreachable") in trouble(world), "an alert asks for it"
    assert world.brakes.fleet.state is BreakerState.CLOSED, "nobody was asked, so no server is sick"


async def test_the_right_name_lets_trials_begin_again() -> None:
    """The twin: the same profile, with its source back."""
    world = await make(predicting=Predicting())
    await world.add(documents.profile(), workers=2)
    await world.rest()
    await names(world, "renamed")
    await world.turns(30)
    await names(world, "default")
    await world.turns(30)
    assert (await world.condition("MetricsAvailable"))[0] == "True"
    assert await world.values() == {"workers": "3"}


async def test_a_value_that_only_metrics_know_says_the_cause_too() -> None:
    world = await make()
    await names(world, "renamed")
    await world.add(documents.profile("checkout", {"name": "workers"}), workers=2)
    await world.turns(3)
    assert (await world.condition("Accepted"))[:2] == ("False", "BaselineUnknown")
    found, reason, message = await world.condition("MetricsAvailable")
    assert (found, reason) == ("Unknown", "MetricsUnreachable") and SAID in message


@pytest.mark.parametrize("source", ["default", "renamed"])
async def test_a_class_that_names_its_source_again_is_asked_there_though_the_profile_is_nonsense_by_now(
    source: str,
) -> None:
    """Seed 2200002175 of the schedules: the way back waited for pods to answer at the source of the last good read."""
    world = await in_trial()
    await world.turn()
    await world.edit(slos=[{"name": "x", "signal": "nosuch", "goal": "90%"}])
    await names(world, source)
    await rollback(world)
    await world.turns(80)
    assert await world.values() == {"workers": "2"}
    assert (await world.intent() is None) is (source == "default")
