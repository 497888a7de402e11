"""A made-up workload to search on: a smooth bowl, told with noise. Its search is small enough for unit tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction as F

import numpy as np

from pegbox.learning.axes import Axes, axes_of
from pegbox.learning.queueing import Array
from pegbox.learning.search import SafeSearch
from pegbox.learning.terms import Goal, Parameters
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting

GIB = 2**30
SPACE = SearchSpace(
    (
        Knob("cpu", KnobType.CPU, minimum=F(1, 2), maximum=F(8)),
        Knob("memory", KnobType.BYTES, minimum=F(GIB // 4), maximum=F(4 * GIB)),
        Knob("threads", minimum=F(1), maximum=F(64)),
        Knob("wait", KnobType.DURATION, minimum=F(0), maximum=F(10)),
        Knob("tiered", KnobType.BOOLEAN),
    )
)
START = Setting({"cpu": F(4), "memory": F(2 * GIB), "threads": F(8), "wait": F(6), "tiered": False})
QUIET = Parameters(candidates=64)
Truth = Callable[[Setting], float | None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run: the incumbent before it, what was asked, what was told, the incumbent after it."""

    before: Setting
    asked: Setting
    told: float | None
    after: Setting


def price(setting: Setting) -> float:
    """A core counts 0.3 and a GiB 0.15, beside 1 for the node."""
    return 1.0 + 0.3 * float(setting.number("cpu")) + 0.15 * float(setting.number("memory")) / GIB


def same_price(_: Setting) -> float:
    return 1.0


def bowl(setting: Setting) -> float:
    """The log metric: best at 20 threads and no wait; cores and memory matter little above 2 and 1 GiB."""
    threads = math.log(float(setting.number("threads")) / 20) / math.log(64)
    wait = float(setting.number("wait")) / 10
    cores = max(0.0, 2 - float(setting.number("cpu")))
    memory = max(0.0, 1 - float(setting.number("memory")) / GIB)
    return -(threads**2) - 0.2 * wait**2 - 0.3 * cores - 0.5 * memory


def flat(_: Setting) -> float:
    return 0.0


def goal(
    *,
    floor: float = 0.9,
    least: float = 0.97,
    price: Callable[[Setting], float] = price,
    admissible: Callable[[Setting], bool] = lambda _: True,
) -> Goal:
    return Goal(math.log(floor), math.log(least), price, admissible)


def search_of(
    *,
    seed: int = 1,
    space: SearchSpace = SPACE,
    start: Setting = START,
    free: tuple[float, ...] = (0.0,) * 5,
    to: Goal | None = None,
    parameters: Parameters = QUIET,
    rows: tuple[Setting, ...] | None = None,
) -> SafeSearch:
    return SafeSearch(space, start, goal() if to is None else to, free, seed, None, parameters, rows)


def steps(search: SafeSearch, truth: Truth, count: int, noise: float = 0.0, seed: int = 1) -> Iterator[Step]:
    chance = np.random.default_rng([seed, 99])
    for _ in range(count):
        before, asked = search.incumbent, search.ask()
        true = truth(asked)
        told = None if true is None else true + noise * float(chance.normal())
        search.tell(asked, told)
        yield Step(before, asked, told, search.incumbent)


def free_of(truth: float, noise: float, seed: int = 1) -> tuple[float, ...]:
    return tuple(truth + noise * np.random.default_rng([seed, 98]).normal(size=5))


def axes() -> Axes:
    return axes_of(SPACE)


def place(setting: Setting) -> Array:
    return np.asarray(axes().place([setting])[0])
