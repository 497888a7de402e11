"""propose: the one setting most worth a trial, or the reason why none is.

Pressed (load unserved, SLO missed): the candidate with the highest served throughput that the model vouches
for, then the lowest latency. Without a model the evidence acts: busy limits rise together, since throughput is
the least of several limits and raising one alone gains nothing. At ease: what the objective asks for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pegbox.core.candidates import FRACTIONS as SHARES
from pegbox.core.candidates import (
    USED,
    Candidate,
    failed_before,
    joint_raise,
    knobs_with,
    limits_of,
    one_knob_moves,
    possible,
    random_moves,
    shrinks,
    targets,
)
from pegbox.model.knobs import Knob
from pegbox.model.observations import Missing
from pegbox.model.prediction import Prediction, Predictor
from pegbox.model.proposals import Proposal, ProposalKind, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.roles import BUSY_PREFIX, Role, demand_coefficient

SERVED = 0.97  # below this share of the offered load, load is left unserved
BUSY = 0.8  # a limit busier than this holds tasks back
TOLERANCE = 0.03  # an expected gain below this is not worth a trial
LEAST = 1e-9  # stands for zero, where a logarithm is taken
SLOWER = 1.05  # factor by which the latency's upper bound may rise while the SLOs are met
SPARE = {"MinimizeCost": 1.1, "MaximizeThroughput": 1.5, "MinimizeLatency": 1.1}  # capacity wanted per load


def spare(objective: str) -> float:
    """Capacity wanted per load."""
    return SPARE.get(objective, 1.1)


@dataclass(frozen=True, slots=True)
class Situation:
    """The observation, read for what it asks for. `busy` holds the known busy shares of limits."""

    load: float
    served: float  # share of the offered load, 1 where all of it was served
    slo_met: bool | Missing
    busy: Mapping[str, float]

    @property
    def pressed(self) -> bool:
        return self.served < SERVED or self.slo_met is False

    @property
    def words(self) -> str:
        if self.served < SERVED:
            return f"{self.served:.0%} of the offered load is served"
        if self.slo_met is False:
            return "an SLO is missed"
        top = max(self.busy, key=lambda n: self.busy[n], default="")
        return f"{top} is busy for {self.busy[top]:.0%}" if top else "all of the load is served"


@dataclass(frozen=True, slots=True)
class _Option:
    candidate: Candidate
    expected: Prediction


def propose(request: ProposeRequest, predictor: Predictor | Missing) -> Proposal | Missing:
    """A proposal inside bounds, step, rules and budgets; Missing is the stop rule, or what is lacking."""
    if not request.space.tunable:
        return Missing(Reason.NO_TUNABLE_KNOB)
    situation = read(request)
    if isinstance(situation, Missing):
        return situation
    if isinstance(predictor, Missing):
        return _from_evidence(request, situation, predictor)
    wanted = situation.load * spare(request.objective)
    if situation.pressed:
        return _relieve(request, situation, predictor, wanted)
    if request.objective == "MinimizeCost":
        return _give_back(request, situation, predictor)
    return _improve(request, situation, predictor, wanted)


def read(request: ProposeRequest) -> Situation | Missing:
    """The situation, or which measurement is missing for it."""
    seen = request.observation
    if seen is None:
        return Missing(Reason.NO_DATA, "no window of the setting in force was observed yet")
    for value in (request.load, seen.offered_load, seen.throughput):
        if isinstance(value, Missing):
            return value
        if not math.isfinite(value):
            return Missing(Reason.NOT_A_NUMBER, "load and throughput must be finite")
    assert not isinstance(request.load, Missing)
    assert not isinstance(seen.offered_load, Missing) and not isinstance(seen.throughput, Missing)
    busy = {
        name.removeprefix(BUSY_PREFIX): share
        for name, share in seen.signals.items()
        if name.startswith(BUSY_PREFIX) and not isinstance(share, Missing) and math.isfinite(share)
    }
    served = seen.throughput / seen.offered_load if seen.offered_load > 0 else 1.0
    return Situation(max(0.0, request.load), min(1.0, served), request.slo_headroom, busy)


def _raisable(request: ProposeRequest, situation: Situation) -> tuple[Knob, ...]:
    """Limits that are not known to be half idle, the busiest first."""
    known = [k for k in limits_of(request) if situation.busy.get(k.name, 1.0) >= USED]
    return tuple(sorted(known, key=lambda k: (-situation.busy.get(k.name, 1.0), k.name)))


def _hot(request: ProposeRequest, situation: Situation) -> bool:
    """Is a limit known to hold tasks back?"""
    return any(situation.busy.get(k.name, 0.0) > BUSY for k in limits_of(request))


def _from_evidence(request: ProposeRequest, situation: Situation, lacking: Missing) -> Proposal | Missing:
    """The joint raise of what is busy, without any model; failing that more pods, then larger batches."""
    if not situation.pressed and not _hot(request, situation):
        return Missing(Reason.NOTHING_BETTER, f"{situation.words}, and no limit is more than {BUSY:.0%} busy")
    groups = (
        _raisable(request, situation),
        knobs_with(request, Role.REPLICAS),
        knobs_with(request, Role.BATCH),
    )
    refused = 0
    for knobs in groups:
        for share in SHARES:
            found = joint_raise(request, knobs, share, {})
            if found is None or not possible(request, found):
                continue
            if failed_before(request, found.setting):
                refused += 1
                continue
            return _proposal(request, situation, _estimated(request, situation, found), lacking)
    return _none_left(situation, refused)


def _estimated(request: ProposeRequest, situation: Situation, candidate: Candidate) -> Candidate:
    """The candidate, its wish by physics alone: what the utilisation law says of limits whose use is known.

    A unit is busy for demand = busy x units x pods / throughput seconds per event. Nothing proved it yet: a task may
    hold one limit only because it waits for another.
    """
    assert request.observation is not None and not isinstance(request.observation.throughput, Missing)
    throughput = request.observation.throughput
    demands = {
        demand_coefficient(k.name): situation.busy[k.name]
        * float(request.incumbent.number(k.name))
        * request.pods
        / throughput
        for k in limits_of(request)
        if situation.busy.get(k.name, 0.0) > 0 and throughput > 0
    }
    old = request.incumbent
    raised = [n for n in old.diff(candidate.setting) if old.number(n) < candidate.setting.number(n)]
    goals = {n: v for n, v in targets(request, demands, situation.load).items() if n in raised and v > old.number(n)}
    return replace(candidate, wish=candidate.wish.with_values(**goals), estimated=tuple(sorted(goals)))


def _none_left(situation: Situation, failed: int) -> Missing:
    if failed:
        return Missing(Reason.RECENTLY_FAILED, f"{situation.words}, but every reachable raise failed lately")
    return Missing(Reason.NOTHING_BETTER, f"{situation.words}, but limits, rules and budgets leave no raise")


def _relieve(request: ProposeRequest, situation: Situation, predictor: Predictor, wanted: float) -> Proposal | Missing:
    """Pressed: first what surely gains, then what should, then what might; at last the evidence acts."""
    goals = targets(request, predictor.report.coefficients, situation.load)
    now, options = _ask(request, situation, predictor, raises(request, situation, goals))
    vouched = _slo_safe(situation, now, [o for o in options if o.expected.in_domain])
    for bound, kind in (("low", None), ("mean", None), ("high", ProposalKind.PROBE)):
        best = _frugal(request, now, vouched, wanted, bound)
        if best is not None:
            chosen = best.candidate if kind is None else replace(best.candidate, kind=kind)
            return _proposal(request, situation, chosen, best.expected)
    if vouched and (situation.served < SERVED or not _hot(request, situation)):
        return Missing(
            Reason.NOTHING_BETTER,
            f"{situation.words}, but no reachable setting promises {TOLERANCE:.0%} more",
        )
    # a missed SLO with all load served is a matter of the tail, of which the model knows little
    why = "no reachable raise is vouched for" if not vouched else "the model sees no gain"
    return _from_evidence(request, situation, Missing(Reason.OUT_OF_RANGE, why))


def raises(request: ProposeRequest, situation: Situation, goals: Mapping[str, Fraction]) -> list[Candidate]:
    """Joint raises of several sizes, with and without physics targets, one-knob and random moves."""
    groups = (_raisable(request, situation), limits_of(request))
    joint = [joint_raise(request, g, s, t) for g in groups for t in (goals, {}) for s in SHARES]
    single = (_wishing(request, c, goals) for c in (*one_knob_moves(request), *random_moves(request)))
    return [*(c for c in joint if c is not None), *single]


def _wishing(request: ProposeRequest, candidate: Candidate, goals: Mapping[str, Fraction]) -> Candidate:
    """The candidate with its raw wish: what a raised limit needs for the load, beyond this one step."""
    old, new = request.incumbent, candidate.setting
    raised = [n for n in old.diff(new) if n in goals and old.number(n) < new.number(n) < goals[n]]
    return replace(candidate, wish=new.with_values(**{n: goals[n] for n in raised}))


def _ask(
    request: ProposeRequest, situation: Situation, predictor: Predictor, candidates: Sequence[Candidate]
) -> tuple[Prediction, list[_Option]]:
    """The predictions for the incumbent and for every candidate that is possible and did not fail lately."""
    kept: dict[object, Candidate] = {}
    for candidate in candidates:
        if candidate.setting not in kept and possible(request, candidate):
            kept[candidate.setting] = candidate
    fresh = [c for c in kept.values() if not failed_before(request, c.setting)]
    answers = predictor.predict([request.incumbent, *(c.setting for c in fresh)], situation.load, request.pods)
    usable = [
        _Option(candidate, expected) for candidate, expected in zip(fresh, answers[1:], strict=True) if sound(expected)
    ]
    return answers[0], usable


def sound(expected: Prediction) -> bool:
    numbers = (
        *(expected.capacity.low, expected.capacity.mean, expected.capacity.high),
        *(expected.latency.low, expected.latency.mean, expected.latency.high),
    )
    return all(math.isfinite(n) and n >= 0 for n in numbers)


def _slo_safe(situation: Situation, now: Prediction, options: Sequence[_Option]) -> list[_Option]:
    """While the SLOs are met nothing is tried whose latency may be worse than the incumbent's."""
    slowest = slowest_allowed(situation, now)
    return [o for o in options if o.expected.latency.high <= slowest]


