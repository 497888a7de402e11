"""Load some minutes ahead: a mixture of simple experts, and the upper quantile that their mixture kept lately.

Everything learns online, from one step to the next, and nothing looks ahead. Experts speak in logs of load + unit,
relative to the recent mean: a model of levels is worse than the last value wherever load drifts. See docs/benchmarks.md
for what each part is worth.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pegbox.learning.conformal import RollingQuantile, UsualMiss
from pegbox.learning.expert_mixture import ExpertMixture
from pegbox.learning.load_experts import Expert, Jump, Smoothed, company
from pegbox.learning.load_history import LoadHistory
from pegbox.learning.log_regression import LogRegression
from pegbox.learning.queueing import Array
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

STALE_SECONDS = 300.0  # without any load for so long, nothing is said
MOST_LOAD = 1e15
MOST_LOG = 690.0  # exp() of more is no float
REGRESSION = "regression"
LAGS = (1, 2)
LAST, EWMA = 0, 1  # places in `company`
CONSTANT = 0.1  # the feature that never changes: small, so that it is learned slowly
SLOW_SHARE = 1.0 / 60.0  # per minute: the last hour, for the regression alone


@dataclass(frozen=True, slots=True)
class LoadAhead:
    """Load in the unit of `update`, exactly `horizon` steps ahead: the middle, and what it exceeds rarely enough."""

    point: float
    upper: float
    horizon: int
    quantile: float


@dataclass(slots=True)
class _Said:
    """What was said at one step about one horizon, until its outcome is known."""

    logs: Array  # of each expert, the regression last
    features: Array
    base: float  # log of the recent mean
    blend: float
    miss: float


class _Track:
    """One horizon's regression, weights and scores."""

    def __init__(self, experts: int, features: int, horizon: int) -> None:
        self.horizon = horizon
        start = np.zeros(features)
        start[1 : 1 + experts] = 1.0 / experts  # the plain mean of the experts; the recent mean itself is ratio 0
        self.regression = LogRegression(start)
        self.mixture = ExpertMixture(experts + 1, horizon=horizon)
        self.miss = UsualMiss(horizon=horizon)
        self.scores = RollingQuantile()
        self.said: deque[_Said | None] = deque(maxlen=horizon)
        self.last: _Said | None = None  # at the newest load: during a short gap, still the best that is known

    def learn(self, outcome: float) -> None:
        """Of the load that was seen now, with what was said about it `horizon` steps ago."""
        said = self.said[0] if len(self.said) == self.horizon else None
        if said is None:
            return
        self.regression.update(said.features, outcome - said.base)
        self.mixture.tell(said.logs, outcome)
        error = outcome - said.blend
        self.scores.add(error / said.miss)
        self.miss.tell(error)

    def say(self, logs: Array, features: Array, base: float) -> None:
        every = np.append(logs, base + self.regression.predict(features))
        self.last = _Said(every, features, base, self.mixture.blend(every), self.miss.size)
        self.said.append(self.last)


class LoadForecaster:
    """Forecasts for each of `horizons` (in steps); `step` is one step's length in seconds.

    `unit` is the load of one event in a step: 1 where loads are counts per step, 1/step where they are events per
    second. Same loads, same forecasts: there is no chance in it. One step costs well below a millisecond.
    """

    def __init__(self, horizons: Sequence[int] = (3,), *, step: float = 60.0, unit: float = 1.0) -> None:
        if not horizons or any(h < 1 for h in horizons):
            raise InvalidInput("horizons", list(horizons), "name at least one number of steps, each 1 or more")
        if not (0.0 < step < math.inf and 0.0 < unit < math.inf):
            raise InvalidInput("step", (step, unit), "write a positive step in seconds and a positive unit")
        self.horizons, self.step, self.unit = tuple(horizons), step, unit
        self.history = LoadHistory(step=step)
        self._experts: list[Expert] = company(self.history, unit=unit)
        self._slow = Smoothed(name="slow", share=SLOW_SHARE, step=step, unit=unit)
        self.names = (*(one.name for one in self._experts), REGRESSION)
        self._jump = Jump()
        features = 1 + len(self._experts) + 2 + len(LAGS)
        self._tracks = {h: _Track(len(self._experts), features, h) for h in self.horizons}

    def update(self, load: float | Missing) -> None:
        """One step's load; Missing, NaN and infinity are gaps. Raises InvalidInput below zero."""
        if isinstance(load, Missing) or not math.isfinite(load):
            self._gap()
            return
        if not 0.0 <= load <= MOST_LOAD:
            raise InvalidInput("load", load, "load is a count or a rate: from zero to 1e15")
        outcome = math.log(load + self.unit)
        self.history.see(load)
        for one in (*self._experts, self._slow):
            one.see(load)
        base = math.log(self.history.mean + self.unit)
        more = [
            self._slow.ahead(1) - base,
            self._jump.see(self._experts[LAST].ahead(1) - self._experts[EWMA].ahead(1)),
            *(self._lag(back, base) for back in LAGS),
        ]
        for track in self._tracks.values():
            track.learn(outcome)
            logs = np.array([one.ahead(track.horizon) for one in self._experts])
            ratios = np.nan_to_num(logs - base)  # who is asleep agrees with the recent mean
            track.say(logs, np.array([CONSTANT, *ratios, *more]), base)

    def forecast(self, horizon: int, quantile: float) -> LoadAhead | Missing:
        """The load `horizon` steps after the last update, and its upper quantile (0 < quantile < 1).

        Missing(Learning) while too few forecasts met their outcome, Missing(StaleData) after five minutes of gaps:
        then act as if there were no forecast. Raises InvalidInput for a horizon that was not named before.
        """
        track = self._tracks.get(horizon)
        if track is None:
            raise InvalidInput("horizon", horizon, f"this forecaster was made for {list(self.horizons)}")
        if not 0.0 < quantile < 1.0:
            raise InvalidInput("quantile", quantile, "write a share between 0 and 1, such as 0.98")
        lacking = track.scores.lacking(quantile)
        if lacking:
            return Missing(Reason.LEARNING, f"{lacking} more steps with load, for the {quantile:g} quantile")
        silent, said = self.history.silent, track.last
        if said is None or silent * self.step >= STALE_SECONDS:
            return Missing(Reason.STALE_DATA, f"no load for {silent} steps")
        upper = said.blend + track.scores.at(quantile) * said.miss
        return LoadAhead(self._level(said.blend), self._level(upper), horizon, quantile)

    def singles(self, horizon: int) -> dict[str, float]:
        """What each expert says alone, for the benchmark; NaN while it says nothing."""
        said = self._tracks[horizon].last
        return dict.fromkeys(self.names, math.nan) if said is None else self._named(said)

    def _named(self, said: _Said) -> dict[str, float]:
        return {
            name: math.nan if math.isnan(log) else self._level(float(log))
            for name, log in zip(self.names, said.logs, strict=True)
        }

    def _gap(self) -> None:
        self.history.see(None)
        for track in self._tracks.values():
            track.said.append(None)

    def _lag(self, back: int, base: float) -> float:
        load = self.history.load_at(back)
        return 0.0 if math.isnan(load) else math.log(load + self.unit) - base

    def _level(self, log: float) -> float:
        return max(0.0, math.exp(min(log, MOST_LOG)) - self.unit)
