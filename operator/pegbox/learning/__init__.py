"""The capacity model: how a workload answers to load and settings.

The only place for numpy, scipy and scikit-learn. Importing this package imports none of them: they cost
150 MiB and seconds, and a profile without observations needs no fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from pegbox.learning.evaluate import Forecast
from pegbox.model.knobs import SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.prediction import Predictor, Row
from pegbox.model.roles import Roles


def fit(
    space: SearchSpace, roles: Roles, rows: Sequence[Row], forecasts: Sequence[Forecast] = ()
) -> Predictor | Missing:
    """Fits a predictor to what was observed, or says why the data cannot carry one.

    `forecasts` are (model, baseline, outcome) throughputs said before the outcome was known: they fill the
    report's errors and widen the intervals to what past errors were. What the rows do not tell is as on other
    workloads, by the prior in the package. Same input, same predictor.
    """
    from pegbox.learning.model import fit_model
    from pegbox.learning.shipped import shipped

    return fit_model(space, roles, rows, forecasts, shipped())


__all__ = ["Forecast", "fit"]
