"""The faults by name: what each does to the world, and the line of the table in docs/reliability.md that it counts for.

A fault takes the world, a source of chance of its own and the tenant it strikes, and returns what it did in words.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pegbox.model.errors import NotAvailable, NotEvicted, PegboxError, Refused, WriteConflict
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    LEDGER,
    POD,
    POD_ENVIRONMENT,
    PROFILE,
    STATEFUL_SET,
    Kind,
    Object,
)
from pegbox.runtime.points import Point
from pegbox.runtime.reading import KINDS
from pegbox.testing.faults import Faults
from tests.chaos import network
from tests.chaos.application import ENV, RESTARTS, VARIABLE
from tests.chaos.prometheus import BLIND, LIES, ONE_SIGNAL
from tests.chaos.world import NAMESPACE, Operator, World
from tests.loop import documents

Act = Callable[[World, random.Random, str], Awaitable[str]]
ERRORS: dict[str, PegboxError] = {
    "409": WriteConflict("the object has been modified"),
    "422": Refused("is invalid: spec: Invalid value", status=422),
    "429": NotAvailable("too many requests (429)"),
    "webhook (403)": Refused('admission webhook "x.example.invalid" denied the request: no', status=403),
    "quota (403)": Refused('"x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=9', status=403),
    "LimitRange (403)": Refused('"x" is forbidden: maximum memory usage per Container is 512Mi', status=403),
    "too large (413)": Refused("the body is over 3145728 bytes", status=413),
    "500": NotAvailable("etcdserver: request timed out (500)"),
    "timeout": NotAvailable("the request timed out"),
    "connection reset": NotAvailable("ClientOSError: [Errno 104] Connection reset by peer"),
}
BUDGET_FORBIDS = NotEvicted(
    "Cannot evict pod as it would violate the pod's disruption budget. The disruption budget x needs 1 healthy pods and has 1 currently",
    status=429,
    budget="x",
)
"""What the adapter makes of a 429 with the cause DisruptionBudget (`adapters/kube/answers.py`)."""
LOST = ("timeout", "connection reset")  # whoever gets these cannot know whether the write was carried out
_WORKLOAD = ("apply", "json_patch")  # a rollout; scale, fence, and what is given back to its owner
WRITES: dict[Kind, tuple[str, ...]] = {
    CONFIG_MAP: ("apply", "apply", "json_patch"),
    HPA: ("apply", "create", "json_patch"),
    LEDGER: ("apply", "create", "json_patch"),
    PROFILE: ("apply", "json_patch"),
    BUDGET: ("json_patch",),
    POD: ("evict", "json_patch"),
    POD_ENVIRONMENT: ("apply", "create", "json_patch", "delete"),
    DEPLOYMENT: _WORKLOAD,
    STATEFUL_SET: _WORKLOAD,
}
"""The verbs by which the operator writes each kind."""
FOR_LONG = 40  # calls: longer than a trial waits for its write


@dataclass(frozen=True)
class Fault:
    """`weight` is how often it is drawn."""

    name: str
    group: str
    weight: int
    act: Act


TABLE: dict[str, Fault] = {}


def fault(name: str, group: str, weight: int = 2) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        TABLE[name] = Fault(name, group, weight, act)
        return act

    return register


# --- API server


def _written(world: World, chance: random.Random, tenant: str) -> tuple[Kind, str]:
    """A kind that the operator writes in this shop, and how; once in six times any call at all."""
    here = world.tenant(tenant)
    kinds = [CONFIG_MAP, LEDGER, PROFILE, KINDS[here.kind]]
    kinds += [HPA] if {"min_replicas", "max_replicas"} & set(here.knobs) else []
    kinds += [BUDGET] if "budgetRef" in str(here.profile["spec"]["budgets"]) else []
    kinds += [POD] if RESTARTS & set(here.knobs) or here.sizes else []
    kinds += [POD_ENVIRONMENT] if VARIABLE in here.knobs else []
    kind = chance.choice(kinds)
    return kind, chance.choice(WRITES[kind]) if chance.random() < 0.84 else "*"


LIVES: dict[Kind, tuple[str, ...]] = {
    CONFIG_MAP: ("workers", "pool", "threads", "cache"),
    HPA: ("min_replicas", "max_replicas"),
    POD: (*sorted(RESTARTS), "cpu_request"),
    POD_ENVIRONMENT: (VARIABLE,),
    DEPLOYMENT: ("replicas", ENV),
    STATEFUL_SET: ("replicas", ENV),
}
"""The knobs whose trials write each kind; all of them write ledger, profile and budget."""


async def _tried(world: World, chance: random.Random, tenant: str, kind: Kind) -> str:
    """A trial is asked for that writes this kind."""
    values = world.tunable(tenant)
    names = [n for n in values if n in LIVES.get(kind, tuple(values))]
    if world.profile(tenant) is None or not names:
        return "nothing to try"
    name = chance.choice(names)
    await world.ask(tenant, "try", f"{name}={max(1, values[name] + chance.choice((-1, -1, 1)))}")
    return f"{name} is tried"


def _fails(name: str, *, lost: bool) -> Act:
    """Most of the time a trial begins that writes the kind: before the fault, which then meets its way back, or after it."""

    async def act(world: World, chance: random.Random, tenant: str) -> str:
        (kind, verb), times = _written(world, chance, tenant), chance.choice((1, 1, 2, 5, FOR_LONG))
        error, when = ERRORS[name], chance.choice(("way back", "way back", "trial", "trial", ""))
        if (name, verb) == ("429", "evict"):  # of a budget, or of a server that is overloaded, as for any other verb
            error = chance.choice((BUDGET_FORBIDS, error))
        times = min(times, 5) if lost else times
        did = await _tried(world, chance, tenant, kind) if when == "way back" else ""
        for _ in range(chance.choice((1, 2, 3)) if did else 0):
            await world.turn()
        world.server.faults.fail_next(verb, kind, error, times, lost=lost)
        if when == "trial":
            did = await _tried(world, chance, tenant, kind)
        elif did and world.profile(tenant) is not None:
            await world.ask(tenant, "rollback")
        for _ in range(chance.choice((1, 2, 4)) if did else 0):
            await world.turn()
        return f"the next {times} {verb} {kind.kind}{' are lost' if lost else ''} {when and f'of a {when}'}: {did}"

    return act


for _name in ERRORS:
    fault(f"write fails: {_name}", "API server", 2)(_fails(_name, lost=False))
for _name in LOST:
    fault(f"write takes effect, answer lost: {_name}", "API server", 2)(_fails(_name, lost=True))


@fault("write role revoked (403)", "API server", 3)
async def _revoked(world: World, chance: random.Random, tenant: str) -> str:
    places = (("", "configmaps"), ("autoscaling", "horizontalpodautoscalers"), ("apps", "*"), ("", "pods/eviction"))
    what = chance.choice((*places, ("", "pods/resize"), ("pegbox.dev", "podenvironments"), ("*", "*"), ("*", "*")))
    groups = (("", "*"), ("autoscaling", "*"), ("apps", "*"), ("policy", "*"), ("pegbox.dev", "podenvironments"))
    for group, resource in groups if what == ("*", "*") else (what,):
        for verb in ("patch", "create"):
            world.server.faults.deny(verb, group, resource)
    return "every workload write" if what == ("*", "*") else f"writing {what[1]}"


@fault("write role granted again", "API server", 1)
async def _granted(world: World, chance: random.Random, tenant: str) -> str:
    world.server.faults.grant_all()
    return "everything is allowed again"


@fault("conflict storm", "API server", 3)
async def _storm(world: World, chance: random.Random, tenant: str) -> str:
    """Somebody writes each object right before the operator does: what names a version is refused, and decided again."""
    world.network.storm = chance.choice((3, 10, 30))
    return f"{world.network.storm} writes"


@fault("API server gone for minutes", "API server", 3)
async def _gone(world: World, chance: random.Random, tenant: str) -> str:
    seconds = chance.choice((5.0, 60.0, 300.0))
    world.network.gone_until = world.clock.monotonic() + seconds
    return f"for {seconds:g} s"


# --- operator


@fault("operator killed", "operator", 8)
async def _killed(world: World, chance: random.Random, tenant: str) -> str:
    world.kill_in, world.kill_at = chance.choice((1, 1, 1, 2, 3, 5)), None
    if chance.random() < 0.5:
        world.kill_at = chance.choice(list(Point))
        world.kill_in = 1
    return f"at {world.kill_at or 'any point'}, {world.kill_in}. time"


@fault("operator restarted", "operator", 3)
async def _restarted(world: World, chance: random.Random, tenant: str) -> str:
    world.restart()
    return "all memory lost"


@fault("stale leader resumes after takeover", "operator", 12)
async def _stale(world: World, chance: random.Random, tenant: str) -> str:
    """It stops right before one of its writes, another one takes over, then it goes on as if nothing had been."""
    old = world.operator
    kinds = chance.choice((network.ANY, network.WORKLOAD, *[network.LAST] * 3, network.DOCUMENT, network.CLAIM))
    if kinds == network.DOCUMENT and _rests(world, tenant):
        await world.alice.delete(world.apps[tenant].own_ref)  # it stops before it makes it anew
    elif chance.random() < 0.8 and world.profile(tenant) is not None:
        # A change set of several objects, so that it may stop between two of them.
        wanted = {n: v + chance.choice((-1, 1)) for n, v in world.tunable(tenant).items() if v > 1}
        await world.ask(tenant, "try", ",".join(f"{n}={v}" for n, v in wanted.items()))
    old.network.stop_kinds, old.network.stopped = kinds, asyncio.Event()
    old.network.stop_at = 1 if kinds in (network.LAST, network.DOCUMENT) else chance.choice((1, 2, 2, 3))
    task = await _until_it_stops(world, tenant, old)
    world.restart()
    stood = world.moved_by_leaders(tenant)
    # The new one may have to turn back what the old began: then it writes nothing where nothing was written yet.
    begins = ("verb try",) if kinds == network.CLAIM else ()
    between = chance.choice(("", "deploy", "deploy", "verb rollback", *begins))
    if between:
        await TABLE[between].act(world, chance, tenant)
        world.on_others()
        await world.others_step()  # a new revision is there to be seen
    wakes = chance.choice((1, 1, 2, 3))
    began, _ = world.named(tenant)
    for _ in range(wakes):
        intent, named = world.named(tenant)
        await world.wake(tenant)
        if world.went and intent == began and world.condition(tenant, "Accepted")[0] == "True":
            old.network.fenced |= named
        old.network.fenced |= {ref for ref, what in world.moved_by_leaders(tenant).items() if what != stood.get(ref)}
        await world.others_step()
        world.clock.skip(2)
    old.network.go_on.set()
    old.network.stop_at = 0
    world.resumes = True
    await task
    world.resumes = False
    old.network.fenced = frozenset()  # what it reads anew it may write: that is for its Lease to forbid
    if chance.random() < 0.3 and not old.killed:
        await world.wake(tenant, old)  # it still believes in itself
    return f"after {wakes} wakes of the new one" + (f", {between} first" if between else "")


def _rests(world: World, tenant: str) -> bool:
    """Is our ConfigMap there, and made anew at the next look if it is not?"""
    written = world.apps[tenant].document is not None and world.allow_writes
    return written and world.mode(tenant) == "Auto" and not world.unsettled(tenant) and not world.brake_of(tenant)


async def _until_it_stops(world: World, tenant: str, old: Operator) -> asyncio.Task[float | None]:
    """Its wake that was stopped in the middle, or the last of some that were not."""
    assert old.network.stopped is not None
    stopped = asyncio.ensure_future(old.network.stopped.wait())
    for _ in range(5):
        world.on_wake(tenant)
        task = asyncio.ensure_future(world.attempt(old, tenant))
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done() or old.killed:
            break
        await world.others_step()
        world.clock.skip(2)
    stopped.cancel()
    return task


@fault("clock jumps", "operator", 3)
async def _jumps(world: World, chance: random.Random, tenant: str) -> str:
    seconds = chance.choice((-3600.0, -600.0, -30.0, 30.0, 600.0, 7200.0))
    world.own_clock.ahead += seconds
    return f"by {seconds:+g} s"


# --- Prometheus


def _lies(lie: str) -> Act:
    async def act(world: World, chance: random.Random, tenant: str) -> str:
        _lie(world, lie)
        return "until it is well again"

    return act


def _lie(world: World, lie: str) -> None:
    world.metrics.lie, world.metrics.since = lie, world.own_clock.now()  # which asks, and says of when
    world.metrics.down = Missing(Reason.METRICS_UNREACHABLE, "refused") if lie == "down" else None


for _name in LIES:
    fault(f"Prometheus: {_name}", "Prometheus", 1)(_lies(_name))


@fault("no data of a trial in force", "Prometheus", 8)
async def _silent(world: World, chance: random.Random, tenant: str) -> str:
    """Of all that is known of it, or of what one SLO counts; that may be silent before. Most often so where it is ignored, since
    that tells nothing where all is silent."""
    lie, before = chance.choice(sorted(BLIND)), chance.random() < 0.5
    ignored = world.tenant(tenant).profile["spec"]["slos"][0]["onNoData"] == "Ignore"
    lie = ONE_SIGNAL if chance.random() < (0.9 if ignored else 0.3) else lie
    world.metrics.lie, world.metrics.down = "", None
    if before and lie == ONE_SIGNAL:
        _lie(world, lie)
    did = await _tried(world, chance, tenant, CONFIG_MAP)
    for _ in range(6):
        ledger = world.ledger(tenant)
        if ledger is not None and ledger.intent is not None and ledger.intent.in_force_at is not None:
            break
        await world.turn()
    if world.metrics.lie != lie:
        _lie(world, lie)
    turns = 24 if lie == ONE_SIGNAL else chance.choice((4, 12, 16))
    for _ in range(turns):
        await world.turn()
    return f"{lie} for {turns} turns; {did}"


@fault("Prometheus well again", "Prometheus", 3)
async def _well(world: World, chance: random.Random, tenant: str) -> str:
    world.metrics.lie, world.metrics.down = "", None
    return "answers are true"


# --- workload


@fault("killed for memory by a step", "workload", 3)
async def _memory(world: World, chance: random.Random, tenant: str) -> str:
    world.apps[tenant].kills_at = chance.choice((3, 4))
    return f"from {world.apps[tenant].kills_at} on"


@fault("crash loop for its own reasons", "workload", 2)
async def _crash(world: World, chance: random.Random, tenant: str) -> str:
    world.apps[tenant].crashing = not world.apps[tenant].crashing
    return "begins" if world.apps[tenant].crashing else "ends"


@fault("application stalls under a trial's setting", "workload", 4)
async def _stalls(world: World, chance: random.Random, tenant: str) -> str:
    """Half arrives of what it bears, and is served as long as every number is as it is now. Under any other half of that
    completes, at the same latency, or nothing, which has none."""
    service = world.apps[tenant].service
    service.well = {}
    service.load = max(1.0, service.throughput() / 2)
    await _restarted(world, chance, tenant)  # windows of another load are not its parent's
    for _ in range(6):
        await world.turn()
    service.well, service.since = dict(service.values), world.clock.now()
    service.serves = chance.choice((0.0, 0.5))
    did = await _tried(world, chance, tenant, CONFIG_MAP)
    for _ in range(chance.choice((1, 4, 12))):
        await world.turn()
    return f"{service.serves:g} of {service.load:g}/s; {did}"


@fault("rollout stuck", "workload", 2)
async def _stuck(world: World, chance: random.Random, tenant: str) -> str:
    world.apps[tenant].stuck = True
    return await _deploy(world, chance, tenant)


@fault("deploy", "workload", 4)
async def _deploy(world: World, chance: random.Random, tenant: str) -> str:
    app = world.apps[tenant]
    if world.server.peek(app.target) is None:
        return "there is no target"
    version = f"v{world.tokens}-{chance.randrange(1000)}"
    notes = "/spec/template/metadata/labels/version"
    await world.patch(app.target, notes, version)
    return version


@fault("scaled to zero and back", "workload", 2)
async def _zero(world: World, chance: random.Random, tenant: str) -> str:
    target = world.server.peek(world.apps[tenant].target)
    if target is None:
        return "there is no target"
    to = 2 if target["spec"]["replicas"] == 0 else 0
    ops: list[Object] = [{"op": "replace", "path": "/spec/replicas", "value": to}]
    await world.alice.json_patch(world.apps[tenant].target, ops, subresource="scale")
    return f"to {to}"


@fault("deleted and recreated", "workload", 3)
async def _recreated(world: World, chance: random.Random, tenant: str) -> str:
    app, gone = world.apps[tenant], chance.random() < 0.5
    if world.server.peek(app.target) is not None:
        await world.alice.delete(app.target)
    if gone:
        await world.others_step()
        await world.turn()
    await world.helm.apply(world.tenant(tenant).target())
    return "seen absent in between" if gone else "at once"


@fault("pods never acknowledge", "workload", 4)
async def _deaf(world: World, chance: random.Random, tenant: str) -> str:
    world.apps[tenant].deaf = not world.apps[tenant].deaf
    return "begins" if world.apps[tenant].deaf else "ends"


@fault("pods read late, one after the other", "workload", 8)
async def _late(world: World, chance: random.Random, tenant: str) -> str:
    world.apps[tenant].lag = chance.choice((1, 2, 3, 4))
    return f"one look in {world.apps[tenant].lag} steps"


@fault("eviction forbidden by a PDB", "workload", 2)
async def _pdb(world: World, chance: random.Random, tenant: str) -> str:
    body = documents.placed(documents.pdb(tenant), NAMESPACE)
    await world.helm.apply(body)
    return "no disruption allowed"


@fault("a node has no room to resize", "workload", 2)
async def _no_room(world: World, chance: random.Random, tenant: str) -> str:
    app = world.apps[tenant]
    app.no_room = "" if app.no_room else chance.choice(("Infeasible", "Deferred"))
    return app.no_room or "there is room again"


@fault("HPA falls to its least, and rises again", "workload", 3)
async def _scaling(world: World, chance: random.Random, tenant: str) -> str:
    app = world.apps[tenant]
    app.idle = not app.idle
    return "at its minimum" if app.idle else "at its maximum"


@fault("namespace terminating", "workload", 1)
async def _terminating(world: World, chance: random.Random, tenant: str) -> str:
    """Everything goes, but for what has a finalizer: the profiles. They are to let go."""
    await world.server.terminate(NAMESPACE)
    return "nothing new is taken"


def clear(faults: Faults) -> None:
    """No fault of the API server is left."""
    faults._due.clear()
    faults.grant_all()
