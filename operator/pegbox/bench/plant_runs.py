"""One tuner on one plant, in steps of simulated minutes, and the row that comes of it.

**Step**: 2 minutes to settle and 5 measured, under the setting that was asked for. Before step 1 the start runs
2 + 5 minutes five times: the free replicates. The plant never stops: what a step leaves behind
(backlog, leak, cold cache) is there in the next one.

**Metric**: the plants' objective is money under an SLO. What is told is the SLO's score (share of the offered events
that were good; `Slo.score`) over the measured minutes, and `price` is money per hour, so `Problem.cost` = price / score
is the cost per good event but for the load. A share and not a rate, because the load drifts: at noon the same setting
serves more good events per second, which is no merit of the setting. `least` is the SLO's share relative to the score
that the free replicates measured: above 1 where the start violates.

**Guard** of the harness, the same for everybody, as the operator's breaker: a minute that scores below half of what the
start measured ends the trial; the rest of the step runs under the incumbent (the start, where the incumbent is what
collapsed). What was measured until then is told. A setting that is not admissible never runs: the step passes under
the incumbent and counts as failed.

**Violation minutes** beyond the start's own: minutes whose score is below the SLO and more than 0.02 below that of the
start in the same minute with the same chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pegbox.bench.outcome import Run
from pegbox.bench.tuners.base import Make, Measured, Problem, Tuner
from pegbox.model.knobs import Setting
from pegbox.testing.plants import MakePlant
from pegbox.testing.plants.knobs import faults
from pegbox.testing.plants.oracle import cost_of, reference
from pegbox.testing.plants.protocol import Minute, Plant

SETTLE, WINDOW = 2, 5  # minutes
STEP = SETTLE + WINDOW
REPLICATES = 5
FREE = STEP * REPLICATES  # minutes before the first step
STEPS = 30
LATER = 20  # steps after a change in which a tuner has to find its way back
FLOOR = 0.9  # a score below that share of the start's is unsafe
COLLAPSED = 0.5
SAME = 0.02  # scores that differ by less do not differ
NEARLY = 0.01  # an incumbent that misses its SLO by less holds it: no measurement could tell
VIOLATES = 10.0  # the cost ratio of an incumbent that does not hold the SLO
LEAST_SCORE = 1e-3  # metrics are positive


@dataclass
class Reference:
    """What every run on a plant is compared with: the start's own minutes by seed, and the reachable oracle."""

    make: MakePlant
    _truth: Plant | None = None
    _held: dict[int, tuple[Plant, list[float]]] = field(default_factory=dict)
    _oracles: dict[int, float] = field(default_factory=dict)

    @property
    def truth(self) -> Plant:
        """A plant that is only asked for what is true. It remembers what it was asked."""
        if self._truth is None:
            self._truth = self.make(0)
        return self._truth

    def own(self, seed: int, minute: int) -> float:
        """The start's score in that minute."""
        plant, scores = self._held.setdefault(seed, (self.make(seed), []))
        while len(scores) <= minute:
            scores.append(plant.slo.score(plant.advance(plant.start)))
        return scores[minute]

    def cost(self, at: int) -> float:
        """Of the reachable oracle, at that minute's load and code."""
        if at not in self._oracles:
            found = reference(self.truth, at)
            self._oracles[at] = cost_of(self.truth.steady(found, at))
        return self._oracles[at]

    def ratio(self, setting: Setting, at: int) -> float:
        """True cost of a setting to the reachable oracle's; VIOLATES where it does not hold the SLO."""
        if faults(self.truth.space, self.truth.rules, setting):
            return VIOLATES
        minute = self.truth.steady(setting, at)
        if self.truth.slo.score(minute) < self.truth.slo.share - NEARLY:
            return VIOLATES
        return min(cost_of(minute) / self.cost(at), VIOLATES)


