"""Cohorts and budgets: on the way there and back, no mixture of pods uses more than a setting that passed the guard."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.core import budget, cohorts, usage
from pegbox.core.cohorts import Standing
from pegbox.core.transitions import Ending, turn_back
from pegbox.model.knobs import Setting
from pegbox.model.profile import BudgetSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, TrialState
from tests.unit.core.build import T0, intent, ledger, pod, snapshot, spec, under_way, workload

USES = ("pods * workers * pool", "pods * (workers + pool)", "workers * pool + 3", "pods * pods * workers", "7")
values = st.integers(1, 32).map(F)
both = st.builds(lambda w, p: Setting({"workers": w, "pool": p}), values, values)
forms = st.sampled_from(USES)


def used(uses: str, setting: Setting, pods: int) -> F:
    return budget.evaluate(uses, setting, pods)


def knob_by_knob(one: Setting, other: Setting) -> Setting:
    """A pod in the middle of a change: one pool has grown already, another has not shrunk yet."""
    return Setting({n: max(one.number(n), other.number(n)) for n in one})


def sides(item: Intent) -> list[list[Setting]]:
    """What the rest and what the cohort pass through."""
    assert item.cohort is not None
    return [[item.parent, *item.stages], [item.cohort.parent, *item.cohort.stages]]


def most(item: Intent, uses: str) -> F:
    """The most that any pod's n-th of a budget is, at any instant of any side's way: before and after each stage, and
    in the middle of it."""
    ways = sides(item)
    instants = [knob_by_knob(a, b) for way in ways for a, b in pairwise(way)]
    return max(used(uses, s, 5) for s in instants)


@given(forms, both, both, both, st.integers(0, 5))
@settings(deadline=None)
def test_a_mixture_uses_no_more_than_the_larger_of_its_settings(
    uses: str, rest: Setting, cohort: Setting, incumbent: Setting, ahead: int
) -> None:
    profile = spec(budgets=(BudgetSpec("db", uses, limit=F(10**9)),))
    pods = workload(*(pod(f"p{n}") for n in range(5)))
    (use,) = usage.split_uses(snapshot(profile, ledger(incumbent)), pods, rest, cohort, ahead)
    assert isinstance(use, usage.Use)
    low, high = sorted((used(uses, rest, 5), used(uses, cohort, 5)))
    assert low <= use.used <= high


@given(forms, both, both, st.integers(0, 3))
@settings(deadline=None)
def test_a_canary_and_its_way_back_never_use_more_than_parent_or_target(
    uses: str, parent: Setting, target: Setting, stage: int
) -> None:
    """Lower first, acknowledged, then raise: within the cohort, within the rest, from any stage."""
    profile = spec(budgets=(BudgetSpec("db", uses, limit=F(10**9)),))
    stages, cohort = cohorts.first(profile, parent, target, cohorts.Standing(("p0",), parent))
    item = intent(parent=parent, stages=stages, cohort=cohort, stage=min(stage, len(stages) - 1))
    allowed = max(used(uses, parent, 5), used(uses, target, 5))
    assert most(item, uses) <= allowed
    back = turn_back(profile, under_way(item), item, Ending(TrialState.REVERTED, Reason.REGRESSION, T0)).intent
    assert back is not None
    if back.cohort is not None:
        assert most(back, uses) <= allowed
        assert not replace(back, stage=len(back.stages) - 1).split


@given(forms, both, both, both)
@settings(deadline=None)
def test_a_way_to_any_goal_from_any_mixture_uses_no_more_than_where_it_begins_or_ends(
    uses: str, here: Setting, ahead: Setting, goal: Setting
) -> None:
    profile = spec(budgets=(BudgetSpec("db", uses, limit=F(10**9)),))
    stages, cohort = cohorts.together(profile, here, goal, Standing(("p0",), ahead))
    item = intent(parent=here, stages=stages, cohort=cohort)
    assert stages[-1] == goal == cohort.stages[-1]
    assert most(item, uses) <= max(used(uses, s, 5) for s in (here, ahead, goal))