def slowest_allowed(situation: Situation, now: Prediction) -> float:
    """The highest upper bound of mean latency that may be tried, seconds; infinite where the SLOs are missed anyway."""
    return now.latency.high * SLOWER if situation.slo_met is True and sound(now) else math.inf


def _served(expected: Prediction, wanted: float, bound: str) -> float:
    capacity: float = getattr(expected.capacity, bound)
    return min(wanted, capacity)


def gains(now: Prediction, one: Prediction, wanted: float, bound: str) -> bool:
    """A gain is more served throughput than the tolerance, or as much of it at lower latency."""
    before, after = _served(now, wanted, bound), _served(one, wanted, bound)
    if after > before * (1 + TOLERANCE):
        return True
    side = "high" if bound == "low" else "mean"
    faster: bool = getattr(one.latency, side) < getattr(now.latency, side) * (1 - TOLERANCE)
    return after >= before * (1 - TOLERANCE) and faster


def _frugal(
    request: ProposeRequest, now: Prediction, options: Sequence[_Option], wanted: float, bound: str
) -> _Option | None:
    """The best option that adds no pods; where none gains, the best of all: a pod costs more than a limit."""
    pods = {k.name for k in knobs_with(request, Role.REPLICAS)}

    def adds_pods(option: _Option) -> bool:
        new = option.candidate.setting
        return any(new.number(name) > request.incumbent.number(name) for name in pods)

    frugal = [o for o in options if not adds_pods(o)]
    return _best(request, now, frugal, wanted, bound) or _best(request, now, options, wanted, bound)


