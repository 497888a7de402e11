"""A ledger with something in every field."""

from __future__ import annotations

from fractions import Fraction

from pegbox.model.knobs import Effect, KnobType, Location, LocationKind, ResourceName, Setting, Side, Size
from pegbox.model.observations import Attainment
from pegbox.model.prediction import Row
from pegbox.model.profile import Autoscaler, BudgetSpec, Target
from pegbox.model.reasons import Reason
from pegbox.model.trials import (
    Amount,
    Baseline,
    Breaker,
    BreakerState,
    Intent,
    IntentKind,
    Ledger,
    Original,
    Place,
    Rung,
    Spending,
    TrialState,
    TrialSummary,
    WayBack,
)
from tests.unit.api.moments import HOUR, NOON, SECOND

PARENT = Setting({"workers": Fraction(4), "share": Fraction(4, 5), "tracing": False, "level": "high"})
TARGET = PARENT.with_values(workers=Fraction(6))
TRIAL = TrialSummary(
    id="t-1",
    setting=TARGET,
    parent=PARENT,
    state=TrialState.REVERTED,
    reason=Reason.SLO_BREACHED,
    started_at=NOON - HOUR,
    ended_at=NOON,
    predicted_throughput=120.5,
    throughput=None,
    latency=0.25,
    added=Amount(1, 250, 2**20),
    removed=Amount(0, 100, 0),
)
INTENT = Intent(
    id="t-2",
    kind=IntentKind.TRIAL,
    parent=PARENT,
    stages=(PARENT.with_values(workers=Fraction(5)), TARGET),
    started_at=NOON,
    generation=12,
    stage=1,
    stage_at=NOON + SECOND,
    reason=Reason.TRIAL_STARTED,
    why="workers are busy",
    revision="abc",
    template="0123456789abcdef",
    pods=3,
    baseline=Baseline(60.0, 59.5, 0.125, errors=0.001, slo_shares={"fast": 0.99}, latency_sd=0.05, windows=3),
    requested=True,
    spent={"fast": 12.5},
    variance={"fast": 36.0},
    looks={"fast": ((0.0, 0.0), (30.5, 12.5))},
    added=Amount(2, 500, 2**30),
    removed=Amount(3, 0, 2**20),
)
ROW = Row(PARENT, 3.0, 60.0, 59.5, 0.125, 7, 1.25, 0.001, 1.79e9, {"busy:workers": 0.75})


WAY_BACK = WayBack(
    Target("Deployment", "checkout", "app"),
    (
        Place(
            "pool",
            KnobType.INTEGER,
            Location(LocationKind.CONFIG_MAP_KEY, "app", "POOL"),
            Effect.RESTART,
            Fraction(1),
            Fraction(40),
        ),
        Place(
            "cpu",
            KnobType.CPU,
            Location(LocationKind.CONTAINER_RESOURCE, size=Size(Side.REQUESTS, ResourceName.CPU)),
            Effect.HOT,
            Fraction(1, 20),
            tunable=False,
            take=True,
        ),
    ),
    Autoscaler("checkout", create=False),
    (BudgetSpec("postgres", "pods * pool", Fraction(97, 2)),),
    Fraction(45, 2),
    "default",
)


def full_ledger(trials: int = 1, rows: int = 1) -> Ledger:
    return Ledger(
        profile_uid="u-1",
        target_uid="d-1",
        generation=12,
        incumbent=PARENT,
        adopted=PARENT,
        originals=(Original("ConfigMapKey(app/POOL)", "20", "helm", "c-1"), Original("Replicas", None)),
        ladder=(Rung(PARENT, 60.0, 4, 0.125, NOON - HOUR, {"": Attainment(7180.5, 7200.0)}),),
        intent=INTENT,
        breaker=Breaker(BreakerState.OPEN, 3, 1, NOON + HOUR),
        trials=(TRIAL,) * trials,
        rows=(ROW,) * rows,
        cooldown_until=NOON + HOUR,
        paused_until=NOON.max.replace(tzinfo=NOON.tzinfo),
        tokens={"try": "a1", "reset": "b2"},
        reporting=True,
        revision="abc",
        template="0123456789abcdef",
        deployed_at=NOON - HOUR,
        halted=Reason.LAST_KNOWN_GOOD_FAILING,
        halted_at=NOON,
        forecasts=((1.0, 2.0, 3.0), (4.5, 5.5, 6.5)),
        owed=PARENT,
        way_back=WAY_BACK,
        spent={"fast": (Spending(NOON - HOUR, NOON, 26.5, 36.0),)},
    )
