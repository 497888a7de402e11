"""The policies of the scale-out benchmark, each by its name: HPAs, simple margins, and Pegbox's floor under an HPA."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pegbox.bench.scaling import Held, Policy
from pegbox.core.scale_out import ScaleRule, ahead_of_load, reactive
from pegbox.learning.queueing import Array
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

TARGETS = tuple(range(40, 101))  # percent; the HPA's frontier
MEAN_TARGETS = (60, 70, 80, 90)
MARGINS = (*(round(1.0 + 0.01 * i, 2) for i in range(26)), 1.3, 1.4, 1.5)  # a frontier as well
SETTINGS = (
    (0.50, 96), (0.70, 95), (0.80, 95), (0.90, 95), (0.95, 95), (0.98, 95), (0.98, 90), (0.98, 85), (0.98, 80),
    (0.98, 75), (0.98, 70), (0.98, 60), (0.98, 50),
)  # fmt: skip
"""Pegbox's (quantile, target of its HPA in percent). The quantile covers what the past shows, the target what it does
not: so the first is raised to .98, and then the second is lowered, as a user's own target would be."""
ALONE = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
QUANTILES = tuple(sorted({*ALONE, *(quantile for quantile, _ in SETTINGS)}))

UNKNOWN = Missing(Reason.NO_DATA, "a gap")
LEARNING = Missing(Reason.LEARNING, "no forecast yet")


def hpa(held: Held, target: int) -> Policy:
    rule = ScaleRule(held.capacity, target / 100)
    return lambda step, current: reactive(_known(held.loads[step]), current, rule)


def hpa_on_mean(held: Held, target: int, steps: int) -> Policy:
    """An HPA on the mean of the last `steps` steps (15 minutes)."""
    rule = ScaleRule(held.capacity, target / 100)

    def wanted(step: int, current: int) -> int:
        recent = held.loads[max(0, step + 1 - steps) : step + 1]
        known = recent[~np.isnan(recent)]
        return reactive(float(known.mean()) if len(known) else UNKNOWN, current, rule)

    return wanted


def last_with_margin(held: Held, margin: float) -> Policy:
    """As many replicas as the last load times `margin` needs: an HPA without tolerance, and the one to beat."""
    rule = ScaleRule(held.capacity, 1.0, tolerance=0.0)
    return lambda step, current: reactive(_times(_known(held.loads[step]), margin), current, rule)


def ahead(held: Held, uppers: Array, target: int) -> Policy:
    """An HPA whose minimum follows `uppers` (steps,): what was said at each step about the load to come."""
    rule = ScaleRule(held.capacity, target / 100)

    def wanted(step: int, current: int) -> int:
        return ahead_of_load(_known(held.loads[step]), _known(uppers[step], LEARNING), current, rule)

    return wanted


def alone(held: Held, uppers: Array) -> Policy:
    """What the upper quantile needs and no more: the forecast beside a margin on the last value, without an HPA."""
    rule = ScaleRule(held.capacity, 1.0, tolerance=0.0)
    return lambda step, current: ahead_of_load(_known(held.loads[step]), _known(uppers[step], LEARNING), current, rule)


def clairvoyant(held: Held, horizon: int) -> Policy:
    """Knows the load `horizon` steps ahead, and has the same start-up and stabilisation."""
    later = np.append(held.loads[horizon:], np.full(horizon, np.nan))
    rule = ScaleRule(held.capacity, 1.0, tolerance=0.0)
    return lambda step, current: ahead_of_load(_known(held.loads[step]), _known(later[step]), current, rule)


def company(held: Held, horizon: int, uppers: Mapping[float, Array]) -> dict[str, Policy]:
    """All of them. `uppers` by quantile, each (steps,) of what was said AT the step."""
    mean = max(1, round(900.0 / held.step))
    return {
        **{f"hpa {target}": hpa(held, target) for target in TARGETS},
        **{ours(q, target): ahead(held, uppers[q], target) for q, target in SETTINGS},
        **{f"quantile {q:.2f} alone": alone(held, uppers[q]) for q in ALONE},
        **{f"hpa {target} on the 15-minute mean": hpa_on_mean(held, target, mean) for target in MEAN_TARGETS},
        **{f"last value x {margin:.2f}": last_with_margin(held, margin) for margin in MARGINS},
        "clairvoyant": clairvoyant(held, horizon),
    }


def ours(quantile: float, target: int) -> str:
    return f"pegbox q{quantile:.2f} over hpa {target}"


def _known(load: float, otherwise: Missing = UNKNOWN) -> float | Missing:
    return otherwise if math.isnan(load) else float(load)


def _times(load: float | Missing, margin: float) -> float | Missing:
    return load if isinstance(load, Missing) else load * margin
