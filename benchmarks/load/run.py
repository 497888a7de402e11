"""One load run: faults in a share of all calls, invariants looked at all the time, and what it came to."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os import getloadavg
from pathlib import Path
from typing import Any

from benchmarks.load import memory
from benchmarks.load.application import People
from benchmarks.load.book import Standing
from benchmarks.load.looks import Late
from benchmarks.load.shops import Times
from benchmarks.load.stage import STANDING_SECONDS, WATCHED, Shape, Stage, stage
from benchmarks.table import mebibytes
from pegbox.runtime.memory import MAX_WINDOWS

SAY_SECONDS = 30.0
ASK_SECONDS = 1.0
SLOWEST_BACKOFF = 90.0  # 60 s, stretched by a half: the longest that a failed look waits for the next
GRACE = 60.0  # seconds that a look itself may take, with a few calls that hang
BACK_SECONDS = 60.0
"""Within which another process looks after things: it starts, waits for 15 s until the Lease that nobody gave up has
run out, and some of its calls fail, too."""
FLAT_LIMIT = 30 * 2**20  # bytes per hour that the slope's lower bound may reach before memory counts as growing
FLAT_FROM = 600.0  # seconds below which a slope is shown and not judged


@dataclass(frozen=True)
class Plan:
    profiles: int = 500
    seconds: float = 1800.0
    share: float = 0.10
    seed: int = 1
    interval: int = 120
    scrape: int = 15

    @property
    def bound(self) -> float:
        """Seconds within which every profile is looked at again."""
        return self.interval + SLOWEST_BACKOFF + GRACE

    @property
    def settle(self) -> float:
        """Seconds after the last fault within which everything is at its incumbent, all pods included."""
        return 2 * self.bound + 4 * self.scrape

    @property
    def warm(self) -> float:
        """Seconds after which memory is judged: until then each profile's windows fill up, one with each look that did
        not fail. A short run is judged by its second half."""
        return min(1.25 * MAX_WINDOWS * self.interval, self.seconds / 2)

    def shape(self) -> Shape:
        workers = max(8, self.profiles // 15)  # a slow call holds a worker for up to 10 s
        settings: dict[str, Any] = {
            "workers": workers,
            "kubeQps": float(max(50, self.profiles // 2)),
            "maxConcurrentTrials": max(5, self.profiles // 10),
            "fleetBreaker": {"profiles": 0, "writeFailureShare": 1.0},  # harm and faults are this run's purpose
        }
        return Shape(self.profiles, self.share, self.seed, Times(self.interval, self.scrape), settings)


@dataclass
class Outcome:
    """What a run came to. `broken` is empty where everything held."""

    plan: Plan
    seconds: float = 0.0
    calls: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    late: Late = Late(0.0, 0.0, 0.0, 0)
    longest: float = 0.0
    trials: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    adopted: int = 0
    changes: int = 0
    out_of_order: int = 0
    restarts: list[int] = field(default_factory=list)
    away: float = 0.0  # the longest that no operator looked at anything after one had ended
    slope: memory.Slope | None = None
    peak: float = 0.0
    settled: float | None = None
    broken: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    load_average: float = 0.0
    own_delay: float = 0.0  # the longest by which this very process came too late, for want of a core


async def run(plan: Plan, log: Path | None = None) -> Outcome:
    """`log` is where the operator's log is kept. Raises CannotMeasure or ClusterError where the machine lacks
    something.
    """
    outcome = Outcome(plan)
    async with stage(plan.shape(), say) as made:
        people = People(made.shops, random.Random(plan.seed + 2))
        tasks = [asyncio.create_task(made.watching.run(WATCHED), name="observer")]
        await asyncio.sleep(STANDING_SECONDS)
        made.started = made.looks.started = time.monotonic()
        tasks.append(asyncio.create_task(made.run_operator(), name="operator"))
        tasks.append(asyncio.create_task(_asking(made, people), name="people"))
        try:
            await _watched(plan, made, people, outcome, tasks)
            tasks.pop().cancel()
            made.faults.share = 0.0
            outcome.settled = await _settled(plan, made, tasks)
        except BaseException:
            say(made.log_end())
            raise
        finally:
            for task in tasks:
                task.cancel()
            with suppress(BaseException):
                await asyncio.gather(*tasks, return_exceptions=True)
            if log is not None:
                made.keep_log(log)
        _sum(plan, made, people, outcome)
    return outcome


async def _watched(
    plan: Plan, made: Stage, people: People, outcome: Outcome, tasks: Sequence[asyncio.Task[None]]
) -> None:
    told, end = 0.0, made.started + plan.seconds
    while time.monotonic() < end:
        asked = time.monotonic() + 1.0
        await asyncio.sleep(1.0)
        _ended(tasks)
        now = time.monotonic()
        outcome.own_delay = max(outcome.own_delay, now - asked)
        # What starves this process starves the operator as well, and is not its fault.
        for key in made.looks.waiting(made.shops.keys, now, plan.bound + outcome.own_delay):
            made.book.say("looked at again in time", f"{key}: not for {plan.bound:.0f} s")
            made.looks.note(key, now)  # said once
        outcome.away = max(outcome.away, made.looks.longest_away(now))
        if now - told >= SAY_SECONDS:
            told = now
            _progress(plan, made, people, now)


def _progress(plan: Plan, made: Stage, people: People, now: float) -> None:
    gone = now - made.started
    late = made.looks.late(made.shops.keys, plan.interval, 0.0)
    share = sum(made.faults.drawn.values()) / max(1, made.faults.calls)
    size = made.samples[-1].size if made.samples else 0.0
    under_way = sum(1 for _ in made.book.under_way())
    say(
        f"{_clock(gone)} of {_clock(plan.seconds)}, {_clock(max(0.0, plan.seconds - gone))} left: "
        f"{made.looks.total()} looks, p99 {late.p99:.1f} s late; {made.faults.calls} calls, {share:.1%} broken; "
        f"{made.book.adopted()} adopted, {under_way} under way, "
        f"{made.book.trials.total()} trials ended of {people.asked} asked; "
        f"RSS {mebibytes(size)}; {len(made.ended)} restarts; {sum(made.book.counts.values())} invariants broken"
    )
    for each in made.book.broken[:3]:
        say(f"  BROKEN {each}")


async def _asking(made: Stage, people: People) -> None:
    """In each namespace one profile is asked for a trial while none is under way."""
    while True:
        await asyncio.sleep(ASK_SECONDS)
        busy = {key.partition("/")[0] for key in made.book.under_way()}
        idle: dict[str, list[Standing]] = {}
        for key, each in made.book.tenants.items():
            namespace = key.partition("/")[0]
            if each.tenant.mode == "Auto" and each.document is not None and namespace not in busy:
                idle.setdefault(namespace, []).append(each)
        for those in idle.values():
            if people.chance.random() < ASK_SECONDS / made.shape.times.interval * 2:
                await people.ask(people.chance.choice(those))


async def _settled(plan: Plan, made: Stage, tasks: Sequence[asyncio.Task[None]]) -> float | None:
    """Faults have stopped and so is everything: seconds until all are at their incumbents; None beyond the bound."""
    say("faults stop; everything is stopped by the annotation on the Lease, and goes back to where it may stay")
    command = ("annotate", "lease", "pegbox", "-n", "pegbox-system", "pegbox.dev/stop=stop", "--overwrite")
    done = await asyncio.to_thread(made.plane.kubectl, *command)
    if done.returncode != 0:
        made.book.say("faults over: settled", f"the Lease could not be annotated: {done.stderr}")
        return None
    started = told = time.monotonic()
    while time.monotonic() - started < plan.settle:
        await asyncio.sleep(2.0)
        _ended(tasks)
        left = made.book.unsettled()
        if not left:
            return time.monotonic() - started
        if time.monotonic() - told >= SAY_SECONDS / 3:
            told = time.monotonic()
            say(f"{_clock(told - started)} of at most {_clock(plan.settle)}: {len(left)} left: {left[0]}")
    for text in made.book.unsettled():
        made.book.say("faults over: settled", text)
    return None


def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """An observer or a supervisor that ended by an error is an error of this run."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