def _best(
    request: ProposeRequest, now: Prediction, options: Sequence[_Option], wanted: float, bound: str
) -> _Option | None:
    """Of the options that gain at `bound`, the one with most expected throughput, then least latency, then
    the easiest to undo, then the smallest. Expectations within 2 % (throughput) or 10 % (latency) of each other are
    equal.
    """

    def rank(option: _Option) -> tuple[int, int, bool, float, tuple[str, ...]]:
        served = max(_served(option.expected, wanted, "mean"), LEAST)
        return (
            -math.floor(math.log(served) / 0.02),
            math.floor(math.log(max(option.expected.latency.mean, LEAST)) / 0.10),
            _lowers(request, option.candidate),
            _growth(request, option.candidate),
            request.incumbent.diff(option.candidate.setting),
        )

    gaining = [o for o in options if gains(now, o.expected, wanted, bound)] if sound(now) else list(options)
    return min(gaining, key=rank, default=None)


def _lowers(request: ProposeRequest, candidate: Candidate) -> bool:
    """Does it lower a knob? Then its rollback raises, and a raise needs a second acknowledgement."""
    old, new = request.incumbent, candidate.setting
    return any(request.space[n].type.numeric and new.number(n) < old.number(n) for n in old.diff(new))


def _growth(request: ProposeRequest, candidate: Candidate) -> float:
    """Sum of relative changes of numeric knobs: between equals the smaller step is cheaper and safer."""
    total = 0.0
    for name in request.incumbent.diff(candidate.setting):
        if request.space[name].type.numeric:
            old, new = request.incumbent.number(name), candidate.setting.number(name)
            total += abs(float((new - old) / max(old, request.space[name].unit)))
        else:
            total += 1.0
    return round(total, 6)


