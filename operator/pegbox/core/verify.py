"""Verify a trial: hard guards at once, then evidence against the parent, until Accept, Revert or Inconclusive.

Hard guards act from the write on (a pod that the step killed never acknowledges). Evidence is clean, disjoint windows
that began after the setting was in force and had settled. Throughput is judged by event counts, latency by a
mixture sequential test with a minimum effect, which may be looked at after every window without inflating
its false alarms; both are said in the functions below. Where the parent already missed its SLOs the trial is asked
for no worse than the parent. Latency is of what is served: what is not served has none, and is asked for first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from statistics import NormalDist

from pegbox.core import sequential, slo
from pegbox.core.baseline import SERVED, alike, geometric, mean, pool, scaled, served
from pegbox.core.guards import data
from pegbox.core.guards.limits import SUSPECT
from pegbox.core.guards.workload import CRASHING
from pegbox.model.knobs import LocationKind
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import Objective, OnNoData, ProfileSpec, Slo
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Workload
from pegbox.model.trials import Baseline, Intent

SURGE_RATIO = 2.0  # mean latency at twice the baseline's
BAD_SAMPLES = 2  # consecutive wakes before a latency or error guard acts
ERROR_RISE = 0.02  # share of failed events above the baseline's
MIN_EFFECT = sequential.MIN_EFFECT  # a regression below 10 % is not worth a rollback on its own
GAIN = 0.03  # relative gain that counts as better
CONFIDENCE = 0.9  # P(better) that accepts
ALPHA = 0.01  # chance of a false rollback per trial, for a known variance
LOAD_RANGE = 1.35  # offered load may differ by this factor between trial and baseline
STRAINED = 0.9  # a share of good events below this: the parent was near saturation
STRAINED_SD = 0.3  # floor of that sd for such a parent
MIN_SD = 0.05  # floor of the sd of a window's log mean latency (5 %)
REPLICATES = 2  # windows without harm that prove a step which needs no gain
SAME_LOAD = 1.1  # offered load up to this multiple of the baseline's is no more of it
WITHOUT_GAIN = {
    Reason.LIMITS_NARROWED: "nearer to the limits, and no harm",
    Reason.AHEAD_OF_LOAD: "ready for the load to come, and no harm",
}  # trials that need no gain, and what is said of them
BY_OTHERS = "all while others changed the pods"
OF_OTHER_PODS = "with another number of pods than the parent's"
MAX_WINDOWS = 6  # evidence that did not convince by then will not


class Outcome(StrEnum):
    WAIT = "Wait"
    ACCEPT = "Accept"
    REVERT = "Revert"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`harmful`: the breaker counts it."""

    outcome: Outcome
    reason: Reason
    detail: str = ""
    harmful: bool = False


WAITING = Judgement(Outcome.WAIT, Reason.JUDGING)


def damage(since: datetime, workload: Workload) -> Judgement | None:
    """Hard guard on pods: memory kills and crash loops since the trial began. Acts at once.

    Since its first and not its newest write: what an earlier stage killed may be read only now. A deploy is looked at
    before, and an image that cannot be pulled is no harm (`core.cut_short`).
    """
    for pod in workload.unfinished:
        if pod.oom_killed_at is not None and pod.oom_killed_at > since:
            return Judgement(Outcome.REVERT, Reason.OOM_KILLED, pod.name, harmful=True)
        restarted = pod.container_started_at is not None and pod.container_started_at > since
        if pod.waiting in CRASHING or (restarted and pod.restarts > 0 and not pod.ready):
            return Judgement(Outcome.REVERT, Reason.CRASH_LOOP, pod.name, harmful=True)
    return None


