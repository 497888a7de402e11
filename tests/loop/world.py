"""A whole world around the reconciler: API server, pods that acknowledge, a service whose metrics answer.

It works on the fake API server and on a real one alike, in virtual time: nothing sleeps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pegbox.adapters.kube import configmaps, environment
from pegbox.adapters.kube.gate import GuardedCluster
from pegbox.adapters.telemetry import Telemetry
from pegbox.api import ledger_codec
from pegbox.model import settings_document
from pegbox.model.brakes import STOP_ANNOTATION
from pegbox.model.errors import InvalidInput, NotFound
from pegbox.model.knobs import Setting, values_hash
from pegbox.model.observations import Missing
from pegbox.model.proposals import Proposal, ProposalKind
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import TRIAL
from pegbox.model.snapshot import Acknowledgement, Document, Snapshot
from pegbox.model.trials import Intent, Ledger
from pegbox.ports import BUDGET, CLASS, CONFIG_MAP, HPA, LEDGER, PROFILE, Cluster, Object, Ref
from pegbox.runtime.actuate import LiveActuator
from pegbox.runtime.brakes import BrakeLimits, Brakes
from pegbox.runtime.memory import Memory
from pegbox.runtime.points import Point, Reached, nobody
from pegbox.runtime.predicting import Predicting
from pegbox.runtime.reading import KINDS
from pegbox.runtime.reconcile import Reconciler
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.events import FakeEvents
from pegbox.testing.metrics import FakeMetrics
from pegbox.testing.pods import FakePods
from tests.loop import documents
from tests.loop.service import Group, Service, answering

PLACES = {"threads": "THREADS"}  # env names of the knobs that our ConfigMap holds as plain keys
VARIABLES = {"lanes": "LANES"}  # those that admission puts into pods


class Quiet(Predicting):
    """Proposes nothing: what is tried is asked for by the verb `try`."""

    async def proposal(self, snapshot: Snapshot, memory: Memory, now: Any) -> Proposal | Missing:
        return Missing(Reason.NOTHING_BETTER)


class Wishing(Predicting):
    """Proposes what it is told to, of its own accord: what a person asks for is finished in a freeze."""

    def __init__(self) -> None:
        super().__init__()
        self.wish: Setting | None = None

    async def proposal(self, snapshot: Snapshot, memory: Memory, now: Any) -> Proposal | Missing:
        if self.wish is None:
            return Missing(Reason.NOTHING_BETTER)
        return Proposal(self.wish, ProposalKind.JOINT, "more", Missing(Reason.LEARNING), self.wish)


@dataclass
class App:
    """One profile, its target, its pods and what they serve."""

    name: str
    pods: FakePods
    service: Service
    silent: bool = False  # its pods acknowledge nothing
    wants: Callable[[Service], int] | None = None  # the replicas that its HPA would have
    without: dict[str, float] = field(default_factory=dict)  # what it runs where nobody says anything
    started_with: dict[str, dict[str, float]] = field(default_factory=dict)  # pod uid -> env when it started


@dataclass
class World:
    """`pegbox` is the API server as the operator sees it, `outside` as everybody else does."""

    pegbox: Cluster
    outside: Cluster
    clock: FakeClock = field(default_factory=lambda: FakeClock(auto=False))
    namespace: str = documents.NAMESPACE
    allow_writes: bool = True
    predicting: Predicting = field(default_factory=Quiet)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    events: FakeEvents = field(default_factory=FakeEvents)
    apps: dict[str, App] = field(default_factory=dict)
    reached: Reached = nobody
    leading: Callable[[], bool] = lambda: True
    limits: BrakeLimits = BrakeLimits()
    lease: dict[str, str] = field(default_factory=dict)  # annotations of the operator's own Lease
    jitter: float = 0.0  # of Open times
    operator: Callable[[str], Awaitable[float | None]] = field(init=False)

    def __post_init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.tokens = 0
        answering(self.metrics, self.services)
        self.restart()

    def restart(self) -> None:
        """A fresh process: all that was remembered is gone."""
        telemetry = Telemetry()
        self.brakes = brakes = Brakes(self.clock, telemetry, self.limits)
        gate = GuardedCluster(self.pegbox, allow_workload_writes=self.allow_writes, ended=brakes.wrote)
        self.brakes.notice(self.lease, leading=False)
        self.telemetry = telemetry
        reached: Callable[[Point], None] = lambda point: self.reached(point)  # noqa: E731
        self.reconciler = Reconciler(
            cluster=gate,
            sources={"default": self.metrics},
            events=self.events,
            clock=self.clock,
            actuator=LiveActuator(gate, reached),
            predicting=self.predicting,
            telemetry=telemetry,
            pod_settings=telemetry.pod_settings,
            allow_writes=self.allow_writes,
            reached=reached,
            jitter=lambda: self.jitter,
            brakes=self.brakes,
            leading=lambda: self.leading(),
        )
        self.operator = self.reconciler

    # --- building

    async def apply(self, *bodies: Object) -> None:
        """What users and platform teams apply."""
        for body in bodies:
            await self.outside.apply(documents.placed(body, self.namespace), force=True)

    async def add(self, profile: Object, target: Object | None = None, **values: float) -> App:
        """A profile with its Deployment and running pods; `values` are what the application runs at the start."""
        name = profile["metadata"]["name"]
        target_name = profile["spec"]["targetRef"]["name"]
        await self.apply(target or documents.deployment(target_name))
        app = self.apps.get(name) or self._app(name, target_name, profile["spec"]["targetRef"]["kind"])
        app.service.values = values or {"workers": 2.0}
        app.without = dict(app.service.values)
        await self.apply(profile)
        await self.pods_step(app)
        return app

    def _app(self, name: str, target: str, kind: str = "Deployment") -> App:
        ref = Ref(KINDS[kind], self.namespace, target)
        pods = FakePods(self.outside, self.clock, ref, f"{target}-pegbox", FakeMetrics())
        service = self.services[name] = Service(f"{self.namespace}/{name}")
        app = self.apps[name] = App(name, pods, service)
        return app

    # --- time

    async def wake(self, name: str = "checkout") -> float | None:
        return await self.operator(f"{self.namespace}/{name}")

    async def turn(self, name: str = "checkout") -> float | None:
        """One wake, then the world answers, then time passes until the next wake."""
        after = await self.wake(name)
        if name in self.apps and after is not None:
            await self.pods_step(self.apps[name])
        self.clock.skip(1.0 if after is not None and after < 0 else after or 0.0)
        return after

    async def turn_without_pods(self, name: str = "checkout") -> None:
        """A wake while there is no target for controllers to act on."""
        self.clock.skip(await self.wake(name) or 0.0)

    async def turns(self, count: int, name: str = "checkout") -> None:
        for _ in range(count):
            await self.turn(name)

    async def until(self, holds: Callable[[], Awaitable[bool]], name: str = "checkout", limit: int = 60) -> int:
        """Turns until something holds; how many it took. Fails beyond the limit."""
        for count in range(limit):
            if await holds():
                return count
            await self.turn(name)
        raise AssertionError(f"not within {limit} wakes: {await self.why(name)}")

    async def rest(self, name: str = "checkout", limit: int = 60) -> Ledger:
        """Turns until nothing is under way and an incumbent stands."""

        async def at_rest() -> bool:
            ledger = await self.ledger(name)
            return ledger is not None and ledger.intent is None and ledger.incumbent is not None

        await self.turn(name)
        await self.until(at_rest, name, limit)
        ledger = await self.ledger(name)
        assert ledger is not None
        return ledger

    async def steady(self, name: str = "checkout") -> Ledger:
        """At rest, and with clean windows of the incumbent to compare with."""
        await self.rest(name)
        await self.turns(5, name)
        return await self.rest(name)

    async def pods_step(self, app: App) -> None:
        """Autoscaler, controllers, kubelet and application take note of everything that was written."""
        await self._scale(app)
        pods = await app.pods.settle()
        if not app.silent:
            await app.pods.acknowledge(pods=pods)
        self._scrape()
        own = await self.find(Ref(CONFIG_MAP, self.namespace, f"{app.pods._target.name}-pegbox"))
        app.service.values |= await self._in_force(app, own, pods)
        names = [pod["metadata"]["name"] for pod in pods]
        app.service.pods = len(names)
        acks = self.metrics.acks.get(self.namespace, {})
        profile = await self.find(Ref(PROFILE, self.namespace, app.name))
        uid = "" if profile is None else profile["metadata"]["uid"]
        document = self._read(own)
        shown, variables = await self._shown(app), {p["metadata"]["name"]: self._variables(app, p) for p in pods}
        groups: dict[tuple[str, str, tuple[tuple[str, float], ...]], int] = {}
        for pod in names:
            ack = acks.get(pod)
            label = str(ack.generation) if ack is not None and ack.profile_uid == uid else "0"
            key = cohort_of(pod, ack, document) or shown.get(pod, ""), label, tuple(sorted(variables[pod].items()))
            groups[key] = groups.get(key, 0) + 1
        app.service.labels = {label: n for (_, label, _), n in groups.items()}
        told = {n: float(t) for c in (document.cohorts if document else {}).values() for n, t in c.values.items()}
        app.service.groups = tuple(
            Group(cohort, label, n, app.service.values | (told if cohort else {}) | dict(own))
            for (cohort, label, own), n in sorted(groups.items())
        )

    async def _shown(self, app: App) -> dict[str, str]:
        """The cohort of each pod as the operator exports it, for the server to join: of what admission put into pods
        nobody else knows. One that is another process is not asked: it shows what its ledger says."""
        if self.operator is not self.reconciler:
            intent = await self.intent(app.name)
            return dict.fromkeys(intent.cohort.pods, TRIAL) if intent and intent.canary and intent.cohort else {}
        family = next(iter(self.telemetry.pod_settings.collect()))
        return {s.labels["target_pod"]: s.labels["cohort"] for s in family.samples}

    def _variables(self, app: App, pod: Object) -> dict[str, float]:
        """What a pod makes of what admission put into it."""
        names = VARIABLES.keys() & app.service.values.keys()
        texts = environment.stated(pod, "app")
        return {n: float(texts.get(VARIABLES[n]) or app.without[n]) for n in names}

    def _read(self, own: Object | None) -> Document | None:
        text = (own or {}).get("data", {}).get(settings_document.KEY)
        try:
            return None if text is None else settings_document.parse(text)
        except InvalidInput:
            return None

    def _scrape(self) -> None:
        """What the pods of every application export, as one server knows it."""
        acks, values = self.metrics.acks, self.metrics.values
        acks[self.namespace], values[self.namespace] = {}, {}
        for each in self.apps.values():
            acks[self.namespace] |= each.pods.metrics.acks.get(self.namespace, {})
            values[self.namespace] |= each.pods.metrics.values.get(self.namespace, {})

    async def _in_force(self, app: App, own: Object | None, pods: list[Object]) -> dict[str, float]:
        data = (own or {}).get("data", {})
        found: dict[str, float] = {}
        if settings_document.KEY in data and not app.silent:
            found |= {k: float(v) for k, v in settings_document.parse(data[settings_document.KEY]).values.items()}
        env = {n: float(data.get(key, app.service.values[n])) for n, key in PLACES.items() if n in app.service.values}
        old, app.started_with = app.started_with, {}
        for pod in pods:
            uid = pod["metadata"]["uid"]
            app.started_with[uid] = old.get(uid, env)
        for name in env:  # the mean of what the pods started with
            seen = [values[name] for values in app.started_with.values() if name in values]
            found |= {name: sum(seen) / len(seen)} if seen else {}
        for name in VARIABLES.keys() & app.service.values.keys():
            seen = [self._variables(app, pod)[name] for pod in pods]
            found |= {name: sum(seen) / len(seen)} if seen else {}
        if not {"cache", "backlog"} & app.service.values.keys():
            return found
        theirs = await self.find(Ref(CONFIG_MAP, self.namespace, "app-config"))
        if theirs is not None and "cache" in app.service.values and "app.yaml" in theirs["data"]:
            found["cache"] = float(configmaps.read_path(theirs["data"]["app.yaml"], "cache.size"))
        if theirs is not None and "backlog" in app.service.values and "BACKLOG" in theirs["data"]:
            found["backlog"] = float(theirs["data"]["BACKLOG"])
        return found

    async def _scale(self, app: App) -> None:
        """An HPA keeps replicas between its bounds; this one always wants the most, where `app.wants` says nothing."""
        target = app.pods._target
        for body in await self.outside.list(HPA, self.namespace):
            if body["spec"]["scaleTargetRef"]["name"] == target.name:
                low, high = body["spec"]["minReplicas"], body["spec"]["maxReplicas"]
                value = high if app.wants is None else min(max(app.wants(app.service), low), high)
                operation = {"op": "replace", "path": "/spec/replicas", "value": value}
                await self.outside.json_patch(target, [operation], subresource="scale")

    # --- asking

    async def find(self, ref: Ref) -> Object | None:
        try:
            return await self.outside.get(ref)
        except NotFound:
            return None

    async def exists(self, name: str = "checkout") -> bool:
        return await self.find(Ref(PROFILE, self.namespace, name)) is not None

    async def profile(self, name: str = "checkout") -> Object:
        return await self.outside.get(Ref(PROFILE, self.namespace, name))

    async def status(self, name: str = "checkout") -> Object:
        found: Object = (await self.profile(name)).get("status", {})
        return found

    async def condition(self, kind: str, name: str = "checkout") -> tuple[str, str, str]:
        """(status, reason, message)."""
        for each in (await self.status(name)).get("conditions", []):
            if each["type"] == kind:
                return each["status"], each["reason"], each["message"]
        return "", "", ""

    async def why(self, name: str = "checkout") -> str:
        return str((await self.status(name)).get("why", "")) if await self.exists(name) else "the profile is gone"

    async def ledger(self, name: str = "checkout") -> Ledger | None:
        body = await self.find(Ref(LEDGER, self.namespace, name))
        return None if body is None else ledger_codec.decode(body)

    async def amend(self, name: str = "checkout", **changes: Any) -> None:
        """Write the ledger otherwise, as another release or a person would."""
        ref, ledger = Ref(LEDGER, self.namespace, name), await self.ledger(name)
        assert ledger is not None
        names = {"namespace": self.namespace, "name": name, "profile": name}
        body = ledger_codec.encode(replace(ledger, **changes), **names, written_at=self.clock.now())
        await self.patch(ref, "/data", body["data"])

    async def let_go(self, name: str = "checkout") -> None:
        """Auto is turned off in mid-trial, under a release that made what stood then the incumbent."""
        await self.edit(name, mode="Recommend")
        await self.turn(name)
        intent = await self.intent(name)
        assert intent is not None
        await self.amend(name, intent=None, incumbent=intent.before)

    async def intent(self, name: str = "checkout") -> Intent | None:
        ledger = await self.ledger(name)
        return None if ledger is None else ledger.intent

    async def own(self, name: str = "checkout") -> Object:
        return await self.outside.get(Ref(CONFIG_MAP, self.namespace, f"{name}-pegbox"))

    async def document(self, name: str = "checkout") -> Document:
        return settings_document.parse((await self.own(name))["data"][settings_document.KEY])

    async def values(self, name: str = "checkout") -> dict[str, str]:
        return dict((await self.document(name)).values)

    async def theirs(self, key: str = "app.yaml") -> str:
        body = await self.outside.get(Ref(CONFIG_MAP, self.namespace, "app-config"))
        return str(body["data"][key])

    async def bounds(self, name: str = "checkout") -> tuple[int, int]:
        spec = (await self.outside.get(Ref(HPA, self.namespace, name)))["spec"]
        return spec["minReplicas"], spec["maxReplicas"]

    async def claims(self, name: str = "postgres") -> dict[str, tuple[int, str]]:
        """holder -> (amount, trial slot)."""
        status = (await self.outside.get(Ref(BUDGET, self.namespace, name))).get("status", {})
        return {each["holder"].split("/")[1]: (each["amount"], each["trial"]) for each in status.get("claims", [])}

    # --- acting as a user

    async def annotate(self, verb: str, argument: str = "", name: str = "checkout") -> str:
        """A verb with a fresh token."""
        self.tokens += 1
        profile = await self.profile(name)
        notes = profile["metadata"].get("annotations") or {}
        value = notes | {f"pegbox.dev/{verb}": f"t{self.tokens} {argument}".strip()}
        await self.patch(Ref(PROFILE, self.namespace, name), "/metadata/annotations", value)
        return f"t{self.tokens}"

    def brake(self, text: str | None) -> None:
        """The annotation on the operator's Lease, as its leader reads it at its next renewal; None removes it."""
        self.lease.pop(STOP_ANNOTATION, None)
        if text is not None:
            self.lease[STOP_ANNOTATION] = text
        self.lease |= self.brakes.carried()
        self.brakes.notice(self.lease, leading=True)

    async def recall(self) -> None:
        """What a fresh process does before it starts anything: every ledger is read once."""
        profiles = await self.outside.list(PROFILE, self.namespace)
        uids = {f"{self.namespace}/{p['metadata']['name']}": p["metadata"]["uid"] for p in profiles}
        await self.brakes.recall(self.outside, (self.namespace,), uids)

    async def patch(self, ref: Ref, path: str, value: Any) -> None:
        await self.outside.json_patch(ref, [{"op": "add", "path": path, "value": value}])

    async def edit(self, name: str = "checkout", **spec: Any) -> None:
        for key, value in spec.items():
            await self.patch(Ref(PROFILE, self.namespace, name), f"/spec/{key}", value)

    async def delete(self, name: str = "checkout") -> None:
        await self.outside.delete(Ref(PROFILE, self.namespace, name))


