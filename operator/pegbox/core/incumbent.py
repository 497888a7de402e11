"""The incumbent at rest: does it still hold what it was accepted for, and where would one go back to? Pure.

A trial is judged on few windows; some harm shows only later (a leak, a slow queue, a fuller cache). So a setting stays
on probation until it is last-known-good itself: until then, doing worse than the one before it takes it back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pegbox.core import breaker, deploys, error_share, guards, slo, transitions, verify
from pegbox.core.baseline import recent
from pegbox.core.transitions import COMPARABLE, Begin
from pegbox.model.decisions import Admission
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger, Rung, TrialState, TrialSummary

WORSE = 2.0  # mean latency beyond this multiple of the record is failing
WINDOWS = 2  # in a row that have to say so
UNSEEN = Missing(Reason.NO_DATA, "not observed before")
LASTING = timedelta(days=1)  # what fails for longer is no incident: the workload is another one


def failing(spec: ProfileSpec, ledger: Ledger, seen: Observation | Missing) -> bool:
    """Does the last known good setting do worse than it did under that load before, at no more than its proven load?

    Worse is slower by WORSE, or a share of failed events far above its own (`core.error_share`). The record of latency
    is the mean of all loads: where rows know that it is slower under as much load per pod, that counts. More load per
    pod than they know is another load.
    """
    rung = _proven(ledger)
    if rung is None or isinstance(seen, Missing):
        return False
    load, latency = seen.offered_load, seen.latency
    if isinstance(load, Missing) or load > rung.proven_load * COMPARABLE:
        return False
    each = load / max(seen.pods, 1)
    known = [(row.load / max(row.pods, 1.0), row.latency) for row in ledger.rows if row.setting == ledger.incumbent]
    if known and each > COMPARABLE * max(carried for carried, _ in known):
        return False
    if error_share.surged(spec, rung.counted, seen):
        return True
    record = max([rung.latency, *(took for carried, took in known if carried <= COMPARABLE * each)])
    return not isinstance(latency, Missing) and latency > WORSE * record


def set_apart(
    spec: ProfileSpec, ledger: Ledger, seen: Observation | Missing, before: Observation | Missing = UNSEEN
) -> Observation | Missing:
    """A window of the incumbent, and what was seen at the look before: not clean where either fails like that.

    An incident ends somewhere between two looks: only what begins after one at which all was well is of the setting.
    """
    if isinstance(seen, Missing) or not (failing(spec, ledger, seen) or failing(spec, ledger, before)):
        return seen
    return replace(seen, clean=False, unclean_reason=Reason.LAST_KNOWN_GOOD_FAILING)


def watch(snapshot: Snapshot, now: datetime) -> Ledger:
    """Halt while the last known good setting fails, and until a clean window shows that it is well again: what is not
    known ends no halt, nor does an old answer end or begin one.

    What fails for longer than LASTING is no incident. As after a deploy, what was proven no longer holds then: else
    nothing would ever be learned again.
    """
    spec, ledger, seen = snapshot.spec, snapshot.ledger, snapshot.observation
    unseen = guards.data.unseen(spec, seen, now)
    if unseen is not None or not isinstance(seen, Observation) or isinstance(seen.offered_load, Missing):
        return ledger
    over, rung = replace(ledger, halted=None, halted_at=None), _proven(ledger)
    if rung is not None and failing(spec, ledger, seen):
        since = ledger.halted_at if ledger.halted is not None and ledger.halted_at is not None else seen.window.end
        if seen.window.end - since > LASTING:
            return transitions.outdated(over)
        return replace(ledger, halted=Reason.LAST_KNOWN_GOOD_FAILING, halted_at=since)
    if isinstance(seen.latency, Missing):
        return ledger
    if rung is None:
        return over
    return over if seen.clean and error_share.told(spec, rung.counted, seen) else ledger


@dataclass(frozen=True, slots=True)
class Degraded:
    """Why an accepted setting is taken back."""

    reason: Reason
    detail: str


def degraded(snapshot: Snapshot, workload: Workload, now: datetime) -> Degraded | None:
    """Does an accepted setting that is still on probation do worse than what stood before it?

    Only what a trial put there is taken back, never what somebody else set, and not after a deploy: then it is
    other code that answers. Pods are read with every look; what windows say of it counts only while anything is seen.
    """
    ledger, spec = snapshot.ledger, snapshot.spec
    trial, rung = _acceptance(ledger), _rung(ledger)
    proven = rung is not None and rung.replicates >= transitions.REPLICATES
    if trial is None or proven or workload.rolling or deploys.came(ledger, workload):
        return None
    if ledger.deployed_at is not None and ledger.deployed_at >= trial.ended_at:
        return None
    hurt = verify.damage(trial.started_at, workload)
    if hurt is not None:
        return Degraded(hurt.reason, hurt.detail)
    record = transitions.proven_rung(ledger, besides=ledger.incumbent)
    newest = recent(spec, snapshot.baseline_windows, now)[-WINDOWS:]
    if record is None or len(newest) < WINDOWS or guards.data.unseen(spec, snapshot.observation, now) is not None:
        return None
    reasons = [_worse(spec, record, window) for window in newest]
    if any(reason is None for reason in reasons):
        return None
    assert reasons[-1] is not None
    return Degraded(reasons[-1], f"worse than the setting before it in {WINDOWS} windows, under no more load")


def _worse(spec: ProfileSpec, record: Rung, window: Observation) -> Reason | None:
    """Worse than the record, under a load that the record was proven for. Rungs met every SLO."""
    load, latency = window.offered_load, window.latency
    if isinstance(load, Missing) or load > record.proven_load * COMPARABLE:
        return None
    if not isinstance(latency, Missing) and latency > WORSE * record.latency:
        return Reason.REGRESSION
    for item in spec.slos:
        verdict = slo.judge(item, window.slos.get(item.name, Missing(Reason.NO_DATA)))
        if not isinstance(verdict, Missing) and verdict.state is slo.SloState.BREACHED:
            return Reason.SLO_BREACHED
    return None


def goal(snapshot: Snapshot) -> Setting | Missing:
    """Where to go back to: the newest last-known-good other than the incumbent, else the parent of the trial that
    was accepted; less what is not ours to write. Missing says why there is no such place."""
    ledger = snapshot.ledger
    assert ledger.incumbent is not None
    trial = _acceptance(ledger)
    wanted = transitions.last_known_good(ledger, besides=ledger.incumbent) or (trial.parent if trial else None)
    if wanted is None or set(wanted) != set(ledger.incumbent):
        return Missing(Reason.NOTHING_BETTER, "no earlier setting is known to be good")
    wanted = ledger.incumbent.with_values(**{n: wanted[n] for n in _ours(snapshot)})
    if wanted == ledger.incumbent:
        return Missing(Reason.OWNED_BY_OTHER, "what differs from the last known good setting is not ours to write")
    for guard in (guards.limits.bounds, guards.limits.rules, guards.budgets_guard.budgets):
        verdict = guard(snapshot, ledger.incumbent, wanted)
        if verdict.admission is Admission.REFUSE:
            return Missing(verdict.reason, f"{SENTENCES[verdict.reason]}: {verdict.detail}")
    return wanted


def take_back(snapshot: Snapshot, workload: Workload, why: Degraded, now: datetime, jitter: float) -> Ledger | Missing:
    """The ledger with the way back begun; the breaker counts it, and the setting is remembered as one that failed."""
    ledger, parent, wanted = snapshot.ledger, snapshot.ledger.incumbent, goal(snapshot)
    if isinstance(wanted, Missing):
        return wanted
    trial = _acceptance(ledger)
    assert parent is not None and trial is not None
    failed = replace(trial, state=TrialState.REVERTED, reason=why.reason, ended_at=now)
    ledger = replace(
        ledger,
        breaker=breaker.fail(ledger.breaker, snapshot.spec.guards, now, jitter),
        trials=tuple(failed if t is trial else t for t in ledger.trials),
    )
    item = Begin(IntentKind.ROLLBACK, wanted, why.reason, now, why=why.detail, revision=workload.revision)
    return transitions.begin(snapshot.spec, ledger, parent, item)


def _rung(ledger: Ledger) -> Rung | None:
    return next((r for r in ledger.ladder if r.setting == ledger.incumbent), None)


def _proven(ledger: Ledger) -> Rung | None:
    """The incumbent's own record, where it is last-known-good itself."""
    rung = _rung(ledger)
    return rung if rung is not None and rung.replicates >= transitions.REPLICATES else None


def _acceptance(ledger: Ledger) -> TrialSummary | None:
    """The trial whose setting is the incumbent now, if it was the last that was accepted. What a budget made necessary
    (`core.overdrawn`) was no trial."""
    accepted = next((t for t in reversed(ledger.trials) if t.state is TrialState.ACCEPTED), None)
    if accepted is None or accepted.reason is Reason.BUDGET_EXCEEDED:
        return None
    return accepted if accepted.setting == ledger.incumbent else None


def _ours(snapshot: Snapshot) -> tuple[str, ...]:
    """Knobs that may be written: tunable, in a place that nobody else holds."""
    held = snapshot.held
    return tuple(k.name for k in snapshot.spec.space.tunable if k.name in held and held[k.name].refusal is None)
