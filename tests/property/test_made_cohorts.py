"""Cohorts that admission makes: what any pod may run meanwhile stays within parent and target."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.core import budget, cohorts
from pegbox.core.transitions import Ending, turn_back
from pegbox.model.knobs import Setting
from pegbox.model.profile import BudgetSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import TrialState
from tests.unit.core.build import HOT, T0, intent, ledger, snapshot, spec, under_way
from tests.unit.core.test_made_cohorts import LANES, pods

SHARDS = replace(LANES, name="shards")
numbers = st.integers(1, 32).map(F)
wholes = st.builds(lambda w, a, b: Setting({"workers": w, "lanes": a, "shards": b}), numbers, numbers, numbers)
USES = ("pods * workers * lanes", "pods * (workers + lanes * shards)", "lanes * shards", "pods * lanes + workers")


@given(st.sampled_from(USES), wholes, wholes)
@settings(deadline=None)
def test_no_pod_uses_more_at_any_instant_than_parent_or_target(uses: str, parent: Setting, target: Setting) -> None:
    """What a pod reads and what it started with change at different moments: each mixture of both counts."""
    profile = spec(HOT, LANES, SHARDS, budgets=(BudgetSpec("db", uses, limit=F(10**9)),))
    seen = snapshot(profile, ledger(parent))
    standing = cohorts.chosen(seen, pods(*[2] * 5), parent, target)
    if standing is None or not standing.size:
        return
    stages, cohort = cohorts.first(profile, parent, target, standing)
    item = intent(parent=parent, stages=stages, cohort=cohort)
    allowed = max(budget.evaluate(uses, s, 5) for s in (parent, target))
    for stage in range(len(stages)):
        now = replace(item, stage=stage)
        back = turn_back(profile, under_way(now), now, Ending(TrialState.REVERTED, Reason.REGRESSION, T0)).intent
        assert back is not None
        for each in (now, back):
            runs = (each.before, each.current, each.cohort_before, each.in_cohort, each.written)
            hot = {s["workers"] for s in runs}
            for workers, start in product(hot, runs):
                mixture = start.with_values(workers=workers)
                assert budget.evaluate(uses, mixture, 5) <= allowed, (stage, each.kind, mixture)
