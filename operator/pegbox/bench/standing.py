"""A made-up workload at rest, for timing a decision: healthy, adopted, a ledger as long as it gets, nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from pegbox.core import force
from pegbox.model.knobs import Knob, SearchSpace, Setting, values_hash
from pegbox.model.observations import Attainment, Observation, Window
from pegbox.model.prediction import Row
from pegbox.model.profile import BudgetSpec, Guards, Mode, Objective, ProfileSpec, Slo, Target
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, Document, Held, PodFacts, Snapshot, Workload
from pegbox.model.trials import MAX_TRIALS, Ledger, TrialState, TrialSummary

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
UID, TARGET_UID, REVISION, GENERATION = "11111111-2222", "target-1", "r1", 7
PODS, WINDOWS, LENGTH = 10, 5, timedelta(seconds=120)
RATE, SECONDS = 100.0, 0.1  # events per second over all pods; of one event


def at_rest(knobs: int, rows: int) -> Snapshot:
    """Whole-number knobs w0, w1, ... at 8 in 1 to 64, of which the first two share a budget; `rows` in the ledger."""
    spec = _spec(knobs)
    setting = Setting({knob.name: Fraction(8) for knob in spec.space.knobs})
    texts = force.document_values(spec.space, setting)
    hashed = values_hash(texts)
    pods = tuple(_pod(i, hashed) for i in range(PODS))
    ledger = Ledger(
        UID,
        TARGET_UID,
        GENERATION,
        setting,
        setting,
        reporting=True,
        revision=REVISION,
        trials=tuple(_trial(setting, i) for i in range(MAX_TRIALS)),
        rows=tuple(_row(setting, i) for i in range(rows)),
    )
    windows = tuple(_window(hashed, NOW - LENGTH * i) for i in reversed(range(WINDOWS)))
    return Snapshot(
        spec=spec,
        ledger=ledger,
        workload=Workload("Deployment", TARGET_UID, PODS, REVISION, False, False, 0, pods),
        held={name: Held(value) for name, value in setting.items()},
        document=Document(GENERATION, hashed, texts, UID),
        observation=windows[-1],
        baseline_windows=windows,
        slos=windows[-1].slos,
    )


def _spec(knobs: int) -> ProfileSpec:
    space = SearchSpace(tuple(Knob(f"w{i}", minimum=Fraction(1), maximum=Fraction(64)) for i in range(knobs)))
    uses = " * ".join(["pods", *space.names[:2]])
    return ProfileSpec(
        namespace="shop",
        name="checkout",
        uid=UID,
        generation=1,
        target=Target("Deployment", "checkout"),
        class_name="python-worker",
        class_generation=1,
        mode=Mode.AUTO,
        objective=Objective.MINIMIZE_COST,
        interval=Fraction(30),
        space=space,
        roles={},
        signals=(),
        slos=(Slo("fast", "took", Fraction(95, 100), Fraction(1, 2)),),
        budgets=(BudgetSpec("connections", uses, limit=Fraction(100_000)),),
        guards=Guards(),
    )


def _pod(number: int, hashed: str) -> PodFacts:
    begun = NOW - timedelta(hours=3)
    acknowledged = Acknowledgement(UID, GENERATION, hashed)
    name = f"checkout-{number}"
    return PodFacts(name, f"uid-{name}", True, REVISION, begun, container_started_at=begun, ack=acknowledged)


def _window(hashed: str, end: datetime) -> Observation:
    events = RATE * LENGTH.total_seconds()
    return Observation(
        window=Window(end - LENGTH, end),
        setting_hash=hashed,
        offered_load=RATE,
        throughput=RATE,
        latency=SECONDS,
        errors=0.0,
        pods=PODS,
        slos={"fast": Attainment(0.99 * events, events)},
    )


def _moved(setting: Setting, number: int) -> Setting:
    names: Sequence[str] = list(setting)
    return setting.with_values(**{names[number % len(names)]: Fraction(1 + number % 64)})


def _trial(setting: Setting, number: int) -> TrialSummary:
    ended = NOW - timedelta(hours=number + 1)
    begun = ended - timedelta(minutes=5)
    state, reason = TrialState.REVERTED, Reason.REGRESSION
    return TrialSummary(f"i-{number}", _moved(setting, number), setting, state, reason, begun, ended)


def _row(setting: Setting, number: int) -> Row:
    plain = Row(setting, float(PODS), RATE, RATE, SECONDS, 3, last_seen=NOW.timestamp() - 60.0 * number)
    return replace(plain, setting=_moved(setting, number))
