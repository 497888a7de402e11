"""The tables of `bench tune`, for people: one line per spec, start and tuner, and what the claims are about."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from pegbox.bench.outcome import Run
from pegbox.bench.pictures import lines
from pegbox.bench.statistics import Pair, highest_share, mean_of, ratio_of_sums
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason

HEAD = (
    *("tuner", "unsafe", "worst", "regret", "/ nothing", "gap 0", "gap 20", "gap 40", "gap 60", "to 5 %"),
    *("tried", "knobs", "hold", "failed", "ms"),
)


def report(runs: Sequence[Run]) -> tuple[str, dict[str, str]]:
    """Text, and pictures by name."""
    parts: list[str] = []
    for task in _unique((r["spec"], r["start"]) for r in runs):
        chosen = [r for r in runs if (r["spec"], r["start"]) == task]
        parts.append(f"{task[0]}, start {task[1]}")
        parts += aligned([HEAD, *(_line(name, group) for name, group in _by_tuner(chosen))])
        parts.append("")
    parts.append("all of them: unsafe steps (upper bound of 95 %), regret beside doing nothing (90 %), below 0.75")
    parts += aligned([("tuner", "unsafe", "at most", "regret / nothing", "from", "to", "below 0.75"), *_pooled(runs)])
    parts += ["", "the same with each spec left out: the least and the most of them"]
    parts += aligned([("tuner", "unsafe", "to", "regret / nothing", "to"), *_left_out(runs)])
    parts += _foretold(runs)
    return "\n".join(parts), {"regret": _picture(runs)} if runs else {}


def _unique(values: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(values))


def _by_tuner(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    return [(name, [r for r in runs if r["tuner"] == name]) for name in dict.fromkeys(r["tuner"] for r in runs)]


def _line(name: str, runs: Sequence[Run]) -> tuple[str, ...]:
    """Means, but where the head of docs/benchmarks.md says otherwise; a dash where there is no figure."""

    def mean(key: str, shown: Callable[[float], str]) -> str:
        known = [float(r[key]) for r in runs if r[key] is not None]
        return shown(statistics.fmean(known)) if known else "-"

    def middle(key: str) -> str:
        """The median; runs that never got there are behind all that did."""
        ranked = sorted((r[key] is None, r[key] or 0) for r in runs)
        never, value = ranked[(len(ranked) - 1) // 2]
        return "-" if never else f"{value}"

    beside = _beside_nothing(runs)
    return (
        name,
        mean("unsafe", lambda x: f"{x:.1%}"),
        f"{min(r['worst'] for r in runs):.2f}",
        mean("regret", lambda x: f"{x:.2f}"),
        "-" if isinstance(beside, Missing) else f"{beside:.2f}",
        f"{statistics.fmean(r['regret_static'] / r['steps'] for r in runs):.1%}",
        *(mean(f"gap{n}", lambda x: f"{x:.1%}") for n in (20, 40, 60)),
        middle("steps_to_5"),
        middle("settings_tried"),
        middle("knobs_moved"),
        middle("hold_step"),
        str(sum(r["failed"] for r in runs)),
        mean("suggest_ms_p50", lambda x: f"{x:.0f}"),
    )


def _beside_nothing(runs: Sequence[Run]) -> float | Missing:
    """The regret of all of them as a share of that of doing nothing."""
    static = sum(r["regret_static"] for r in runs)
    if static <= 0:
        return Missing(Reason.NOTHING_BETTER, "nothing better than the start was there")
    return float(sum(r["regret"] for r in runs) / static)


def _pooled(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    found = []
    for name, group in _by_tuner(runs):
        steps = sum(r["steps"] for r in group)
        unsafe = sum(round(r["unsafe"] * r["steps"]) for r in group)
        clusters = [(f"{r['spec']}/{r['model_seed']}/{r['start']}", r) for r in group]
        share = mean_of([(cluster, r["unsafe"]) for cluster, r in clusters])
        ratio = ratio_of_sums([Pair(cluster, r["regret"], r["regret_static"]) for cluster, r in clusters])
        most = highest_share(unsafe, steps) if isinstance(share, Missing) or unsafe == 0 else share.high
        shown = (
            ("-", "-", "-")
            if isinstance(ratio, Missing)
            else tuple(f"{x:.2f}" for x in (ratio.mean, ratio.low, ratio.high))
        )
        found.append(
            (name, f"{unsafe / steps:.2%}", f"{most:.2%}", *shown, f"{sum(r['below_075'] for r in group)} of {steps}")
        )
    return found


def _left_out(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """How much of a pooled figure hangs on one spec. A dash where there is but one."""
    found = []
    for name, group in _by_tuner(runs):
        unsafe: list[float] = []
        regret: list[float] = []
        for out in dict.fromkeys(r["spec"] for r in group):
            rest = [r for r in group if r["spec"] != out]
            if rest:
                unsafe.append(sum(r["unsafe"] * r["steps"] for r in rest) / sum(r["steps"] for r in rest))
            beside = _beside_nothing(rest)
            if not isinstance(beside, Missing):
                regret.append(beside)
        shares = [f"{x:.2%}" for x in (min(unsafe), max(unsafe))] if unsafe else ["-", "-"]
        ratios = [f"{x:.2f}" for x in (min(regret), max(regret))] if regret else ["-", "-"]
        found.append((name, *shares, *ratios))
    return found


def _foretold(runs: Sequence[Run]) -> list[str]:
    """Of those who say what they expect."""
    lines = []
    for name, group in _by_tuner([r for r in runs if r.get("moves_foretold")]):
        count = sum(r["moves_foretold"] for r in group)
        own, raw = (
            sum(r[key] * r["moves_foretold"] for r in group) / count for key in ("moves_score", "moves_score_raw")
        )
        again = sum(r["repeats_foretold"] or 0 for r in group)
        kept = sum(r["repeats_covered"] or 0 for r in group)
        covered = f"{sum(r['moves_covered'] for r in group) / count:.1%} of {count} moves"
        repeats = f", {kept / again:.1%} of {again} repeats" if again else ""
        lines.append(f"{name}: {covered}{repeats}; interval score {own:.3f}, of the model alone {raw:.3f}")
    return ["", "what was measured fell into the 95 % interval told one step ahead:", *lines] if lines else []


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of columns, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _picture(runs: Sequence[Run]) -> str:
    """The mean gap of the incumbent after 0, 20, 40 and 60 steps, over all tasks."""
    series = {}
    for name, group in _by_tuner(runs):
        points = [(0.0, 100 * statistics.fmean(r["regret_static"] / r["steps"] for r in group))]
        for after in (20, 40, 60):
            known = [r[f"gap{after}"] for r in group if r[f"gap{after}"] is not None]
            if known:
                points.append((float(after), 100 * statistics.fmean(known)))
        series[name] = points
    return lines("Incumbent's distance from the best, simulated", ("steps", "percent"), series, dots=True)
