"""Random workloads of single events keep the rules of the quick ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.testing.drawn import test_drawn as quick

RULES = (
    quick.test_the_same_seed_gives_the_same_windows_and_another_seed_others,
    quick.test_a_walk_is_of_small_steps_and_its_windows_can_be_learned_from,
    quick.test_a_survey_sees_limits_both_full_and_free_and_fits_into_a_ledger,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.removeprefix("test_"))
def test_single_events_keep_them(rule: Callable[[str], None]) -> None:
    rule("events")
