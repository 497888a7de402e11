"""Whatever rows the ledger holds, the fit refuses in words or predicts finite, ordered, positive numbers."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.learning import fit
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role, busy_signal

SPACE = SearchSpace(
    (
        Knob("workers", minimum=Fraction(0), maximum=Fraction(10_000)),
        Knob("pool", minimum=Fraction(0), maximum=Fraction(10_000)),
        Knob("batch", minimum=Fraction(1), maximum=Fraction(1_000)),
        Knob("queue", minimum=Fraction(0), maximum=Fraction(10**6)),
        Knob("flag", KnobType.BOOLEAN),
    )
)
ROLES = {"workers": Role.CONCURRENCY, "pool": Role.POOL, "batch": Role.BATCH, "queue": Role.QUEUE}
POSITIVE = st.floats(1e-6, 1e6)


@st.composite
def any_settings(draw: st.DrawFn) -> Setting:
    return Setting(
        {
            "workers": Fraction(draw(st.integers(0, 100))),
            "pool": Fraction(draw(st.integers(0, 100))),
            "batch": Fraction(draw(st.integers(1, 10))),
            "queue": Fraction(draw(st.integers(0, 1000))),
            "flag": draw(st.booleans()),
        }
    )


@st.composite
def rows(draw: st.DrawFn) -> Row:
    load = draw(st.one_of(st.just(0.0), POSITIVE))
    busy = {busy_signal(n): draw(st.floats(0, 1.5)) for n in ("workers", "pool") if draw(st.booleans())}
    return Row(
        setting=draw(any_settings()),
        pods=float(draw(st.integers(0, 50))),
        load=load,
        throughput=load * draw(st.floats(0, 1.5)),
        latency=draw(st.one_of(st.just(0.0), POSITIVE)),
        count=draw(st.integers(1, 20)),
        throughput_m2=draw(st.floats(0, 1e6)),
        latency_m2=draw(st.floats(0, 1e6)),
        last_seen=draw(st.floats(0, 1e9)),
        signals=busy,
    )


@given(st.lists(rows(), max_size=12), any_settings(), st.one_of(st.just(0.0), POSITIVE), st.floats(0, 50))
@settings(max_examples=40, deadline=None)
def test_a_fit_refuses_in_words_or_predicts_soundly(seen: list[Row], at: Setting, load: float, pods: float) -> None:
    predictor = fit(SPACE, ROLES, seen)
    if isinstance(predictor, Missing):
        assert predictor.reason in (Reason.LEARNING, Reason.NOT_IDENTIFIABLE)
        assert predictor.detail
        return
    (found,) = predictor.predict([at], load, pods)
    for interval in (found.capacity, found.latency):
        assert 0 <= interval.low <= interval.mean <= interval.high < math.inf
    report = predictor.report
    assert all(math.isfinite(v) for v in report.coefficients.values())
    assert not set(report.coefficients) & set(report.unidentified)
