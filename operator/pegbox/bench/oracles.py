"""The best that there is, and the best that small steps can reach: both know the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pegbox.bench.surrogate import Array, fixed_points
from pegbox.bench.tasks import Task
from pegbox.learning.axes import Axes, axes_of
from pegbox.model.knobs import KnobType, KnobValue, Setting

SOBOL = 2048
SWEEPS = 3
LEVELS = 17  # values of a number that coordinate ascent looks at
BEGINNINGS = 4


@dataclass(frozen=True, slots=True)
class Best:
    """A setting and its cost relative to the start's."""

    setting: Setting
    cost: float


def judged(task: Task, settings: Sequence[Setting]) -> Array:
    """Costs relative to the start's; what lacks the wanted metric costs infinitely much."""
    metrics = task.true(settings)
    costs = task.costs(settings, metrics)
    return np.where(task.ratios(metrics) >= float(task.spec.least), costs, np.inf)


def everywhere(task: Task, rows: Sequence[Setting] = ()) -> Best:
    """Over the rows, Sobol points, and coordinate ascent from the best of them and from the start."""
    if task.rows is not None:
        return _best(task, list(task.rows))
    pool = [task.start, *rows, *fixed_points(task.space, SOBOL, seed=1)]
    costs = judged(task, pool)
    begin = [task.start, *(pool[int(i)] for i in np.argsort(costs)[:BEGINNINGS])]
    return min((_ascended(task, setting) for setting in begin), key=lambda best: best.cost)


def _best(task: Task, settings: list[Setting]) -> Best:
    costs = judged(task, settings)
    at = int(np.argmin(costs))
    return Best(settings[at], float(costs[at]))


def _ascended(task: Task, setting: Setting) -> Best:
    now = Best(setting, float(judged(task, [setting])[0]))
    for _ in range(SWEEPS):
        before = now.cost
        for knob in task.space.knobs:
            values: list[KnobValue]
            if knob.type is KnobType.BOOLEAN:
                values = [not now.setting[knob.name]]
            elif knob.type is KnobType.CHOICE:
                values = [choice for choice in knob.choices if choice != now.setting[knob.name]]
            else:
                assert knob.minimum is not None and knob.maximum is not None
                span = knob.maximum - knob.minimum
                shares = (Fraction(i, LEVELS - 1) for i in range(LEVELS))
                values = [knob.clamp(knob.minimum + span * share) for share in shares]
            near = [now.setting.with_values(**{knob.name: value}) for value in dict.fromkeys(values)]
            now = min(now, _best(task, near), key=lambda best: best.cost)
        if now.cost > before * (1 - 1e-4):
            break
    return now


def reachable(task: Task, steps: int) -> list[Best]:
    """An omniscient local greedy: each step the best of all single small moves, and of the two best together."""
    axes = axes_of(task.space, task.logs)
    now = Best(task.start, 1.0)
    path = [now]
    for _ in range(steps):
        near = _moves(axes, now.setting)
        if not near:
            break
        costs = judged(task, near)
        order = np.argsort(costs)[:6]
        joined = [_together(now.setting, near[int(i)], near[int(j)]) for i in order for j in order if i < j]
        found = min(_best(task, near), _best(task, joined) if joined else now, key=lambda best: best.cost)
        if found.cost >= now.cost * (1 - 1e-6):
            break
        now = found
        path.append(now)
    return path + [now] * (steps + 1 - len(path))


def _together(base: Setting, one: Setting, other: Setting) -> Setting:
    changes = {name: one[name] for name in base.diff(one)} | {name: other[name] for name in base.diff(other)}
    return base.with_values(**changes)


def _moves(axes: Axes, setting: Setting) -> list[Setting]:
    point = axes.place([setting])[0]
    down, up = axes.reach(point)
    moves = [{i: move} for i in axes.moving for move in (-down[i], -down[i] / 2, up[i] / 2, up[i])]
    found = dict.fromkeys(axes.moved(setting, point, move)[0] for move in moves)
    found.pop(setting, None)
    return list(found)
