"""The load to come: what every look says of the load becomes regular steps, and they feed one forecaster.

Like all of Memory it may be lost: a process that starts has seen nothing, says so, and until then acts as before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from pegbox import learning
from pegbox.learning.load_rises import LargestRise
from pegbox.model.observations import Measured, Missing, Observation
from pegbox.model.prediction import LoadForecast
from pegbox.model.profile import ProfileSpec, Purpose, Signal
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload

if TYPE_CHECKING:
    from pegbox.learning.forecast import LoadForecaster

LEVEL = 0.98  # of the quantile: its benchmark raises it to that before anything else (docs/benchmarks.md)
STEP = 60.0  # seconds; seasons and memories of the forecaster were judged on minutes
START_UP = 60.0  # seconds, where no pod tells
LONGEST_START_UP = 600.0  # a pod that took longer was Ready before, or waited for what no forecast knows
REACHES = (2, 3, 5, 8, 12)  # horizons in steps: a few, since a longer one learns from nothing again
MOST_LOAD = 1e15  # beyond it the forecaster takes nothing
KEPT = 8 * 86_400.0  # seconds: after a longer gap nothing of what it remembers is left


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose load it is and how it is measured. With another one the forecaster starts anew."""

    target: str
    signal: Signal
    matchers: tuple[tuple[str, str], ...]
    window: float
    step: float


class Loads:
    """One profile's steps and forecaster. Fixed memory: some 60 KiB once it has eight days.

    A step is the load of the first window that ended in it; what further looks in it say is left out, and a step
    without any is a gap. Every window counts, clean or not: a rollout or a trial of ours changes what is served, not
    what is asked for. Where clients retry, trouble makes load, and so it is told too high rather than too low: leaving
    such windows out would hide a surge from the forecast just when the workload falls behind.
    """

    def __init__(self) -> None:
        self._subject: Subject | None = None
        self._reach = 0
        self._at = 0  # the newest step, in steps since 1970; 0: none yet
        self._looked = 0.0
        self._rise = LargestRise(1, day=1, unit=1.0)
        self._forecaster: LoadForecaster | None = None

    def look(self, snapshot: Snapshot, seen: Observation | Missing, now: datetime) -> LoadForecast | Missing:
        """Take what a look has seen, and say what is to come."""
        spec, workload = snapshot.spec, snapshot.workload
        signal = spec.signal_for(Purpose.LOAD)
        if signal is None:
            return Missing(Reason.NOT_REPORTED, f"class {spec.class_name} has no signal for {Purpose.LOAD.value}")
        if isinstance(workload, Missing):
            return workload
        window = float(spec.guards.trial_window)
        # Half a window and half a step at most: a late look leaves no gap.
        step = float(math.ceil(max(STEP, 2 * float(spec.interval), window / 2)))
        self._of(Subject(workload.uid, signal, spec.matchers, window, step), reach(spec, workload, step), now)
        load: Measured = seen if isinstance(seen, Missing) else seen.offered_load
        if isinstance(seen, Missing) or isinstance(load, Missing) or not 0.0 <= load <= MOST_LOAD:  # no NaN is
            # Answers are up to an interval old: what ended before that gets no load any more.
            self._pass(self._step(now.timestamp() - float(spec.interval)))
        elif (ended := self._step(seen.window.end.timestamp())) > self._at:
            self._pass(ended)
            self._feed(load)
            self._at = ended
        return self._said()

    def _of(self, subject: Subject, steps: int, now: datetime) -> None:
        """Start anew for another subject or a longer delay, and where time was set back or nobody looked for long."""
        seconds = now.timestamp()
        turned = seconds < self._looked - subject.step or seconds > self._looked + KEPT
        if turned or subject != self._subject or steps > self._reach:
            self._subject, self._reach, self._at = subject, steps, 0
            self._forecaster = learning.load_forecaster(steps, step=subject.step)
            self._rise = LargestRise(steps, day=self._forecaster.history.day, unit=1.0 / subject.step)
        self._looked = seconds

    def _pass(self, step: int) -> None:
        """Every step before this one is over; those without a load are gaps, once there was any."""
        while self._at and self._at + 1 < step:
            self._feed(Missing(Reason.NO_DATA))
            self._at += 1

    def _feed(self, load: Measured) -> None:
        assert self._forecaster is not None
        self._forecaster.update(load)
        self._rise.see(None if isinstance(load, Missing) else load)

    def _step(self, seconds: float) -> int:
        assert self._subject is not None
        return int(seconds // self._subject.step)

    def _said(self) -> LoadForecast | Missing:
        assert self._subject is not None and self._forecaster is not None
        step, history = self._subject.step, self._forecaster.history
        said = self._forecaster.forecast(self._reach, LEVEL)
        if isinstance(said, Missing):
            return Missing(said.reason, f"{said.detail} (a step is {step:g} s)")
        if not math.isfinite(said.upper):
            return Missing(Reason.NOT_A_NUMBER, f"a forecast of {said.upper}")
        now = history.load_at(history.silent)
        return LoadForecast(now, min(said.upper, self._rise.beyond(now)), self._reach * step, LEVEL)


def reach(spec: ProfileSpec, workload: Workload, step: float) -> int:
    """The actuation delay in steps: until the next look, until pods serve, and half a window, since a load over a
    window stands for its middle. Rounded up to one of `REACHES`."""
    seen = [p.start_up for p in workload.unfinished if p.start_up is not None and p.start_up <= LONGEST_START_UP]
    seconds = float(spec.interval) + (median(seen) if seen else START_UP) + float(spec.guards.trial_window) / 2
    needed = math.ceil(seconds / step)
    return next((steps for steps in REACHES if steps >= needed), REACHES[-1])
