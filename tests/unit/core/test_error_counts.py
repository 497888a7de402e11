"""Errors that become more frequent are found by counts; bursts, chance and one bad sample are not."""

from __future__ import annotations

import math

import pytest

from pegbox.core import error_counts
from pegbox.core.error_counts import Counted, after


def run(found: Counted, *samples: tuple[float, float]) -> Counted:
    for errors, requests in samples:
        found = found.add(errors, requests)
    return found


def test_what_is_allowed_by_a_worked_row() -> None:
    # 10 of 1000: (10 + 2 sqrt(2 * 11)) / 1000 = 0.01938, a tenth more and 0.001: 0.02232
    assert after(10, 1000).allowed == pytest.approx(0.0223189, rel=1e-5)
    assert after(0, 1000).allowed == pytest.approx(1.1 * 2 * math.sqrt(2) / 1000 + 0.001)


def test_evidence_by_a_worked_row() -> None:
    # allowed 0.01, 12 errors of 1000, k = 2: (12 ln 2 - 10) / 2 = -0.8411
    found = Counted(0.01).add(12, 1000)
    assert found.logs[1] == pytest.approx(-0.84112, abs=1e-4)
    assert Counted(0.01).evidence == pytest.approx(0.0)


def test_no_sample_decides_alone_and_two_do() -> None:
    before = after(10, 1000)
    assert run(before, (1000, 1000)).evidence < error_counts.NEEDED
    assert run(before, (500, 1000), (500, 1000)).evidence > error_counts.NEEDED


def test_twice_the_errors_are_found_and_as_many_as_before_never() -> None:
    before = after(400, 40_000)  # 1 %
    assert run(before, *[(30, 1000)] * 20).evidence > error_counts.NEEDED
    assert run(before, *[(10, 1000)] * 500).evidence < 0


def test_a_first_error_after_none_is_no_regression() -> None:
    assert run(after(0, 10_000), (1, 250), *[(0, 250)] * 20).evidence < error_counts.NEEDED
