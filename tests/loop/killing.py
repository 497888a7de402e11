"""A process that is killed once: at the so-many-th time that it reaches a point."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pegbox.runtime.points import Point, nobody
from pegbox.testing.faults import Killed
from tests.loop.world import World


@dataclass
class Countdown:
    """Implements points.Reached; `left` is how often it may pass the point, this time included."""

    point: Point
    left: int

    def __call__(self, at: Point) -> None:
        if at is self.point:
            self.left -= 1
            if self.left == 0:
                raise Killed


async def nothing() -> None:
    """Nobody looks in between."""


async def killed_once(
    world: World, countdown: Countdown, turns: int, look: Callable[[], Awaitable[None]] = nothing
) -> None:
    """Turns until it was killed and started again, `turns` at the most; `look` after each."""
    world.reached = countdown
    for _ in range(turns):
        try:
            await world.turn()
        except Killed:
            world.restart()
            await world.pods_step(world.apps["checkout"])
        await look()
        if countdown.left <= 0:
            break
    world.reached = nobody
