"""Somebody who sets his value again is left alone, also by the tuner's own wish: no war at the pace of trials."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pegbox.core import decide
from pegbox.model.observations import Missing
from pegbox.model.proposals import Proposal, ProposalKind
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.ports import CONFIG_MAP, Ref
from pegbox.runtime.memory import Memory
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.world import World, make, written

BOUND = {"name": "max_replicas", "min": 1, "max": 8}
SCALER: dict[str, Any] = {"autoscaler": {"ref": {"name": "checkout"}}, "conflictPolicy": "Take"}
WRITE = ("apply", "HorizontalPodAutoscaler", "")


class Wishing(Predicting):
    """Always wants one more of a knob, whatever came of it."""

    def __init__(self) -> None:
        self.knob = "max_replicas"

    async def proposal(self, snapshot: Snapshot, memory: Memory, now: datetime) -> Proposal | Missing:
        incumbent = snapshot.ledger.incumbent
        if incumbent is None or not decide.wants_proposal(snapshot, now):
            return Missing(Reason.NOTHING_BETTER)
        wanted = incumbent.with_values(**{self.knob: incumbent.number(self.knob) + 1})
        return Proposal(wanted, ProposalKind.ONE_KNOB, "wished", Missing(Reason.LEARNING), wanted)


async def shop() -> World:
    """An HPA of 2 to 2 that its team applied, and a profile that may take its maximum."""
    world = await make(predicting=Wishing())
    await world.apply(documents.hpa(high=2))
    await world.add(documents.profile("checkout", documents.hot(), BOUND, **SCALER), workers=2)
    return world


async def heal(world: World) -> None:
    """The team's tool, with force; where nothing differs this writes nothing."""
    await world.apply(documents.hpa(high=2))


def writes(world: World) -> int:
    return written(world.pegbox).count(WRITE)


async def test_against_a_healer_we_write_once_then_twice_as_seldom_after_each_time() -> None:
    """10 x (0 s + 5 s + 0 s) = 50 s of peace after the first write, then 100, 200, 400: the fifth write comes after
    750 s and a few wakes, the sixth not before 1,550 s. Without that it would be one every ten seconds."""
    world = await shop()
    while world.clock.monotonic() < 1500:
        await world.turn()
        await heal(world)
    assert writes(world) == 5
    ledger = await world.ledger()
    assert ledger is not None
    assert {(t.state.value, t.reason.value, t.foreign) for t in ledger.trials} == {
        ("Inconclusive", "ForeignChange", ("max_replicas",))
    }
    assert ledger.breaker.failures == 0


async def test_the_condition_says_what_is_left_to_whom_and_until_when() -> None:
    world = await shop()
    while not writes(world):
        await world.turn()
    await heal(world)
    ledger = await world.rest()
    status, reason, message = await world.condition("Conflict")
    assert (status, reason) == ("True", "ForeignChange")
    end = ledger.trials[-1].ended_at.timestamp() + 50
    assert f"max_replicas until {datetime.fromtimestamp(end, ledger.trials[-1].ended_at.tzinfo).isoformat()}" in message


async def test_a_healer_that_comes_only_after_the_trial_was_accepted_is_left_alone_too() -> None:
    """Such as a sync every three minutes. Two writes: the first, and one 50 s after that trial's end."""
    world = await shop()

    async def accepted(count: int) -> bool:
        ledger = await world.ledger()
        return ledger is not None and sum(t.state.value == "Accepted" for t in ledger.trials) == count

    await world.until(lambda: accepted(1))
    await heal(world)
    started = world.clock.monotonic()
    await world.until(lambda: accepted(2))
    assert world.clock.monotonic() - started >= 40, "50 s from the end of the first"
    await heal(world)
    started, before = world.clock.monotonic(), writes(world)
    while world.clock.monotonic() - started < 85:
        await world.turn()
    assert writes(world) == before, "100 s from the end of the second"
    ledger = await world.ledger()
    assert ledger is not None and [t.foreign for t in ledger.trials] == [("max_replicas",)] * 2


async def test_where_nobody_sets_it_again_the_next_trial_follows_at_once() -> None:
    """The twin."""
    world = await shop()
    await world.turns(40)
    ledger = await world.ledger()
    assert ledger is not None
    assert [t.state.value for t in ledger.trials][:2] == ["Accepted", "Accepted"]
    assert (await world.condition("Conflict"))[:2] == ("False", "NoConflict")


async def test_other_knobs_go_on_meanwhile() -> None:
    world = await shop()
    while not writes(world):
        await world.turn()
    await heal(world)
    await world.rest()
    assert isinstance(world.predicting, Wishing)
    world.predicting.knob = "workers"
    started = world.clock.monotonic()

    async def tuned() -> bool:
        return await world.values() == {"workers": "3"}

    await world.until(tuned)
    assert world.clock.monotonic() - started < 50
    assert writes(world) == 1


async def test_a_person_may_try_it_all_the_same() -> None:
    world = await shop()
    while not writes(world):
        await world.turn()
    await heal(world)
    await world.rest()
    await world.annotate("try", "max_replicas=3")
    await world.turn()
    assert writes(world) == 2


async def test_reset_forgets_it() -> None:
    world = await shop()
    while not writes(world):
        await world.turn()
    await heal(world)
    await world.rest()
    await world.annotate("reset")
    started = world.clock.monotonic()
    while writes(world) == 1 and world.clock.monotonic() - started < 45:
        await world.turn()
    assert writes(world) == 2


async def test_who_applies_our_own_config_map_for_ever_is_not_fought_at_his_own_pace() -> None:
    """A repository that holds it, and heals. The trial, its way back, once more at once, then after 5, 10, 20, 40, 80
    and 160 s, 315 s in all: nine writes, and the tenth not before another 320 s. At his pace it would be 300."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    theirs = {"data": (await world.own())["data"]}
    await world.annotate("try", "workers=3")
    document = Ref(CONFIG_MAP, world.namespace, "checkout-pegbox")
    started, before = world.clock.monotonic(), written(world.pegbox).count(("apply", "ConfigMap", ""))
    while world.clock.monotonic() - started < 600:
        await world.wake()
        await world.patch(document, "/data", theirs["data"])
        await world.pods_step(world.apps["checkout"])
        world.clock.skip(2.0)  # the healer's write is an event, and wakes
    assert written(world.pegbox).count(("apply", "ConfigMap", "")) - before == 9
    ledger = await world.ledger()
    assert ledger is not None and ledger.trials[-1].reason is Reason.FOREIGN_CHANGE
    assert (await world.condition("Conflict"))[:2] == ("True", "ForeignChange")
