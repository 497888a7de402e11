"""TuningLedger: Pegbox's memory of one profile. `state` is canonical JSON; the rest is for people to read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pegbox.api.wire import Text, Time, Wire, by_value
from pegbox.model.trials import BreakerState

MAX_STATE = 64 * 1024


class LedgerSummary(Wire):
    """What the state holds, in numbers."""

    profile: Annotated[str, Field(max_length=253)] = ""
    profile_uid: Annotated[str, Field(alias="profileUID", max_length=64)] = ""
    generation: Annotated[int, Field(ge=0)] = 0
    breaker: Annotated[BreakerState, by_value(BreakerState)] = BreakerState.CLOSED
    intent: Text = ""
    trials: Annotated[int, Field(ge=0)] = 0
    rows: Annotated[int, Field(ge=0)] = 0
    written_at: Time | None = None


class LedgerData(Wire):
    """Written by Pegbox only. `sha256` is of `state`, so that a hand-edited or torn state is refused, not believed."""

    schema_version: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
    state: Annotated[str, Field(max_length=MAX_STATE)]
    summary: LedgerSummary = LedgerSummary()
