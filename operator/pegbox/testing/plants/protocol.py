"""What a plant is: a simulated workload that is advanced minute by minute under settings, and knows its own truth.

A plant of your own is a class that is made with a seed and has the members of `Plant`; `base.Workload` has all but
the physics. The smallest one, for `pegbox bench tune --plant FILE.py:Queue`:

    from pegbox.testing.plants.base import Flow, Workload
    from pegbox.testing.plants.knobs import integer, setting, space
    from pegbox.testing.plants.protocol import Slo

    class Queue(Workload[None]):
        space = space(integer("replicas", 1, 20), integer("worker_count", 1, 64))
        start = setting(space, replicas=12, worker_count=4)
        slo = Slo(seconds=0.5, share=0.95)

        def begin(self, setting, load, at):
            return None

        def flow(self, setting, load, at, up, state):
            pods = up * float(setting["replicas"])
            capacity = pods * float(setting["worker_count"]) / 0.02
            served = min(load, capacity)
            good = max(0.0, 1.0 - load / (2 * capacity)) * served / load
            return Flow(served=served, latency=0.02, good=good, errors=1 - served / load, pods=pods), None

        def price(self, setting):
            return float(setting["replicas"]) * self.prices.of_pod(cores=1.0, gib=0.5)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pegbox.model.knobs import SearchSpace, Setting


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per hour of one pod (what a pod costs beside its size), one core and one GiB that are requested."""

    pod: float = 0.01
    core: float = 0.04
    gib: float = 0.005

    def of_pod(self, *, cores: float, gib: float) -> float:
        return self.pod + cores * self.core + gib * self.gib


@dataclass(frozen=True, slots=True)
class Minute:
    """What Prometheus would show of one minute.

    `offered` and `throughput` in events/s; `latency` the mean seconds of what was served, None where nothing was;
    `good` and `errors` shares of the offered events (served within the SLO's seconds; refused or failed); `cpu` the
    busy share of the requested cores; `busy` the busy share of the units that a knob counts; `money` what ran, per
    hour.
    """

    at: int
    offered: float
    throughput: float
    latency: float | None
    good: float
    errors: float
    pods: float
    money: float
    kills: int = 0
    cpu: float = 0.0
    busy: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slo:
    """At least `share` of the offered events is served without an error within `seconds`.

    With `mean`, the mean latency stays within `seconds` instead. It is scored by a smooth share which is `share`
    exactly at the limit: (1 - errors) / (1 + (latency / seconds)^2 (1 - share) / share).
    """

    seconds: float
    share: float = 0.95
    mean: bool = False

    def score(self, minute: Minute) -> float:
        """In 0..1; the SLO holds where it is at least `share`."""
        if not self.mean:
            return minute.good
        if minute.latency is None:
            return 0.0
        odds = (1 - self.share) / self.share
        return (1 - minute.errors) / (1 + (minute.latency / self.seconds) ** 2 * odds)

    def holds(self, minute: Minute) -> bool:
        return self.score(minute) >= self.share


class Plant(Protocol):
    """One run of one simulated workload. Made with a seed; the same seed and settings give the same minutes.

    Common random numbers: the chance of a minute depends on the seed and on the minute alone, so two runs with one
    seed meet the same load whatever their settings are.
    """

    space: SearchSpace
    start: Setting  # in force before minute 0; it wastes or violates
    slo: Slo
    prices: Prices
    rules: tuple[str, ...]  # comparisons that every setting meets (pegbox.core.rules)
    changes: tuple[int, ...]  # minutes at which a deploy changes the code

    def advance(self, setting: Setting) -> Minute:
        """One more minute, under a setting. What was in force earlier matters: backlog, warmth, restarts, leaks.

        Raises InvalidInput for a setting that is not in the space or breaks a rule.
        """
        ...

    def price(self, setting: Setting) -> float:
        """Money per hour as known beforehand: exact where the setting says how many pods run."""
        ...

    def steady(self, setting: Setting, at: int) -> Minute:
        """The truth, which no tuner sees: what holds without noise, long after the change, at that minute's load and
        code. Does not advance the plant.
        """
        ...


MEMBERS = ("space", "start", "slo", "prices", "rules", "changes", "advance", "price", "steady")
