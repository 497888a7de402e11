"""What a trial writes is held against the limits and steps of class and profile as its wake read them, exactly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from fractions import Fraction

import pytest

from pegbox.ports import Object
from tests.chaos import limits
from tests.chaos.faults import TABLE
from tests.chaos.invariants import Watch
from tests.chaos.limits import Limit
from tests.chaos.planting import written
from tests.chaos.schedule import TIGHT_EVERY, Runner, draw
from tests.chaos.test_invariants import listed
from tests.chaos.world import World

NAME = "checkout"
RUNNER = Runner()
Act = Callable[[World], Awaitable[object]]
HALF = Fraction(1, 2)


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


def test_the_narrower_of_class_and_profile_holds() -> None:
    """maxStep: the knob's own, else the class's or the profile's general one."""

    async def run() -> dict[str, Limit]:
        return limits.stated(await RUNNER.world("tight"), NAME)

    assert asyncio.run(run()) == {
        "workers": Limit(Fraction(2), Fraction(5), HALF),
        "pool": Limit(Fraction(1), Fraction(3), HALF),
        "threads": Limit(Fraction(1), Fraction(6), Fraction(2, 5)),
        "max_replicas": Limit(Fraction(3), Fraction(5), Fraction(3, 10)),
    }


@pytest.mark.parametrize(
    ("start", "value", "admitted"),
    [
        pytest.param(2, 4, True, id="up to the limit"),
        pytest.param(2, 5, False, id="past it"),
        pytest.param(2, 1, False, id="below it"),
        pytest.param(7, 6, True, id="from outside towards it"),
        pytest.param(7, 8, False, id="from outside away from it"),
        pytest.param(7, 2, True, id="from outside to within"),
        pytest.param(7, 1, False, id="from outside past the other end"),
        pytest.param(1, 1, True, id="back to where it stood"),
    ],
)
def test_limits_let_through_what_leads_towards_them(start: int, value: int, admitted: bool) -> None:
    assert Limit(Fraction(2), Fraction(4), HALF).admits(Fraction(start), value) is admitted


@pytest.mark.parametrize(
    ("start", "share", "probe", "least", "most"),
    [
        pytest.param(4, HALF, False, 2, 6, id="a half"),
        pytest.param(3, HALF, False, 2, 5, id="up by what is rounded up, down by what is rounded down"),
        pytest.param(2, Fraction(1, 10), False, 1, 3, id="one unit always"),
        pytest.param(30, HALF, True, 27, 33, id="a probe's tenth"),
        pytest.param(19, HALF, True, 18, 20, id="a probe's tenth, rounded down"),
        pytest.param(60, Fraction(1, 20), True, 57, 63, id="no more than maxStep for a probe"),
    ],
)
def test_a_step_reaches_so_far(start: int, share: Fraction, probe: bool, least: int, most: int) -> None:
    limit = Limit(Fraction(0), Fraction(100), share)
    reached = [v for v in range(100) if limit.reaches(Fraction(start), v, probe=probe)]
    assert (reached[0], reached[-1]) == (least, most)


def _edit(edit: Callable[[World, str, str, Object], Awaitable[str]], knob: str, **wanted: object) -> Act:
    async def act(world: World) -> None:
        await edit(world, NAME, knob, wanted)

    return act


def _writes(**values: int) -> Act:
    async def act(world: World) -> None:
        await written(world, **values)

    return act


def _tells_a_pod(**values: int) -> Act:
    async def act(world: World) -> None:
        await listed(world, **values)

    return act


async def _nothing(world: World) -> None:
    """Limits are as they were."""


BY_PROFILE = _edit(limits.by_profile, "workers", max=2)
BY_CLASS = _edit(limits.by_class, "pool", max=2)
STEP = _edit(limits.by_profile, "workers", maxStep="10%")
OUTSIDE, TOO_FAR = ["limits_in_force_hold"], ["steps_hold"]


@pytest.mark.parametrize(
    ("first", "edit", "read", "plant", "found"),
    [
        pytest.param("workers=3", _nothing, True, _writes(workers=3), [], id="within"),
        pytest.param("workers=3", _nothing, True, _writes(workers=1), OUTSIDE, id="below the profile's minimum"),
        pytest.param("workers=3", _nothing, True, _tells_a_pod(workers=1, pool=2), OUTSIDE, id="in one pod"),
        pytest.param("workers=3", _nothing, True, _writes(workers=4), TOO_FAR, id="two units of two"),
        pytest.param("workers=3", _nothing, True, _tells_a_pod(workers=4, pool=2), TOO_FAR, id="too far in one pod"),
        pytest.param("pool=1", BY_CLASS, True, _writes(pool=3), OUTSIDE, id="the class was narrowed, and read"),
        pytest.param("pool=1", BY_CLASS, False, _writes(pool=3), [], id="the class was read before its edit"),
        pytest.param(
            "threads=3", BY_PROFILE, True, _writes(workers=3), OUTSIDE, id="the profile was narrowed, and read"
        ),
        pytest.param("threads=3", BY_PROFILE, False, _writes(workers=3), [], id="the profile was read before its edit"),
        pytest.param("workers=3", STEP, True, _writes(workers=2), [], id="a step that was allowed when it began"),
        pytest.param("", _nothing, True, _writes(workers=1), [], id="no trial is under way"),
    ],
)
def test_what_a_trial_writes_is_held_against_what_its_wake_read(
    first: str, edit: Act, read: bool, plant: Act, found: list[str]
) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("tight")
        watch = Watch(world)
        world.on_wake = watch.woken
        if first:
            await world.ask(NAME, "try", first)
            await world.wake(NAME)
            assert limits.trial_of(world, NAME) is not None
        await edit(world)
        watch.others()
        if read:
            watch.woken(NAME)
        await plant(world)
        return [line.partition(":")[0] for line in watch.found if not line.startswith("budgets_hold")]

    assert asyncio.run(run()) == found


@pytest.mark.parametrize("seed", range(3 * TIGHT_EVERY))
def test_the_tight_shop_changes_nothing_of_what_others_draw(seed: int) -> None:
    names = [step.name for step in draw(seed, "hot").steps]
    assert TABLE["limits narrowed in mid-trial"].weight == 0 and "limits narrowed in mid-trial" not in names
    assert (draw(seed).shop.partition(",")[0] == "tight") is (seed % TIGHT_EVERY == TIGHT_EVERY - 1)