def bad_sample(observation: Observation | Missing, baseline: Baseline | None, spec: ProfileSpec) -> Reason | None:
    """Hard guard on figures: half of the load no longer served, latency at twice the parent's, errors beyond it, or an
    SLO lost that the parent met."""
    if baseline is None or isinstance(observation, Missing):
        return None
    latency, errors = observation.latency, observation.errors
    if falls_short(baseline, [observation], 1 / SURGE_RATIO):  # where nothing completes, no other figure says so
        return Reason.REGRESSION
    if not served(baseline):
        return None  # a backlog makes latency and refusals grow by themselves: only throughput tells the settings apart
    if not isinstance(latency, Missing) and latency >= SURGE_RATIO * baseline.latency:
        return Reason.REGRESSION
    if not isinstance(errors, Missing) and errors > (baseline.errors or 0.0) + ERROR_RISE:
        return Reason.ERROR_SURGE
    for item in spec.slos:
        seen = observation.slos.get(item.name)
        before = baseline.slo_shares.get(item.name)
        if isinstance(seen, Attainment) and before is not None and seen.total >= item.minimum_events / 10:
            lost = before >= float(item.goal) and seen.share < float(item.goal) - (1 - float(item.goal))
            if lost:
                return Reason.SLO_BREACHED
    return None


def bad_for(intent: Intent, observation: Observation | Missing, spec: ProfileSpec) -> Reason | None:
    """The same for one trial: a step back into narrowed limits may serve less, or later, but neither nothing at all
    nor lose an SLO; one ahead of load is not to blame for what more load does."""
    if not isinstance(observation, Missing) and more_came(intent, [observation]):
        found = bad_sample(observation, intent.baseline, spec)
        return None if found in BY_LOAD else found
    if intent.reason is not Reason.LIMITS_NARROWED or isinstance(observation, Missing):
        return bad_sample(observation, intent.baseline, spec)
    unasked = Missing(Reason.LIMITS_NARROWED, "a limit outranks mean latency")
    found = bad_sample(replace(observation, latency=unasked), intent.baseline, spec)
    return None if found is Reason.REGRESSION and not serves_nothing([observation]) else found


def disturbed(spec: ProfileSpec, intent: Intent, seen: Observation | Missing) -> Reason | None:
    """What others did to the pods, within the window or before it: scaled or rolled them out. Then it is blamed on no
    trial.

    Only after a trial has settled can that be told from what its own write does; and never where it moves the number
    of pods itself. Pods that fell ill are no such cause: the trial may have made them so.
    """
    if isinstance(seen, Observation) and seen.clean and _tells_others(spec, intent, seen):
        return None if _like_parent(spec, intent, seen) else Reason.SCALED
    return disturbed_within(spec, intent, seen)


def disturbed_within(spec: ProfileSpec, intent: Intent, seen: Observation | Missing) -> Reason | None:
    """The same, of the window alone: how many pods there were before does not matter."""
    if isinstance(seen, Missing) or seen.clean or not _tells_others(spec, intent, seen):
        return None
    return seen.unclean_reason if seen.unclean_reason in SUSPECT else None


def _tells_others(spec: ProfileSpec, intent: Intent, seen: Observation) -> bool:
    """Can what others do to the pods be told from the trial's own write?"""
    if intent.in_force_at is None or _moves_pods(spec, intent):
        return False
    return seen.window.start >= intent.in_force_at + timedelta(seconds=float(spec.guards.settle))


def _moves_pods(spec: ProfileSpec, intent: Intent) -> bool:
    own = {k.name for k in spec.space.at(LocationKind.HPA_MIN, LocationKind.HPA_MAX, LocationKind.REPLICAS)}
    return bool(own & intent.moved)


def _like_parent(spec: ProfileSpec, intent: Intent, window: Observation) -> bool:
    """Can the window be held against the parent's? Not where others gave the trial more or fewer pods to do it with."""
    base = intent.baseline
    if base is None or _moves_pods(spec, intent):
        return True
    return alike(window, base.pods, base.load) or _full(base, window)


def _full(base: Baseline, window: Observation) -> bool:
    """Was every pod busy throughout, with the parent and now that there are more of them? Then each serves what it can,
    or less where they share something: a gain of each is the setting's. A loss need not be (`_compare`)."""
    return not served(base) and window.pods > base.pods and not _lacks_rates(window) and not keeps_up([window])


