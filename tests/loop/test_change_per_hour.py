"""Change per hour over all profiles: what trials may add to requests and take away from them, and who does not wait."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.adapters.telemetry import Telemetry
from pegbox.core.slots import SlotLimits
from pegbox.model.trials import Amount, Amounts, Intent, TrialState
from pegbox.ports import LEDGER, Ref
from pegbox.runtime.brakes import BrakeLimits, Brakes
from pegbox.testing.clock import FakeClock
from tests.loop import documents
from tests.loop.world import World, make
from tests.unit.core.build import intent, ledger, spec

SIZES = {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
KNOBS = tuple({"name": name, "conflictPolicy": "Take"} for name in ("cpu_request", "memory_request"))


async def shop(limit: Amounts, *names: str) -> World:
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
    world = await shop(Amounts(Amount(cpu=800)), "a", "b")
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
    world = await shop(Amounts(Amount(memory=300 * 2**20)), "a", "b")
    await attempt(world, "a", "cpu_request=1")
    await world.rest("a")
    await attempt(world, "a", "memory_request=384Mi")  # 2 pods x 128Mi
    await world.rest("a")
    reason, message = await attempt(world, "b", "memory_request=300Mi")
    assert reason == "WaitingForSlot"
    assert "maxMemoryAddedPerHour is 300Mi, 256Mi were added and 88Mi more are wanted" in message


async def test_a_restart_forgets_nothing_that_was_added_and_waits_for_no_profile_to_be_seen_again() -> None:
    world = await shop(Amounts(Amount(cpu=800)), "a", "b")
    await attempt(world, "a", "cpu_request=750m")
    await world.rest("a")
    world.restart()
    await world.recall()
    await world.turn("a")  # its knobs are known again, and it is at rest
    await world.turns(6, "b")
    assert (await attempt(world, "b", "cpu_request=750m"))[0] == "WaitingForSlot"


async def test_what_a_trial_added_and_took_back_counts_all_the_same() -> None:
    """It was there: the quota of an hour is of what was asked of the nodes, not of what is left."""
    world = await shop(Amounts(Amount(cpu=800)), "a", "b")
    await attempt(world, "a", "cpu_request=750m,workers=4")  # four workers do harm
    known = await world.rest("a")
    assert known.trials[-1].state is TrialState.REVERTED
    assert (await attempt(world, "b", "cpu_request=750m"))[0] == "WaitingForSlot"


def more(**limit: int) -> Amounts:
    return Amounts(added=Amount(**limit))


def less(**limit: int) -> Amounts:
    return Amounts(removed=Amount(**limit))


@pytest.mark.parametrize(
    ("limit", "tried", "left"),
    [
        pytest.param(more(cpu=100), "250m", "550m", id="that raises"),
        pytest.param(less(cpu=100), "750m", "450m", id="that lowers"),
    ],
)
async def test_a_way_back_waits_for_no_limit_and_spends_none(limit: Amounts, tried: str, left: str) -> None:
    world = await shop(limit, "a", "b")
    await attempt(world, "a", f"cpu_request={tried},workers=4")  # put back for the harm of four workers
    assert await requests(world, "a") == [tried, tried]
    await world.rest("a")
    assert await requests(world, "a") == ["500m", "500m"]
    await attempt(world, "b", f"cpu_request={left}")  # 2 x 50m: all of it is still there
    assert await requests(world, "b") == [left, left]


@pytest.mark.parametrize(
    ("limit", "tried"),
    [pytest.param(more(cpu=100), "250m", id="that raises"), pytest.param(less(cpu=1), "750m", id="that lowers")],
)
async def test_a_restore_waits_for_no_limit(limit: Amounts, tried: str) -> None:
    world = await shop(limit, "a")
    await attempt(world, "a", f"cpu_request={tried},workers=3")
    await world.rest("a")
    assert await requests(world, "a") == [tried, tried]
    await world.delete("a")
    for _ in range(10):
        if await world.exists("a"):
            await world.turn("a")
    assert await requests(world, "a") == ["500m", "500m"]


# --- what is taken away


async def test_two_profiles_that_shrink_share_one_hour_and_the_figures_are_said() -> None:
    world = await shop(less(cpu=800), "a", "b")
    await attempt(world, "a", "cpu_request=250m,workers=3")  # 2 pods x 250m less
    await world.rest("a")
    assert await requests(world, "a") == ["250m", "250m"]
    reason, message = await attempt(world, "b", "cpu_request=250m")
    assert reason == "WaitingForSlot"
    assert "maxCpuRemovedPerHour is 800m, 500m were removed and 500m more are wanted" in message
    assert await requests(world, "b") == ["500m", "500m"]
    registry = world.telemetry.registry
    assert registry.get_sample_value("pegbox_removed_per_hour", {"what": "cpu"}) == 0.5
    assert registry.get_sample_value("pegbox_added_per_hour", {"what": "cpu"}) == 0
    await world.clock.advance(3600)
    await world.turns(6, "b")
    assert await requests(world, "b") == ["250m", "250m"]  # what was asked for was not lost


async def test_what_is_exactly_left_of_the_hour_may_be_taken_away() -> None:
    """The twin: 500m and 500m are 1."""
    world = await shop(less(cpu=1000), "a", "b")
    for name in ("a", "b"):
        await attempt(world, name, "cpu_request=250m,workers=3")
        await world.rest(name)
        assert await requests(world, name) == ["250m", "250m"]


async def test_memory_that_is_taken_away_is_counted_apart_from_cpu() -> None:
    world = await shop(less(memory=200 * 2**20), "a", "b")
    await attempt(world, "a", "cpu_request=250m")
    await world.rest("a")
    await attempt(world, "a", "memory_request=192Mi")  # 2 pods x 64Mi less
    await world.rest("a")
    reason, message = await attempt(world, "b", "memory_request=200Mi")
    assert reason == "WaitingForSlot"
    assert "maxMemoryRemovedPerHour is 200Mi, 128Mi were removed and 112Mi more are wanted" in message


async def test_raising_one_thing_and_lowering_another_uses_both_directions() -> None:
    """Neither makes up for the other: 2 pods x 250m more, and 2 pods x 64Mi less."""
    world = await shop(Amounts(Amount(cpu=800), Amount(memory=200 * 2**20)), "a", "b")
    await attempt(world, "a", "cpu_request=750m,memory_request=192Mi")
    await world.rest("a")
    assert "500m were added" in (await attempt(world, "b", "cpu_request=750m"))[1]
    await world.annotate("resume", name="b")
    assert "128Mi were removed" in (await attempt(world, "b", "memory_request=192Mi"))[1]


async def test_who_only_adds_does_not_wait_for_what_others_took_away() -> None:
    world = await shop(less(cpu=500), "a", "b")
    await attempt(world, "a", "cpu_request=250m")
    await world.rest("a")
    await attempt(world, "b", "cpu_request=750m")
    assert await requests(world, "b") == ["750m", "750m"]


async def test_a_restart_of_the_operator_forgets_nothing_that_was_taken_away() -> None:
    world = await shop(less(cpu=800), "a", "b")
    await attempt(world, "a", "cpu_request=250m")
    await world.rest("a")
    world.restart()
    await world.recall()
    await world.turn("a")
    await world.turns(6, "b")
    reason, message = await attempt(world, "b", "cpu_request=250m")
    assert reason == "WaitingForSlot" and "500m were removed" in message


async def test_a_ledger_that_is_deleted_gives_no_second_hour_to_shrink_in() -> None:
    world = await shop(less(cpu=800), "a")
    await attempt(world, "a", "cpu_request=250m,workers=3")
    await world.rest("a")
    await world.outside.delete(Ref(LEDGER, world.namespace, "a"))
    await world.steady("a")
    assert "500m were removed" in (await attempt(world, "a", "cpu_request=50m"))[1]


async def test_pods_that_an_hpa_may_run_fewer_of_share_one_hour() -> None:
    """Its maximum goes from 6 to 4: 2 of 3 pods are gone, and nobody else may let 2 more go."""
    world = await make(limits=BrakeLimits(SlotLimits(0, 0, less(pods=3))))
    knob = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
    for name in ("a", "b"):
        await world.apply(documents.hpa(name, target=name, high=6))
        body = documents.profile(name, documents.hot(), knob, autoscaler={"ref": {"name": name}})
        await world.add(body, workers=2)
    for name in ("a", "b"):
        await world.steady(name)
    await attempt(world, "a", "max_replicas=4")
    await world.rest("a")
    reason, message = await attempt(world, "b", "max_replicas=4")
    assert reason == "WaitingForSlot"
    assert "maxReplicasRemovedPerHour is 3, 2 were removed and 2 more are wanted" in message
    assert await world.bounds("b") == (2, 6)
    await attempt(world, "b", "max_replicas=5")
    assert await world.bounds("b") == (2, 5)


# --- who would have more than his share


async def test_a_profile_that_is_deleted_and_made_anew_has_no_second_hour() -> None:
    """Keep: what it added stays, so it counts; first in the same process, then after a restart."""
    for restarted in (False, True):
        world = await shop(Amounts(Amount(cpu=800)), "b")
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
    world = await shop(Amounts(Amount(cpu=800)), "a")
    await attempt(world, "a", "cpu_request=750m,workers=3")
    await world.rest("a")
    await world.outside.delete(Ref(LEDGER, world.namespace, "a"))
    await world.steady("a")
    assert "500m were added" in (await attempt(world, "a", "cpu_request=1"))[1]


def two_trials(direction: str) -> tuple[Brakes, Intent, Intent]:
    """Each uses all of an hour."""
    clock, hour = FakeClock(auto=False), Amount(cpu=500)
    brakes = Brakes(clock, Telemetry(), BrakeLimits(SlotLimits(0, 0, Amounts(**{direction: hour}))))
    a, b = (intent(id=name, started_at=clock.now(), **{direction: hour}) for name in "ab")
    return brakes, a, b


@pytest.mark.parametrize("direction", ["added", "removed"])
def test_a_trial_that_a_budget_refused_in_the_last_moment_has_spent_nothing(direction: str) -> None:
    brakes, a, b = two_trials(direction)
    assert brakes.reserve("shop/a", spec().space, a) is None
    assert brakes.reserve("shop/b", spec().space, b) is not None
    brakes.release("shop/a")
    assert brakes.reserve("shop/b", spec().space, b) is None


@pytest.mark.parametrize("direction", ["added", "removed"])
def test_a_trial_whose_ledger_was_never_written_has_spent_nothing(direction: str) -> None:
    """The next wake of its profile reads a ledger without it."""
    brakes, a, b = two_trials(direction)
    assert brakes.reserve("shop/a", spec().space, a) is None
    assert brakes.reserve("shop/b", spec().space, b) is not None
    brakes.seen("shop/a", spec().space, ledger())
    assert brakes.reserve("shop/b", spec().space, b) is None
