"""Sufficient statistics: clean windows merged into rows by (setting, pods, load bin).

Rows are what the ledger keeps and what every refit starts from; Prometheus may forget within hours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.prediction import Row

MAX_ROWS = 200
BIN_RATIO = 1.25
MORE = 2  # times the windows of a row at the last fit are worth another: its standard error falls by a third


def load_bin(load: float) -> int:
    """The bin of a positive load on a log grid whose bins are 25 % wide; bin 0 starts at 1 event/s."""
    return math.floor(math.log(load) / math.log(BIN_RATIO) + 1e-9)


def merge(rows: Sequence[Row], observation: Observation, setting: Setting) -> tuple[Row, ...]:
    """The rows after one more window of `setting`; unchanged where the window may not be learned from.

    Left out: unclean windows, windows without pods, load, throughput or latency, and those that are zero.
    Windows under another number of pods make another row: capacity belongs to pods.
    """
    seen = _row(observation, setting)
    if seen is None:
        return tuple(rows)
    key = _key(seen)
    merged = tuple(_add(row, seen) if _key(row) == key else row for row in rows)
    if not any(_key(row) == key for row in rows):
        merged = (*merged, seen)
    if len(merged) <= MAX_ROWS:
        return merged
    oldest = min(range(len(merged)), key=lambda i: merged[i].last_seen)
    return merged[:oldest] + merged[oldest + 1 :]


def tell_more(rows: Sequence[Row], fitted: Sequence[Row]) -> bool:
    """Do the rows say enough more than those of the last fit to be worth another?

    A new or vanished row does, as does one with twice the windows, or with fewer (after a deploy). One more window of
    thirty under the same setting moves nothing but noise, a fit costs a second, and a proposal that moves is a write.
    """
    before, now = ({_key(row): row.count for row in each} for each in (fitted, rows))
    if before.keys() != now.keys():
        return True
    return any(count >= MORE * before[key] or count < before[key] for key, count in now.items())


def decay(rows: Sequence[Row], factor: float) -> tuple[Row, ...]:
    """The rows with their weight cut to `factor` (0..1) of what it was, for example after a deploy.

    Counts are whole windows, rounded down: what is left of less than one window is dropped.
    """
    if not 0.0 <= factor <= 1.0:
        raise ValueError(f"decay factor {factor} lies outside of 0..1")
    kept = [(row, math.floor(row.count * factor + 1e-9)) for row in rows]
    return tuple(
        replace(
            row,
            count=count,
            throughput_m2=_shrunk(row.throughput_m2, row.count, count),
            latency_m2=_shrunk(row.latency_m2, row.count, count),
        )
        for row, count in kept
        if count >= 1
    )


def _shrunk(m2: float, old: int, new: int) -> float:
    """The sum of squares that keeps the variance m2 / (count - 1) under the smaller count."""
    return m2 * (new - 1) / (old - 1) if old > 1 else 0.0


def _key(row: Row) -> tuple[Setting, int, int]:
    return row.setting, round(row.pods), load_bin(row.load)


def _row(observation: Observation, setting: Setting) -> Row | None:
    load, throughput, latency = observation.offered_load, observation.throughput, observation.latency
    if not observation.clean or observation.pods < 1:
        return None
    if isinstance(load, Missing) or isinstance(throughput, Missing) or isinstance(latency, Missing):
        return None
    if not all(math.isfinite(x) and x > 0 for x in (load, throughput, latency)):
        return None
    return Row(
        setting=setting,
        pods=float(observation.pods),
        load=load,
        throughput=throughput,
        latency=latency,
        count=1,
        last_seen=observation.window.end.timestamp(),
        signals={n: v for n, v in observation.signals.items() if not isinstance(v, Missing) and math.isfinite(v)},
    )


def _add(row: Row, seen: Row) -> Row:
    """Welford's update (B. P. Welford, Technometrics 4, 1962). Latency is weighted by events per window."""
    count = row.count + 1
    throughput = row.throughput + (seen.throughput - row.throughput) / count
    events = seen.throughput / (row.throughput * row.count + seen.throughput)
    latency = row.latency + (seen.latency - row.latency) * events
    return replace(
        row,
        load=row.load + (seen.load - row.load) / count,
        throughput=throughput,
        latency=latency,
        count=count,
        throughput_m2=row.throughput_m2 + (seen.throughput - row.throughput) * (seen.throughput - throughput),
        latency_m2=row.latency_m2 + (seen.latency - row.latency) * (seen.latency - latency),
        last_seen=max(row.last_seen, seen.last_seen),
        signals=_mean(row.signals, seen.signals, count),
    )


def _mean(old: Mapping[str, float], new: Mapping[str, float], count: int) -> dict[str, float]:
    """Means by signal name; a signal that only one side has keeps that side's value."""
    both = {n: old[n] + (new[n] - old[n]) / count for n in old.keys() & new.keys()}
    return {**old, **new, **both}
