"""A made-up problem of any number of knobs: a bowl with cliffs, in mixed types. For timings and for tests, not a claim.

The log of the metric falls with the squared distance from a best point, weighed so that a few knobs matter most. The
second number has a cliff at its low end, the first choice a bad value, and the corner of two low numbers fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.bench.tuners.encoding import Array, Encoding
from pegbox.model.knobs import Knob, KnobType, KnobValue, SearchSpace, Setting

GIB = 2**30
TOP = 1000.0  # events per second at the best point
LOW = 0.12  # of a number's range: where cliffs begin
KINDS = (
    Knob("cpu", KnobType.CPU, minimum=Fraction(1, 2), maximum=Fraction(8)),
    Knob("workers", KnobType.INTEGER, minimum=Fraction(1), maximum=Fraction(64)),
    Knob("tiered", KnobType.BOOLEAN),
    Knob("collector", KnobType.CHOICE, choices=("none", "serial", "parallel", "concurrent")),
    Knob("memory", KnobType.BYTES, minimum=Fraction(GIB // 4), maximum=Fraction(4 * GIB)),
    Knob("wait", KnobType.DURATION, minimum=Fraction(0), maximum=Fraction(10)),
    Knob("level", KnobType.CHOICE, choices=("0", "1", "2", "4")),
    Knob("share", KnobType.DECIMAL, minimum=Fraction(1), maximum=Fraction(5)),
)


@dataclass(frozen=True)
class Bowl:
    """`noise`: the sd of one measurement's log."""

    problem: Problem
    encoding: Encoding
    best: Array
    weights: Array
    noise: float

    def truth(self, settings: Sequence[Setting]) -> list[float | None]:
        """The noiseless metric of each; None where the workload fails."""
        return [self._true(row, setting) for row, setting in zip(self.encoding.codes(settings), settings, strict=True)]

    def _true(self, row: Array, setting: Setting) -> float | None:
        numbers = row[self.encoding.numeric]
        if len(numbers) > 1 and max(numbers[0], numbers[1]) < LOW:
            return None
        metric = TOP * float(np.exp(-np.sum(self.weights * (row - self.best) ** 2)))
        if len(numbers) > 1 and numbers[1] < LOW:
            metric *= 0.4
        return metric * 0.5 if setting.get("collector") == "none" else metric

    def measured(self, setting: Setting, step: int) -> Measured:
        """The same noise for the same step, whatever is asked."""
        true = self.truth([setting])[0]
        chance = np.random.default_rng([self.problem.seed, 99, step])
        return Measured(None if true is None else true * float(np.exp(chance.normal(0.0, self.noise))))

    def regret(self, setting: Setting) -> float:
        """How much more the setting truly costs than the start, as a share; 1 where it fails."""
        here, start = self.truth([setting, self.problem.start])
        if here is None or start is None:
            return 1.0
        return self.problem.cost(setting, here) / self.problem.cost(self.problem.start, start) - 1.0


def knob_list(count: int) -> tuple[Knob, ...]:
    """So many, in the types of KINDS, over and over."""
    kinds = [(KINDS[i % len(KINDS)], i // len(KINDS)) for i in range(count)]
    return tuple(
        Knob(f"{k.name}{n or ''}", k.type, minimum=k.minimum, maximum=k.maximum, choices=k.choices) for k, n in kinds
    )


def bowl(knobs: int, seed: int, *, steps: int = 30, noise: float = 0.02, rows: int = 0, priced: bool = True) -> Bowl:
    """`rows`: a table of so many random settings beside the start, else the whole space."""
    space = SearchSpace(knob_list(knobs))
    blank = Setting({k.name: _first(k) for k in space.knobs})
    encoding = Encoding(space, blank)
    chance = np.random.default_rng(7)
    spread = np.array([1.0 if c.ordered else len(c.places) - 1.0 for c in encoding.columns])
    best = encoding.snap((np.where(encoding.numeric, 0.7, 1.0) * spread)[None, :])[0]
    weights = chance.permutation(np.geomspace(0.05, 0.8, knobs)) / spread**2
    start = encoding.setting(encoding.snap((0.45 * spread)[None, :])[0])
    table = tuple(encoding.setting(row) for row in encoding.random(np.random.default_rng([seed, 5]), rows))
    problem = Problem(
        space=space,
        start=start,
        free=(),
        steps=steps,
        seed=seed,
        maximise=True,
        price=_price if priced else lambda _: 1.0,
        floor=0.9,
        least=0.97 if priced else 0.0,
        admissible=lambda _: True,
        rows=(start, *table) if rows else None,
    )
    made = Bowl(problem, encoding, best, weights, noise)
    free = tuple(made.measured(start, 1_000_000 + i) for i in range(5))
    return replace(made, problem=replace(problem, free=free))


def _first(knob: Knob) -> KnobValue:
    if knob.type is KnobType.BOOLEAN:
        return False
    return knob.choices[0] if knob.minimum is None else knob.minimum


def _price(setting: Setting) -> float:
    """A core counts 1, a GiB 0.15, beside what the node costs anyway."""
    cores = sum(float(v) for n, v in setting.items() if n.startswith("cpu") and isinstance(v, Fraction))
    memory = sum(float(v) for n, v in setting.items() if n.startswith("memory") and isinstance(v, Fraction))
    return 2.0 + 0.3 * cores + 0.15 * memory / GIB
