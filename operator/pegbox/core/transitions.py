"""Ledger transitions: how a trial, a rollback or an adoption begins and ends. Each returns the next ledger."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.core import breaker, cohorts, error_share, hpa_bounds, measure, statistics, usage
from pegbox.model.knobs import KnobValue, Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import Guards, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Workload
from pegbox.model.trials import (
    MAX_LADDER,
    MAX_TRIALS,
    Baseline,
    BreakerState,
    Cohort,
    Intent,
    IntentKind,
    Ledger,
    Rung,
    TrialState,
    TrialSummary,
)

REPLICATES = 3  # clean windows that meet every SLO before a setting is last-known-good
COMPARABLE = 1.1  # offered load up to this multiple of the proven one can be held against a setting
MAX_FORECASTS = 30
AFTER_DEPLOY = 0.5  # share of the weight that figures of older code keep: it is another workload, but not a stranger


@dataclass(frozen=True, slots=True)
class Begin:
    """What a new intent needs beside the ledger."""

    kind: IntentKind
    target: Setting
    reason: Reason
    now: datetime
    why: str = ""
    requested: bool = False
    urgent: bool = False
    predicted: float | None = None
    baseline: Baseline | None = None
    revision: str = ""
    template: str = ""  # of a trial, which a deploy ends
    pods: int = 0
    cohort: cohorts.Standing | None = None  # of a trial: where it runs first; else what a cohort still runs


def begin(spec: ProfileSpec, ledger: Ledger, parent: Setting, item: Begin) -> Ledger:
    """Record an intent: its stages, and a new document generation for the first of them."""
    item = replace(item, target=hpa_bounds.uncrossed(spec, item.target, _left_as_it_is(parent, item)))
    stages, cohort = _ways(spec, parent, item)
    generation = ledger.generation + 1
    intent = Intent(
        id=f"{spec.uid[:8]}-{generation}",
        kind=item.kind,
        parent=parent,
        stages=stages,
        started_at=item.now,
        generation=generation,
        reason=item.reason,
        why=item.why,
        revision=item.revision,
        template=item.template,
        pods=item.pods,
        baseline=item.baseline,
        requested=item.requested,
        urgent=item.urgent,
        predicted=item.predicted,
        cohort=cohort,
        measured=measure.digest(spec) if item.kind is IntentKind.TRIAL else "",
    )
    return replace(ledger, intent=intent, generation=generation)


def _left_as_it_is(parent: Setting, item: Begin) -> Collection[str]:
    """A restore leaves what others decided since the adoption: it does not move there."""
    return set(item.target) - set(parent.diff(item.target)) if item.kind is IntentKind.RESTORE else ()


def _ways(spec: ProfileSpec, parent: Setting, item: Begin) -> tuple[tuple[Setting, ...], Cohort | None]:
    if item.cohort is None:
        return usage.stages(spec, parent, item.target), None
    if item.kind is IntentKind.TRIAL:
        return cohorts.first(spec, parent, item.target, item.cohort)
    return cohorts.together(spec, parent, item.target, item.cohort)


def upkeep(ledger: Ledger, incumbent: Setting, now: datetime) -> Intent:
    """What the actuator is told when pods are brought to the setting in force: not stored, since the ledger's
    incumbent says it all, and it moves nothing."""
    stages = (incumbent,)
    return Intent(f"upkeep-{ledger.generation}", IntentKind.ADOPT, incumbent, stages, now, ledger.generation)


def next_stage(ledger: Ledger, intent: Intent) -> Ledger:
    """The stage under way is in force everywhere: go on to the next, as a new document generation."""
    generation = ledger.generation + 1
    following = replace(
        intent,
        stage=intent.stage + 1,
        generation=generation,
        stage_at=None,
        applied_at=None,
        in_force_at=None,
    )
    return replace(ledger, intent=following, generation=generation)


def widen(ledger: Ledger, intent: Intent) -> Ledger:
    """The canary did no harm: the rest follows. What was counted beside it says nothing of what comes."""
    return next_stage(ledger, replace(intent, bad_samples=0, disturbed=0, first_bad_at=None))


def plainly(spec: ProfileSpec, ledger: Ledger, intent: Intent) -> Ledger:
    """No canary after all: the trial begins again as a plain step."""
    generation = ledger.generation + 1
    again = replace(
        intent,
        stages=usage.stages(spec, intent.parent, intent.target),
        cohort=None,
        stage=0,
        generation=generation,
        stage_at=None,
        applied_at=None,
        bad_samples=0,
        disturbed=0,
        first_bad_at=None,
    )
    return replace(ledger, intent=again, generation=generation)


def renumber(ledger: Ledger, intent: Intent) -> Ledger:
    """Write the stage under way again, as a new document: pods refuse a number that they know with other values."""
    generation = ledger.generation + 1
    again = replace(intent, generation=generation, stage_at=None, applied_at=None, in_force_at=None)
    return replace(ledger, intent=again, generation=generation)


def catch_up(ledger: Ledger, document: int) -> Ledger:
    """A document of ours that is newer than the ledger (restored from a backup, or edited) is never written over
    with an older number: the stage under way is numbered again, above it."""
    if document <= ledger.generation:
        return ledger
    if ledger.intent is None:
        return replace(ledger, generation=document)
    again = replace(ledger.intent, generation=document + 1)
    return replace(ledger, generation=document + 1, intent=again)


def not_ahead(guards: Guards, ledger: Ledger, now: datetime) -> Ledger:
    """The clock may be set back. What happened did so by now: else a trial would go unwatched until the old time is
    reached again, and waiting times would be longer than anybody asked for."""
    wait, intent = ledger.cooldown_until, ledger.intent
    if wait is not None:
        longest = timedelta(seconds=float(longest_cooldown(guards, ledger)))
        ledger = replace(ledger, cooldown_until=min(wait, now + longest))
    spent = {
        name: tuple(replace(item, since=min(item.since, now), until=min(item.until, now)) for item in items)
        for name, items in ledger.spent.items()
    }
    ledger = replace(
        ledger, halted_at=_by(ledger.halted_at, now), deployed_at=_by(ledger.deployed_at, now), spent=spent
    )
    if ledger.breaker.until is not None:
        until = min(ledger.breaker.until, now + breaker.LONGEST)
        ledger = replace(ledger, breaker=replace(ledger.breaker, until=until))
    if intent is None:
        return ledger
    intent = replace(
        intent,
        started_at=min(intent.started_at, now),
        stage_at=_by(intent.stage_at, now),
        applied_at=_by(intent.applied_at, now),
        in_force_at=_by(intent.in_force_at, now),
        first_bad_at=_by(intent.first_bad_at, now),
        last_sample_at=_by(intent.last_sample_at, now),
    )
    return replace(ledger, intent=intent)


def longest_cooldown(guards: Guards, ledger: Ledger) -> Fraction:
    """Seconds. A ledger that knows no trial may be one that was made anew: it waits for one backoff of the breaker,
    since nobody knows what failed before."""
    tried = ledger.trials or (ledger.intent is not None and ledger.intent.kind is IntentKind.TRIAL)
    return guards.cooldown if tried else max(guards.cooldown, guards.breaker_base)


def _by(moment: datetime | None, now: datetime) -> datetime | None:
    return None if moment is None else min(moment, now)


def outdated(ledger: Ledger) -> Ledger:
    """Another workload, or another measure, answers otherwise: what the ladder proved no longer holds, and old figures
    weigh less."""
    return replace(ledger, ladder=(), rows=statistics.decay(ledger.rows, AFTER_DEPLOY))


def deployed(ledger: Ledger, workload: Workload, now: datetime) -> Ledger:
    """New code is another workload."""
    template = workload.named or workload.template
    return replace(outdated(ledger), revision=workload.revision, template=template, deployed_at=now)


def unproven(ledger: Ledger) -> Ledger:
    """Forget the incumbent's own record. Others stay: a rollback may still go there."""
    return replace(ledger, ladder=tuple(r for r in ledger.ladder if r.setting != ledger.incumbent))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trial ended, before its parent is put back."""

    state: TrialState
    reason: Reason
    now: datetime
    why: str = ""
    counted: bool = False
    jitter: float = 0.0
    foreign: Mapping[str, KnobValue] = field(default_factory=dict)  # what others wrote meanwhile: it stays
    seen: Sequence[Observation] = ()  # the evidence that was judged, if any
    goal: Setting | None = None  # where to go back to, if not all the way to the parent


def turn_back(spec: ProfileSpec, ledger: Ledger, intent: Intent, ending: Ending) -> Ledger:
    """The trial becomes a rollback to its parent; the breaker counts it now, so that no crash forgets it.

    Stages run from the setting last written, which may be one in between, back to the parent; none of them holds
    an own value where somebody else wrote meanwhile. A canary goes back in its own pods: the rest never left.
    """
    here, goal = keeping(intent.current, ending.foreign), keeping(ending.goal or intent.parent, ending.foreign)
    goal = hpa_bounds.uncrossed(spec, goal, ending.foreign)
    back = Begin(IntentKind.ROLLBACK, goal, ending.reason, ending.now, cohort=cohorts.here(intent, here))
    stages, cohort = _ways(spec, here, back)
    generation = ledger.generation + 1
    rollback = replace(
        intent,
        kind=IntentKind.ROLLBACK,
        parent=here,
        stages=stages,
        cohort=cohort,
        stage=0,
        generation=generation,
        stage_at=None,
        applied_at=None,
        in_force_at=None,
        reason=ending.reason,
        why=ending.why,
        state=ending.state,
        counted=ending.counted,
        keep=tuple(sorted(ending.foreign)),
    )
    ledger = owing(ledger, keeping(intent.parent, ending.foreign), goal, ending.foreign)
    state = ledger.breaker
    if ending.counted:
        state = breaker.fail(state, spec.guards, ending.now, ending.jitter)
    summary = summarise(intent, ending, ending.seen)
    return replace(
        scored(ledger, intent, summary),
        intent=rollback,
        generation=generation,
        breaker=state,
        trials=_remember(ledger.trials, summary),
    )


def keeping(wanted: Setting, foreign: Mapping[str, KnobValue]) -> Setting:
    """`wanted`, but with what somebody else wrote meanwhile: a foreign edit of the same value wins."""
    return wanted.with_values(**{n: v for n, v in foreign.items() if n in wanted})


def yield_to(spec: ProfileSpec, ledger: Ledger, intent: Intent, foreign: Mapping[str, KnobValue]) -> Ledger:
    """A rollback in mid-course gives way to a foreign edit: the rest is still put back."""
    generation, kept = ledger.generation + 1, {*intent.keep, *foreign}
    rest = tuple(hpa_bounds.uncrossed(spec, keeping(stage, foreign), kept) for stage in intent.stages[intent.stage :])
    cohort = intent.cohort
    if cohort is not None:  # what somebody set for all holds for the cohort, too
        ahead = tuple(
            hpa_bounds.uncrossed(spec, keeping(stage, foreign), kept) for stage in cohort.stages[intent.stage :]
        )
        here = keeping(intent.before, foreign)
        own = {n: intent.cohort_before[n] for n in intent.before.diff(intent.cohort_before) if n in here}
        cohort = replace(cohort, parent=here.with_values(**own), stages=ahead)
    following = replace(
        intent,
        parent=keeping(intent.before, foreign),
        stages=rest,
        cohort=cohort,
        stage=0,
        generation=generation,
        stage_at=None,
        applied_at=None,
        keep=tuple(sorted(kept)),
    )
    return replace(owing(ledger, foreign=foreign), intent=following, generation=generation)


def owing(
    ledger: Ledger, wanted: Setting | None = None, goal: Setting | None = None, foreign: Container[str] = ()
) -> Ledger:
    """Take note of what of `wanted` a way back to `goal` leaves lowered. What others set is owed no more.

    What was owed before stays so: lowered twice, the first value is the one that was proven.
    """
    owed = {n: v for n, v in (ledger.owed or {}).items() if n not in foreign}
    if wanted is not None and goal is not None:
        owed = {n: wanted[n] for n in wanted.diff(goal) if n in wanted} | owed
    return replace(ledger, owed=Setting(owed) if owed else None)


def left_to_others(ledger: Ledger, foreign: Mapping[str, KnobValue]) -> Ledger:
    """What somebody else decided since the adoption is not ours to undo: a restore leaves it as they set it."""
    ledger = owing(ledger, foreign=foreign)
    if ledger.adopted is None or not foreign:
        return ledger
    return replace(ledger, adopted=keeping(ledger.adopted, foreign))


def undone(ledger: Ledger, names: Collection[str]) -> Ledger:
    """Others set again what an accepted trial had moved: its summary says so (`limits.left_alone` reads it)."""
    left, trials = set(names), list(ledger.trials)
    for number, trial in reversed(list(enumerate(trials))):
        moved = left.intersection(trial.parent.diff(trial.setting))
        if moved and trial.state is TrialState.ACCEPTED:
            trials[number] = replace(trial, foreign=tuple(sorted({*trial.foreign, *moved})))
        left -= moved
    return replace(ledger, trials=tuple(trials))


def accept(spec: ProfileSpec, ledger: Ledger, intent: Intent, seen: Sequence[Observation], now: datetime) -> Ledger:
    """The trial's setting is the new incumbent."""
    ending = Ending(TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, now)
    summary = summarise(intent, ending, seen)
    return replace(
        scored(ledger, intent, summary),
        intent=None,
        incumbent=intent.target,
        breaker=breaker.succeed(ledger.breaker),
        trials=_remember(ledger.trials, summary),
        cooldown_until=now + timedelta(seconds=float(spec.guards.cooldown)),
        revision=intent.revision or ledger.revision,
        template=intent.template or ledger.template,
        halted=None,
        owed=None,  # this was judged with what is there
    )