def load_surged(observation: Observation | Missing, baseline: Baseline | None) -> bool:
    """Does much more arrive than while the parent was measured? Then what got worse says nothing of the setting."""
    if baseline is None or isinstance(observation, Missing) or isinstance(observation.offered_load, Missing):
        return False
    return served(baseline) and observation.offered_load > baseline.load * LOAD_RANGE


BY_LOAD = (Reason.REGRESSION, Reason.SLO_BREACHED)


def more_came(intent: Intent, windows: Sequence[Observation]) -> bool:
    """Did the load come for which the minimum was raised? Then mean latency and SLOs say nothing against that, and to
    take the pods away again would be the worst answer."""
    load = mean([w.offered_load for w in windows])
    if intent.reason is not Reason.AHEAD_OF_LOAD or intent.baseline is None or load is None:
        return False
    return load > intent.baseline.load * SAME_LOAD


def falls_short(base: Baseline, windows: Sequence[Observation], share: float) -> bool:
    """Is at most `share` served of what the parent would have served of the same load, beyond chance?

    That is the lesser of what arrives and of the parent's throughput: less load is no harm of the setting's. Counted by
    events as in `p_more`, none as one: after two windows of the parent's, 0 of 6 may be chance (ln 6 / sqrt(2 + 2/12) =
    1.22 sd), and 0 of 7 are too few (ln 7 / sqrt(2 + 2/14) = 1.33). Nothing is said where no load is known or none
    arrives (but a load that the parent did not serve needs not be known), nor by windows of a part of the pods.
    """
    counts = [(w.throughput, due, w.window.seconds) for w in windows if (due := _due(base, w)) is not None]
    events = sum(rate * seconds for rate, _, seconds in counts if not isinstance(rate, Missing))
    due, seconds = sum(rate * length for _, rate, length in counts), sum(length for _, _, length in counts)
    if due <= 0 or events > share * due:
        return False
    return p_more(max(events, 1.0), seconds, due / seconds, base.windows * seconds / len(counts)) < 1 - CONFIDENCE


def _due(base: Baseline, window: Observation) -> float | None:
    """Events per second that the parent would have served; None where the window cannot be held against it."""
    if isinstance(window.throughput, Missing) or not window.whole:
        return None
    if isinstance(window.offered_load, Missing):
        return None if served(base) else base.throughput
    return min(window.offered_load, base.throughput)


def serves_nothing(windows: Sequence[Observation]) -> bool:
    """Does nothing at all complete, as far as is known?"""
    return mean([w.throughput for w in windows]) == 0


def keeps_up(windows: Sequence[Observation]) -> bool:
    """Is all served that arrives? Windows that do not tell say nothing; without one that does it is not known."""
    telling = [w for w in windows if not _lacks_rates(w)]
    load, throughput = mean([w.offered_load for w in telling]), mean([w.throughput for w in telling])
    return load is not None and throughput is not None and throughput >= SERVED * load


