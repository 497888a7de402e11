"""What a search may ask for next, from where it stands: small steps anywhere, or rows of a table nearby."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pegbox.learning.axes import Axes
from pegbox.learning.queueing import Array
from pegbox.model.knobs import Setting

NEAR = 2  # knobs in which a row may differ
TOGETHER = (2, 3, 5, 8)  # of the single moves that promise most
CLOSE = 1e-9

Found = dict[Setting, Array]
Promise = Callable[[list[Setting], Array], tuple[Array, Array]]
"""Two scores of settings that stand at points (n, axes): each (n,), more is better, nothing is promised at 0."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the search stands: `setting` at `point`. `lowest` is the least place of each axis, `box` the share of a
    full step that may be taken."""

    axes: Axes
    setting: Setting
    point: Array
    lowest: Array
    box: float

    def placed(self, wishes: Sequence[Mapping[int, float]]) -> Found:
        """Each wish on the grid, where its sizes may be cut."""
        found = {}
        for wish in wishes:
            setting, point = self.axes.moved(self.setting, self.point, wish)
            if np.all(point >= self.lowest - CLOSE):
                found[setting] = point
        return found


def small_steps(
    spot: Spot,
    promise: Promise,
    ran: Iterable[tuple[Setting, Array]],
    chance: Generator,
    count: int,
    alone: bool = False,
) -> Found:
    """Moves of one knob, of several along what the process says, of several at random; and what ran nearby. `alone`:
    none of several."""
    down, up = spot.axes.reach(spot.point, spot.box)
    moving = [i for i in spot.axes.moving if up[i] + down[i] > 0]
    singles = [{i: move} for i in moving for move in (-down[i], -down[i] / 2, up[i] / 2, up[i]) if move != 0]
    found = spot.placed(singles)
    sizes = spot.axes.sizes
    moving = [i for i in moving if not (sizes[i] or alone)]  # a size moves alone, so that what it does is seen
    if found:
        found |= spot.placed(_along(spot, promise, [wish for wish in singles if next(iter(wish)) in moving]))
    while len(found) < count and len(moving) > 1:
        wishes = []
        for _ in range(count // 4):
            several = int(chance.integers(2, min(5, len(moving)) + 1))
            picked = [int(i) for i in chance.choice(moving, size=several, replace=False)]
            wishes.append({i: float(chance.uniform(-down[i], up[i])) for i in picked})
        before = len(found)
        found |= spot.placed(wishes)
        if len(found) == before:
            break
    for setting, point in ran:
        if np.all((point >= spot.point - down - 1e-6) & (point <= spot.point + up + 1e-6)):
            found[setting] = point
    found.pop(spot.setting, None)
    return found


def near_rows(spot: Spot, rows: Sequence[Setting], table: Array, chance: Generator, count: int) -> Found:
    """The rows that differ from the spot in a few knobs; `table` (rows, axes) is where they stand."""
    moved = np.abs(table - spot.point) > CLOSE
    knobs = np.zeros(len(table))
    for group in spot.axes.groups:
        knobs += moved[:, group].any(axis=1)
    picked = np.flatnonzero((knobs > 0) & (knobs <= NEAR))
    if len(picked) > count:
        picked = np.sort(chance.choice(picked, count, replace=False))
    return {rows[int(i)]: table[i] for i in picked}


def _along(spot: Spot, promise: Promise, wishes: list[dict[int, float]]) -> list[dict[int, float]]:
    """The single moves that promise most, taken together: two, three, five, eight, all that promise."""
    if not wishes:
        return []
    placed = [spot.axes.moved(spot.setting, spot.point, wish) for wish in wishes]
    found = []
    for score in promise([setting for setting, _ in placed], np.array([point for _, point in placed])):
        best: dict[int, tuple[float, float]] = {}
        for wish, promised in zip(wishes, score, strict=True):
            axis, move = next(iter(wish.items()))
            if promised > max(0.0, best.get(axis, (0.0, 0.0))[0]):
                best[axis] = float(promised), move
        ranked = sorted(best, key=lambda axis: -best[axis][0])
        for count in (*TOGETHER, len(ranked)):
            if 2 <= count <= len(ranked):
                found += [{i: best[i][1] * share for i in ranked[:count]} for share in (1.0, 0.5)]
    return found
