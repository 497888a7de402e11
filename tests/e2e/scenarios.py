"""What happens in each world, from its profile on. They run at the same time: most of it is waiting.

A scenario returns what was seen; the tests say what of it must hold. Nothing here is judged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tests.e2e.api import Object
from tests.e2e.worlds import PATIENCE, World

Seen = dict[str, Any]
TRIES = 3
ACK = 90.0  # seconds: a kubelet refreshes after 5 s here, then the application polls; the rest is a busy machine


@contextmanager
def sampled(look: Callable[[], Any], every: float = 1.0) -> Iterator[list[Any]]:
    """Look once a second meanwhile; what could not be read is left out."""
    seen: list[Any] = []
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(every):
            try:
                seen.append(look())
            except Exception:
                continue

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def start(world: World) -> None:
    """The profile is applied, adopted, and its setting measured."""
    world.apply_profile()
    world.adopted()
    world.until("acknowledgement of the adopted document", world.in_force, ACK)
    world.measured()


def written(world: World, before: Object) -> Object:
    """The document that follows `before`."""
    world.until("a new document", lambda: world.document()["generation"] > before["generation"], every=0.3)
    return world.document()


def hot(world: World) -> Seen:
    """A value changes in running pods."""
    reported = world.reported("worker_count")
    world.apply_profile()
    world.adopted()
    adopted = world.document()
    world.until("acknowledgement", world.in_force, ACK)
    containers = world.containers()
    world.measured()
    said = world.try_("worker_count=5")
    document = written(world, adopted)

    def taken_up() -> bool:
        return {g for g, _ in world.acknowledged()} == {document["generation"]}

    seconds = world.until("acknowledgement", taken_up, ACK, 0.3)
    return {
        "reported": reported,
        "adopted": adopted,
        "said": said,
        "document": document,
        "acknowledged": world.acknowledged(),
        "workers": world.reported("worker_count"),
        "seconds": seconds,
        "containers": (containers, world.containers()),
        "config_map": world.config_map(),
    }


def restart(world: World) -> Seen:
    """A value that a container reads when it starts: pods are evicted one after the other."""
    start(world)
    before, pods = world.document(), world.pods()
    started = time.monotonic()

    def look() -> tuple[set[str], int]:
        running = world.pods()
        ready = [
            p for p in running if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"]["conditions"])
        ]
        return {p["metadata"]["uid"] for p in running}, len(ready)

    with sampled(look) as samples:
        for _ in range(TRIES):  # a machine that stalls may end a trial before it is in force everywhere
            count = len(world.ledger()["trials"])
            world.try_("chunk=8")
            written(world, before)

            def ended(count: int = count) -> bool:
                return len(world.ledger()["trials"]) > count

            world.until("new env in every pod", lambda: world.reported("chunk") == [8.0, 8.0] or ended(), 2 * PATIENCE)
            seconds = time.monotonic() - started
            world.until("in force", lambda: world.setting().get("chunk") == "8" or ended())
            if world.setting().get("chunk") == "8":
                break
            world.at_rest()
            before = world.document()
    return {
        "old": {p["metadata"]["uid"] for p in pods},
        "samples": samples,
        "seconds": seconds,
        "acknowledged": world.acknowledged(),
        "document": world.document(),
        "data": world.config_map()["data"],
        "replica_sets": len(world.api.list("replicaset", world.namespace)),
        "evictions": [e for e in world.api.list("event", world.namespace) if e["reason"] in ("Killing", "Evicted")],
    }


def autoscaled(world: World) -> Seen:
    """Bounds of an HPA that the profile creates: raised by a trial, obeyed by the controller, put back."""
    name = f"{world.application.name}-pegbox"
    world.apply_profile()
    world.adopted()
    world.until("the metrics-server's figures", lambda: world.get("hpa", name)["status"].get("currentMetrics"), 180)
    world.measured()
    before = world.get("hpa", name)
    for _ in range(1 + TRIES):
        world.try_("min_replicas=2,max_replicas=3")
        world.until("raised bounds", lambda: world.get("hpa", name)["spec"]["minReplicas"] == 2, every=0.5)
        raised = world.get("hpa", name)
        acted = world.until("the HPA's act", lambda: world.get("deployment")["spec"]["replicas"] == 2)
        world.verb("rollback")
        world.until("the bounds of before", lambda: world.get("hpa", name)["spec"] == before["spec"])
        world.at_rest()
        if last(world)["state"] != "Inconclusive":  # a machine that stalls ended it before it was asked to go back
            break
        world.measured()
    return {"before": before, "raised": raised, "acted": acted, "after": world.get("hpa", name), "last": last(world)}


def taken(world: World, hpa: Object) -> Seen:
    """An HPA that a team applied, taken over by consent, then given its value back."""
    world.apply_profile()
    world.adopted()
    world.until("acknowledgement", world.in_force, ACK)
    before = world.get("hpa", hpa["metadata"]["name"])
    world.try_("max_replicas=4")
    world.until("the taken value", lambda: world.get("hpa", "team")["spec"]["maxReplicas"] == 4, every=0.5)
    during = world.get("hpa", "team")
    seconds = world.delete_profile()
    return {"before": before, "during": during, "after": world.get("hpa", "team"), "seconds": seconds}


def refused(world: World) -> Seen:
    """The same without consent: said, and not written."""
    before = world.get("hpa", "team")
    world.apply_profile()
    world.adopted()
    world.until("the condition", lambda: world.condition("Conflict").get("status") == "True")
    world.try_("max_replicas=4")
    world.until("the answer", lambda: any("RequestRefused" in e for e in world.events()))
    return {
        "before": before,
        "condition": world.condition("Conflict"),
        "knobs": {k["name"]: k for k in world.status()["knobs"]},
        "events": world.events(),
        "after": world.get("hpa", "team"),
    }


def harmful(world: World) -> Seen:
    """A value that makes the workload slow, twice: put back, acknowledged, and then the breaker is open."""
    start(world)
    values, tries = world.values_text(), []
    for _ in range(2 + TRIES):
        one = put_back(world)
        if one["last"]["state"] != "Inconclusive":  # which is what a machine that stalls makes of a trial
            tries.append(one)
        if len(tries) == 2:
            break
        time.sleep(20)  # what waited in the queue is worked off, and a clean window stands before the next try
        world.until("ease at the setting of before", lambda: world.condition("Ready").get("status") == "True")
        world.measured()
    world.until("the open breaker", lambda: world.status()["breaker"]["state"] == "Open", 60)
    return {"values": values, "tries": tries, "events": world.events(), "degraded": world.condition("Degraded")}


def put_back(world: World) -> Seen:
    """One bad value, and its way back."""
    before = world.document()
    world.try_("worker_count=1")
    asked = time.monotonic()
    bad = written(world, before)
    wrote = time.monotonic()
    world.until("the rollback", lambda: world.document()["generation"] > bad["generation"], 180, 0.5)
    rolled, intent = time.monotonic(), world.ledger()["intent"] or {}
    told: list[Object] = []  # the status is written after the document, in the same look

    def in_force() -> bool:
        told.append(world.condition("Degraded"))
        return world.in_force()

    world.until("acknowledgement of the rollback", in_force, ACK, 0.5)
    acknowledged = time.monotonic()
    world.at_rest()
    return {
        "bad": bad["values"],
        "degraded": next((one for one in told if one.get("reason") == "RollingBack"), told[0]),
        "values": world.values_text(),
        "last": last(world),
        "breaker": world.status()["breaker"],
        "seconds": {
            "asked to written": wrote - asked,
            "first bad sample to first write of the rollback": between(intent, "first_bad_at", "stage_at"),
            "written to put back": rolled - wrote,
            "rollback to acknowledgement": acknowledged - rolled,
        },
    }


def killed(world: World) -> Seen:
    """A value that the container has no memory for: the kernel ends it, and again each time that it starts with that."""
    start(world)
    before, values = world.reported("hoard"), world.values_text()
    ended = world.judged("hoard=128", 4 * PATIENCE)
    world.until("its pod", world.ready, 3 * PATIENCE)
    world.at_rest()
    (status,) = world.pods()[0]["status"]["containerStatuses"]
    return {
        "ended": ended,
        "values": (values, world.values_text()),
        "hoard": (before, world.reported("hoard")),
        "last end": status["lastState"].get("terminated", {}),
        "restarts": status["restartCount"],
        "breaker": world.status()["breaker"],
        "events": world.events(),
    }


def restored(world: World) -> Seen:
    """A trial is accepted, then the profile is deleted."""
    start(world)
    before, values = world.document(), world.values_text()
    world.accepted("worker_count=2")
    tuned = world.document()
    finalizers = world.get("profile")["metadata"].get("finalizers")
    seconds = world.delete_profile()
    acknowledged = world.until("acknowledgement of what was restored", world.in_force, ACK)
    return {
        "before": before,
        "values": (values, world.values_text()),
        "tuned": tuned,
        "finalizers": finalizers,
        "after": world.document(),
        "workers": world.reported("worker_count"),
        "seconds": {"profile gone": seconds, "acknowledged": acknowledged},
    }


def shared(first: World, second: World, seconds: float = 400.0) -> Seen:
    """Two profiles that both want more of one budget than there is for both."""
    for world in (first, second):
        world.apply_profile()

    def look() -> Object:
        return dict(first.get("budget", "connections"))

    def done() -> bool:
        return all(any("TrialAccepted" in e for e in w.events()) for w in (first, second))

    with sampled(look) as samples:
        for world in (first, second):
            world.adopted()
        try:
            first.until("accepted trials of both", done, seconds)
        except AssertionError as error:
            return {"samples": samples, "late": str(error), "events": first.events()}
        time.sleep(20)  # nothing more is granted than there is, now that both have had some
    return {"samples": samples, "late": "", "events": first.events(), "settings": [first.setting(), second.setting()]}


def searched(world: World) -> Seen:
    """Nobody asks for anything: a knob without a role is tried by the search, until a step of it is accepted."""
    start(world)
    before = world.document()

    def won() -> bool:
        return any(trial["state"] == "Accepted" for trial in world.ledger()["trials"])

    seconds = world.until("an accepted trial of the search", won, 500)
    world.verb("pause")
    world.at_rest()
    return {
        "before": before,
        "events": world.events(),
        "pause": world.reported("pause"),
        "setting": world.setting(),
        "seconds": seconds,
    }


def recommended(world: World) -> Seen:
    """Mode Recommend: everything is read, nothing is written."""
    before = objects(world)
    world.apply_profile()
    world.until("a proposal", lambda: world.status().get("proposal"), 240)
    status = world.status()
    return {"before": before, "after": objects(world), "status": status, "profile": world.get("profile")}


def objects(world: World) -> dict[str, str]:
    """uid -> resourceVersion of all that a workload is made of."""
    kinds = ("deployment", "replicaset", "pod", "configmap", "hpa")
    found = [o for kind in kinds for o in world.api.list(kind, world.namespace)]
    return {f"{o['metadata']['name']} {o['metadata']['uid']}": o["metadata"]["resourceVersion"] for o in found}


def between(intent: Object, first: str, second: str) -> float:
    """Seconds between two moments of an intent; NaN where one of them was not caught."""
    moments = [intent.get(name) for name in (first, second)]
    if not all(moments):
        return float("nan")
    start, end = (datetime.fromisoformat(str(moment)) for moment in moments)
    return (end - start).total_seconds()


def last(world: World) -> Object:
    return dict(world.status().get("lastTrial") or {})
