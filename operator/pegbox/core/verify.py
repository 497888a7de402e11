"""Verify a trial: hard guards at once, then evidence against the parent, until Accept, Revert or Inconclusive.

Hard guards act from the write on (a pod that the step killed never acknowledges). Evidence is clean, disjoint windows
that began after the setting was in force and had settled. Throughput gains are judged by event counts, latency by a
mixture sequential test (mSPRT) with a minimum effect, which may be looked at after every window without inflating
its false alarms; both are said in the functions below. Where the parent already missed its SLOs the trial is asked
for no worse than the parent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from statistics import NormalDist

from pegbox.core.guards.workload import CRASHING
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import Objective, OnNoData, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Workload
from pegbox.model.trials import Baseline, Intent

SURGE_RATIO = 2.0  # mean latency at twice the baseline's
BAD_SAMPLES = 2  # consecutive wakes before a latency or error guard acts
ERROR_RISE = 0.02  # share of failed events above the baseline's
MIN_EFFECT = math.log(1.10)  # a regression below 10 % is not worth a rollback on its own
GAIN = 0.03  # relative gain that counts as better
CONFIDENCE = 0.9  # P(better) that accepts
ALPHA = 0.01  # chance of a false rollback per trial
LOAD_RANGE = 1.35  # offered load may differ by this factor between trial and baseline
SERVED = 0.97  # throughput over offered load from which load counts as served
DRAIN = 1.1  # throughput over offered load from which a backlog is being worked off
MIN_SD = 0.05  # floor of the sd of a window's log mean latency (5 %)
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


def damage(intent: Intent, workload: Workload) -> Judgement | None:
    """Hard guard on pods: memory kills and crash loops since the stage was written. Acts at once."""
    since = intent.stage_at or intent.started_at
    for pod in workload.unfinished:
        if pod.oom_killed_at is not None and pod.oom_killed_at > since:
            return Judgement(Outcome.REVERT, Reason.OOM_KILLED, pod.name, harmful=True)
        restarted = pod.container_started_at is not None and pod.container_started_at > since
        if pod.waiting in CRASHING or (restarted and pod.restarts > 0 and not pod.ready):
            return Judgement(Outcome.REVERT, Reason.CRASH_LOOP, pod.name, harmful=True)
    return None


def bad_sample(observation: Observation | Missing, baseline: Baseline | None, spec: ProfileSpec) -> Reason | None:
    """Hard guard on figures: latency at twice the parent's, errors beyond it, or an SLO lost that the parent met."""
    if baseline is None or isinstance(observation, Missing):
        return None
    latency, errors = observation.latency, observation.errors
    if not served(baseline):
        # A backlog makes latency and refusals grow by themselves: only served load tells the settings apart.
        dropped = observation.throughput
        collapsed = not isinstance(dropped, Missing) and dropped * SURGE_RATIO <= baseline.throughput
        return Reason.REGRESSION if collapsed else None
    if not isinstance(latency, Missing) and latency >= SURGE_RATIO * baseline.latency:
        return Reason.REGRESSION
    if not isinstance(errors, Missing) and errors > (baseline.errors or 0.0) + ERROR_RISE:
        return Reason.ERROR_SURGE
    for slo in spec.slos:
        seen = observation.slos.get(slo.name)
        before = baseline.slo_shares.get(slo.name)
        if isinstance(seen, Attainment) and before is not None and seen.total >= slo.minimum_events / 10:
            lost = before >= float(slo.goal) and seen.share < float(slo.goal) - (1 - float(slo.goal))
            if lost:
                return Reason.SLO_BREACHED
    return None


def judge(spec: ProfileSpec, intent: Intent, windows: Sequence[Observation | Missing], now: datetime) -> Judgement:
    """The verdict on a trial in force. `windows` are disjoint, oldest first, of the trial's setting."""
    if intent.in_force_at is None or intent.baseline is None:
        return WAITING
    settled = intent.in_force_at + timedelta(seconds=float(spec.guards.settle))
    late = now > intent.in_force_at + timedelta(seconds=float(spec.guards.trial_timeout))
    evidence = [w for w in windows if isinstance(w, Observation) and w.clean and w.window.start >= settled]
    no_data = _no_data(spec, windows, late)
    if no_data is not None:
        return no_data
    if not evidence:
        if late:
            return Judgement(Outcome.INCONCLUSIVE, Reason.NO_DATA, "no clean window before trialTimeout")
        return Judgement(Outcome.WAIT, Reason.SETTLING if now < settled else Reason.JUDGING)
    verdict = _compare(spec, intent, intent.baseline, evidence)
    if verdict.outcome is Outcome.WAIT and (late or len(evidence) >= MAX_WINDOWS):
        return Judgement(Outcome.REVERT, Reason.NOT_BETTER, f"{len(evidence)} windows")
    return verdict


