"""A class that fifty profiles use is changed under them: nothing is written for it, and what follows is a few trials at a time."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from pegbox.core.slots import SlotLimits
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import CLASS, Ref, SignalQuery, SignalRow
from pegbox.runtime.brakes import BrakeLimits
from tests.loop import documents
from tests.loop.world import World, make, written

NAMES = tuple(f"app-{number:02}" for number in range(50))
WORKLOADS = {"ConfigMap", "HorizontalPodAutoscaler", "Deployment", "StatefulSet", "Pod"}


async def fifty(**limits: Any) -> World:
    """At rest in Auto, three workers each."""
    world = await make(limits=BrakeLimits(slots=SlotLimits(**limits)) if limits else BrakeLimits())
    for name in NAMES:
        profile = documents.profile(name, documents.hot(initial=3), budgets=[])
        app = await world.add(profile, workers=3)
        app.service.load = 1.0
        await world.rest(name)
    return world


async def change(world: World, **knob: Any) -> None:
    """The knob `workers` of the class, and its description, as a new release of the class might."""
    body = copy.deepcopy(documents.CLASS)
    body["spec"]["description"] = "changed"
    body["spec"]["knobs"][0] |= knob
    await world.apply(body)


def of_workloads(world: World) -> list[tuple[str, str, str]]:
    return [each for each in written(world.pegbox) if each[1] in WORKLOADS]


async def test_no_profile_writes_anything_for_it_and_each_says_which_class_it_uses() -> None:
    """Another default, and wider limits."""
    world = await fifty()
    before = len(of_workloads(world))
    await change(world, max=128, default="8")
    generation = (await world.outside.get(Ref(CLASS, "", "service")))["metadata"]["generation"]
    for name in NAMES:
        await world.turn(name)
    assert len(of_workloads(world)) == before
    assert {(await world.status(name))["classGeneration"] for name in NAMES} == {generation}


async def test_narrowed_limits_are_walked_to_in_judged_trials_no_more_at_once_than_there_are_slots() -> None:
    """Three workers, at most two now: 50 profiles want a step at the same moment, and four may."""
    world = await fifty(trials=4)
    for name in NAMES:
        await world.edit(name, knobs=[{"name": "workers"}])  # an `initial` beyond the limits would be refused
    await change(world, max=2)
    most = 0
    for _ in range(4):
        world.clock.skip(6.0)
        for name in NAMES:
            await world.wake(name)
        under_way = [name for name in NAMES if (intent := await world.intent(name)) is not None and intent.stages]
        most = max(most, len(under_way))
    assert most == 4, await world.why(NAMES[0])
    for name in NAMES:
        assert (await world.values(name))["workers"] == ("2" if await world.intent(name) else "3")


async def test_a_class_that_makes_no_sense_any_more_moves_nobody_and_each_says_so() -> None:
    world = await fifty()
    before = len(of_workloads(world))
    await change(world, min=9, max=3)
    for name in NAMES:
        await world.turn(name)
    assert len(of_workloads(world)) == before
    assert {(await world.condition("Accepted", name))[:2] for name in NAMES} == {("False", "InvalidSpec")}
    await change(world, min=1, max=64)
    for name in NAMES:
        await world.turn(name)
    assert {(await world.condition("Accepted", name))[0] for name in NAMES} == {"True"}


async def test_a_class_that_is_edited_leaves_the_next_looks_as_far_apart_as_they_were() -> None:
    """All are looked at in the same moment, out of turn: the next turn of each stays where it was."""
    world, due, again = await fifty(), {}, {}
    for name in NAMES:
        due[name] = world.clock.monotonic() + (await world.wake(name) or 0.0)
        world.clock.skip(0.05)
    await change(world, max=128)
    for name in NAMES:
        again[name] = world.clock.monotonic() + (await world.wake(name) or 0.0)
    assert len(set(due.values())) == 50
    assert again == pytest.approx(due)


# --- what is measured is edited

Edit = Callable[[World], Awaitable[None]]


async def threshold(world: World) -> None:
    """Of an SLO that is met at 500 ms: none of the events is as fast as this."""
    slo = {"name": "fast", "signal": "duration", "threshold": "100ms", "goal": "90%", "minimumEvents": 10}
    await world.edit(slos=[slo])


async def milliseconds(world: World) -> None:
    """The class now sums what it divides by a thousand, as it should: latency is ten times what it was."""
    body = copy.deepcopy(documents.CLASS)
    body["spec"]["signals"][0]["sumExpr"] = "10 * rate(d_sum{$matchers}[$window])"
    await world.apply(body)


edits = pytest.mark.parametrize("edit", [threshold, milliseconds])


async def measured() -> World:
    """At rest, all of its load served; what the metrics server tells follows the edit."""
    world = await make()
    app = await world.add(documents.profile(guards=documents.QUICK | {"trialWindow": "20s"}), workers=2)
    app.service.load = 8.0
    await world.steady()
    await world.turns(30)
    plain = world.metrics.scenario

    def scenario(query: SignalQuery, at: datetime) -> Iterable[SignalRow] | Missing:
        told = plain(query, at)
        if isinstance(told, Missing):
            return told
        rows, times = list(told), 10 if query.signal.sum_expr.startswith("10 * ") else 1
        rows += [replace(row, le=0.1, value=0.0) for row in rows if row.le == 0.5]
        return [replace(row, value=times * row.value) if row.part == "sum" else row for row in rows]

    world.metrics.scenario = scenario
    return world


@edits
@pytest.mark.parametrize("restarted", [False, True], ids=["in one process", "beside a restart"])
async def test_an_edit_of_what_is_measured_in_mid_trial_blames_nobody(edit: Edit, restarted: bool) -> None:
    world = await measured()
    await world.annotate("try", "workers=3")
    await world.turns(3)
    assert await world.intent() is not None
    await edit(world)
    if restarted:
        world.restart()
    ledger = await world.rest()
    assert [t.reason for t in ledger.trials] == [Reason.PROFILE_CHANGED] and ledger.breaker.failures == 0
    assert (await world.values())["workers"] == "2"


@edits
async def test_after_an_edit_at_rest_a_trial_is_held_against_what_was_measured_since(edit: Edit) -> None:
    world = await measured()
    await edit(world)
    await world.annotate("try", "workers=3")
    await world.until(lambda: begun(world))
    intent = await world.intent()
    assert intent is not None and intent.baseline is not None
    assert intent.baseline.latency == pytest.approx(3.0 if edit is milliseconds else 0.3)
    assert intent.baseline.windows < 3
    ledger = await world.rest(limit=120)
    assert ledger.breaker.failures == 0 and ledger.trials[-1].reason in (Reason.NOT_BETTER, Reason.TRIAL_ACCEPTED)


async def test_another_goal_in_mid_trial_is_no_other_measure() -> None:
    """The twin."""
    world = await measured()
    await world.annotate("try", "workers=3")
    await world.turns(3)
    slo = {"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "80%", "minimumEvents": 10}
    await world.edit(slos=[slo])
    ledger = await world.rest(limit=120)
    assert ledger.trials[-1].reason in (Reason.NOT_BETTER, Reason.TRIAL_ACCEPTED)


async def begun(world: World) -> bool:
    return await world.intent() is not None


async def test_a_class_that_was_away_while_the_process_began_anew_is_no_other_measure() -> None:
    world = await measured()
    before = await world.ledger()
    assert before is not None and before.ladder
    await world.outside.delete(Ref(CLASS, "", "service"))
    world.restart()
    await world.turns(2)
    await world.apply(copy.deepcopy(documents.CLASS))
    await world.turns(4)
    after = await world.ledger()
    assert after is not None and [rung.setting for rung in after.ladder] == [rung.setting for rung in before.ladder]
