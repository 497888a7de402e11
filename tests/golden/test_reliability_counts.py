"""Each row of the page of faults says how many test cases stand behind it, as pytest counts them."""

from __future__ import annotations

import pytest

from tests import case_counts


def test_the_page_says_how_many_cases_stand_behind_each_fault() -> None:
    page = case_counts.PAGE.read_text(encoding="utf-8")
    assert case_counts.rows(page) == case_counts.table(page), "run `python -m tests.case_counts`"


def test_a_file_counts_once_beside_its_own_tests_and_a_test_that_is_none_is_refused() -> None:
    cases = {"tests/a.py": 5, "tests/a.py::test_x": 2, "tests/b.py::test_y": 3}
    row = "| a | b | c | d | `tests/a.py`, `tests/a.py::test_x`, `tests/b.py::test_y`, `benchmarks/c.py::d` | 1 | 0 |"
    assert case_counts.counted(row, cases).endswith("| 8 | 0 |")
    with pytest.raises(LookupError):
        case_counts.counted("| a | b | c | d | `tests/gone.py::test_z` |", {**cases, "tests/gone.py::test_z": 0})
