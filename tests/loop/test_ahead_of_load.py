"""A load that climbs every half an hour: the HPA's minimum is raised before it comes, judged, and never by a guess."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pegbox.ports import HPA, Object, Ref
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.world import App, World, make

NAME = "checkout-pegbox"
EACH = 5.0  # events/s that a replica of two workers bears
BUSY = 0.9  # share of that for which the HPA aims
LATE = 2.0  # minutes by which it is behind the load: its metrics, and the start of pods


def load_at(minute: float) -> float:
    """25/s, and within each half of an hour a hill of twenty minutes up to 75/s."""
    return 25.0 + 50.0 * max(0.0, 1.0 - abs(minute % 30.0 - 20.0) / 10.0)


def asked_for(load: float) -> int:
    return math.ceil(load / (EACH * BUSY))


@dataclass
class Hills:
    """A workload under that load, with an HPA of ours from 2 to 30 replicas, looked at every 30 s."""

    world: World
    app: App
    start: datetime

    @property
    def minute(self) -> float:
        return (self.world.clock.now() - self.start).total_seconds() / 60.0

    async def run(self, until: float) -> list[tuple[int, int]]:
        """(the HPA's minimum, replicas that the load asks for without any delay) at each look."""
        seen = []
        while self.minute < until:
            self.app.service.load = load_at(self.minute)
            await self.world.turn()
            if await self.world.find(Ref(HPA, self.world.namespace, NAME)) is not None:
                seen.append(((await self.world.bounds(NAME))[0], asked_for(self.app.service.load)))
        return seen

    async def forecast(self) -> dict[str, str]:
        told: dict[str, str] = (await self.world.status())["model"]["forecast"]
        return told


def with_roles() -> Object:
    body = copy.deepcopy(documents.CLASS)
    for knob in body["spec"]["knobs"]:
        if knob["name"] in ("min_replicas", "max_replicas"):
            knob["role"] = "Replicas"
    return body


async def hills(**spec: Any) -> Hills:
    world = await make({"service": with_roles()}, predicting=Predicting())
    create = {"minReplicas": 2, "maxReplicas": 30, "cpuUtilization": 70}
    knobs = ({"name": "min_replicas", "max": 30, "maxStep": "100%"}, {"name": "max_replicas", "value": 30})
    guards = documents.QUICK | {"trialWindow": "30s", "trialTimeout": "10m"}
    told = {"autoscaler": {"create": create}, "interval": "30s", "guards": guards, **spec}
    app = await world.add(documents.profile("checkout", *knobs, **told), workers=2)
    found = Hills(world, app, world.clock.now())
    app.wants = lambda _: asked_for(load_at(max(0.0, found.minute - LATE)))
    return found


async def test_with_enough_history_the_minimum_is_ahead_of_the_load_and_each_step_is_judged() -> None:
    """First it says what it lacks, and leaves the HPA alone."""
    climbing = await hills()
    await climbing.run(30.0)
    assert (await climbing.forecast())["available"] == "False"
    assert (await climbing.forecast())["missing"].startswith("Learning: ")
    assert "AheadOfLoad" not in climbing.world.events.reasons()
    await climbing.run(72.0)
    seen = await climbing.run(80.0)  # on the way up
    assert all(low > asked for low, asked in seen), seen
    assert max(low for low, _ in seen) <= 30
    assert "AheadOfLoad" in climbing.world.events.reasons()
    assert {t.state.value for t in (await climbing.world.rest()).trials} == {"Accepted"}
    told = await climbing.forecast()
    assert told["available"] == "True" and told["horizon"] == "2m" and float(told["upper"]) > float(told["load"])


async def test_in_recommend_it_is_shown_and_not_written() -> None:
    """The twin: an HPA of others, who let us write it, stands as they set it."""
    climbing = await hills(mode="Recommend", autoscaler={"ref": {"name": NAME}}, conflictPolicy="Take")
    await climbing.world.apply(documents.hpa(NAME, 2, 30))
    wished: set[int] = set()
    while climbing.minute < 80.0:
        await climbing.run(climbing.minute + 0.1)
        told = (await climbing.world.status()).get("proposal", [])
        wished |= {int(each["value"]) for each in told if each["name"] == "min_replicas"}
    assert await climbing.world.bounds(NAME) == (2, 30)
    assert not {"TrialStarted", "AheadOfLoad"} & {*climbing.world.events.reasons()}
    assert max(wished) > 15, "what 75/s need and more"
