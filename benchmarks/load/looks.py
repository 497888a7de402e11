"""How late profiles are looked at, as the proxy sees it: every look begins with reading the profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

SAME = 0.9
"""Seconds within which two reads are one look: a failed one reads the profile once more, to say so. The queue
waits a second at the least before it looks again."""


@dataclass(frozen=True)
class Late:
    """Seconds between two looks beyond the interval; 0 where they were nearer than it. By nearest rank."""

    p50: float
    p99: float
    most: float
    gaps: int


@dataclass
class Looks:
    """The times of the looks at each profile, in seconds; and when there was no operator that could look.

    That lasts from the end of a process until another one looks at any profile: it was started again, and has waited
    for the Lease, which nobody gave up.
    """

    started: float
    seen: dict[str, list[float]] = field(default_factory=dict)
    away: list[tuple[float, float]] = field(default_factory=list)
    _ended: float | None = None

    def ended(self, at: float) -> None:
        """The operator's process ended by itself; one that ends before it looked at anything changes nothing."""
        self._ended = at if self._ended is None else self._ended

    def came(self, key: str, at: float) -> None:
        if self._ended is not None:
            self.away.append((self._ended, at))
            self._ended = None
        self.note(key, at)

    def note(self, key: str, at: float) -> None:
        """Count the time of this key from here on."""
        times = self.seen.setdefault(key, [])
        if times and at - times[-1] < SAME:
            times[-1] = at
        else:
            times.append(at)

    def total(self) -> int:
        return sum(map(len, self.seen.values()))

    def waiting(self, keys: Iterable[str], now: float, bound: float) -> list[str]:
        """Those that were not looked at for longer than `bound`, while there was an operator."""
        last = {key: self.seen[key][-1] if self.seen.get(key) else self.started for key in keys}
        return [key for key, at in last.items() if now - at - self.without(at, now) > bound]

    def without(self, since: float, now: float) -> float:
        """Seconds between the two in which there was no operator."""
        gaps = [*self.away, *([(self._ended, now)] if self._ended is not None else [])]
        return sum(max(0.0, min(now, back) - max(since, gone)) for gone, back in gaps)

    def longest_away(self, now: float) -> float:
        """The longest time without an operator, the one that lasts included."""
        gaps = [*self.away, *([(self._ended, now)] if self._ended is not None else [])]
        return max((back - gone for gone, back in gaps), default=0.0)

    def longest(self, keys: Iterable[str], now: float) -> float:
        """The longest time without a look, the one that lasts still included."""
        most = 0.0
        for key in keys:
            times = [self.started, *self.seen.get(key, ()), now]
            most = max(most, *(b - a for a, b in pairwise(times)))
        return most

    def late(self, keys: Iterable[str], interval: float, since: float) -> Late:
        """Of all gaps that ended after `since`."""
        gaps = sorted(
            max(0.0, b - a - interval) for key in keys for a, b in pairwise(self.seen.get(key, [])) if b >= since
        )
        if not gaps:
            return Late(0.0, 0.0, 0.0, 0)
        return Late(gaps[len(gaps) // 2], gaps[min(len(gaps) - 1, int(len(gaps) * 0.99))], gaps[-1], len(gaps))
