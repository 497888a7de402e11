"""The clock, the noise and the restarts that all shipped plants share; the physics is each plant's own."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar, Generic, TypeVar

from pegbox.model.knobs import Effect, SearchSpace, Setting
from pegbox.testing.plants.knobs import require
from pegbox.testing.plants.protocol import Minute, Prices, Slo

State = TypeVar("State")

ROLLING = 0.25  # share of the pods that is away during the minute of a rolling restart
LOAD_SD = 0.02  # of the log of one minute's load, AR(1) with
LOAD_MEMORY = 0.5
CLUMPS = 4.0  # events come in clumps: the variance of a share is that much above a binomial's
LATENCY_SD = 0.03  # of the log of one minute's mean latency


@dataclass(frozen=True, slots=True)
class Flow:
    """One minute without noise. Rates in events/s, shares of the offered events; `money` None: the price's."""

    served: float
    latency: float | None
    good: float
    errors: float
    pods: float
    kills: int = 0
    cpu: float = 0.0
    busy: Mapping[str, float] = field(default_factory=dict)
    money: float | None = None


class Workload(ABC, Generic[State]):
    """A plant with a clock. Subclasses say `space`, `start`, `slo`, and the physics in `begin`, `flow` and `price`."""

    space: SearchSpace
    start: Setting
    slo: Slo
    prices: Prices = Prices()
    rules: tuple[str, ...] = ()
    changes: tuple[int, ...] = ()
    mean_load: float = 100.0
    known: tuple[Setting, ...] = ()  # the best settings of a long search, one per release; tests hold them to it
    settles: ClassVar[int] = 8  # minutes that `steady` waits
    spans: ClassVar[int] = 1  # minutes that `steady` then averages
    clumps: ClassVar[float] = CLUMPS

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.minute = 0
        self._before = self.start
        self._wander = 0.0
        self._state = self.begin(self.start, self.load(0), 0)
        self._known: dict[tuple[Setting, float, int], Minute] = {}

    @abstractmethod
    def begin(self, setting: Setting, load: float, at: int) -> State:
        """The state of pods that have run under the setting for some minutes."""

    @abstractmethod
    def flow(self, setting: Setting, load: float, at: int, up: float, state: State) -> tuple[Flow, State]:
        """One minute; `load` in events/s, `up` the share of the pods that runs in it (below 1 during a restart)."""

    @abstractmethod
    def price(self, setting: Setting) -> float:
        """Money per hour."""

    def load(self, at: int) -> float:
        """Events/s at that minute, without noise. The same for ever unless a plant says otherwise."""
        return self.mean_load

    def restarted(self, setting: Setting, state: State) -> State:
        """The state once the pods are new."""
        return state

    def code(self, at: int) -> int:
        """How many deploys there were."""
        return sum(at >= change for change in self.changes)

    def advance(self, setting: Setting) -> Minute:
        """See Plant. Raises InvalidInput."""
        require(self.space, self.rules, setting)
        chance = Random(f"{self.seed}:{self.minute}")
        shocks = [chance.gauss(0.0, 1.0) for _ in range(3)]
        self._wander = LOAD_MEMORY * self._wander + math.sqrt(1 - LOAD_MEMORY**2) * LOAD_SD * shocks[0]
        load = self.load(self.minute) * math.exp(self._wander)
        restart = self._restarts(setting)
        state = self.restarted(setting, self._state) if restart else self._state
        flow, self._state = self.flow(setting, load, self.minute, 1.0 - ROLLING if restart else 1.0, state)
        made = self._shown(self.minute, setting, load, flow, shocks[1], shocks[2])
        self._before = setting
        self.minute += 1
        return made

    def steady(self, setting: Setting, at: int) -> Minute:
        """See Plant."""
        key = (setting, self.epoch(at), self.code(at))
        if key not in self._known:
            self._known[key] = self._settled(setting, at)
        return self._known[key]

    def epoch(self, at: int) -> float:
        """What tells apart minutes with different truths, beside the code: the load, unless a plant cycles."""
        return self.load(at)

    def hours(self, at: int) -> list[float]:
        """The loads over which `steady` averages at that minute: that of the minute alone, unless a plant cycles."""
        return [self.load(at)] * self.spans

    def _settled(self, setting: Setting, at: int) -> Minute:
        require(self.space, self.rules, setting)
        loads = self.hours(at)
        state = self.begin(setting, loads[0], at)
        for _ in range(self.settles):
            _, state = self.flow(setting, loads[0], at, 1.0, state)
        flows = []
        for load in loads:
            flow, state = self.flow(setting, load, at, 1.0, state)
            flows.append(flow)
        return self.averaged(at, setting, loads, flows)

    def averaged(self, at: int, setting: Setting, loads: list[float], flows: list[Flow]) -> Minute:
        """Noiseless minutes as one."""
        return average([self._shown(at, setting, *pair, 0.0, 0.0) for pair in zip(loads, flows, strict=True)])

    def _restarts(self, setting: Setting) -> bool:
        moved = self._before.diff(setting)
        return any(self.space[name].effect is Effect.RESTART for name in moved)

    def _shown(self, at: int, setting: Setting, load: float, flow: Flow, good: float, slow: float) -> Minute:
        """A minute as measured; `good` and `slow` are standard normal."""
        share = min(max(flow.good, 0.0), 1.0)
        sd = math.sqrt(self.clumps * share * (1.0 - share) / max(load * 60.0, 1.0))
        return Minute(
            at=at,
            offered=load,
            throughput=flow.served,
            latency=None if flow.latency is None or flow.served <= 0 else flow.latency * math.exp(LATENCY_SD * slow),
            good=min(max(share + sd * good, 0.0), 1.0 - max(flow.errors, 0.0), 1.0),
            errors=min(max(flow.errors, 0.0), 1.0),
            pods=flow.pods,
            money=self.price(setting) if flow.money is None else flow.money,
            kills=flow.kills,
            cpu=flow.cpu,
            busy=flow.busy,
        )


def average(seen: list[Minute]) -> Minute:
    """Several minutes as one: means over time, latency over what was served, kills summed."""
    served = sum(m.throughput for m in seen)
    offered = sum(m.offered for m in seen)
    slow = sum((m.latency or 0.0) * m.throughput for m in seen)
    names = sorted({name for m in seen for name in m.busy})
    return Minute(
        at=seen[-1].at,
        offered=offered / len(seen),
        throughput=served / len(seen),
        latency=slow / served if served > 0 else None,
        good=sum(m.good * m.offered for m in seen) / offered,
        errors=sum(m.errors * m.offered for m in seen) / offered,
        pods=sum(m.pods for m in seen) / len(seen),
        money=sum(m.money for m in seen) / len(seen),
        kills=sum(m.kills for m in seen),
        cpu=sum(m.cpu for m in seen) / len(seen),
        busy={name: sum(m.busy.get(name, 0.0) for m in seen) / len(seen) for name in names},
    )
