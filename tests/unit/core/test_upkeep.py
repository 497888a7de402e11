"""Upkeep: when the next pod may be replaced at rest."""

from __future__ import annotations

import pytest

from pegbox.core import upkeep
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Workload
from tests.unit.core.build import pod, workload

TWO = pod("a"), pod("b")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(workload(*TWO), True, id="all_are_there_and_ready"),
        pytest.param(workload(*TWO, pod("c")), True, id="one_more_than_wanted_does_no_harm"),
        pytest.param(workload(pod("a"), pod("b", ready=False)), False, id="the_new_one_is_not_ready"),
        pytest.param(workload(*TWO, pod("c", terminating=True)), False, id="the_old_one_is_still_leaving"),
        pytest.param(workload(pod("a"), replicas=2), False, id="the_new_one_is_not_there"),
        pytest.param(workload(*TWO, rolling=True), False, id="a_rollout"),
        pytest.param(Missing(Reason.TARGET_NOT_FOUND), False, id="nobody_knows"),
    ],
)
def test_the_next_pod_is_replaced_once_the_last_ones_successor_is_ready(
    seen: Workload | Missing, expected: bool
) -> None:
    assert upkeep.settled(seen) == expected
