"""A window that is taken for clean, though something happened to the pods within it, is found: each is planted by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pegbox.model.observations import Window
from tests.chaos.invariants import Watch
from tests.chaos.schedule import Runner
from tests.chaos.world import NAMESPACE, World

NAME = "checkout"
RUNNER = Runner()
LENGTH = 5  # seconds


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


def _taken_for_clean(world: World, begun: float, clean: bool = True) -> None:
    """The newest window of the operator's, which began so many seconds ago."""
    windows = world.operator.reconciler.memories[f"{NAMESPACE}/{NAME}"].windows
    start = world.own_clock.now() - timedelta(seconds=begun)
    windows.append(replace(windows[-1], window=Window(start, start + timedelta(seconds=LENGTH)), clean=clean))


def _nothing(world: World) -> None:
    """They are left alone."""


def _restarts(world: World) -> None:
    world.apps[NAME].pods[0].restarts += 1


def _crashes(world: World) -> None:
    world.apps[NAME].pods[0].waiting = "CrashLoopBackOff"


def _is_not_ready(world: World) -> None:
    world.apps[NAME].pods[0].ready = False


def _goes(world: World) -> None:
    world.apps[NAME].pods.pop()


def _rolls_out(world: World) -> None:
    world.apps[NAME].newest = "another"


def _takes_a_value(world: World) -> None:
    world.apps[NAME].pods[0].runs = world.apps[NAME].pods[0].runs | {"workers": 1}


def _is_resized(world: World) -> None:
    world.apps[NAME].pods[0].sizes = {"requests": {"cpu": "1"}}


HAPPENS = [_restarts, _crashes, _is_not_ready, _goes, _rolls_out, _takes_a_value, _is_resized]


def _found(happens: Callable[[World], None], begun: float, clean: bool = True, jump: float = 0.0) -> list[str]:
    """Ten seconds pass, then it happens, then five pass; and then a window is taken for clean."""

    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        world.clock.skip(10)
        happens(world)
        watch.others()
        world.clock.skip(5)
        world.own_clock.ahead += jump
        watch.woken(NAME)
        _taken_for_clean(world, begun, clean)
        watch.slept(NAME)
        return [line.partition(":")[0] for line in watch.found]

    return asyncio.run(run())


@pytest.mark.parametrize("happens", HAPPENS)
@pytest.mark.parametrize(
    ("begun", "clean", "found"),
    [
        pytest.param(7.5, True, ["clean_windows_are"], id="in its middle"),
        pytest.param(5, True, [], id="before it began"),
        pytest.param(7.5, False, [], id="in one that is not clean"),
    ],
)
def test_what_happens_to_a_pod_in_a_clean_window_is_found(
    happens: Callable[[World], None], begun: float, clean: bool, found: list[str]
) -> None:
    assert _found(happens, begun, clean) == found


@pytest.mark.parametrize(
    ("failed", "found"),
    [
        pytest.param(True, [], id="after a look of that instant had begun"),
        pytest.param(False, ["clean_windows_are"], id="before any did"),
    ],
)
def test_what_happens_in_the_instant_in_which_a_window_ends(failed: bool, found: list[str]) -> None:
    """Seed 1600000689: the look failed when it wrote, and the window that it took was held against what came after."""

    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        world.clock.skip(10)
        if failed:
            watch.woken(NAME)
        _taken_for_clean(world, LENGTH)
        _restarts(world)
        watch.others()
        world.clock.skip(2)
        watch.woken(NAME)
        watch.slept(NAME)
        return [line.partition(":")[0] for line in watch.found]

    assert asyncio.run(run()) == found


def test_a_window_in_which_nothing_happened_is_clean() -> None:
    assert _found(_nothing, 7.5) == []


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_window_of_before_the_clock_jumped_is_held_against_nothing(jump: float) -> None:
    assert _found(_restarts, 7.5, jump=jump) == []


def test_a_window_is_looked_at_once() -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        world.clock.skip(10)
        _taken_for_clean(world, LENGTH)
        watch.woken(NAME)
        watch.slept(NAME)
        _restarts(world)
        watch.others()
        watch.slept(NAME)
        return watch.found

    assert asyncio.run(run()) == []
