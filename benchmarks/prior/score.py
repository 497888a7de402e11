"""How well a model predicts settings that it has not seen, and what its proposals would have done."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pegbox.core.propose import propose
from pegbox.learning.beliefs import ColdStart
from pegbox.learning.evaluate import baseline_throughput
from pegbox.learning.features import make_plan, pods_under
from pegbox.learning.model import Z90, CapacityModel, fit_model
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Forecast, Interval
from pegbox.model.proposals import Proposal, ProposeRequest
from pegbox.testing.drawn import FAMILIES
from pegbox.testing.drawn.base import Drawn
from pegbox.testing.drawn.walk import Seen, neighbours, rows, walk

NEIGHBOURS = 8
SERVED = 0.97
SLOW = 3.0  # a latency target is that many times the latency at little load
OBJECTIVES = ("MinimizeCost", "MaximizeThroughput", "MinimizeLatency")
LEVEL = 0.9
NEAREST = 0.1  # distances below it are taken for it: nothing was moved that could widen an interval


@dataclass(frozen=True, slots=True)
class Guess:
    """One predicted interval beside the truth, in logarithms: the mean is `off` above it, the interval goes `down`
    and `up` from the mean. `far` is the distance to the nearest setting seen."""

    off: float
    down: float
    up: float
    far: float = 0.0

    @property
    def outside(self) -> float:
        """What the truth lies outside of the interval by."""
        return max(0.0, self.off - self.down, -self.off - self.up)

    @property
    def loss(self) -> float:
        """The interval score: the width, and 2 / (1 - level) times what the truth lies outside by."""
        return self.down + self.up + 2.0 / (1.0 - LEVEL) * self.outside

    @property
    def needed(self) -> float:
        """The misfit per distance with which the interval would have held the truth."""
        half = self.down if self.off > 0 else self.up
        return math.sqrt(max(0.0, self.off**2 - half**2)) / (Z90 * max(self.far, NEAREST))

    def widened(self, misfit: float) -> Guess:
        extra = Z90 * misfit * self.far
        return Guess(self.off, math.hypot(self.down, extra), math.hypot(self.up, extra), self.far)


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one workload after so many windows. `proposal`: harmful, gains, even, or none."""

    family: str
    seed: int
    windows: int
    beliefs: str
    capacity: tuple[Guess, ...]
    latency: tuple[Guess, ...]
    proposal: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """Windows of one workload that measured capacity, each predicted before it came."""

    family: str
    seed: int
    beliefs: str
    guesses: tuple[Guess, ...]


def guess(told: Interval, truth: float, far: float = 0.0) -> Guess:
    middle = math.log(told.mean)
    return Guess(middle - math.log(truth), middle - math.log(told.low), math.log(told.high) - middle, far)


def scores(family: str, seed: int, variants: Mapping[str, ColdStart], counts: Sequence[int]) -> list[Scores]:
    """All variants on one workload: the same windows, the same settings to predict."""
    plant = FAMILIES[family](seed)
    seen = walk(plant, max(counts))
    found = []
    for windows in counts:
        truth = Truth(plant, seen[:windows])
        for name, cold in variants.items():
            model = fit_model(plant.space, plant.roles, rows(seen[:windows]), cold=cold)
            capacity, latency = ((), ()) if isinstance(model, Missing) else truth.guesses(model)
            outcome = truth.outcome(model)
            found.append(Scores(family, seed, windows, name, capacity, latency, outcome))
    return found


class Truth:
    """What holds at the settings around the newest one."""

    def __init__(self, plant: Drawn, seen: Sequence[Seen]) -> None:
        self.plant, self.newest = plant, seen[-1]
        self.here = seen[-1].setting
        self.now = plant.pods(self.here, plant.load)
        self.plan = make_plan(plant.space, plant.roles, rows(seen))
        self.near = neighbours(plant, self.here, NEIGHBOURS)
        calm = plant.answer(plant.start, plant.pods(plant.start, 0.0), 0.2 * plant.load)
        self.target = SLOW * calm.latency
        self._answers: dict[Setting, tuple[float, float, float]] = {}

    def at(self, setting: Setting) -> tuple[float, float, float]:
        """(capacity, served, mean latency) at the usual load, with the pods that the setting leads to."""
        if setting not in self._answers:
            pods = round(pods_under(self.plan, setting, self.now))
            told = self.plant.answer(setting, pods, self.plant.load)
            self._answers[setting] = self.plant.capacity(setting, pods), told.throughput, told.latency
        return self._answers[setting]

    def guesses(self, model: CapacityModel) -> tuple[tuple[Guess, ...], tuple[Guess, ...]]:
        """Of capacity everywhere, of latency where the load is served."""
        told = model.predict(self.near, self.plant.load, float(self.now))
        truths = [self.at(setting) for setting in self.near]
        found = list(zip(told, truths, model.distances(self.near), strict=True))
        capacity = tuple(guess(t.capacity, true[0], float(far)) for t, true, far in found)
        served = [one for one in found if one[1][1] >= SERVED * self.plant.load]
        return capacity, tuple(guess(t.latency, true[2], float(far)) for t, true, far in served)

    def outcome(self, model: CapacityModel | Missing) -> str:
        """What would have come of the proposal: harmful where less is served, or a target that was kept is missed."""
        proposal = propose(self._request(), model)
        if not isinstance(proposal, Proposal):
            return "none"
        (_, served, slow), (_, then, later) = self.at(self.here), self.at(proposal.setting)
        kept, keeps = (late <= self.target for late in (slow, later))
        if then < SERVED * served or (kept and not keeps):
            return "harmful"
        return "gains" if then * SERVED > served or (keeps and not kept) else "even"

    def _request(self) -> ProposeRequest:
        seen = self.newest.observation
        assert isinstance(seen.latency, float)
        return ProposeRequest(
            space=self.plant.space,
            roles=self.plant.roles,
            incumbent=self.here,
            observation=seen,
            objective=OBJECTIVES[self.plant.seed % len(OBJECTIVES)],
            slo_headroom=seen.latency <= self.target,
            load=self.plant.load,
            pods=float(self.now),
            recent_failures=(),
            seed=self.plant.seed,
            admissible=_bounds_in_order,
        )


def _bounds_in_order(setting: Setting) -> bool:
    low, high = setting.get("min_replicas"), setting.get("max_replicas")
    return not (isinstance(low, Fraction) and isinstance(high, Fraction) and low > high)


def ahead(family: str, seed: int, variants: Mapping[str, ColdStart], windows: int) -> list[Ahead]:
    """Each window predicted by a model of those before it, which also knows what earlier predictions missed by."""
    plant = FAMILIES[family](seed)
    seen = walk(plant, windows)
    return [Ahead(family, seed, name, tuple(_ahead(plant, seen, cold))) for name, cold in variants.items()]


def _ahead(plant: Drawn, seen: Sequence[Seen], cold: ColdStart) -> Iterator[Guess]:
    forecasts: list[Forecast] = []
    for at in range(3, len(seen)):
        before, come = rows(seen[:at]), seen[at].observation
        load, throughput = come.offered_load, come.throughput
        assert isinstance(load, float) and isinstance(throughput, float)
        model = fit_model(plant.space, plant.roles, before, forecasts, cold=cold)
        if isinstance(model, Missing):
            continue
        told = model.predict([seen[at].setting], load, float(come.pods))[0].capacity
        simple = baseline_throughput(before, seen[at].setting, load)
        if isinstance(simple, float):
            forecasts.append((min(load, told.mean), simple, throughput))
        if throughput < SERVED * load:
            yield guess(told, throughput)
