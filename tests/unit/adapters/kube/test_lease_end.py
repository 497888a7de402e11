"""The Lease of a leader that ended: given up where it could, followed at once where its death is known, else waited for."""

from __future__ import annotations

import asyncio

from pegbox.adapters.kube.lease import Ended
from pegbox.model.errors import WriteConflict
from pegbox.ports import LEASE, Object, Ref
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster
from tests.unit.adapters.kube.candidates import REF, Candidate


def of_pod(uid: str) -> Ended:
    return lambda holder: holder.startswith(f"pegbox-0_{uid}_")


async def killed(cluster: FakeCluster, clock: FakeClock) -> None:
    """A process of pod u1 led and was killed a moment ago."""
    first = Candidate(cluster, clock, "pegbox-0_u1_a")
    await clock.advance(3)
    await first.die(clock)


async def test_the_next_process_of_the_same_pod_leads_at_once(clock: FakeClock, cluster: FakeCluster) -> None:
    await killed(cluster, clock)
    second = Candidate(cluster, clock, "pegbox-0_u1_b", of_pod("u1"))
    await clock.advance(0)
    assert second.election.leading
    await second.stop()


async def test_a_process_of_another_pod_waits_for_the_lease_to_run_out(clock: FakeClock, cluster: FakeCluster) -> None:
    await killed(cluster, clock)
    second = Candidate(cluster, clock, "pegbox-0_u2_b", of_pod("u2"))
    await clock.advance(14)
    assert not second.election.leading
    await clock.advance(4)
    assert second.election.leading
    await second.stop()


async def test_a_leader_does_not_take_the_lease_back_from_who_followed_it_in_its_pod(
    clock: FakeClock, cluster: FakeCluster
) -> None:
    """It believes of every process of its pod that it has ended: of its successor, that would be wrong."""
    first = Candidate(cluster, clock, "pegbox-0_u1_a", of_pod("u1"))
    await clock.advance(3)
    second = Candidate(cluster, clock, "pegbox-0_u1_b", of_pod("u1"))
    await clock.advance(0)
    for _ in range(20):
        await clock.advance(1)
        assert second.election.leading
    assert first.lost
    await second.stop()


class Unanswered(FakeCluster):
    """From now on writes are stored and never answered; readings too, once `mute`."""

    unanswered, mute = False, False

    async def get(self, ref: Ref) -> Object:
        if self.mute:
            await asyncio.Event().wait()
        return await super().get(ref)

    async def create(self, body: Object) -> Object:
        return await self._answered(await super().create(body))

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        return await self._answered(await super().apply(body, force=force, subresource=subresource))

    async def _answered(self, stored: Object) -> Object:
        if self.unanswered:
            await asyncio.Event().wait()
        return stored


async def test_a_leader_stopped_between_a_renewal_and_its_answer_releases_all_the_same(clock: FakeClock) -> None:
    """The version that it knows is not the one that stands: it looks again. The other need not wait for 15 s."""
    cluster = Unanswered(clock)
    first = Candidate(cluster, clock, "one")
    await clock.advance(1)
    cluster.unanswered = True
    await clock.advance(1.5)  # renewed at 2, and it does not know
    cluster.unanswered = False
    await first.stop()
    second = Candidate(cluster, clock, "two")
    await clock.advance(0)
    assert second.election.leading
    await second.stop()


async def test_who_is_stopped_before_it_knows_that_it_leads_releases_all_the_same(clock: FakeClock) -> None:
    cluster = Unanswered(clock)
    cluster.unanswered = True
    first = Candidate(cluster, clock, "one")
    await clock.advance(1)
    assert (await cluster.get(REF))["spec"]["holderIdentity"] == "one" and not first.election.leading
    cluster.unanswered = False
    await first.stop()
    assert (await cluster.get(REF))["spec"]["holderIdentity"] == ""


async def test_a_note_that_comes_between_reading_and_releasing_is_read_again(
    clock: FakeClock, cluster: FakeCluster
) -> None:
    leader = Candidate(cluster, clock, "one")
    await clock.advance(1)
    cluster.faults.fail_next("apply", LEASE, WriteConflict("moved"), times=2)
    stopping = asyncio.ensure_future(leader.stop())
    await clock.advance(0.5)
    assert stopping.done() and (await cluster.get(REF))["spec"]["holderIdentity"] == ""


async def test_who_never_led_takes_the_lease_from_nobody_when_it_is_stopped(
    clock: FakeClock, cluster: FakeCluster
) -> None:
    leader = Candidate(cluster, clock, "one")
    await clock.advance(1)
    standby = Candidate(cluster, clock, "two")
    await clock.advance(1)
    await standby.stop()
    assert (await cluster.get(REF))["spec"]["holderIdentity"] == "one" and leader.election.leading
    await leader.stop()


async def test_a_server_that_hangs_does_not_keep_a_stopped_leader_for_longer_than_5_s(clock: FakeClock) -> None:
    cluster = Unanswered(clock)
    first = Candidate(cluster, clock, "one")
    await clock.advance(1)
    cluster.mute = True
    stopping = asyncio.ensure_future(first.stop())
    await clock.advance(4.9)
    assert not stopping.done()
    await clock.advance(0.2)
    assert stopping.done()
