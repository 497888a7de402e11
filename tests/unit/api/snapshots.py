"""A snapshot in mid-trial and its decision, for the status tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from pegbox.api.translate import Context, to_model
from pegbox.model.decisions import Action, Condition, ConditionType, Decision, Truth
from pegbox.model.knobs import Setting
from pegbox.model.observations import Attainment, Missing, Observation, Window
from pegbox.model.prediction import LoadForecast, ModelReport
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, PodFacts, SharedBudgetFacts, Snapshot, Workload
from pegbox.model.trials import Breaker, Intent, IntentKind, Ledger, TrialState, TrialSummary
from tests.unit.api.documents import CLASS, profile
from tests.unit.api.moments import HOUR, NOON, SECOND

SPEC = to_model(
    profile(
        mode="Auto",
        preset="Custom",
        slos=[
            {"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "95%"},
            {"name": "ok", "signal": "success", "goal": "99.9%"},
        ],
        knobs=[
            {"name": "workers", "min": 1, "max": 32},
            {"name": "pool"},
            {"name": "overflow", "value": 0},
            {"name": "timeout", "mode": "Recommend"},
        ],
        budgets=[
            {"name": "db", "uses": "pods * workers * (pool + overflow)", "budgetRef": {"name": "main"}},
            {"name": "upstream", "uses": "pods * workers", "limit": 64},
        ],
        guards={"settle": "10s"},
    ),
    CLASS,
    Context(Fraction(2)),
)
PARENT = Setting({"workers": Fraction(4), "pool": Fraction(20), "overflow": Fraction(0), "timeout": Fraction(30)})
TARGET = PARENT.with_values(workers=Fraction(6), pool=Fraction(16))
POD = PodFacts("checkout-1", "p-1", ready=True, revision="abc", started_at=NOON - HOUR)
WORKLOAD = Workload("Deployment", "d-1", 2, "abc", False, False, 1, (POD, replace(POD, name="checkout-2", uid="p-2")))
INTENT = Intent(
    id="t-2",
    kind=IntentKind.TRIAL,
    parent=PARENT,
    stages=(PARENT.with_values(pool=Fraction(16)), TARGET),
    started_at=NOON,
    generation=12,
    reason=Reason.TRIAL_STARTED,
    why="workers are busy, pool is not",
)
LAST = TrialSummary(
    "t-1", TARGET, PARENT, TrialState.REVERTED, Reason.SLO_BREACHED, NOON - HOUR, NOON - timedelta(minutes=30)
)
LEDGER = Ledger(
    profile_uid="u-1",
    generation=12,
    incumbent=PARENT,
    intent=INTENT,
    trials=(LAST,),
    tokens={"try": "a1"},
    breaker=Breaker(failures=1),
)
SEEN = Observation(
    window=Window(NOON - SECOND * 20, NOON),
    setting_hash="h",
    offered_load=60.0,
    throughput=59.5,
    latency=0.125,
    errors=0.001,
    pods=2,
    slos={"fast": Attainment(970.0, 1000.0), "ok": Missing(Reason.TOO_FEW_EVENTS, "7 of 100")},
)
REPORT = ModelReport(
    {"demand:workers": 0.30000000000000004, "sigma": 1.5e-7}, 42, 0.0512345, Missing(Reason.LEARNING), ("kappa",)
)
SNAPSHOT = Snapshot(
    spec=SPEC,
    ledger=LEDGER,
    workload=WORKLOAD,
    held={
        "workers": Held(Fraction(4), "4"),
        "pool": Held(Fraction(20), "20", owners=("helm",), refusal=Missing(Reason.OWNED_BY_OTHER, "helm owns it")),
        "overflow": Held(Fraction(0), "0"),
        "timeout": Held(Missing(Reason.NOT_REPORTED)),
    },
    document=Missing(Reason.NO_DATA),
    observation=SEEN,
    slos=SEEN.slos,
    budgets={"main": SharedBudgetFacts("main", 300, 160)},
    forecast=LoadForecast(now=60.0, upper=71.123456, horizon=180.0, level=0.98),
)


def condition(kind: ConditionType, status: Truth, reason: Reason) -> Condition:
    return Condition(kind, status, reason, "in words", 7, NOON + timedelta(microseconds=123456))


DECISION = Decision(
    action=Action.CONTINUE,
    reason=Reason.WAITING_FOR_PODS,
    message="1 of 2 pods",
    ledger=LEDGER,
    desired=TARGET,
    proposal=TARGET,
    conditions=(
        condition(ConditionType.READY, Truth.TRUE, Reason.ACCEPTED),
        condition(ConditionType.MODEL_TRUSTED, Truth.TRUE, Reason.MODEL_TRUSTED),
    ),
)
