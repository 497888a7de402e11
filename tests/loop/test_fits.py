"""Fits take seconds of a processor, and after a start every profile wants one: in the operator no look waits for any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.world import World, make


@dataclass
class Busy(Executor):
    """A thread with so much to do that nothing is done until somebody says so."""

    waiting: list[tuple[Future[Any], Callable[[], Any]]] = field(default_factory=list)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    async def work(self) -> None:
        for future, make_it in self.waiting:
            try:
                future.set_result(make_it())
            except Exception as error:
                future.set_exception(error)
        self.waiting.clear()
        await asyncio.sleep(0)  # the loop hears of it


async def started(busy: Busy) -> World:
    world = await make(predicting=Predicting(waits=False, threads=busy))
    await world.add(documents.profile(), workers=2)
    return world


async def tried(world: World, times: int = 1) -> bool:
    ledger = await world.ledger()
    return ledger is not None and len(ledger.trials) >= times


async def test_looks_go_on_while_a_fit_is_under_way_and_only_one_is_asked_for() -> None:
    """Nothing is tried without a model: what is at rest stays there."""
    busy = Busy()
    world = await started(busy)
    await world.turns(30)
    assert len(busy.waiting) == 1
    assert "the model is being fitted" in await world.why()
    assert await world.values() == {"workers": "2"}


async def test_a_later_look_takes_the_model_and_acts_on_it() -> None:
    busy = Busy()
    world = await started(busy)
    await world.turns(10)
    await busy.work()
    await world.until(lambda: tried(world), limit=60)


async def test_while_a_new_fit_is_under_way_the_model_before_it_acts() -> None:
    busy = Busy()
    world = await started(busy)
    await world.turns(10)
    await busy.work()
    await world.until(lambda: tried(world), limit=60)
    assert len(busy.waiting) == 1  # for what the trial taught; it is never made
    await world.until(lambda: tried(world, 2), limit=200)
    assert len(busy.waiting) == 1


async def test_a_fit_that_fails_is_told_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a singular matrix")

    busy = Busy()
    world = await started(busy)
    with monkeypatch.context() as patch:
        patch.setattr("pegbox.learning.fit", broken)
        await world.turns(10)
        await busy.work()
    await world.turn()
    assert "a singular matrix" in await world.why()
    await world.turns(2)
    await busy.work()
    await world.until(lambda: tried(world), limit=60)
