"""The capacity model: how a workload answers to load and settings.

The only place for numpy, scipy and scikit-learn. Importing this package imports none of them: they cost
150 MiB and seconds, and a profile without observations needs no fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pegbox.model.knobs import SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.prediction import Forecast, Predictor, Row
from pegbox.model.roles import Roles
from pegbox.model.searching import SearchRequest, Step, Suggestion

if TYPE_CHECKING:
    from pegbox.learning.forecast import LoadForecaster


def fit(
    space: SearchSpace,
    roles: Roles,
    rows: Sequence[Row],
    forecasts: Sequence[Forecast] = (),
    recent: Sequence[Forecast] | None = None,
) -> Predictor | Missing:
    """Fits a predictor to what was observed, or says why the data cannot carry one.

    `forecasts` are (model, baseline, outcome) throughputs said before the outcome was known: they widen the intervals
    to what past errors were. The `recent` ones (None: all) fill the report's errors. What the rows do not tell is as on
    other workloads, by the prior in the package. Same input, same predictor.
    """
    from pegbox.learning.model import fit_model
    from pegbox.learning.shipped import shipped

    return fit_model(space, roles, rows, forecasts, recent, shipped())


def suggest(request: SearchRequest) -> Suggestion | Missing:
    """The one setting most worth a trial by what was measured, among steps that are surely safe; or why there is none.

    Same input, same suggestion.
    """
    from pegbox.learning.suggesting import suggest_setting

    return suggest_setting(request)


def weigh(request: SearchRequest) -> tuple[Suggestion | Missing, list[Step]]:
    """What `suggest` says, and the steps that it looked at with what speaks against each: the best first; none where
    it could not tell."""
    from pegbox.learning.suggesting import weigh_steps

    return weigh_steps(request)


def load_forecaster(horizon: int, *, step: float) -> LoadForecaster:
    """Of loads in events per second, `horizon` steps of `step` seconds ahead."""
    from pegbox.learning.forecast import LoadForecaster

    return LoadForecaster((horizon,), step=step, unit=1.0 / step)


__all__ = ["Forecast", "fit", "load_forecaster", "suggest", "weigh"]