def finish_rollback(spec: ProfileSpec, ledger: Ledger, intent: Intent, now: datetime) -> Ledger:
    """The parent is in force again."""
    return replace(
        left_to_others(ledger, {n: intent.target[n] for n in intent.keep if n in intent.target}),
        intent=None,
        incumbent=intent.target,
        cooldown_until=now + timedelta(seconds=float(spec.guards.cooldown)),
    )


def finish_lowering(spec: ProfileSpec, ledger: Ledger, intent: Intent, now: datetime) -> Ledger:
    """What a budget made necessary is in force. It stands among the trials, so that who sets it again is left alone."""
    ending = Ending(TrialState.ACCEPTED, intent.reason, now, foreign={n: intent.target[n] for n in intent.keep})
    ledger = finish_rollback(spec, ledger, intent, now)
    return replace(ledger, trials=_remember(ledger.trials, summarise(intent, ending)))


def stopped_at(ledger: Ledger, intent: Intent) -> Ledger:
    """The end of a restore that a global stop asked for: what is there is adopted anew once the stop is over.

    Where a budget had no room for all of it, the values of the adoption are not forgotten: they are still owed.
    """
    ledger = left_to_others(ledger, {n: intent.target[n] for n in intent.keep if n in intent.target})
    if intent.target != ledger.adopted:
        return replace(ledger, intent=None, incumbent=intent.target)
    return replace(ledger, intent=None, incumbent=None, adopted=None, originals=(), ladder=(), halted=None, owed=None)


