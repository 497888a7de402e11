"""`python -m benchmarks.recovery`: the table of recovery times, as Markdown. Exit 1 where something did not recover."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.recovery import run
from benchmarks.servers import CannotMeasure, end_in_order
from benchmarks.table import machine
from dev.cluster.errors import ClusterError


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """0 when all recovered and nothing broke; 1 when not; 2 when the machine lacks something."""
    every = [*run.DISTURBED, *run.POINTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument(
        "--times", metavar="N", type=int, default=3, help="each case so many times; about a minute each"
    )
    parser.add_argument("--only", metavar="TEXT", action="append", help="cases whose name holds this; may be repeated")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write what was seen as JSON")
    given = parser.parse_args()
    end_in_order()
    names = [name for name in every if not given.only or any(each in name for each in given.only)]
    if not names:
        parser.error(f"--only {', '.join(given.only)}: no case of this name; there are: {'; '.join(every)}")

    def keep(rows: Sequence[run.Row], broken: Sequence[str]) -> None:
        if given.json:
            found = {"machine": about, "rows": [asdict(row) for row in rows], "broken": list(broken)}
            given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

    about = machine()  # its load is that of the start: later it is ours
    try:
        rows, broken = asyncio.run(run.run(names, given.times, _say, keep))
    except (CannotMeasure, ClusterError) as error:
        print(error, file=sys.stderr)
        return 2
    print(run.table(rows))
    print("\n" + "; ".join(f"{name} {value}" for name, value in about.items()))
    for each in broken:
        print(f"BROKEN {each}")
    return 1 if broken or any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
