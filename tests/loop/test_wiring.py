"""How the process hears of brakes: nothing starts before the ledgers were read, and a stop wakes everybody."""

from __future__ import annotations

import asyncio
import os
import signal

import kopf

from pegbox.adapters.kube.lease import LeaseElection
from pegbox.model.brakes import STOP_ANNOTATION
from pegbox.model.errors import NotAvailable
from pegbox.ports import LEASE, LEDGER, Ref
from pegbox.runtime import handlers
from pegbox.runtime.queue import KeyedQueue
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
