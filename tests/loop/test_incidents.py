"""An incident: the last known good setting fails where it is known to do well. What it measures is of the outage.

Windows of 5 seconds and 150 events, one look each. The SLO counts successes, so that a slow service still meets it, where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger
from pegbox.ports import SignalQuery, SignalRow
from pegbox.runtime.memory import Memory
from tests.loop import documents
from tests.loop.service import LOAD
from tests.loop.world import Wishing, World, make

OK = {"name": "ok", "signal": "success", "goal": "99%", "minimumEvents": 10}
FAST = {"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "90%", "minimumEvents": 10}
WELL, SLOW = 0.3, 3.0  # mean seconds, and by which factor the outage makes them longer
SURGE = 0.3  # share of the events that fail in an outage, 45 of 150; 0.001 at other times


async def proven(slo: dict[str, object] = OK) -> World:
    """A setting at rest that is last-known-good, with the figures of its good days."""
    world = await make()
    await world.add(documents.profile(slos=[slo]), workers=2)
    await world.steady()
    await world.turns(10)
    assert known(world).ladder[0].replicates >= 3
    return world


def memory(world: World) -> Memory:
    return world.reconciler.memories[f"{world.namespace}/checkout"]


def known(world: World) -> Ledger:
    """The ledger with what was not worth a write yet."""
    found = memory(world).ledger
    assert found is not None
    return found


def learned(world: World) -> tuple[int, float]:
    """(windows, their mean latency) of all that was learned."""
    rows = known(world).rows
    count = sum(row.count for row in rows)
    return count, sum(row.latency * row.count for row in rows) / count


def record(world: World) -> tuple[int, float]:
    rung = known(world).ladder[0]
    return rung.replicates, rung.latency


@pytest.mark.parametrize("slo", [OK, FAST], ids=["the SLO met", "the SLO breached"])
async def test_nothing_of_an_outage_is_learned_and_the_halt_does_not_wear_off(slo: dict[str, object]) -> None:
    world = await proven(slo)
    before = learned(world), record(world), tuple(memory(world).windows)
    world.apps["checkout"].service.slowed = SLOW
    for _ in range(60):
        await world.turn()
        assert known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING
        assert (learned(world), record(world)) == before[:2]
        assert tuple(memory(world).windows) == before[2], "nor would a trial be held against it"


async def test_what_comes_after_an_outage_is_learned() -> None:
    """The twin: but for the one window that it takes to be sure."""
    world = await proven()
    (count, _), (replicates, _) = learned(world), record(world)
    world.apps["checkout"].service.slowed = SLOW
    await world.turns(20)
    world.apps["checkout"].service.slowed, over = 1.0, world.clock.now()
    await world.turns(10)
    assert known(world).halted is None
    assert learned(world)[0] > count and learned(world)[1] == pytest.approx(WELL)
    assert record(world)[0] > replicates and record(world)[1] == pytest.approx(WELL)
    assert memory(world).windows[-1].window.start >= over


async def test_an_outage_is_one_across_a_restart_of_the_operator() -> None:
    world = await proven()
    world.apps["checkout"].service.slowed = SLOW
    await world.turns(3)
    stored = await world.ledger()
    assert stored is not None and stored.halted is Reason.LAST_KNOWN_GOOD_FAILING
    world.restart()
    for _ in range(20):
        await world.turn()
        assert known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING and known(world).halted_at == stored.halted_at
        assert not memory(world).windows and known(world).rows == stored.rows


@pytest.mark.parametrize("restarted", [False, True], ids=["in one process", "beside a restart"])
async def test_the_window_in_which_it_ends_is_of_the_outage_too(restarted: bool) -> None:
    """Looks are closer together than windows are long: for a while they reach back into it, and look well already."""
    world = await make()
    guards = documents.QUICK | {"trialWindow": "30s"}
    await world.add(documents.profile(slos=[OK], guards=guards), workers=2)
    await world.steady()
    await world.turns(40)
    service = world.apps["checkout"].service
    service.slowed = SLOW
    await world.turns(20)
    before, service.slowed, over = learned(world), 1.8, world.clock.now()
    if restarted:
        world.restart()
    while world.clock.now() < over + timedelta(seconds=30):
        await world.turn()
        assert learned(world) == before and known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING
    service.slowed = 1.0
    await world.turns(8)
    assert known(world).halted is None and learned(world)[0] > before[0]


async def test_a_deploy_makes_it_another_workload_that_is_learned_as_it_is() -> None:
    world = await proven()
    world.apps["checkout"].service.slowed = SLOW
    await world.turns(10)
    body = documents.deployment()
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.invalid/app:2"
    await world.apply(body)
    await world.turns(20)
    assert known(world).halted is None
    assert record(world)[0] >= 3 and record(world)[1] == pytest.approx(WELL * SLOW)


async def test_more_load_than_ever_is_no_incident_and_is_learned() -> None:
    world = await proven()
    count, _ = learned(world)
    world.apps["checkout"].service.slowed, world.apps["checkout"].service.load = SLOW, LOAD * 1.5
    await world.turns(10)
    assert known(world).halted is None and learned(world)[0] > count
    world.apps["checkout"].service.slowed, world.apps["checkout"].service.load = 1.0, LOAD
    await world.turns(40)
    world.apps["checkout"].service.slowed, world.apps["checkout"].service.load = SLOW, LOAD * 1.5
    count, _ = learned(world)
    await world.turns(10)
    assert known(world).halted is None and learned(world)[0] > count, "the next day's peak is known by then"


async def test_what_lasts_for_more_than_a_day_is_how_the_workload_is_now() -> None:
    world = await proven()
    world.apps["checkout"].service.slowed = SLOW
    await world.turns(10)
    world.clock.skip(timedelta(hours=23, minutes=55).total_seconds())
    await world.turns(3)
    assert known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING
    world.clock.skip(timedelta(minutes=10).total_seconds())
    await world.turns(10)
    assert known(world).halted is None
    assert record(world)[0] >= 3 and record(world)[1] == pytest.approx(WELL * SLOW)


async def test_reset_ends_it_though_the_service_is_as_slow_as_before() -> None:
    world = await proven()
    world.apps["checkout"].service.slowed = SLOW
    await world.turns(10)
    await world.annotate("reset")
    await world.turn()
    assert known(world).halted is None
    await world.turns(10)
    assert known(world).halted is None
    assert learned(world)[1] == pytest.approx(WELL * SLOW) and record(world)[0] >= 3


# --- told by failed events: the service is as fast as ever


@pytest.mark.parametrize("slo", [OK, FAST], ids=["an SLO counts them", "the class's signal alone"])
async def test_nothing_of_a_surge_of_errors_is_learned_and_it_ends_with_the_first_clean_look(
    slo: dict[str, object],
) -> None:
    world = await proven(slo)
    before = learned(world), record(world), tuple(memory(world).windows)
    world.apps["checkout"].service.failing = SURGE
    for turn in range(30):
        await world.turn()
        assert known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING
        assert (learned(world), record(world)) == before[:2] and tuple(memory(world).windows) == before[2]
        if turn == 15:
            world.restart()
            before = (*before[:2], ())  # what this process saw
    assert "LastKnownGoodFailing" in await world.why()
    world.apps["checkout"].service.failing, over = 0.001, world.clock.now()
    await world.turns(10)
    assert known(world).halted is None and learned(world)[0] > before[0][0]
    assert memory(world).windows[-1].window.start >= over


async def test_a_surge_under_more_load_than_ever_is_no_incident_and_is_learned() -> None:
    world = await proven(FAST)
    count, _ = learned(world)
    world.apps["checkout"].service.failing, world.apps["checkout"].service.load = SURGE, LOAD * 1.5
    await world.turns(10)
    assert known(world).halted is None and learned(world)[0] > count


async def test_three_failed_events_of_150_are_none() -> None:
    """The twin: as often as two points more, and learned."""
    world = await proven()
    count, _ = learned(world)
    world.apps["checkout"].service.failing = 0.02
    await world.turns(10)
    assert known(world).halted is None and learned(world)[0] > count


async def test_a_surge_that_lasts_for_more_than_a_day_is_forgotten() -> None:
    world = await proven(FAST)
    world.apps["checkout"].service.failing = SURGE
    await world.turns(5)
    assert known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING
    world.clock.skip(timedelta(hours=24, minutes=5).total_seconds())
    await world.turns(10)
    assert known(world).halted is None and record(world)[0] >= 3


# --- looks without an answer


async def unanswered(world: World, missing: str, looks: int) -> None:
    """So many looks at which nothing is known, or no latency; then the server answers again."""
    answer = world.metrics.scenario
    assert answer is not None

    def silent(query: SignalQuery, at: datetime) -> Iterable[SignalRow] | Missing:
        if missing in ("all", query.signal.name):
            return Missing(Reason.NO_DATA, "the server does not answer")
        return answer(query, at)

    world.metrics.scenario = silent
    await world.turns(looks)
    world.metrics.scenario = answer


@pytest.mark.parametrize("slo", [OK, FAST], ids=["told by failed events", "told by latency"])
@pytest.mark.parametrize("missing", ["all", "duration", "success"])
async def test_looks_without_an_answer_end_no_incident(missing: str, slo: dict[str, object]) -> None:
    """The window in which it ends was learned, and the halt gone, five seconds after such looks."""
    world = await make()
    guards = documents.QUICK | {"trialWindow": "30s"}
    await world.add(documents.profile(slos=[slo], guards=guards), workers=2)
    await world.steady()
    await world.turns(40)
    service = world.apps["checkout"].service
    if slo is OK:
        service.failing = SURGE
    else:
        service.slowed = SLOW
    await world.turns(20)
    assert known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING
    before = learned(world)
    await unanswered(world, missing, 8)
    assert known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING and learned(world) == before
    service.slowed, service.failing, over = 1.0, 0.001, world.clock.now()
    while world.clock.now() < over + timedelta(seconds=30):
        await world.turn()
        assert learned(world) == before and known(world).halted is Reason.LAST_KNOWN_GOOD_FAILING
    await world.turns(8)
    assert known(world).halted is None and learned(world)[0] > before[0], "the twin: then it is over"


async def test_looks_without_an_answer_begin_none() -> None:
    """The twin: the window after them is learned at once."""
    world = await proven()
    await unanswered(world, "all", 5)
    count, _ = learned(world)
    await world.turns(3)
    assert learned(world)[0] > count and known(world).halted is None


# --- an outage before a trial


@pytest.mark.parametrize("outage", [40, 0], ids=["forty seconds of it", "the twin: none"])
async def test_an_outage_that_ended_with_the_write_is_not_blamed_on_the_trial(outage: float) -> None:
    """No rung is proven, since the SLO is missed all the time. What the server tells of a minute shows the outage for as
    long after its end, and the wish for a trial comes with that."""
    wishing = Wishing()
    world = await make(predicting=wishing)
    guards = documents.QUICK | {"trialWindow": "60s", "trialTimeout": "5m"}
    hopeless = {"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "99.9%", "minimumEvents": 10}
    await world.add(documents.profile(slos=[hopeless], guards=guards), workers=2)
    service = world.apps["checkout"].service
    service.load = 8.0
    await world.steady()
    await world.turns(60)
    incumbent = known(world).incumbent
    assert incumbent is not None and not known(world).ladder
    over = world.clock.now() + timedelta(seconds=outage)
    if outage:
        service.slowed = SLOW
    while world.clock.now() < over:
        await world.turn()
    wishing.wish = incumbent.with_values(workers=Fraction(3))
    while world.clock.now() < over + timedelta(seconds=60 if outage else 0):
        await world.turn()
    service.slowed = 1.0
    for _ in range(200):
        if known(world).trials:
            break
        await world.turn()
    trial = known(world).trials[-1]
    assert (trial.reason, known(world).breaker.failures) == (Reason.NOT_BETTER, 0), await world.why()
