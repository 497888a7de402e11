"""One run of one tuner on one task, and what is scored of it (docs/benchmarks.md)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from pegbox.bench import foretelling
from pegbox.bench.asking import Asking
from pegbox.bench.oracles import Best
from pegbox.bench.tasks import Noise, Task
from pegbox.bench.tuners.base import Make
from pegbox.model.knobs import Setting

LOW = 0.75
CLOSE = 0.05
REFUSALS = 50  # of a run, before a tuner that only asks for what is not there is taken to hold
AFTER = (20, 40, 60)


@dataclass(frozen=True)
class Truth:
    """What the tuners are held against: the best of all, the best that small steps reach after n steps."""

    best: Best
    reachable: tuple[Best, ...]


def run(task: Task, truth: Truth, name: str, make: Make, seed: int) -> dict[str, Any]:
    """A row of the JSON. Every figure is of noiseless values."""
    noise = Noise(task, seed, task.spec.steps)
    tuner = make(task.problem(seed, noise))
    asking = Asking(task, seed)
    asked: list[Setting] = []
    held: list[Setting] = []
    seconds: list[float] = []
    refused = 0
    while len(asked) < task.spec.steps:
        started = time.perf_counter()
        wish = task.first[len(asked)] if len(asked) < len(task.first) else tuner.ask()
        asking_took = time.perf_counter() - started
        setting = asking.answer(wish, tuner.incumbent)
        if setting is None:
            refused += 1
            if refused < REFUSALS:
                continue
            setting = tuner.incumbent  # a tuner that finds nothing more to ask holds
        measured = noise.measure(task, setting, len(asked))
        started = time.perf_counter()
        tuner.tell(setting, measured)
        held.append(tuner.incumbent)
        seconds.append(asking_took + time.perf_counter() - started)
        asked.append(setting)
    return {
        "spec": task.spec.name,
        "model_seed": task.model_seed,
        "start": task.start_name,
        "tuner": name,
        "seed": seed,
        **scores(task, truth, asked, held),
        **foretelling.columns(tuner),
        "suggest_ms_p50": float(np.quantile(seconds, 0.5)) * 1000,
        "suggest_ms_p99": float(np.quantile(seconds, 0.99)) * 1000,
    }


def scores(task: Task, truth: Truth, asked: list[Setting], held: list[Setting]) -> dict[str, Any]:
    """`asked` is what ran in each step, `held` the incumbent after it."""
    every = list(dict.fromkeys([task.start, *asked, *held]))
    metrics = task.true(every)
    ratio = dict(zip(every, (float(r) for r in task.ratios(metrics)), strict=True))
    cost = dict(zip(every, (float(c) for c in task.costs(every, metrics)), strict=True))
    least = float(task.spec.least)

    def gap(setting: Setting, best: float) -> float:
        """Share by which a setting falls short of the best; what lacks of the wanted metric counts as well."""
        short = max(0.0, least - ratio[setting]) / least if least else 0.0
        return min(1.0, max(0.0, 1.0 - best / cost[setting]) + short)

    best, floor = truth.best.cost, float(task.spec.floor)
    ran = [ratio[s] for s in asked]
    gaps = [gap(s, best) for s in held]
    moved = {name for s in asked for name in task.start.diff(s)}
    return {
        "steps": len(asked),
        "unsafe": sum(r < floor for r in ran) / len(ran),
        "worst": min(ran),
        "below_075": sum(r < LOW for r in ran),
        "regret": sum(gap(s, best) for s in asked),
        "regret_static": gap(task.start, best) * len(asked),
        **{f"gap{n}": gaps[n - 1] if n <= len(gaps) else None for n in AFTER},
        f"gap_reachable{AFTER[-1]}": gap(held[-1], truth.reachable[-1].cost) if truth.reachable else None,
        "steps_to_5": next((i + 1 for i, g in enumerate(gaps) if g <= CLOSE), None),
        "settings_tried": len(set(asked)),
        "knobs_moved": len(moved),
        "hold_step": _hold(asked, held),
        "failed": sum(not math.isfinite(cost[s]) for s in asked),
    }


def _hold(asked: list[Setting], held: list[Setting]) -> int | None:
    """The step from which on nothing but the incumbent ran; None where it never held."""
    last = next((i for i in range(len(asked) - 1, -1, -1) if asked[i] != held[-1] or held[i] != held[-1]), -1)
    return None if last == len(asked) - 1 else last + 2
