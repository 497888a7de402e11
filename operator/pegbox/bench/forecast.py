"""`pegbox bench forecast`: load some minutes ahead, beside each single expert and the best of them in hindsight.

The last 40 % of each trace are scored. Weights and quantiles go on learning there, from what is past.
"""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pegbox.bench import data
from pegbox.bench.outcome import Outcome, Run, meta
from pegbox.bench.pictures import lines
from pegbox.bench.progress import Progress
from pegbox.bench.replay import OURS, Replay, play, steps_of
from pegbox.bench.traces import read
from pegbox.learning.queueing import Array

NOMINAL = (0.90, 0.95, 0.98, 0.99)
SHOWN = 0.98  # the quantile in the picture
BEST = "best in hindsight"
FALLBACK = "mean15"  # what an expert that is asleep is counted as: its forecasts are ratios to that mean
DAY = 86_400.0
ENOUGH_HORIZONS = 900  # the standard error of a share of 0.9 is then one point


@dataclass(frozen=True, slots=True)
class Score:
    """`coverage` by nominal quantile; NaN where nothing was said."""

    wape: float
    coverage: tuple[float, ...]


def run(arguments: Namespace) -> Outcome:
    """Raises InvalidInput for a trace that cannot be read."""
    paths = found(arguments)
    if not paths:
        return Outcome(meta("forecast", {}), [], data.source("traces"))
    traces = {name: read(path) for name, path in paths.items()}
    progress = Progress("forecast", sum(len(trace.loads) for trace in traces.values()))
    runs: list[Run] = []
    told: dict[str, object] = {}
    pictures: dict[str, str] = {}
    for name, trace in traces.items():
        replay = play(trace, steps_of(trace, arguments.horizon), NOMINAL, progress=progress)
        scores = score(replay)
        runs += [
            {
                "trace": name,
                "model": model,
                "horizon_min": arguments.horizon,
                "wape": one.wape,
                "nominal": q,
                "coverage": c,
            }
            for model, one in scores.items()
            for q, c in zip(NOMINAL, one.coverage, strict=True)
        ]
        told[name] = _told(replay, scores)
        if arguments.json:
            pictures[name] = _picture(replay, name)
    about = meta("forecast", paths, horizon_min=arguments.horizon, traces=told, seeds="none: nothing is drawn")
    return Outcome(about, runs, table(runs, told), pictures)


def found(arguments: Namespace) -> dict[str, Path]:
    """The traces that were named, else those of the data's folder, by name."""
    folder = data.folder(arguments.data)
    given = list(arguments.trace)
    if not given and folder is not None and (folder / "traces").is_dir():
        given = sorted(path for path in (folder / "traces").iterdir() if path.suffix in (".csv", ".txt"))
    twice = len({path.stem for path in given}) < len(given)
    return {str(path) if twice else path.stem: path for path in given}


def score(replay: Replay) -> dict[str, Score]:
    """Of every model, and of the expert with the lowest WAPE, on the held-out steps of which pegbox spoke."""
    loads = replay.trace.loads
    ours = replay.models[OURS]
    where = ~(np.isnan(loads) | np.isnan(ours.points)) & (np.arange(len(loads)) >= replay.start)
    scores = {}
    for name, said in replay.models.items():
        awake = ~np.isnan(said.points[where])
        if not awake.any():
            scores[name] = Score(math.nan, (math.nan,) * len(replay.quantiles))
            continue
        other = replay.models.get(FALLBACK, ours)
        points = np.where(awake, said.points[where], other.points[where])
        scores[name] = Score(wape(loads[where], points), _coverage(loads[where], said.uppers[where]))
    singles = {name: one for name, one in scores.items() if name != OURS and not math.isnan(one.wape)}
    if singles:
        scores[BEST] = min(singles.values(), key=lambda one: one.wape)
    return scores


def wape(loads: Array, points: Array) -> float:
    """Sum of absolute errors over the sum of loads, as a share; NaN without load."""
    total = float(loads.sum())
    return float(np.abs(loads - points).sum()) / total if total > 0.0 else math.nan


def _coverage(loads: Array, uppers: Array) -> tuple[float, ...]:
    """The share of steps whose load did not exceed the upper quantile, of those where one was said."""
    said = ~np.isnan(uppers)
    covered = ((loads[:, None] <= uppers) & said).sum(axis=0)
    return tuple(float(c) / int(n) if n else math.nan for c, n in zip(covered, said.sum(axis=0), strict=True))


def _told(replay: Replay, scores: dict[str, Score]) -> dict[str, object]:
    best = scores.get(BEST)
    named = next((name for name, one in scores.items() if name not in (OURS, BEST) and one is best), None)
    return {
        "steps": len(replay.trace.loads),
        "step_seconds": replay.trace.step,
        "held_out": len(replay.trace.loads) - replay.start,
        "horizons_held_out": (len(replay.trace.loads) - replay.start) // replay.horizon,
        "gaps": int(np.isnan(replay.trace.loads).sum()),
        "best": named,
        "relative_to_best": scores[OURS].wape / best.wape if best and best.wape else math.nan,
        "forecast_ms_p50": float(np.quantile(replay.seconds, 0.5)) * 1e3,
        "forecast_ms_p99": float(np.quantile(replay.seconds, 0.99)) * 1e3,
    }


def table(runs: list[Run], told: dict[str, object]) -> str:
    """WAPE and coverage in percent, one line per trace and model."""
    head = f"{'trace':<16} {'model':<18} {'WAPE %':>7}  " + " ".join(f"{f'cover {q:.2f}':>10}" for q in NOMINAL)
    out = [head]
    for first in range(0, len(runs), len(NOMINAL)):
        rows = runs[first : first + len(NOMINAL)]
        covers = " ".join(f"{_percent(row['coverage']):>10}" for row in rows)
        out.append(f"{rows[0]['trace']:<16} {rows[0]['model']:<18} {_percent(rows[0]['wape']):>7}  {covers}")
    for name, about in told.items():
        assert isinstance(about, dict)
        out.append(
            f"{name}: {about['relative_to_best']:.3f} of the best in hindsight ({about['best']}); "
            f"{about['held_out']} steps of {about['step_seconds']:g} s held out{_few(about['horizons_held_out'])}; "
            f"a step with its forecasts: {about['forecast_ms_p50']:.2f} ms, p99 {about['forecast_ms_p99']:.2f} ms"
        )
    return "\n".join(out)


def _few(horizons: int) -> str:
    """Forecasts that overlap miss together: a share is known to a point from about this many apart."""
    return "" if horizons >= ENOUGH_HORIZONS else f", {horizons} horizons: too few to tell coverage within a point"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.2f}"


def _picture(replay: Replay, name: str) -> str:
    """The day (or all that is held out) with the highest load, with what was said about it."""
    trace, ours = replay.trace, replay.models[OURS]
    day = round(DAY / trace.step)
    peak = replay.start + int(np.nanargmax(trace.loads[replay.start :]))
    low = max(replay.start, min(peak - day // 2, len(trace.loads) - day))
    inside = slice(low, min(low + day, len(trace.loads)))
    hours = (np.arange(len(trace.loads))[inside] - low) * trace.step / 3600.0
    upper = ours.uppers[inside, NOMINAL.index(SHOWN)]
    series = {"load": trace.loads[inside], OURS: ours.points[inside], f"upper {SHOWN:g}": upper}
    points = {key: list(zip(hours.tolist(), values.tolist(), strict=True)) for key, values in series.items()}
    title = f"{name}: {replay.horizon * trace.step / 60.0:g} minutes ahead"
    return lines(title, ("hours", f"requests per {trace.step:g} s"), points)
