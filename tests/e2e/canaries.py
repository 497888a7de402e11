"""What happens in a world where a hot knob is tried in half of the pods first, through the document's cohorts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.e2e.api import Api, Object
from tests.e2e.scenarios import Seen, sampled, start
from tests.e2e.variables import HALF, SLOW
from tests.e2e.worlds import Application, World

KNOBS: list[Object] = [{"name": "worker_count", "min": 1, "max": 12}, {"name": "pause", "min": "1ms", "max": "400ms"}]


def worlds_of(api: Api) -> dict[str, World]:
    """A task takes 0.1 s and its pause: six workers serve 20/s of 16/s, one 3/s."""
    application = Application(replicas=4, workers=6, pause="200ms")
    return {"canary": World(api, "canary", application, {"knobs": KNOBS} | HALF)}


def work(worlds: dict[str, World]) -> dict[str, Callable[[], Any]]:
    return {"canary": partial(canaries, worlds["canary"])}


def look(world: World) -> Seen:
    """The document, and what each pod says that it runs; the document once more, as it may have moved."""
    before = world.document()
    pauses = {p["metadata"]["name"]: world.of_pod(p, "pause")[0] for p in world.pods()}
    return {"cohorts": before["cohorts"], "values": before["values"], "pauses": pauses}


def canaries(world: World) -> Seen:
    """One that helps is promoted to all; one that hurts goes back, and the rest never reads it."""
    start(world)
    containers = world.containers()
    seen: Seen = {"samples": {}, "first": look(world)}
    with sampled(partial(look, world), 0.5) as seen["samples"]["good"]:
        world.accepted("pause=100ms", SLOW)
        world.until("the promoted value in all pods", lambda: world.reported("pause") == [0.1] * 4)
    seen["promoted"] = look(world)
    world.at_rest()
    world.measured()
    values = world.values_text()
    with sampled(partial(look, world), 0.5) as seen["samples"]["bad"]:
        seen["bad"] = world.judged("pause=200ms,worker_count=1", SLOW)
        world.at_rest()
    return seen | {
        "values": (values, world.values_text()),
        "after": look(world),
        "events": world.events(),
        "containers": (containers, world.containers()),
    }