def scored(ledger: Ledger, intent: Intent, summary: TrialSummary) -> Ledger:
    """Keep what model and baseline (the parent's own figure) had said, beside what came."""
    if intent.predicted is None or intent.baseline is None or not summary.throughput:
        return ledger
    forecast = (intent.predicted, intent.baseline.throughput, summary.throughput)
    return replace(ledger, forecasts=(*ledger.forecasts, forecast)[-MAX_FORECASTS:])


def close(ledger: Ledger, intent: Intent, incumbent: Setting, ending: Ending) -> Ledger:
    """The intent ends without another write: somebody else decided."""
    trials = ledger.trials
    if intent.kind is IntentKind.TRIAL:
        trials = _remember(trials, summarise(intent, ending))
    return replace(ledger, intent=None, incumbent=incumbent, trials=trials)


def summarise(intent: Intent, ending: Ending, seen: Sequence[Observation] = ()) -> TrialSummary:
    throughput = [w.throughput for w in seen if not isinstance(w.throughput, Missing)]
    latency = [w.latency for w in seen if not isinstance(w.latency, Missing)]
    return TrialSummary(
        id=intent.id,
        setting=intent.target,
        parent=intent.parent,
        state=ending.state,
        reason=ending.reason,
        started_at=intent.started_at,
        ended_at=ending.now,
        foreign=tuple(sorted(ending.foreign)),
        predicted_throughput=intent.predicted,
        throughput=sum(throughput) / len(throughput) if throughput else None,
        latency=sum(latency) / len(latency) if latency else None,
        added=intent.added,
        removed=intent.removed,
    )


