"""Whatever the situation and whatever the model says: proposals keep to bounds, step, rules and budgets."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.core.propose import propose
from pegbox.core.steps import too_far
from pegbox.model.knobs import Knob, KnobType, KnobValue, SearchSpace, Setting
from pegbox.model.observations import Missing, Observation, Window
from pegbox.model.prediction import Interval, ModelReport, Prediction
from pegbox.model.proposals import Proposal, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role, busy_signal, demand_coefficient

END = datetime(2026, 1, 1, tzinfo=UTC)
CHOICES = ("none", "fast", "best")
NUMERIC = (KnobType.INTEGER, KnobType.DECIMAL, KnobType.DURATION, KnobType.CPU)
EXTREMES = (0.0, -1.0, 1e-300, 1e-9, 1.0, 60.0, 1e9, 1e300, math.inf, -math.inf, math.nan)


@dataclass(frozen=True)
class Liar:
    """A predictor whose answers have nothing to do with the question: infinities, NaN, upside-down intervals."""

    seed: int
    in_domain: bool
    only_finite: bool

    @property
    def report(self) -> ModelReport:
        values = [v for v in EXTREMES if math.isfinite(v)] if self.only_finite else list(EXTREMES)
        chance = random.Random(self.seed)
        return ModelReport({demand_coefficient(f"k{i}"): chance.choice(values) for i in range(5)}, 9, 0.1, 0.1)

    def predict(self, settings: Sequence[Setting], load: float, pods: float) -> list[Prediction]:
        chance = random.Random(self.seed + len(settings))

        def interval() -> Interval:
            if self.only_finite:
                low, mean, high = sorted(10 ** chance.uniform(-3, 5) for _ in range(3))
                return Interval(mean, low, high)
            return Interval(*(chance.choice(EXTREMES) for _ in range(3)))

        return [Prediction(s, load, interval(), interval(), self.in_domain) for s in settings]


@st.composite
def knobs(draw: st.DrawFn, name: str) -> tuple[Knob, KnobValue]:
    kind = draw(st.sampled_from((*NUMERIC, KnobType.BOOLEAN, KnobType.CHOICE)))
    step = draw(st.sampled_from((Fraction(1, 10), Fraction(1, 2), Fraction(1))))
    if kind is KnobType.BOOLEAN:
        return Knob(name, kind), draw(st.booleans())
    if kind is KnobType.CHOICE:
        return Knob(name, kind, choices=CHOICES), draw(st.sampled_from(CHOICES))
    unit = Knob(name, kind).unit
    low = draw(st.integers(0, 50))
    high = low + draw(st.integers(0, 200))
    now = draw(st.integers(low, high))
    pinned = unit * now if draw(st.integers(0, 5)) == 0 else None
    knob = Knob(name, kind, minimum=unit * low, maximum=unit * high, max_step=step, pinned=pinned)
    return knob, unit * now


@st.composite
def requests(draw: st.DrawFn) -> ProposeRequest:
    pairs = [draw(knobs(f"k{i}")) for i in range(draw(st.integers(1, 5)))]
    incumbent = Setting({knob.name: value for knob, value in pairs})
    busy = {n: draw(st.floats(0, 1)) for n in incumbent if draw(st.booleans())}
    offered = draw(st.floats(0, 1000))
    observation = Observation(
        window=Window(END - timedelta(seconds=20), END),
        setting_hash="",
        offered_load=offered,
        throughput=offered * draw(st.floats(0, 1.2)),
        latency=0.3,
        errors=0.0,
        pods=1,
        signals={busy_signal(n): share for n, share in busy.items()},
    )
    budget = draw(st.one_of(st.none(), st.integers(1, 400)))

    def admissible(setting: Setting) -> bool:
        total = sum((v for v in setting.values() if isinstance(v, Fraction)), start=Fraction(0))
        return budget is None or total <= budget

    return ProposeRequest(
        space=SearchSpace(tuple(knob for knob, _ in pairs)),
        roles={knob.name: draw(st.sampled_from(Role)) for knob, _ in pairs},
        incumbent=incumbent,
        observation=observation,
        objective=draw(st.sampled_from(("MinimizeCost", "MaximizeThroughput", "MinimizeLatency"))),
        slo_headroom=draw(st.sampled_from((True, False, Missing(Reason.TOO_FEW_EVENTS)))),
        load=offered,
        pods=draw(st.floats(0, 20)),
        recent_failures=(),
        seed=draw(st.integers(0, 2**32)),
        admissible=admissible,
        smallest_step=draw(st.booleans()),
    )


PREDICTORS = st.one_of(
    st.just(Missing(Reason.LEARNING)),
    st.builds(Liar, st.integers(0, 1000), st.booleans(), st.booleans()),
)


def sound(request: ProposeRequest, found: Proposal) -> None:
    changed = request.incumbent.diff(found.setting)
    assert changed, "the incumbent itself was proposed"
    assert set(found.setting) == set(request.incumbent)
    for name in changed:
        assert request.space[name].tunable, name
        assert request.space[name].admits(found.setting[name]), name
    assert too_far(request.space, request.incumbent, found.setting) == ()
    assert too_far(request.space, request.incumbent, found.setting, smallest=request.smallest_step) == ()
    assert request.admissible(found.setting)


@given(requests(), PREDICTORS)
@settings(max_examples=300, deadline=None)
def test_a_proposal_is_within_bounds_step_and_budget_and_never_the_incumbent(
    request: ProposeRequest, predictor: Liar | Missing
) -> None:
    found = propose(request, predictor)
    if isinstance(found, Proposal):
        sound(request, found)


@given(requests(), PREDICTORS)
@settings(max_examples=100, deadline=None)
def test_the_same_request_gives_the_same_answer(request: ProposeRequest, predictor: Liar | Missing) -> None:
    assert propose(request, predictor) == propose(request, predictor)


@given(requests(), PREDICTORS, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_what_failed_is_not_proposed_again(request: ProposeRequest, predictor: Liar | Missing, rounds: int) -> None:
    for _ in range(rounds):
        found = propose(request, predictor)
        if isinstance(found, Missing):
            return
        assert found.setting not in request.recent_failures
        request = replace(request, recent_failures=(*request.recent_failures, found.setting))


@given(requests(), st.sampled_from((math.nan, math.inf, -math.inf)))
@settings(max_examples=50, deadline=None)
def test_a_number_that_is_none_never_becomes_a_proposal(request: ProposeRequest, value: float) -> None:
    assert isinstance(propose(replace(request, load=value), Missing(Reason.LEARNING)), Missing)
