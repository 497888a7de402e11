"""How long an eviction that something forbids is waited for: four pods, ackTimeout 180 s, threads by envFrom."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from pegbox.core import evictions, force
from pegbox.model.decisions import Action, Decision
from pegbox.model.errors import NotEvicted
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import PodFacts, Workload
from pegbox.model.trials import Cohort, Intent, IntentKind, Ledger
from tests.unit.core.build import ENV, HOT, at, intent, pod, setting, snapshot, spec, under_way, workload

PROFILE = spec(HOT, ENV)
OLD, NEW = setting(workers=2, threads=2), setting(workers=2, threads=3)
FORBIDDEN = NotEvicted("The disruption budget web does not allow it", status=429, budget="web")
LASTING = NotEvicted("more than one", status=500, lasting=True)


def waits(
    seconds: float, done: int = 0, kind: IntentKind = IntentKind.TRIAL, forbidden: NotEvicted = FORBIDDEN
) -> bool:
    """Read back at T0; so many pods were restarted since."""
    pods = [pod(name) for name in "abcd"]
    item = intent(kind, parent=OLD, stages=(NEW,), applied_at=at(0), stage_at=at(0))
    item = replace(item, old_containers=force.containers(workload(*pods)))
    running = workload(*(replace(p, restarts=p.restarts + 1) if n < done else p for n, p in enumerate(pods)))
    seen = snapshot(PROFILE, under_way(item), workload=running, read_at=at(seconds))
    return evictions.waits(seen, running, item, forbidden)


@pytest.mark.parametrize(("done", "until"), [(0, 90), (1, 270), (3, 630)])
def test_each_pod_has_an_ack_timeout_and_half_of_one_is_left_for_the_rollout(done: int, until: int) -> None:
    """(done + 1/2) x 180 s; the trial is overdue after 4 x 180 = 720 s."""
    assert waits(until - 1, done) and not waits(until, done)


@pytest.mark.parametrize("kind", [IntentKind.ROLLBACK, IntentKind.RESTORE])
def test_a_way_back_does_not_wait(kind: IntentKind) -> None:
    assert not waits(0, kind=kind)


def test_nothing_waits_for_what_time_will_not_change_and_at_rest_one_ack_timeout_is_waited() -> None:
    assert not waits(0, forbidden=LASTING)
    running, resting = workload(pod("a")), intent(IntentKind.ADOPT, parent=OLD, stages=(OLD,))
    at_rest = snapshot(PROFILE, Ledger(profile_uid=PROFILE.uid, incumbent=OLD), workload=running, read_at=at(9999))
    assert not evictions.waits(at_rest, running, resting, LASTING)
    assert evictions.waits(at_rest, running, resting, FORBIDDEN)
    assert evictions.waits(at_rest, running, resting, FORBIDDEN, at(9999 - 179))
    assert not evictions.waits(at_rest, running, resting, FORBIDDEN, at(9999 - 180))


def test_a_canary_waits_to_its_end() -> None:
    item = intent(parent=OLD, stages=(NEW,), applied_at=at(0), stage_at=at(0))
    item = replace(item, stages=(OLD, NEW), cohort=Cohort(("a",), OLD, (NEW, NEW)))
    seen = snapshot(PROFILE, under_way(item), workload=workload(pod("a")), read_at=at(9999))
    assert item.canary and evictions.waits(seen, workload(pod("a")), item, LASTING)


BEFORE = tuple(pod(name) for name in "abc")
NEW_C, NO_NODE = pod("n"), pod("p", ready=False, started_at=None)
LOST = pod("a", terminating=True, ready=False, ends_at=at(-200))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param([*BEFORE, NO_NODE], True, id="beside_a_pod_without_a_node"),
        pytest.param([*BEFORE[1:], NEW_C, NO_NODE], True, id="once_the_one_in_its_place_is_ready"),
        pytest.param([*BEFORE[1:], NO_NODE], False, id="not_while_that_one_has_no_node"),
        pytest.param([*BEFORE[1:], replace(NEW_C, ready=False), NO_NODE], False, id="nor_while_it_is_not_ready"),
        pytest.param([BEFORE[0], NEW_C], False, id="nor_where_two_went_and_one_came"),
        pytest.param([LOST, *BEFORE[1:]], True, id="beside_one_whose_time_was_over_before"),
        pytest.param([replace(LOST, ends_at=at(1)), *BEFORE[1:]], False, id="not_where_it_went_since"),
        pytest.param([BEFORE[0], NO_NODE], False, id="never_the_only_one_that_serves"),
    ],
)
def test_a_way_back_goes_on_beside_pods_that_will_not_settle(seen: list[PodFacts], expected: bool) -> None:
    """Read back at T0 with three pods, or with those of them that the row has nobody in the place of."""
    there = BEFORE[:1] if len(seen) == 2 and NO_NODE in seen else BEFORE
    item = intent(IntentKind.ROLLBACK, parent=NEW, stages=(OLD,), applied_at=at(0), stage_at=at(0))
    item, running = replace(item, old_containers=force.containers(workload(*there))), workload(*seen)

    def goes_on(seconds: float, item: Intent = item, running: Workload = running) -> bool:
        shot = snapshot(PROFILE, under_way(item), workload=running, read_at=at(seconds))
        return evictions.goes_on(shot, running, item)

    assert goes_on(180) is expected and not goes_on(179)
    assert not goes_on(180, replace(item, kind=IntentKind.TRIAL))
    assert not goes_on(180, running=replace(running, rolling=True))


@pytest.mark.parametrize(
    ("ends", "kind", "expected"),
    [
        (at(0), IntentKind.ROLLBACK, False),
        (at(1), IntentKind.ROLLBACK, True),
        (None, IntentKind.ROLLBACK, True),
        (at(0), IntentKind.TRIAL, True),
    ],
)
def test_a_pod_that_leaves_is_waited_for_on_a_way_back_for_an_ack_timeout_beyond_its_grace(
    ends: datetime | None, kind: IntentKind, expected: bool
) -> None:
    item, running = intent(kind, parent=NEW, stages=(OLD,)), workload(pod("a", terminating=True, ends_at=ends))
    shot = snapshot(PROFILE, under_way(item), workload=running, read_at=at(180))
    assert evictions.leaving(shot, running, item) is expected


def test_a_pod_that_no_kubelet_took_reads_what_stands_when_it_starts() -> None:
    running = workload(pod("a"), NO_NODE)
    assert len(force.containers(running)) == 1 and len(force.containers(running, created=True)) == 2


def decision(reason: Reason) -> Decision:
    return Decision(Action.CONTINUE, reason, "silent: a", Ledger(profile_uid="u"))


def test_what_is_waited_for_is_the_reason_and_a_degraded_profile_stays_that() -> None:
    told = evictions.told(PROFILE, decision(Reason.WAITING_FOR_PODS), FORBIDDEN, rolls_out=False)
    assert told.reason is Reason.EVICTION_FORBIDDEN and "budget web" in told.message and not told.events
    late = evictions.told(PROFILE, decision(Reason.NOT_ACKNOWLEDGED), FORBIDDEN, rolls_out=False)
    assert late.reason is Reason.NOT_ACKNOWLEDGED and "budget web" in late.message and "silent: a" in late.message


def test_a_rollout_in_its_place_is_told_beside_what_goes_on() -> None:
    told = evictions.told(PROFILE, decision(Reason.WAITING_FOR_PODS), LASTING, rolls_out=True)
    assert told.reason is Reason.WAITING_FOR_PODS and told.message == "silent: a"
    assert [event.reason for event in told.events] == [Reason.EVICTION_FORBIDDEN]