def judge(
    spec: ProfileSpec,
    intent: Intent,
    windows: Sequence[Observation | Missing],
    now: datetime,
    newest: Observation | Missing | None = None,
) -> Judgement:
    """The verdict on a trial in force. `windows` are disjoint, oldest first, of the trial's setting.

    `newest` is what was seen last, clean or not, or why nothing was; without it the last window stands for it.
    """
    if intent.in_force_at is None:
        return WAITING
    settled = intent.in_force_at + timedelta(seconds=float(spec.guards.settle))
    if now < settled:
        return Judgement(Outcome.WAIT, Reason.SETTLING)
    late = now > intent.in_force_at + timedelta(seconds=float(spec.guards.trial_timeout))
    if newest is None:
        newest = windows[-1] if windows else Missing(Reason.NO_DATA)
    newest = data.unseen(spec, newest, now) or newest  # an old answer says nothing of now
    silent = no_data(spec, Silence(newest, windows, settled), now, late)
    if intent.baseline is None:
        if late and silent is None:
            return Judgement(Outcome.INCONCLUSIVE, Reason.NO_DATA, "the parent had no clean window to compare with")
        return silent or WAITING
    clean = after_settling(spec, intent, windows)
    seen = [w for w in clean if _like_parent(spec, intent, w)]
    unlike = [w for w in clean if not _like_parent(spec, intent, w)]
    verdict = _compare(spec, intent, intent.baseline, seen) if seen else WAITING
    if unlike and verdict.outcome is Outcome.WAIT:
        verdict = _by_others(spec, intent.baseline, unlike) or verdict
    walked = intent.reason is Reason.LIMITS_NARROWED
    if walked and verdict.reason is Reason.REGRESSION and not serves_nothing(seen):
        verdict = WAITING  # a limit outranks what is better; damage and SLOs outrank a limit
    if intent.reason is Reason.AHEAD_OF_LOAD and verdict.reason is Reason.LOAD_CHANGED:
        verdict = WAITING  # that is what it was for
    if more_came(intent, seen) and verdict.reason in BY_LOAD:
        verdict = WAITING
    if silent is not None:  # what is not known never speaks for the trial; what is known may speak against it
        return verdict if verdict.harmful else silent
    if not clean:
        if late:
            return Judgement(Outcome.INCONCLUSIVE, Reason.NO_DATA, "no clean window before trialTimeout")
        return WAITING
    undecided = verdict.outcome is Outcome.WAIT
    without = WITHOUT_GAIN.get(intent.reason)
    proof = clean if walked else seen  # what a limit asks for needs no like
    if proof and undecided and without and verdict.reason is not Reason.NO_DATA and (late or len(proof) >= REPLICATES):
        if len(proof) < REPLICATES and not _has_data(newest):
            return Judgement(Outcome.INCONCLUSIVE, Reason.NO_DATA, f"{len(proof)} window, and no data at trialTimeout")
        if walked or not served(intent.baseline) or more_came(intent, seen) or keeps_up(seen):
            return _if_seen(spec, Judgement(Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, without), newest, now, late)
    told = max(sum(_has_data(w) for w in each) for each in (seen, unlike))  # silence is no evidence, however long
    if undecided and (late or told >= MAX_WINDOWS):
        if verdict.reason is Reason.NO_DATA:
            return Judgement(Outcome.INCONCLUSIVE, Reason.NO_DATA, verdict.detail)
        if len(unlike) > len(seen):
            detail = f"{len(unlike)} of {len(clean)} windows {OF_OTHER_PODS}"
            return Judgement(Outcome.INCONCLUSIVE, Reason.SCALED, detail)
        return Judgement(Outcome.REVERT, Reason.NOT_BETTER, f"{len(seen)} windows")
    return _if_seen(spec, verdict, newest, now, late)


def _if_seen(
    spec: ProfileSpec, verdict: Judgement, newest: Observation | Missing, now: datetime, late: bool
) -> Judgement:
    """Nothing is accepted on what was known before while nothing is known of now, whatever SLOs say, or without any."""
    blind = data.blind(spec, newest, now)
    if blind is None or verdict.outcome is not Outcome.ACCEPT:
        return verdict
    if late:
        return Judgement(Outcome.INCONCLUSIVE, blind.reason, f"no data at trialTimeout: {blind.detail}")
    return Judgement(Outcome.WAIT, blind.reason, blind.detail)


def usable(spec: ProfileSpec, intent: Intent, windows: Sequence[Observation | Missing]) -> tuple[Observation, ...]:
    """Those that began after the setting was in force and had settled, and can be held against the parent's."""
    return tuple(w for w in after_settling(spec, intent, windows) if _like_parent(spec, intent, w))


