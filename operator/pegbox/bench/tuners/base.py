"""What a tuner is told, what it is asked for, and what comes back: ask and tell, one step after the other.

Equal treatment: every tuner gets the same types, the same start with the same free replicates, the same rules, and the
same noise for the same step. None is told the true value of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pegbox.model.knobs import SearchSpace, Setting


@dataclass(frozen=True, slots=True)
class Measured:
    """One step's figure. `metric` is positive and noisy; None where the workload failed under the setting."""

    metric: float | None

    @property
    def failed(self) -> bool:
        return self.metric is None


@dataclass(frozen=True, slots=True)
class Problem:
    """What a tuner knows before it begins.

    The cost to be minimised is `price(setting)` divided by the metric where more of it is better, and times it where
    less is (`maximise`). So the price is known, and only the metric has to be learned. `floor`: a metric worse than
    that share of the start's (0.9: 10 % worse) is unsafe. `least`: the metric that the objective asks for, relative to
    the start's (0.97; 0 for none). `free`: replicates of the start that cost no step. `logs`: knobs on a log scale
    (None: those over a wide range). `target`: the metric is a share of at most 1, of which an SLO asks that much.
    `rows`: in table modes the settings that can be asked, else None; `nearby`: what is asked becomes a row that differs
    from the incumbent in at most two knobs. `leaps`: may what moves by its whole range at once
    (a boolean, a choice) be tried on the whole workload? `admissible` tells what hard rules refuse; it costs nothing.
    """

    space: SearchSpace
    start: Setting
    free: tuple[Measured, ...]
    steps: int
    seed: int
    maximise: bool
    price: Callable[[Setting], float]
    floor: float
    least: float
    admissible: Callable[[Setting], bool]
    logs: frozenset[str] | None = None
    leaps: bool = False
    nearby: bool = False
    rows: Sequence[Setting] | None = None
    target: float | None = None

    def cost(self, setting: Setting, metric: float) -> float:
        """Of one measurement; lower is better."""
        return self.price(setting) / metric if self.maximise else self.price(setting) * metric

    def ratio(self, metric: float, other: float) -> float:
        """How good `metric` is beside `other`: above 1 is better, whichever way the metric counts."""
        return metric / other if self.maximise else other / metric


class Tuner(Protocol):
    """One run of one tuner. Same problem, same answers: all chance comes from `Problem.seed`."""

    def ask(self) -> Setting:
        """What is to run in the next step. The incumbent again is a replicate, or a hold."""
        ...

    def tell(self, setting: Setting, measured: Measured) -> None:
        """What came of the step. In tables the setting may be another than was asked for: the nearest row."""
        ...

    @property
    def incumbent(self) -> Setting:
        """What the tuner would leave running now. This is what is scored, never the best value visited."""
        ...


Make = Callable[[Problem], Tuner]
