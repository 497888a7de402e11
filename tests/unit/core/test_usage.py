"""Budget use: what counts as pods, and what cannot be known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core.usage import Use, knob_names, pods_bound, uses
from pegbox.model.knobs import Location, LocationKind, SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.profile import Autoscaler, BudgetSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts, Workload
from tests.unit.core.build import ENV, HOT, HPA, POOL, ledger, pod, setting, snapshot, spec, workload

REPLICAS = replace(HPA, name="replicas", location=Location(LocationKind.REPLICAS))
NOW = setting(workers=4, pool=4, max_replicas=6, replicas=5, threads=2)
GONE = pod("gone", finished=True)
LEAVING = pod("leaving", terminating=True)
FORMER = pod("former", former=True, terminating=True)


def numbered(*former: int, pods: int = 0, first: int = 0) -> Workload:
    """A StatefulSet of three replicas after another one of its name, of which pods of these numbers are still there; its
    own have higher ones."""
    old = [pod(f"checkout-{n}", former=True, terminating=True) for n in former]
    own = [pod(f"checkout-{n}") for n in range(10, 10 + pods)]
    return replace(workload(*old, *own, kind="StatefulSet", replicas=3), first=first)


CREATED = Autoscaler("checkout", create=True, max_replicas=9)


@pytest.mark.parametrize(
    ("space", "standing", "scaler", "expected"),
    [
        pytest.param((HOT,), workload(pod("a"), pod("b")), None, 2, id="unfinished_pods"),
        pytest.param((HOT,), workload(pod("a"), GONE, replicas=1), None, 1, id="finished_pods_hold_nothing"),
        pytest.param((HOT,), workload(pod("a"), LEAVING, replicas=1), None, 2, id="terminating_pods_still_hold"),
        pytest.param((HOT,), workload(pod("a"), replicas=3), None, 3, id="replicas_that_are_still_to_come"),
        pytest.param((HOT,), workload(FORMER, replicas=3), None, 4, id="pods_of_a_former_target_come_on_top"),
        pytest.param((HOT, HPA), workload(FORMER), None, 7, id="and_on_top_of_what_the_setting_lets_live"),
        pytest.param((HOT,), numbered(0, 1, 2), None, 3, id="a_stateful_set_starts_none_before_the_old_one_has_gone"),
        pytest.param((HOT,), numbered(0, 4), None, 4, id="old_pods_of_other_numbers_come_on_top"),
        pytest.param((HOT,), numbered(0, 1, 2, first=5), None, 6, id="its_numbers_may_start_elsewhere"),
        pytest.param((HOT,), numbered(0, 1, pods=3), None, 5, id="its_own_and_old_ones_that_stand_all_count"),
        pytest.param((HOT, HPA), numbered(0, 4), None, 6, id="the_bound_of_the_setting_awaits_more_of_them"),
        pytest.param((HOT, HPA), workload(), None, 6, id="the_bound_that_the_setting_gives_the_hpa"),
        pytest.param((HOT, REPLICAS), workload(), None, 5, id="the_replicas_of_the_setting"),
        pytest.param((HOT, HPA), workload(*map(pod, "abcdefgh")), None, 8, id="more_pods_than_a_lowered_bound"),
        pytest.param((HOT,), workload(), CREATED, 9, id="the_created_hpa_that_nobody_tunes"),
        pytest.param((HOT, ENV), workload(surge=2), None, 3, id="the_surge_of_a_restart"),
        pytest.param((HOT, ENV), workload(surge=0), None, 2, id="an_eviction_exceeds_the_replicas_by_one"),
        pytest.param((HOT, ENV), workload(kind="StatefulSet"), None, 1, id="a_stateful_set_never_exceeds_them"),
        pytest.param((HOT,), workload(surge=2), None, 1, id="no_restart_no_surge"),
    ],
)
def test_pods(space: tuple[object, ...], standing: Workload, scaler: Autoscaler | None, expected: int) -> None:
    profile = spec(space=SearchSpace(space), autoscaler=scaler)  # type: ignore[arg-type]
    assert pods_bound(profile, standing, {}, NOW) == expected


def test_pods_stand_for_the_knobs_that_bound_them() -> None:
    item = BudgetSpec("db", "pods * (pool + 1)")
    assert knob_names(spec(HOT, POOL, HPA), item) == ("pool", "max_replicas")


SHARED = spec(budgets=(BudgetSpec("db", "pods * workers * pool", ref="main"),))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(SharedBudgetFacts("main", 16, 4), Use("db", F(16), F(16)), id="what_is_left_bounds_it"),
        pytest.param(Missing(Reason.BUDGET_NOT_FOUND, "main"), Missing(Reason.BUDGET_NOT_FOUND, "main"), id="missing"),
        pytest.param(None, Missing(Reason.BUDGET_NOT_FOUND, "main"), id="not_read"),
    ],
)
def test_a_shared_budget(facts: SharedBudgetFacts | Missing | None, expected: Use | Missing) -> None:
    seen = snapshot(SHARED, budgets={"main": facts} if facts is not None else {})
    assert uses(seen, workload(), setting(workers=4, pool=4)) == (expected,)  # 1 pod * 4 * 4


def test_a_budget_over_a_knob_of_unknown_value_is_missing_and_no_crash() -> None:
    seen = snapshot(memory=ledger(setting(workers=4)))
    assert uses(seen, workload(), setting(workers=4)) == (Missing(Reason.BASELINE_UNKNOWN, "budget postgres: pool"),)
