"""A stream of latencies, read from a CSV, and the watches that are cut from it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pegbox.model.errors import InvalidInput

Array: TypeAlias = npt.NDArray[np.float64]

BASELINE_S = 1200.0
WATCH_S = 1800.0
LONGEST_TICK_S = 150.0  # eight of them make a baseline
KNOWN = 0.8  # share of a baseline's ticks that must be there
TIMES = ("t_s", "time_s", "seconds", "t", "time", "timestamp", "event_start_time", "start", "date", "datetime")
LATENCIES = ("p99", "p95", "p90", "mean", "avg", "average", "latency", "response", "rt")
NO_LATENCIES = ("std", "ci", "load", "rps", "control", "offered", "count", "time")
LONGEST_GAP = 1000  # ticks: a longer one joins nothing


@dataclass(frozen=True)
class Stream:
    """Equal ticks. NaN is a missing sample. `control` and `load` (offered) are None where the stream has none."""

    name: str
    tick: float
    latency: Array
    control: Array | None = None
    load: Array | None = None

    @property
    def baseline_ticks(self) -> int:
        return round(BASELINE_S / self.tick)

    @property
    def watch_ticks(self) -> int:
        return round(WATCH_S / self.tick)

    @property
    def length(self) -> int:
        return self.baseline_ticks + self.watch_ticks


@dataclass(frozen=True)
class Watch:
    """One cut: the first `split` ticks are the baseline."""

    start: int
    split: int
    tick: float
    latency: Array
    control: Array | None
    load: Array | None

    def shifted(self, by: float) -> Watch:
        """The same with latency after the baseline times 1 + `by`; a control is not shifted."""
        latency = self.latency.copy()
        latency[self.split :] *= 1.0 + by
        return Watch(self.start, self.split, self.tick, latency, self.control, self.load)

    @property
    def logs(self) -> Array:
        """Log latency, or its log ratio to the control."""
        logs = np.log(self.latency)
        return logs if self.control is None else logs - np.log(self.control)


def cut(stream: Stream, step: int) -> Iterator[Watch]:
    """A watch every `step` ticks, where enough of its baseline is known."""
    split, size = stream.baseline_ticks, stream.length

    def part(values: Array | None, at: int) -> Array | None:
        return None if values is None else values[at : at + size]

    for at in range(0, len(stream.latency) - size + 1, step):
        latency = stream.latency[at : at + size]
        if np.mean(np.isfinite(latency[:split])) >= KNOWN:
            yield Watch(at, split, stream.tick, latency, part(stream.control, at), part(stream.load, at))


def read(path: Path) -> Stream:
    """A CSV with a time column and a latency column. Raises InvalidInput.

    Latency is the tail where there is one (p99 before p95 before p90), else the mean. Load is used only where its
    column is called offered: completed load falls when latency rises, and adjusting for it hides what is looked for.
    A column that begins with `control` is a group without the change, seen at the same time, in the same unit.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput("--stream", str(path), f"name a CSV file that can be read: {error}") from error
    names = [name.strip() for name in (rows[0] if rows else {}) if name is not None]
    rows = [{k.strip(): v for k, v in row.items() if k is not None} for row in rows]
    time = _first(names, TIMES)
    latency = _latency(names)
    if time is None or latency is None:
        raise InvalidInput(
            "--stream", str(path), "give it a header with a time (t_s) and a latency (p99_ms or mean_ms)"
        )
    control = next((n for n in names if n.lower().startswith("control")), None)
    offered = next((n for n in names if "offered" in n.lower()), None)
    seconds = np.array([_seconds(row[time], time) for row in rows])
    wanted = [n for n in (latency, control, offered) if n is not None]
    columns = {n: np.array([_positive(row[n]) for row in rows]) for n in wanted}
    tick, places = _grid(path, seconds)
    grid = {n: _placed(values, places) for n, values in columns.items()}
    return Stream(
        path.stem,
        tick,
        grid[latency],
        None if control is None else grid[control],
        None if offered is None else grid[offered],
    )


def _first(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    lower = {n.lower(): n for n in names}
    return next((lower[w] for w in wanted if w in lower), None)


def _latency(names: Sequence[str]) -> str | None:
    fit = [n for n in names if not any(part in _words(n) for part in NO_LATENCIES)]
    return next((n for wanted in LATENCIES for n in fit if any(w.startswith(wanted) for w in _words(n))), None)


def _words(name: str) -> list[str]:
    words = name.lower().replace("-", "_").replace(".", "_").replace(" ", "_").split("_")
    return [*words, *("std" for w in words if w.startswith("std"))]


def _seconds(text: str | None, name: str) -> float:
    """Seconds since whenever, from seconds, milliseconds (a column that says so) or an ISO date; NaN for nothing."""
    text = (text or "").strip()
    try:
        return float(text) / (1000.0 if name.lower().endswith("_ms") else 1.0)
    except ValueError:
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            return math.nan


def _positive(text: str | None) -> float:
    """NaN for what is no positive number: a latency of zero is one that was not measured."""
    try:
        value = float((text or "").strip())
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan


def _grid(path: Path, seconds: Array) -> tuple[float, npt.NDArray[np.int64]]:
    """The tick, and the place of each row on equal ticks (-1 for none): a gap leaves places empty."""
    known = np.flatnonzero(np.isfinite(seconds))
    order = known[np.argsort(seconds[known], kind="stable")]
    gaps = np.diff(seconds[order])
    if not (gaps > 0).any():
        raise InvalidInput("--stream", str(path), "give it rows at different times")
    tick = float(np.median(gaps[gaps > 0]))
    if not 0.1 <= tick <= LONGEST_TICK_S:
        raise InvalidInput("--stream", str(path), f"ticks are {tick:g} s: give 0.1 to {LONGEST_TICK_S:g} s")
    steps = np.clip(np.round(gaps / tick), np.where(gaps > 0, 1, 0), LONGEST_GAP).astype(np.int64)
    places = np.full(len(seconds), -1, dtype=np.int64)
    places[order] = np.concatenate([[0], np.cumsum(steps)])
    return tick, places


def _placed(values: Array, places: npt.NDArray[np.int64]) -> Array:
    out = np.full(int(places.max()) + 1, np.nan)
    out[places[places >= 0]] = values[places >= 0]
    return out
