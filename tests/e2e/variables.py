"""What happens in worlds whose variables come by admission: real pods are made anew, and the templates never know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.e2e.api import Api, NotThere, Object
from tests.e2e.scenarios import Seen, sampled, start
from tests.e2e.worlds import PATIENCE, Application, World

KNOBS: list[Object] = [{"name": "worker_count", "min": 1, "max": 12}, {"name": "lanes", "min": 1, "max": 16}]
HALF: Object = {"trial": {"canary": {"share": "50%", "minPods": 2}}}
SLOW = 3 * PATIENCE  # seconds: pods are replaced one after the other, and a canary is judged twice


def worlds_of(api: Api) -> dict[str, World]:
    """With one lane for four a task takes four times as long: 0.4 s, of which four workers serve 10/s of 16/s."""
    two = Application(replicas=2)
    return {
        "admitted": World(api, "admitted", two, {"knobs": KNOBS}),
        "made": World(api, "made", two, {"knobs": KNOBS} | HALF),
    }


def work(worlds: dict[str, World]) -> dict[str, Callable[[], Any]]:
    return {"admitted": partial(admitted, worlds["admitted"]), "made": partial(made, worlds["made"])}


def disruptions(world: World, unavailable: int) -> Object:
    """A team's own PodDisruptionBudget."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "team", "namespace": world.namespace},
        "spec": {"maxUnavailable": unavailable, "selector": {"matchLabels": {"app": world.application.name}}},
    }


def lanes(world: World) -> dict[str, float]:
    """What the process in each pod says, by the pod's uid."""
    return {pod["metadata"]["uid"]: world.of_pod(pod, "lanes")[0] for pod in world.pods()}


def standing(world: World) -> Seen:
    """One look: which pods are ready, how many run and stay (a machine that stalls makes pods unready by itself), and
    what stands in each pod's own environment."""
    found = world.pods()
    runs = sum("deletionTimestamp" not in p["metadata"] and p["status"].get("phase") == "Running" for p in found)
    conditions = [c for p in found for c in p["status"].get("conditions", [])]  # each pod has one of a type
    ready = sum(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return {"ready": ready, "runs": runs, "env": {p["metadata"]["uid"]: variable(p) for p in found}}


def variable(pod: Object) -> str | None:
    env = pod["spec"]["containers"][0]["env"]
    return next((str(e["value"]) for e in env if e["name"] == "LANES"), None)


def environment(world: World) -> Object | None:
    try:
        return world.get("podenvironment")
    except NotThere:
        return None


def owned(world: World) -> Object:
    """What the workload's owner applied, and who else ever wrote of it."""
    body = world.target()
    writers = {e["manager"] for e in body["metadata"]["managedFields"] if e.get("subresource") != "status"}
    return {"generation": body["metadata"]["generation"], "spec": body["spec"], "writers": writers}


def admitted(world: World) -> Seen:
    """A value that helps is accepted, one that hurts is put back, and the profile's end gives all of it back."""
    start(world)
    seen: Seen = {"target": [owned(world)], "lanes": [lanes(world)], "samples": {}}
    with sampled(partial(standing, world)) as seen["samples"]["good"]:
        world.accepted("lanes=8", SLOW)
    seen["lanes"].append(lanes(world))
    seen["target"].append(owned(world))
    world.at_rest()
    world.measured()
    with sampled(partial(standing, world)) as seen["samples"]["bad"]:
        seen["bad"] = world.judged("lanes=1", SLOW)
        world.until("the value of before in every pod", lambda: set(lanes(world).values()) == {8.0})
    seen["lanes"].append(lanes(world))
    seen["target"].append(owned(world))
    world.at_rest()
    seen["seconds"] = world.delete_profile()
    world.until("what the template says in every pod", lambda: set(lanes(world).values()) == {4.0})
    seen["lanes"].append(lanes(world))
    seen["target"].append(owned(world))
    return seen | {"environment": environment(world), "variables": standing(world)["env"], "events": world.events()}


def made(world: World) -> Seen:
    """Canaries of a variable: one pod of two takes it first. One that helps is widened, one that hurts is not."""
    start(world)
    seen: Seen = {"target": [owned(world)], "samples": {}}
    with sampled(partial(standing, world), 0.5) as seen["samples"]["good"]:
        world.accepted("lanes=8", SLOW)
    seen["lanes"] = [lanes(world)]
    world.at_rest()
    world.measured()
    count = len(world.ledger()["trials"])
    with sampled(partial(standing, world), 0.5) as seen["samples"]["bad"]:
        seen["bad"] = world.judged("lanes=1", SLOW)
        world.at_rest()
    seen["lanes"].append(lanes(world))
    seen["target"].append(owned(world))
    return seen | {"events": world.events(), "tries": len(world.ledger()["trials"]) - count}
