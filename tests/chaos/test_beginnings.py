"""Each rule of what may begin, and of what may not stay unsaid, is able to fail, and finds nothing in its twin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from pegbox.model.brakes import STOP_ANNOTATION
from pegbox.model.trials import Intent, IntentKind
from pegbox.ports import CLASS, LEDGER, PROFILE, Object, Ref
from tests.chaos.invariants import Watch
from tests.chaos.planting import remembered, written
from tests.chaos.schedule import Runner
from tests.chaos.world import NAMESPACE, World

NAME = "checkout"
RUNNER = Runner()


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


def found(act: Callable[[World, Watch], Awaitable[None]]) -> list[str]:
    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        world.on_wake, world.on_slept = watch.woken, watch.slept
        await act(world, watch)
        watch.stepped()
        return [line.partition(":")[0] for line in watch.found]

    return asyncio.run(run())


async def began(world: World, intent: Mapping[str, Any], **ledger: Any) -> None:
    """The ledger holds the model's trial, but for these fields."""
    known = world.ledger(NAME)
    assert known is not None and known.incumbent is not None
    trial = Intent("planted", IntentKind.TRIAL, known.incumbent, (known.incumbent,), world.clock.now(), 99)
    await remembered(world, replace(known, intent=replace(trial, **intent), **ledger))


async def paused(world: World, seconds: float = 60) -> None:
    known = world.ledger(NAME)
    assert known is not None
    until = world.own_clock.now() + timedelta(seconds=seconds)
    await remembered(world, replace(known, paused_until=until, tokens={"pause": "t1"}))


@pytest.mark.parametrize(
    ("intent", "tokens", "ahead", "lost"),
    [
        pytest.param({}, {"pause": "t1"}, 59, ["only_what_may_begin"], id="a_pause_that_was_forgotten"),
        pytest.param({}, {"pause": "t1"}, 61, [], id="a_pause_that_is_over"),
        pytest.param({}, {"pause": "t1", "resume": "t2"}, 0, [], id="a_person_resumed"),
        pytest.param({"requested": True}, {"pause": "t1"}, 0, [], id="a_person_asked_for_it"),
        pytest.param({"kind": IntentKind.ROLLBACK}, {"pause": "t1"}, 0, [], id="a_way_back"),
    ],
)
@pytest.mark.parametrize("deleted", [False, True], ids=["ledger_stands", "ledger_was_deleted"])
def test_a_trial_of_our_own_accord_in_a_pause_is_found(
    intent: Mapping[str, Any], tokens: Mapping[str, str], ahead: float, lost: list[str], *, deleted: bool
) -> None:
    async def act(world: World, watch: Watch) -> None:
        await paused(world)
        known = world.ledger(NAME)
        assert known is not None
        if deleted:
            await world.alice.delete(Ref(LEDGER, NAMESPACE, NAME))
            await remembered(world, replace(known, paused_until=None))
        world.own_clock.ahead += ahead
        await began(world, intent, tokens=tokens, paused_until=None)

    assert found(act) == lost


@pytest.mark.parametrize(
    ("kind", "writes", "lost"),
    [
        pytest.param(IntentKind.TRIAL, False, ["only_what_may_begin"], id="a_trial"),
        pytest.param(IntentKind.ADOPT, False, ["only_what_may_begin"], id="an_adoption"),
        pytest.param(IntentKind.ROLLBACK, False, [], id="a_way_back"),
        pytest.param(IntentKind.TRIAL, True, [], id="a_trial_where_writes_are_allowed"),
    ],
)
def test_what_begins_without_the_right_to_write_is_found(kind: IntentKind, lost: list[str], *, writes: bool) -> None:
    async def act(world: World, watch: Watch) -> None:
        world.allow_writes = writes
        await began(world, {"kind": kind})

    assert found(act) == lost


@pytest.mark.parametrize(
    ("heard", "workers", "lost"),
    [
        pytest.param(False, 1, ["restored_or_said"], id="an_operator_that_has_not_heard_of_it"),
        pytest.param(False, 2, [], id="what_stands_is_the_adoption"),
        pytest.param(True, 1, [], id="an_operator_that_restores"),
    ],
)
def test_a_profile_that_a_restore_passes_over_in_silence_is_found(
    workers: int, lost: list[str], *, heard: bool
) -> None:
    async def act(world: World, watch: Watch) -> None:
        watch.woken(NAME)
        await written(world, workers=workers)
        known = world.ledger(NAME)
        assert known is not None and known.incumbent is not None
        here = known.incumbent.with_values(workers=Fraction(workers))
        await remembered(world, replace(known, incumbent=here))
        await world.alice.delete(Ref(CLASS, "", "service"))
        await world.turn()
        if heard:
            world.brake("restore")
        world.lease[STOP_ANNOTATION] = "restore"
        for _ in range(20):
            await world.turn()

    assert sorted(set(found(act))) == lost


@pytest.mark.parametrize(
    ("said", "lost"), [("class service: spec.sourceRef: 'x'", ["no_wake_needs_a_source"]), ("quota", [])]
)
def test_a_wake_that_fails_for_want_of_a_source_is_found(said: str, lost: list[str]) -> None:
    async def act(world: World, watch: Watch) -> None:
        condition = {"type": "Degraded", "status": "True", "reason": "WriteRefused", "message": said}
        operation: Object = {"op": "add", "path": "/status/conditions", "value": [condition]}
        await world.server.json_patch(Ref(PROFILE, NAMESPACE, NAME), [operation], subresource="status")

    assert found(act) == lost
