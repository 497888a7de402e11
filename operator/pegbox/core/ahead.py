"""Ahead of load: how large the load is that a proposal is made for, and the minimum of replicas that it needs. Pure.

An HPA follows load, and new pods serve only after their start-up. Where more is forecast for then than the replicas
bear, its minimum is raised now: in a trial like any other, but one that needs no gain. It is never lowered here; that
is the objective's cut, which leaves what the forecast and a fifth more of it need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from pegbox.core import scale_out, steps
from pegbox.core.candidates import knobs_with, largest_admissible
from pegbox.core.propose import SERVED, read, spare
from pegbox.core.scale_out import ScaleRule
from pegbox.core.wording import in_words
from pegbox.model.knobs import Knob, LocationKind
from pegbox.model.observations import Measured, Missing
from pegbox.model.prediction import LoadForecast, Prediction, Predictor
from pegbox.model.profile import ProfileSpec, Purpose
from pegbox.model.proposals import Proposal, ProposalKind, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role
from pegbox.model.snapshot import Snapshot

MARGIN = 1.2  # of the forecast: what is cut must not be raised again by the next one
UNBOUNDED = 1_000_000  # replicas
HALVINGS = 12  # of the load that replicas bear: within a part in 4,000


@dataclass(frozen=True, slots=True)
class Needed:
    """Replicas that the load to come needs, of which each bears `each` events/s; `kept`, with a margin."""

    knob: Knob
    replicas: int
    kept: int
    each: float


def sized_for(load: Measured, forecast: LoadForecast | Missing) -> Measured:
    """The load that a setting must bear: the present one, or what is to come before pods could follow.

    Without a forecast, or with one that is no number, the present one; where that is unknown, nothing is known.
    """
    if isinstance(load, Missing) or isinstance(forecast, Missing) or not math.isfinite(forecast.upper):
        return load
    return max(load, forecast.upper)


def needed(snapshot: Snapshot, request: ProposeRequest, predictor: Predictor | Missing) -> Needed | None:
    """None without an HPA's minimum to tune, a forecast, a load, or a model that vouches for that load.

    Replicas bear what the model surely expects of them within the SLOs, and no less than now, where all is well: so
    without any evidence of a limit they are asked for in proportion to load, as an HPA does.
    """
    knob = next((k for k in knobs_with(request, Role.REPLICAS) if k.location.kind is LocationKind.HPA_MIN), None)
    forecast, situation = snapshot.forecast, read(request)
    if knob is None or isinstance(forecast, Missing):
        return None
    if isinstance(situation, Missing) or isinstance(predictor, Missing):
        return None
    assert request.observation is not None and not isinstance(request.observation.offered_load, Missing)
    now = request.observation.offered_load
    borne = _borne(snapshot.spec, request, predictor, situation.load)
    if borne is None:
        return None
    if situation.served >= SERVED and situation.slo_met is True:
        borne = max(borne, now)
    least = max(1, int(knob.minimum or 1))
    most = UNBOUNDED if knob.maximum is None else max(least, int(knob.maximum))
    each = borne / _running(request)
    if not 0.0 < each < math.inf:
        return None
    rule = ScaleRule(each, 1 / spare(request.objective), least=least, most=most)
    found, more = (scale_out.floor(now, forecast.upper * margin, rule) for margin in (1.0, MARGIN))
    if isinstance(found, Missing) or isinstance(more, Missing):
        return None
    return Needed(knob, found, more, each)


def kept(found: Needed | None) -> int:
    """Replicas below which no bound is lowered; 0 where nobody knows."""
    return 0 if found is None else found.kept


def proposal(snapshot: Snapshot, request: ProposeRequest, found: Needed | None) -> Proposal | None:
    """The minimum raised, as far as one step, rules and budgets let it; None where the replicas are enough.

    Replicas that the HPA asked for already need no minimum.
    """
    forecast, workload = snapshot.forecast, snapshot.workload
    if found is None or isinstance(forecast, Missing) or isinstance(workload, Missing):
        return None
    parent, name = request.incumbent, found.knob.name
    now, wanted = parent.number(name), Fraction(found.replicas)
    if wanted <= now or wanted <= workload.replicas:
        return None
    top = steps.reach(found.knob, now, smallest=request.smallest_step)[1]
    reached = largest_admissible(request, (found.knob,), parent.with_values(**{name: min(top, wanted)}))
    if reached.number(name) <= now:
        return None
    why = (
        f"{forecast.now:.4g}/s may be {forecast.upper:.4g}/s in {forecast.horizon:g} s, a replica bears "
        f"{found.each:.4g}/s: {in_words(request.space, reached, parent)}"
    )
    expected = Missing(Reason.AHEAD_OF_LOAD, "asked of the forecast")
    return Proposal(reached, ProposalKind.ONE_KNOB, why, expected, parent.with_values(**{name: wanted}))


def _running(request: ProposeRequest) -> float:
    """The pods that a prediction for the incumbent is about: those in force, and its minimum at least."""
    bounds = knobs_with(request, Role.REPLICAS)
    low = [request.incumbent.number(k.name) for k in bounds if k.location.kind is LocationKind.HPA_MIN]
    return max(1.0, request.pods, *map(float, low))


def _borne(spec: ProfileSpec, request: ProposeRequest, predictor: Predictor, load: float) -> float | None:
    """Events/s that all replicas bear, by the low bound of capacity and the high one of mean latency."""

    def at(events: float) -> Prediction:
        return predictor.predict([request.incumbent], events, request.pods)[0]

    said = at(load)
    if not said.in_domain or not math.isfinite(said.capacity.low) or not said.capacity.low > 0:
        return None
    late = _tightest(spec)
    low, high = 0.0, said.capacity.low
    if late is None or at(high).latency.high <= late:
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).latency.high <= late else (low, middle)
    return low


def _tightest(spec: ProfileSpec) -> float | None:
    """The least threshold of the SLOs on latency, in seconds; None where none has one."""
    latency = {s.name for s in spec.signals if s.purpose is Purpose.LATENCY}
    return min((float(s.threshold) for s in spec.slos if s.signal in latency and s.threshold), default=None)
