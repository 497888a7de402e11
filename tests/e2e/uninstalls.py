"""The operator is uninstalled while profiles in Auto live, people act meanwhile, and it is installed again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from functools import partial

from dev.demo import cluster as demo
from tests.e2e import installed, sizes, variables
from tests.e2e.api import Api, Object, wait_for
from tests.e2e.operators import SYSTEM
from tests.e2e.running import Running
from tests.e2e.scenarios import Seen, last, objects, start, written
from tests.e2e.worlds import Application, World

QUIET = 20.0  # seconds: five looks of every profile, if anybody looked
KINDS = ("crd", "clusterrole", "clusterrolebinding", "validatingadmissionpolicy", "performanceclass")


# At rest; in mid-trial; deleted meanwhile; deleted and put in order by hand.
NAMES = ("rest", "trial", "deleted", "hand")
# A variable by admission and a size were accepted: one of two pods is replaced meanwhile; deleted meanwhile.
IN_PODS = ("pods", "pods-deleted")
SMALL: Object = {"requests": {"cpu": "20m", "memory": "40Mi"}}
LARGE: Object = {"requests": {"cpu": "40m", "memory": "40Mi"}}


def worlds_of(api: Api) -> dict[str, World]:
    two = Application(replicas=2, container={"resources": SMALL})
    knobs = {"knobs": [*variables.KNOBS, {"name": "cpu_request", "conflictPolicy": "Take"}]}
    return _documents(api) | {n: World(api, f"left-{n}", two, knobs) for n in IN_PODS}


def _documents(api: Api) -> dict[str, World]:
    # One worker serves 10/s of 12/s; two are at ease, so that a busy machine does not make them fail at rest.
    slow = Application(workers=1, arrivals=12.0)
    late = Application(workers=1, arrivals=12.0, acknowledge_after=6.0)
    return {n: World(api, f"left-{n}", late if n == "trial" else slow) for n in NAMES}


def tuned(worlds: dict[str, World]) -> dict[str, Callable[[], None]]:
    """An accepted trial in each world, but in the one that is to be in its first."""
    acts = {"trial": start} | dict.fromkeys(IN_PODS, accepted_in_pods)
    return {name: partial(acts.get(name, accepted), world) for name, world in worlds.items()}


def accepted(world: World) -> None:
    start(world)
    world.accepted("worker_count=2")


def accepted_in_pods(world: World) -> None:
    start(world)
    world.accepted("lanes=8,cpu_request=40m", variables.SLOW)
    world.until("the accepted sizes in every pod", lambda: sizes.sized(world, LARGE))


def left(worlds: Running) -> Seen:
    """All of it, in order. Nothing is judged here."""
    worlds["trial"].measured()  # windows are the process's own memory, and other tests may have ended it
    before = worlds["trial"].document()
    worlds["trial"].try_("worker_count=2")
    document, intent = written(worlds["trial"], before), worlds["trial"].intent()
    demo.cluster("exec", "--", "helm", "uninstall", "pegbox", "-n", SYSTEM, "--wait", "--timeout", "2m")
    wait_for("the operator's end", lambda: not worlds["rest"].api.list("pod", SYSTEM), 60)
    seen: Seen = {"intent": intent, "trial document": document, "names": {kind: _names(kind) for kind in KINDS}}
    seen["in pods"] = {name: _in_pods(worlds[name]) for name in IN_PODS}
    seen["lease"] = worlds["rest"].api.get("lease", SYSTEM, "pegbox")["metadata"]["name"]
    seen["gone"] = _while_gone(worlds)
    started = time.monotonic()
    installed.operator()
    seen["installed"] = time.monotonic() - started
    return seen | {"back": _once_back(worlds, started)}


def _while_gone(worlds: Running) -> Seen:
    """Nothing moves by itself; then two profiles are deleted, and one of them is put in order as the runbook says."""
    noted = [worlds[name] for name in NAMES]
    before = {w.name: _stands(w) for w in noted}
    time.sleep(QUIET)
    worlds["trial"].until("the trial's setting in its pod", worlds["trial"].in_force)
    seen: Seen = {
        "before": before,
        "after": {w.name: _stands(w) for w in noted},
        "workers": {w.name: w.reported("worker_count") for w in noted},
        "in pods": {name: _in_pods(worlds[name]) for name in IN_PODS},
    }
    deleted = [worlds[name] for name in ("deleted", "hand", "pods-deleted")]
    for world in deleted:
        world.api.delete("profile", world.namespace, world.application.name)
    seen["replaced"] = _one_replaced(worlds["pods"])
    time.sleep(QUIET)
    waiting = {w.name: w.get("profile")["metadata"] for w in deleted}
    return seen | {"waiting": waiting, "by hand": _by_hand(worlds["hand"])}


def _in_pods(world: World) -> dict[str, tuple[float, Object]]:
    """What each pod says of the variable, and what its kubelet says of its sizes, by the pod's uid."""
    lanes = variables.lanes(world)
    return {uid: (lanes[uid], look["reported"]) for uid, look in sizes.looks(world).items()}


