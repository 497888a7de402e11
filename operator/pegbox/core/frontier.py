"""What money buys: by the model, for each number of pods the limits that the load asks for, and what that costs.

Only what no cheaper point beats is kept, and only what the model vouches for and serves the load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pegbox.core import pricing
from pegbox.core.candidates import knobs_with, targets
from pegbox.core.propose import TOLERANCE, spare
from pegbox.model.knobs import KnobValue, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Prediction, Predictor
from pegbox.model.profile import ProfileSpec
from pegbox.model.proposals import ProposeRequest
from pegbox.model.roles import Role
from pegbox.model.snapshot import ContainerSizes

MOST_POINTS = 50  # numbers of pods that are looked at


@dataclass(frozen=True, slots=True)
class Point:
    """`per_hour`: money for all pods, by `spec.prices`; 0 where pods request nothing and cost nothing."""

    setting: Setting
    pods: int
    per_hour: Fraction
    expected: Prediction


def frontier(
    spec: ProfileSpec, containers: Sequence[ContainerSizes], request: ProposeRequest, predictor: Predictor
) -> list[Point]:
    """The cheapest first, each faster than all before it; nothing without a knob for the pods, or without load."""
    replicas = knobs_with(request, Role.REPLICAS)
    if not replicas or isinstance(request.load, Missing):
        return []
    low = max(int(knob.minimum or 1) for knob in replicas)
    high = min(int(knob.maximum or 1) for knob in replicas)
    step = max(1, -(-(high - low + 1) // MOST_POINTS))
    found = [_point(spec, containers, request, predictor, count) for count in range(low, high + 1, step)]
    serving = [p for p in found if p.expected.in_domain and p.expected.capacity.low >= request.load]
    kept: list[Point] = []
    for point in sorted(serving, key=lambda p: (p.per_hour, p.expected.latency.mean)):
        if not kept or point.expected.latency.mean < kept[-1].expected.latency.mean * (1 - TOLERANCE):
            kept.append(point)
    return kept


def _point(
    spec: ProfileSpec,
    containers: Sequence[ContainerSizes],
    request: ProposeRequest,
    predictor: Predictor,
    pods: int,
) -> Point:
    assert not isinstance(request.load, Missing)
    values: dict[str, KnobValue] = {knob.name: Fraction(pods) for knob in knobs_with(request, Role.REPLICAS)}
    wanted = request.load * spare(request.objective)
    values |= targets(replace(request, pods=float(pods)), predictor.report.coefficients, wanted)
    setting = request.incumbent.with_values(**values)
    [expected] = predictor.predict([setting], request.load, float(pods))
    return Point(setting, pods, pods * pricing.per_pod(spec, containers, setting), expected)
