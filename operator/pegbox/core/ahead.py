"""Ahead of load: how large the load is that a proposal is made for, and the minimum of replicas that it needs. Pure."""

from __future__ import annotations

import math

from pegbox.model.observations import Measured, Missing
from pegbox.model.prediction import LoadForecast


def sized_for(load: Measured, forecast: LoadForecast | Missing) -> Measured:
    """The load that a setting must bear: the present one, or what is to come before pods could follow.

    Without a forecast, or with one that is no number, the present one; where that is unknown, nothing is known.
    """
    if isinstance(load, Missing) or isinstance(forecast, Missing) or not math.isfinite(forecast.upper):
        return load
    return max(load, forecast.upper)
