"""The capacity model: how a workload answers to load and settings.

The only place for numpy, scipy and scikit-learn. Importing this package imports none of them: they cost
150 MiB and seconds, and a profile without observations needs no fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pegbox.learning.evaluate import Forecast
from pegbox.model.knobs import SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.prediction import Predictor, Row
from pegbox.model.roles import Roles

if TYPE_CHECKING:
    from pegbox.learning.forecast import LoadForecaster


def fit(
    space: SearchSpace, roles: Roles, rows: Sequence[Row], forecasts: Sequence[Forecast] = ()
) -> Predictor | Missing:
    """Fits a predictor to what was observed, or says why the data cannot carry one.

    `forecasts` are (model, baseline, outcome) throughputs said before the outcome was known: they fill the
    report's errors and widen the intervals to what past errors were. Same input, same predictor.
    """
    from pegbox.learning.model import fit_model

    return fit_model(space, roles, rows, forecasts)


def load_forecaster(horizon: int, *, step: float) -> LoadForecaster:
    """Of loads in events per second, `horizon` steps of `step` seconds ahead."""
    from pegbox.learning.forecast import LoadForecaster

    return LoadForecaster((horizon,), step=step, unit=1.0 / step)


__all__ = ["Forecast", "fit", "load_forecaster"]
