"""The loop against a world that crashes, lies and interferes: what must hold at every instant, and in the end.

The world is a dict of values: our document, an HPA's bound, pods that acknowledge when they like. Only `decide` acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction as F

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pegbox.core import cohorts
from pegbox.core import conditions as said
from pegbox.core.decide import decide
from pegbox.core.force import applied, document_values
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import Action, ConditionType, Decision, Truth
from pegbox.model.knobs import Setting, values_hash
from pegbox.model.observations import Attainment, Missing, Observation, Split, Window
from pegbox.model.profile import BudgetSpec, Canary, Guards, Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, Document, Held, PodFacts, Request, Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger
from tests.unit.core.build import HOT, HPA, NO_WISH, POOL, T0, UID, setting, spec, wish

LIMIT = 72  # pods * workers * pool; 64 of them are used at first
PROFILE = spec(
    HOT,
    POOL,
    HPA,
    budgets=(BudgetSpec("postgres", "pods * workers * pool", limit=F(LIMIT)),),
    guards=Guards(cooldown=F(60), failures_to_open=2),
)
SPACE = PROFILE.space
DOCUMENT = ("workers", "pool")
PATIENT_WAKES = 120

move = st.sampled_from([-2, -1, 0, 1, 2])
moves = st.fixed_dictionaries({"workers": move, "pool": move, "max_replicas": st.sampled_from([-1, 0, 0, 1])})
trades = st.sampled_from(
    [{"workers": 2, "pool": -2}, {"workers": 1, "max_replicas": -1}, {"pool": -1, "max_replicas": 1}]
)
hot = st.sampled_from([{"workers": 1}, {"workers": -1}, {"pool": -1}, {"workers": 2, "pool": -2}, {"workers": -2}])
seconds = st.sampled_from([1, 30, 130, 200, 700])
metrics = st.sampled_from(["same", "same", "faster", "slower", "busier", "silent"])
crashes = st.sampled_from(["none", "none", "none", "before_save", "before_write", "half_written"])


@dataclass
class Pod:
    """What one pod runs, and which document told it to."""

    name: str
    runs: dict[str, int]
    generation: int = 0
    hash: str = ""
    deaf: bool = False
    oom_at: datetime | None = None


class Loop(RuleBasedStateMachine):
    """One profile, from adoption on."""

    profile = PROFILE

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.mode = Mode.AUTO
        self.brakes = Brakes()
        self.hpa = 4
        self.revision = 1
        self.document: Document | None = None
        self.ledger = Ledger(UID, reporting=True)
        self.pods = [Pod(f"p{n}", {"workers": 4, "pool": 4}) for n in range(2)]
        self.requests: dict[str, Request] = {}
        self.written = 0  # the newest generation that we wrote
        self.allowed = LIMIT
        self.theirs: dict[str, int] = {}  # values that others wrote during the trial under way
        self.born = 2
        self.touched = False  # has anybody else edited a value?
        for _ in range(3):
            self.step("none", "same", None)
            self.every_pod_acknowledges()
            self.now += timedelta(seconds=200)

    # --- what others do

    @rule(n=seconds)
    def time_passes(self, n: int) -> None:
        self.now += timedelta(seconds=n)

    @rule(which=st.integers(0, 5))
    def a_pod_acknowledges(self, which: int) -> None:
        self._hear(self.pods[which % len(self.pods)])

    @rule()
    def every_pod_acknowledges(self) -> None:
        for pod in self.pods:
            self._hear(pod)

    @rule(which=st.integers(0, 5), deaf=st.booleans())
    def a_pod_falls_silent_or_recovers(self, which: int, deaf: bool) -> None:
        self.pods[which % len(self.pods)].deaf = deaf

    @rule(n=st.integers(1, 6))
    def the_autoscaler_scales(self, n: int) -> None:
        self._scale(min(n, self.hpa))
        if self.touched:  # the pods that went ran less than those that may come, by what others edited
            self.allowed = max(self.allowed, self._worst())

    @rule(
        name=st.sampled_from(["workers", "pool", "max_replicas"]),
        value=st.integers(1, 16),
        sloppy=st.booleans(),
        ahead=st.sampled_from([0, 5]),
    )
    def somebody_edits(self, name: str, value: int, sloppy: bool, ahead: int) -> None:
        intent = self.ledger.intent
        if name == "max_replicas":
            value = min(value, 6)
        unread = intent is not None and intent.applied_at is None
        if unread and intent is not None and F(value) in [s[name] for s in (intent.parent, *intent.stages)]:
            return  # a value of our own that was not read back yet cannot be told from one that was never written
        if name == "max_replicas":
            self.hpa = value
        elif self.document is None:
            return
        else:
            values = {**self.document.values, name: str(value)}
            fits = values_hash(values)
            changed = replace(self.document, values=values, generation=self.document.generation + ahead)
            self.document = replace(changed, hash=self.document.hash if sloppy else fits)
            self.document = replace(self.document, foreign=self.document.hash != fits)
        if intent is not None:
            self.theirs[name] = value
        if intent is not None and intent.current[name] == value:
            del self.theirs[name]  # the very value that we wrote is no sign of anybody
        # Whoever edits `values` sets them for all pods, also for those that a cohort still keeps from them.
        self.allowed, self.touched = max(self.allowed, self._worst(alike=True)), True

    @rule()
    def somebody_deletes_our_document(self) -> None:
        if self.ledger.intent is None:
            self.document = None

    @rule(mode=st.sampled_from([*[Mode.AUTO] * 3, Mode.RECOMMEND, Mode.OBSERVE]))
    def the_mode_is_turned(self, mode: Mode) -> None:
        self.mode = mode

    @rule(stop=st.sampled_from([None, None, *Stop]), out=st.sampled_from([False, False, True]), held=st.booleans())
    def the_brakes_are_set_or_released(self, stop: Stop | None, out: bool, held: bool) -> None:
        fleet = Missing(Reason.FLEET_BREAKER_OPEN, "harm elsewhere") if held else None
        self.brakes = Brakes(stop, "", out, "", fleet)

    @rule(verb=st.sampled_from(["try", "try", "rollback", "reset", "pause", "resume", "resume"]), wish=moves | trades)
    def somebody_asks(self, verb: str, wish: dict[str, int]) -> None:
        wanted = self._moved(wish)
        text = ",".join(f"{n}={v}" for n, v in wanted.items()) if verb == "try" else ""
        self.requests[verb] = Request(verb, f"t{len(self.requests)}-{self.now.timestamp()}", text)

    @rule()
    def a_deploy(self) -> None:
        self.revision += 1

    @rule(which=st.integers(0, 5))
    def a_pod_is_killed_for_memory(self, which: int) -> None:
        self.pods[which % len(self.pods)].oom_at = self.now

    # --- what we do

    @rule(crash=crashes, seen=metrics, wish=st.none() | moves)
    def a_wake(self, crash: str, seen: str, wish: dict[str, int] | None) -> None:
        self.step(crash, seen, self._moved(wish))

    @rule(crash=crashes, wish=trades)
    def a_wake_that_trades_one_pool_for_another(self, crash: str, wish: dict[str, int]) -> None:
        self.step(crash, "same", self._moved(wish))

    @rule(crash=crashes, seen=metrics, n=st.integers(1, 6), wait=seconds)
    def wakes_without_other_trouble(self, crash: str, seen: str, n: int, wait: int) -> None:
        """So that runs get far enough for the rest to matter."""
        for _ in range(n):
            self.now += timedelta(seconds=wait)
            self.every_pod_acknowledges()
            self.step("none", seen, None)
        self.step(crash, seen, None)

    def _moved(self, wish: dict[str, int] | None) -> dict[str, int]:
        """The incumbent, moved; no wish is no proposal."""
        incumbent = self.ledger.incumbent
        if not wish or incumbent is None:
            return {}
        moved = {n: int(incumbent.number(n)) + wish.get(n, 0) for n in incumbent}
        return {n: int(SPACE[n].clamp(F(v))) for n, v in moved.items()}

    def step(self, crash: str, seen: str, wanted: dict[str, int] | None, deleting: bool = False) -> Decision:
        snapshot = self._snapshot(seen, deleting)
        proposal = wish(setting(**wanted)) if wanted else NO_WISH
        decision = decide(snapshot, proposal, self.now)
        assert decide(snapshot, proposal, self.now) == decision, "the same input gives the same decision"
        self._check(decision)
        if crash == "before_save":
            return decision
        self.ledger = decision.ledger
        if self.ledger.intent is None:
            self.theirs.clear()
        if decision.desired is not None and crash != "before_write":
            self._write(snapshot, decision, half=crash == "half_written")
        return decision

    def _check(self, decision: Decision) -> None:
        intent = decision.ledger.intent
        assert decision.ledger.generation >= self.ledger.generation
        if decision.desired is None:
            return
        assert intent is not None, "an intent is recorded before a write"
        assert decision.desired == intent.current
        assert self.mode is Mode.AUTO or intent.kind is IntentKind.RESTORE
        if self.brakes.stop is not None or self.brakes.opted_out:
            assert intent.kind in (IntentKind.ROLLBACK, IntentKind.RESTORE), "a brake lets only ways back through"
        if self.brakes != Brakes() and self.ledger.intent is None:
            assert intent.kind is not IntentKind.TRIAL, "no trial begins under a brake"
        if self.brakes.opted_out and self.ledger.intent is None:
            raise AssertionError("nothing at all begins on an opted-out workload")
        for name, value in decision.desired.items():
            assert SPACE[name].admits(value)
            if name in self.theirs:
                assert value == self.theirs[name], "a foreign edit is never overwritten"

    def _write(self, snapshot: Snapshot, decision: Decision, half: bool) -> None:
        intent, wanted = decision.ledger.intent, decision.desired
        assert intent is not None and wanted is not None
        texts = document_values(SPACE, wanted)
        if self.document is None or (self.document.generation, self.document.values) != (intent.generation, texts):
            assert intent.generation >= self.written, "the number of the document only ever grows"
            if self.document is not None:
                assert intent.generation > self.document.generation, "one number never stands for two settings"
            listed = cohorts.listed(PROFILE, intent)
            self.document = Document(intent.generation, values_hash(texts), texts, UID, cohorts=listed)
            self.written = intent.generation
        if not half and "max_replicas" in applied(SPACE, wanted, snapshot.held):
            self.hpa = int(wanted.number("max_replicas"))

    # --- what is seen

    def _snapshot(self, seen: str, deleting: bool) -> Snapshot:
        windows = () if seen == "silent" else tuple(self._window(seen, n) for n in (2, 1, 0))
        splits = tuple(Split(*self._beside(seen, w)) for w in windows)
        held = {n: Held(F(v)) for n, v in self._values().items()}
        if self.document is not None:
            held |= {n: Held(F(t)) for n, t in self.document.values.items()}
        return Snapshot(
            spec=replace(self.profile, mode=self.mode),
            ledger=self.ledger,
            workload=self._workload(),
            held=held,
            document=self.document or Missing(Reason.NOT_REPORTED),
            observation=windows[-1] if windows else Missing(Reason.METRICS_UNREACHABLE),
            baseline_windows=windows,
            slos=windows[-1].slos if windows else {},
            requests=tuple(self.requests.values()),
            deleting=deleting,
            brakes=self.brakes,
            split=splits[-1] if splits else None,
            splits=splits,
        )

    def _values(self) -> dict[str, int]:
        """Without a document: what the pods agree on, here the word of one that uses the least: a canary's is no sign."""
        return {**self._least(), "max_replicas": self.hpa}

    def _window(self, seen: str, back: int) -> Observation:
        end = self.now - timedelta(seconds=120 * back)
        latency = {"faster": 0.05, "slower": 0.4}.get(seen, 0.1)
        load = 30.0 if seen == "busier" else 10.0
        good = 0.5 if seen == "slower" else 0.99
        return Observation(
            Window(end - timedelta(seconds=120), end),
            "h",
            load,
            load,
            latency,
            0.0,
            len(self.pods),
            slos={"fast": Attainment(good * load * 120, load * 120)},
        )

    def _beside(self, seen: str, whole: Observation) -> tuple[Observation, Observation]:
        """The canary shows what the whole shows; the rest stays as it was, unless the load rose."""
        rest = replace(whole, latency=0.1, slos={"fast": Attainment(1188.0, 1200.0)})
        own = replace(whole, pods=1, throughput=float(whole.throughput) / 2)  # type: ignore[arg-type]
        return own, own if seen == "busier" else rest

    def _workload(self) -> Workload:
        pods = tuple(
            PodFacts(
                p.name,
                p.name,
                True,
                str(self.revision),
                T0 - timedelta(days=1),
                oom_killed_at=p.oom_at,
                ack=Acknowledgement(UID, p.generation, p.hash) if p.hash and not p.deaf else None,
            )
            for p in self.pods
        )
        return Workload("Deployment", "d-1", len(pods), str(self.revision), False, False, 0, pods)

    def _hear(self, pod: Pod) -> None:
        found = self.document
        if pod.deaf or found is None or found.foreign:
            return
        told = found.values_for(pod.name)
        pod.runs = {n: int(t) for n, t in told.items()}
        pod.generation, pod.hash = found.generation, values_hash(told)

    def _scale(self, n: int) -> None:
        while len(self.pods) < n:
            known = self._least()
            self.pods.append(Pod(f"p{self.born}", dict(known)))
            self.born += 1
            self._hear(self.pods[-1])
        del self.pods[max(n, 1) :]

    def _least(self) -> dict[str, int]:
        """What a new pod runs that can read no document: as one of the others, and not as a canary that has more."""
        return min((p.runs for p in self.pods), key=_used)

    # --- what must hold

    def _worst(self, alike: bool = False) -> int:
        """Connections at the most: each pod at the larger of what it runs and what is written for it, and as many
        more pods as the HPA may start. `alike`: a cohort takes the document's values as well."""
        found = self.document
        each = [max(_used(p.runs), 0 if found is None else _used(found.values_for(p.name))) for p in self.pods]
        if alike and found is not None:
            each = [max(used, _used(found.values)) for used in each]
        unread = found is None or found.foreign
        new = max(_used(self._least()) if unread else 0, 0 if found is None else _used(found.values))
        return sum(each) + max(0, self.hpa - len(self.pods)) * new

    @invariant()
    def the_budget_holds(self) -> None:
        worst = self._worst()
        assert worst <= self.allowed, f"{worst} connections, {self.allowed} allowed"
        if worst <= LIMIT and self.ledger.intent is None:
            self.allowed = LIMIT  # what somebody else exceeded is within the limit again, for good

    def teardown(self) -> None:
        """The faults stop."""
        self.mode, self.requests, self.brakes = Mode.AUTO, {}, Brakes()
        deaf = any(p.deaf for p in self.pods)
        decision = self.step("none", "same", None)
        for _ in range(PATIENT_WAKES):
            self.now += timedelta(seconds=60)
            self._scale(min(len(self.pods), self.hpa))
            self.every_pod_acknowledges()
            before = self._worst()
            decision = self.step("none", "same", None)
            self.the_budget_holds()
            if deaf and (decision.action, decision.reason) == (Action.CONTINUE, Reason.NOT_ACKNOWLEDGED):
                assert self._worst() <= before, "nothing is raised while a pod is silent"
        if deaf and decision.ledger.intent is not None:
            self._said_to_be_degraded(decision)
            return
        assert self.ledger.intent is None, self.ledger.intent
        assert self.document is None or not self.document.cohorts
        incumbent = self.ledger.incumbent
        assert incumbent is not None
        assert incumbent == Setting({n: h.value for n, h in self._snapshot("same", False).held.items()})  # type: ignore[misc]
        assert deaf or all(p.runs == {n: int(incumbent.number(n)) for n in DOCUMENT} for p in self.pods)
        self._deletion_restores(deaf)

    def _said_to_be_degraded(self, decision: Decision) -> None:
        found = said.conditions(self._snapshot("same", False), decision, Missing(Reason.LEARNING), {}, self.now)
        assert said.by_type(found)[ConditionType.DEGRADED].status is Truth.TRUE

    def _deletion_restores(self, deaf: bool) -> None:
        wanted = self.ledger.adopted
        for _ in range(PATIENT_WAKES):
            decision = self.step("none", "same", None, deleting=True)
            if decision.action is Action.CLOSE:
                break
            self.now += timedelta(seconds=60)
            self._scale(min(len(self.pods), self.hpa))
            self.every_pod_acknowledges()
            if not self.touched:  # originals beside foreign values are nobody's plan, but what deletion promises
                self.the_budget_holds()
        else:
            assert deaf
            return
        assert wanted is not None
        assert self.document is None or not self.document.cohorts
        assert document_values(SPACE, wanted) == (self.document.values if self.document else None)
        assert self.hpa == wanted.number("max_replicas")


def _used(values: Mapping[str, int | str]) -> int:
    return int(values["workers"]) * int(values["pool"])


class Canaries(Loop):
    """The same, where every trial of the document's knobs begins in half of the pods."""

    profile = replace(PROFILE, canary=Canary(share=F(1, 2), min_pods=2))

    @rule(wish=hot, n=st.integers(0, 5), seen=metrics)
    def a_canary_gets_as_far_as_it_may(self, wish: dict[str, int], n: int, seen: str) -> None:
        """So that the rest happens in each of its stages."""
        self.mode, self.brakes, self.requests = Mode.AUTO, Brakes(), {}
        self.now += timedelta(seconds=700)
        self.the_autoscaler_scales(max(2, len(self.pods)))
        self.step("none", "same", self._moved(wish))
        for _ in range(n):
            self.now += timedelta(seconds=200)
            self.every_pod_acknowledges()
            self.step("none", seen, None)


TestLoop = Loop.TestCase
TestLoop.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCanaries = Canaries.TestCase
TestCanaries.settings = TestLoop.settings
