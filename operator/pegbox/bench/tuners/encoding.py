"""Settings as rows of numbers and back: what models and random moves are made of.

A *code* row has one number per movable knob: numbers lie in [0, 1] (on a log scale where the limits are a factor 8 or
more apart), booleans are 0 or 1, choices that are all numbers lie in [0, 1] like numbers, other choices are their
index. *Columns* are what a model sees: codes, with other choices as one column per choice. Fractions are made only for
the setting that is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Knob, KnobType, KnobValue, SearchSpace, Setting

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOG_FROM = 8.0  # limits this far apart are a matter of factors, not of differences
STEP_RATIO = 1.5
STEP_SHARE = 0.15  # of the knob's whole (log) range
SAME = 1e-9
HALF_DIAGONAL = math.sqrt(0.5)  # two choices lie one unit apart, like the ends of a number's range


@dataclass(frozen=True)
class Scale:
    """From a number in [low, high] to [0, 1]."""

    low: float
    high: float
    log: bool

    @staticmethod
    def between(low: float, high: float) -> Scale:
        return Scale(low, high, low > 0 and high / low >= LOG_FROM)

    def code(self, value: Array | float) -> Array:
        if self.log:  # a start may lie below the limits: its code is below 0, and that of 0 is finite
            bounded = np.maximum(value, self.low * 1e-3)
            return np.asarray(np.log(bounded / self.low) / math.log(self.high / self.low), dtype=np.float64)
        return np.asarray((np.asarray(value) - self.low) / (self.high - self.low), dtype=np.float64)

    def value(self, code: Array) -> Array:
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** code, dtype=np.float64)
        return np.asarray(self.low + code * (self.high - self.low), dtype=np.float64)


@dataclass(frozen=True)
class Column:
    """One movable knob. `places` are the codes of its values where it has levels and no unit, else empty."""

    knob: Knob
    scale: Scale
    places: tuple[float, ...] = ()
    levels: tuple[KnobValue, ...] = ()  # in the order of `places`
    ordered: bool = True

    @property
    def width(self) -> int:
        return 1 if self.ordered else len(self.places)

    @property
    def numeric(self) -> bool:
        return not self.places

    def code(self, value: KnobValue) -> float:
        """Raises InvalidInput for a value that the knob does not know."""
        if isinstance(value, Fraction) and self.numeric:
            return float(self.scale.code(float(value)))
        if value not in self.levels or self.numeric:
            raise InvalidInput(f"knob {self.knob.name}", value, "write a value of the knob's own type")
        return self.places[self.levels.index(value)]

    def decoded(self, code: float) -> KnobValue:
        if self.places:
            return self.levels[int(np.argmin(np.abs(np.array(self.places) - code)))]
        return self.knob.clamp(Fraction(float(self.scale.value(np.array(min(max(code, 0.0), 1.0))))))

    def snap(self, codes: Array) -> Array:
        """The nearest codes that stand for a value inside the limits; the same rule as `Knob.clamp`."""
        if self.places:
            places = np.array(self.places)
            return np.asarray(places[np.argmin(np.abs(codes[:, None] - places[None, :]), axis=1)])
        unit = float(self.knob.unit)
        values = np.round(self.scale.value(np.clip(codes, 0.0, 1.0)) / unit) * unit
        return self.scale.code(np.clip(values, self.scale.low, self.scale.high))

    def box(self, code: float) -> tuple[float, float]:
        """Codes within 15 % of a number's (log) range, or within one unit where that is more; else as `reach`."""
        if self.places:
            return self.reach(code)
        value, unit = float(self.scale.value(np.array(code))), float(self.knob.unit)
        one_down, one_up = self.scale.code(np.clip([value - unit, value + unit], self.scale.low, self.scale.high))
        return max(min(code - STEP_SHARE, float(one_down)), 0.0), min(max(code + STEP_SHARE, float(one_up)), 1.0)

    def reach(self, code: float) -> tuple[float, float]:
        """The codes between which one step may put a number: x1.5, or 15 % of the (log) range where that is more, and
        at least one unit. An ordered choice goes to the next one; of others every one is a step away.
        """
        if not self.ordered:
            return min(self.places), max(self.places)
        if self.places:
            below, above = [p for p in self.places if p < code], [p for p in self.places if p > code]
            return max(below, default=code), min(above, default=code)
        value, unit = float(self.scale.value(np.array(code))), float(self.knob.unit)
        low, high = (float(v) for v in self.scale.value(np.array([code - STEP_SHARE, code + STEP_SHARE])))
        low, high = min(low, value / STEP_RATIO, value * STEP_RATIO), max(high, value / STEP_RATIO, value * STEP_RATIO)
        whole = [math.ceil(low / unit - 1e-9) * unit, math.floor(high / unit + 1e-9) * unit]  # not rounded beyond it
        ends = np.clip([min(whole[0], value - unit), max(whole[1], value + unit)], self.scale.low, self.scale.high)
        below, above = self.scale.code(ends)
        return float(below), float(above)


