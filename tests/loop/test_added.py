"""Change per hour over all profiles: what trials may add to the requests of cpu and memory, and who does not wait."""

from __future__ import annotations

from typing import Any

from pegbox.adapters.telemetry import Telemetry
from pegbox.core.slots import SlotLimits
from pegbox.model.trials import Added, TrialState
from pegbox.ports import LEDGER, Ref
from pegbox.runtime.brakes import BrakeLimits, Brakes
from pegbox.testing.clock import FakeClock
from tests.loop import documents
from tests.loop.world import World, make
from tests.unit.core.build import intent, ledger, spec

SIZES = {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
KNOBS = tuple({"name": name, "conflictPolicy": "Take"} for name in ("cpu_request", "memory_request"))


async def shop(limit: Added, *names: str) -> World:
    """Profiles of two pods, each of 500m and 256Mi."""
    world = await make(limits=BrakeLimits(SlotLimits(0, 0, limit)))
    for name in names:
        await add(world, name)
    for name in names:
        await world.steady(name)
    return world


async def add(world: World, name: str, **spec: Any) -> None:
    body = documents.profile(name, documents.hot(), *KNOBS, **spec)
    await world.add(body, documents.sized(documents.deployment(name), **SIZES), workers=2)


async def attempt(world: World, name: str, what: str) -> tuple[str, str]:
    """Ask, and what is said of it: (reason, message) of Progressing."""
    await world.annotate("try", what, name)
    await world.turn(name)
    _, reason, message = await world.condition("Progressing", name)
    return reason, message


async def requests(world: World, name: str, resource: str = "cpu") -> list[str]:
    pods = await world.apps[name].pods.pods()
    return [pod["spec"]["containers"][0]["resources"]["requests"][resource] for pod in pods]


async def test_requests_of_cpu_add_up_over_all_profiles_and_the_figures_are_said() -> None:
    world = await shop(Added(cpu=800), "a", "b")
    await attempt(world, "a", "cpu_request=750m")  # 2 pods x 250m
    await world.rest("a")
    reason, message = await attempt(world, "b", "cpu_request=750m")
    assert reason == "WaitingForSlot"
    assert "maxCpuAddedPerHour is 800m, 500m were added and 500m more are wanted" in message
    assert await requests(world, "b") == ["500m", "500m"]
    assert world.telemetry.registry.get_sample_value("pegbox_added_per_hour", {"what": "cpu"}) == 0.5
    await world.clock.advance(3600)
    await world.turns(6, "b")
    assert await requests(world, "b") == ["750m", "750m"]  # what was asked for was not lost


async def test_memory_is_counted_apart_from_cpu() -> None:
    world = await shop(Added(memory=300 * 2**20), "a", "b")
    await attempt(world, "a", "cpu_request=1")
    await world.rest("a")
    await attempt(world, "a", "memory_request=384Mi")  # 2 pods x 128Mi
    await world.rest("a")
    reason, message = await attempt(world, "b", "memory_request=300Mi")
    assert reason == "WaitingForSlot"
    assert "maxMemoryAddedPerHour is 300Mi, 256Mi were added and 88Mi more are wanted" in message


async def test_a_restart_forgets_nothing_that_was_added_and_waits_for_no_profile_to_be_seen_again() -> None:
    world = await shop(Added(cpu=800), "a", "b")
    await attempt(world, "a", "cpu_request=750m")
    await world.rest("a")
    world.restart()
    await world.recall()
    await world.turn("a")  # its knobs are known again, and it is at rest
    await world.turns(6, "b")
    assert (await attempt(world, "b", "cpu_request=750m"))[0] == "WaitingForSlot"


async def test_what_a_trial_added_and_took_back_counts_all_the_same() -> None:
    """It was there: the quota of an hour is of what was asked of the nodes, not of what is left."""
    world = await shop(Added(cpu=800), "a", "b")
    await attempt(world, "a", "cpu_request=750m,workers=4")  # four workers do harm
    known = await world.rest("a")
    assert known.trials[-1].state is TrialState.REVERTED
    assert (await attempt(world, "b", "cpu_request=750m"))[0] == "WaitingForSlot"


async def test_a_way_back_that_raises_waits_for_no_limit_and_spends_none() -> None:
    world = await shop(Added(cpu=100), "a", "b")
    await attempt(world, "a", "cpu_request=250m,workers=4")  # lowered, and put back for the harm of four workers
    assert await requests(world, "a") == ["250m", "250m"]
    await world.rest("a")
    assert await requests(world, "a") == ["500m", "500m"]
    await attempt(world, "b", "cpu_request=550m")  # 2 x 50m: all of it is still there
    assert await requests(world, "b") == ["550m", "550m"]


async def test_a_restore_waits_for_no_limit() -> None:
    world = await shop(Added(cpu=100), "a")
    await attempt(world, "a", "cpu_request=250m,workers=3")
    await world.rest("a")
    assert await requests(world, "a") == ["250m", "250m"]
    await world.delete("a")
    for _ in range(10):
        if await world.exists("a"):
            await world.turn("a")
    assert await requests(world, "a") == ["500m", "500m"]


# --- who would have more than his share


async def test_a_profile_that_is_deleted_and_made_anew_has_no_second_hour() -> None:
    """Keep: what it added stays, so it counts; first in the same process, then after a restart."""
    for restarted in (False, True):
        world = await shop(Added(cpu=800), "b")
        await add(world, "a", deletionPolicy="Keep")
        await world.steady("a")
        await attempt(world, "a", "cpu_request=750m,workers=3")
        await world.rest("a")
        await world.delete("a")
        await world.turn("a")
        assert not await world.exists("a")
        if restarted:
            world.restart()
            await world.recall()
            await world.turns(6, "b")
        assert "500m were added" in (await attempt(world, "b", "cpu_request=750m"))[1], restarted


async def test_a_ledger_that_is_deleted_gives_no_second_hour() -> None:
    world = await shop(Added(cpu=800), "a")
    await attempt(world, "a", "cpu_request=750m,workers=3")
    await world.rest("a")
    await world.outside.delete(Ref(LEDGER, world.namespace, "a"))
    await world.steady("a")
    assert "500m were added" in (await attempt(world, "a", "cpu_request=1"))[1]


def test_a_trial_that_a_budget_refused_in_the_last_moment_has_spent_nothing() -> None:
    clock = FakeClock(auto=False)
    brakes = Brakes(clock, Telemetry(), BrakeLimits(SlotLimits(0, 0, Added(cpu=500))))
    a, b = (intent(id=name, started_at=clock.now(), added=Added(cpu=500)) for name in "ab")
    assert brakes.reserve("shop/a", spec().space, a) is None
    assert brakes.reserve("shop/b", spec().space, b) is not None
    brakes.release("shop/a")
    assert brakes.reserve("shop/b", spec().space, b) is None


def test_a_trial_whose_ledger_was_never_written_has_spent_nothing() -> None:
    """The next wake of its profile reads a ledger without it."""
    clock = FakeClock(auto=False)
    brakes = Brakes(clock, Telemetry(), BrakeLimits(SlotLimits(0, 0, Added(cpu=500))))
    a, b = (intent(id=name, started_at=clock.now(), added=Added(cpu=500)) for name in "ab")
    assert brakes.reserve("shop/a", spec().space, a) is None
    brakes.seen("shop/a", spec().space, ledger())
    assert brakes.reserve("shop/b", spec().space, b) is None
