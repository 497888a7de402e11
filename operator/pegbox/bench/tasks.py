"""What is tuned in one run: the truth, which no tuner sees, and the noise in front of it."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from pegbox.bench.spec import Better, Scale, Spec
from pegbox.bench.surrogate import Array, Surrogate
from pegbox.bench.tables import GIB, Table
from pegbox.bench.tuners.base import Measured, Problem
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobType, SearchSpace, Setting

REPLICATES = 5  # of the start, free
CORRELATION = 0.5  # of one step's noise with the next: AR(1)
OUTLIERS, OUTLIER = 0.02, 0.7  # in the variant with outliers: this share of the steps loses 30 %
LOG_RATIO = 8  # numbers whose limits are this far apart are told on a log scale, unless the spec says otherwise


@dataclass(frozen=True)
class Task:
    """`true` gives the noiseless metric of settings (NaN: the workload fails), `noise_sd` a relative sd."""

    spec: Spec
    space: SearchSpace
    start: Setting
    start_name: str
    model_seed: int
    true: Callable[[Sequence[Setting]], Array]
    noise_sd: Callable[[Setting], float]
    price: Callable[[Setting], float]
    logs: frozenset[str]
    rows: tuple[Setting, ...] | None = None
    first: tuple[Setting, ...] = ()  # what everybody runs before anything is asked
    nearby: bool = False  # a proposal becomes the nearest unseen row that differs from the incumbent in two knobs
    outliers: bool = False
    start_metric: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_metric", float(self.true([self.start])[0]))
        if not math.isfinite(self.start_metric):
            raise InvalidInput(
                f"{self.spec.name}: starts", self.start_name, "the model of the table fails there: take another"
            )
        if not self.price(self.start) > 0:
            raise InvalidInput(
                f"{self.spec.name}: price", self.start_name, "this start costs nothing: price what it uses"
            )

    @property
    def maximise(self) -> bool:
        return self.spec.metric.better is Better.HIGHER

    def ratios(self, metrics: Array) -> Array:
        """How good metrics are beside the start's, 0 where the workload fails: above 1 is better."""
        found = metrics / self.start_metric if self.maximise else self.start_metric / metrics
        return np.where(np.isfinite(found), found, 0.0)

    def costs(self, settings: Sequence[Setting], metrics: Array) -> Array:
        """What is minimised, relative to the start's; infinite where the workload fails."""
        prices = np.array([self.price(s) for s in settings]) / self.price(self.start)
        with np.errstate(divide="ignore"):
            return np.asarray(prices / self.ratios(metrics), dtype=np.float64)

    def problem(self, seed: int, noise: Noise) -> Problem:
        """What a tuner is told."""
        free = tuple(noise.measure(self, self.start, -1 - i) for i in range(REPLICATES))
        return Problem(
            space=self.space,
            start=self.start,
            free=free,
            steps=self.spec.steps,
            seed=seed,
            maximise=self.maximise,
            price=self.price,
            floor=float(self.spec.floor),
            least=float(self.spec.least),
            admissible=lambda setting: all(knob.admits(setting[knob.name]) for knob in self.space.knobs),
            logs=self.logs,
            leaps=self.rows is not None,
            rows=self.rows,
            nearby=self.nearby,
        )


class Noise:
    """Common random numbers: the same for the same (spec, model seed, start, seed, step), whatever is asked."""

    def __init__(self, task: Task, seed: int, steps: int) -> None:
        key = f"{task.spec.name}/{task.model_seed}/{task.start_name}/{seed}"
        chance = random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))
        fresh = math.sqrt(1 - CORRELATION**2)
        self._unit: list[float] = []
        self._hit: list[bool] = []
        last = chance.gauss(0.0, 1.0)
        for _ in range(steps + REPLICATES):
            last = CORRELATION * last + fresh * chance.gauss(0.0, 1.0)
            self._unit.append(last)
            self._hit.append(chance.random() < OUTLIERS)

    def measure(self, task: Task, setting: Setting, step: int) -> Measured:
        """The noisy figure of `step`; steps below 0 are the free replicates."""
        true = float(task.true([setting])[0])
        if not math.isfinite(true):
            return Measured(None)
        at = step + REPLICATES
        log = task.noise_sd(setting) * self._unit[at]
        if task.outliers and self._hit[at] and step >= 0:
            log += math.log(OUTLIER) if task.maximise else -math.log(OUTLIER)
        return Measured(true * math.exp(log))


def logs_of(spec: Spec, space: SearchSpace) -> frozenset[str]:
    """The knobs on a log scale: those that the spec names, and where it is silent those over a wide range."""
    said = {knob.name: knob.scale for knob in spec.knobs}
    found = set()
    for knob in space.knobs:
        if knob.type.numeric and knob.minimum is not None and knob.maximum is not None:
            wide = knob.minimum > 0 and knob.maximum >= LOG_RATIO * knob.minimum
            if said.get(knob.name) is Scale.LOG or (said.get(knob.name) is None and wide):
                found.add(knob.name)
    return frozenset(found)


def pricing(spec: Spec, table: Table) -> Callable[[Setting], float]:
    """The price of a setting: cores and units as they are, bytes by the GiB. 1 where nothing has a price."""
    parts = [(name, float(price)) for name, price in spec.price.items() if price]
    sizes = {knob.name: GIB if knob.type is KnobType.BYTES else Fraction(1) for knob in spec.knobs}

    def price(setting: Setting) -> float:
        total = 0.0
        for name, each in parts:
            value = setting[name] if name in setting else table.fixed[name]
            assert isinstance(value, Fraction)
            total += each * float(value / sizes[name])
        return total

    return price if parts else lambda setting: 1.0


def surrogate_task(spec: Spec, table: Table, model: Surrogate, model_seed: int, start_name: str) -> Task:
    """A run on a model of the table, from one of the spec's start rows. Raises InvalidInput."""
    start = table.row(spec.starts[start_name]).setting
    return Task(
        spec=spec,
        space=table.space,
        start=start,
        start_name=start_name,
        model_seed=model_seed,
        true=model.true,
        noise_sd=model.noise_sd,
        price=pricing(spec, table),
        logs=logs_of(spec, table.space),
    )
