"""How many replicas a load needs: as an HPA counts them, and ahead of load from an upper forecast.

The HPA's formula is desired = ceil(current * metric / target), left alone within a tolerance; see "Algorithm details"
in the Kubernetes documentation of horizontal pod autoscaling. Here the metric is load per replica.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

STABILISATION_SECONDS = 300.0  # the HPA's default before it scales down
_ROUNDING = 1e-9  # 3.0000000000000004 replicas are 3


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """`capacity`: load that one replica carries. `target`: the share of it that present load may use, as in an HPA.

    `ahead`: the share that the upper forecast may use; above `target`, since a forecast has its own margin.
    """

    capacity: float
    target: float
    ahead: float = 1.0
    tolerance: float = 0.1
    least: int = 1
    most: int = 1_000_000

    def __post_init__(self) -> None:
        if not 0.0 < self.capacity < math.inf:
            raise InvalidInput("capacity", self.capacity, "write the positive load that one replica carries")
        if not (0.0 < self.target <= 1.0 and 0.0 < self.ahead <= 1.0):
            raise InvalidInput("target", (self.target, self.ahead), "write shares above 0 and at most 1")
        if not 0.0 <= self.tolerance < 1.0:
            raise InvalidInput("tolerance", self.tolerance, "write a share from 0 to below 1")
        if not 1 <= self.least <= self.most:
            raise InvalidInput("least", (self.least, self.most), "write at least 1, and no more than the maximum")


def reactive(load: float | Missing, current: int, rule: ScaleRule) -> int:
    """What an HPA would ask for; `current` where nobody knows the load."""
    if _unknown(load) or isinstance(load, Missing):
        return _bounded(current, rule)
    share = load / (rule.capacity * rule.target * max(current, 1))
    if abs(share - 1.0) <= rule.tolerance:
        return _bounded(current, rule)
    return _replicas(load, rule.target, rule)


def floor(load: float | Missing, upper: float | Missing, rule: ScaleRule) -> int | Missing:
    """The least replicas to be set ahead of load (minReplicas): never below what the present load needs.

    Missing where there is no forecast, or one that is no finite number: then the HPA is left alone.
    """
    if isinstance(upper, Missing):
        return upper
    if _unknown(upper):
        return Missing(Reason.NOT_A_NUMBER, f"a forecast of {upper}")
    ahead = _replicas(upper, rule.ahead, rule)
    present = rule.least if _unknown(load) or isinstance(load, Missing) else _replicas(load, rule.target, rule)
    return max(ahead, present)


def ahead_of_load(load: float | Missing, upper: float | Missing, current: int, rule: ScaleRule) -> int:
    """What an HPA asks for whose minimum is that floor. Without a forecast it is the HPA's own wish."""
    wanted, least = reactive(load, current, rule), floor(load, upper, rule)
    return wanted if isinstance(least, Missing) else max(wanted, least)


def stabilised(wishes: Sequence[tuple[float, int]], now: float, window: float = STABILISATION_SECONDS) -> int:
    """The highest of the wishes (second, replicas) that are younger than `window`: up at once, down late.

    Raises InvalidInput where none is.
    """
    young = [replicas for second, replicas in wishes if now - window < second <= now]
    if not young:
        raise InvalidInput("wishes", len(wishes), f"give at least one of the last {window:g} s")
    return max(young)


def _replicas(load: float, share: float, rule: ScaleRule) -> int:
    exact = max(load, 0.0) / (rule.capacity * share)
    return rule.most if exact >= rule.most else _bounded(math.ceil(exact - _ROUNDING), rule)


def _bounded(replicas: int, rule: ScaleRule) -> int:
    return min(max(replicas, rule.least), rule.most)


def _unknown(load: float | Missing) -> bool:
    return isinstance(load, Missing) or not math.isfinite(load)
