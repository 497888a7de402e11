"""What happens in worlds whose containers are resized while they run, by a real kubelet."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from pegbox.model.units import parse_quantity
from tests.e2e.api import Api, Object, samples
from tests.e2e.scenarios import TRIES, Seen, start
from tests.e2e.worlds import Application, World

SMALL: Object = {"requests": {"cpu": "20m", "memory": "40Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
LARGE: Object = {"requests": {"cpu": "40m", "memory": "40Mi"}, "limits": {"cpu": "400m", "memory": "160Mi"}}
# With fewer than 0.4 cores its tasks take longer: twice at 200m, four times at 100m, where a worker serves 2.5/s.
HUNGRY = Application(replicas=2, workers=6, cores=0.4, container={"resources": SMALL})
RESTARTS: Object = {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}


def knobs(*names: str) -> Object:
    """All by consent: the template states them."""
    sizes: list[Object] = [{"name": name, "conflictPolicy": "Take"} for name in names]
    return {"knobs": [{"name": "worker_count", "min": 1, "max": 12}, *sizes]}


def worlds_of(api: Api) -> dict[str, World]:
    # Of memory that is requested, and not used: it costs the node nothing but the number.
    large = Application(container=RESTARTS | {"resources": {"requests": {"cpu": "10m", "memory": share(api, 0.55)}}})
    return {
        "resized": World(api, "resized", HUNGRY, knobs("cpu_request", "cpu_limit", "memory_limit")),
        "no-room": World(api, "no-room", large, knobs("cpu_request", "memory_request")),
    }


def work(worlds: dict[str, World]) -> dict[str, Callable[[], Any]]:
    return {"resized": partial(resized, worlds["resized"]), "no-room": partial(no_room, worlds["no-room"])}


def looks(world: World) -> dict[str, Object]:
    """Each pod by its uid: what its spec asks for, what its kubelet says it has, and what its own cgroup says."""
    return {pod["metadata"]["uid"]: _look(world, pod) for pod in world.pods()}


def _look(world: World, pod: Object) -> Object:
    (status,) = pod["status"]["containerStatuses"]
    text = world.api.metrics(world.namespace, pod["metadata"]["name"])
    cores, size = (next(v for _, v in samples(text, f"e2e_cgroup_{unit}")) for unit in ("cores", "bytes"))
    return {
        "asked": pod["spec"]["containers"][0]["resources"],
        "reported": status["resources"],
        "cgroup": (cores, size),
        "container": (status["containerID"], status["restartCount"]),
        "resizing": [c for c in pod["status"]["conditions"] if c["type"].startswith("PodResize")],
    }


def sized(world: World, sizes: Object) -> bool:
    """Does every kubelet say so?"""
    found = looks(world).values()
    return all(one["reported"] == sizes and not one["resizing"] for one in found) and len(found) > 0


def untouched(world: World) -> tuple[int, Object]:
    """What the workload's owner applied."""
    body = world.target()
    return body["metadata"]["generation"], body["spec"]


def resized(world: World) -> Seen:
    """A trial of three sizes is accepted, a pod is replaced, a trial of too few cores is put back; then the end."""
    start(world)
    seen: Seen = {"target": [untouched(world)], "first": looks(world)}
    world.accepted("cpu_request=40m,cpu_limit=400m,memory_limit=160Mi")
    seen |= {"accepted": looks(world), "setting": world.setting()}
    gone = world.pods()[0]["metadata"]
    world.api.delete("pod", world.namespace, gone["name"])
    started = time.monotonic()
    world.until("a new pod", lambda: world.ready() and gone["uid"] not in looks(world))
    world.until("the accepted sizes in the new pod, too", lambda: sized(world, LARGE))
    seen |= {"replaced": looks(world), "gone": gone["uid"], "seconds": {"new pod resized": time.monotonic() - started}}
    world.at_rest()
    world.measured()
    seen["bad"] = world.judged("cpu_limit=100m,cpu_request=20m,memory_limit=192Mi")
    world.at_rest()
    seen |= {"after bad": looks(world), "target now": untouched(world)}
    seen["seconds"]["profile gone"] = world.delete_profile()
    world.until("the sizes of before", lambda: sized(world, seen["first"][next(iter(seen["first"]))]["reported"]))
    return seen | {"restored": looks(world), "target in the end": untouched(world), "events": world.events()}


def no_room(world: World) -> Seen:
    """Requests that its node has no room for: never, and not now. And a size whose resize would restart."""
    start(world)
    seen: Seen = {"first": looks(world), "target": untouched(world), "ends": {}}
    for size in (share(world.api, 1.09), share(world.api, 1.0, less=64)):
        for _ in range(TRIES):  # a machine that stalls may end a trial before the kubelet does
            seen["ends"][size] = world.trial(f"memory_request={size}")
            world.at_rest()
            world.until("the sizes of before", lambda: looks(world) == seen["first"])
            world.measured()
            if seen["ends"][size]["reason"] == "ResizeNotPossible":
                break
    world.try_("cpu_request=20m")
    world.until("the answer", lambda: any("RequestRefused" in e for e in world.events()))
    return seen | {
        "last": looks(world),
        "target now": untouched(world),
        "events": world.events(),
        "knobs": {k["name"]: k for k in world.status()["knobs"]},
        "breaker": world.status()["breaker"],
    }


def share(api: Api, part: float, less: int = 0) -> str:
    """That much of the memory that the node has for pods, and less by so many MiB."""
    have = api.list("node", "")[0]["status"]["allocatable"]["memory"]
    return f"{(int(parse_quantity(have, 'allocatable') * Fraction(part)) >> 20) - less}Mi"
