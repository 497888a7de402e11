"""ProposeRequest and Proposal: the question put to core.propose, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.observations import Measured, Missing, Observation
from pegbox.model.prediction import Prediction
from pegbox.model.roles import Roles


class ProposalKind(StrEnum):
    JOINT = "Joint"  # several limits move together: throughput is the least of several limits
    ONE_KNOB = "OneKnob"
    PROBE = "Probe"  # the model promises nothing; the evidence asks for a move all the same
    SHRINK = "Shrink"  # gives back what is not used
    SEARCH = "Search"  # a knob whose effect no physics tells


@dataclass(frozen=True, slots=True)
class Proposal:
    """One setting worth a trial. `setting` is inside bounds, step and budgets; `uncapped` is the raw wish."""

    setting: Setting
    kind: ProposalKind
    why: str
    expected: Prediction | Missing
    uncapped: Setting


@dataclass(frozen=True, slots=True)
class ProposeRequest:
    """All that core.propose may know.

    `observation` is the newest clean window of the incumbent. `objective` is MinimizeCost,
    MaximizeThroughput or MinimizeLatency. `slo_headroom` says whether all SLOs are met now. `load` is the
    offered load (events/s over all pods) to propose for: the present one, or a larger one that is forecast.
    `pods` are the pods in force. `recent_failures` are settings that were reverted and are still fresh: the
    caller forgets them after a while. `admissible` answers for bounds, rules of the class and budgets;
    `smallest_step` limits every move to a probe's. `least_replicas`: what a coming load needs, so that no
    bound of replicas is lowered below it; 0 where nobody knows.
    """

    space: SearchSpace
    roles: Roles
    incumbent: Setting
    observation: Observation | None
    objective: str
    slo_headroom: bool | Missing
    load: Measured
    pods: float
    recent_failures: tuple[Setting, ...]
    seed: int
    admissible: Callable[[Setting], bool]
    smallest_step: bool = False
    least_replicas: int = 0
