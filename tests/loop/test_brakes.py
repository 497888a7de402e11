"""The breaker over all profiles, and the slots of the whole cluster, through the loop and over restarts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from pegbox.core.fleet import Limits
from pegbox.core.slots import SlotLimits
from pegbox.model import settings_document
from pegbox.model.errors import NotAvailable, Refused, WriteConflict
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import Amount, Amounts, BreakerState, IntentKind
from pegbox.ports import CONFIG_MAP, LEDGER, PROFILE, Ref
from pegbox.runtime.brakes import FLEET_ANNOTATION, BrakeLimits
from pegbox.runtime.brakes import limits as of_settings
from pegbox.runtime.settings import FleetBreaker, Settings
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World, make, written

NAMES = ("a", "b", "c")
TWO = BrakeLimits(fleet=Limits(2, timedelta(minutes=15), timedelta(minutes=10), timedelta(hours=4)))


async def shop(limits: BrakeLimits, *knobs: Any, names: tuple[str, ...] = NAMES) -> World:
    """Several profiles at rest, each with windows to compare with."""
    world = await make(limits=limits)
    for name in names:
        await world.add(documents.profile(name, *knobs), workers=2, threads=2)
    for name in names:
        await world.steady(name)
    return world


async def ask(world: World, *names: str, what: str = "workers=3") -> None:
    for name in names:
        await world.annotate("try", what, name)
        await world.turn(name)


async def tried(world: World, *names: str) -> list[str]:
    """Profiles with a trial under way."""
    found = {name: await world.ledger(name) for name in names or world.apps}
    return [name for name, ledger in found.items() if ledger is not None and ledger.intent is not None]


async def harm(world: World, name: str) -> None:
    """A trial of four workers thrashes, and is put back by the guards."""
    await ask(world, name, what="workers=4")
    ledger = await world.rest(name)
    assert ledger.trials[-1].state.value == "Reverted"


def state(world: World) -> BreakerState:
    return world.brakes.fleet.state


# --- slots


async def test_no_more_trials_than_slots_run_at_once_and_the_next_begins_when_one_ends() -> None:
    world = await shop(BrakeLimits(SlotLimits(2, 0)))
    await ask(world, "a", "b", "c")
    assert await tried(world) == ["a", "b"]
    assert (await world.condition("Progressing", "c"))[:2] == ("False", "WaitingForSlot")
    assert await world.values("c") == {"workers": "2"}
    await world.rest("a")
    await world.turn("c")
    assert "c" in await tried(world)  # what was asked for was not lost


async def test_who_waits_for_a_slot_still_takes_note_of_what_others_change_and_of_what_is_asked() -> None:
    world = await shop(BrakeLimits(SlotLimits(1, 0)), names=("a", "b"))
    await ask(world, "a", "b")
    assert (await world.condition("Progressing", "b"))[1] == "WaitingForSlot"
    await world.apply(documents.config_map())
    before = await world.ledger("b")
    own, uid = await world.own("b"), (await world.profile("b"))["metadata"]["uid"]
    text = settings_document.render(uid, (await world.document("b")).generation, {"workers": "1"})
    own["data"][settings_document.KEY] = text
    ref = Ref(CONFIG_MAP, world.namespace, own["metadata"]["name"])
    await world.patch(ref, "/data", own["data"])
    await world.annotate("resume", name="b")
    await world.turn("b")
    after = await world.ledger("b")
    assert before is not None and after is not None and after.intent is not None
    assert after.intent.kind is IntentKind.ADOPT, "his value, under a number that pods do not know yet"
    assert after.incumbent is not None and after.incumbent.number("workers") == 1
    assert "resume" in after.tokens and "ForeignChange" in world.events.reasons()


async def test_without_a_limit_all_run() -> None:
    world = await shop(BrakeLimits(SlotLimits(0, 0)))
    await ask(world, *NAMES)
    assert await tried(world) == list(NAMES)


async def test_wakes_at_the_same_time_do_not_share_one_slot() -> None:
    world = await shop(BrakeLimits(SlotLimits(1, 0)))
    for name in NAMES:
        await world.annotate("try", "workers=3", name)
    await asyncio.gather(*(world.wake(name) for name in NAMES))
    assert len(await tried(world)) == 1


async def test_only_so_many_workloads_are_restarted_at_once_and_hot_trials_do_not_wait_for_them() -> None:
    knobs = documents.hot(), documents.env()
    world = await shop(BrakeLimits(SlotLimits(0, 1)), *knobs)
    await ask(world, "a", "b", what="threads=3")
    await ask(world, "c")
    assert await tried(world) == ["a", "c"]
    assert (await world.condition("Progressing", "b"))[1] == "WaitingForSlot"


async def test_a_pin_that_restarts_waits_too() -> None:
    knobs = documents.hot(), documents.env()
    world = await shop(BrakeLimits(SlotLimits(0, 1)), *knobs, names=("a", "b"))
    await ask(world, "a", what="threads=3")
    await world.edit("b", knobs=[documents.hot(), {"name": "threads", "value": 4}])
    await world.turn("b")
    assert (await world.condition("Progressing", "b"))[1] == "WaitingForSlot"
    await world.rest("a")
    await world.turns(3, "b")
    assert (await world.own("b"))["data"]["THREADS"] == "4"


async def test_a_restart_of_the_operator_counts_what_is_under_way_before_anything_starts() -> None:
    world = await shop(BrakeLimits(SlotLimits(1, 0)))
    await ask(world, "a")
    world.restart()
    world.brakes.recalled = False
    await world.turns(6, "b")  # windows again
    await ask(world, "b")
    assert await tried(world) == ["a"]
    await world.recall()
    await world.turn("b")
    assert await tried(world) == ["a"]  # although `a` was not looked at by this process
    await world.rest("a")
    await world.turns(2, "b")
    assert await tried(world) == ["b"]


async def test_a_ledger_whose_profile_is_gone_or_that_is_torn_holds_no_slot() -> None:
    world = await shop(BrakeLimits(SlotLimits(1, 0)), names=("a", "b", "c"))
    await ask(world, "a")
    server = world.outside
    await server.json_patch(Ref(PROFILE, world.namespace, "a"), [{"op": "remove", "path": "/metadata/finalizers"}])
    await world.delete("a")
    body = await server.get(Ref(LEDGER, world.namespace, "c"))
    await server.json_patch(Ref(LEDGER, world.namespace, "c"), [{"op": "replace", "path": "/data", "value": {}}])
    assert body["data"]
    world.restart()
    await world.recall()
    await world.turns(6, "b")
    await ask(world, "b")
    assert await tried(world, "b") == ["b"]


async def test_a_profile_that_nobody_could_work_on_for_a_quarter_of_an_hour_gives_its_slot_up() -> None:
    world = await shop(BrakeLimits(SlotLimits(1, 0)), names=("a", "b"))
    await ask(world, "a", "b")
    assert await tried(world) == ["a"]
    await world.clock.advance(901)  # `a` is not woken any more
    await world.turns(6, "b")
    ledger = await world.ledger("b")
    assert ledger is not None and (ledger.intent is not None or ledger.trials)


@pytest.mark.parametrize(
    "error", [WriteConflict("moved"), NotAvailable("503"), Refused("no")], ids=["conflict", "unavailable", "refused"]
)
async def test_a_trial_that_could_not_be_recorded_holds_no_slot_for_ever(error: Exception) -> None:
    world = await shop(BrakeLimits(SlotLimits(1, 0)), names=("a", "b"))
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    await world.annotate("try", "workers=3", "a")
    server.faults.fail_next("apply", LEDGER, error)
    assert await world.wake("a") == -1.0
    await world.annotate("resume", name="a")
    notes = {"pegbox.dev/pause": "t99"}
    await world.patch(Ref(PROFILE, world.namespace, "a"), "/metadata/annotations", notes)  # no longer asked for
    await world.turn("a")
    await ask(world, "b")
    assert await tried(world) == ["b"]


# --- replicas per hour


async def replicated(limit: int) -> World:
    """Two profiles with an HPA each: at most four pods, which a trial may raise to eight."""
    world = await make(limits=BrakeLimits(SlotLimits(0, 0, Amounts(Amount(limit)))))
    knob = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
    for name in ("a", "b"):
        await world.apply(documents.hpa(name, target=name))
        body = documents.profile(name, documents.hot(), knob, autoscaler={"ref": {"name": name}})
        await world.add(body, workers=2)
    for name in ("a", "b"):
        await world.steady(name)
    return world


async def test_no_more_pods_than_the_limit_are_added_within_an_hour_over_all_profiles() -> None:
    world = await replicated(3)
    await ask(world, "a", what="max_replicas=6")
    await world.rest("a")
    await ask(world, "b", what="max_replicas=6")
    _, reason, message = await world.condition("Progressing", "b")
    assert reason == "WaitingForSlot" and "2 were added and 2 more are wanted" in message
    assert await world.bounds("b") == (2, 4)
    await world.clock.advance(3600)
    await world.turns(6, "b")
    assert (await world.bounds("b"))[1] == 6


async def test_a_restart_forgets_no_pods_that_were_added() -> None:
    world = await replicated(3)
    await ask(world, "a", what="max_replicas=6")
    await world.rest("a")
    world.restart()
    await world.recall()
    await world.turns(6, "b")
    await ask(world, "b", what="max_replicas=6")
    assert "still being read" in (await world.condition("Progressing", "b"))[2]
    await world.turn("a")
    await world.turn("b")
    assert "2 were added" in (await world.condition("Progressing", "b"))[2]


async def test_what_adds_no_pods_and_who_has_no_limit_do_not_wait() -> None:
    world = await replicated(1)
    await ask(world, "a", what="workers=3")
    await ask(world, "b", what="max_replicas=3")
    assert await tried(world) == ["a", "b"]
    free = await replicated(0)
    await ask(free, "a", "b", what="max_replicas=8")
    assert await tried(free) == ["a", "b"]


# --- the breaker over all profiles


async def test_harm_in_several_profiles_holds_new_trials_everywhere_and_says_so() -> None:
    world = await shop(TWO)
    await harm(world, "a")
    assert state(world) is BreakerState.CLOSED
    await harm(world, "b")
    assert state(world) is BreakerState.OPEN
    await world.turn("c")
    await world.turn("c")
    _, reason, message = await world.condition("Progressing", "c")
    assert reason == "FleetBreakerOpen" and "shop/a, shop/b" in message
    assert world.events.reasons().count("FleetBreakerOpen") >= 1
    await ask(world, "c")
    assert await tried(world) == []
    assert world.telemetry.registry.get_sample_value("pegbox_fleet_breaker_state") == 2.0


async def test_the_same_profile_failing_twice_is_its_own_breakers_business() -> None:
    world = await shop(TWO, names=("a", "b"))
    await harm(world, "a")
    await world.turns(6, "a")
    await harm(world, "a")
    assert state(world) is BreakerState.CLOSED


async def test_a_rollback_goes_on_while_it_is_open() -> None:
    world = await shop(TWO, names=("a", "b", "c"))
    await ask(world, "c")
    await harm(world, "a")
    await harm(world, "b")
    assert state(world) is BreakerState.OPEN
    await world.annotate("rollback", name="c")
    await world.rest("c")
    assert await world.values("c") == {"workers": "2"}


async def test_half_open_lets_one_profile_try_and_its_success_closes_it() -> None:
    world = await shop(TWO, names=("a", "b", "c", "d"))
    await harm(world, "a")
    await harm(world, "b")
    await world.clock.advance(601)
    await world.turns(6, "c")
    await world.turns(6, "d")
    assert state(world) is BreakerState.HALF_OPEN
    await ask(world, "c", "d")
    assert await tried(world) == ["c"]
    assert (await world.condition("Progressing", "d"))[1] == "RequestRefused"
    await world.turn("d")
    assert (await world.condition("Progressing", "d"))[1] == "FleetBreakerOpen"
    await world.rest("c")
    assert state(world) is BreakerState.CLOSED
    await ask(world, "d")
    assert "d" in await tried(world)


async def test_a_restart_closes_nothing_and_the_lease_says_until_when() -> None:
    world = await shop(TWO)
    await harm(world, "a")
    await harm(world, "b")
    world.lease |= world.brakes.carried()
    until = world.brakes.fleet.until
    world.restart()
    await world.recall()
    assert (state(world), world.brakes.fleet.until) == (BreakerState.OPEN, until)
    assert FLEET_ANNOTATION in world.brakes.carried()


async def test_without_a_lease_the_ledgers_alone_bring_it_back() -> None:
    world = await shop(TWO)
    await harm(world, "a")
    await harm(world, "b")
    world.lease.clear()
    world.restart()
    assert state(world) is BreakerState.CLOSED
    await world.recall()
    assert state(world) is BreakerState.OPEN


async def test_a_standby_believes_the_leader_and_a_leader_itself() -> None:
    world = await shop(TWO, names=("a",))
    text = '{"state": "Open", "opened": 1, "until": "2030-01-01T00:00:00+00:00"}'
    world.brakes.notice({FLEET_ANNOTATION: text}, leading=True)
    assert state(world) is BreakerState.CLOSED
    world.brakes.notice({FLEET_ANNOTATION: text}, leading=False)
    assert state(world) is BreakerState.OPEN


async def test_who_stops_everything_and_starts_it_again_has_looked_and_closes_it() -> None:
    world = await shop(TWO, names=("a", "b"))
    await harm(world, "a")
    await harm(world, "b")
    world.brake("stop")
    assert state(world) is BreakerState.OPEN
    world.brake(None)
    await world.turn("a")
    assert state(world) is BreakerState.CLOSED  # and the harm from before opens it no second time


@pytest.mark.parametrize("silent", [Reason.METRICS_UNREACHABLE, Reason.QUERY_NOT_SENT])
async def test_no_metrics_server_that_answers_for_a_minute_opens_it(silent: Reason) -> None:
    world = await shop(TWO, names=("a",))
    world.metrics.down = Missing(silent, "connection refused")
    await world.turns(11, "a")  # 5 s each: the first silence is 50 s old
    assert state(world) is BreakerState.CLOSED
    await world.turns(3, "a")
    assert state(world) is BreakerState.OPEN
    world.metrics.down = None
    await world.turns(2, "a")
    assert (await world.condition("Progressing", "a"))[1] == "FleetBreakerOpen"


async def test_a_metrics_server_that_cannot_answer_this_question_is_no_silent_one() -> None:
    world = await shop(TWO, names=("a",))
    world.metrics.down = Missing(Reason.QUERY_NOT_ANSWERED, "more than 8 MiB")
    await world.turns(30, "a")
    assert state(world) is BreakerState.CLOSED


async def test_one_of_two_metrics_servers_that_answers_keeps_it_closed() -> None:
    world = await shop(TWO, names=("a",))
    world.metrics.down = Missing(Reason.METRICS_UNREACHABLE, "connection refused")
    for _ in range(30):
        world.brakes.asked("other", True)
        await world.turn("a")
    assert state(world) is BreakerState.CLOSED


async def test_a_metrics_server_that_nobody_asks_any_more_is_no_sign_of_health() -> None:
    world = await shop(TWO, names=("a",))
    world.brakes.asked("of a class that is gone", True)
    world.metrics.down = Missing(Reason.METRICS_UNREACHABLE, "connection refused")
    await world.turns(14, "a")
    assert state(world) is BreakerState.CLOSED
    await world.clock.advance(900)
    await world.turn("a")
    await world.turn("a")
    assert state(world) is BreakerState.OPEN


@pytest.mark.parametrize("again", [False, True], ids=["the same process", "the next one"])
async def test_while_it_is_open_a_trial_under_way_elsewhere_goes_back_and_no_breaker_counts_it(again: bool) -> None:
    world = await shop(TWO)
    await ask(world, "c")
    await harm(world, "a")
    intent = await world.intent("c")
    assert intent is not None and intent.kind is IntentKind.TRIAL, "one profile alone ends nothing elsewhere"
    await harm(world, "b")
    assert state(world) is BreakerState.OPEN
    if again:
        world.lease |= world.brakes.carried()
        world.restart()
        await world.recall()
    ledger = await world.rest("c")
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "FleetBreakerOpen")]
    assert (ledger.breaker.failures, await world.values("c")) == (0, {"workers": "2"})


async def test_an_open_breaker_holds_up_no_way_back() -> None:
    """Of an accepted setting, asked for by a person, and of a deletion."""
    world = await shop(TWO)
    await ask(world, "c")
    assert (await world.rest("c")).trials[-1].state.value == "Accepted"
    await harm(world, "a")
    await harm(world, "b")
    assert state(world) is BreakerState.OPEN
    await world.annotate("rollback", name="c")
    await world.turn("c")
    await world.rest("c")
    assert await world.values("c") == {"workers": "2"}
    await world.delete("c")
    await world.turns(8, "c")
    assert not await world.exists("c")


async def test_an_api_server_that_answers_no_write_opens_it() -> None:
    """Three profiles want a trial, and neither their ledgers nor their statuses can be written."""
    world = await shop(TWO)
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    world.clock.skip(120)  # what went well is long ago
    for kind in (LEDGER, PROFILE):
        server.faults.fail_next("apply", kind, NotAvailable("etcdserver: request timed out"), times=3)
    await ask(world, *NAMES)
    await world.turn("a")
    assert state(world) is BreakerState.OPEN


async def test_profiles_that_fail_together_do_not_probe_together() -> None:
    """15 minutes, and a tenth of them times the jitter that the process draws: 15 and 15.75."""
    lasted = []
    for jitter in (0.0, 0.5):
        world = await make()
        world.jitter = jitter
        await world.add(documents.profile("a", guards=documents.QUICK | {"failuresToOpen": 1}), workers=2)
        await world.steady("a")
        await harm(world, "a")
        ledger = await world.ledger("a")
        assert ledger is not None and ledger.breaker.until is not None
        lasted.append(ledger.breaker.until - ledger.trials[-1].ended_at)
    assert lasted == [timedelta(minutes=15), timedelta(minutes=15.75)]


async def test_one_broken_object_however_often_it_fails_opens_nothing() -> None:
    world = await shop(TWO, names=("a",))
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    await world.annotate("try", "workers=3", "a")
    server.faults.fail_next("apply", CONFIG_MAP, NotAvailable("webhook timed out"), times=20)
    await world.turns(10, "a")
    assert state(world) is BreakerState.CLOSED


async def test_an_idle_fleet_writes_nothing_because_of_its_brakes() -> None:
    world = await shop(TWO)
    await harm(world, "a")
    await harm(world, "b")
    for name in NAMES:
        await world.turns(3, name)
    before = len(written(world.pegbox))
    for _ in range(5):
        for name in NAMES:
            await world.turn(name)
    assert written(world.pegbox)[before:] == []


def test_the_settings_say_all_of_it() -> None:
    made = of_settings(
        Settings(
            maxConcurrentTrials=7,
            maxConcurrentRestarts=3,
            maxReplicasAddedPerHour=9,
            maxCpuAddedPerHour="1.5",
            maxMemoryAddedPerHour="2Gi",
            maxReplicasRemovedPerHour=4,
            maxCpuRemovedPerHour="700m",
            maxMemoryRemovedPerHour="1Gi",
            fleetBreaker=FleetBreaker(4, 60.0, 30.0, 90.0, 0.25),
        )
    )
    seconds = [timedelta(seconds=s) for s in (60, 30, 90)]
    hourly = Amounts(added=Amount(9, 1500, 2 * 2**30), removed=Amount(4, 700, 2**30))
    assert made == BrakeLimits(SlotLimits(7, 3, hourly), Limits(4, *seconds), 0.25)
