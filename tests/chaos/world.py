"""The world of a schedule: a fake API server, applications, a metrics server that lies on demand, and operators.

Virtual time, no sleeps. A world that was brought to rest once is copied for each schedule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from pegbox.adapters.kube.gate import GuardedCluster
from pegbox.adapters.telemetry import Telemetry
from pegbox.api import ledger_codec
from pegbox.core import decide
from pegbox.model.brakes import OPT_OUT_ANNOTATION, STOP_ANNOTATION, parse_opt_out
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.proposals import Proposal, ProposalKind
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Ledger
from pegbox.ports import BUDGET, CLASS, HPA, LEDGER, POD, POD_ENVIRONMENT, PROFILE, Object, Ref
from pegbox.runtime.actuate import LiveActuator
from pegbox.runtime.brakes import BrakeLimits, Brakes
from pegbox.runtime.memory import Memory
from pegbox.runtime.points import Point
from pegbox.runtime.predicting import Predicting
from pegbox.runtime.reconcile import Reconciler
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster, kind_of
from pegbox.testing.copying import copied
from pegbox.testing.events import FakeEvents
from pegbox.testing.faults import Killed, WriteRecord
from pegbox.testing.store import Entry
from tests.chaos.application import RESTARTS, Application, cores
from tests.chaos.network import Network
from tests.chaos.prometheus import BLIND, ONE_SIGNAL, SILENT, LyingMetrics
from tests.chaos.said import ERRORS, EVENT, Said, changed, failures
from tests.chaos.server import Server
from tests.chaos.shops import Shop, Tenant, with_no_data
from tests.loop import documents
from tests.loop.service import Service

NAMESPACE = documents.NAMESPACE
YOUNG = 30.0  # seconds: two intervals, and no less than this
AGAIN = 2.0  # seconds after a failed wake


class Wishing(Predicting):
    """Proposes what the schedule wished for last, where the loop would ask for a proposal at all."""

    def __init__(self, wishes: dict[str, Mapping[str, int]]) -> None:
        self.wishes = wishes

    async def proposal(self, snapshot: Snapshot, memory: Memory, now: datetime) -> Proposal | Missing:
        wish, incumbent = self.wishes.get(snapshot.spec.name), snapshot.ledger.incumbent
        if not wish or incumbent is None or not decide.wants_proposal(snapshot, now):
            return Missing(Reason.NOTHING_BETTER)
        known = {n: v for n, v in wish.items() if n in incumbent and isinstance(incumbent[n], Fraction)}
        moved = {n: max(Fraction(1), incumbent.number(n) + v) for n, v in known.items()}
        wanted = incumbent.with_values(**moved)
        if wanted == incumbent:
            return Missing(Reason.NOTHING_BETTER)
        return Proposal(wanted, ProposalKind.ONE_KNOB, "wished", Missing(Reason.LEARNING), wanted)


@dataclass
class SkewedClock:
    """Implements ports.Clock: the operator's own wall clock, which may be wrong; the server's and the pods' is not."""

    true: FakeClock
    ahead: float = 0.0  # seconds

    def now(self) -> datetime:
        return self.true.now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return self.true.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.true.sleep(seconds)


@dataclass
class Operator:
    """One process."""

    reconciler: Reconciler
    network: Network
    events: FakeEvents
    brakes: Brakes
    telemetry: Telemetry
    killed: bool = False
    failed: float = 0.0  # wakes, as its metric counted them so far


