"""Election on a Lease, on virtual time. Timing here is client-go's: lease 15 s, renew 10 s, retry 2 s."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from pegbox.adapters.kube.lease import LeaseElection, LeaseReader, Timing
from pegbox.model.errors import NotAvailable, WriteConflict
from pegbox.ports import CONFIG_MAP, LEASE, Object, Ref
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster
from tests.unit.adapters.kube.candidates import REF, Candidate


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
    await candidates[0].die(clock)
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


class HangingOnce(FakeCluster):
    """The next so many readings are never answered."""

    hangs = 0

    async def get(self, ref: Ref) -> Object:
        if self.hangs:
            self.hangs -= 1
            await asyncio.Event().wait()
        return await super().get(ref)


async def test_one_call_that_hangs_does_not_cost_the_lease(clock: FakeClock) -> None:
    """Renewed at 2; the reading at 4 hangs; at 6 another begins beside it, and is in time, as 2 + 10 > 6."""
    cluster = HangingOnce(clock)
    candidate = Candidate(cluster, clock, "one")
    await clock.advance(3)
    cluster.hangs = 1
    await clock.advance(3.5)
    assert candidate.election._renewed_at == clock.monotonic() - 0.5
    for _ in range(60):
        await clock.advance(0.5)
        assert candidate.election.leading
    await candidate.stop()


async def test_three_calls_that_hang_and_three_that_fail_do_not_cost_the_lease(clock: FakeClock) -> None:
    """Those at 4, 6 and 8 hang; those at 10, 10.5 and 11 fail; the one at 11.5 is in time: 2 + 10 > 11.5."""
    cluster = HangingOnce(clock)
    candidate = Candidate(cluster, clock, "one")
    await clock.advance(3)
    cluster.hangs = 3
    await clock.advance(6.2)
    cluster.faults.fail_next("*", None, NotAvailable("busy"), times=3)
    for _ in range(40):
        await clock.advance(0.5)
        assert candidate.election.leading
    await candidate.stop()


async def test_a_call_that_hung_renews_from_its_start(clock: FakeClock) -> None:
    """The reading at 4 is answered at 5.5: the lease is held from 4 on, not from 5.5, as the server may have stored it
    at any time since; none begins beside it before 6.
    """

    class Slow(FakeCluster):
        reads, seconds = 0, 0.0

        async def get(self, ref: Ref) -> Object:
            self.reads += 1
            if self.seconds:
                await clock.sleep(self.seconds)
            return await super().get(ref)

    cluster = Slow(clock)
    candidate = Candidate(cluster, clock, "one")
    await clock.advance(3)
    start, cluster.seconds, cluster.reads = clock.monotonic() - 3, 1.5, 0
    await clock.advance(2.7)
    assert candidate.election._renewed_at == start + 4
    assert cluster.reads == 1
    cluster.seconds = 0.0  # giving it up reads once more
    await candidate.stop()


async def test_what_was_read_before_a_stop_is_not_heard_after_it(clock: FakeClock) -> None:
    """The reading at 4 comes at 7, without the stop that the one at 6 has seen, whose renewal failed."""

    class Late(FakeCluster):
        late = False

        async def get(self, ref: Ref) -> Object:
            body = await super().get(ref)
            if self.late:
                self.late = False
                await clock.sleep(3)
            return body

    cluster = Late(clock)
    candidate = Candidate(cluster, clock, "one")
    heard: list[bool] = []
    candidate.election.heard = lambda notes, leading: heard.append("pegbox.dev/stop" in notes)
    await clock.advance(3)
    cluster.late = True
    await clock.advance(2)
    operations = [{"op": "add", "path": "/metadata/annotations", "value": {"pegbox.dev/stop": "stop"}}]
    await cluster.json_patch(REF, operations)
    heard.clear()
    cluster.faults.fail_next("apply", None, NotAvailable("busy"), times=5)
    await clock.advance(4)
    assert heard and all(heard)
    await candidate.stop()


async def test_once_renewed_nothing_is_left_of_the_calls_that_hang(clock: FakeClock) -> None:
    cluster = HangingOnce(clock)
    candidate = Candidate(cluster, clock, "one")
    await clock.advance(3)
    before = len(asyncio.all_tasks())
    cluster.hangs = 3
    await clock.advance(8)  # hung from 4, 6 and 8 on; renewed at 10
    assert candidate.election.leading
    assert len(asyncio.all_tasks()) == before
    await candidate.stop()


async def test_one_call_that_hangs_does_not_keep_a_standby_from_leading(clock: FakeClock) -> None:
    """It hangs until 5, and is asked again at 7."""
    cluster = HangingOnce(clock)
    cluster.hangs = 1
    candidate = Candidate(cluster, clock, "one")
    await clock.advance(6.5)
    assert not candidate.election.leading
    await clock.advance(1)
    assert candidate.election.leading
    await candidate.stop()


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


# --- what stands on the Lease

STOP = {"pegbox.dev/stop": "stop"}


class Listener:
    """What a candidate or a reader heard, with whether it led."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bool]] = []

    def __call__(self, annotations: Mapping[str, str], leading: bool) -> None:
        self.heard.append((dict(annotations), leading))


