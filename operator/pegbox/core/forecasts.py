"""Which of the model's forecasts it is judged by: those of the last day, and never fewer than tell anything."""

from __future__ import annotations

from datetime import datetime, timedelta

from pegbox.model.prediction import Forecast
from pegbox.model.trials import Ledger

DAY = timedelta(days=1)
FEWEST = 3  # forecasts that can be scored at all


def of_the_last_day(ledger: Ledger, now: datetime) -> tuple[Forecast, ...]:
    """The newest forecasts whose trials ended within a day of now; with few trials a day the newest three.

    A model that was right for weeks and is wrong since this morning is wrong.
    """
    told = [t for t in ledger.trials if t.predicted_throughput is not None and t.throughput]
    young = sum(1 for trial in told if trial.ended_at > now - DAY)
    return ledger.forecasts[-max(young, FEWEST) :]
