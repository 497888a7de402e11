"""From settings and rows to arrays: what the physics needs, and what the residual may look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pegbox.learning.evaluate import SERVED
from pegbox.learning.queueing import Array, Mask
from pegbox.model.knobs import Knob, KnobType, LocationKind, SearchSpace, Setting
from pegbox.model.prediction import Row
from pegbox.model.roles import Role, Roles, busy_signal

LOWEST = 1e-9  # stands for a limit of zero, where a logarithm is taken
LEAST, MOST = 1e-9, 1e12  # of load, throughput, latency and pods, in base units


@dataclass(frozen=True, slots=True)
class Plan:
    """Which knobs play which part. `concurrency`: positions in `limits` that hold a task throughout."""

    limits: tuple[str, ...]
    concurrency: tuple[int, ...]
    batch: tuple[str, ...]
    queue: tuple[str, ...]
    replicas: tuple[Knob, ...]


def make_plan(space: SearchSpace, roles: Roles, rows: Sequence[Row]) -> Plan:
    """The plan for knobs that every row names. A limit of zero that let events through is no limit."""

    def named(*wanted: Role) -> list[str]:
        return [
            k.name
            for k in sorted(space.knobs, key=lambda knob: knob.name)
            if k.type.numeric
            and roles.get(k.name, Role.NONE) in wanted
            and all(isinstance(row.setting.get(k.name), Fraction) for row in rows)
        ]

    limits = [n for n in named(Role.CONCURRENCY, Role.POOL) if all(number(row.setting, n) > 0 for row in rows)]
    return Plan(
        limits=tuple(limits),
        concurrency=tuple(i for i, n in enumerate(limits) if roles.get(n) is Role.CONCURRENCY),
        batch=tuple(named(Role.BATCH)),
        queue=tuple(named(Role.QUEUE)),
        replicas=tuple(space[n] for n in named(Role.REPLICAS)),
    )


@dataclass(frozen=True, slots=True)
class Inputs:
    """Columns of the physics, one entry per setting. `limits` is per pod, shape (settings, limits)."""

    limits: Array
    batch: Array
    queue: Array
    pods: Array
    load: Array


def inputs(plan: Plan, settings: Sequence[Setting], loads: Array, pods: Array) -> Inputs:
    """The columns for settings at given loads; without a limit the pod itself is the only one."""
    count = len(settings)
    if plan.limits:
        limits = np.array([[max(LOWEST, number(s, n)) for n in plan.limits] for s in settings])
    else:
        limits = np.ones((count, 1))
    batch = np.ones(count)
    for name in plan.batch:
        batch *= np.array([max(1.0, number(s, name)) for s in settings])
    queue = np.array([sum(number(s, n) for n in plan.queue) if plan.queue else 1.0 for s in settings])
    return Inputs(limits, batch, np.maximum(queue, 1.0), np.maximum(pods, LOWEST), np.maximum(loads, 0.0))


def measurable(row: Row) -> bool:
    """Rates below one event in 30 years, or above what floats tell apart, are no measurements."""
    values = (row.load, row.throughput, row.latency, row.pods)
    return all(LEAST <= value <= MOST for value in values)


def pods_under(plan: Plan, setting: Setting, pods: float) -> float:
    """The pods that a setting leads to: named by it, or those in force inside the HPA bounds it names."""
    for knob in plan.replicas:
        value = number(setting, knob.name)
        match knob.location.kind:
            case LocationKind.HPA_MIN:
                pods = max(pods, value)
            case LocationKind.HPA_MAX:
                pods = min(pods, value)
            case _:
                pods = value
    return pods


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows as arrays, in the order of the rows.

    `saturated` rows left more than 3 % of their load unserved: they measure capacity. `draining` rows served
    more than arrived: their latency belongs to a backlog. `noise` is the log sd of a row's mean throughput,
    `latency_noise` of its mean latency, from replicates. `busy` is NaN where no signal told it.
    """

    x: Inputs
    throughput: Array
    latency: Array
    saturated: Mask
    draining: Mask
    noise: Array
    latency_noise: Array
    busy: Array


def evidence(plan: Plan, rows: Sequence[Row]) -> Evidence:
    """The arrays of usable rows (positive load, throughput and latency)."""
    load = np.array([row.load for row in rows])
    throughput = np.array([row.throughput for row in rows])
    names = plan.limits or ("",)
    return Evidence(
        x=inputs(plan, [row.setting for row in rows], load, np.array([row.pods for row in rows])),
        throughput=throughput,
        latency=np.array([row.latency for row in rows]),
        saturated=np.asarray(throughput < SERVED * load),
        draining=np.asarray(throughput > load / SERVED),
        noise=np.array([_relative(row.throughput, row.throughput_m2, row.count) for row in rows]),
        latency_noise=np.array([_relative(row.latency, row.latency_m2, row.count) for row in rows]),
        busy=np.array([[row.signals.get(busy_signal(n), float("nan")) for n in names] for row in rows]),
    )


def _relative(mean: float, m2: float, count: int) -> float:
    """Standard error of a mean relative to it: sqrt(m2 / (n - 1) / n) / mean; 0 for a single window."""
    return float((m2 / (count - 1) / count) ** 0.5 / mean) if count > 1 and m2 > 0 else 0.0


def features(space: SearchSpace, settings: Sequence[Setting], loads: Array) -> Array:
    """Columns for the residual: log numbers, 0/1 for booleans and for each choice, log load."""
    columns = [np.log(np.maximum(loads, LOWEST))]
    for knob in sorted(space.knobs, key=lambda k: k.name):
        values = [s.get(knob.name, knob.default) for s in settings]
        if knob.type is KnobType.CHOICE:
            columns += [np.array([float(v == choice) for v in values]) for choice in knob.choices]
        elif knob.type is KnobType.BOOLEAN:
            columns.append(np.array([float(v is True) for v in values]))
        else:
            unit = float(knob.unit)
            columns.append(
                np.array([np.log1p(abs(float(v)) / unit) if isinstance(v, Fraction) else 0.0 for v in values])
            )
    return np.column_stack(columns)


def number(setting: Setting, name: str) -> float:
    """The value of a numeric knob as a float; 0 where the setting does not name it."""
    value = setting.get(name)
    return float(value) if isinstance(value, Fraction) else 0.0
