"""When broken profiles count as delaying healthy ones beyond their share."""

from __future__ import annotations

import pytest

from benchmarks.load.looks import Late
from benchmarks.load.neighbours import Outcome, Plan, healthy, text


@pytest.mark.parametrize(("beside", "held"), [(0.5, True), (7.0, True), (7.1, False)])
def test_their_share_is_that_of_the_interval(beside: float, held: bool) -> None:
    """20 beside 200 at an interval of 60 s: 6 s more than the 1 s of before."""
    late = Late(0.0, 1.0, 1.0, 100)
    outcome = Outcome(Plan(), late, Late(0.0, beside, beside, 100), {"ClassNotFound": 20}, 1.0)
    assert outcome.held is held
    assert ("BROKEN" in text(outcome)) is not held


def test_how_late_the_broken_ones_are_is_not_counted_against_the_operator() -> None:
    """Their workloads are in the fleet: four of them, 10 s late, made the p99 of 400 looks."""
    assert healthy(["shop-00/app-001", "shop-99/bad-002", "shop-09/app-190"]) == ["shop-00/app-001", "shop-09/app-190"]
