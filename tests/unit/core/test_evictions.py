"""How long an eviction that something forbids is waited for: four pods, ackTimeout 180 s, threads by envFrom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pegbox.core import evictions, force
from pegbox.model.decisions import Action, Decision
from pegbox.model.errors import NotEvicted
from pegbox.model.reasons import Reason
from pegbox.model.trials import Cohort, IntentKind, Ledger
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
