"""The breaker: Closed, Open, HalfOpen as a transition function.

| state    | event                       | next                                                   |
|----------|-----------------------------|--------------------------------------------------------|
| Closed   | failure, below the limit    | Closed, one more failure                               |
| Closed   | failure that meets limit    | Open until now + base                                  |
| Closed   | success                     | Closed, no failures                                    |
| Open     | time is up                  | HalfOpen                                               |
| Open     | failure (a requested trial) | Open, unchanged                                        |
| HalfOpen | success                     | Closed, no failures, no openings                       |
| HalfOpen | failure                     | Open until now + base x 2^openings, a day at the most  |

Only failures that harmed the workload are events here; Inconclusive trials and those that were merely not better
are none. Jitter (0..1, chosen by the caller) stretches an Open time by up to a tenth, so that profiles which failed
together do not probe together.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.model.profile import Guards
from pegbox.model.trials import Breaker, BreakerState

LONGEST = timedelta(days=1)


def tick(breaker: Breaker, now: datetime) -> Breaker:
    """Open becomes HalfOpen once its time is up."""
    if breaker.state is BreakerState.OPEN and breaker.until is not None and now >= breaker.until:
        return replace(breaker, state=BreakerState.HALF_OPEN, until=None)
    return breaker


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


def open_time(base: Fraction, opened: int, jitter: float) -> timedelta:
    """base x 2^opened x (1 + jitter / 10), a day at the most."""
    seconds = float(base) * 2.0 ** min(opened, 30) * (1 + jitter / 10)
    return min(timedelta(seconds=seconds), LONGEST)