def after_settling(
    spec: ProfileSpec, intent: Intent, windows: Sequence[Observation | Missing]
) -> tuple[Observation, ...]:
    """Clean windows of the setting, with however many pods."""
    if intent.in_force_at is None:
        return ()
    settled = intent.in_force_at + timedelta(seconds=float(spec.guards.settle))
    return tuple(w for w in windows if isinstance(w, Observation) and w.clean and w.window.start >= settled)


@dataclass(frozen=True, slots=True)
class Silence:
    """What is needed to tell for how long an SLO has had no data."""

    newest: Observation | Missing
    windows: Sequence[Observation | Missing]
    settled: datetime

    def since(self, name: str) -> datetime:
        """The end of the newest window with data of this SLO; at the earliest the end of settling."""
        ends = [
            w.window.end
            for w in self.windows
            if isinstance(w, Observation) and isinstance(w.slos.get(name), Attainment)
        ]
        return max([self.settled, *ends])


def no_data(spec: ProfileSpec, silence: Silence, now: datetime, late: bool) -> Judgement | None:
    """Each SLO's own policy where its data is missing: Hold waits; Revert reverts after a window's length of it.

    One that is due to go back is not held by another that waits; of several that ask for the same, the first by name.
    """
    newest = data.unseen(spec, silence.newest, now) or silence.newest
    patience = timedelta(seconds=float(spec.guards.trial_window))
    found = []
    for item in sorted(spec.slos, key=lambda each: each.name):
        seen = newest if isinstance(newest, Missing) else newest.slos.get(item.name, Missing(Reason.NO_DATA))
        if not isinstance(seen, Missing) or item.on_no_data is OnNoData.IGNORE:
            continue
        if item.on_no_data is OnNoData.REVERT and now > silence.since(item.name) + patience:
            return Judgement(Outcome.REVERT, seen.reason, f"SLO {item.name}: onNoData Revert")
        if late:
            why = f"SLO {item.name} without data until trialTimeout"
            found.append(Judgement(Outcome.INCONCLUSIVE, seen.reason, why))
        else:
            found.append(Judgement(Outcome.WAIT, seen.reason, f"SLO {item.name}: onNoData {item.on_no_data.value}"))
    return found[0] if found else None


def _compare(spec: ProfileSpec, intent: Intent, base: Baseline, evidence: Sequence[Observation]) -> Judgement:
    known = raw = [w for w in evidence if not _lacks_rates(w)]
    if not _moves_pods(spec, intent):
        known = [scaled(w, base.pods) for w in raw]
    load, throughput = mean([w.offered_load for w in known]), mean([w.throughput for w in known])
    come = mean([w.offered_load for w in raw])
    if come is None or load is None or throughput is None:
        return Judgement(Outcome.WAIT, Reason.NO_DATA, "load or throughput is missing, or of a part of the pods")
    broken = _slos_lost(spec, base, evidence)
    if broken is not None and come <= base.load * LOAD_RANGE:
        return broken
    unserved = not served(base)
    changed = _load_changed(base, come)
    if changed is not None:
        return changed
    # What is served lags what arrives: one window after a lull is short of what the parent served by no one's fault.
    telling = len(known) >= REPLICATES or unserved
    if telling and falls_short(base, known, 1 - 2 * GAIN):
        detail = f"throughput {base.throughput:.3g} to {throughput:.3g}/s, of {load:.3g}"
        if not falls_short(base, raw, 1 - 2 * GAIN) and intent.reason is not Reason.LIMITS_NARROWED:
            return Judgement(Outcome.INCONCLUSIVE, Reason.SCALED, f"{detail}, {OF_OTHER_PODS}")
        return Judgement(Outcome.REVERT, Reason.REGRESSION, detail, harmful=True)
    latency = geometric([w.latency for w in evidence])
    if latency is None:
        return Judgement(Outcome.WAIT, Reason.NO_DATA, "latency is missing")
    if not unserved and regression(base, [w.latency for w in evidence if not isinstance(w.latency, Missing)]):
        return Judgement(Outcome.REVERT, Reason.REGRESSION, f"latency {base.latency:.3g} to {latency:.3g} s", True)
    if not unserved:  # what is not served is no gain, however well the rest of it does
        return _served(spec, intent, base, evidence, latency) if keeps_up(known) else WAITING
    seconds = sum(w.window.seconds for w in known)
    better = p_more(throughput * seconds, seconds, base.throughput, base.windows * seconds / len(known))
    gained = throughput >= base.throughput * (1 + GAIN)
    if gained and better > CONFIDENCE:
        return Judgement(
            Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, f"throughput {base.throughput:.3g} to {throughput:.3g}/s"
        )
    if not gained and throughput >= SERVED * load:
        # All that arrives is served, and it is less than before: the load fell, which no setting can outdo.
        detail = f"{base.load:.3g} to {load:.3g} per second"
        return Judgement(Outcome.INCONCLUSIVE, Reason.LOAD_CHANGED, detail)
    return WAITING


