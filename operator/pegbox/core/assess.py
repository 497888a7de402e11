"""Assess: the rows of one window -> an Observation of one profile under one setting.

Rows arrive by (signal, window); what cannot be said is Missing with its reason, and nothing is ever zero for
want of data. Rates times the window's seconds give events.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from pegbox.core.histogram import bound_for, cumulative, quantile
from pegbox.model.observations import Attainment, Measured, Missing, Observation, Window
from pegbox.model.profile import ProfileSpec, Purpose, Signal, SignalKind, Slo
from pegbox.model.reasons import Reason
from pegbox.model.roles import busy_signal
from pegbox.model.snapshot import PodFacts, Workload

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class Row(Protocol):
    """What is read of pegbox.ports.SignalRow; the core does not import the ports."""

    @property
    def profile(self) -> str: ...
    @property
    def cohort(self) -> str: ...
    @property
    def setting(self) -> str: ...
    @property
    def part(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def le(self) -> float | None: ...
    @property
    def pods(self) -> int: ...


class Rows(Protocol):
    """What is read of pegbox.ports.SignalRows."""

    def of(self, profile: str) -> Sequence[Row]: ...
    @property
    def at(self) -> datetime: ...
    @property
    def refused(self) -> Mapping[tuple[str, str, str], Missing]: ...


Evidence = Mapping[tuple[str, int], Rows | Missing]
"""(signal name, window in seconds) -> the answer to that question."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which setting of which profile, over how long.

    `setting` is the label of the rows ("" for rows without settings), `setting_hash` what pods acknowledge.
    `in_force_at`: since when it is in force; None where it has been for longer than anybody knows.
    `pods_since`: since when they are the same pods, as far as they were looked at; None where nobody looked.
    `cohort` None reads all cohorts together. `slo_window` reads every SLO over that many seconds instead of
    its own window: a trial is judged by what happened since it is in force. `pods`: of these alone, where what they
    acknowledge does not tell them apart; None: of all.
    """

    spec: ProfileSpec
    at: datetime
    window: int
    setting: str
    setting_hash: str
    workload: Workload | Missing
    in_force_at: datetime | None = None
    cohort: str | None = None
    slo_window: int = 0
    pods: frozenset[str] | None = None
    pods_since: datetime | None = None

    def window_of(self, slo: Slo) -> int:
        return self.slo_window or int(slo.window)


def needed(spec: ProfileSpec, window: int, slo_window: int = 0) -> tuple[tuple[Signal, int], ...]:
    """The (signal, window) pairs that `assess` reads; each is one query, shared by the class's profiles."""
    pairs = [(signal, window) for signal in spec.signals if signal.purpose is not Purpose.SLO]
    by_name = {signal.name: signal for signal in spec.signals}
    pairs += [(by_name[s.signal], slo_window or int(s.window)) for s in spec.slos if s.signal in by_name]
    return tuple(dict.fromkeys(pairs))


def questions(spec: ProfileSpec, window: int) -> tuple[tuple[tuple[Signal, int], ...], tuple[tuple[Signal, int], ...]]:
    """What is asked: all signals over `window`, and each SLO's signal over its own window where that is another one.

    A signal of a knob that this profile does not have is left out.
    """
    every = needed(spec, window, window)
    newest = tuple((s, w) for s, w in every if not s.knob or s.knob in spec.space)
    return newest, tuple(pair for pair in needed(spec, window) if pair not in every)


def attained(question: Question, evidence: Evidence) -> Mapping[str, Attainment | Missing]:
    """Every SLO over its own window: how the workload does, whatever trial is under way."""
    own = replace(question, slo_window=0)
    return {slo.name: _slo(own, evidence, slo) for slo in question.spec.slos}


