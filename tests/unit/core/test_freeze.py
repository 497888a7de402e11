"""Freezes: cron windows on the wall clock of their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction as F

import pytest

from pegbox.core.freeze import in_force, parse
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Freeze

HOUR = 3600
WEEKEND = Freeze("weekend", "0 16 * * 5", "Europe/Berlin", F(64 * HOUR))  # Friday 16:00 to Monday 08:00


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        # in winter Berlin is UTC + 1; 6 March 2026 is a Friday
        pytest.param("2026-03-06T14:59", False, id="a_minute_before_it_starts"),
        pytest.param("2026-03-06T15:00", True, id="at_its_start"),
        pytest.param("2026-03-08T12:00", True, id="two_days_later"),
        pytest.param("2026-03-09T06:59", True, id="a_minute_before_it_ends"),
        pytest.param("2026-03-09T07:00", False, id="at_its_end"),
        # the clocks go forward on 29 March: Monday 08:00 is 06:00 UTC
        pytest.param("2026-03-30T05:59", True, id="the_wall_clock_counts_when_clocks_change"),
        pytest.param("2026-03-30T06:00", False, id="and_ends_by_the_wall_clock"),
    ],
)
def test_a_weekend(now: str, frozen: bool) -> None:
    assert in_force(WEEKEND, utc(now)) is frozen


@pytest.mark.parametrize(
    ("schedule", "now", "frozen"),
    [
        pytest.param("0 0 1 * *", "2026-04-01T00:30", True, id="day_of_month"),
        pytest.param("0 0 1 * 1", "2026-03-02T00:30", True, id="either_day_field_is_enough"),
        pytest.param("0 0 1 * 1", "2026-03-03T00:30", False, id="neither_day_field"),
        pytest.param("0 0 * 12 *", "2026-03-02T00:30", False, id="another_month"),
        pytest.param("*/20 8-10 * * *", "2026-03-02T11:30", True, id="the_last_start_was_at_10_40"),
        pytest.param("*/20 8-10 * * *", "2026-03-02T11:40", False, id="an_hour_after_it"),
        pytest.param("0 23 * * 0", "2026-03-08T23:10", True, id="sunday_as_0"),
        pytest.param("0 23 * * 7", "2026-03-08T23:10", True, id="sunday_as_7"),
        pytest.param("30 23 * * 1", "2026-03-03T00:10", True, id="across_midnight"),
        pytest.param("5/30 * * * *", "2026-03-02T00:04", True, id="35_of_the_hour_before"),
    ],
)
def test_one_hour_from(schedule: str, now: str, frozen: bool) -> None:
    assert in_force(Freeze("x", schedule, "UTC", F(HOUR)), utc(now)) is frozen


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "1, * * * *",
        "-1 * * * *",
    ],
)
def test_what_is_no_schedule_is_refused_by_name(schedule: str) -> None:
    with pytest.raises(InvalidInput, match=r"freezes\[x\]\.schedule"):
        parse(schedule, "x")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", ""])
def test_an_unknown_zone_is_refused_by_name(zone: str) -> None:
    with pytest.raises(InvalidInput, match=r"freezes\[x\]\.timeZone"):
        in_force(Freeze("x", "0 0 * * *", zone, F(HOUR)), utc("2026-03-02T00:30"))