def _sum(plan: Plan, made: Stage, people: People, outcome: Outcome) -> None:
    now, keys = time.monotonic(), made.shops.keys
    outcome.seconds = now - made.started
    outcome.calls, outcome.looks = made.faults.calls, made.looks.total()
    outcome.faults = {fault.value: count for fault, count in sorted(made.faults.drawn.items())}
    outcome.late = made.looks.late(keys, plan.interval, 0.0)
    outcome.longest = made.looks.longest(keys, now)
    outcome.trials, outcome.asked = dict(made.book.trials.most_common()), people.asked
    outcome.adopted = made.book.adopted()
    outcome.changes, outcome.out_of_order = made.book.checked, made.watching.ordered.late
    outcome.restarts = made.ended
    kept = memory.longest(made.samples)
    outcome.slope = memory.slope(kept, plan.warm)
    outcome.peak = max((each.size for each in made.samples), default=0.0)
    outcome.load_average = getloadavg()[0]
    if outcome.slope is not None and outcome.slope.seconds >= FLAT_FROM and outcome.slope.low > FLAT_LIMIT:
        made.book.say("memory is flat", f"at least {mebibytes(outcome.slope.low)} more per hour")
    if outcome.away > BACK_SECONDS + outcome.own_delay:
        made.book.say("an operator is back in time", f"none for {outcome.away:.0f} s")
    outcome.broken, outcome.counts = made.book.broken, dict(made.book.counts)


def say(line: str) -> None:
    print(line, flush=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