def _no_data(spec: ProfileSpec, windows: Sequence[Observation | Missing], late: bool) -> Judgement | None:
    """Each SLO's own policy where its data is missing in the newest window: Hold waits, Revert reverts."""
    newest = windows[-1] if windows else Missing(Reason.NO_DATA)
    for slo in spec.slos:
        seen = newest if isinstance(newest, Missing) else newest.slos.get(slo.name, Missing(Reason.NO_DATA))
        if not isinstance(seen, Missing) or slo.on_no_data is OnNoData.IGNORE:
            continue
        if slo.on_no_data is OnNoData.REVERT and len(windows) >= BAD_SAMPLES:
            return Judgement(Outcome.REVERT, seen.reason, f"SLO {slo.name}: onNoData Revert")
        if late:
            return Judgement(Outcome.INCONCLUSIVE, seen.reason, f"SLO {slo.name} without data until trialTimeout")
        return Judgement(Outcome.WAIT, seen.reason, f"SLO {slo.name}: onNoData {slo.on_no_data.value}")
    return None


def _compare(spec: ProfileSpec, intent: Intent, base: Baseline, evidence: Sequence[Observation]) -> Judgement:
    load = _mean([w.offered_load for w in evidence])
    throughput = _mean([w.throughput for w in evidence])
    latency = _geometric([w.latency for w in evidence])
    if load is None or throughput is None or latency is None:
        return WAITING
    seconds = sum(w.window.seconds for w in evidence)
    unserved = not served(base)
    if not unserved and not 1 / LOAD_RANGE <= load / max(base.load, 1e-9) <= LOAD_RANGE:
        return Judgement(Outcome.INCONCLUSIVE, Reason.LOAD_CHANGED, f"{base.load:.3g} to {load:.3g} per second")
    better = p_more(throughput * seconds, seconds, base.throughput, base.windows * seconds / len(evidence))
    gained = throughput >= base.throughput * (1 + GAIN)
    if unserved and gained and better > CONFIDENCE:
        return Judgement(
            Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, f"throughput {base.throughput:.3g} to {throughput:.3g}/s"
        )
    if unserved and throughput < base.throughput * (1 - 2 * GAIN) and better < 1 - CONFIDENCE:
        return Judgement(Outcome.REVERT, Reason.REGRESSION, "throughput fell", harmful=True)
    if not unserved and regression(base, [w.latency for w in evidence if not isinstance(w.latency, Missing)]):
        return Judgement(Outcome.REVERT, Reason.REGRESSION, f"latency {base.latency:.3g} to {latency:.3g} s", True)
    broken = _slos_lost(spec, base, evidence)
    if broken is not None:
        return broken
    if unserved:
        return WAITING
    return _served(spec, intent, base, evidence)


def _served(spec: ProfileSpec, intent: Intent, base: Baseline, evidence: Sequence[Observation]) -> Judgement:
    """Load was served before and still is: SLOs that were missed and are met, lower latency, or lower cost."""
    met_before = all(base.slo_shares.get(s.name, 0.0) >= float(s.goal) for s in spec.slos)
    met_now = _slos_met(spec, evidence)
    if met_now and not met_before:
        return Judgement(Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, "SLOs are met now")
    latency = _geometric([w.latency for w in evidence])
    if latency is None:
        return WAITING
    log_ratio = math.log(latency / base.latency)
    sd = max(base.latency_sd, MIN_SD) * math.sqrt(1 / len(evidence) + 1 / max(base.windows, 1))
    p_faster = NormalDist(log_ratio, sd).cdf(0.0)
    # A cheaper setting needs no gain, only the proof that it costs nothing: two replicates without regression.
    thrifty = spec.objective is Objective.MINIMIZE_COST and cheaper(intent) and len(evidence) >= 2
    if thrifty and met_before and met_now and NormalDist(log_ratio, sd).cdf(MIN_EFFECT) > CONFIDENCE:
        return Judgement(Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, "as good as its parent")
    if log_ratio < -GAIN and p_faster > CONFIDENCE:
        return Judgement(Outcome.ACCEPT, Reason.TRIAL_ACCEPTED, f"latency {base.latency:.3g} to {latency:.3g} s")
    return WAITING


def cheaper(intent: Intent) -> bool:
    """Does the trial only give back: every number that it moves goes down?"""
    moved = intent.parent.diff(intent.target)
    pairs = [(intent.parent.get(n), intent.target.get(n)) for n in moved]
    return all(isinstance(a, Fraction) and isinstance(b, Fraction) and b < a for a, b in pairs)


def _slos_met(spec: ProfileSpec, evidence: Sequence[Observation]) -> bool:
    for slo in spec.slos:
        pooled = _pool(slo.name, evidence)
        if pooled is None or pooled.total < 1 or pooled.share < float(slo.goal):
            return False
    return True


