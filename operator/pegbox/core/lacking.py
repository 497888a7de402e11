"""How much of the data for a first prediction is still missing, and when it will be there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason

NEEDED = 3  # clean windows


def with_time(why: Missing, spec: ProfileSpec, rows: Sequence[Row]) -> Missing:
    """The reason, with the share of windows that is missing and the time at which it will be there, if no window is
    lost: counted from the newest, so that it stands still between two."""
    seen = sum(row.count for row in rows)
    if why.reason is not Reason.LEARNING or not 0 < seen < NEEDED:
        return why
    every = max(float(spec.guards.trial_window), float(spec.interval))
    newest = datetime.fromtimestamp(max(row.last_seen for row in rows), UTC)
    there = newest + timedelta(seconds=math.ceil(every * (NEEDED - seen)))
    share = (NEEDED - seen) / NEEDED
    text = f"{share:.0%} of the data is missing, there by {there:%Y-%m-%dT%H:%M:%SZ} at the earliest"
    return replace(why, detail=f"{why.detail}; {text}")
