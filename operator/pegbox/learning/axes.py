"""Settings as points: one axis from 0 to 1 for each number, so that a step means the same on all of them.

A number moves by a small step: at most 15 % of its range, or a factor 1.5 on a log scale, and a size (cores, bytes) is
cut by at most 10 %. What can only move further than that at once (a boolean, a choice, a number with few levels) leaps:
its effect is unknown until it is there, whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pegbox.learning.queueing import Array, Mask
from pegbox.model.knobs import Knob, KnobType, KnobValue, SearchSpace, Setting

STEP = 0.15  # of the range
FACTOR = math.log(1.5)  # on a log scale, where that is less
CUT = 0.10  # of a size, downwards
WIDE = Fraction(8)  # a range over so large a factor is told on a log scale
SIZES = (KnobType.CPU, KnobType.BYTES)


@dataclass(frozen=True, slots=True)
class Axis:
    """One column. For a choice there is one axis per choice, 0 or 1; `choice` names it."""

    knob: Knob
    log: bool
    choice: str = ""

    @property
    def low(self) -> float:
        return self._warp(float(self.knob.minimum or 0))

    @property
    def high(self) -> float:
        return self._warp(float(self.knob.maximum or 1))

    def place(self, value: KnobValue) -> float:
        """0 at the lower limit, 1 at the upper one; what is beyond a limit stands at it."""
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, str):
            return float(value == self.choice)
        inside = min(max(float(value), float(self.knob.minimum or 0)), float(self.knob.maximum or 1))
        return (self._warp(inside) - self.low) / (self.high - self.low)

    def value(self, place: float) -> Fraction:
        """The number at a place, on the knob's grid and inside its limits."""
        at = self.low + min(1.0, max(0.0, place)) * (self.high - self.low)
        return self.knob.clamp(Fraction(math.exp(at) if self.log else at))

    def _warp(self, value: float) -> float:
        return math.log(value) if self.log else value


@dataclass(frozen=True, slots=True)
class Axes:
    """All axes of a space. `leaps` marks those that cannot move by a small step, `sizes` what is cut with care."""

    space: SearchSpace
    axes: tuple[Axis, ...]
    leaps: Mask
    sizes: Mask

    @property
    def moving(self) -> list[int]:
        """Positions of the axes that take small steps."""
        return [i for i, leap in enumerate(self.leaps) if not leap]

    def place(self, settings: Sequence[Setting]) -> Array:
        """Points, shape (settings, axes)."""
        rows = [[axis.place(setting[axis.knob.name]) for axis in self.axes] for setting in settings]
        return np.array(rows, dtype=np.float64).reshape(len(settings), len(self.axes))

    def reach(self, point: Array, box: float = 1.0) -> tuple[Array, Array]:
        """How far each axis may go down and up from a point in `box` of a step, and never less than by one unit; 0 for
        leaps."""
        down, up = np.zeros(len(self.axes)), np.zeros(len(self.axes))
        for i, axis in enumerate(self.axes):
            if self.leaps[i]:
                continue
            span = axis.high - axis.low
            most = min(STEP, FACTOR / span) if axis.log else STEP
            least = _unit(axis, float(point[i]))
            down[i] = up[i] = max(most * box, least)
            if self.sizes[i]:
                value = math.exp(axis.low + float(point[i]) * span) if axis.log else axis.low + float(point[i]) * span
                cut = -math.log(1 - CUT) / span if axis.log else CUT * value / span
                down[i] = min(down[i], max(cut * box, least))
        return np.minimum(down, point), np.minimum(up, 1.0 - point)

    @property
    def groups(self) -> list[list[int]]:
        """The axes of each knob."""
        names = dict.fromkeys(axis.knob.name for axis in self.axes)
        return [[i for i, axis in enumerate(self.axes) if axis.knob.name == name] for name in names]

    def least(self, start: Setting, share: float) -> Array:
        """The lowest place of each axis: for bytes that of `share` of the start's value, else 0."""
        low = np.zeros(len(self.axes))
        for i, axis in enumerate(self.axes):
            if axis.knob.type is KnobType.BYTES:
                low[i] = axis.place(axis.knob.clamp(start.number(axis.knob.name) * Fraction(share)))
        return low

    def moved(self, base: Setting, point: Array, moves: Mapping[int, float]) -> tuple[Setting, Array]:
        """`base`, which stands at `point`, with some axes moved: the setting on its grid, and where that stands."""
        there, values = point.copy(), {}
        for i, move in moves.items():
            axis = self.axes[i]
            values[axis.knob.name] = value = axis.value(float(point[i]) + move)
            there[i] = axis.place(value)
        return base.with_values(**values), there


def axes_of(
    space: SearchSpace,
    logs: frozenset[str] | None = None,
    costly: frozenset[str] = frozenset(),
    fixed: frozenset[str] = frozenset(),
) -> Axes:
    """`logs`: names on a log scale; None: those whose limits are a factor 8 apart. `costly`: names of sizes beside
    cores and bytes, such as a number of pods. Pinned knobs have no axis, `fixed` ones one on which nothing moves."""
    found: list[Axis] = []
    for knob in space.tunable:
        if knob.type is KnobType.CHOICE:
            found += [Axis(knob, False, choice) for choice in knob.choices]
        elif knob.type is KnobType.BOOLEAN:
            found.append(Axis(knob, False))
        elif knob.minimum is not None and knob.maximum is not None and knob.minimum < knob.maximum:
            wide = knob.minimum > 0 and knob.maximum >= WIDE * knob.minimum
            found.append(Axis(knob, knob.minimum > 0 and (wide if logs is None else knob.name in logs)))
    leaps = np.array([axis.knob.name in fixed or _leaps(axis) for axis in found], dtype=np.bool_)
    sizes = [axis.knob.type in SIZES or axis.knob.name in costly for axis in found]
    return Axes(space, tuple(found), leaps, np.array(sizes, dtype=np.bool_))


def _leaps(axis: Axis) -> bool:
    """Is the smallest move in the middle of the range already more than a small step?"""
    if not axis.knob.type.numeric:
        return True
    return _unit(axis, 0.5) > STEP


def _unit(axis: Axis, place: float) -> float:
    """The smallest move at a place."""
    if not axis.log:
        return float(axis.knob.unit) / (axis.high - axis.low)
    value = math.exp(axis.low + place * (axis.high - axis.low))
    return math.log1p(float(axis.knob.unit) / value) / (axis.high - axis.low)
