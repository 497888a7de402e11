"""A budget that others exceeded at rest: whatever stands, what fits is lowered to."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

from hypothesis import given
from hypothesis import strategies as st

from pegbox.core.decide import decide
from tests.unit.core.build import NO_WISH, T0, ledger, setting, spec
from tests.unit.core.test_overdrawn import of, pods


@given(workers=st.integers(1, 32), pool=st.integers(1, 40), count=st.integers(1, 8), limit=st.integers(1, 400))
def test_whatever_stands_it_ends_within_the_budget_and_nothing_rises(
    workers: int, pool: int, count: int, limit: int
) -> None:
    incumbent = setting(workers=workers, pool=pool)
    budget = replace(spec().budgets[0], limit=F(limit))
    found = decide(of(pods(count, memory=ledger(incumbent)), budgets=(budget,)), NO_WISH, T0)
    if workers * pool * count <= limit or count > limit:
        assert found.desired is None
        return
    assert found.desired is not None
    after = {name: found.desired.number(name) for name in ("workers", "pool")}
    assert count * after["workers"] * after["pool"] <= limit
    assert 1 <= after["workers"] <= workers and 1 <= after["pool"] <= pool
