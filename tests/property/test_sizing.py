"""Sizes: requests within limits at every stage, whatever a budget counts."""

from __future__ import annotations

from fractions import Fraction as F

from hypothesis import given
from hypothesis import strategies as st

from pegbox.core import plan, usage
from pegbox.model.knobs import Setting
from pegbox.model.profile import BudgetSpec
from tests.unit.core.build import POOL, spec
from tests.unit.core.test_sizing import LIMIT, REQUEST

amounts = st.integers(1, 40).map(lambda n: F(n, 10))


@given(
    old=st.tuples(amounts, amounts),
    new=st.tuples(amounts, amounts),
    pool=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_whatever_a_budget_counts_no_stage_has_a_request_above_its_limit(
    old: tuple[F, F], new: tuple[F, F], pool: tuple[int, int]
) -> None:
    """A budget of limits and pools that move both ways: without care the limit would be lowered before the request."""
    budget = BudgetSpec("mixed", "cpu_limit * pool", limit=F(10**6))
    profile = spec(REQUEST, LIMIT, POOL, budgets=(budget,))
    before, after = (
        Setting({"cpu_request": min(pair), "cpu_limit": max(pair), "pool": F(count)})
        for pair, count in ((old, pool[0]), (new, pool[1]))
    )
    for stage in plan.stages(before, after, [usage.knob_names(profile, budget)]):
        assert stage.number("cpu_request") <= stage.number("cpu_limit")
