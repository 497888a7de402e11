"""How long a rollback takes on the real cluster, from the first bad sample: `python3 -m tests.e2e.latency --help`.

A value that makes a workload slow is tried again and again, in several worlds at the same time. The first bad sample is
the end of the first window after the write in which a guard's condition was seen to hold, as the ledger records it. From there it is counted
to the decision to go back, until the first write of the way back stands on the API server, and until every pod's own
metrics acknowledge it. The last two are looked at some times a second, so that they are late by a look.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.demo import cluster as demo
from dev.demo.cluster import DemoError
from tests.e2e import installed
from tests.e2e.api import Api, opened
from tests.e2e.scenarios import ACK, start, written
from tests.e2e.worlds import Application, World

BAD = "worker_count=1"  # 10/s of 16/s: the queue grows by six a second, and the SLO is broken within two seconds
WRITTEN, LOOK = 0.1, 0.3  # seconds between two looks at the document, and at what the pods run
DRAIN = 20.0  # seconds until what waited in the queue is worked off and a clean window stands


@dataclass(frozen=True)
class Try:
    """Seconds of one bad try; `why` is the guard that ended it."""

    world: str
    why: str
    exact: bool
    written_to_bad: float
    bad_to_decided: float
    bad_to_written: float
    bad_to_acknowledged: float


def world_of(api: Api, number: int, interval: str, share: str) -> World:
    """Workers enough; the breaker has to bear every try."""
    world = World(api, f"latency-{number}", Application(), {"interval": interval})
    world.patch["guards"] = world.profile()["spec"]["guards"] | {"failuresToOpen": 50, "errorBudgetShare": share}
    return world


def tries(world: World, count: int) -> list[Try]:
    """One after the other, each from a clean start."""
    start(world)
    done: list[Try] = []
    for number in range(count):
        if number:
            time.sleep(DRAIN)
            world.measured()
        try:
            one = attempt(world)
        except AssertionError as error:  # one world that cannot go on is told, and costs the others nothing
            print(f"  {world.name} {number + 1}/{count}: {error}", file=sys.stderr, flush=True)
            return done
        print(f"  {world.name} {number + 1}/{count}: {one or 'ended without a bad sample'}", flush=True)
        done += [one] if one else []
    return done


def attempt(world: World) -> Try | None:
    """None where another reason than a bad sample ended the trial, such as a window that a busy machine spoilt."""
    before, values = world.document(), world.values_text()
    world.verb("try", BAD)  # not asked again: the clock begins with the write
    bad = written(world, before)
    wrote = datetime.now(UTC)
    world.until("the rollback", lambda: world.document()["generation"] > bad["generation"], 240, WRITTEN)
    back = datetime.now(UTC)
    intent = world.ledger()["intent"] or {}
    world.until("acknowledgement of the rollback", world.in_force, ACK, LOOK)
    acknowledged = datetime.now(UTC)
    exact = world.values_text() == values
    world.at_rest()
    why = str((world.status().get("lastTrial") or {}).get("why", "")).split(":")[0]
    if not intent.get("first_bad_at") or not intent.get("stage_at"):
        return None
    first, decided = (datetime.fromisoformat(str(intent[name])) for name in ("first_bad_at", "stage_at"))
    later = (moment - first for moment in (decided, back, acknowledged))
    return Try(world.name, why, exact, (first - wrote).total_seconds(), *(each.total_seconds() for each in later))


def rank(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was seen. Of fewer than 100 values p99 is the largest."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def table(done: Sequence[Try], interval: float) -> str:
    """Markdown, as in docs/reliability.md."""
    rows = {
        "first bad sample to the decision to go back": [t.bad_to_decided for t in done],
        "first bad sample to the first write of the way back": [t.bad_to_written for t in done],
        "first bad sample to every pod's acknowledgement": [t.bad_to_acknowledged for t in done],
        "write of the bad value to the first write of the way back": [
            t.written_to_bad + t.bad_to_written for t in done
        ],
        "write of the bad value to every pod's acknowledgement": [
            t.written_to_bad + t.bad_to_acknowledged for t in done
        ],
    }
    lines = [
        f"{len(done)} rollbacks, interval {interval:g} s",
        "",
        "| | median, s | p99, s | median, intervals | p99, intervals |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, values in rows.items():
        middle, late = rank(values, 0.5), rank(values, 0.99)
        lines.append(f"| {name} | {middle:.1f} | {late:.1f} | {middle / interval:.1f} | {late / interval:.1f} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.e2e.latency", description=__doc__)
    parser.add_argument("--tries", type=int, default=24, help="bad tries in all")
    parser.add_argument("--worlds", type=int, default=8, help="worlds at the same time")
    parser.add_argument("--interval", type=float, default=5.0, help="the profiles' interval in seconds")
    parser.add_argument(
        "--share", default="5%", help="errorBudgetShare: with 100%% two bad samples end a try, and nothing sooner"
    )
    parser.add_argument("--json", type=Path, help="write every try to this file")
    options = parser.parse_args(words)
    try:
        done = measure(options.tries, options.worlds, options.interval, options.share)
    except DemoError as error:
        print(f"latency: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in done], indent=1) + "\n")
    if not done:
        print("latency: no try ended by a bad sample", file=sys.stderr)
        return 1
    print(f"{len(done)} of {options.tries} tries ended by bad samples")
    print(table(done, options.interval))
    print(f"ended by {sorted({t.why for t in done})}; values exact in {sum(t.exact for t in done)} of {len(done)}")
    return 0 if all(t.exact for t in done) else 1


def measure(count: int, worlds: int, interval: float, share: str) -> list[Try]:
    """Brings up what is missing, tries, and removes its worlds again; the cluster stays."""
    demo.cluster("up")
    installed.everything()
    with TemporaryDirectory(prefix="pegbox-latency-") as folder, opened(Path(folder)) as api:
        made = [world_of(api, number, f"{interval:g}s", share) for number in range(worlds)]
        namespaces = [w.namespace for w in made]
        shares = [count // worlds + (number < count % worlds) for number in range(worlds)]
        try:
            installed.remove(api, namespaces)
            installed.apply(namespaces, [m for w in made for m in w.manifests()])
            for world in made:
                demo.rolled_out("deployment", world.application.name, world.namespace)
            with ThreadPoolExecutor(worlds) as threads:
                return [one for part in threads.map(tries, made, shares) for one in part]
        finally:
            installed.remove(api, namespaces)


if __name__ == "__main__":
    sys.exit(main())
