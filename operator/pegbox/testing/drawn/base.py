"""What a drawn workload is: parameters from a seed, and the truth of any setting at any load."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar

from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.roles import Role, Roles
from pegbox.testing.plants.pods import answer

LEAST_LOAD, MOST_LOAD = 0.3, 2.5  # of the capacity at the start: some begin at ease, some far too small
FULL = 0.97  # share of the capacity above which a queue does not come to rest
ROOMS = (20, 50, 200, 500, 2000)  # events that may wait in one pod


@dataclass(frozen=True, slots=True)
class Answer:
    """Without noise: events/s served, mean seconds of what was served, busy shares by knob."""

    throughput: float
    latency: float
    busy: Mapping[str, float]


class Drawn(ABC):
    """One workload. `load` is its usual load in events/s, `start` the setting that its team chose.

    `signals` says whether its busy shares are measured: not every application exports them. `sd` are the log sd
    of one window's throughput, latency and busy shares.
    """

    family: ClassVar[str]
    space: ClassVar[SearchSpace]
    roles: ClassVar[Roles]
    start: Setting

    def __init__(self, seed: int) -> None:
        self.seed = seed
        chance = Random(f"{self.family}:{seed}")
        self.draw(chance)
        share = between(chance, LEAST_LOAD, MOST_LOAD)
        self.signals = chance.random() < 0.6
        self.sd = between(chance, 0.01, 0.05), between(chance, 0.04, 0.20), between(chance, 0.02, 0.10)
        self.load = share * self.capacity(self.start, self.pods(self.start, 0.0))

    @abstractmethod
    def draw(self, chance: Random) -> None:
        """Sets the parameters and `start`."""

    @abstractmethod
    def capacity(self, setting: Setting, pods: int) -> float:
        """Events/s that so many pods serve at most."""

    @abstractmethod
    def answer(self, setting: Setting, pods: int, load: float, waiting: float = 1.0) -> Answer:
        """The truth; `waiting` in 0..1 is how full the queue is where the load is above the capacity."""

    def pods(self, setting: Setting, load: float) -> int:
        """Pods that run."""
        return int(setting.number("replicas"))


def between(chance: Random, low: float, high: float) -> float:
    """Evenly in the logarithm."""
    return math.exp(chance.uniform(math.log(low), math.log(high)))


def counted(chance: Random, low: int, high: int) -> int:
    return min(high, max(low, round(between(chance, low, high + 0.49))))


def pod_answer(setting: Setting, pods: int, load: float, rates: tuple[float, ...], waiting: float) -> tuple[float, ...]:
    """(events/s served, mean seconds, mean number in service of one pod) of pods that are networks of their own."""
    each, room = load / pods, int(setting.number("worker_queue_capacity"))
    backlog = waiting * room if each > FULL * rates[-1] else 0.0
    own = answer(each, rates, room, backlog, 1.0, 0.6)
    served = min(own.served, each, rates[-1])
    return served * pods, own.latency, own.serving


def numbers(**values: int | float | bool) -> Setting:
    return Setting({name: v if isinstance(v, bool) else Fraction(str(v)) for name, v in values.items()})


def limits(roles: Mapping[str, Role]) -> tuple[str, ...]:
    """Names of the knobs that bound how many events are in service."""
    return tuple(name for name, role in roles.items() if role.limits_service)