def _remember(trials: tuple[TrialSummary, ...], summary: TrialSummary) -> tuple[TrialSummary, ...]:
    return (*trials, summary)[-MAX_TRIALS:]


def climb(spec: ProfileSpec, ledger: Ledger, window: Observation) -> Ledger:
    """One more clean window of the incumbent that meets every SLO: replicates towards last-known-good."""
    load, latency = window.offered_load, window.latency
    if ledger.incumbent is None or isinstance(load, Missing) or isinstance(latency, Missing):
        return ledger
    old = next((r for r in ledger.ladder if r.setting == ledger.incumbent), None)
    others = tuple(r for r in ledger.ladder if r.setting != ledger.incumbent)
    fresh = error_share.counted(spec, window)
    if old is not None:
        count = old.replicates + 1
        before = old.counted if load <= old.proven_load * COMPARABLE else {}  # more load: another share may fail
        rung = Rung(
            old.setting,
            max(old.proven_load, load),
            count,
            old.latency + (latency - old.latency) / min(count, 20),
            window.window.end,
            error_share.kept(before, fresh, count),
        )
    else:
        rung = Rung(ledger.incumbent, load, 1, latency, window.window.end, fresh)
    return replace(ledger, ladder=(rung, *others)[:MAX_LADDER])


def proven_rung(ledger: Ledger, besides: Setting | None = None) -> Rung | None:
    """The newest rung with enough replicates, other than that of `besides`."""
    enough = (r for r in ledger.ladder if r.replicates >= REPLICATES and r.setting != besides)
    return next(enough, None)


def last_known_good(ledger: Ledger, besides: Setting | None = None) -> Setting | None:
    """The setting of that rung."""
    rung = proven_rung(ledger, besides)
    return None if rung is None else rung.setting


def smallest_step(ledger: Ledger) -> bool:
    return ledger.breaker.state is BreakerState.HALF_OPEN
