"""`pegbox bench scale-out`: how many minutes go bad at which price when replicas follow load.

Replicas take two minutes to start, and 20 of them carry the peak. The HPA is swept in targets of 1 %: only the whole
frontier, bad minutes over replicas, says whether a policy is better. Pegbox is an HPA whose minimum is set ahead.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

import numpy as np

from pegbox.bench import data
from pegbox.bench.forecast import found
from pegbox.bench.frontiers import Comparison, Sums, compare, losses, sums
from pegbox.bench.outcome import Outcome, Run, meta
from pegbox.bench.pictures import lines
from pegbox.bench.policies import QUANTILES, company
from pegbox.bench.progress import Progress
from pegbox.bench.replay import OURS, Replay, play
from pegbox.bench.scaling import PEAK_REPLICAS, START_UP_SECONDS, follow, held_out, start_up_steps
from pegbox.bench.traces import Trace, read
from pegbox.learning.queueing import Array

LAST = "last value"
ALONE = "quantile"
KINDS = ("hpa on mean", LAST, ALONE, "clairvoyant")
AGAINST = ("against_hpa", "alone_against_last_value")
WORDS = ("pegbox beside the HPA", "the quantile alone beside the last value with a margin (both without tolerance)")
NOTHING = "no bad minutes to be spared at replica ratios 1.08 to 1.15, or they are not reached"
SHOWN_RATIO = 2.5  # the picture's right edge


def run(arguments: Namespace) -> Outcome:
    """Raises InvalidInput for a trace that cannot be read."""
    paths = found(arguments)
    if not paths:
        return Outcome(meta("scale-out", {}), [], data.source("traces"))
    traces = {name: read(path) for name, path in paths.items()}
    progress = Progress("scale-out", sum(len(trace.loads) for trace in traces.values()))
    runs: list[Run] = []
    told: dict[str, object] = {}
    pictures: dict[str, str] = {}
    text: list[str] = []
    for name, trace in traces.items():
        rows, about = _trace(name, trace, progress)
        runs += rows
        told[name] = about
        text.append(_text(name, rows, about))
        if arguments.json:
            pictures[name] = _picture(name, rows)
    more = {"start_up_seconds": START_UP_SECONDS, "peak_replicas": PEAK_REPLICAS}
    about = meta("scale-out", paths, traces=told, seeds="none: nothing is drawn but the interval's blocks", **more)
    return Outcome(about, runs, "\n\n".join(text), pictures)


def _trace(name: str, trace: Trace, progress: Progress) -> tuple[list[Run], dict[str, object]]:
    horizon = start_up_steps(trace.step) + 1  # what is ordered now serves from the step after its start-up
    replay = play(trace, horizon, QUANTILES, singles=False, progress=progress)
    held = held_out(trace.loads, replay.start, trace.step)
    policies = company(held, horizon, _at_step(replay))
    courses = {policy: follow(held, wanted) for policy, wanted in policies.items()}
    every = sums(
        np.array([one.bad for one in courses.values()]),
        np.array([one.paid for one in courses.values()]),
        held.oracle,
        trace.step,
    )
    ratios, bad = every.paid.sum(axis=1) / every.oracle.sum(), every.bad.sum(axis=1)
    rows = [
        {"trace": name, "policy": policy, "bad_minutes": float(bad[i]), "replica_ratio": float(ratios[i])}
        for i, policy in enumerate(courses)
    ]
    mine, theirs, alone, simple = (
        _part(every, [i for i, policy in enumerate(courses) if kind(policy) == one])
        for one in (OURS, "hpa", ALONE, LAST)
    )
    compared = {AGAINST[0]: compare(mine, theirs), AGAINST[1]: compare(alone, simple)}
    about: dict[str, object] = {
        "steps": len(held.loads),
        "step_seconds": trace.step,
        "horizon_steps": horizon,
        **{name: asdict(found) if found else None for name, found in compared.items()},
        "worse_elsewhere": losses(mine, theirs),
    }
    return rows, about


def kind(policy: str) -> str:
    """`hpa`, `pegbox`, or one of `KINDS`."""
    if policy.endswith("mean"):
        return KINDS[0]
    return next((one for one in (OURS, "hpa", *KINDS) if policy.startswith(one)), policy)


def _at_step(replay: Replay) -> dict[float, Array]:
    """By quantile, what was said AT each held-out step about the one `horizon` later."""
    said = replay.models[OURS].uppers
    later = np.vstack([said[replay.horizon :], np.full((replay.horizon, said.shape[1]), np.nan)])
    return {q: later[replay.start :, i] for i, q in enumerate(replay.quantiles)}


def _part(every: Sums, rows: list[int]) -> Sums:
    return Sums(every.bad[rows], every.paid[rows], every.oracle)


def _text(name: str, rows: list[Run], about: dict[str, object]) -> str:
    out = [
        f"{name}: {about['steps']} steps of {about['step_seconds']:g} s",
        f"{'policy':<34} {'bad min':>8} {'replicas':>9}",
    ]
    for row in sorted(rows, key=lambda row: (kind(row["policy"]), row["replica_ratio"])):
        if kind(row["policy"]) not in ("hpa", LAST) or row["policy"].endswith(("0", "5")):
            out.append(f"{row['policy']:<34} {row['bad_minutes']:>8.1f} {row['replica_ratio']:>8.3f}x")
    for name, words in zip(AGAINST, WORDS, strict=True):
        found = about[name]
        out.append(_compared(Comparison(**found), words) if isinstance(found, dict) else f"{words}: {NOTHING}")
    worse = about["worse_elsewhere"]
    assert isinstance(worse, list)
    out += [f"worse: {mine:.1f} bad minutes at {ratio:.3f}x, the HPA {other:.1f}" for ratio, mine, other in worse]
    return "\n".join(out)


def _compared(one: Comparison, words: str) -> str:
    return (
        f"{words}, at replica ratios {one.ratios[0]:g} to {one.ratios[-1]:g}: {_change(one.fewer)} bad minutes "
        f"(90 % interval: {_change(one.low)} to {_change(one.high)})"
    )


def _change(fewer: float) -> str:
    return f"{100 * fewer:.0f} % fewer" if fewer >= 0.0 else f"{-100 * fewer:.0f} % more"


def _picture(name: str, rows: list[Run]) -> str:
    """Every frontier whole, up to 2.5 times the oracle's replicas."""
    series: dict[str, list[tuple[float, float]]] = {}
    for row in sorted(rows, key=lambda row: row["replica_ratio"]):
        if row["replica_ratio"] <= SHOWN_RATIO:
            series.setdefault(kind(row["policy"]), []).append((row["replica_ratio"], row["bad_minutes"]))
    return lines(
        f"{name}: bad minutes at a price", ("replicas relative to the oracle's", "bad minutes"), series, dots=True
    )
