"""A load that rises every hour: the HPA's minimum is raised before it comes, judged, and never by a guess."""

from __future__ import annotations

import copy
import math
from typing import Any

from pegbox.model.errors import NotFound
from pegbox.ports import Object
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.service import Service
from tests.loop.world import App, World, make

EACH = 5.0  # events/s that a replica of two workers bears
BUSY = 0.9  # share of that for which the HPA aims


def with_roles() -> Object:
    body = copy.deepcopy(documents.CLASS)
    for knob in body["spec"]["knobs"]:
        if knob["name"] in ("min_replicas", "max_replicas"):
            knob["role"] = "Replicas"
    return body


def followed(service: Service) -> int:
    return math.ceil(service.load / (EACH * BUSY))


async def scaled(**spec: Any) -> tuple[World, App]:
    """An HPA of ours from 2 to 30 replicas, looked at every 30 s."""
    world = await make({"service": with_roles()}, predicting=Predicting())
    create = {"minReplicas": 2, "maxReplicas": 30, "cpuUtilization": 70}
    knobs = ({"name": "min_replicas", "max": 30, "maxStep": "100%"}, {"name": "max_replicas", "value": 30})
    guards = documents.QUICK | {"trialWindow": "30s", "trialTimeout": "10m"}
    told = {"autoscaler": {"create": create}, "interval": "30s", "guards": guards, **spec}
    app = await world.add(documents.profile("checkout", *knobs, **told), workers=2)
    app.wants = followed
    return world, app


def load_at(minute: float) -> float:
    """25/s, and within each half of an hour a hill of ten minutes up to 75/s."""
    hill = max(0.0, 1.0 - abs(minute % 30.0 - 20.0) / 10.0)
    return 25.0 + 50.0 * hill


async def minutes(world: World, app: App, until: float, name: str = "checkout-pegbox") -> list[tuple[float, int, int]]:
    """(load, the HPA's minimum, replicas that the load alone asks for) at each look."""
    seen = []
    start = world.clock.now()
    while (passed := (world.clock.now() - start).total_seconds() / 60.0) < until:
        app.service.load = load_at(passed)
        await world.turn()
        try:
            low, high = await world.bounds(name)
        except NotFound:
            continue
        assert low <= high
        seen.append((app.service.load, low, followed(app.service)))
    return seen


async def test_the_minimum_rises_before_the_load_does_and_is_judged() -> None:
    world, app = await scaled()
    seen = await minutes(world, app, 200.0)
    early = [row for row in seen if row[1] > row[2]]
    assert early, "at no time were there more than the load of that moment asked for"
    assert max(low for _, low, _ in seen) <= 30
    ledger = await world.rest()
    assert "AheadOfLoad" in world.events.reasons()
    assert {t.state.value for t in ledger.trials} == {"Accepted"}
    forecast = (await world.status())["model"]["forecast"]
    assert forecast["available"] == "True" and float(forecast["upper"]) > 0


async def test_in_recommend_it_is_shown_and_not_written() -> None:
    """The twin: the HPA stands, and nobody but its owner moves it."""
    world, app = await scaled(mode="Recommend", autoscaler={"ref": {"name": "checkout"}})
    await world.apply(documents.hpa("checkout", 2, 30))
    wished = set()
    for hour in range(1, 21):
        await minutes(world, app, 10.0) if hour % 2 else await _rising(world, app)
        wished |= {e["value"] for e in (await world.status()).get("proposal", []) if e["name"] == "min_replicas"}
    assert await world.bounds() == (2, 30)
    assert any(int(value) > 2 for value in wished)
    assert "AheadOfLoad" not in world.events.reasons()


async def _rising(world: World, app: App) -> None:
    for minute in range(20, 30):
        app.service.load = load_at(minute)
        await world.turns(2)


async def test_with_too_little_history_it_says_so_and_the_hpa_is_left_alone() -> None:
    world, app = await scaled()
    seen = await minutes(world, app, 45.0)  # a whole hill, and the minutes around it
    assert {low for _, low, _ in seen} == {2}
    forecast = (await world.status())["model"]["forecast"]
    assert forecast["available"] == "False" and forecast["missing"].startswith("Learning: ")
