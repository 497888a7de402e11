"""The table of `bench tune --plant`, for people: one line per plant and tuner."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from pegbox.bench.outcome import Run
from pegbox.bench.report import aligned

HEAD = (
    *("tuner", "violation min", "start's", "cost 30", "held", "cost after", "held after"),
    *("tried", "knobs", "ended", "refused"),
)


def report(runs: Sequence[Run]) -> str:
    """Costs are medians beside the reachable oracle's, 1.00 the best; all other figures are means of a run."""
    parts: list[str] = []
    for plant in dict.fromkeys(run["plant"] for run in runs):
        chosen = [run for run in runs if run["plant"] == plant]
        tuners = dict.fromkeys(run["tuner"] for run in chosen)
        lines = [_line(name, [run for run in chosen if run["tuner"] == name]) for name in tuners]
        parts += [f"plant {plant}", *aligned([HEAD, *lines]), ""]
    return "\n".join(parts).rstrip("\n")


def _line(name: str, runs: Sequence[Run]) -> tuple[str, ...]:
    def mean(key: str) -> str:
        return f"{statistics.fmean(run[key] for run in runs):.1f}"

    def middle(key: str) -> str:
        known = [run[key] for run in runs if run[key] is not None]
        return f"{statistics.median(known):.2f}" if known else "-"

    def share(key: str) -> str:
        known = [run[key] for run in runs if run[key] is not None]
        return f"{sum(known)} of {len(known)}" if known else "-"

    return (
        name,
        mean("violation_minutes"),
        mean("start_violation_minutes"),
        middle("cost_ratio30"),
        share("held30"),
        middle("cost_ratio_after"),
        share("held_after"),
        *(mean(key) for key in ("settings_tried", "knobs_moved", "steps_ended", "steps_refused")),
    )