def assess(question: Question, evidence: Evidence) -> Observation | Missing:
    """The observation; Missing only where no signal and no SLO could be read at all."""
    window = _window(question, evidence)
    read = {s.name: _read(question, evidence, s, question.window) for s in question.spec.signals}
    measured = {name: found if isinstance(found, Missing) else found.mean for name, found in read.items()}
    load, throughput = _purpose(question, read, Purpose.LOAD), _purpose(question, read, Purpose.THROUGHPUT)
    latency, errors = _purpose(question, read, Purpose.LATENCY), _purpose(question, read, Purpose.ERRORS)
    slos = {slo.name: _slo(question, evidence, slo) for slo in question.spec.slos}
    if isinstance(throughput, Missing) and throughput.reason is Reason.NOT_REPORTED:
        throughput = latency if isinstance(latency, Missing) else replace(latency, mean=latency.events)
    found = (throughput, latency, load, errors, *slos.values())
    if all(isinstance(one, Missing) for one in found):
        return _worst([one for one in found if isinstance(one, Missing)])
    reason = unclean(question, window)
    return Observation(
        window=window,
        setting_hash=question.setting_hash,
        offered_load=_mean(load),
        throughput=_mean(throughput),
        latency=_mean(latency),
        errors=_failed(errors),
        pods=max((one.pods for one in (throughput, latency, errors) if not isinstance(one, Missing)), default=0)
        or len(_running(question, window.end)),
        signals={_name(s): measured[s.name] for s in question.spec.signals if s.purpose is not Purpose.SLO},
        slos=slos,
        quantiles={n: latency if isinstance(latency, Missing) else latency.quantile(q) for n, q in QUANTILES.items()},
        clean=reason is None,
        unclean_reason=reason,
        whole=not isinstance(throughput, Missing) and _whole(question, window, throughput.pods),
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """One signal of the question, cohorts added up. `events` per second where the kind counts events."""

    mean: Measured
    pods: int
    events: Measured
    good: float = 0.0
    buckets: Mapping[float, float] | None = None

    def quantile(self, q: float) -> Measured:
        if self.buckets is None:
            return Missing(Reason.NOT_REPORTED, "the latency signal is not a Histogram")
        return quantile(q, self.buckets)


def _window(question: Question, evidence: Evidence) -> Window:
    """Answers may be reused: the window ends where the oldest of them was read."""
    ends = [
        rows.at
        for (_, seconds), rows in evidence.items()
        if seconds == question.window and not isinstance(rows, Missing)
    ]
    end = min(ends, default=question.at)
    return Window(end - timedelta(seconds=question.window), end)


def _purpose(question: Question, read: Mapping[str, _Read | Missing], purpose: Purpose) -> _Read | Missing:
    signal = question.spec.signal_for(purpose)
    if signal is None:
        name = question.spec.class_name
        return Missing(Reason.NOT_REPORTED, f"class {name} has no signal for {purpose.value}")
    return read[signal.name]


def _mean(found: _Read | Missing) -> Measured:
    return found if isinstance(found, Missing) else found.mean


def _failed(found: _Read | Missing) -> Measured:
    share = _mean(found)
    return share if isinstance(share, Missing) else min(1.0, max(0.0, 1.0 - share))


def _name(signal: Signal) -> str:
    return busy_signal(signal.knob) if signal.purpose is Purpose.BUSY and signal.knob else signal.name


def _worst(missing: Sequence[Missing]) -> Missing:
    """The reason that explains the others: what the class does not ask for explains nothing."""
    return next((one for one in missing if one.reason is not Reason.NOT_REPORTED), missing[0])


def _read(question: Question, evidence: Evidence, signal: Signal, window: int) -> _Read | Missing:
    if (signal.name, window) not in evidence:
        return Missing(Reason.NO_DATA, f"{signal.name} was not asked for over {window} s")
    answer = evidence[signal.name, window]
    if isinstance(answer, Missing):
        return replace(answer, detail=f"{signal.name}: {answer.detail}")
    rows = _rows(question, signal, answer)
    if isinstance(rows, Missing):
        return rows
    pods = sum({row.cohort: row.pods for row in rows}.values())
    expected = len(_running(question, answer.at - timedelta(seconds=window), signal))
    if pods < expected:
        return Missing(Reason.PARTIAL_DATA, f"{signal.name}: samples of {pods} of {expected} pods")
    return _combine(signal, rows, pods)


def _rows(question: Question, signal: Signal, answer: Rows) -> list[Row] | Missing:
    """The rows of the question. Load is not told apart by setting or cohort: its rows carry neither."""
    load = signal.purpose is Purpose.LOAD
    setting = "" if load else question.setting
    cohort = "" if load else question.cohort

    def asked(key: tuple[str, str, str]) -> bool:
        return key[0] == question.spec.key and key[2] == setting and cohort in (None, key[1])

    for key, why in sorted(answer.refused.items(), key=lambda item: item[0]):
        if asked(key):
            return replace(why, detail=f"{signal.name}: {why.detail}")
    rows = [row for row in answer.of(question.spec.key) if asked((row.profile, row.cohort, row.setting))]
    if rows:
        return rows
    of = f" under setting {setting}" if setting else ""
    return Missing(Reason.NO_DATA, f"{signal.name}: no series of {question.spec.key}{of}")


def _running(question: Question, since: datetime, signal: Signal | None = None) -> list[PodFacts]:
    """Ready pods that run the setting since `since`: each of them must be among the samples.

    Where no pod acknowledges anything, or for load, every pod counts.
    """
    if isinstance(question.workload, Missing):
        return []
    pods = question.workload.unfinished
    reporting = any(pod.ack for pod in pods)
    everybody = not reporting or (signal is not None and signal.purpose is Purpose.LOAD)
    return [
        pod
        for pod in pods
        if pod.ready
        and not pod.terminating
        and (question.pods is None or pod.name in question.pods)
        and (started := pod.container_started_at or pod.started_at) is not None
        and started <= since
        and (everybody or (pod.ack is not None and pod.ack.hash == question.setting_hash))
    ]


def _whole(question: Question, window: Window, sampled: int) -> bool:
    """Are samples of this many pods those of all that serve, and of the same ones throughout?

    Pods that took no note of the setting yet are under another label, and what went took its samples with it.
    """
    if isinstance(question.workload, Missing) or came_or_went(question, window):
        return False
    pods = [p for p in question.workload.unfinished if question.pods is None or p.name in question.pods]
    restarted = any(p.container_started_at is not None and p.container_started_at > window.start for p in pods)
    return bool(pods) and not restarted and sampled >= sum(p.ready for p in pods)


def came_or_went(question: Question, window: Window) -> bool:
    """Did the pods change within the window?"""
    if isinstance(question.workload, Missing):
        return False
    pods = question.workload.unfinished
    starts = [pod.started_at for pod in pods if pod.started_at is not None]
    since = question.pods_since
    known = since is not None and since > window.start
    return known or any(p.terminating for p in pods) or any(at > window.start for at in starts)


def _combine(signal: Signal, rows: Sequence[Row], pods: int) -> _Read | Missing:
    """Cohorts added up; levels averaged by their pods."""
    if not all(math.isfinite(row.value) for row in rows):
        return Missing(Reason.NOT_A_NUMBER, signal.name)
    if signal.kind is SignalKind.GAUGE:
        weight = sum(row.pods for row in rows)
        if weight <= 0:
            return Missing(Reason.PARTIAL_DATA, f"{signal.name}: no pod has enough samples")
        mean = sum(row.value * row.pods for row in rows) / weight
        return _Read(mean, pods, Missing(Reason.NOT_REPORTED, "a level counts no events"))
    total = _totals(rows)
    if signal.kind is SignalKind.RATE:
        return _Read(total["value"], pods, total["value"])
    if signal.kind is SignalKind.RATIO:
        every = total["all"]
        good = min(total["good"], every)
        return _Read(_share(signal, good, every), pods, every, good)
    buckets: dict[float, float] = defaultdict(float)
    for row in rows:
        if row.le is not None:
            buckets[row.le] += row.value
    count, spent = total["count"], total["sum"]
    if spent < 0:
        return Missing(Reason.NOT_A_NUMBER, f"{signal.name}: the sum of durations is negative ({spent:g})")
    return _Read(_share(signal, spent, count), pods, count, buckets=dict(buckets))


def _totals(rows: Iterable[Row]) -> Mapping[str, float]:
    total: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.le is None:
            total[row.part] += row.value
    return total


def _share(signal: Signal, part: float, whole: float) -> Measured:
    if whole <= 0:
        return Missing(Reason.TOO_FEW_EVENTS, f"{signal.name}: no events in the window")
    return part / whole


def _slo(question: Question, evidence: Evidence, slo: Slo) -> Attainment | Missing:
    """Counted: events in the buckets up to the threshold (or good events), over all events."""
    signal = next((s for s in question.spec.signals if s.name == slo.signal), None)
    if signal is None:
        return Missing(Reason.NOT_REPORTED, f"SLO {slo.name}: the class has no signal {slo.signal}")
    window = question.window_of(slo)
    read = _read(question, evidence, signal, window)
    if isinstance(read, Missing):
        return read
    if isinstance(read.events, Missing):
        return read.events
    good = read.good
    if read.buckets is not None:
        bound = bound_for(tuple(read.buckets), float(slo.threshold or 0))
        if isinstance(bound, Missing):
            return replace(bound, detail=f"SLO {slo.name}: {bound.detail}")
        good = dict(cumulative(read.buckets))[bound.le]
    if read.events <= 0:
        return Missing(Reason.TOO_FEW_EVENTS, f"SLO {slo.name}: no events in {window} s")
    return Attainment(good=min(good, read.events) * window, total=read.events * window)


def unclean(question: Question, window: Window) -> Reason | None:
    """Why a window may not be learned from, the most telling reason first; None where it may."""
    workload = question.workload
    if isinstance(workload, Missing):
        return workload.reason
    pods = workload.unfinished
    restarts = [pod.container_started_at for pod in pods if pod.container_started_at is not None]
    checks = (
        (not pods, Reason.WORKLOAD_SCALED_TO_ZERO),
        (any(p.oom_killed_at and p.oom_killed_at > window.start for p in pods), Reason.OOM_KILLED),
        (any(pod.waiting == "CrashLoopBackOff" for pod in pods), Reason.CRASH_LOOP),
        (workload.rolling or workload.stuck, Reason.ROLLOUT_IN_PROGRESS),
        (came_or_went(question, window), Reason.SCALED),
        (question.in_force_at is not None and window.start < question.in_force_at, Reason.SETTLING),
        (
            not all(p.ready for p in pods) or any(at > window.start for at in restarts),
            Reason.WORKLOAD_NOT_READY,
        ),
    )
    return next((reason for holds, reason in checks if holds), None)
