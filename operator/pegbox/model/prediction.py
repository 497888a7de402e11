"""Prediction and the Predictor protocol: the seam between core and learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.roles import Roles

Forecast = tuple[float, float, float]
"""(model, baseline, outcome): two throughputs said beforehand, events/s, and the one that came."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 90 % prediction interval around a mean, in the quantity's base unit."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model expects of one setting at one offered load.

    `capacity`: events/s that the workload can sustain (all pods). `latency`: mean seconds per event at `load`.
    `in_domain` is False outside of what was observed plus the trust region.
    """

    setting: Setting
    load: float
    capacity: Interval
    latency: Interval
    in_domain: bool


@dataclass(frozen=True, slots=True)
class LoadForecast:
    """Offered load (events/s over all pods) of now, and what it exceeds in a share of at most 1 - `level` of all times
    `horizon` seconds later: as soon as pods that are asked for now can serve.
    """

    now: float
    upper: float
    horizon: float
    level: float


@dataclass(frozen=True, slots=True)
class Row:
    """Sufficient statistics of one (setting, load bin): what the ledger keeps and refits start from.

    Means are event-weighted over `count` clean windows; `m2` values are Welford's sums of squared deviations
    of the window means, so that variance = m2 / (count - 1).
    """

    setting: Setting
    pods: float
    load: float
    throughput: float
    latency: float
    count: int
    throughput_m2: float = 0.0
    latency_m2: float = 0.0
    last_seen: float = 0.0  # epoch seconds of the newest window
    signals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What status shows about the model: plain numbers, no floats that are not finite."""

    coefficients: Mapping[str, float]
    samples: int
    error: float | Missing  # mean absolute log-error of predictions made before the outcome was known
    baseline_error: float | Missing
    unidentified: tuple[str, ...] = ()
    prior: str = ""  # what a cold start leans on, in words


class Predictor(Protocol):
    """A fitted capacity model. Implementations live in pegbox.learning."""

    @property
    def report(self) -> ModelReport: ...

    def predict(self, settings: Sequence[Setting], load: float, pods: float) -> list[Prediction]:
        """One prediction per setting, in order. `pods` is used where a setting names no replicas."""
        ...


class Fit(Protocol):
    """Fits a predictor, or says why the data cannot carry one and what is missing."""

    def __call__(
        self,
        space: SearchSpace,
        roles: Roles,
        rows: Sequence[Row],
        forecasts: Sequence[Forecast],
        recent: Sequence[Forecast] | None,
    ) -> Predictor | Missing: ...
