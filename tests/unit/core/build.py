"""Builders of snapshots for the core's tests: two pools and an HPA bound, counted by one budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction as F
from typing import Any

from pegbox.core import force
from pegbox.model.knobs import Effect, Knob, KnobType, Location, LocationKind, SearchSpace, Setting, values_hash
from pegbox.model.observations import Attainment, Missing, Observation, Window
from pegbox.model.profile import BudgetSpec, Guards, Mode, Objective, ProfileSpec, Slo, Target
from pegbox.model.proposals import Proposal, ProposalKind
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, Document, Held, PodFacts, Snapshot, Workload
from pegbox.model.trials import Baseline, Intent, IntentKind, Ledger

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
UID = "11111111-2222"
HOT = Knob("workers", minimum=F(1), maximum=F(32))
POOL = Knob("pool", minimum=F(1), maximum=F(40))
HPA = Knob("max_replicas", location=Location(LocationKind.HPA_MAX), minimum=F(1), maximum=F(12))
ENV = Knob("threads", location=Location(LocationKind.ENV), effect=Effect.RESTART, minimum=F(1), maximum=F(16))
LEVEL = Knob("level", type=KnobType.CHOICE, choices=("low", "mid", "high"))
FAST = Slo("fast", "took", F(95, 100), F(1, 2), minimum_events=100)
NO_WISH = Missing(Reason.NOTHING_BETTER)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def setting(**values: int | str | bool) -> Setting:
    return Setting({n: F(v) if isinstance(v, int) and not isinstance(v, bool) else v for n, v in values.items()})


def spec(*knobs: Knob, **changes: Any) -> ProfileSpec:
    """Auto, `workers` and `pool` hot, 48 connections: pods * workers * pool."""
    plain = ProfileSpec(
        namespace="shop",
        name="checkout",
        uid=UID,
        generation=1,
        target=Target("Deployment", "checkout"),
        class_name="python-worker",
        class_generation=1,
        mode=Mode.AUTO,
        objective=Objective.MINIMIZE_COST,
        interval=F(30),
        space=SearchSpace(knobs or (HOT, POOL)),
        roles={},
        signals=(),
        slos=(FAST,),
        budgets=(BudgetSpec("postgres", "pods * workers * pool", limit=F(48)),),
        guards=Guards(),
    )
    return replace(plain, **changes)


def pod(name: str = "a", **changes: Any) -> PodFacts:
    plain = PodFacts(name, f"uid-{name}", True, "r1", at(-9000), container_started_at=at(-9000))
    return replace(plain, **changes)


def workload(*pods: PodFacts, **changes: Any) -> Workload:
    """By default one ready pod of revision r1."""
    listed = pods or (pod(),)
    plain = Workload("Deployment", "target-1", len(listed), "r1", False, False, 0, listed)
    return replace(plain, **changes)


def acked(item: PodFacts, profile: ProfileSpec, intent: Intent) -> PodFacts:
    """The pod after it took the stage under way."""
    hashed = values_hash(force.document_values(profile.space, intent.current))
    return replace(item, ack=Acknowledgement(profile.uid, intent.generation, hashed))


def window(end: float = 0, **changes: Any) -> Observation:
    """120 s that end at T0 + `end`: 10 events/s arrive and leave, 0.1 s each, no failures, 99 % fast."""
    plain = Observation(
        window=Window(at(end - 120), at(end)),
        setting_hash="h",
        offered_load=10.0,
        throughput=10.0,
        latency=0.1,
        errors=0.0,
        pods=1,
        slos={"fast": Attainment(1188.0, 1200.0)},
    )
    return replace(plain, **changes)


def baseline(**changes: Any) -> Baseline:
    """What two windows as above amount to."""
    return replace(Baseline(10.0, 10.0, 0.1, 0.0, {"fast": 0.99}, windows=2), **changes)


def document(profile: ProfileSpec, values: Setting, generation: int, **changes: Any) -> Document:
    texts = force.document_values(profile.space, values)
    return replace(Document(generation, values_hash(texts), texts, profile.uid), **changes)


def held(values: Setting, **refusals: Missing) -> dict[str, Held]:
    return {n: Held(v, refusal=refusals.get(n)) for n, v in values.items()}


def ledger(incumbent: Setting | None = None, **changes: Any) -> Ledger:
    """Adopted at the incumbent, one document written."""
    now = incumbent or setting(workers=4, pool=4)
    plain = Ledger(UID, "target-1", 1, now, now, reporting=True, revision="r1")
    return replace(plain, **changes)


def snapshot(profile: ProfileSpec | None = None, memory: Ledger | None = None, **changes: Any) -> Snapshot:
    """A healthy workload at rest at T0, with everything in the cluster as the ledger has it."""
    profile, memory = profile or spec(), memory or ledger()
    now = memory.intent.current if memory.intent is not None else memory.incumbent
    assert now is not None
    generation = memory.intent.generation if memory.intent is not None else memory.generation
    plain = Snapshot(
        spec=profile,
        ledger=memory,
        workload=workload(),
        held=held(now),
        document=document(profile, now, generation),
        observation=window(),
        baseline_windows=(window(-120), window()),
    )
    seen = replace(plain, **changes)
    if "slos" in changes or isinstance(seen.observation, Missing):
        return seen
    return replace(seen, slos=seen.observation.slos)  # by default every window says the same


def intent(kind: IntentKind = IntentKind.TRIAL, **changes: Any) -> Intent:
    """workers 4 -> 6, written at T0, generation 2."""
    plain = Intent(
        id="i-2",
        kind=kind,
        parent=setting(workers=4, pool=4),
        stages=(setting(workers=6, pool=4),),
        started_at=T0,
        generation=2,
        stage_at=T0,
        revision="r1",
        baseline=baseline(),
    )
    return replace(plain, **changes)


def under_way(item: Intent | None = None, **changes: Any) -> Ledger:
    """A ledger with an intent in flight."""
    item = item or intent()
    return replace(ledger(item.parent, generation=item.generation), intent=item, **changes)


def wish(wanted: Setting, uncapped: Setting | None = None) -> Proposal:
    return Proposal(wanted, ProposalKind.JOINT, "why", Missing(Reason.LEARNING), uncapped or wanted)


def values(changes: Mapping[str, int]) -> dict[str, F]:
    return {n: F(v) for n, v in changes.items()}
