"""A process that wants the Lease, on virtual time, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib

from pegbox.adapters.kube.lease import Ended, LeaseElection
from pegbox.model.errors import NotAvailable
from pegbox.ports import LEASE, Ref
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster

REF = Ref(LEASE, "pegbox", "pegbox-leader")


class Candidate:
    def __init__(self, cluster: FakeCluster, clock: FakeClock, identity: str, ended: Ended | None = None) -> None:
        self.election = LeaseElection(cluster, clock, REF, identity=identity, ended=ended)
        self.lost = False
        self.task = asyncio.ensure_future(self.election.run(self._on_lost))

    def _on_lost(self) -> None:
        self.lost = True

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def die(self, clock: FakeClock) -> None:
        """From now on it writes nothing, and releases nothing."""
        dead = FakeCluster(clock)
        dead.faults.fail_next("*", None, NotAvailable("dead"), times=10_000)
        self.election._cluster = dead
        await self.stop()
