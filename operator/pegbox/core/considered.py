"""What `propose` looks at, one by one, and why each candidate but one is left: for `explain`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pegbox.core import propose
from pegbox.core.candidates import Candidate, failed_before, shrinks, targets
from pegbox.core.propose import SPARE, Situation, spare
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Prediction, Predictor
from pegbox.model.proposals import ProposeRequest
from pegbox.model.reasons import Reason

Objections = Callable[[Setting], tuple[Verdict, ...]]
"""The verdicts of every setting guard on one setting."""


@dataclass(frozen=True, slots=True)
class Considered:
    """One candidate: what the model expects of it, and what speaks against it (None: nothing)."""

    setting: Setting
    expected: Prediction
    against: Missing | None


def considered(request: ProposeRequest, predictor: Predictor, objections: Objections) -> list[Considered]:
    """Those that promise most first; none where the situation is not known."""
    situation = propose.read(request)
    if isinstance(situation, Missing):
        return []
    settings = {c.setting: c for c in _candidates(request, situation, predictor)}
    settings.pop(request.incumbent, None)
    now, *expected = predictor.predict([request.incumbent, *settings], situation.load, request.pods)
    found = [
        Considered(candidate.setting, one, _against(request, situation, objections, now, one))
        for candidate, one in zip(settings.values(), expected, strict=True)
    ]
    wanted = situation.load * spare(request.objective)
    return sorted(found, key=lambda each: _rank(each, wanted))


def _candidates(request: ProposeRequest, situation: Situation, predictor: Predictor) -> list[Candidate]:
    """As `propose` makes them: cuts at ease and to be cheap, else raises."""
    if not situation.pressed and request.objective == "MinimizeCost":
        return list(shrinks(request, propose.busy_by_model(request, situation, predictor)))
    wanted = situation.load if situation.pressed else situation.load * spare(request.objective)
    return propose.raises(request, situation, targets(request, predictor.report.coefficients, wanted))


def _against(
    request: ProposeRequest, situation: Situation, objections: Objections, now: Prediction, one: Prediction
) -> Missing | None:
    refused = next((v for v in objections(one.setting) if v.admission is not Admission.ADMIT), None)
    if refused is not None:
        return Missing(refused.reason, refused.detail)
    if failed_before(request, one.setting):
        return Missing(Reason.RECENTLY_FAILED, "or one that moved less far the same way")
    if not propose.sound(one) or not one.in_domain:
        return Missing(Reason.OUT_OF_RANGE, "the model does not vouch for it")
    slowest = propose.slowest_allowed(situation, now)
    if one.latency.high > slowest:
        return Missing(Reason.SLO_AT_RISK, f"mean latency up to {one.latency.high:.3g} s, {slowest:.3g} s is allowed")
    return _no_gain(request, situation, now, one)


def _no_gain(request: ProposeRequest, situation: Situation, now: Prediction, one: Prediction) -> Missing | None:
    if not situation.pressed and request.objective == "MinimizeCost":
        needed = situation.load * SPARE["MinimizeCost"]
        if one.capacity.low < needed:
            text = f"capacity may be {one.capacity.low:.3g}/s, {needed:.3g}/s are needed"
            return Missing(Reason.SLO_AT_RISK, text)
        return None
    wanted = situation.load * spare(request.objective)
    if propose.gains(now, one, wanted, "mean"):
        return None
    before, after = min(wanted, now.capacity.mean), min(wanted, one.capacity.mean)
    return Missing(Reason.NOTHING_BETTER, f"{after:.3g}/s instead of {before:.3g}/s, at {one.latency.mean:.3g} s")


def _rank(each: Considered, wanted: float) -> tuple[bool, float, float]:
    return each.against is not None, -min(wanted, each.expected.capacity.mean), each.expected.latency.mean
