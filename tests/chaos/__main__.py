"""`python -m tests.chaos`: many schedules, with progress, a table per fault, and a line to replay each failure."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.chaos.faults import TABLE
from tests.chaos.report import WHAT
from tests.chaos.said import unseen
from tests.chaos.schedule import Outcome, Runner, Schedule, Step, draw, minimise, table

EVERY = 10.0  # seconds between two lines of progress


@dataclass
class Totals:
    """Per fault: in how many schedules it struck, how many of them were lost, in how many all was said since that the table
    of docs/reliability.md names, what was said in its steps."""

    runs: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    said: dict[str, Counter[str]] = field(default_factory=dict)
    schedules: int = 0
    longest: int = 0

    def add(self, outcome: Outcome) -> None:
        self.schedules += 1
        self.longest = max(self.longest, outcome.recovery)
        for name in {step.name for step in outcome.schedule.steps}:
            self.runs[name] += 1
            self.lost[name] += bool(outcome.violations)
            self.seen[name] += not unseen(WHAT[name][1], outcome.seen.get(name, ()))
        for name, reasons in outcome.reasons.items():
            self.said.setdefault(name, Counter()).update(reasons)

    def text(self) -> str:
        rows = [f"{'fault':<50} {'runs':>8} {'lost':>6} {'seen':>8}  most said in its steps"]
        for name, fault in TABLE.items():
            said = ", ".join(reason for reason, _ in self.said.get(name, Counter()).most_common(4))
            rows.append(
                f"{name:<50} {self.runs[name]:>8} {self.lost[name]:>6} {self.seen[name]:>8}  {fault.group}: {said}"
            )
        return "\n".join(rows)


def keep(path: str, outcome: Outcome) -> None:
    """One line of JSON from which the schedule can be run again, even where drawing has changed since."""
    line = json.dumps({"schedule": asdict(outcome.schedule), "violations": outcome.violations})
    with Path(path).open("a") as out:
        out.write(line + "\n")


def kept(path: str) -> list[Schedule]:
    bodies = [json.loads(line)["schedule"] for line in Path(path).read_text().splitlines()]
    return [Schedule(**body | {"steps": tuple(Step(**step) for step in body["steps"])}) for body in bodies]


async def run(options: argparse.Namespace) -> int:
    runner, totals, failures = Runner(), Totals(), 0
    started = told = time.monotonic()
    schedules = kept(options.replay) if options.replay else None
    count = len(schedules) if schedules is not None else options.schedules
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # the table of a long run that is stopped is not lost
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    for at in range(count):
        schedule = schedules[at] if schedules is not None else draw(options.seed + at, options.shop)
        outcome = await runner.run(schedule)
        totals.add(outcome)
        if outcome.violations:
            failures += 1
            keep(options.failures, outcome)
            shown = schedule if options.whole else await minimise(runner, schedule)
            print(table(await runner.run(shown)), flush=True)
        elif count == 1:
            print(table(outcome))
        now = time.monotonic()
        await asyncio.sleep(0)
        if stopped.is_set() or (options.minutes and now - started > options.minutes * 60):
            break
        if now - told > EVERY:
            told = now
            left = (count - at - 1) * (now - started) / (at + 1)
            left = min(left, options.minutes * 60 - (now - started)) if options.minutes else left
            print(f"{at + 1} of {count} schedules, lost: {failures}, about {left / 60:.0f} min left", flush=True)
    print(totals.text())
    seeds = "" if schedules else f", seeds {options.seed} to {options.seed + totals.schedules - 1}"
    print(f"{totals.schedules} schedules{seeds}, lost: {failures}, at most {totals.longest} wakes to recover")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first schedule; each next one is one more")
    parser.add_argument("--shop", default="", help="this one, whatever the seeds would choose")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many minutes")
    parser.add_argument("--failures", default="chaos-failures.jsonl", help="one line of JSON per failure")
    parser.add_argument("--replay", default="", help="run the schedules of such a file again")
    parser.add_argument("--whole", action="store_true", help="show failures as they ran, not minimised")
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)  # every failed write is logged on purpose
    gc.freeze()  # what was imported stays, and worlds are dropped whole: a sixth of the time went into looking for cycles
    gc.set_threshold(100_000, 20, 100)
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