@dataclass
class World:
    shop: Shop
    clock: FakeClock = field(default_factory=lambda: FakeClock(auto=False))
    serving: Server | None = None  # in the place of a fake one
    server: Server = field(init=False)
    apps: dict[str, Application] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    wishes: dict[str, Mapping[str, int]] = field(default_factory=dict)
    kill_in: int = 0  # kill points left to pass before the process is killed; 0: none
    kill_at: Point | None = None
    healing: set[str] = field(default_factory=set)  # tenants whose owner's tool puts its values back
    tokens: int = 0
    told: list[str] = field(default_factory=list)  # what the operator said since the last look
    statuses: dict[str, Object | None] = field(default_factory=dict)  # profiles as they were written last
    said: list[Said] = field(default_factory=list)  # all of it, and where
    read_ledgers: dict[str, tuple[str, Ledger | None]] = field(default_factory=dict)
    old_ledgers: dict[str, Object] = field(default_factory=dict)
    lapsed: dict[str, str] = field(default_factory=dict)  # tenant -> why its end is not a plain last-known-good
    forgotten: set[str] = field(default_factory=set)  # whose ledger was lost or replaced at some time
    on_others: Callable[[], None] = lambda: None  # told after each act of others
    on_wake: Callable[[str], None] = lambda name: None  # told before each wake
    on_slept: Callable[[str], None] = lambda name: None  # told after each that went through
    resumes: bool = False  # a leader that was stopped in mid-wake goes on
    escaped: list[str] = field(default_factory=list)
    lease: dict[str, str] = field(default_factory=dict)  # annotations of the operator's Lease
    went: bool = False  # through its end, the newest wake
    allow_writes: bool = True  # as the chart says it to the next process
    replaced: set[str] = field(default_factory=set)  # whose ledger was replaced by an older one since the last look

    def __post_init__(self) -> None:
        self.server = self.serving or FakeCluster(self.clock)
        self.own_clock = SkewedClock(self.clock)
        self.server.faults.on_write(self._status)
        self._clients()

    def _clients(self) -> None:
        self.kubelet, self.helm, self.alice = (self.server.as_manager(m) for m in ("kubelet", "helm", "alice"))
        self.metrics = LyingMetrics(self.services)
        self.network = Network(self.server, self.clock, touch=self._touch)
        self.restart()

    async def _touch(self, ref: Ref) -> None:
        """Somebody writes a note on an object that is about to be written."""
        body = self.server.peek(ref)
        if body is not None:
            self.tokens += 1
            notes = (body["metadata"].get("annotations") or {}) | {"example.com/touched": str(self.tokens)}
            await self.patch(ref, "/metadata/annotations", notes)

    # --- the operator

    def restart(self) -> None:
        """A fresh process: all that was remembered is gone."""
        self.operator = self._process()

    def _process(self) -> Operator:
        network = Network(self.server, self.clock, self.network)
        gate = GuardedCluster(network, allow_workload_writes=self.allow_writes)
        telemetry = Telemetry()
        events = FakeEvents()
        brakes = Brakes(self.own_clock, telemetry, BrakeLimits())
        brakes.notice(self.lease, leading=False)
        reconciler = Reconciler(
            cluster=gate,
            sources={"default": self.metrics},
            events=events,
            clock=self.own_clock,
            actuator=LiveActuator(gate, self._reached),
            predicting=Wishing(self.wishes),
            telemetry=telemetry,
            pod_settings=telemetry.pod_settings,
            brakes=brakes,
            allow_writes=self.allow_writes,
            reached=self._reached,
            jitter=lambda: 0.0,
        )
        return Operator(reconciler, network, events, brakes, telemetry)

    def switch(self, *, writes: bool) -> None:
        """By the chart, which starts a fresh process."""
        if writes != self.allow_writes:
            self.allow_writes = writes
            self.restart()

    def brake(self, text: str | None) -> None:
        """The stop on the operator's Lease, as its leader reads it at its next renewal; None takes it away."""
        self.lease = {} if text is None else {STOP_ANNOTATION: text}
        self.operator.brakes.notice(self.lease, leading=True)

    def _reached(self, point: Point) -> None:
        if self.kill_in <= 0 or self.kill_at not in (None, point):
            return
        self.kill_in -= 1
        if self.kill_in == 0:
            self.kill_at = None
            raise Killed

    def named(self, name: str) -> tuple[str, frozenset[Ref]]:
        """The stored intent, and the ledger and the objects that it writes: what a new leader has to move. None of it where
        nothing may be written."""
        ledger, app, hpa = self.ledger(name), self.apps[name], self.apps[name].hpa()
        intent = ledger.intent if ledger is not None else None
        if intent is None or self.mode(name) != "Auto":
            return "", frozenset()
        moved, found = intent.moved - set(intent.keep), {app.own_ref, Ref(LEDGER, NAMESPACE, name)}
        if "cache" in moved:
            found.add(app.theirs_ref)
        if moved & {"min_replicas", "max_replicas"} and hpa is not None:
            found.add(Ref(HPA, NAMESPACE, hpa["metadata"]["name"]))
        if "lanes" in moved and self.server.peek(Ref(POD_ENVIRONMENT, NAMESPACE, name)) is not None:
            found.add(Ref(POD_ENVIRONMENT, NAMESPACE, name))
        if moved & ({"replicas"} | RESTARTS):
            found.add(app.target)
        return intent.id, frozenset(found)

    def moved_by_leaders(self, name: str) -> dict[Ref, str]:
        """What a leader writes whatever is under way: our ConfigMap's version, and its entry of each SharedBudget."""
        own, holder = self.server.peek(self.apps[name].own_ref) or {}, f"{NAMESPACE}/{name}"
        found = {self.apps[name].own_ref: str(own.get("metadata", {}).get("resourceVersion", ""))}
        for body in self.server.peek_all(BUDGET, NAMESPACE):
            claims = body.get("status", {}).get("claims", [])
            ref = Ref(BUDGET, NAMESPACE, body["metadata"]["name"])
            found[ref] = str([claim for claim in claims if claim["holder"] == holder])
        return found

    async def wake(self, name: str, operator: Operator | None = None) -> float | None:
        """One wake; a kill is followed by a restart. What escapes is kept for the invariant that nothing does."""
        process = operator or self.operator
        self.on_wake(name)
        after = await self.attempt(process, name)
        self.went = after is not None and after >= 0 and not process.killed
        if self.went or (after is None and not process.killed):
            self.on_slept(name)
        if after is None and process.killed and process is self.operator:
            self.restart()
        return AGAIN if process.killed or (after is not None and after < 0) else after

    async def attempt(self, process: Operator, name: str) -> float | None:
        """The wake itself, whoever wakes. None where the process was killed, too."""
        try:
            return await process.reconciler(f"{NAMESPACE}/{name}")
        except Killed:
            self.told.append("killed")
            process.killed = True
            return None
        except Exception as error:  # the reconciler must not raise: an invariant reports it
            self.escaped.append(f"{type(error).__name__}: {error}")
            return AGAIN
        finally:
            self._listen(process)

    def _listen(self, process: Operator) -> None:
        for _, event in process.events.emitted:
            self.told.append(event.reason.value)
            self.said.append(Said(EVENT, event.reason.value))
            if event.reason is Reason.INTERNAL_ERROR:
                self.escaped.append(event.message)
        process.events.emitted.clear()
        if (count := failures(process.telemetry)) > process.failed:
            process.failed = count
            self.said.append(Said(ERRORS))

    def _status(self, when: str, record: WriteRecord) -> None:
        """A profile is written: what its conditions say now is heard once."""
        if record.kind == "PerformanceProfile":
            now = self.profile(record.name)
            self.said += changed(self.statuses.get(record.name), now)
            self.statuses[record.name] = now

    async def turn(self) -> None:
        """Every profile is woken, then everybody takes note of what was written, then time passes."""
        waits = []
        for tenant in self.shop.tenants:
            after = await self.wake(tenant.name)
            waits.append(60.0 if after is None else after)
        await self.others_step()
        self.clock.skip(min(min(waits), 10.0))

    async def others_step(self) -> None:
        for name in sorted(self.healing):
            await self.heal(name)
        now = self.now()
        family = next(iter(self.operator.reconciler.pod_settings.collect()))
        shown = {s.labels["target_pod"]: s.labels["cohort"] for s in family.samples}
        for app in self.apps.values():
            app.shown = shown
            await app.step(self.metrics, now)
        self.on_others()

    async def heal(self, name: str) -> None:
        """A self-healing applier puts its own values back, by force."""
        for body in self.charted(name):
            if self.server.peek(_ref(body)) is not None:
                await self.helm.apply(body, force=True)

    def charted(self, name: str) -> list[Object]:
        """What the owner's chart holds: his ConfigMap and his HPA."""
        return [documents.placed(body, NAMESPACE) for body in self.tenant(name).others]

    # --- asking

    def now(self) -> str:
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def tenant(self, name: str) -> Tenant:
        return next(t for t in self.shop.tenants if t.name == name)

    def profile(self, name: str) -> Object | None:
        return self.server.peek(Ref(PROFILE, NAMESPACE, name))

    def mode(self, name: str) -> str:
        return str((self.profile(name) or {}).get("spec", {}).get("mode", ""))

    def ledger(self, name: str) -> Ledger | None:
        """As stored; None where it is lost or torn. Decoded once per version: the invariants ask often."""
        body = self.server.peek(Ref(LEDGER, NAMESPACE, name))
        if body is None:
            return None
        version = str(body["metadata"]["resourceVersion"])
        if self.read_ledgers.get(name, ("", None))[0] != version:
            try:
                self.read_ledgers[name] = version, ledger_codec.decode(body)
            except InvalidInput:
                self.read_ledgers[name] = version, None
        return self.read_ledgers[name][1]

    def intent_text(self, name: str) -> str:
        """Kind and id of the stored intent, "" without one."""
        body = self.server.peek(Ref(LEDGER, NAMESPACE, name)) or {}
        return str(body.get("data", {}).get("summary", {}).get("intent", ""))

    def unsettled(self, name: str) -> bool:
        """Is a trial or its way back under way, or something of it still owed?"""
        ledger = self.ledger(name)
        return bool(self.intent_text(name)) or (ledger is not None and ledger.owed is not None)

    def values(self, name: str) -> dict[str, int]:
        written = self.apps[name].written()
        return {n: written[n] for n in self.tenant(name).knobs if n in written}

    def sizes(self, name: str) -> dict[str, int]:
        """What each running pod requests, where that is tuned."""
        if not self.tenant(name).sizes:
            return {}
        bodies = {p.name: self.server.peek(Ref(POD, NAMESPACE, p.name)) for p in self.apps[name].own()}
        return {n: c for n, body in bodies.items() if body is not None and (c := cores(body)) is not None}

    def brake_of(self, name: str) -> str:
        """The brake that a wake reads now: "stop", "restore" or "opt-out"; "" without one."""
        target = self.server.peek(self.apps[name].target) or {"metadata": {}}
        opted_out, _ = parse_opt_out((target["metadata"].get("annotations") or {}).get(OPT_OUT_ANNOTATION))
        return "opt-out" if opted_out else self.lease.get(STOP_ANNOTATION, "")

    def frozen(self, name: str) -> bool:
        """Is a freeze in force, by the operator's own clock, that lets nothing through?"""
        now = self.own_clock.now()
        stated = (self.profile(name) or {}).get("spec", {}).get("freezes", [])
        dates = ((f, datetime.fromisoformat(f["from"]), datetime.fromisoformat(f["until"])) for f in stated)
        return any(start <= now < end and f.get("allow") != "Urgent" for f, start, end in dates)

    def blinded(self) -> str:
        """The lie that hides all of the service from a wake now, load too; "" without one. What went stale is still young
        enough for half a minute, by the operator's own clock."""
        lie, since = self.metrics.lie, self.metrics.since
        young = since is not None and self.own_clock.now() - since <= timedelta(seconds=YOUNG)
        return lie if lie in SILENT and not (lie == "stale" and young) else ""

    def silenced(self) -> str:
        """The lie by which a wake now knows nothing of a trial in force, or nothing of what one SLO counts; "" without one."""
        named = (self.server.peek(Ref(CLASS, "", "service")) or {}).get("spec", {}).get("sourceRef", "default")
        if named != "default":
            return "down"  # it is never asked (seed 1800003368)
        lie = self.metrics.lie
        return lie if lie in BLIND - SILENT or lie == ONE_SIGNAL else self.blinded()

    def tunable(self, name: str) -> dict[str, int]:
        """What a trial may move, at what stands; of sizes, at what the ledger knows."""
        ledger = self.ledger(name)
        incumbent = ledger.incumbent if ledger is not None and ledger.incumbent is not None else {}
        return self.values(name) | {n: int(incumbent[n]) for n in self.tenant(name).sizes if n in incumbent}

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        listed = (self.profile(name) or {}).get("status", {}).get("conditions", [])
        return next(((c["status"], c["reason"]) for c in listed if c["type"] == kind), ("", ""))

    def condition_message(self, name: str, kind: str) -> str:
        listed = (self.profile(name) or {}).get("status", {}).get("conditions", [])
        return next((str(c["message"]) for c in listed if c["type"] == kind), "")

    def worst(self, *, alike: bool = False) -> int:
        """Use of the budget at the most, over all tenants that have a profile."""
        alive = (t for t in self.shop.tenants if self.profile(t.name) is not None)
        return sum(self.apps[t.name].worst(t.per_pod, alike=alike) for t in alive)

    # --- acting as a user

    async def edit_spec(self, name: str, **spec: Any) -> None:
        ref = Ref(PROFILE, NAMESPACE, name)
        await self.alice.json_patch(ref, [_add(f"/spec/{k}", v) for k, v in spec.items()])

    async def ask(self, name: str, verb: str, argument: str = "") -> None:
        self.tokens += 1
        body = self.profile(name)
        assert body is not None
        notes = body["metadata"].get("annotations") or {}
        value = notes | {f"pegbox.dev/{verb}": f"t{self.tokens} {argument}".strip()}
        await self.alice.json_patch(Ref(PROFILE, NAMESPACE, name), [_add("/metadata/annotations", value)])

    async def patch(self, ref: Ref, path: str, value: Any) -> None:
        await self.alice.json_patch(ref, [_add(path, value)])

    async def without_data(self, policy: str) -> None:
        """This is what every SLO says of no data, from now on."""
        self.shop = with_no_data(self.shop, policy)
        for tenant in self.shop.tenants:
            await self.edit_spec(tenant.name, slos=tenant.profile["spec"]["slos"])

    # --- building

    async def build(self) -> None:
        await self.helm.apply(self.shop.class_)
        for body in self.shop.others:
            await self.helm.apply(documents.placed(body, NAMESPACE))
        for tenant in self.shop.tenants:
            service = self.services[tenant.name] = Service(f"{NAMESPACE}/{tenant.name}")
            service.values = {n: 2.0 for n in tenant.knobs if not n.endswith("replicas")}
            self.apps[tenant.name] = Application(tenant.name, NAMESPACE, self.kubelet, service, tenant.kind)
            for body in (tenant.target(), *tenant.others, tenant.profile):
                await self.helm.apply(documents.placed(body, NAMESPACE))
        await self.others_step()
        for _ in range(40):
            await self.turn()
            if all(len(m.windows) >= 3 for m in self.operator.reconciler.memories.values()) and self.at_rest():
                return
        raise AssertionError(
            {t.name: (self.profile(t.name) or {}).get("status", {}).get("why") for t in self.shop.tenants}
        )

    def at_rest(self) -> bool:
        ledgers = [self.ledger(t.name) for t in self.shop.tenants]
        return all(found is not None and found.incumbent is not None and found.intent is None for found in ledgers)

    def copy(self) -> World:
        """The same moment in another world: no object is shared."""
        out = World(self.shop)
        out.clock._start, out.clock._elapsed = self.clock._start, self.clock._elapsed
        assert isinstance(out.server, FakeCluster) and isinstance(self.server, FakeCluster), "a real one is not copied"
        store, mine = out.server._store, self.server._store
        for ref, entry in mine._entries.items():
            store._entries[ref] = Entry(ref, copied(entry.body), entry.managed.copy(), stored=True)
        store._version, store._uids = mine._version, mine._uids
        for name, app in self.apps.items():
            service = out.services[name] = replace(app.service, values=dict(app.service.values))
            out.apps[name] = app.copy(out.kubelet, service)
        out.metrics.acks = {ns: dict(each) for ns, each in self.metrics.acks.items()}
        out.metrics.values = {ns: {p: dict(v) for p, v in each.items()} for ns, each in self.metrics.values.items()}
        for key, memory in self.operator.reconciler.memories.items():
            windows = deque(memory.windows, maxlen=memory.windows.maxlen)
            parsed = replace(memory.parsed)  # versions count on from here in each world for itself
            out.operator.reconciler.memories[key] = replace(
                memory, windows=windows, parsed=parsed, claims=dict(memory.claims)
            )
        out.remember_ledgers()
        return out

    def remember_ledgers(self) -> None:
        """For the fault that puts an older one back."""
        for tenant in self.shop.tenants:
            self.old_ledgers[tenant.name] = copied(self.server.peek(Ref(LEDGER, NAMESPACE, tenant.name)))


def _add(path: str, value: Any) -> Object:
    return {"op": "add", "path": path, "value": value}


def _ref(body: Object) -> Ref:
    return Ref(kind_of(body), NAMESPACE, body["metadata"]["name"])
