"""The cases one after the other, and their table."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import servers
from benchmarks.recovery import strikes
from benchmarks.recovery.strikes import Strike, Struck
from benchmarks.recovery.world import Slow, World, world
from pegbox.runtime.points import Point

Say = Callable[[str], None]
Keep = Callable[[Sequence["Row"], Sequence[str]], None]
"""Told after every case of all rows and of what broke until then, so that a run that is ended loses nothing."""
SEEN_SECONDS = 1.5  # until the observer has told what was written last: less than an operator takes to start


@dataclass(frozen=True)
class Recovered:
    """Seconds from the strike: until its end, until a look after that, and until good."""

    lasted: float
    looked: float
    good: float
    note: str


@dataclass
class Row:
    name: str
    seen: list[Recovered] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


DISTURBED: Mapping[str, Strike] = {
    "nobody": strikes.nothing,
    "operator: SIGTERM": strikes.sigterm,
    "operator: SIGKILL": strikes.sigkill,
    "operator: SIGKILL, another pod follows": strikes.sigkill_elsewhere,
    "operator: out of memory": strikes.out_of_memory,
    "operator: SIGSTOP, a standby takes over": strikes.paused,
    "API server: gone": strikes.api_server_gone,
    "etcd: restarted": strikes.etcd_restarted,
    "Prometheus: down": strikes.prometheus_down,
}
POINTS: Mapping[str, Point] = {f"operator: SIGKILL at {point.value}": point for point in strikes.ON_THE_WAY}


async def run(names: Sequence[str], times: int, say: Say, keep: Keep) -> tuple[list[Row], list[str]]:
    """Rows, and what broke in the meantime."""
    rows = [Row(name) for name in names]
    async with world(say) as found:
        for round_ in range(times):
            for row in rows:
                await _case(found, row, say, f"{round_ + 1} of {times}")
                keep(rows, broken(found))
        return rows, broken(found)


def broken(found: World) -> list[str]:
    book = found.made.book
    return [f"{n} x {name}" for name, n in book.counts.items()] + book.broken


async def _case(found: World, row: Row, say: Say, which: str) -> None:
    started = time.monotonic()
    try:
        seen = await (_point(found, POINTS[row.name]) if row.name in POINTS else _strike(found, DISTURBED[row.name]))
        await found.drop_later()
    except (Slow, servers.CannotMeasure) as error:
        row.failed.append(str(error))
        say(f"{which}: {row.name}: NOT RECOVERED: {error}\n{found.told()}")
    else:
        row.seen.append(seen)
        figures = f"lasted {seen.lasted:.1f} s, looked at after {seen.looked:.1f} s, good after {seen.good:.1f} s"
        say(f"{which}: {row.name}: {figures}; {seen.note}")
    await found.drop_later(told=True)
    await asyncio.to_thread(found.end_all)
    say(f"  the case took {time.monotonic() - started:.0f} s")


async def _strike(found: World, strike: Strike) -> Recovered:
    """In mid-trial, once every pod runs the harmful value."""
    operator = found.start()
    await found.at_rest()
    if strike is strikes.paused:
        await found.standby()
    await found.ask()
    await found.bring(found.harming, "every pod runs the harmful value")
    return await _recovered(found, await strike(found, operator))


async def _point(found: World, point: Point) -> Recovered:
    """The trial is asked for while nobody runs; who starts then is killed on the way, and another one is started."""
    operator = found.start()
    await found.at_rest()
    await asyncio.to_thread(found.end_all)
    await found.ask()
    operator = found.start(**strikes.killed_at(point))
    await found.bring(lambda: not operator.alive, f"killed at {point.value}")
    began = time.monotonic()
    found.start()
    await asyncio.sleep(SEEN_SECONDS)
    note = "in a trial" if found.tried() else "before the trial was recorded: it is begun and ended in this time"
    return await _recovered(found, Struck(began, began, note))


async def _recovered(found: World, struck: Struck) -> Recovered:
    looked = await found.looked_at(struck.over) + struck.over - struck.began
    await found.until(found.good, "at last-known-good")
    now = time.monotonic()
    return Recovered(struck.over - struck.began, looked, now - struck.began, struck.note)


def table(rows: Sequence[Row]) -> str:
    """Markdown, for docs/reliability.md."""
    lines = [
        "| what ends | times | not recovered | it lasted | looked at again after | at last-known-good after | note |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        figures = zip(*([each.lasted, each.looked, each.good] for each in row.seen), strict=True)
        spans = " | ".join(map(_span, figures)) or "never | never | never"
        notes = sorted({each.note for each in row.seen if each.note} | set(row.failed))
        times = f"{len(row.seen) + len(row.failed)} | {len(row.failed)}"
        lines.append(f"| {row.name} | {times} | {spans} | {'; '.join(notes)} |")
    return "\n".join(lines)


def _span(seconds: Sequence[float]) -> str:
    middle = f"{statistics.median(seconds):.0f} s"
    return middle if len(seconds) == 1 else f"{middle} ({min(seconds):.0f} to {max(seconds):.0f})"
