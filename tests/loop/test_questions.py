"""What the metric source is asked: signals once per interval for everybody, two questions more for a trial.

An SLO whose own window is not trialWindow is one question more, for everybody."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from itertools import pairwise
from math import ceil
from typing import Any

import pytest

from pegbox.core import looks
from pegbox.model.observations import Missing
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import SignalQuery, SignalRows
from pegbox.testing.metrics import FakeMetrics
from tests.loop import documents
from tests.loop.world import World, make

SIGNALS, SLO_WINDOWS, PER_NAMESPACE, PER_TRIAL = 3, 1, 2, 2
INTERVAL = 30.0


class Sharing(FakeMetrics):
    """Reuses answers as young as the caller takes, as the real source does; `sent` are the times of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[datetime] = []
        self.timed: list[tuple[datetime, Any]] = []
        self.kept: dict[Any, tuple[datetime, Any]] = {}

    async def _shared(self, key: Any, at: datetime, age: float | None, ask: Callable[[], Any]) -> Any:
        then, answer = self.kept.get(key, (None, None))
        if then is None or not 0 <= (at - then).total_seconds() < (age or 0.0):
            answer = await ask()
            self.kept[key] = at, answer
            self.sent.append(at)
            self.timed.append((at, key))
        return answer

    async def fetch(
        self, query: SignalQuery, at: datetime, *, namespace: str = "", max_age: float | None = None
    ) -> SignalRows | Missing:
        key = query.signal.name, query.window
        found = await self._shared(key, at, max_age, lambda: super(Sharing, self).fetch(query, at))
        assert isinstance(found, SignalRows | Missing)
        return found

    async def acknowledgements(
        self, namespace: str, at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Acknowledgement] | Missing:
        ask = lambda: super(Sharing, self).acknowledgements(namespace, at)  # noqa: E731
        found: Mapping[str, Acknowledgement] | Missing = await self._shared("acks", at, max_age, ask)
        return found

    async def setting_values(
        self, namespace: str, knobs: Collection[str], at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Mapping[str, float]] | Missing:
        ask = lambda: super(Sharing, self).setting_values(namespace, knobs, at)  # noqa: E731
        found: Mapping[str, Mapping[str, float]] | Missing = await self._shared("values", at, max_age, ask)
        return found


async def a_trial(window: str, acknowledged_after: int) -> tuple[Sharing, World, float, float]:
    """Start a harmless `try`, and follow it to its end. Gives the times of its beginning and end."""
    metrics = Sharing()
    world = await make(metrics=metrics)
    guards = documents.QUICK | {"trialWindow": window, "ackTimeout": "5m", "trialTimeout": "20m"}
    await world.add(documents.profile(guards=guards, interval="30s"), workers=2)
    await world.rest()
    await world.turns(8)
    app = world.apps["checkout"]
    app.silent = True
    await world.annotate("try", "workers=3")
    await world.turn()
    began = world.clock.now()
    while await world.intent() is not None:
        app.silent = (world.clock.now() - began).total_seconds() < acknowledged_after
        await world.turn()
    return metrics, world, began.timestamp(), world.clock.now().timestamp()


@pytest.mark.parametrize("window", ["30s", "2m"])
@pytest.mark.parametrize("acknowledged_after", [0, 60])
async def test_a_trial_costs_two_questions_per_interval_beside_those_that_serve_everybody(
    window: str, acknowledged_after: int
) -> None:
    metrics, world, began, ended = await a_trial(window, acknowledged_after)
    ledger = await world.ledger()
    assert ledger is not None and [t.state.value for t in ledger.trials] == ["Accepted"]
    asked = sum(began < at.timestamp() <= ended for at in metrics.sent)
    intervals = ceil((ended - began) / INTERVAL)
    assert asked <= intervals * (SIGNALS + SLO_WINDOWS + PER_NAMESPACE + PER_TRIAL)


async def test_without_reuse_it_would_cost_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: what the test above counts can exceed its bound."""
    monkeypatch.setattr(looks, "signal_age", lambda *_: 0.0)
    metrics, _, began, ended = await a_trial("30s", 60)
    asked = sum(began < at.timestamp() <= ended for at in metrics.sent)
    assert asked > ceil((ended - began) / INTERVAL) * (SIGNALS + SLO_WINDOWS + PER_NAMESPACE + PER_TRIAL)


async def test_the_own_window_of_an_slo_is_asked_once_per_interval_whatever_is_under_way() -> None:
    metrics, _, began, ended = await a_trial("30s", 60)
    own = [q for q in metrics.asked if q.window == 300]  # slos[].window is 5m; trialWindow 30s
    assert {q.signal.name for q in own} == {"duration"}
    times = [at.timestamp() for at, key in metrics.timed if key == ("duration", 300)]
    during = [at for at in times if began < at <= ended]
    assert during and len(during) <= ceil((ended - began) / INTERVAL)
    assert all(b - a >= INTERVAL for a, b in pairwise(times))


async def test_an_slo_whose_window_is_the_trials_costs_nothing_more() -> None:
    metrics, *_ = await a_trial("5m", 0)
    assert {q.window for q in metrics.asked} == {300}


class Generous(FakeMetrics):
    """Gives whatever pods export, whatever was asked for; `wanted` are the knobs that were."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: list[frozenset[str]] = []

    async def setting_values(
        self, namespace: str, knobs: Collection[str], at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Mapping[str, float]] | Missing:
        self.wanted.append(frozenset(knobs))
        return {pod: dict(values) for pod, values in self.values.get(namespace, {}).items()}


async def test_names_that_a_pod_makes_up_are_neither_asked_for_nor_kept() -> None:
    """Every look sees 200 new ones: kept for ever, one pod fills the operator's memory."""
    metrics = Generous()
    world = await make(metrics=metrics)
    await world.add(documents.profile("checkout", documents.hot(), mode="Recommend"), workers=2)
    await world.turns(3)
    (pod,) = [str(pod["metadata"]["name"]) for pod in (await world.apps["checkout"].pods.settle())[:1]]
    metrics.values = {"shop": {pod: {"workers": 2.0}}}
    await world.wake()
    memory, known = world.reconciler.memories["shop/checkout"], {k["name"] for k in documents.CLASS["spec"]["knobs"]}
    assert memory.reported == {"workers"}
    for turn in range(5):
        metrics.values["shop"][pod] = {"workers": 2.0} | {f"made-up-{turn}-{n}": 1.0 for n in range(200)}
        await world.wake()
    assert memory.reported == {"workers"}
    assert set(metrics.wanted) == {frozenset(known)}
    metrics.values["shop"][pod] = {"pool": 2.0}
    await world.wake()
    assert memory.reported == {"workers", "pool"}, "a knob of the class is one from then on, and a gap forgets none"


async def test_what_is_known_of_a_profile_is_forgotten_with_it() -> None:
    world = await make()
    await world.add(documents.profile("checkout", documents.hot(), mode="Recommend"), workers=2)
    await world.turns(3)
    assert "shop/checkout" in world.reconciler.memories
    await world.delete()
    await world.until(lambda: _gone(world))
    await world.wake()
    assert "shop/checkout" not in world.reconciler.memories


async def _gone(world: World) -> bool:
    return not await world.exists()
