"""The breaker: Closed, Open, HalfOpen as a transition function.

| state    | harmful trial, below the limit | harmful trial at the limit | accepted trial | time is up | reset  |
|----------|--------------------------------|----------------------------|----------------|------------|--------|
| Closed   | Closed, one more failure       | Open for base              | Closed, none   | Closed     | Closed |
| Open     | Open, unchanged                | Open, unchanged            | Open           | HalfOpen   | Closed |
| HalfOpen | Open for base x 2^openings     | Open for base x 2^openings | Closed, none   | HalfOpen   | Closed |

Only failures that harmed the workload are events here (a probation's, too); Inconclusive trials, those that were merely
not better and requested rollbacks are none. Jitter (0..1, chosen by the caller) stretches an Open time by up to a
tenth, so that profiles which failed together do not probe together; none is longer than a day, jitter included.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.model.profile import Guards
from pegbox.model.trials import Breaker, BreakerState

LONGEST = timedelta(days=1)
STRETCH = 0.1


def tick(breaker: Breaker, now: datetime) -> Breaker:
    """Open becomes HalfOpen once its time is up. A time beyond the longest is of a clock that was set back since."""
    if breaker.state is not BreakerState.OPEN:
        return breaker
    until = now + LONGEST if breaker.until is None else min(breaker.until, now + LONGEST)
    if now >= until:
        return replace(breaker, state=BreakerState.HALF_OPEN, until=None)
    return replace(breaker, until=until)


def succeed(breaker: Breaker) -> Breaker:
    """A trial was accepted."""
    return breaker if breaker.state is BreakerState.OPEN else Breaker()


def fail(breaker: Breaker, guards: Guards, now: datetime, jitter: float) -> Breaker:
    """A trial harmed the workload and was reverted."""
    if breaker.state is BreakerState.OPEN:
        return breaker
    failures = breaker.failures + 1
    if breaker.state is BreakerState.CLOSED and failures < guards.failures_to_open:
        return replace(breaker, failures=failures)
    return Breaker(
        state=BreakerState.OPEN,
        failures=failures,
        opened=breaker.opened + 1,
        until=now + open_time(guards.breaker_base, breaker.opened, jitter),
    )


def open_time(base: Fraction, opened: int, jitter: float, longest: timedelta = LONGEST) -> timedelta:
    """base x 2^opened x (1 + jitter / 10), `longest` at the most: cut before it is stretched, or jitter were lost."""
    seconds = min(float(base) * 2.0 ** min(opened, 30), longest.total_seconds() / (1 + STRETCH))
    return timedelta(seconds=seconds * (1 + STRETCH * jitter))
