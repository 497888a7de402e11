"""Queueing formulas of the plants. None of them is used by the model that Pegbox learns (learning/capacity.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

TAIL_POINTS = 16  # of the geometric tail at which a share of good events is evaluated
CLIPPED = 700.0  # exp() of more overflows


def network_rates(stations: Sequence[Callable[[int], float]], most: int) -> list[float]:
    """Throughput (events/s) of a closed network with 1..most events inside, by convolution.

    Each station is its completion rate as a function of the events there. G = f1 * f2 * ..., with
    f(n) = 1 / (mu(1) ... mu(n)), and X(n) = G(n - 1) / G(n). Exact for product-form networks.
    Source: J. P. Buzen, "Computational algorithms for closed queueing networks with exponential servers", CACM 16
    (1973). A station with no rate limit is a delay: mu(n) = n / seconds.
    """
    whole = [1.0] + [0.0] * most
    for station in stations:
        own = [1.0]
        for n in range(1, most + 1):
            own.append(own[-1] / station(n))
        whole = [sum(whole[i] * own[n - i] for i in range(n + 1)) for n in range(most + 1)]
    return [whole[n - 1] / whole[n] for n in range(1, most + 1)]


def within(limit: float, mean: float, variance: float) -> float:
    """P(a gamma variate of that mean and variance <= limit).

    Wilson and Hilferty's cube root (PNAS 17, 1931): (x / mean)^(1/3) is nearly normal with mean 1 - v and variance v,
    where v = variance / mean^2 / 9. For an exponential the error stays below 0.01.
    """
    if mean <= 0:
        return 1.0
    v = variance / (mean * mean * 9.0)
    if v <= 1e-12:
        return 1.0 if mean <= limit else 0.0
    return 0.5 * math.erfc(-((limit / mean) ** (1.0 / 3.0) - (1.0 - v)) / math.sqrt(2.0 * v))


@dataclass(frozen=True, slots=True)
class Crowd:
    """A birth-death chain at rest: how many events an arrival finds.

    `inside[n]` for n = 0..W in service and nobody waiting; a truncated geometric `tail` mass with ratio `ratio` over
    1..`room` that wait; `full` the share of arrivals that finds no room.
    """

    inside: tuple[float, ...]
    tail: float
    ratio: float
    room: int
    rates: tuple[float, ...]
    full: float

    @property
    def waiting(self) -> float:
        """Mean number that waits."""
        return self.tail * _tail_mean(self.ratio, self.room) if self.tail > 0 else 0.0

    @property
    def serving(self) -> float:
        """Mean number in service."""
        return sum(n * p for n, p in enumerate(self.inside)) + self.tail * (len(self.inside) - 1)

    def good(self, limit: float, shape: float, extra: float = 0.0) -> float:
        """Share of the offered events that leave within `limit` seconds; `extra` seconds come on top.

        One that finds n < W inside stays (n + 1) / rate(n + 1) on average, with squared coefficient of variation
        `shape`; one that finds j waiting also waits j + 1 departures, each exponential.
        """
        total = 0.0
        most = len(self.rates)
        for n in range(most):
            mean = (n + 1) / self.rates[n]
            total += self.inside[n] * within(limit - extra, mean, shape * mean * mean) if limit > extra else 0.0
        own, gap = most / self.rates[-1], 1.0 / self.rates[-1]
        behind = self.inside[most] + self.tail - self.full  # waits, and is let in
        if behind > 1e-12 and limit > extra:
            for q in range(TAIL_POINTS):
                j = _tail_quantile(self.ratio, self.room, (q + 0.5) / TAIL_POINTS)
                mean = own + j * gap
                total += behind / TAIL_POINTS * within(limit - extra, mean, shape * own * own + j * gap * gap)
        return min(1.0, total)


def at_rest(load: float, rates: Sequence[float], room: int) -> Crowd:
    """The chain with arrivals `load` (events/s), completions rates[n - 1] with n inside, constant beyond len(rates)."""
    logs = [0.0]
    for rate in rates:
        logs.append(logs[-1] + math.log(load / rate))
    ratio = load / rates[-1]
    tail = logs[-1] + _log_sum(ratio, room) if room > 0 else -math.inf
    top = max(*logs, tail)
    weights = [math.exp(x - top) for x in logs]
    mass = math.exp(tail - top) if tail > -math.inf else 0.0
    total = sum(weights) + mass
    last = logs[-1] + room * math.log(ratio) - top
    full = math.exp(max(last, -CLIPPED)) / total
    inside = tuple(w / total for w in weights)
    return Crowd(inside, mass / total, ratio, room, tuple(rates), full)


def _log_sum(ratio: float, room: int) -> float:
    """log of ratio + ratio^2 + ... + ratio^room."""
    if abs(ratio - 1.0) < 1e-9:
        return math.log(room)
    small = min(ratio, 1.0 / ratio)
    inner = math.log1p(-(small**room)) - math.log1p(-small)
    return math.log(ratio) + inner if ratio < 1 else room * math.log(ratio) + inner


def _tail_mean(ratio: float, room: int) -> float:
    if abs(ratio - 1.0) < 1e-6:
        return (room + 1) / 2
    small = min(ratio, 1.0 / ratio)
    power = small**room
    below = small / (1.0 - small) - room * power / (1.0 - power)  # mean of 0..room - 1, geometric
    return 1.0 + below if ratio < 1 else room - below


def _tail_quantile(ratio: float, room: int, q: float) -> float:
    """Where the share q of a geometric on 1..room lies, as a real number."""
    if abs(ratio - 1.0) < 1e-6:
        return max(1.0, q * room)
    small = min(ratio, 1.0 / ratio)
    share = q if ratio < 1 else 1.0 - q
    place = math.log1p(-share * (1.0 - small**room)) / math.log(small)
    return max(1.0, place + 0.5) if ratio < 1 else max(1.0, room - place + 0.5)


def erlang_c(servers: int, offered: float) -> float:
    """P(an arrival waits) in M/M/c with `offered` = load x service time in Erlang; 1 at and above `servers`."""
    if offered >= servers:
        return 1.0
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    rho = offered / servers
    return blocked / (1.0 - rho * (1.0 - blocked))


@dataclass(frozen=True, slots=True)
class Flood:
    """One minute of a queue that is not at rest: mean wait behind the backlog, what was lost, what is left over."""

    wait: float
    lost: float  # share of the offered events
    backlog: float
    served: float  # events/s


def flood(backlog: float, load: float, capacity: float, room: float, seconds: float = 60.0) -> Flood:
    """A fluid queue: it fills by load - capacity, never beyond `room`, and drains likewise."""
    after = backlog + (load - capacity) * seconds
    left = min(max(after, 0.0), room)
    lost = max(after - room, 0.0) / (load * seconds)
    drained = backlog / (capacity - load) if load < capacity else seconds
    mean = (backlog + left) / 2 * min(1.0, drained / seconds)
    served = min(capacity, load + backlog / seconds)
    return Flood(mean / capacity, min(lost, 1.0), left, served)


def normal_share(value: float, mean: float, sd: float) -> float:
    """P(a normal variate > value)."""
    return 1.0 - NormalDist(mean, max(sd, 1e-12)).cdf(value)