def _give_back(request: ProposeRequest, situation: Situation, predictor: Predictor) -> Proposal | Missing:
    """At ease and to be cheap: the largest cut of unused limits or pods that keeps latency and spare."""
    if situation.slo_met is not True:
        return Missing(Reason.NOTHING_BETTER, f"{situation.words}, and the SLOs are unknown: nothing is cut")
    busy = busy_by_model(request, situation, predictor)
    now, options = _ask(request, situation, predictor, list(shrinks(request, busy)))
    needed = situation.load * SPARE["MinimizeCost"]
    roomy = [o for o in options if o.expected.in_domain and o.expected.capacity.low >= needed]
    safe = _slo_safe(situation, now, roomy)
    best = max(safe, key=lambda o: _saving(request, o.candidate), default=None)
    if best is not None and _saving(request, best.candidate) >= TOLERANCE:
        return _proposal(request, situation, best.candidate, best.expected)
    if options and not safe:
        return Missing(Reason.SLO_AT_RISK, "every cut may cost latency or the spare capacity")
    return Missing(Reason.NOTHING_BETTER, f"{situation.words}, the SLOs are met and nothing is left to cut")


def busy_by_model(request: ProposeRequest, situation: Situation, predictor: Predictor) -> dict[str, float]:
    """Busy shares as measured, else by the utilisation law where the model knows the demand."""
    found: dict[str, float] = {}
    for knob in limits_of(request):
        demand = predictor.report.coefficients.get(demand_coefficient(knob.name))
        units = float(request.incumbent.number(knob.name)) * request.pods
        if knob.name in situation.busy:
            found[knob.name] = situation.busy[knob.name]
        elif demand is not None and units > 0:
            found[knob.name] = situation.load * demand / units
    return found


def _saving(request: ProposeRequest, candidate: Candidate) -> float:
    """Sum of relative cuts; a pod costs more than a unit of a limit, so pods count ten times."""
    total = 0.0
    for name in request.incumbent.diff(candidate.setting):
        old, new = request.incumbent.number(name), candidate.setting.number(name)
        weight = 10.0 if request.roles.get(name) is Role.REPLICAS else 1.0
        total += weight * float(1 - new / old) if old > 0 else 0.0
    return total


def _improve(request: ProposeRequest, situation: Situation, predictor: Predictor, wanted: float) -> Proposal | Missing:
    """At ease and ambitious: more sure capacity (MaximizeThroughput), less latency (MinimizeLatency)."""
    goals = targets(request, predictor.report.coefficients, wanted)
    now, options = _ask(request, situation, predictor, raises(request, situation, goals))
    vouched = [o for o in options if o.expected.in_domain]
    safe = _slo_safe(situation, now, vouched)
    if request.objective == "MinimizeLatency":
        wanted = min(wanted, now.capacity.low)
    best = _frugal(request, now, safe, wanted, "low")
    if best is not None:
        return _proposal(request, situation, best.candidate, best.expected)
    if vouched and not safe:
        return Missing(Reason.SLO_AT_RISK, "every reachable setting may be slower than the one in force")
    return Missing(Reason.NOTHING_BETTER, f"{situation.words}; no reachable setting promises {TOLERANCE:.0%} more")


def _proposal(
    request: ProposeRequest, situation: Situation, candidate: Candidate, expected: Prediction | Missing
) -> Proposal:
    moves = ", ".join(
        f"{name} {_text(request, candidate, name, old=True)} -> {_text(request, candidate, name)}"
        for name in request.incumbent.diff(candidate.setting)
    )
    reason = {
        ProposalKind.JOINT: "the limits move together, since the least of them decides",
        ProposalKind.ONE_KNOB: "this knob alone promises most",
        ProposalKind.PROBE: "the model promises nothing surely, so this is tried",
        ProposalKind.SHRINK: "it is not used",
    }[candidate.kind]
    if isinstance(expected, Missing):
        reason = f"no prediction ({expected}), so the evidence decides"
        if candidate.estimated:
            wishes = ", ".join(f"{n}={request.space[n].type.format(candidate.wish[n])}" for n in candidate.estimated)
            reason += f"; Unverified: the utilisation law asks for {wishes}"
    return Proposal(
        candidate.setting, candidate.kind, f"{situation.words}: {moves}; {reason}", expected, candidate.wish
    )


def _text(request: ProposeRequest, candidate: Candidate, name: str, *, old: bool = False) -> str:
    setting = request.incumbent if old else candidate.setting
    return request.space[name].type.format(setting[name])
