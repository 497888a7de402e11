"""`python -m benchmarks.load`: a fleet under load and faults. Exit 1 where an invariant broke."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.load import neighbours, report, run
from benchmarks.servers import CannotMeasure, end_in_order
from benchmarks.table import machine
from dev.cluster.errors import ClusterError


def _neighbours(given: argparse.Namespace) -> int:
    seconds = given.minutes * 30
    plan = neighbours.Plan(given.profiles, given.broken, seconds, given.interval, given.scrape, given.seed)
    try:
        outcome = asyncio.run(neighbours.run(plan, run.say))
    except (CannotMeasure, ClusterError) as error:
        print(error, file=sys.stderr)
        return 2
    print(neighbours.text(outcome))
    if given.json:
        given.json.write_text(json.dumps({"machine": machine()} | asdict(outcome), indent=2) + "\n", encoding="utf-8")
    return 0 if outcome.held else 1


def main() -> int:
    """0 when everything held; 1 when something broke; 2 when the machine lacks something."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--profiles", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.10, help="of all calls that fail")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interval", metavar="SECONDS", type=int, default=120, help="the profiles' interval")
    parser.add_argument("--scrape", metavar="SECONDS", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the outcome as JSON")
    parser.add_argument("--log", metavar="FILE", type=Path, help="keep the operator's log")
    parser.add_argument(
        "--broken", metavar="N", type=int, default=0, help="instead: N broken profiles beside the healthy"
    )
    given = parser.parse_args()
    end_in_order()
    if given.broken:
        return _neighbours(given)
    plan = run.Plan(given.profiles, given.minutes * 60, given.share, given.seed, given.interval, given.scrape)
    try:
        outcome = asyncio.run(run.run(plan, given.log))
    except (CannotMeasure, ClusterError) as error:
        print(error, file=sys.stderr)
        return 2
    print(report.text(outcome))
    if given.json:
        given.json.write_text(report.json_of(outcome), encoding="utf-8")
    return 1 if outcome.counts else 0


if __name__ == "__main__":
    sys.exit(main())
