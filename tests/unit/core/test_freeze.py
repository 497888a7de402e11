"""Freezes: cron windows on the wall clock of their zone."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction as F

import pytest

from pegbox.core.freeze import in_force, moment, parse
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


NIGHT, GONE_HOUR = Freeze("night", "0 22 * * *", "Europe/Berlin", F(8 * HOUR)), "30 2 * * *"


@pytest.mark.parametrize(
    ("item", "now", "frozen"),
    [
        # spring: on 29 March 2026, 02:00 CET is 03:00 CEST (01:00 UTC); 22:00 CET is 21:00 UTC, 06:00 CEST is 04:00 UTC
        pytest.param(NIGHT, "2026-03-28T20:59", False, id="spring_before_ten_at_night"),
        pytest.param(NIGHT, "2026-03-28T21:00", True, id="spring_at_ten_at_night"),
        pytest.param(NIGHT, "2026-03-29T03:59", True, id="spring_before_six_in_the_morning"),
        pytest.param(NIGHT, "2026-03-29T04:00", False, id="spring_at_six_after_seven_hours"),
        # autumn: on 25 October 2026, 03:00 CEST is 02:00 CET (01:00 UTC); 22:00 CEST is 20:00 UTC, 06:00 CET is 05:00 UTC
        pytest.param(NIGHT, "2026-10-24T19:59", False, id="autumn_before_ten_at_night"),
        pytest.param(NIGHT, "2026-10-24T20:00", True, id="autumn_at_ten_at_night"),
        pytest.param(NIGHT, "2026-10-25T04:59", True, id="autumn_before_six_in_the_morning"),
        pytest.param(NIGHT, "2026-10-25T05:00", False, id="autumn_at_six_after_nine_hours"),
        # 02:30 is skipped in spring: of its hour there is 03:00 to 03:30 CEST, of half of it nothing
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(HOUR)), "2026-03-29T00:59", False, id="before_the_gap"),
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(HOUR)), "2026-03-29T01:00", True, id="after_the_gap"),
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(HOUR)), "2026-03-29T01:29", True, id="to_half_past_3"),
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(HOUR)), "2026-03-29T01:30", False, id="and_no_longer"),
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(1800)), "2026-03-29T01:00", False, id="skipped_whole"),
        # and comes twice in autumn: 00:30 and 01:30 UTC
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(900)), "2026-10-25T00:30", True, id="the_first_half_2"),
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(900)), "2026-10-25T00:45", False, id="in_between"),
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(900)), "2026-10-25T01:30", True, id="the_second_half_2"),
        pytest.param(Freeze("x", GONE_HOUR, "Europe/Berlin", F(900)), "2026-10-25T01:45", False, id="after_both"),
    ],
)
def test_when_the_clocks_change_the_wall_clock_counts(item: Freeze, now: str, frozen: bool) -> None:
    assert in_force(item, utc(now)) is frozen


HOLIDAYS = Freeze(
    "holidays", start=datetime.fromisoformat("2026-12-23T18:00+01:00"), end=datetime.fromisoformat("2027-01-02T00:00Z")
)


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        pytest.param("2026-12-23T16:59", False, id="a_minute_before_it"),
        pytest.param("2026-12-23T17:00", True, id="at_its_first_moment"),
        pytest.param("2027-01-01T23:59", True, id="at_its_last_minute"),
        pytest.param("2027-01-02T00:00", False, id="at_its_end"),
        pytest.param("2027-12-25T12:00", False, id="it_does_not_come_again"),
    ],
)
def test_dates(now: str, frozen: bool) -> None:
    assert in_force(HOLIDAYS, utc(now)) is frozen


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("tomorrow", "write a time such as"), ("2026-12-24", "offset"), ("2026-12-24T18:00:00", "offset"), ("", "write")],
)
def test_what_is_no_moment_is_refused(text: str, remedy: str) -> None:
    with pytest.raises(InvalidInput, match=remedy):
        moment(text, "spec.freezes[x].from")


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