def cohort_of(pod: str, ack: Acknowledgement | None, document: Document | None) -> str:
    """The cohort whose values a pod says that it runs."""
    if ack is None or document is None or ack.generation != document.generation:
        return ""
    listing = [name for name, c in document.cohorts.items() if pod in c.pods]
    return listing[0] if listing and ack.hash == values_hash(document.values_for(pod)) else ""


def written(cluster: Cluster, manager: str = "pegbox") -> list[tuple[str, str, str]]:
    """(verb, kind, subresource) of every write of a field manager, as the fake API server logged it."""
    assert isinstance(cluster, FakeCluster)
    return [(w.verb, w.kind, w.subresource) for w in cluster.writes if w.manager == manager]


async def make(classes: Mapping[str, Object] | None = None, **options: Any) -> World:
    """A world on the fake API server, with the class installed."""
    clock = FakeClock(auto=False)
    server = FakeCluster(clock)
    world = World(server, server.as_manager("kubelet"), clock, **options)
    for body in (classes or {"service": documents.CLASS}).values():
        await world.outside.apply(body)
    return world


async def trying(argument: str = "workers=3") -> World:
    """One profile at rest with workers=2, and the first turn of a trial."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.annotate("try", argument)
    await world.turn()
    return world


__all__ = ["CLASS", "App", "Quiet", "World", "make", "trying", "written"]
