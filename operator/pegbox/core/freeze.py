"""Freezes: dates, or recurring windows (five-field cron in a time zone), in which no trial starts.

Fields are minute, hour, day of month, month, day of week (0 or 7 = Sunday), each `*`, a number, a range, a list or a
step, as in POSIX crontab: when both day fields are restricted, either of them matching is enough. Times that a
clock change skips or repeats follow the zone's own wall clock: a freeze from 22:00 for 8 hours ends at 06:00 in any
night, and one that begins at a repeated hour holds in both.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Freeze

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
LONGEST = timedelta(days=8)
MAX_TEXT = 100
"""Characters of a schedule: five fields, each a list of a few ranges."""
_PART = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?")


def in_force(item: Freeze, now: datetime) -> bool:
    """Is now between its dates, or did its schedule start within the last `duration`?

    Looks at every day that could hold the start, so the cost is bounded by the longest duration allowed (8 days).
    """
    if item.start is not None and item.end is not None:
        return item.start <= now < item.end
    minute, hour, dom, month, dow = parse(item.schedule, item.name)
    local = now.astimezone(zone(item.time_zone, item.name))
    duration = min(timedelta(seconds=float(item.duration)), LONGEST)
    day = local.date()
    for back in range(duration.days + 2):
        date = day - timedelta(days=back)
        if date.month not in month or not _day_matches(item.schedule, date.day, date.isoweekday() % 7, dom, dow):
            continue
        for h in hour:
            for m in minute:
                start = datetime(date.year, date.month, date.day, h, m, tzinfo=local.tzinfo)
                if start <= local < start + duration:
                    return True
    return False


def parse(schedule: str, name: str) -> tuple[frozenset[int], ...]:
    """The five fields as sets. Raises InvalidInput."""
    fields = schedule.split() if len(schedule) <= MAX_TEXT else []
    if len(fields) != 5:
        raise InvalidInput(
            f"freezes[{name}].schedule", schedule, "write five cron fields: minute hour day month weekday"
        )
    return tuple(_field(text, low, high, name, schedule) for text, (low, high) in zip(fields, _RANGES, strict=True))


def moment(text: str, field: str) -> datetime:
    """A time with its offset from UTC. Raises InvalidInput."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(field, text, "write a time such as 2026-12-24T18:00:00Z") from error
    if found.tzinfo is None:
        raise InvalidInput(field, text, "add the offset from UTC: Z, or such as +01:00")
    return found


def zone(text: str, name: str) -> ZoneInfo:
    """The time zone. Raises InvalidInput."""
    try:
        return ZoneInfo(text[:MAX_TEXT])
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(f"freezes[{name}].timeZone", text, "write an IANA zone such as Europe/Berlin") from error


def _field(text: str, low: int, high: int, name: str, schedule: str) -> frozenset[int]:
    out: set[int] = set()
    try:
        for part in text.split(","):
            found = _PART.fullmatch(part)
            if found is None:
                raise ValueError(part)
            first, last, step_text = found.groups()
            step = int(step_text or 1)
            start = int(first or low)
            end = high if first is None else int(last) if last else (high if step_text else start)
            if not (low <= start <= end <= high and step >= 1):
                raise ValueError(part)
            out.update(range(start, end + 1, step))
    except ValueError as error:
        raise InvalidInput(
            f"freezes[{name}].schedule", schedule, f"{text!r} must lie between {low} and {high}"
        ) from error
    return frozenset(0 if (high == 7 and value == 7) else value for value in out)


def _day_matches(schedule: str, day: int, weekday: int, dom: frozenset[int], dow: frozenset[int]) -> bool:
    _, _, dom_text, _, dow_text = schedule.split()
    if dom_text != "*" and dow_text != "*":
        return day in dom or weekday in dow
    return day in dom and weekday in dow
