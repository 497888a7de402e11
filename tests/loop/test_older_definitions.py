"""The definition that the server has is older than the operator: statuses are told without what it lacks."""

from __future__ import annotations

from typing import Any

from pegbox.model.errors import Refused
from pegbox.ports import Object
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import World

NAMES = ("forecast", "coefficients")  # of status.model; a server names what it finds


class Older(FakeCluster):
    """An API server whose definition has neither of these fields: it refuses an apply with one, as a real one does."""

    lacks: tuple[str, ...] = NAMES
    says = "field not declared in schema"
    refused = 0

    async def apply(self, body: Object, **options: Any) -> Object:
        model = body.get("status", {}).get("model", {}) if options.get("subresource") == "status" else {}
        for name in self.lacks:
            if name in model:
                self.refused += 1
                raise Refused(f"failed to create typed patch object: .status.model.{name}: {self.says}")
        return await super().apply(body, **options)


async def shop() -> tuple[World, Older]:
    clock = FakeClock(auto=False)
    server = Older(clock)
    world = World(server, server.as_manager("kubelet"), clock)
    await world.outside.apply(documents.CLASS)
    await world.add(documents.profile(), workers=2)
    return world, server


async def test_a_status_is_told_without_them_and_a_trial_goes_as_ever() -> None:
    world, server = await shop()
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Accepted"]
    assert (await world.condition("Degraded"))[0] == "False"
    assert "WriteRefused" not in world.events.reasons()
    assert set((await world.status())["model"]).isdisjoint(NAMES)
    assert server.refused == len(NAMES), "each is refused once, and then left out"


async def test_once_the_definition_is_there_they_are_told_within_half_an_hour() -> None:
    world, server = await shop()
    await world.steady()
    server.lacks = ()
    await world.clock.advance(1900)
    await world.wake()
    assert set(NAMES) <= set((await world.status())["model"])


async def test_any_other_refusal_of_a_status_is_said_as_ever() -> None:
    """The twin: only what the server names as undeclared is left out."""
    world, server = await shop()
    await world.steady()
    server.says = "is invalid"
    await world.clock.advance(1900)
    assert await world.wake() == -1.0
    assert "WriteRefused" in world.events.reasons()
