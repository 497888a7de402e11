"""How good were predictions that were made before the outcome was known? Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pegbox.core.forecasts import FEWEST
from pegbox.model.knobs import Setting
from pegbox.model.observations import Measured, Missing
from pegbox.model.prediction import Forecast, Row
from pegbox.model.reasons import Reason

SERVED = 0.97  # below this share of the offered load a row measures capacity
TIE = 0.01  # mean absolute log errors closer than this are the same: both models saw the same noise


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Mean absolute log errors: 0.1 means about 10 % off in the mean. `samples` forecasts were scored."""

    error: float | Missing
    baseline_error: float | Missing
    samples: int


def log_errors(forecasts: Sequence[Forecast]) -> list[tuple[float, float]]:
    """(model, baseline) absolute log errors of the forecasts that can be compared (all three positive)."""
    return [
        (abs(math.log(model / outcome)), abs(math.log(baseline / outcome)))
        for model, baseline, outcome in forecasts
        if min(model, baseline, outcome) > 0 and math.isfinite(model + baseline + outcome)
    ]


def accuracy(forecasts: Sequence[Forecast]) -> Accuracy:
    """One-step-ahead errors of the model and of its baseline."""
    errors = log_errors(forecasts)
    count = len(errors)
    if count < FEWEST:
        few = Missing(Reason.LEARNING, f"{count} of {FEWEST} forecasts whose outcome is known")
        return Accuracy(few, few, count)
    return Accuracy(sum(e for e, _ in errors) / count, sum(b for _, b in errors) / count, count)


def trust(scored: Accuracy) -> Reason:
    """MODEL_TRUSTED where the model was at least as good as its baseline; else the baseline acts."""
    if isinstance(scored.error, Missing) or isinstance(scored.baseline_error, Missing):
        return Reason.LEARNING
    better = scored.error <= scored.baseline_error + TIE
    return Reason.MODEL_TRUSTED if better else Reason.MODEL_INACCURATE


def spread(forecasts: Sequence[Forecast], coverage: float = 0.9) -> float | Missing:
    """Log half-width that would have covered `coverage` of past outcomes (split conformal prediction).

    The ceil((n + 1) * coverage)-th smallest error; below 9 forecasts no 90 % quantile exists. Source:
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2005.
    """
    errors = sorted(e for e, _ in log_errors(forecasts))
    rank = math.ceil((len(errors) + 1) * Fraction(str(coverage)))
    if rank > len(errors):
        return Missing(Reason.LEARNING, f"{len(errors)} forecasts cannot carry a {coverage:.0%} interval")
    return errors[rank - 1]


def distance(one: Setting, other: Setting) -> float:
    """Log distance of two settings: factors in numeric knobs, 1 for every other difference."""
    total = 0.0
    for name in one.diff(other):
        a, b = one.get(name), other.get(name)
        if isinstance(a, Fraction) and isinstance(b, Fraction) and a > 0 and b > 0:
            total += math.log(a / b) ** 2
        else:
            total += 1.0
    return math.sqrt(total)


def baseline_throughput(rows: Sequence[Row], setting: Setting, load: float) -> Measured:
    """What "as last time at the nearest setting" says: the forecast that a model has to beat.

    A row that served its load says nothing but "all of it" for another load; a saturated one its throughput.
    """
    if not rows:
        return Missing(Reason.LEARNING, "no observation to repeat")
    nearest = min(rows, key=lambda row: (distance(row.setting, setting), -row.last_seen))
    saturated = nearest.throughput < SERVED * nearest.load
    return min(load, nearest.throughput) if saturated else load
