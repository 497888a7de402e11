"""What is still missing for a first prediction is said in shares and with a time."""

from __future__ import annotations

from fractions import Fraction as F

import pytest

from pegbox.core.lacking import with_time
from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.profile import Guards
from pegbox.model.reasons import Reason
from tests.unit.core import build

FEW = Missing(Reason.LEARNING, "1 of 3 observations")


def row(count: int) -> Row:
    return Row(build.setting(workers=4), 1.0, 10.0, 10.0, 0.1, count, last_seen=build.T0.timestamp())


@pytest.mark.parametrize(
    ("windows", "interval", "text"),
    [
        (1, 30, "67% of the data is missing, there by 2026-03-02T12:04:00Z at the earliest"),
        (2, 30, "33% of the data is missing, there by 2026-03-02T12:02:00Z at the earliest"),
        (2, 600, "33% of the data is missing, there by 2026-03-02T12:10:00Z at the earliest"),
    ],
    ids=["two windows of two minutes", "one window", "looks that are rarer than windows"],
)
def test_the_share_and_the_time_are_said(windows: int, interval: int, text: str) -> None:
    spec = build.spec(interval=F(interval), guards=Guards(trial_window=F(120)))
    assert with_time(FEW, spec, [row(windows)]).detail == f"1 of 3 observations; {text}"


@pytest.mark.parametrize("rows", [[], [row(3)]], ids=["no window yet", "enough windows"])
def test_without_a_first_window_or_with_enough_no_time_is_known(rows: list[Row]) -> None:
    assert with_time(FEW, build.spec(), rows) == FEW


def test_other_reasons_stay_as_they_are() -> None:
    other = Missing(Reason.NOT_IDENTIFIABLE, "they contradict each other")
    assert with_time(other, build.spec(), [row(1)]) == other
