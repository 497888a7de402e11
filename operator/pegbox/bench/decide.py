"""How long a decision and a suggestion take, on one core of this machine. Printed, never judged."""

from __future__ import annotations

import copy
import resource
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pegbox.bench.bowl import Bowl, bowl
from pegbox.bench.outcome import Outcome, Run, meta
from pegbox.bench.progress import Progress
from pegbox.bench.standing import NOW, at_rest
from pegbox.bench.tuners import COMPANY
from pegbox.bench.tuners.base import Make, Tuner
from pegbox.core.decide import decide
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

OBSERVATIONS, KNOBS = (50, 200), (6, 19)
IN_A_ROW = 10  # steps from the same state on: a tuner that looks for hyper-parameters now and then does so in some
MOST_SECONDS = 20.0  # of one row
MIB = 2**20
DECISION = "decision"


def run(arguments: Namespace) -> Outcome:
    """One row for the decision and each tuner, at each number of observations and knobs."""
    rounds = int(arguments.rounds)
    cells = [(n, k) for n in OBSERVATIONS for k in KNOBS]
    progress = Progress("decide", len(cells) * (len(COMPANY) + 1))
    rows: list[Run] = []
    for name in (DECISION, *COMPANY):
        for observations, knobs in cells:
            if name == DECISION:
                seconds = decisions(observations, knobs, rounds)
            else:
                seconds = suggestions(COMPANY[name], observations, knobs, rounds)
            rows.append(_row(name, observations, knobs, seconds))
            progress.step()
    said = meta("decide", {}, rounds=rounds, seconds_at_most=MOST_SECONDS)
    return Outcome(said, rows, _text(rows))


def decisions(observations: int, knobs: int, rounds: int) -> list[float]:
    """Seconds of core.decide without a prediction; `observations` are rows of the ledger."""
    snapshot, nothing = at_rest(knobs, observations), Missing(Reason.NOTHING_BETTER)
    decide(snapshot, nothing, NOW)  # parses the budget, which is kept

    def once() -> None:
        decide(snapshot, nothing, NOW)

    return _timed(once, rounds)


def suggestions(make: Make, observations: int, knobs: int, rounds: int) -> list[float]:
    """Seconds of learning one more measurement and saying what to run next, beginning with so many observations."""
    made = bowl(knobs, seed=0, steps=observations + IN_A_ROW)
    primed = _primed(make, made, observations)
    seconds: list[float] = []
    started = time.perf_counter()
    while len(seconds) < rounds and (not seconds or time.perf_counter() - started < MOST_SECONDS):
        tuner = copy.deepcopy(primed)
        setting = tuner.ask()
        for step in range(min(IN_A_ROW, rounds - len(seconds))):
            measured = made.measured(setting, observations + step)
            before = time.perf_counter()
            tuner.tell(setting, measured)
            setting = tuner.ask()
            seconds.append(time.perf_counter() - before)
    return seconds


def _primed(make: Make, made: Bowl, observations: int) -> Tuner:
    """Told of measurements around the start, like those of a run; the start's free replicates are among them."""
    tuner = make(made.problem)
    encoding, chance = made.encoding, np.random.default_rng(1)
    row = encoding.codes([made.problem.start])[0]
    for step in range(observations - len(made.problem.free)):
        moved = row
        for _ in range(3):
            moved = encoding.step(chance, moved, int(chance.integers(len(encoding))))
        setting = encoding.setting(moved)
        tuner.tell(setting, made.measured(setting, step))
    return tuner


def _timed(call: Callable[[], object], rounds: int) -> list[float]:
    seconds: list[float] = []
    for _ in range(rounds):
        before = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - before)
    return seconds


def quantile(seconds: Sequence[float], share: float) -> float:
    """By nearest rank, so that each is a time that was taken. Of at least one."""
    ordered = sorted(seconds)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def resident() -> float:
    """MiB of this process now; where the system does not say, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MIB
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / MIB if sys.platform == "darwin" else most / 1024


def _row(name: str, observations: int, knobs: int, seconds: Sequence[float]) -> Run:
    return {
        "name": name,
        "n_observations": observations,
        "n_knobs": knobs,
        "ms_p50": 1e3 * quantile(seconds, 0.5),
        "ms_p99": 1e3 * quantile(seconds, 0.99),
        "rss_mib": resident(),
    }


def _text(rows: Sequence[Run]) -> str:
    lines = [f"{'name':<12}{'observations':>13}{'knobs':>7}{'ms p50':>10}{'ms p99':>10}{'RSS MiB':>9}"]
    for row in rows:
        counts = f"{row['name']:<12}{row['n_observations']:>13}{row['n_knobs']:>7}"
        lines.append(f"{counts}{row['ms_p50']:>10.2f}{row['ms_p99']:>10.2f}{row['rss_mib']:>9.0f}")
    return "\n".join(lines)
