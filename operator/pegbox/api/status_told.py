"""What a profile's status still tells of its brakes, for the case that the ledger is lost. Pure; never raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pegbox.api import status_wire as wire
from pegbox.api.wire import read
from pegbox.model.trials import Breaker, BreakerState

FOREVER = datetime.max.replace(tzinfo=UTC)
KEPT = ("breaker", "pausedUntil", "tokens")
"""What stays in a status also while the profile cannot be worked on."""


@dataclass(frozen=True, slots=True)
class Told:
    """`paused_until` is datetime.max, in UTC, for "until resumed"."""

    paused_until: datetime | None = None
    breaker: Breaker = Breaker()


def brakes(status: Mapping[str, Any]) -> Told | None:
    """None where it was never written whole: then there was no ledger either. What cannot be read is left out."""
    if "breaker" not in status:
        return None
    return Told(_paused(status.get("pausedUntil")), _breaker(status["breaker"]))


def _paused(text: object) -> datetime | None:
    until = _moment(text)
    return FOREVER if until is not None and until.year == FOREVER.year else until


def _breaker(body: object) -> Breaker:
    try:
        said = read(wire.BreakerStatus, body, "status.breaker")
    except ValueError:
        return Breaker()
    opened = said.openings if said.openings is not None else int(said.state is not BreakerState.CLOSED)
    return Breaker(said.state, said.failures, opened, _moment(said.until))


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        when = datetime.fromisoformat(text)
        return when.astimezone(UTC) if when.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
