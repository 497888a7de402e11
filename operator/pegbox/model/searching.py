"""SearchRequest and Suggestion: what the safe search is asked, and its answer. The seam between core and learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Interval, Row


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """All that the search may know.

    `moving` names the knobs that it may move; of the others it only learns what they did, and `restarting` those whose
    move restarts pods. `rows` are what was measured, `failed` pairs of (parent, setting) that are not forgotten yet,
    and `misses` counts its trials in a row that came to nothing. `throughput`: judge by events served, else by mean
    latency. `least`: the log of what is judged must keep that beside the incumbent, whatever it saves; -inf where what
    is judged is itself the objective.
    `load` is in events per second over all `pods`. `price` is money per pod and hour, `admissible` answers for bounds,
    steps, rules and budgets.
    """

    space: SearchSpace
    incumbent: Setting
    moving: frozenset[str]
    restarting: frozenset[str]
    rows: tuple[Row, ...]
    failed: tuple[tuple[Setting, Setting], ...]
    misses: int
    load: float
    pods: float
    throughput: bool
    least: float
    price: Callable[[Setting], float]
    admissible: Callable[[Setting], bool]
    seed: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A setting worth a trial. `gain`: by which share the cost (price over what is judged) is expected to fall; `sure`:
    the probability that what is judged stays above the floor."""

    setting: Setting
    gain: Interval
    sure: float
    measured: int  # settings that the expectation rests on


@dataclass(frozen=True, slots=True)
class Step:
    """A step that the search looked at. `gain` and `sure` as of a suggestion; `against`: why it is not asked for."""

    setting: Setting
    gain: Interval
    sure: float
    against: Missing | None


class Suggest(Protocol):
    """Finds the one setting that is most worth a measurement, or says why none is."""

    def __call__(self, request: SearchRequest) -> Suggestion | Missing: ...