def _load_changed(base: Baseline, load: float) -> Judgement | None:
    """Of all pods together: they may share what they depend on."""
    if not served(base) or 1 / LOAD_RANGE <= load / max(base.load, 1e-9) <= LOAD_RANGE:
        return None
    return Judgement(Outcome.INCONCLUSIVE, Reason.LOAD_CHANGED, f"{base.load:.3g} to {load:.3g} per second")


def _by_others(spec: ProfileSpec, base: Baseline, windows: Sequence[Observation]) -> Judgement | None:
    """What ends a trial by windows that are not like the parent's: another load, or an SLO lost, whoever did that."""
    load = mean([w.offered_load for w in windows])
    changed = None if load is None else _load_changed(base, load)
    broken = _slos_lost(spec, base, windows)
    if changed is None and broken is not None:
        return Judgement(Outcome.INCONCLUSIVE, Reason.SCALED, f"{broken.detail}, {OF_OTHER_PODS}")
    return changed


def _lacks_rates(window: Observation) -> bool:
    return isinstance(window.offered_load, Missing) or isinstance(window.throughput, Missing) or not window.whole


def _has_data(seen: Observation | Missing) -> bool:
    """Are load, throughput and latency known?"""
    return isinstance(seen, Observation) and not any(
        isinstance(figure, Missing) for figure in (seen.offered_load, seen.throughput, seen.latency)
    )


def _served(
    spec: ProfileSpec, intent: Intent, base: Baseline, evidence: Sequence[Observation], latency: float
) -> Judgement:
    """Load was served before and still is: SLOs that were missed and are met, lower latency, or lower cost.

    An SLO of which nothing was known before was neither met nor missed. One without data whose policy is Ignore is
    left out.
    """
    counted = [
        s for s in spec.slos if not left_out(s, s.name in base.slo_shares and pool(s.name, evidence) is not None)
    ]
    known = {s.name: base.slo_shares[s.name] >= float(s.goal) for s in counted if s.name in base.slo_shares}
    met_before = all(known.get(s.name, False) for s in counted)
    met_now = _slos_met(spec, evidence)
    if met_now and not all(known.values()):
        return Judgement(Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, "SLOs are met now")
    log_ratio = math.log(latency / base.latency)
    sd = spread(base) * math.sqrt(1 / len(evidence) + 1 / max(base.windows, 1))
    p_faster = NormalDist(log_ratio, sd).cdf(0.0)
    # A cheaper setting needs no gain, only the proof that it costs nothing: two replicates without regression.
    thrifty = spec.objective is Objective.MINIMIZE_COST and cheaper(intent) and len(evidence) >= REPLICATES
    if thrifty and met_before and met_now and NormalDist(log_ratio, sd).cdf(MIN_EFFECT) > CONFIDENCE:
        return Judgement(Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, "as good as its parent")
    if log_ratio < -GAIN and p_faster > CONFIDENCE:
        return Judgement(Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, f"latency {base.latency:.3g} to {latency:.3g} s")
    return WAITING


