"""What happens in a world whose objects somebody applies meanwhile: a team's release, or a controller that heals.

As in scenarios.py: what was seen is returned, and judged by the tests.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dev.cluster.paths import REPOSITORY
from dev.demo import cluster as demo
from tests.e2e.api import Api, Object, place
from tests.e2e.scenarios import Seen, start, written
from tests.e2e.watching import watched
from tests.e2e.worlds import Application, World
from tests.releases import HELM_4, HELMS, Release, Run

# One worker serves 10/s of 16/s, two serve all; where only a bound of the HPA is tried, four are at ease.
SLOW = Application(replicas=None, workers=1, arrivals=16.0, cpu="50m")
APPLICATIONS = {"release": SLOW, "healed": SLOW, "taken": Application(replicas=None, cpu="50m")}
KINDS = ("server", "client")  # of appliers that heal
WORKERS: Object = {"name": "worker_count", "min": 1, "max": 12}
MOST: Object = {"name": "max_replicas", "min": 1, "max": 5}
THEIRS: Object = {"autoscaler": {"ref": {"name": "team"}}, "knobs": [WORKERS, MOST]}
TAKEN: Object = THEIRS | {"knobs": [WORKERS, MOST | {"conflictPolicy": "Take"}]}
QUIET = 30.0  # seconds of peace that follow, or a second write would be seen: seven looks of every profile
HEAL = 2.0  # seconds between two applies of somebody who heals
FORCE = ("--force-conflicts",)


def worlds_of(api: Api) -> dict[str, World]:
    """A world for each kind of applier and each thing that he does, by name."""
    specs = {**{f"release-{h}": THEIRS for h in HELMS}, **{f"taken-{h}": TAKEN for h in HELMS}}
    specs |= {f"healed-{kind}": TAKEN for kind in KINDS}
    return {name: World(api, name, APPLICATIONS[name.split("-")[0]], spec) for name, spec in specs.items()}


def installed(world: World, folder: Path) -> Callable[[], Any]:
    """The first version of what the world's team applies; what follows is the scenario."""
    kind, _, tool = world.name.partition("-")
    if kind == "healed":
        somebody = healer(world, tool)
        somebody.once()
        return partial(healed, world, somebody)
    own = folder / world.name
    release = Release(tool, world.namespace, own / "chart", helm_in_cluster(own))
    said = release.upgrade(deployment(world), hpa(world), flags(world))
    assert said.passed, said.text
    return partial(released if kind == "release" else taken, world, release)


def ready(world: World) -> bool:
    return bool(world.get("deployment")["status"]["readyReplicas"] == 1)


def helm_in_cluster(folder: Path) -> Run:
    """Runs a command in the cluster's network; what Helm keeps on the client stays below `folder`."""
    own = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        inside = [sys.executable, "-m", "dev.cluster", "exec", "--", *command]
        return subprocess.run(
            inside, cwd=REPOSITORY, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )

    return run


def hpa(world: World, most: int = 3) -> Object:
    """The autoscaler of the team: far from acting, so that only its bounds are in question."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 900}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": world.application.name}
    metrics = [{"type": "Resource", "resource": cpu}]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "team", "namespace": world.namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": most, "metrics": metrics},
    }


def flags(world: World, theme: str = "dark") -> Object:
    """A ConfigMap of theirs that nobody tunes."""
    meta = {"name": "flags", "namespace": world.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"theme": theme}}


def deployment(world: World, **env: str) -> Object:
    """The workload, with more environment in its template."""
    body: Object = copy.deepcopy(world.manifests()[1])
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["env"] += [{"name": name, "value": value} for name, value in env.items()]
    return body


def trial(world: World, argument: str, act: Callable[[], Any]) -> Seen:
    """A trial that was written, `act` in the middle of it, and how it ended."""
    before, count = world.document(), len(world.ledger()["trials"])
    world.try_(argument)
    document = written(world, before)
    intent, said = world.intent(), act()
    world.until("the trial's end", lambda: len(world.ledger()["trials"]) > count and not world.intent(), 240)
    ended = world.ledger()["trials"][count]  # one of the operator's own accord may have followed
    world.at_rest()
    return {
        "intent": intent,
        "document": document,
        "said": said,
        "ended": (ended["state"], ended["reason"]),
        "values": world.document()["values"],
        "trials": len(world.ledger()["trials"]) - count,
    }


def released(world: World, release: Release) -> Seen:
    """Revisions 2 and 3 of a team's release, then its rollback, each in the middle of a trial. Nothing is taken."""
    start(world)
    paths = [place(kind, world.namespace) for kind in ("deployment", "hpa")]
    with watched(world.api, paths[0]) as deployments, watched(world.api, paths[1]) as scalers:
        light = (hpa(world, 4), flags(world, "light"))
        seen: Seen = {
            "conflict": world.condition("Conflict"),
            "untouched": trial(world, "worker_count=2", lambda: release.upgrade(deployment(world), *light)),
        }
        world.measured()
        new = (deployment(world, FLAG="on"), *light)
        seen["deployed"] = trial(world, "worker_count=3", lambda: release.upgrade(*new))
        seen["env"] = _env(world)
        world.measured()
        seen["rolled back"] = trial(world, "worker_count=3", lambda: release.rollback(2))
        seen["env after"] = _env(world)
        return seen | {
            "status": release.status(),
            "hpa": world.get("hpa", "team"),
            "ours": deployments.written_by(world.application.name) + scalers.written_by("team"),
            "versions": (len(deployments.versions), len(scalers.versions)),
        }


