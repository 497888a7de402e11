"""Finds and reads the column of times in a load trace's CSV."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

from pegbox.model.errors import InvalidInput

NAMES = (
    "time",
    "timestamp",
    "datetime",
    "date",
    "minute",
    "minutes",
    "period",
    "second",
    "seconds",
    "hour",
    "ts",
    "ds",
)
FORMATS = ("%d/%b/%Y:%H:%M:%S", "%d/%b/%Y:%H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M")
EPOCH = 1e8  # a number above it counts seconds since 1970
MILLIS = 1e11  # and above this one milliseconds
MINUTE = 60.0


def slot_seconds(cell: str) -> float | None:
    """Seconds since 1970 of a written date and time (UTC where it names no zone); None where it is none."""
    text = cell.strip().strip("[]")
    moment: datetime | None = None
    if "-" in text[1:] or ":" in text or "/" in text or "." in text:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = next((found for form in FORMATS if (found := _parsed(text, form)) is not None), None)
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def times_of(path: Path, titles: list[str], body: list[tuple[int, list[str]]]) -> tuple[int, list[float]]:
    """(column, seconds of each row). Numbers count minutes, or seconds where the title says so or they are epochs.

    Raises InvalidInput, naming the line.
    """
    line, cells = body[0]
    column = next((i for i, cell in enumerate(cells) if slot_seconds(cell) is not None), None)
    if column is None:
        column = next((i for i, title in enumerate(titles) if title in NAMES), None)
    if column is None and all(not title for title in titles):
        column = 0
    if column is None:
        raise InvalidInput(f"{path} line {line}", ",".join(cells), f"name the column of times {NAMES[0]}")
    return column, [_seconds(path, number, row[column], titles[column]) for number, row in body]


def _seconds(path: Path, line: int, cell: str, title: str) -> float:
    written = slot_seconds(cell)
    if written is not None:
        return written
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e14:
        raise InvalidInput(f"{path} line {line}", cell, "write a time such as 2026-05-01 10:00:00")
    if value > MILLIS:
        return value / 1000.0
    if value > EPOCH:
        return value
    unit = 1.0 if title.startswith("sec") else 3600.0 if title.startswith("hour") else MINUTE
    return value * unit


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None
