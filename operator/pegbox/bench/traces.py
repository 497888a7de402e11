"""Reads load traces of two shapes: a CSV with a column of times and one of counts, or one count per second per line.

What comes out is requests per step, NaN where the file has a hole: a hole is never zero. The step is a minute (or the
file's own, where that is longer). A short trace gets a finer step: the longest of `STEPS` that leaves `ENOUGH` steps.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pegbox.bench.trace_times import slot_seconds, times_of
from pegbox.learning.queueing import Array
from pegbox.model.errors import InvalidInput

STEPS = (60, 30, 20, 15, 10, 5, 2, 1)  # seconds
ENOUGH = 280  # an hour in steps of 10 s: coarser ones forecast worse on made-up hours, finer ones no better
LEAST = 60  # steps below which nothing can be held out
MOST_SLOTS = 20_000_000
COUNTS = ("requests", "count", "counts", "invocations", "hits", "load", "rps", "rate", "value", "y")
GAPS = ("", "nan", "na", "null", "none", "-")
HALF = 0.5  # a step with less than half of its seconds measured is a gap


@dataclass(frozen=True, slots=True)
class Trace:
    """`loads`: requests per step, shape (steps,), NaN for a gap. `step` in seconds."""

    name: str
    step: float
    loads: Array

    @property
    def minutes(self) -> float:
        return len(self.loads) * self.step / 60.0


def read(path: Path) -> Trace:
    """Raises InvalidInput, naming the line."""
    rows = list(_rows(path))
    if not rows:
        raise InvalidInput(str(path), "no line", "give a file with one count per line, or a CSV with times and counts")
    width = max(len(cells) for _, cells in rows)
    slots, native = _single(path, rows) if width == 1 else _timed(path, rows)
    step = _step(max(slots) - min(slots) + 1, native)
    loads = _steps(slots, native, step)
    if len(loads) < LEAST:
        raise InvalidInput(str(path), f"{len(loads)} steps", f"give a trace of at least {LEAST}")
    return Trace(path.stem, step, loads)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the lines that are not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("trace", str(path), f"name a text file that can be read: {error}") from error
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    comma = max(",;\t", key=first.count)
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, [cell.strip() for cell in next(csv.reader([line], delimiter=comma))]


def _single(path: Path, rows: list[tuple[int, list[str]]]) -> tuple[dict[int, float], float]:
    """One count per second; a first line that is no number is a header."""
    start = 1 if _number(rows[0][1][0]) is None and rows[0][1][0].lower() not in GAPS else 0
    known = {i: _count(path, line, cells[0]) for i, (line, cells) in enumerate(rows[start:])}
    return _known(path, known), 1.0


def _timed(path: Path, rows: list[tuple[int, list[str]]]) -> tuple[dict[int, float], float]:
    """Counts by the number of their slot, from the earliest; rows of one slot are added up."""
    head = rows[0][1]
    named = all(_number(cell) is None for cell in head) and not any(map(slot_seconds, head))
    titles = [cell.lower() for cell in head] if named else [""] * len(head)
    body = rows[1:] if named else rows
    for line, cells in body:
        if len(cells) != len(head):
            raise InvalidInput(f"{path} line {line}", ",".join(cells), f"write {len(head)} cells, as in the first line")
    if not body:
        raise InvalidInput(str(path), "only a header", "give rows below it")
    column, seconds = times_of(path, titles, body)
    counts = _column(path, titles, body, column)
    distinct = np.unique(np.array(seconds))
    gaps = Counter(np.diff(distinct).round(3).tolist())
    native = float(min(gap for gap, often in gaps.items() if often == max(gaps.values()))) if gaps else 60.0
    if (distinct[-1] - distinct[0]) / native > MOST_SLOTS:
        raise InvalidInput(str(path), f"a span of {distinct[-1] - distinct[0]:.0f} s", "correct the times that lie off")
    slots: dict[int, float] = {}
    for (line, cells), second in zip(body, seconds, strict=True):
        slot = round((second - float(distinct[0])) / native)
        count = _count(path, line, cells[counts])
        slots[slot] = count if math.isnan(slots.get(slot, math.nan)) else slots[slot] + (0 if count != count else count)
    return _known(path, slots), native


def _column(path: Path, titles: list[str], body: list[tuple[int, list[str]]], times: int) -> int:
    """The count's: one named so, else the last that holds numbers."""
    numeric = [
        i for i in range(len(titles)) if i != times and any(_number(cells[i]) is not None for _, cells in body[:100])
    ]
    if not numeric:
        raise InvalidInput(
            f"{path} line {body[0][0]}", ",".join(body[0][1]), "give a column of numbers beside the time"
        )
    return min(numeric, key=lambda i: (COUNTS.index(titles[i]) if titles[i] in COUNTS else len(COUNTS), -i))


def _count(path: Path, line: int, cell: str) -> float:
    if cell.lower() in GAPS:
        return math.nan
    value = _number(cell)
    if value is None or not 0.0 <= value <= 1e15:
        raise InvalidInput(f"{path} line {line}", cell, "write a count: zero or more, or nothing for a gap")
    return value


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _known(path: Path, slots: dict[int, float]) -> dict[int, float]:
    known = {slot: count for slot, count in slots.items() if not math.isnan(count)}
    if not known:
        raise InvalidInput(str(path), "only gaps", "give a trace with counts")
    return known


def _step(slots: int, native: float) -> float:
    """Of a trace of `slots` slots of `native` seconds."""
    fitting = [step for step in STEPS if step >= native and abs(step / native - round(step / native)) < 1e-6]
    enough = [step for step in fitting if slots * native / step >= ENOUGH]
    return float(next(iter(enough or fitting[-1:]), native))


def _steps(slots: Mapping[int, float], native: float, step: float) -> Array:
    """Sums of whole steps; one that is measured in part is scaled up, or a gap. A last part of a step is left out."""
    each = max(1, round(step / native))
    low, high = min(slots), max(slots)
    flat: Array = np.full(max(1, (high - low + 1) // each) * each, np.nan)
    for slot, count in slots.items():
        if slot - low < len(flat):
            flat[slot - low] = count
    parts = flat.reshape(-1, each)
    known = (~np.isnan(parts)).sum(axis=1)
    sums = np.nansum(parts, axis=1)
    return np.where(known >= HALF * each, sums * each / np.maximum(known, 1), np.nan)
