"""Canary: a trial that runs in a few pods first, judged beside the rest at the same time. Pure.

It looks for harm, and only for harm: behind a load balancer one pod's throughput is its share of the load, whatever
its setting, so that a gain may not show there at all. A canary without harm is widened, and then the whole workload is
judged against its parent as any trial is (`core.verify`).

Only what the rows tell apart by pod is compared, per pod: throughput, latency, errors and SLOs. Offered load is
everybody's: where all pods together no longer serve it, the canary's small share is no longer its own affair. What
befalls all pods alike (a surge, a slow upstream) is on both sides, and so is no harm of the canary's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import NormalDist

from pegbox.core import cohorts, error_budget, force, guards, verify
from pegbox.core.baseline import mean, pool, served
from pegbox.core.transitions import Ending
from pegbox.core.verify import WAITING, Judgement, Outcome
from pegbox.model.observations import Attainment, Measured, Missing, Observation, Split
from pegbox.model.profile import ProfileSpec, Slo
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Baseline, Intent, TrialState

EFFECT = math.log(1.25)  # pods differ by 10 to 20 % for good (nodes, zones, warm caches), which no window averages out
MIN_EVENTS = 20  # of the cohort: a bad window with fewer is chance, and good ones with fewer prove nothing
NOBODY = Missing(Reason.NO_DATA)
ERROR_SDS = 2.0  # standard deviations by which errors must be more than the rest's, beside ERROR_RISE


def hurt(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Ending | None:
    """What ends a canary at once: two bad samples, a spent error budget, or nothing left to compare."""
    spec, intent = snapshot.spec, snapshot.ledger.intent
    assert intent is not None
    others = _disturbed(spec, intent, snapshot.split)
    if intent.bad_samples >= verify.BAD_SAMPLES:
        reason = bad(spec, intent, snapshot.split, snapshot.observation) or Reason.REGRESSION
        why = f"{intent.bad_samples} bad samples beside the rest since {intent.first_bad_at}"
        if intent.disturbed >= intent.bad_samples:
            return Ending(TrialState.INCONCLUSIVE, others or Reason.SCALED, now, f"{why}, {verify.BY_OTHERS}")
        return Ending(TrialState.REVERTED, reason, now, why, counted=True, jitter=jitter)
    spent = _overspent(snapshot, intent, others, now, jitter)
    return spent or _nothing_to_compare(snapshot, intent, workload, now)


def _disturbed(spec: ProfileSpec, intent: Intent, split: Split | None) -> Reason | None:
    """What others did to the pods of either side: cold pods in one of them make the other look better or worse."""
    sides = () if split is None else (split.cohort, split.rest)
    found = (verify.disturbed_within(spec, intent, side) for side in sides)
    return next((reason for reason in found if reason is not None), None)


def _nothing_to_compare(snapshot: Snapshot, intent: Intent, workload: Workload, now: datetime) -> Ending | None:
    space = snapshot.spec.space
    own = cohorts.members(space, intent, workload)
    others = tuple(p for p in workload.unfinished if p not in own)
    elsewhere = verify.damage(intent.started_at, replace(workload, pods=others))
    if elsewhere is not None:  # these pods run the parent: the trial is not to blame, and proves nothing
        why = f"{elsewhere.detail}, which runs the parent"
        return Ending(TrialState.INCONCLUSIVE, elsewhere.reason, now, why)
    left = len(workload.unfinished)
    if force.restarting(space, intent):
        left = max(left, workload.replicas)  # one that is being replaced may be missing for a moment
    assert intent.cohort is not None
    back = [p.name for p in others if p.name in intent.cohort.pods]  # a StatefulSet's, made anew without the variables
    gone = not own and not intent.opening
    most = intent.cohort.size or len(own)
    if gone or back or left < max(snapshot.spec.canary.min_pods, most + 1):
        why = f"{len(own)} of the canary's pods and {left - len(own)} others are left"
        return Ending(TrialState.INCONCLUSIVE, Reason.COHORT_GONE, now, why)
    return None


def noted(snapshot: Snapshot, intent: Intent) -> Intent:
    """Count the newest window of the canary beside the rest, once; a good one starts the count again."""
    split = snapshot.split
    assert intent.stage_at is not None
    if split is None or isinstance(split.cohort, Missing) or isinstance(split.rest, Missing):
        return _not_silent(snapshot, intent)
    newest = split.cohort.window.end
    if newest <= intent.stage_at or (intent.last_sample_at is not None and newest <= intent.last_sample_at):
        return intent
    found = bad(snapshot.spec, intent, split, snapshot.observation) is not None
    others = _disturbed(snapshot.spec, intent, split) is not None
    before = intent.disturbed if intent.bad_samples else 0
    noted = error_budget.noted(snapshot.spec, intent, split.cohort, _beside(snapshot.spec, intent, split.rest))
    return replace(
        noted,
        last_sample_at=newest,
        bad_samples=intent.bad_samples + 1 if found else 0,
        disturbed=before + others if found else 0,
        first_bad_at=(intent.first_bad_at or newest) if found else None,
    )


def _not_silent(snapshot: Snapshot, intent: Intent) -> Intent:
    """There are no pods to compare yet, and yet the service is seen."""
    seen, last = snapshot.observation, intent.last_sample_at or intent.stage_at
    if isinstance(seen, Missing) or last is None or seen.window.end <= last or intent.in_force_at is not None:
        return intent
    return replace(intent, last_sample_at=seen.window.end)


def bad(
    spec: ProfileSpec, intent: Intent, split: Split | None, everybody: Observation | Missing = NOBODY
) -> Reason | None:
    """Is the newest window bad beside the rest's? As `verify.bad_sample`, with the rest in the parent's place.

    `everybody`: the same window of all pods together, which alone knows what arrives.
    """
    if split is None or isinstance(split.cohort, Missing) or isinstance(split.rest, Missing):
        return None
    own, rest, walked = split.cohort, split.rest, intent.reason is Reason.LIMITS_NARROWED
    events = _events(own)
    if intent.baseline is not None and (_hangs([(own, rest)]) or _all_hang(intent.baseline, split, everybody)):
        return Reason.REGRESSION
    if intent.baseline is None or events < MIN_EVENTS:
        return None
    ratio = _per_pod(own, rest)
    halved = ratio is not None and ratio * verify.SURGE_RATIO <= 1 and not walked
    if halved and (not served(intent.baseline) or _left_undone(intent.baseline, everybody)):
        return Reason.REGRESSION
    if not served(intent.baseline):
        return None
    latencies, errors = (own.latency, rest.latency), (own.errors, rest.errors)
    if not walked and _above(latencies, factor=verify.SURGE_RATIO, more=0.0):
        return Reason.REGRESSION
    before = 0.0 if isinstance(rest.errors, Missing) else rest.errors
    chance = ERROR_SDS * math.sqrt(max(before, 1 / events) / events)
    if _above(errors, factor=1.0, more=verify.ERROR_RISE + chance):
        return Reason.ERROR_SURGE
    return Reason.SLO_BREACHED if any(_loses(item, own, rest) for item in spec.slos) else None


def _left_undone(parent: Baseline, everybody: Observation | Missing) -> bool:
    """Do all pods together serve less than the parent did, of a load that it served?"""
    if isinstance(everybody, Missing) or verify.load_surged(everybody, parent):
        return False
    return verify.falls_short(parent, [everybody], 1 - 2 * verify.GAIN)


def _hangs(pairs: Sequence[tuple[Observation, Observation]]) -> bool:
    """Does the canary serve nothing at all, while each pod beside it serves enough, all windows together?"""
    none = all(not isinstance(own.throughput, Missing) and own.throughput <= 0 for own, _ in pairs)
    return none and sum(_events(rest) / max(rest.pods, 1) for _, rest in pairs) >= MIN_EVENTS


def _all_hang(parent: Baseline, split: Split, everybody: Observation | Missing) -> bool:
    """Does nobody serve anything any more, of a load that the parent served? Then the rest is no measure of the canary,
    which may be what stops them: one pod that holds a lock, or all connections of a database, does."""
    sides = [w for w in (split.cohort, split.rest) if not isinstance(w, Missing)]
    if isinstance(everybody, Missing) or not all(verify.serves_nothing([w]) for w in sides):
        return False
    return verify.falls_short(parent, [everybody], 1 / verify.SURGE_RATIO)


def _above(pair: tuple[Measured, Measured], factor: float, more: float) -> bool:
    """Is the canary's figure at or above `factor` times the rest's and `more`? Not where either is missing."""
    own, rest = pair
    return not isinstance(own, Missing) and not isinstance(rest, Missing) and own >= factor * rest + more


def _loses(item: Slo, own: Observation, rest: Observation) -> bool:
    """In one window: an SLO that the rest meets is missed by as much again as it allows."""
    seen, beside, goal = own.slos.get(item.name), rest.slos.get(item.name), float(item.goal)
    if not isinstance(seen, Attainment) or not isinstance(beside, Attainment):
        return False
    enough = seen.total >= item.minimum_events / 10
    return enough and beside.share >= goal and seen.share < goal - (1 - goal)


def judge(spec: ProfileSpec, intent: Intent, splits: Sequence[Split], now: datetime, newest: Split | None) -> Judgement:
    """The verdict on a canary in force; Accept widens it. `splits` are clean and disjoint, oldest first."""
    if intent.in_force_at is None:
        return WAITING
    settled = intent.in_force_at + timedelta(seconds=float(spec.guards.settle))
    if now < settled:
        return Judgement(Outcome.WAIT, Reason.SETTLING)
    late = now > intent.in_force_at + timedelta(seconds=float(spec.guards.trial_timeout))
    pairs = _usable(splits, settled)
    verdict = _compare(spec, intent, pairs) if pairs else WAITING
    own = [s.cohort for s in splits]
    seen = Missing(Reason.NO_DATA) if newest is None else newest.cohort
    silent = verify.no_data(spec, verify.Silence(seen, own, settled), now, late)
    if silent is not None:  # as for the whole workload: it never speaks for the trial
        return verdict if verdict.harmful else silent
    if verdict.outcome is not Outcome.WAIT:
        return verdict
    enough = len(pairs) >= verify.REPLICATES and sum(_events(a) for a, _ in pairs) >= MIN_EVENTS
    if enough and verdict.reason is not Reason.NO_DATA and not _blind(spec, newest, now):
        return Judgement(Outcome.ACCEPT, Reason.TRIAL_WIDENED, f"no harm beside the rest in {len(pairs)} windows")
    if late:
        why = verdict.detail or "too few windows, or events of the canary, until trialTimeout"
        return Judgement(Outcome.INCONCLUSIVE, Reason.NO_DATA, why)
    return Judgement(Outcome.WAIT, verdict.reason, verdict.detail)


def _blind(spec: ProfileSpec, newest: Split | None, now: datetime) -> bool:
    """Is nothing known of now, of either side? What was known before widens nothing."""
    sides = (NOBODY,) if newest is None else (newest.cohort, newest.rest)
    return any(guards.data.unseen(spec, seen, now) is not None for seen in sides)


def _usable(splits: Sequence[Split], settled: datetime) -> list[tuple[Observation, Observation]]:
    return [
        (s.cohort, s.rest)
        for s in splits
        if isinstance(s.cohort, Observation) and isinstance(s.rest, Observation)
        if s.cohort.clean and s.rest.clean and s.cohort.window.start >= settled
    ]


def _compare(spec: ProfileSpec, intent: Intent, pairs: Sequence[tuple[Observation, Observation]]) -> Judgement:
    """Harm beyond what chance and the difference between pods explain; WAIT where there is none so far."""
    own, rest = [a for a, _ in pairs], [b for _, b in pairs]
    parent = intent.baseline
    if parent is None:
        return Judgement(Outcome.WAIT, Reason.NO_DATA, "the parent had no clean window to compare with")
    if mean([w.throughput for w in own]) is None or mean([w.throughput for w in rest]) is None:
        return Judgement(Outcome.WAIT, Reason.NO_DATA, "throughput of the canary or of the rest is missing")
    lost = _slos_lost(spec, own, rest)
    if lost is not None:
        return lost
    if _hangs(pairs):
        return Judgement(Outcome.REVERT, Reason.REGRESSION, "it serves nothing, and the rest does", harmful=True)
    if intent.reason is Reason.LIMITS_NARROWED:
        return WAITING  # a limit outranks mean latency and throughput
    if not served(parent):
        return _starved(own, rest)
    return _slower(parent, pairs)


def _slos_lost(spec: ProfileSpec, own: Sequence[Observation], rest: Sequence[Observation]) -> Judgement | None:
    """An SLO that the rest meets is missed by the canary, beyond what its count of events explains."""
    for item in spec.slos:
        seen, beside, goal = pool(item.name, own), pool(item.name, rest), float(item.goal)
        if seen is None or beside is None or beside.total <= 0 or beside.share < goal:
            continue
        if seen.total < item.minimum_events:
            continue
        if verify.missed(seen, goal):
            detail = f"SLO {item.name}: {seen.share:.2%} beside {beside.share:.2%}, goal {goal:.2%}"
            return Judgement(Outcome.REVERT, Reason.SLO_BREACHED, detail, harmful=True)
    return None


def _starved(own: Sequence[Observation], rest: Sequence[Observation]) -> Judgement:
    """The load was not served before: each pod of the canary must not serve less than one of the rest.

    P(more) of `verify.p_more`, with rates per pod: sd of the log ratio is sqrt(2 / n1 + 2 / n0).
    """
    ratios = [r for r in (_per_pod(a, b) for a, b in zip(own, rest, strict=True)) if r is not None]
    events, others = sum(map(_events, own)), sum(map(_events, rest))
    if not ratios or events <= 0 or others <= 0:
        return WAITING
    ratio = math.exp(sum(map(math.log, ratios)) / len(ratios))
    more = NormalDist().cdf(math.log(ratio) / math.sqrt(2 / events + 2 / others))
    if ratio < 1 - 2 * verify.GAIN and more < 1 - verify.CONFIDENCE:
        return Judgement(Outcome.REVERT, Reason.REGRESSION, f"throughput per pod {ratio:.0%} of the rest's", True)
    return WAITING


def _slower(parent: Baseline, pairs: Sequence[tuple[Observation, Observation]]) -> Judgement:
    """The mixture sequential test of `verify.regression` on the log ratio of mean latencies, for an effect of EFFECT.

    The parent's sd s is of means over all n pods. A mean over k of them has s x sqrt(n / k), so the log ratio of one
    window has the variance s^2 (n / k + n / (n - k)). Of 5 pods, 1 of them the canary's: 6.25 s^2.
    """
    logs = [
        math.log(a.latency / b.latency)
        for a, b in pairs
        if not isinstance(a.latency, Missing) and not isinstance(b.latency, Missing) and a.latency > 0 and b.latency > 0
    ]
    if not logs:
        return WAITING
    k, others = (max(1, min(w.pods for w in side)) for side in zip(*pairs, strict=True))
    n = k + others
    variance = verify.spread(parent) ** 2 * (n / k + n / others) / len(logs)
    ratio = sum(logs) / len(logs)
    if verify.rejects(ratio - EFFECT, variance):
        detail = f"latency {math.exp(ratio):.2f} times the rest's at the same time"
        return Judgement(Outcome.REVERT, Reason.REGRESSION, detail, harmful=True)
    return WAITING


def _per_pod(own: Observation, rest: Observation) -> float | None:
    """Throughput of one pod of the canary over that of one of the rest; None where either is not known, or zero."""
    if isinstance(own.throughput, Missing) or isinstance(rest.throughput, Missing):
        return None
    if min(own.pods, rest.pods) < 1 or min(own.throughput, rest.throughput) <= 0:
        return None
    return own.throughput / own.pods / (rest.throughput / rest.pods)


def _events(seen: Observation) -> float:
    return 0.0 if isinstance(seen.throughput, Missing) else seen.throughput * seen.window.seconds


def _overspent(
    snapshot: Snapshot, intent: Intent, others: Reason | None, now: datetime, jitter: float
) -> Ending | None:
    spec, split = snapshot.spec, snapshot.split
    if split is None or isinstance(split.cohort, Missing) or isinstance(split.rest, Missing):
        return None
    parent = _beside(spec, intent, split.rest)
    if intent.baseline is None or parent is None or not served(intent.baseline):
        return None  # a backlog makes bad events by itself
    over = error_budget.overspent(spec, intent, split.cohort, snapshot.ledger.spent, (parent, split.rest))
    if over is None:
        return None
    if others and not error_budget.guilty_before(over, intent, split.cohort.window.start):
        return Ending(TrialState.INCONCLUSIVE, others, now, f"{over}, {verify.BY_OTHERS}")
    return error_budget.ending(over, now, jitter)


def _beside(spec: ProfileSpec, intent: Intent, rest: Observation) -> Baseline | None:
    """The rest in the parent's place: SLOs that both the parent met before and the rest meets now."""
    if intent.baseline is None or isinstance(rest.throughput, Missing):
        return None
    shares = {}
    for item in spec.slos:
        now, before = rest.slos.get(item.name), intent.baseline.slo_shares.get(item.name)
        met = before is not None and before >= float(item.goal)
        if met and isinstance(now, Attainment) and now.total > 0:
            shares[item.name] = now.share
    return replace(intent.baseline, load=rest.throughput, throughput=rest.throughput, slo_shares=shares, windows=1)
