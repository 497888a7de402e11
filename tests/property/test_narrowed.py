"""Limits narrowed past any setting in force: the way back ends inside."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

from hypothesis import given
from hypothesis import strategies as st

from pegbox.core import narrowed, steps
from tests.unit.core.build import HOT


@given(start=st.integers(1, 500), low=st.integers(1, 60), width=st.integers(0, 60), share=st.integers(1, 100))
def test_every_way_back_ends_inside_and_never_turns(start: int, low: int, width: int, share: int) -> None:
    knob = replace(HOT, minimum=F(low), maximum=F(low + width), max_step=F(share, 100))
    way, now = [F(start)], F(start)
    while not knob.admits(now):
        goal = min(max(now, F(low)), F(low + width))
        bottom, top = steps.reach(knob, now)
        now = min(max(goal, bottom), top)
        assert narrowed.nearer(knob, way[-1], now)
        way.append(now)
    assert way == sorted(way, reverse=start > low + width)
    assert len(way) <= 500
