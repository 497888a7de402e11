"""What happens in worlds whose target is a StatefulSet: pods that keep their names, and are replaced in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.e2e.api import Api, Object
from tests.e2e.canaries import KNOBS
from tests.e2e.scenarios import TRIES, Seen, sampled, start
from tests.e2e.variables import SLOW, environment, owned, standing, variable
from tests.e2e.worlds import Application, World

PODS = 2
OFTEN = 0.5  # seconds: pods take longer to be replaced


def worlds_of(api: Api) -> dict[str, World]:
    paused = Application(replicas=PODS, workers=6, kind="StatefulSet", pause="200ms")
    lanes: Object = {"name": "lanes", "min": 1, "max": 16}
    return {
        "set": World(api, "set", paused, {"knobs": [*KNOBS, {"name": "chunk", "min": 1, "max": 32}]}),
        "rolled": World(api, "rolled", Application(replicas=PODS, kind="StatefulSet"), {"knobs": [KNOBS[0], lanes]}),
    }


def work(worlds: dict[str, World]) -> dict[str, Callable[[], Any]]:
    return {"set": partial(tuned, worlds["set"]), "rolled": partial(rolled, worlds["rolled"])}


def created(world: World) -> list[str]:
    """The pods in the order of their creation. A trial that a stall of the machine ended was tried again; that does not
    matter here."""
    pods = (p["metadata"] for p in world.pods())
    return [meta["name"] for meta in sorted(pods, key=lambda meta: str(meta["creationTimestamp"]))]


def tuned(world: World) -> Seen:
    """A hot value is accepted, one that hurts is put back; then one that pods read when they start."""
    start(world)
    seen: Seen = {"target": [owned(world)], "containers": [world.containers()]}
    world.accepted("pause=100ms")
    world.at_rest()
    seen["pause"] = world.reported("pause")
    world.measured()
    values = world.values_text()
    seen["bad"] = world.judged("worker_count=1")
    world.at_rest()
    seen |= {"values": (values, world.values_text()), "workers": world.reported("worker_count")}
    seen["containers"].append(world.containers())
    world.measured()
    uids = {p["metadata"]["uid"] for p in world.pods()}
    with sampled(partial(standing, world), OFTEN) as seen["samples"]:
        for _ in range(TRIES):
            count = len(world.ledger()["trials"])
            world.try_("chunk=8")

            def there(count: int = count) -> bool:
                return world.reported("chunk") == [8.0] * PODS or len(world.ledger()["trials"]) > count

            world.until("the new value in every pod", there, SLOW)
            if world.reported("chunk") == [8.0] * PODS:
                break
            world.at_rest()
    seen |= {"created": created(world), "kept": uids & {p["metadata"]["uid"] for p in world.pods()}}
    seen["target"].append(owned(world))
    return seen


def rolled(world: World) -> Seen:
    """A variable by admission, with a disruption budget that forbids every eviction: by a rollout."""
    start(world)
    seen: Seen = {"target": [owned(world)]}
    with sampled(partial(standing, world), OFTEN) as seen["samples"]:
        world.accepted("lanes=8", SLOW)
    seen["created"] = created(world)
    seen |= {"lanes": world.reported("lanes"), "variables": [variable(p) for p in world.pods()]}
    seen["target"].append(owned(world))
    world.at_rest()
    seen["seconds"] = world.delete_profile()
    world.until("what the template says in every pod", lambda: world.reported("lanes") == [4.0] * PODS)
    return seen | {"restored": [variable(p) for p in world.pods()], "object": environment(world)}
