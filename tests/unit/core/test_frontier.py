"""What money buys, by hand: pods of half a core and a GiB cost 0.5 x 0.0316 + 0.0042 = 0.02 an hour each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import pricing
from pegbox.core.frontier import frontier
from pegbox.model.knobs import Knob, Location, LocationKind, ResourceName, SearchSpace, Setting, Side, Size
from pegbox.model.observations import Missing
from pegbox.model.prediction import Interval, ModelReport, Prediction
from pegbox.model.profile import Prices
from pegbox.model.proposals import ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role
from pegbox.model.snapshot import ContainerSizes
from tests.unit.core import build

REPLICAS = Knob("replicas", location=Location(LocationKind.REPLICAS), minimum=F(1), maximum=F(6))
WORKERS = Knob("workers", minimum=F(1), maximum=F(32))
HERE = Setting({"replicas": F(2), "workers": F(4)})
REQUESTS = {Size(Side.REQUESTS, ResourceName.CPU): F(1, 2), Size(Side.REQUESTS, ResourceName.MEMORY): F(2**30)}
POD = (ContainerSizes("app", REQUESTS, True),)
SPEC = build.spec(REPLICAS, WORKERS, roles={"replicas": Role.REPLICAS, "workers": Role.CONCURRENCY}, budgets=())


@dataclass
class Known:
    """A pod serves 12/s, whatever its workers; latency is 1 s over the spare share, and the model knows five pods."""

    vouched: int = 5
    report: ModelReport = ModelReport({"demand:workers": 0.1}, 10, 0.1, 0.1)

    def predict(self, settings: Any, load: float, pods: float) -> list[Prediction]:
        return [self._one(setting, load, pods) for setting in settings]

    def _one(self, setting: Setting, load: float, pods: float) -> Prediction:
        capacity = 12.0 * pods
        late = 1.0 / max(0.05, 1 - load / capacity)
        inside = pods <= self.vouched
        return Prediction(setting, load, Interval(capacity, capacity, capacity), Interval(late, late, late), inside)


def asked(load: float | Missing = 20.0, **changes: Any) -> ProposeRequest:
    plain = ProposeRequest(
        space=SearchSpace((REPLICAS, WORKERS)),
        roles=SPEC.roles,
        incumbent=HERE,
        observation=None,
        objective="MinimizeCost",
        slo_headroom=True,
        load=load,
        pods=2.0,
        recent_failures=(),
        seed=1,
        admissible=lambda _: True,
    )
    return replace(plain, **changes)


def test_each_point_costs_more_and_is_faster_than_the_one_before_it() -> None:
    """20/s need two pods of 12/s. The sixth is beyond what the model vouches for."""
    found = frontier(SPEC, POD, asked(), Known())
    assert [point.pods for point in found] == [2, 3, 4, 5]
    assert [float(point.per_hour) for point in found] == pytest.approx([0.04, 0.06, 0.08, 0.10])
    assert [point.expected.latency.mean for point in found] == pytest.approx([6.0, 2.25, 12 / 7, 1.5])


def test_limits_are_what_the_load_asks_for_with_that_many_pods() -> None:
    """22/s with the spare tenth, 0.1 s each, 65 % busy: 22 x 0.1 / 0.65 = 3.4 workers in all; 2 on each of two pods."""
    first = frontier(SPEC, POD, asked(), Known())[0]
    assert first.setting == Setting({"replicas": F(2), "workers": F(2)})


def test_what_is_not_faster_is_left_out() -> None:
    """All points that serve a hundredth of the capacity are about as fast: the cheapest is enough."""
    assert [point.pods for point in frontier(SPEC, POD, asked(0.01), Known())] == [1]


def test_sizes_that_are_knobs_are_priced_as_the_setting_says() -> None:
    """A pod of one core and a GiB, twice: 2 x (0.0316 + 0.0042) = 0.0716; and 0.01 for each pod itself."""
    place = Location(LocationKind.CONTAINER_RESOURCE, size=Size(Side.REQUESTS, ResourceName.CPU))
    knob = Knob("cpu_request", location=place, minimum=F(1, 10), maximum=F(4))
    spec = build.spec(knob, prices=Prices(pod=F("0.01")))
    assert float(2 * pricing.per_pod(spec, POD, Setting({"cpu_request": F(1)}))) == pytest.approx(0.0916)


NOTHING = {
    "no knob for pods": (asked(incumbent=Setting({"workers": F(4)})), Known()),
    "no load": (asked(Missing(Reason.NO_DATA, "none")), Known()),
    "nothing serves the load": (asked(500.0), Known()),
    "nothing is vouched for": (asked(), Known(vouched=0)),
}


@pytest.mark.parametrize("case", NOTHING.values(), ids=NOTHING)
def test_without_ground_nothing_is_shown(case: tuple[ProposeRequest, Known]) -> None:
    assert frontier(SPEC, POD, *case) == []


def test_pods_that_request_nothing_cost_nothing() -> None:
    assert pricing.per_pod(SPEC, (ContainerSizes("app", {}, True),), HERE) == 0
