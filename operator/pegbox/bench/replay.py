"""Plays a load trace to the forecaster, one step after the other, and keeps what was said about each step."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pegbox.bench.progress import Progress
from pegbox.bench.traces import Trace
from pegbox.learning.conformal import RollingQuantile, UsualMiss
from pegbox.learning.forecast import LoadForecaster
from pegbox.learning.queueing import Array
from pegbox.model.observations import Missing

HELD_OUT = 0.4  # the last part of a trace, on which forecasts are scored
OURS = "pegbox"
EVERY = 500  # steps between two lines of progress


@dataclass(frozen=True, slots=True)
class Said:
    """One model's forecasts by the step they are about: `points` (steps,), `uppers` (steps, quantiles); NaN is none."""

    points: Array
    uppers: Array


@dataclass(frozen=True, slots=True)
class Replay:
    """`seconds`: of each forecast with its update. `start`: the first step that is held out."""

    trace: Trace
    horizon: int
    quantiles: tuple[float, ...]
    models: dict[str, Said]
    seconds: Array
    start: int


class _Alone:
    """One expert with a conformal quantile of its own, so that coverage is compared like with like."""

    def __init__(self, horizon: int, unit: float = 1.0) -> None:
        self.unit, self.miss, self.scores = unit, UsualMiss(horizon=horizon), RollingQuantile()
        self.said: deque[tuple[float, float]] = deque(maxlen=horizon)

    def learn(self, load: float) -> None:
        if len(self.said) < (self.said.maxlen or 0) or math.isnan(self.said[0][0]) or math.isnan(load):
            return
        point, size = self.said[0]
        error = math.log(load + self.unit) - point
        self.scores.add(error / size)
        self.miss.tell(error)

    def say(self, point: float, quantiles: Sequence[float]) -> list[float]:
        log = math.nan if math.isnan(point) else math.log(point + self.unit)
        self.said.append((log, self.miss.size))
        return [
            math.nan if self.scores.lacking(q) else math.exp(log + self.scores.at(q) * self.miss.size) - self.unit
            for q in quantiles
        ]


def steps_of(trace: Trace, minutes: float) -> int:
    """The whole steps that hold so many minutes; at least one."""
    return max(1, math.ceil(minutes * 60.0 / trace.step - 1e-9))


def play(
    trace: Trace, horizon: int, quantiles: Sequence[float], *, singles: bool = True, progress: Progress | None = None
) -> Replay:
    """Prequential: what is said at a step knows the loads up to it, and nothing of those after it."""
    forecaster = LoadForecaster((horizon,), step=trace.step)
    names = (OURS, *forecaster.names) if singles else (OURS,)
    steps = len(trace.loads)
    said = {
        name: Said(np.full(steps + horizon, np.nan), np.full((steps + horizon, len(quantiles)), np.nan))
        for name in names
    }
    alone = {name: _Alone(horizon) for name in names[1:]}
    seconds = np.zeros(steps)
    for step, load in enumerate(trace.loads.tolist()):
        begun = time.perf_counter()
        forecaster.update(load)
        _ours(forecaster, said[OURS], step + horizon, horizon, quantiles)
        seconds[step] = time.perf_counter() - begun
        for name, point in forecaster.singles(horizon).items() if singles else ():
            alone[name].learn(load)
            said[name].points[step + horizon] = point
            said[name].uppers[step + horizon] = alone[name].say(point, quantiles)
        if progress is not None and (step + 1) % EVERY == 0:
            progress.step(EVERY)
    if progress is not None:
        progress.step(steps % EVERY)
    models = {name: Said(one.points[:steps], one.uppers[:steps]) for name, one in said.items()}
    return Replay(trace, horizon, tuple(quantiles), models, seconds, round((1.0 - HELD_OUT) * steps))


def _ours(forecaster: LoadForecaster, said: Said, about: int, horizon: int, quantiles: Sequence[float]) -> None:
    for column, quantile in enumerate(quantiles):
        found = forecaster.forecast(horizon, quantile)
        if not isinstance(found, Missing):
            said.points[about], said.uppers[about, column] = found.point, found.upper
