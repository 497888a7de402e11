"""Ahead of load: raising and cutting the minimum of replicas do not fight, whatever is forecast."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.build import pod, window, workload
from tests.unit.core.test_ahead import PARENT, coming, cut, raised, rest


@given(
    upper=st.floats(0.0, 60.0), other=st.floats(0.0, 60.0), start=st.integers(1, 12), pods=st.integers(1, 12),
    load=st.floats(0.1, 30.0),
)  # fmt: skip
def test_what_was_cut_is_raised_by_no_forecast_up_to_a_fifth_higher(
    upper: float, other: float, start: int, pods: int, load: float
) -> None:
    """And what was raised is not cut by the same one."""
    parent = PARENT.with_values(min_replicas=F(start))
    running = workload(*[pod(f"p{i}") for i in range(max(pods, start))])
    seen = window(offered_load=load, throughput=load, pods=4)
    lower = cut(rest(coming(upper), parent, workload=running, observation=seen))
    if lower is not None and lower < start:
        after = parent.with_values(min_replicas=F(lower))
        for again in (upper, min(other, upper * 1.19)):
            fewer = replace(running, replicas=lower)
            assert raised(rest(coming(again), after, workload=fewer, observation=seen)) is None
    higher = raised(rest(coming(upper), parent, workload=running, observation=seen))
    if higher is not None:
        after = parent.with_values(min_replicas=F(higher))
        assert (cut(rest(coming(upper), after, workload=running, observation=seen)) or higher) >= higher