def _column(knob: Knob) -> Column | None:
    """None for a knob that cannot move. Raises InvalidInput for a number without limits."""
    if not knob.tunable:
        return None
    if knob.type is KnobType.BOOLEAN:
        return Column(knob, Scale(0.0, 1.0, False), (0.0, 1.0), (False, True))
    if knob.type is KnobType.CHOICE:
        return _choice(knob) if len(set(knob.choices)) > 1 else None
    if knob.minimum is None or knob.maximum is None:
        raise InvalidInput(f"knob {knob.name}", None, "give it a minimum and a maximum")
    if knob.minimum >= knob.maximum:
        return None
    return Column(knob, Scale.between(float(knob.minimum), float(knob.maximum)))


def _choice(knob: Knob) -> Column:
    choices = tuple(dict.fromkeys(knob.choices))
    numbers = [_number(c) for c in choices]
    known = sorted({n for n in numbers if n is not None})
    if len(known) < len(choices):  # some are no numbers, or two are the same one
        places = tuple(float(i) for i in range(len(choices)))
        return Column(knob, Scale(0.0, places[-1], False), places, choices, ordered=False)
    scale = Scale.between(known[0], known[-1])
    by_number = sorted(choices, key=lambda c: _number(c) or 0.0)
    return Column(knob, scale, tuple(float(c) for c in scale.code(np.array(known))), tuple(by_number))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class Encoding:
    """Of one space. Knobs that cannot move keep the value that they have in `base`."""

    def __init__(self, space: SearchSpace, base: Setting) -> None:
        self.base = base
        made = [_column(knob) for knob in space.knobs if knob.name in base]
        self.columns = tuple(column for column in made if column is not None)
        self.width = sum(column.width for column in self.columns)
        self.numeric: Mask = np.array([c.numeric for c in self.columns], dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.columns)

    def codes(self, settings: Sequence[Setting]) -> Array:
        """(settings, knobs). Raises InvalidInput."""
        rows = [[column.code(setting[column.knob.name]) for column in self.columns] for setting in settings]
        return np.array(rows, dtype=np.float64).reshape(len(settings), len(self.columns))

    def setting(self, row: Array, near: Setting | None = None) -> Setting:
        """What a code row stands for. Knobs whose code is that of `near` (the base) keep its exact value."""
        near = near or self.base
        changes: dict[str, KnobValue] = {}
        for column, code in zip(self.columns, row, strict=True):
            if column.code(near[column.knob.name]) != code:
                changes[column.knob.name] = column.decoded(float(code))
        return Setting({**near, **changes}) if changes else near

    def snap(self, codes: Array) -> Array:
        """(rows, knobs): the nearest rows that stand for settings."""
        snapped = [column.snap(codes[:, i]) for i, column in enumerate(self.columns)]
        return np.stack(snapped, axis=1) if snapped else codes

    def features(self, codes: Array) -> Array:
        """(rows, width): what a model sees."""
        parts = [
            codes[:, i : i + 1]
            if column.ordered
            else (codes[:, i : i + 1] == np.array(column.places)[None, :]) * HALF_DIAGONAL
            for i, column in enumerate(self.columns)
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(codes), 0))

    def values(self, codes: Array) -> Array:
        """(rows, knobs) in base units; codes where a knob has levels."""
        parts = [codes[:, i] if c.places else c.scale.value(codes[:, i]) for i, c in enumerate(self.columns)]
        return np.stack(parts, axis=1) if parts else np.zeros((len(codes), 0))

    def random(self, chance: Generator, count: int) -> Array:
        """Rows drawn evenly over the whole space, snapped."""
        return self._spread(chance.random((count, len(self.columns))))

    def sobol(self, count: int, seed: int) -> Array:
        """The first rows of a scrambled Sobol sequence over the space, snapped."""
        from scipy.stats import qmc

        if not self.columns or count < 1:
            return np.zeros((max(count, 0), len(self.columns)))
        points = qmc.Sobol(len(self.columns), rng=np.random.default_rng(seed))
        return self._spread(points.random_base2(math.ceil(math.log2(count)))[:count])

    def _spread(self, shares: Array) -> Array:
        """Every level of a knob gets the same share of [0, 1)."""
        rows = shares.copy()
        for i, column in enumerate(self.columns):
            if column.places:
                rows[:, i] = np.array(column.places)[(shares[:, i] * len(column.places)).astype(np.int64)]
        return self.snap(rows)

    def mutated(self, chance: Generator, rows: Array, knobs: Mask, widths: Array) -> Array:
        """Rows with the marked knobs moved: numbers by normal steps of the row's width, levels to another one."""
        moved = rows + np.where(self.numeric[None, :], chance.normal(size=rows.shape) * widths[:, None], 0.0)
        for i, column in enumerate(self.columns):
            if column.places:
                at = np.argmin(np.abs(rows[:, i : i + 1] - np.array(column.places)[None, :]), axis=1)
                other = (at + chance.integers(1, len(column.places), size=len(rows))) % len(column.places)
                moved[:, i] = np.array(column.places)[other]
        return np.where(knobs, self.snap(moved), rows)

    def step(self, chance: Generator, row: Array, knob: int) -> Array:
        """The row with one knob moved at random within the reach of one step, by at least one unit where it can."""
        column, code = self.columns[knob], float(row[knob])
        low, high = column.reach(code)
        if column.places:
            others = [p for p in column.places if p != code and low <= p <= high]
            found = float(chance.choice(others)) if others else code
        else:
            ends = [end for end in (low, high) if abs(end - code) > SAME]
            end = float(chance.choice(ends)) if ends else code
            first, last = column.snap(np.array([code + (end - code) * chance.random(), end]))
            found = float(first if abs(first - code) > SAME else last)
        moved = row.copy()
        moved[knob] = found
        return moved

    def neighbours(self, row: Array) -> Array:
        """Every row that one step of one knob leads to: all levels in reach; of a number the ends of its reach, half
        of the way there, and one unit. (rows, knobs), without the row itself, each once.
        """
        found: list[Array] = []
        for i, column in enumerate(self.columns):
            code = float(row[i])
            low, high = column.reach(code)
            if column.places:
                codes = [p for p in column.places if low <= p <= high]
            else:
                value, unit = float(column.scale.value(row[i])), float(column.knob.unit)
                units = column.scale.code(np.clip([value - unit, value + unit], column.scale.low, column.scale.high))
                codes = list(column.snap(np.array([low, (low + code) / 2, (high + code) / 2, high, *units])))
            for other in dict.fromkeys(float(c) for c in codes):
                if abs(other - code) > SAME:
                    moved = row.copy()
                    moved[i] = other
                    found.append(moved)
        return np.array(found, dtype=np.float64).reshape(len(found), len(self.columns))
