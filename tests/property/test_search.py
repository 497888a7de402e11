"""Whatever the workload says, the search keeps to its rules."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.learning.axes import axes_of
from pegbox.learning.queueing import Array
from pegbox.learning.search import SafeSearch
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting
from tests.unit.learning.searching import GIB, QUIET, SPACE, START, place, search_of

FEW = settings(max_examples=20, deadline=None)
ANSWERS = st.lists(st.one_of(st.none(), st.just(math.nan), st.floats(-0.3, 0.3)), min_size=8, max_size=8)


@st.composite
def knobs(draw: st.DrawFn) -> Knob:
    kind = draw(st.sampled_from([t for t in KnobType if t.numeric]))
    unit = Knob("k", kind).unit
    low = draw(st.integers(0, 10_000))
    high = low + draw(st.integers(1, 10_000_000))
    return Knob("k", kind, minimum=low * unit, maximum=high * unit)


@given(knob=knobs(), share=st.fractions(0, 1))
def test_places_are_between_0_and_1_and_lead_back_to_the_value(knob: Knob, share: Fraction) -> None:
    assert knob.minimum is not None and knob.maximum is not None
    (axis,) = axes_of(SearchSpace((knob,))).axes
    value = knob.clamp(knob.minimum + (knob.maximum - knob.minimum) * share)
    assert 0.0 <= axis.place(value) <= 1.0
    assert axis.value(axis.place(value)) == value


@FEW
@given(answers=ANSWERS, seed=st.integers(0, 99))
def test_the_rules_hold_whatever_is_answered(answers: list[float | None], seed: int) -> None:
    search, ran, failed = search_of(seed=seed), [START], list[tuple[Array, Array]]()
    for answer in answers:
        before = search.incumbent
        asked = search.ask()
        assert all(SPACE[name].admits(value) for name, value in asked.items())
        assert asked["tiered"] is START["tiered"]
        if asked != before:
            _is_safe(search, before, asked)
            _goes_no_further_than_it_went(asked, failed, ran)
        if asked not in ran:
            _is_a_small_step(before, asked)
        search.tell(asked, answer)
        if answer is None or math.isnan(answer):
            failed.append((place(before), place(asked)))
        else:
            ran.append(asked)
        assert search.incumbent in ran


def _is_safe(search: SafeSearch, before: Setting, asked: Setting) -> None:
    """More of a size than the incumbent has does no harm by itself: safe without it is safe with it."""
    lean = asked.with_values(**{n: min(asked.number(n), before.number(n)) for n in ("cpu", "memory")})
    told = [search.outlook(each)[2:] for each in (asked, lean)]
    above, apart = max(ratio for ratio, _ in told), min(sd for _, sd in told)
    beta = QUIET.beta_rows if search._pressed else QUIET.beta
    assert above - beta * apart >= QUIET.margin * abs(math.log(0.9)) - 1e-9


def _goes_no_further_than_it_went(asked: Setting, failed: list[tuple[Array, Array]], ran: list[Setting]) -> None:
    point, been = place(asked), np.array([place(s) for s in ran])
    for before, there in failed:
        up, down = there > before + 1e-9, there < before - 1e-9
        assert np.all(point[up] <= been.max(axis=0)[up] + 1e-9)
        assert np.all(point[down] >= been.min(axis=0)[down] - 1e-9)


def _is_a_small_step(before: Setting, asked: Setting) -> None:
    """On the grid: no further than the values nearest to the ends of a full step. Sizes move alone."""
    axes, point = axes_of(SPACE), place(before)
    down, up = axes.reach(point)
    for i in axes.moving:
        axis = axes.axes[i]
        value = asked.number(axis.knob.name)
        assert axis.value(point[i] - down[i]) <= value <= axis.value(point[i] + up[i])
    moved = before.diff(asked)
    assert len(moved) == 1 or not {"cpu", "memory"} & set(moved)
    assert asked.number("memory") >= GIB
