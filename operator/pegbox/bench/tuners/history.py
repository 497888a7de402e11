"""What one tuner has seen, in the terms that all of the company share.

The *quality* of a measurement is the log of the metric, with the sign that makes more better: a cost's log is then the
price's log minus the quality. A setting keeps the *terms* when its quality is above the start's by the logs of `floor`
and `least`. Settings that do not keep them rank behind all that do, by how far they fall short (Deb, "An efficient
constraint handling method for genetic algorithms", 2000).
"""

from __future__ import annotations

import math
import statistics

import numpy as np

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.bench.tuners.encoding import Array, Encoding
from pegbox.bench.tuners.prices import log_price
from pegbox.bench.tuners.rows import Rows
from pegbox.model.knobs import Setting

Rank = tuple[float, float]
LEAST_SD = 1e-3  # of the log metric: figures from a table repeat exactly
USUAL_SD = 0.02  # of a load test, before anything was measured twice


class History:
    """The free replicates of the start are the first observations of everybody."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.encoding = Encoding(problem.space, problem.start)
        self.table = None if problem.rows is None else Rows(problem.rows, self.encoding, problem.seed)
        self._seen: dict[Setting, list[float | None]] = {problem.start: []}
        self.order: list[tuple[Setting, float | None]] = []
        if self.table is not None:
            self.table.see(problem.start)
        for measured in problem.free:
            self.add(problem.start, measured)

    def add(self, setting: Setting, measured: Measured) -> None:
        quality = self.quality(measured)
        self._seen.setdefault(setting, []).append(quality)
        self.order.append((setting, quality))
        if self.table is not None:
            self.table.see(setting)

    def quality(self, measured: Measured) -> float | None:
        """None where the workload failed; so is a metric that is no positive number."""
        metric = measured.metric
        if metric is None or not math.isfinite(metric) or metric <= 0.0:
            return None
        return math.log(metric) if self.problem.maximise else -math.log(metric)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All that were visited, the start first, each once."""
        return tuple(self._seen)

    def visits(self, setting: Setting) -> int:
        return len(self._seen.get(setting, []))

    @property
    def start_quality(self) -> float:
        """Median of the start's measurements; 0 before there is one."""
        known = [q for q in self._seen[self.problem.start] if q is not None]
        return statistics.median(known) if known else 0.0

    @property
    def worst(self) -> float:
        """What a failure counts as: the worst that was seen, and not above the floor of what is safe."""
        known = [q for _, q in self.order if q is not None]
        floor = self.problem.floor
        return min([*known, self.start_quality + (math.log(floor) if floor > 0 else 0.0)])

    @property
    def terms(self) -> float:
        """The least quality that is safe and that the objective asks for; -inf where nothing is asked."""
        asked = max(self.problem.floor, self.problem.least)
        return self.start_quality + math.log(asked) if asked > 0 else -math.inf

    @property
    def sd(self) -> float:
        """Of one measurement's log: pooled over settings that were measured twice or more."""
        squares, freedom = 0.0, 0
        for qualities in self._seen.values():
            known = [q for q in qualities if q is not None]
            if len(known) > 1:
                squares += statistics.variance(known) * (len(known) - 1)
                freedom += len(known) - 1
        if not freedom:
            return LEAST_SD if self.table is not None else USUAL_SD
        return max(math.sqrt(squares / freedom), LEAST_SD)

    def observed(self) -> tuple[list[Setting], Array]:
        """Every observation in order, failures as the worst; qualities relative to the start's."""
        worst = self.worst
        filled = [worst if q is None else q for _, q in self.order]
        return [s for s, _ in self.order], np.array(filled, dtype=np.float64) - self.start_quality

    def mean(self, setting: Setting) -> float:
        """Of the qualities of a visited setting; before there is one, the worst."""
        qualities = self._seen[setting]
        worst = self.worst
        return statistics.fmean([worst if q is None else q for q in qualities]) if qualities else worst

    def rank(self, setting: Setting, quality: float) -> Rank:
        """Lower is better: how far the terms are missed, then the log of the cost. The start keeps the terms."""
        short = 0.0 if setting == self.problem.start else max(0.0, self.terms - quality)
        return short, log_price(self.problem, setting) - quality

    def best(self) -> Setting:
        """The visited setting with the best mean of its measurements."""
        return min(self._seen, key=lambda setting: self.rank(setting, self.mean(setting)))