def _one_replaced(world: World) -> tuple[str, dict[str, tuple[float, Object]]]:
    """The uid of a pod that died, and the pods once another one is in its place."""
    gone = world.pods()[0]["metadata"]
    world.api.delete("pod", world.namespace, gone["name"])
    world.until("a new pod", lambda: world.ready() and len(world.pods()) == 2 and gone["uid"] not in _in_pods(world))
    return str(gone["uid"]), _in_pods(world)


def _stands(world: World) -> tuple[Object, dict[str, str]]:
    """The document, and the version of each object of the workload that Pegbox may write."""
    kept = objects(world)
    return world.document(), {key: kept[key] for key in kept if key.startswith(f"{world.application.name}-pegbox ")}


def _by_hand(world: World) -> Seen:
    """docs/runbook.md: our key is removed, the pods restart with their own defaults, the finalizer is removed."""
    originals = json.loads(world.config_map()["metadata"]["annotations"]["pegbox.dev/originals"])
    name, space = world.application.name, world.namespace
    remove = json.dumps([{"op": "remove", "path": "/data/settings.json"}])
    demo.kubectl("patch", "configmap", f"{name}-pegbox", "-n", space, "--type=json", "-p", remove)
    demo.kubectl("rollout", "restart", f"deployment/{name}", "-n", space)
    demo.rolled_out("deployment", name, space)
    world.until("the value of before", lambda: world.reported("worker_count") == [1.0])
    no_finalizer = json.dumps({"metadata": {"finalizers": None}})
    demo.kubectl("patch", "performanceprofile", name, "-n", space, "--type=merge", "-p", no_finalizer)
    world.until("the profile's end", lambda: not world.api.list("profile", space))
    return {"originals": originals, "config map": world.config_map()["metadata"]["resourceVersion"]}


def _once_back(worlds: Running, started: float) -> Seen:
    trial, deleted, rest = worlds["trial"], worlds["deleted"], worlds["rest"]
    deleted.until("the deleted profile's end", lambda: not deleted.api.list("profile", deleted.namespace), 180)
    restored = time.monotonic() - started
    deleted.until("acknowledgement of what was restored", deleted.in_force)
    count = len(trial.ledger()["trials"])
    trial.until("the trial's end", lambda: not trial.intent() and len(trial.ledger()["trials"]) > 0, 300)
    trial.at_rest()
    pods, gone = worlds["pods"], worlds["pods-deleted"]
    gone.until("the other deleted profile's end", lambda: not gone.api.list("profile", gone.namespace), variables.SLOW)
    gone.until(
        "what its template says", lambda: sizes.sized(gone, SMALL) and set(variables.lanes(gone).values()) == {4.0}
    )
    pods.until("the accepted size in the new pod", lambda: sizes.sized(pods, LARGE))
    pods.until("what is said of its variable", lambda: pods.condition("Conflict").get("reason") == "AdmissionMissed")
    rest.until("figures", lambda: rest.condition("MetricsAvailable").get("status") == "True")
    return {
        "restored after": restored,
        "deleted": (deleted.document(), deleted.reported("worker_count")),
        "trials": (count, last(trial)),
        "trial": (trial.document(), trial.reported("worker_count")),
        "rest": (rest.document(), rest.setting(), rest.condition("Ready")),
        "in pods": _in_pods(pods),
        "said": pods.condition("Conflict")["message"],
        "missed": [
            pod["metadata"]["name"] for pod in pods.pods() if variables.lanes(pods)[pod["metadata"]["uid"]] == 4.0
        ],
        "by hand": worlds["hand"].config_map()["metadata"]["resourceVersion"],
        "by hand ledger": worlds["hand"].get("ledger")["metadata"]["name"],
        "events": _reasons(rest.events()),
    }


def _names(kind: str) -> set[str]:
    """Ours, of a cluster-wide kind; not the development cluster's own."""
    found = json.loads(demo.kubectl("get", kind, "-o", "json"))["items"]
    names = {str(each["metadata"]["name"]) for each in found}
    ours = {name for name in names if "pegbox" in name or kind == "performanceclass"}
    return {name for name in ours if not name.startswith("pegbox-dev:")}


def _reasons(events: Iterable[str]) -> set[str]:
    return {event.split(":")[0] for event in events}