@dataclass
class Course:
    """One plant under way: its minutes, and what went wrong in them."""

    plant: Plant
    seed: int
    reference: Reference
    minute: int = 0
    violations: int = 0
    own: int = 0  # minutes in which the start would have violated
    ended: int = 0  # steps that the guard ended
    refused: int = 0
    yardstick: float = 0.0  # what the start scored in its replicates

    def advance(self, setting: Setting) -> Minute:
        seen = self.plant.advance(setting)
        score, start = self.plant.slo.score(seen), self.reference.own(self.seed, self.minute)
        share = self.plant.slo.share
        self.violations += score < share and score < start - SAME
        self.own += start < share
        self.minute += 1
        return seen

    def replicates(self) -> tuple[Measured, ...]:
        """The start's free ones."""
        made = []
        for _ in range(REPLICATES):
            minutes = [self.advance(self.plant.start) for _ in range(STEP)]
            made.append(self._told(minutes[SETTLE:]))
        known = [m.metric for m in made if m.metric is not None]
        self.yardstick = sum(known) / len(known) if known else LEAST_SCORE
        return tuple(made)

    def step(self, setting: Setting, incumbent: Setting) -> Measured:
        """One step; see the module."""
        if faults(self.plant.space, self.plant.rules, setting):
            self.refused += 1
            for _ in range(STEP):
                self.advance(incumbent)
            return Measured(None)
        seen: list[Minute] = []
        for passed in range(STEP):
            seen.append(self.advance(setting))
            if self.plant.slo.score(seen[-1]) < COLLAPSED * self.yardstick:
                self._return(setting, incumbent, STEP - passed - 1)
                return self._told(seen[SETTLE:] or seen)
        return self._told(seen[SETTLE:])

    def _return(self, setting: Setting, incumbent: Setting, minutes: int) -> None:
        self.ended += 1
        back = self.plant.start if incumbent == setting else incumbent
        for _ in range(minutes):
            self.advance(back)

    def _told(self, minutes: Sequence[Minute]) -> Measured:
        """The score over some minutes, by what was offered; None where nothing was served."""
        if not any(m.throughput > 0 for m in minutes):
            return Measured(None)
        offered = sum(m.offered for m in minutes)
        score = sum(self.plant.slo.score(m) * m.offered for m in minutes) / offered
        return Measured(max(score, LEAST_SCORE))


def runs(name: str, make: MakePlant, tuners: Mapping[str, Make], seeds: Sequence[int]) -> Iterator[Run]:
    """A row per tuner and seed, one after the other, so that a caller can show how far it is."""
    reference = Reference(make)
    for seed in seeds:
        for tuner, begin in tuners.items():
            yield {"plant": name, "tuner": tuner, "seed": seed, **run(reference, begin, seed)}


def run(reference: Reference, begin: Make, seed: int) -> Run:
    """One tuner on one plant. The keys are those that docs/benchmarks.md lists."""
    plant = reference.make(seed)
    course = Course(plant, seed, reference)
    free = course.replicates()
    steps, judged = schedule(plant.changes)
    tuner = begin(problem(plant, free, course.yardstick, steps, seed))
    tried: set[Setting] = set()
    ratios: dict[int, float] = {}
    for step in range(1, steps + 1):
        asked = tuner.ask()
        if asked != plant.start:
            tried.add(asked)
        tuner.tell(asked, course.step(asked, _safe(tuner, plant)))
        if step in (STEPS, judged):
            ratios[step] = reference.ratio(tuner.incumbent, course.minute)
    after = ratios.get(judged) if judged is not None else None
    return {
        "steps": steps,
        "violation_minutes": course.violations,
        "start_violation_minutes": course.own,
        "minutes": course.minute,
        "cost_ratio30": ratios[STEPS],
        "held30": ratios[STEPS] < VIOLATES,
        "cost_ratio_after": after,
        "held_after": None if after is None else after < VIOLATES,
        "start_cost_ratio30": reference.ratio(plant.start, FREE + STEPS * STEP),
        "settings_tried": len(tried),
        "knobs_moved": len({name for setting in tried for name in plant.start.diff(setting)}),
        "steps_ended": course.ended,
        "steps_refused": course.refused,
    }


def problem(plant: Plant, free: tuple[Measured, ...], yardstick: float, steps: int, seed: int) -> Problem:
    """What the tuner is told: see the module for the metric and for `least`."""
    return Problem(
        space=plant.space,
        start=plant.start,
        free=free,
        steps=steps,
        seed=seed,
        maximise=True,
        price=plant.price,
        floor=FLOOR,
        least=plant.slo.share / yardstick,
        target=plant.slo.share,
        admissible=lambda setting: not faults(plant.space, plant.rules, setting),
    )


def schedule(changes: Sequence[int]) -> tuple[int, int | None]:
    """How many steps a run has, and the step that ends LATER steps after the last change (None without a change)."""
    if not changes:
        return STEPS, None
    first = max(0, math.ceil((max(changes) - FREE) / STEP))  # steps that began before the change
    judged = first + LATER
    return max(STEPS, judged), judged


def _safe(tuner: Tuner, plant: Plant) -> Setting:
    """The incumbent, where it can run."""
    incumbent = tuner.incumbent
    return plant.start if faults(plant.space, plant.rules, incumbent) else incumbent
