"""The error budget of a trial: one that is no worse never spends it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pegbox.core.error_budget import overspent, spent
from pegbox.model.trials import Baseline
from tests.unit.core.build import T0, baseline
from tests.unit.core.test_error_budget import PROFILE, TRIAL, bad


@given(
    bads=st.lists(st.floats(0, 12), min_size=1, max_size=40),
    base=st.floats(0.99, 1.0),
)
def test_a_trial_no_worse_than_its_parent_never_overspends(bads: list[float], base: float) -> None:
    """Every window has at most the parent's share of bad events."""
    parent: Baseline = baseline(slo_shares={"fast": base})
    item = replace(TRIAL, baseline=parent)
    for n, count in enumerate(bads):
        seen = bad(min(count, (1 - base) * 1200), 120 + 30 * n)
        item = replace(item, spent=spent(PROFILE, item, seen), last_sample_at=seen.window.end)
        assert overspent(PROFILE, item, seen) is None
    assert item.started_at == T0