async def annotate(cluster: FakeCluster, notes: dict[str, str]) -> None:
    await cluster.as_manager("kubectl").json_patch(
        REF, [{"op": "add", "path": "/metadata/annotations", "value": notes}]
    )


async def notes(cluster: FakeCluster) -> dict[str, str]:
    return dict((await cluster.get(REF))["metadata"].get("annotations") or {})


async def test_leader_and_standby_hear_an_annotation_within_one_renewal_and_renewals_leave_it_there(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    ears = [Listener(), Listener()]
    for candidate, ear in zip(candidates, ears, strict=True):
        candidate.election.heard = ear
    await annotate(cluster, STOP)
    await clock.advance(2)
    assert [ear.heard[-1] for ear in ears] == [(STOP, True), (STOP, False)]
    await clock.advance(60)
    assert await notes(cluster) == STOP


async def test_notes_on_a_dead_leader_s_lease_do_not_keep_it_in_office(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    """Somebody notes a stop every five seconds: the standby leads after 15 s all the same, and has heard it."""
    await candidates[0].die(clock)
    ear = candidates[1].election.heard = Listener()
    for number in range(4):
        await annotate(cluster, STOP | {"number": str(number)})
        await clock.advance(5)
    assert candidates[1].election.leading
    assert ear.heard[-1][0]["number"] == "3"


async def test_what_a_leader_carries_the_next_one_hears_before_it_leads(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    candidates[0].election.carried = lambda: {"state": "open"}
    await clock.advance(2)
    ear = candidates[1].election.heard = Listener()
    candidates[1].election.carried = lambda: ear.heard[-1][0] if ear.heard else {}
    await candidates[0].stop()
    await clock.advance(4)
    assert candidates[1].election.leading
    assert ({"state": "open"}, False) in ear.heard
    await clock.advance(10)
    assert await notes(cluster) == {"state": "open"}


async def test_deleting_the_lease_releases_no_brake(
    candidates: list[Candidate], clock: FakeClock, cluster: FakeCluster
) -> None:
    for candidate in candidates:
        candidate.election.kept = lambda: STOP
    await cluster.delete(REF)
    await clock.advance(3)
    assert await notes(cluster) == STOP
    await annotate(cluster, {})  # and it can be taken away again
    await clock.advance(6)
    assert await notes(cluster) == {}


async def test_without_an_election_it_is_read_all_the_same_and_made_where_there_is_none(
    clock: FakeClock, cluster: FakeCluster
) -> None:
    ear = Listener()
    reader = LeaseReader(cluster, clock, REF, ear)
    await reader.first()
    assert ear.heard == [({}, True)]
    assert (await cluster.get(REF))["spec"] == {}
    task = asyncio.ensure_future(reader.run())
    await annotate(cluster, STOP)
    await clock.advance(2)
    assert ear.heard[-1] == (STOP, True)
    task.cancel()


async def test_while_the_server_is_gone_what_was_heard_last_holds(clock: FakeClock, cluster: FakeCluster) -> None:
    ear = Listener()
    reader = LeaseReader(cluster, clock, REF, ear)
    cluster.faults.fail_next("get", LEASE, NotAvailable("gone"), times=2)
    first = asyncio.ensure_future(reader.first())
    await clock.advance(2)
    assert not first.done() and ear.heard == []  # nothing may be written before
    await clock.advance(2)
    assert first.done() and len(ear.heard) == 1


async def test_who_may_not_read_it_goes_on_and_is_told_once(
    clock: FakeClock, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.faults.deny("get", "coordination.k8s.io", "leases")
    ear = Listener()
    reader = LeaseReader(cluster, clock, REF, ear)
    assert await reader.look() and await reader.look()
    assert ear.heard == [] and caplog.text.count("no global stop is heard") == 1