def left_out(item: Slo, known: bool) -> bool:
    """onNoData Ignore: without data this SLO has no say."""
    return not known and item.on_no_data is OnNoData.IGNORE


def cheaper(intent: Intent) -> bool:
    """Does the trial only give back: every number that it moves goes down?"""
    moved = intent.parent.diff(intent.target)
    pairs = [(intent.parent.get(n), intent.target.get(n)) for n in moved]
    return all(isinstance(a, Fraction) and isinstance(b, Fraction) and b < a for a, b in pairs)


def _slos_met(spec: ProfileSpec, evidence: Sequence[Observation]) -> bool:
    for item in spec.slos:
        pooled = pool(item.name, evidence)
        if left_out(item, pooled is not None):
            continue
        verdict = Missing(Reason.NO_DATA) if pooled is None else slo.judge(item, pooled)
        if isinstance(verdict, Missing) or verdict.state is slo.SloState.BREACHED:
            return False  # fewer than minimumEvents prove nothing
    return True


def missed(pooled: Attainment, goal: float) -> bool:
    """Is the goal missed by more than two standard errors of a share that is counted over so many events?"""
    return pooled.share < goal - 2 * math.sqrt(goal * (1 - goal) / pooled.total)


def _slos_lost(spec: ProfileSpec, base: Baseline, evidence: Sequence[Observation]) -> Judgement | None:
    """An SLO that the parent met is missed by the pooled evidence, beyond what its count of events explains."""
    for item in spec.slos:
        pooled, before, goal = pool(item.name, evidence), base.slo_shares.get(item.name), float(item.goal)
        if pooled is None or before is None or before < goal or pooled.total < item.minimum_events:
            continue
        if missed(pooled, goal):
            detail = f"SLO {item.name}: {pooled.share:.2%} of {goal:.2%}"
            return Judgement(Outcome.REVERT, Reason.SLO_BREACHED, detail, harmful=True)
    return None


def p_more(events: float, seconds: float, base_rate: float, base_seconds: float) -> float:
    """P(rate now > rate before), rates from event counts, counted twice as noisy as Poisson (bursts).

    Normal approximation of the log ratio: var = 2/n1 + 2/n0. Two windows of 20 s at 5/s against 10/s:
    var = 2/100 + 2/200 = 0.03, z = ln 2 / 0.173 = 4.0.
    """
    if events <= 0 or base_rate <= 0:
        return 1.0 if events > 0 else 0.0
    sd = math.sqrt(2 / events + 2 / max(base_rate * base_seconds, 1e-9))
    return NormalDist().cdf(math.log(events / seconds / base_rate) / sd)


def spread(base: Baseline) -> float:
    """The sd of a window's log mean latency, never below a floor: few windows understate it.

    Near saturation a queue's mean wanders by far more than noise, so a parent that missed an SLO has a wide floor.
    """
    strained = not served(base) or any(share < STRAINED for share in base.slo_shares.values())
    return max(base.latency_sd, STRAINED_SD if strained else MIN_SD)


def regression(base: Baseline, latencies: Sequence[float]) -> bool:
    """The sequential test of `core.sequential` on log mean latency above the minimum effect, at level ALPHA.

    z is the mean excess over MIN_EFFECT, v the variance of that mean. Windows are few, so nothing of drift or
    autocorrelation can be told from them: only the mixture over the shifts that matter is shared.
    """
    if not latencies or base.latency <= 0:
        return False
    z = sum(math.log(x / base.latency) for x in latencies) / len(latencies) - MIN_EFFECT
    return rejects(z, spread(base) ** 2 * (1 / len(latencies) + 1 / max(base.windows, 1)))


def rejects(z: float, v: float) -> bool:
    """Does the mixture test say that an excess of mean z and variance v is real?"""
    return sequential.mixture(z / v, 1 / v) > math.log(1 / ALPHA)
