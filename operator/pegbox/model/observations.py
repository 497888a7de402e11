"""Sample, Missing, Window and Observation: what was seen, or the reason why it was not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pegbox.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Missing:
    """The absence of a value, with its reason. Never None, NaN or zero."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


Measured = float | Missing
"""A finite number, or why there is none."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open range of time (start, end]; both are aware UTC datetimes."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Attainment:
    """Counted SLO evidence of one window: events that met the threshold, and all events."""

    good: float
    total: float

    @property
    def share(self) -> float:
        """Of good events, 0..1. Only meaningful with total > 0, which the decoder guarantees."""
        return self.good / self.total


@dataclass(frozen=True, slots=True)
class Observation:
    """Assessed facts of one window under one setting.

    `setting_hash` is the acknowledged setting's hash; `signals` holds means or rates by signal name in
    base units (seconds, events per second, shares, cores, bytes); `slos` the counted attainment by SLO name.
    `offered_load` is arrivals per second over all pods, never completions. `clean` is False where the window
    overlaps a rollout, crash loop, scaling, settle time or incident: such windows are never learned from. `whole` is
    False where throughput is of a part of the pods, or of other pods than at its begin: that is less than was served.
    """

    window: Window
    setting_hash: str
    offered_load: Measured
    throughput: Measured
    latency: Measured  # mean seconds per event (sum over count)
    errors: Measured  # share of failed events, 0..1
    pods: int
    signals: Mapping[str, Measured] = field(default_factory=dict)
    slos: Mapping[str, Attainment | Missing] = field(default_factory=dict)
    quantiles: Mapping[str, Measured] = field(default_factory=dict)  # "p95" -> seconds
    clean: bool = True
    unclean_reason: Reason | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Split:
    """One window twice: of the pods of a cohort, and of the rest beside them. What cannot be told apart by cohort, such
    as offered load, is Missing on both sides.
    """

    cohort: Observation | Missing
    rest: Observation | Missing