def _slos_lost(spec: ProfileSpec, base: Baseline, evidence: Sequence[Observation]) -> Judgement | None:
    """An SLO that the parent met is missed by the pooled evidence, beyond what its count of events explains."""
    for slo in spec.slos:
        pooled, before, goal = _pool(slo.name, evidence), base.slo_shares.get(slo.name), float(slo.goal)
        if pooled is None or before is None or before < goal or pooled.total < slo.minimum_events:
            continue
        se = math.sqrt(goal * (1 - goal) / pooled.total)
        if pooled.share < goal - 2 * se:
            detail = f"SLO {slo.name}: {pooled.share:.2%} of {goal:.2%}"
            return Judgement(Outcome.REVERT, Reason.SLO_BREACHED, detail, harmful=True)
    return None


def _pool(name: str, evidence: Sequence[Observation]) -> Attainment | None:
    seen = [a for w in evidence if isinstance(a := w.slos.get(name), Attainment)]
    if not seen:
        return None
    return Attainment(sum(a.good for a in seen), sum(a.total for a in seen))


def p_more(events: float, seconds: float, base_rate: float, base_seconds: float) -> float:
    """P(rate now > rate before), rates from event counts, counted twice as noisy as Poisson (bursts).

    Normal approximation of the log ratio: var = 2/n1 + 2/n0. Two windows of 20 s at 5/s against 10/s:
    var = 2/100 + 2/200 = 0.03, z = ln 2 / 0.173 = 4.0.
    """
    if events <= 0 or base_rate <= 0:
        return 1.0 if events > 0 else 0.0
    sd = math.sqrt(2 / events + 2 / max(base_rate * base_seconds, 1e-9))
    return NormalDist().cdf(math.log(events / seconds / base_rate) / sd)


def regression(base: Baseline, latencies: Sequence[float]) -> bool:
    """mSPRT on log mean latency above the minimum effect, at level ALPHA.

    LR = sqrt(V / (V + T)) exp(z^2 T / (2 V (V + T))), with z the mean excess over MIN_EFFECT, V the variance of that
    mean, T = MIN_EFFECT^2 the mixture's variance; reject when LR > 1 / ALPHA and z > 0 (Robbins' mixture; the form
    quoted in Johari et al. 2017).
    """
    if not latencies or base.latency <= 0:
        return False
    z = sum(math.log(x / base.latency) for x in latencies) / len(latencies) - MIN_EFFECT
    if z <= 0:
        return False
    v = max(base.latency_sd, MIN_SD) ** 2 * (1 / len(latencies) + 1 / max(base.windows, 1))
    t = MIN_EFFECT**2
    ratio = math.log(v / (v + t)) / 2 + min(z * z * t / (2 * v * (v + t)), 700.0)
    return ratio > math.log(1 / ALPHA)


def served(base: Baseline) -> bool:
    """Did the parent keep up with its offered load?"""
    return base.throughput >= SERVED * base.load


def draining(window: Observation) -> bool:
    """More leaves than arrives: a backlog shrinks. Its latency says nothing about the setting's steady state."""
    load, throughput = window.offered_load, window.throughput
    return not isinstance(load, Missing) and not isinstance(throughput, Missing) and throughput > DRAIN * load


def baseline_of(windows: Sequence[Observation]) -> Baseline | None:
    """The parent's side of the comparison, from its clean and steady windows; None without any."""
    clean = [w for w in windows if w.clean and not draining(w)]
    load = _mean([w.offered_load for w in clean])
    throughput = _mean([w.throughput for w in clean])
    latency = _geometric([w.latency for w in clean])
    if load is None or throughput is None or latency is None or latency <= 0:
        return None
    logs = [math.log(w.latency) for w in clean if not isinstance(w.latency, Missing) and w.latency > 0]
    mean = sum(logs) / len(logs)
    sd = math.sqrt(sum((x - mean) ** 2 for x in logs) / (len(logs) - 1)) if len(logs) > 1 else 0.0
    names = sorted({name for w in clean for name in w.slos})
    pooled = {n: p for n in names if (p := _pool(n, clean)) is not None and p.total > 0}
    return Baseline(
        load=load,
        throughput=throughput,
        latency=latency,
        errors=_mean([w.errors for w in clean]),
        slo_shares={n: p.share for n, p in pooled.items()},
        latency_sd=sd,
        windows=len(clean),
    )


def _mean(values: Sequence[float | Missing]) -> float | None:
    finite = [v for v in values if not isinstance(v, Missing)]
    return sum(finite) / len(finite) if finite else None


def _geometric(values: Sequence[float | Missing]) -> float | None:
    finite = [v for v in values if not isinstance(v, Missing) and v > 0]
    return math.exp(sum(math.log(v) for v in finite) / len(finite)) if finite else None
