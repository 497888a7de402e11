"""Which call fails, and how: drawn from a seed, one draw per call."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MUTE_SHARE = 0.25
"""Of the watches that fall silent with their connection open, instead of being cut."""
WATCH_SECONDS = (5.0, 120.0)
"""How long a watch lives, where any faults are injected: all of them end, as a watch is one call that lasts."""
SLOW_SECONDS = (2.0, 14.0)
"""On both sides of the client's 10 s, so that some answers come late and some too late."""
RETRY_AFTER = 2


class Fault(StrEnum):
    """`before` and `after` say whether the request had reached the server."""

    RESET = "connection reset before"
    LOST = "connection reset after"
    CONFLICT = "409 before"
    INVALID = "422 before"
    BUSY = "429 with Retry-After"
    BROKEN = "500 before"
    BROKEN_AFTER = "500 after"
    UNAVAILABLE = "503 before"
    SLOW = "slow before"
    SLOW_AFTER = "slow after"
    TRUNCATED = "body truncated"
    NAN = "NaN for every value"
    EMPTY = "empty answer"
    PARTIAL = "half of the rows, with a warning"
    MUTE = "watch silent"
    DROPPED = "watch dropped"


STATUS: Mapping[Fault, int] = {
    Fault.CONFLICT: 409,
    Fault.INVALID: 422,
    Fault.BUSY: 429,
    Fault.BROKEN: 500,
    Fault.BROKEN_AFTER: 500,
    Fault.UNAVAILABLE: 503,
}
ANY = (
    Fault.RESET,
    Fault.LOST,
    Fault.BUSY,
    Fault.BROKEN,
    Fault.UNAVAILABLE,
    Fault.SLOW,
    Fault.SLOW_AFTER,
    Fault.TRUNCATED,
)
READS = ANY
WRITES = (*ANY, Fault.CONFLICT, Fault.INVALID, Fault.BROKEN_AFTER)
"""No server answers a read with 409 or 422."""
QUERIES = (*ANY, Fault.NAN, Fault.EMPTY, Fault.PARTIAL)
AFTER = frozenset(
    {
        Fault.LOST,
        Fault.BROKEN_AFTER,
        Fault.SLOW_AFTER,
        Fault.TRUNCATED,
        Fault.NAN,
        Fault.EMPTY,
        Fault.PARTIAL,
    }
)
"""The server did what it was asked, whatever the caller hears."""


@dataclass
class Faults:
    """`share` of all calls fail. The same seed draws the same faults; which call meets which, the network decides."""

    seed: int
    share: float
    calls: int = 0
    drawn: Counter[Fault] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def draw(self, among: tuple[Fault, ...]) -> Fault | None:
        """What happens to the next call; None for nothing."""
        self.calls += 1
        if self._chance.random() >= self.share:
            return None
        fault = self._chance.choice(among)
        self.drawn[fault] += 1
        return fault

    def watch(self) -> tuple[Fault, float] | None:
        """How the next watch ends, and after how many seconds; None where nothing is injected."""
        self.calls += 1
        if self.share <= 0:
            return None
        fault = Fault.MUTE if self._chance.random() < MUTE_SHARE else Fault.DROPPED
        self.drawn[fault] += 1
        return fault, self._chance.uniform(*WATCH_SECONDS)

    def seconds(self) -> float:
        """How long a slow call takes."""
        return self._chance.uniform(*SLOW_SECONDS)


def status_body(code: int) -> dict[str, Any]:
    """What an API server says with such a status."""
    body = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code}
    return body | {"message": f"injected {code}", "reason": _REASONS.get(code, "InternalError")}


_REASONS = {409: "Conflict", 422: "Invalid", 429: "TooManyRequests", 503: "ServiceUnavailable"}


def spoiled(fault: Fault, body: bytes) -> bytes:
    """A Prometheus answer with the fault in it; what is no vector stays as it is."""
    try:
        document = json.loads(body)
        rows = document["data"]["result"]
    except (ValueError, LookupError, TypeError):
        return body
    if fault is Fault.NAN:
        for row in rows:
            if "value" in row:
                row["value"][1] = "NaN"
    elif fault is Fault.EMPTY:
        document["data"]["result"] = []
    elif fault is Fault.PARTIAL:
        document["data"]["result"] = rows[::2]
        document["warnings"] = ["injected: some stores did not answer"]
    return json.dumps(document).encode()
