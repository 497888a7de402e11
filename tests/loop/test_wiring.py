"""How the process hears of brakes: nothing starts before the ledgers were read, and a stop wakes everybody."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import kopf
import pytest

from pegbox.adapters.kube.lease import LeaseElection
from pegbox.model.brakes import STOP_ANNOTATION
from pegbox.model.errors import NotAvailable
from pegbox.model.knobs import Setting
from pegbox.model.reasons import Reason
from pegbox.ports import LEASE, LEDGER, PROFILE, Ref
from pegbox.runtime import handlers
from pegbox.runtime.news import changeable, profile_key
from pegbox.runtime.queue import KeyedQueue, work
from pegbox.runtime.settings import Settings
from pegbox.runtime.wiring import Operator, _before, _listen
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World, make

REF = Ref(LEASE, "pegbox-system", "pegbox")


async def process() -> tuple[World, Operator]:
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    queue = KeyedQueue(world.clock, lambda: 0.0)
    sources = {"default": world.metrics}
    made = Operator(
        Settings(), world.clock, world.pegbox, sources, world.telemetry, queue, world.reconciler, asyncio.Event()
    )
    world.brakes.changed = made.mark_all
    return world, made


async def test_claims_of_a_budget_wake_who_waits_for_room_and_nobody_who_is_content() -> None:
    """Each trial writes four or five: ten profiles of a namespace used to be looked at for each, ten requests a time."""
    world, operator = await process()
    decisions = world.reconciler.decisions
    content = decisions["shop/checkout"]
    owed = replace(content, ledger=replace(content.ledger, owed=Setting({"workers": Fraction(3)})))
    waits = replace(content, reason=Reason.WAITING_FOR_BUDGET)
    decisions |= {"shop/owed": owed, "shop/waits": waits, "bazaar/waits": waits, "shop-2/waits": waits}
    operator.mark_waiting("shop")
    assert len(operator.queue) == 2
    await world.clock.advance(1)
    assert {await operator.queue.take(), await operator.queue.take()} == {"shop/owed", "shop/waits"}


async def test_profiles_are_listed_and_served_while_ledgers_cannot_be_listed_but_nothing_starts() -> None:
    world, operator = await process()
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    world.brakes.recalled = False
    server.faults.fail_next("list", LEDGER, NotAvailable("503"), times=2)
    listing = asyncio.ensure_future(operator.list_profiles())
    await world.clock.advance(0)
    assert operator.synced.is_set() and len(operator.queue) == 1 and not world.brakes.recalled
    await world.clock.advance(11)  # tried again every 5 s
    assert world.brakes.recalled
    listing.cancel()


@dataclass
class Listing:
    """A running operator, and when each profile was looked at since the first list, in seconds from then on."""

    world: World
    operator: Operator
    looks: list[tuple[float, str]]
    began: float

    async def until(self, seconds: float) -> None:
        while (left := self.began + seconds - self.world.clock.monotonic()) > 0:
            await self.world.clock.advance(min(5.0, left))


@asynccontextmanager
async def listed(count: int) -> AsyncIterator[Listing]:
    """So many profiles, each with an interval of an hour."""
    world, operator = await process()
    for number in range(1, count):
        await world.outside.apply(documents.profile(f"app-{number:03}"), force=True)
    found: list[tuple[float, str]] = []
    began = world.clock.monotonic()

    async def look(key: str) -> float:
        found.append((world.clock.monotonic() - began, key.partition("/")[2]))
        return 3600.0

    tasks = [asyncio.create_task(operator.list_profiles()), asyncio.create_task(work(operator.queue, look))]
    await world.clock.advance(0)
    assert len(found) == count, "the first list makes all due at once"
    found.clear()
    yield Listing(world, operator, found, began)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_list_makes_no_crowd_of_profiles_that_did_not_change_and_leaves_out_none() -> None:
    """Two hundred over 300 s are 6.7 in ten seconds. Due together they kept each other waiting for 28 s."""
    async with listed(200) as fleet:
        await fleet.until(599)
        crowd = Counter(int(at // 10) for at, _ in fleet.looks)
        assert min(crowd) >= 30 and max(crowd.values()) <= 20
        assert sorted(name for _, name in fleet.looks) == ["app-" + f"{n:03}" for n in range(1, 200)] + ["checkout"]


@pytest.mark.parametrize("told", [False, True], ids=["the watch was silent", "the watch told it"])
async def test_what_changed_is_due_when_it_is_listed_unless_a_watch_told_it(told: bool) -> None:
    async with listed(20) as fleet:
        await fleet.world.annotate("pause", "1h")
        meta = (await fleet.world.outside.get(Ref(PROFILE, fleet.world.namespace, "checkout")))["metadata"]
        if told:
            assert fleet.operator.news.heard(profile_key(fleet.world.namespace, "checkout"), changeable(meta))
        await fleet.until(300)
        assert [name for _, name in fleet.looks] == ([] if told else ["checkout"])


async def test_a_profile_that_came_or_came_anew_is_due_when_it_is_listed() -> None:
    async with listed(20) as fleet:
        await fleet.world.outside.apply(documents.profile("latecomer"), force=True)
        await fleet.world.outside.delete(Ref(PROFILE, fleet.world.namespace, "app-007"))
        await fleet.world.outside.apply(documents.profile("app-007"), force=True)
        await fleet.until(300)
        assert sorted(name for _, name in fleet.looks) == ["app-007", "latecomer"]


async def test_a_profile_that_fell_out_of_the_queue_is_looked_at_within_the_next_list() -> None:
    """The API server said once that it does not exist."""
    async with listed(20) as fleet:
        fleet.operator.queue.forget(f"{fleet.world.namespace}/checkout")
        await fleet.until(599)
        assert "checkout" in [name for _, name in fleet.looks]


async def test_a_stop_on_the_lease_wakes_every_profile_and_is_in_force_at_that_wake() -> None:
    world, operator = await process()
    await world.annotate("try", "workers=3")
    await world.turn()
    election = LeaseElection(world.outside, world.clock, REF, identity="one")
    election.heard, election.carried, election.kept = world.brakes.notice, world.brakes.carried, world.brakes.kept
    leading = asyncio.ensure_future(election.run(lambda: None))
    await world.clock.advance(0)
    notes = {"op": "add", "path": "/metadata/annotations", "value": {STOP_ANNOTATION: "stop"}}
    await world.outside.json_patch(REF, [notes])
    assert len(operator.queue) == 0
    await world.clock.advance(2)
    assert await operator.queue.take() == f"{world.namespace}/checkout"
    await world.wake()
    assert await world.values() == {"workers": "2"}
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)


async def test_who_waits_for_the_lease_ends_when_told_to_stop() -> None:
    stop = asyncio.Event()

    async def at_once() -> None:
        return

    async def never() -> None:
        await asyncio.Event().wait()

    assert await _before(at_once(), stop)
    stop.set()
    assert not await _before(never(), stop)


async def test_a_signal_is_ours_though_kopf_takes_signals_for_itself() -> None:
    """Else nothing of ours is told before kopf has ended, and a clean end looks like a lost watch."""
    stop, ready, silent = asyncio.Event(), asyncio.Event(), kopf.OperatorRegistry()

    @kopf.on.login(registry=silent)
    async def nobody_answers(**_: object) -> None:
        await asyncio.Event().wait()

    _listen(stop)
    watch = asyncio.ensure_future(handlers.watch(silent, ("shop",), ready, asyncio.Event(), lambda: _listen(stop)))
    await ready.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    heard = asyncio.ensure_future(stop.wait())
    await asyncio.wait({heard, watch}, return_when=asyncio.FIRST_COMPLETED)
    assert stop.is_set() and not watch.done()
    watch.cancel()
    await asyncio.gather(heard, watch, return_exceptions=True)
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(sign)
