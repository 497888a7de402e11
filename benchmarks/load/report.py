"""A run's outcome as text for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from benchmarks.load.memory import Slope
from benchmarks.load.run import Outcome
from benchmarks.table import machine, mebibytes


def text(outcome: Outcome) -> str:
    plan = outcome.plan
    share = sum(outcome.faults.values()) / max(1, outcome.calls)
    rows = [
        ("ran", f"{plan.profiles} profiles for {outcome.seconds:.0f} s, interval {plan.interval} s, seed {plan.seed}"),
        ("machine", "; ".join(f"{n} {v}" for n, v in machine().items())),
        ("starved", f"this process came up to {outcome.own_delay:.1f} s late; load average {outcome.load_average:.1f}"),
        ("calls", f"{outcome.calls}, {share:.1%} of them broken"),
        ("faults", ", ".join(f"{name} {count}" for name, count in outcome.faults.items())),
        ("changes looked at", f"{outcome.changes}, {outcome.out_of_order} of them later than the observer waits"),
        ("looks", f"{outcome.looks}"),
        ("late, p50 / p99 / most", f"{outcome.late.p50:.1f} / {outcome.late.p99:.1f} / {outcome.late.most:.1f} s"),
        ("longest without a look", f"{outcome.longest:.0f} s, bound {plan.bound:.0f} s"),
        ("adopted", f"{outcome.adopted} profiles in Auto"),
        ("trials", f"{sum(outcome.trials.values())} ended, {outcome.asked} asked for"),
        ("", ", ".join(f"{name} {count}" for name, count in outcome.trials.items())),
        (
            "operator ended by itself",
            f"{len(outcome.restarts)} times"
            + (f" {outcome.restarts}, none for up to {outcome.away:.0f} s" if outcome.restarts else ""),
        ),
        ("RSS", f"peak {mebibytes(outcome.peak)}; {slope(outcome.slope)}"),
        ("all at rest after the last fault", _settled(outcome)),
        ("invariants broken", f"{sum(outcome.counts.values())}"),
    ]
    lines = [f"{name:<34} {value}" for name, value in rows]
    lines += [f"  {count} x {name}" for name, count in outcome.counts.items()]
    lines += [f"  BROKEN {each}" for each in outcome.broken]
    return "\n".join(lines)


def slope(found: Slope | None) -> str:
    if found is None:
        return "too short to say whether it grows"
    word = "flat" if found.flat else "grows"
    bounds = f"{found.low / 2**20:.1f} to {found.high / 2**20:.1f}"
    return f"{word}: {found.per_hour / 2**20:+.1f} MiB per hour ({bounds}, 95 %) over {found.seconds:.0f} s"


def _settled(outcome: Outcome) -> str:
    return "never" if outcome.settled is None else f"{outcome.settled:.0f} s"


def json_of(outcome: Outcome) -> str:
    return json.dumps({"machine": machine()} | asdict(outcome), indent=2) + "\n"
