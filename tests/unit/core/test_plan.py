"""Stages: what lowers a budget's use comes first."""

from __future__ import annotations

import pytest

from pegbox.core.plan import stages
from pegbox.model.knobs import Setting
from tests.unit.core.build import setting

DB = [("workers", "pool")]
OLD = setting(workers=8, pool=4, batch=1, level="low")


@pytest.mark.parametrize(
    ("new", "budgets", "expected"),
    [
        pytest.param(OLD.with_values(**setting(workers=9)), DB, ["new"], id="a_raise_is_one_stage"),
        pytest.param(OLD.with_values(**setting(workers=6, pool=3)), DB, ["new"], id="a_cut_is_one_stage"),
        pytest.param(
            OLD.with_values(**setting(workers=4, pool=8)),
            DB,
            [OLD.with_values(**setting(workers=4)), "new"],
            id="a_trade_cuts_first",
        ),
        pytest.param(
            OLD.with_values(**setting(workers=4, pool=8, batch=9, level="mid")),
            DB,
            [OLD.with_values(**setting(workers=4)), "new"],
            id="what_no_budget_counts_waits_for_the_last_stage",
        ),
        pytest.param(
            OLD.with_values(**setting(workers=4, pool=8)), [("workers",), ("pool",)], ["new"], id="two_budgets_no_trade"
        ),
        pytest.param(
            OLD.with_values(**setting(level="mid", workers=9)), [("level", "workers")], ["new"], id="a_choice"
        ),
        pytest.param(
            OLD.with_values(**setting(workers=4, pool=8)),
            [("workers", "pool", "gone")],
            2,
            id="an_unknown_name_is_no_move",
        ),
        pytest.param(OLD, DB, ["new"], id="no_change"),
    ],
)
def test_stages(new: Setting, budgets: list[tuple[str, ...]], expected: list[Setting | str] | int) -> None:
    found = stages(OLD, new, budgets)
    assert found[-1] == new
    if isinstance(expected, int):
        assert len(found) == expected
    else:
        assert list(found) == [new if e == "new" else e for e in expected]


def test_a_knob_of_two_budgets_is_cut_before_either_is_raised() -> None:
    # a and b trade in one budget, b and c in another: b is cut first, then both others rise
    old, new = setting(a=4, b=8, c=4), setting(a=8, b=4, c=8)
    assert stages(old, new, [("a", "b"), ("b", "c")]) == (setting(a=4, b=4, c=4), new)
