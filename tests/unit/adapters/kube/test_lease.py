"""Election on a Lease, on virtual time. Timing here is client-go's: lease 15 s, renew 10 s, retry 2 s."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pegbox.adapters.kube.lease import LeaseElection, Timing
from pegbox.model.errors import NotAvailable, WriteConflict
from pegbox.ports import CONFIG_MAP, LEASE, Object, Ref
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster

REF = Ref(LEASE, "pegbox", "pegbox-leader")


class Candidate:
    def __init__(self, cluster: FakeCluster, clock: FakeClock, identity: str) -> None:
        self.election = LeaseElection(cluster, clock, REF, identity=identity)
        self.lost = False
        self.task = asyncio.ensure_future(self.election.run(self._on_lost))

    def _on_lost(self) -> None:
        self.lost = True

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(auto=False)


@pytest.fixture
def cluster(clock: FakeClock) -> FakeCluster:
    return FakeCluster(clock)


@pytest.fixture
async def candidates(cluster: FakeCluster, clock: FakeClock) -> AsyncIterator[list[Candidate]]:
    """Two; the first has led since the start."""
    first = Candidate(cluster, clock, "one")
    await clock.advance(0)
    both = [first, Candidate(cluster, clock, "two")]
    await clock.advance(0)
    yield both
    for each in both:
        await each.stop()


def leaders(candidates: list[Candidate]) -> list[bool]:
    return [each.election.leading for each in candidates]


async def test_one_of_two_leads_and_keeps_leading(candidates: list[Candidate], clock: FakeClock) -> None:
    for _ in range(60):
        await clock.advance(1)
        assert leaders(candidates) == [True, False]


async def test_a_dead_leader_is_followed_once_its_lease_ran_out(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    """Killed, so nothing is released: the other saw its last renewal at t0 and takes over from t0 + 15 s."""
    candidates[0].task.cancel()
    candidates[0].election._renewed_at = None  # a dead process leads nobody, and releases nothing
    await clock.advance(14)
    assert not candidates[1].election.leading
    await clock.advance(4)
    assert candidates[1].election.leading


async def test_a_stopped_leader_releases_so_that_the_next_need_not_wait(
    candidates: list[Candidate], clock: FakeClock
) -> None:
    await candidates[0].stop()
    await clock.advance(2)
    assert leaders(candidates) == [False, True]


async def test_a_leader_that_cannot_renew_stops_leading_before_another_can_start(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    """The first candidate loses its connection; the second does not. At no moment do both lead."""
    broken = FakeCluster(clock)
    broken._store = cluster._store
    broken.faults.fail_next("*", None, NotAvailable("cut off"), times=10_000)
    candidates[0].election._cluster = broken
    followed = False
    for _ in range(200):
        await clock.advance(0.25)
        assert leaders(candidates) != [True, True]
        followed = followed or leaders(candidates) == [False, True]
    assert candidates[0].lost and followed


async def test_a_server_that_hangs_cannot_keep_a_leader_in_office(clock: FakeClock, cluster: FakeCluster) -> None:
    class Hanging(FakeCluster):
        hangs = False

        async def get(self, ref: Ref) -> Object:
            if self.hangs:
                await asyncio.Event().wait()
            return await super().get(ref)

    hanging = Hanging(clock)
    candidate = Candidate(hanging, clock, "one")
    await clock.advance(3)
    hanging.hangs = True
    await clock.advance(10.5)
    assert candidate.lost and candidate.task.done()


async def test_a_lease_taken_by_another_is_lost_at_the_next_renewal(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    operations = [{"op": "replace", "path": "/spec/holderIdentity", "value": "three"}]
    await cluster.json_patch(REF, operations)
    await clock.advance(2)
    assert candidates[0].lost and leaders(candidates) == [False, False]


async def test_clocks_of_other_machines_do_not_matter(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    """The wall clock leaps a year ahead: neither does the leader lose, nor does the other take over."""
    clock.jump(365 * 86400)
    for _ in range(30):
        await clock.advance(1)
        assert leaders(candidates) == [True, False]


async def test_of_two_that_find_no_lease_one_creates_it(clock: FakeClock, cluster: FakeCluster) -> None:
    both = [Candidate(cluster, clock, name) for name in ("one", "two")]
    await clock.advance(4)
    assert sorted(leaders(both)) == [False, True]
    for each in both:
        await each.stop()


async def test_a_lease_deleted_under_the_leader_is_made_again(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    await cluster.delete(REF)
    await clock.advance(3)
    assert sum(leaders(candidates)) == 1
    await clock.advance(20)
    assert sum(leaders(candidates)) == 1


async def test_a_conflict_while_renewing_is_tried_again(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    cluster.faults.fail_next("apply", LEASE, WriteConflict("moved"), times=2)
    await clock.advance(6)
    assert leaders(candidates) == [True, False] and not candidates[0].lost


@pytest.mark.parametrize(
    "timing", [(15, 15, 2), (15, 10, 10), (10, 15, 2), (15, 10, 0)], ids=lambda timing: str(timing)
)
def test_timing_that_would_allow_two_leaders_is_refused(timing: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="0 < retry < renew < lease"):
        Timing(*timing)


def test_only_a_lease_can_be_held(cluster: FakeCluster, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="no Lease"):
        LeaseElection(cluster, clock, Ref(CONFIG_MAP, "a", "b"), identity="one")


async def test_a_renewal_counts_from_before_its_request(clock: FakeClock) -> None:
    """The write takes 3 s and may have been stored at its very start: leading ends 10 s after that, not after 13."""

    class Slow(FakeCluster):
        async def create(self, body: Object) -> Object:
            await clock.sleep(3)
            return await super().create(body)

    election = LeaseElection(Slow(clock), clock, REF, identity="one")
    task = asyncio.ensure_future(election.wait())
    await clock.advance(3)
    assert task.done() and election.leading
    await clock.advance(6.9)
    assert election.leading
    await clock.advance(0.2)
    assert not election.leading