def _env(world: World) -> dict[str, str]:
    """What the template says now, and every pod with it."""
    containers = world.get("deployment")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in containers[0]["env"] if "value" in each}


def taken(world: World, release: Release) -> Seen:
    """An HPA of a team's release whose maximum was taken, in a trial; then the team's next version."""
    start(world)
    seen: Seen = {}
    forced = FORCE if release.helm == HELM_4 else ()
    with watched(world.api, place("hpa", world.namespace)) as scalers:
        count = len(world.ledger()["trials"])
        world.try_("max_replicas=4")
        world.until("the taken value", lambda: world.get("hpa", "team")["spec"]["maxReplicas"] == 4, every=0.3)
        if forced:
            seen["refused"] = release.upgrade(deployment(world), hpa(world), flags(world, "light"))
            seen["refused hpa"] = world.get("hpa", "team")["spec"]["maxReplicas"]
        seen["intent"] = world.intent()
        seen["said"] = release.upgrade(deployment(world), hpa(world, 5), flags(world, "light"), options=forced)
        world.until("the trial's end", lambda: len(world.ledger()["trials"]) > count and not world.intent(), 120)
        world.until("the condition", lambda: world.condition("Conflict").get("reason") == "ForeignChange")
        time.sleep(QUIET)
        ended = world.ledger()["trials"][count]
        return seen | {
            "ended": (ended["state"], ended["reason"], ended["foreign"]),
            "condition": world.condition("Conflict"),
            "hpa": world.get("hpa", "team"),
            "ours": scalers.written_by("team"),
            "breaker": world.status()["breaker"],
        }


@dataclass
class Healer:
    """Somebody who applies his manifests for ever, by whichever kind of apply."""

    apply: Callable[[Object], Any]
    bodies: list[Object]
    applied: int = 0
    errors: list[str] = field(default_factory=list)

    def once(self) -> None:
        for body in self.bodies:
            self.apply(body)
        self.applied += 1

    @contextmanager
    def at_work(self) -> Iterator[None]:
        stop = threading.Event()

        def loop() -> None:
            while not stop.wait(HEAL):
                try:
                    self.once()
                except Exception as error:
                    self.errors.append(repr(error))

        thread = threading.Thread(target=loop, name="healer")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def healer(world: World, kind: str) -> Healer:
    """`server`: server-side apply with a field manager and force; `client`: kubectl's own three-way apply."""
    plural = {"Deployment": "deployment", "HorizontalPodAutoscaler": "hpa"}

    def server_side(body: Object) -> None:
        world.api.apply(plural[body["kind"]], body, "argocd-controller", force=True)

    def client_side(body: Object) -> None:
        demo.apply(json.dumps(body))

    return Healer(server_side if kind == "server" else client_side, [deployment(world), hpa(world)])


def healed(world: World, somebody: Healer) -> Seen:
    """A hot trial, then one that takes a value of theirs, while somebody heals all the time."""
    paths = [place(kind, world.namespace) for kind in ("deployment", "hpa")]
    with somebody.at_work():
        start(world)
        with watched(world.api, paths[0]) as deployments, watched(world.api, paths[1]) as scalers:
            seen: Seen = {"hot": trial(world, "worker_count=2", lambda: None)}
            before = somebody.applied
            seen["ours in the hot trial"] = _ours(world, deployments, scalers)
            world.measured()
            seen["taking"] = trial(world, "worker_count=3,max_replicas=4", lambda: None)
            time.sleep(QUIET)
            return seen | {
                "ours": _ours(world, deployments, scalers),
                "condition": world.condition("Conflict"),
                "foreign": world.ledger()["trials"][-1]["foreign"],
                "hpa": world.get("hpa", "team"),
                "values": world.document()["values"],
                "applied": (before, somebody.applied),
                "errors": somebody.errors,
            }


def _ours(world: World, deployments: Any, scalers: Any) -> dict[str, int]:
    return {
        "Deployment": len(deployments.written_by(world.application.name)),
        "HorizontalPodAutoscaler": len(scalers.written_by("team")),
    }
